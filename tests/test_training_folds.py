"""Temporal folds keep an embargo, and say what is missing where there is no room for them."""

import itertools

import pytest

from features.errors import Refusal
from training.folds import Fold, LaterSplit, later_split, spread, temporal_folds


@pytest.mark.parametrize(
    ("months", "horizon", "maturity"), [(25, 6, 0), (60, 12, 0), (100, 12, 24), (12, 3, 0), (200, 6, 3)]
)
@pytest.mark.parametrize("step", [1, 3, 5])
def test_every_fold_keeps_the_embargo(months, horizon, maturity, step):
    as_ofs = list(range(24000, 24000 + months, step))
    if len([month for month in as_ofs if month - horizon - maturity >= as_ofs[min(1, len(as_ofs) - 1)]]) < 2:
        with pytest.raises(Refusal, match="Too little history"):
            temporal_folds(as_ofs, horizon=horizon, maturity=maturity)
        return
    folds = temporal_folds(as_ofs, horizon=horizon, maturity=maturity)
    assert len(folds) >= 2
    for fold in folds:
        assert max(fold.train) + horizon + maturity <= min(fold.test)
    assert all(before.test[-1] < after.test[0] for before, after in itertools.pairwise(folds))
    assert all(set(before.train) < set(after.train) for before, after in itertools.pairwise(folds))


@pytest.mark.parametrize(("train", "test"), [((1, 2, 3), (8,)), ((1,), (1,)), ((5,), (3,))])
def test_a_fold_without_embargo_is_refused(train, test):
    with pytest.raises(ValueError, match="without embargo"):
        Fold(train, test, horizon=6)


def test_maturity_is_part_of_the_embargo():
    Fold((1,), (7,), horizon=6)
    with pytest.raises(ValueError, match="without embargo"):
        Fold((1,), (7,), horizon=6, maturity=1)


def test_too_few_months_are_refused_with_the_months_needed():
    with pytest.raises(Refusal, match=r"14 months with a cohort are there, at least 15 are needed"):
        temporal_folds(list(range(24000, 24008)), horizon=6)
    assert len(temporal_folds(list(range(24000, 24009)), horizon=6)) == 2


@pytest.mark.parametrize("months", [[24000], [24000, 24001], []])
def test_one_or_no_month_is_refused(months):
    with pytest.raises(Refusal, match="Too little history"):
        temporal_folds(months, horizon=1)


def test_later_months_come_a_horizon_after_the_fit_where_there_is_room():
    split = later_split(list(range(40)), horizon=6)
    assert split.apart
    assert max(split.fit) + 6 <= min(split.later)


def test_short_histories_say_that_officers_must_be_kept_apart():
    split = later_split(list(range(8)), horizon=6)
    assert not split.apart
    assert max(split.fit) < min(split.later)


def test_later_months_never_come_before_the_fit():
    with pytest.raises(ValueError, match="must come after"):
        LaterSplit((1, 2), (2, 3), apart=True)


def test_spread_keeps_the_last_month():
    assert spread(range(10), 3) == (3, 6, 9)
    assert spread((4, 5), 3) == (4, 5)

"""What screening keeps: the strongest of every group, and no raw level that drifts away from what was learned."""

import numpy as np
import pytest

from features.profile import Profile
from training.screening import MOST, MOST_DRIFT, MOST_PER_GROUP, drift, screened, steady

MEASURES = {
    "pay": {"dimension": "workload", "aggregate": "last"},
    "mark": {"dimension": "quality", "aggregate": "mean"},
    "shift": {"dimension": "workload"},
}
PARTS = {"settings": {"name": "three"}, "measures": MEASURES, "posts": {}, "risks": {}, "actions": {}}
PROFILE = Profile.model_validate(PARTS)
NAMES = (
    "pay__mean__12m",
    "pay__unit__12m",
    "pay__vs_peers__12m",
    "mark__mean__3m",
    "shift__sum__12m",
    "tenure__months",
)
MONTHS, PERSONS = 8, 200


@pytest.fixture(scope="module")
def values() -> tuple[np.ndarray, np.ndarray]:
    """Six columns over eight months; pay and shifts rise by a third of a deviation a month, marks do not."""
    generator = np.random.default_rng(3)
    as_of = np.repeat(np.arange(100, 100 + MONTHS, dtype=np.int32), PERSONS)
    table = generator.normal(size=(len(as_of), len(NAMES))).astype(np.float32)
    table[:, [0, 1, 4, 5]] += ((as_of - 100) / 3)[:, None]
    return table, as_of


def test_a_raw_level_that_drifts_is_no_input_and_its_relative_form_is(values: tuple[np.ndarray, np.ndarray]) -> None:
    kept = dict(zip(NAMES, steady(*values, NAMES, PROFILE), strict=True))
    assert kept == {
        "pay__mean__12m": False,
        "pay__unit__12m": False,
        "pay__vs_peers__12m": True,
        "mark__mean__3m": True,
        "shift__sum__12m": True,
        "tenure__months": True,
    }


def test_drift_is_the_move_between_halves_in_deviations_between_persons(
    values: tuple[np.ndarray, np.ndarray],
) -> None:
    table, as_of = values
    assert drift(table[:, 0], as_of) == pytest.approx(4 / 3, abs=0.1)
    assert drift(table[:, 0] * 1000 + 60_000, as_of) == pytest.approx(drift(table[:, 0], as_of), abs=1e-3)
    assert drift(table[:, 3], as_of) < 0.2 < MOST_DRIFT


def test_drift_looks_at_known_values_only(values: tuple[np.ndarray, np.ndarray]) -> None:
    table, as_of = values
    column = table[:, 0].copy()
    column[as_of < 100 + MONTHS // 2] = np.nan
    assert drift(column, as_of) == pytest.approx(2 / 3, abs=0.2)
    assert np.isnan(drift(np.full(len(as_of), np.nan, dtype=np.float32), as_of))
    assert steady(np.full((len(as_of), 1), np.nan, np.float32), as_of, NAMES[:1], PROFILE).all()


def test_a_level_alike_for_all_persons_that_moves_is_dropped() -> None:
    as_of = np.repeat(np.arange(4, dtype=np.int32), 10)
    column = as_of.astype(np.float32)[:, None]
    assert not steady(column, as_of, ("pay__mean__12m",), PROFILE).any()
    assert steady(np.ones_like(column), as_of, ("pay__mean__12m",), PROFILE).all()


def test_every_group_keeps_its_strongest_and_what_never_varies_is_left_out() -> None:
    generator = np.random.default_rng(0)
    label = (generator.random(400) < 0.3).astype(np.float32)
    loud = [f"loud__sum__{number + 1}m" for number in range(MOST + 20)]
    quiet = [f"quiet__sum__{number + 1}m" for number in range(MOST_PER_GROUP + 4)]
    table = np.column_stack(
        [label + generator.normal(0, 0.1, 400) for _ in loud]
        + [generator.normal(size=400) for _ in quiet]
        + [label * 0]
    ).astype(np.float32)
    names = [*loud, *quiet, "still__sum__1m"]
    kept = [names[place] for place in screened(table, label, names)]
    assert len(kept) == MOST
    assert sum(name.startswith("quiet") for name in kept) == MOST_PER_GROUP
    assert "still__sum__1m" not in kept

"""Reasons: sentences with the person's number, own usual and the post's middle; together they are the score."""

import json

import numpy as np
import pytest

from features.engine import feature_rows
from features.months import month_of_day, parse_month
from features.names import group_of
from tests.training_force import small_force
from training.models.reasons import reasons, told_names
from training.models.scoring import months_known, score_cohort
from training.train import train

LAST = parse_month("2022-06")


@pytest.fixture(scope="module")
def force():
    return small_force().histories()


@pytest.fixture(scope="module")
def cohort(force):
    return score_cohort(force, train(force, "collapse").model, LAST)


def test_reasons_of_everyone_sum_to_their_margin(cohort):
    sums = [cohort.base_value + sum(reason.contribution for reason in row) for row in cohort.reasons]
    assert np.abs(np.asarray(sums) - cohort.margin).max() < 1e-9


def test_reasons_come_strongest_first_and_once_per_group(cohort):
    for row in cohort.reasons:
        sizes = [abs(reason.contribution) for reason in row]
        assert sizes == sorted(sizes, reverse=True)
        assert len({reason.group for reason in row}) == len(row)
        assert all(group_of(reason.feature) == reason.group for reason in row)


def _told(force, name, contribution):
    names = ("night__sum__3m", "night__sum__12m")
    rows = feature_rows(force, [LAST], names=names)
    given = np.zeros(rows.values.shape)
    given[:, names.index(name)] = contribution
    return rows, reasons(force.profile, names, rows, given)


def test_a_reason_holds_the_number_the_usual_and_the_middle(force):
    rows, found = _told(force, "night__sum__3m", 0.4)
    first = found[0][0]
    assert first.value == rows.values[0, 0]
    assert first.usual == pytest.approx(rows.values[0, 1] / 4)
    assert first.peers == np.median(rows.values[rows.post == rows.post[0], 0])
    assert first.window == 3


@pytest.mark.parametrize(("known", "longer", "covered"), [(36.0, 12, 3), (9.0, 9, 3), (2.0, 2, 2)])
def test_a_sentence_tells_the_months_that_the_window_really_covers(force, known, longer, covered):
    names = ("night__sum__3m", "night__sum__12m")
    rows = feature_rows(force, [LAST], names=names)
    for number, months in enumerate((covered, longer)):
        given = np.zeros(rows.values.shape)
        given[:, number] = 0.4
        first = reasons(force.profile, names, rows, given, known=np.full(len(rows), known))[0][0]
        assert f"（近 {months} 个月）" in first.sentence_zh
        assert f"(last {months} months)" in first.sentence_en
        assert first.window == (3, 12)[number]
        if number == 0 and longer > covered:
            assert first.usual == pytest.approx(rows.values[0, 1] * covered / longer)
        else:  # nothing longer to hold it against
            assert first.usual is None
            assert "自己平时" not in first.sentence_zh


def test_who_has_served_a_short_time_has_the_own_months_told(force):
    rows = feature_rows(force, [LAST], names=("night__sum__3m",))
    known = months_known(force, rows)
    begun = force.postings.first[np.searchsorted(force.postings.officer, rows.officer)]
    events = int(month_of_day(force.events.occurred.min()))
    assert np.array_equal(known, LAST - np.maximum(month_of_day(begun), events) + 1)


def test_a_sentence_reads_as_a_person_would_say_it(force):
    rows, found = _told(force, "night__sum__3m", 0.4)
    value = f"{rows.values[0, 0]:.0f}"
    assert found[0][0].sentence("zh").startswith(f"夜班 {value} 次（近 3 个月），自己平时 ")
    assert found[0][0].sentence("zh").endswith("，推高风险")
    assert "本岗位中位数" in found[0][0].sentence_zh
    assert found[0][0].sentence("en").startswith(f"Night shifts: {value} shifts (last 3 months); usually ")
    assert found[0][0].sentence("en").endswith("; pushes the risk up")


def test_a_reason_that_lowers_the_risk_says_so(force):
    _, found = _told(force, "night__sum__3m", -0.4)
    assert found[0][0].sentence_zh.endswith("，降低风险")
    assert found[0][0].sentence_en.endswith("; pushes the risk down")


def test_no_contribution_is_no_reason(force):
    _, found = _told(force, "night__sum__3m", 0.0)
    assert not any(found)


def test_every_group_can_be_told(force):
    names = tuple(feature_rows(force, [LAST]).names)
    rows = feature_rows(force, [LAST], names=names)
    found = reasons(force.profile, names, rows, np.ones(rows.values.shape))
    assert {reason.group for reason in found[0]} == {group_of(name) for name in names}
    for reason in found[0]:
        assert "nan" not in reason.sentence_zh + reason.sentence_en
        assert "__" not in reason.sentence_zh + reason.sentence_en


def test_ranks_follow_probability_and_the_table_follows_the_contract(cohort):
    frame = cohort.frame()
    ranked = frame[frame["rank"].notna()]
    assert list(ranked["rank"]) == list(range(1, len(ranked) + 1))
    assert ranked["probability"].is_monotonic_decreasing
    assert set(frame.loc[frame["rank"].isna(), "evidence"]).isdisjoint({"sufficient"})
    assert list(frame.columns) == ["officer_id", "as_of", "risk", "probability", "low", "high", "rank",
                                   "model_version", "base_value", "reasons", "evidence"]  # fmt: skip
    first = json.loads(frame["reasons"].iloc[0])
    assert {"group", "contribution", "value", "usual", "peers", "window", "sentence_zh", "sentence_en"} <= set(first[0])


def test_a_group_without_a_plain_number_is_told_with_its_three_months(force):
    names = told_names(force.profile, ("night__decay__3m",))
    assert names == ("night__decay__3m", "night__sum__3m", "night__sum__12m")
    rows = feature_rows(force, [LAST], names=names)
    found = reasons(force.profile, ("night__decay__3m",), rows, np.ones((len(rows), 1)))
    assert found[0][0].feature == "night__sum__3m"
    assert found[0][0].value == rows.values[0, 1]
    assert found[0][0].usual is not None

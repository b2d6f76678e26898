"""Help after a flag changes labels: which rows are treated, what the others count, and what naive retraining does."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from features.histories.tables import Histories, histories
from features.months import parse_month
from features.profile import Profile, load_profile
from features.simulation import Help, Recorded, SimulatedForce, simulate
from tests.training_force import MEASURES, RISKS, SETTINGS
from training.dataset import TrainingSet, training_set
from training.fitting import fit
from training.spells import Ledger, censored, marks
from training.train import train
from training.treated import MOST_WEIGHT, Treatment, treatment

START = parse_month("2020-01")
FLAGS_FROM = 14
OFFICERS, MONTHS = 500, 36
FLAGGED, UPTAKE, WORKS = 0.15, 0.4, 0.1
"""So many are flagged each month, so many of them helped; help leaves a tenth of the risk for three months."""
ROUNDS = tuple(START + month for month in (22, 28, 35))


def marked(*, acted_on: str | None = "acted") -> Profile:
    """Return the small profile with a measure of help after a flag, and an action that is recorded as talks."""
    risks = {**RISKS, "collapse": {**RISKS["collapse"], "acted_on": acted_on}}
    measures = {**MEASURES, "acted": {"dimension": "action"}, "talk": {"dimension": "action"}}
    word = {"zh": "谈话", "en": "A talk"}
    talk = {"label": word, "kind": "rest", "practice": "C2", "owner": "wellness", "decides": "officer", "why": word,
            "risks": ["collapse"], "recorded_as": "talk"}  # fmt: skip
    parts = {"settings": SETTINGS, "measures": measures, "posts": {}, "risks": risks, "actions": {"talk": talk}}
    return Profile.model_validate(parts)


@dataclass(frozen=True)
class Helped:
    """A force whose flagged persons are helped; ``chance`` is each one's true monthly chance without help.

    ``protected`` [month, officer] counts the months for which help still works, the present one included.
    """

    given: Histories
    chance: np.ndarray
    protected: np.ndarray

    def truth(self, officer: np.ndarray, as_of: int) -> np.ndarray:
        """Return the true probability of the label without further help."""
        left, stays = self.protected[as_of - START, officer], np.ones(len(officer))
        for ahead in (1, 2, 3):
            stays *= 1 - self.chance[officer] * np.where(left > ahead, WORKS, 1.0)
        return 1 - stays


@cache
def helped_force(*, measure: str = "acted", acted_on: str | None = "acted") -> Helped:
    rng = np.random.default_rng(3)
    strain = rng.gamma(2.0, 1.0, OFFICERS)
    chance = np.clip(0.015 * strain**2, 0, 0.5)
    nights = rng.poisson(3 * strain, (MONTHS, OFFICERS))
    protected, rows = np.zeros((MONTHS + 1, OFFICERS)), []
    ids = np.array([f"P{number:04d}" for number in range(OFFICERS)])
    for month in range(MONTHS):
        day = pd.Timestamp("2020-01-01") + pd.DateOffset(months=month)
        seen = nights[max(0, month - 3) : month].sum(axis=0) if month else np.zeros(OFFICERS)
        listed = seen >= np.quantile(seen, 1 - FLAGGED)
        got = listed & (rng.random(OFFICERS) < UPTAKE) & (month >= FLAGS_FROM)
        protected[month] = np.where(got, 3, np.maximum(protected[month - 1] - 1, 0))
        fell = rng.random(OFFICERS) < chance * np.where(protected[month] > 0, WORKS, 1.0)
        rows += [
            (who, "night", day + pd.Timedelta(days=2), float(n)) for who, n in zip(ids, nights[month], strict=True)
        ]
        rows += [(who, name, day, 1.0) for who in ids[got] for name in {measure, "talk"}]
        rows += [(who, "collapse", day + pd.Timedelta(days=9), 1.0) for who in ids[fell]]
    events = pd.DataFrame(rows, columns=["officer_id", "measure", "occurred_on", "value"])
    roster = pd.DataFrame({"officer_id": ids, "valid_from": pd.Timestamp("2019-01-01"), "post": "desk", "unit": "one"})
    return Helped(histories(profile=marked(acted_on=acted_on), roster=roster, events=events), chance, protected)


def weighed(given: Histories, until: int) -> tuple[TrainingSet, Treatment]:
    rows = training_set(given, "collapse", until=until)
    found = treatment(given, rows)
    assert found is not None
    return rows, found


def ratio(force: Helped, rows: TrainingSet, profile: Profile) -> float:
    """Expected over true risk without help, of the most strained at the last as-of."""
    model = fit(rows, profile).model("collapse")
    now = rows.at(rows.as_ofs[-1:])
    true = force.truth(now.officer, rows.as_ofs[-1])
    high = np.argsort(-true)[: len(true) // 7]
    return float(model.probability(now)[high].sum() / true[high].sum())


def test_naive_retraining_underestimates_the_strained_and_weights_mend_it() -> None:
    force = helped_force()
    naive, mine = [], []
    for until in ROUNDS:
        rows, found = weighed(force.given, until)
        naive.append(ratio(force, rows, force.given.profile))
        mine.append(ratio(force, found.weighed(rows), force.given.profile))
    assert naive[2] < naive[0] < 0.75, naive
    assert naive[2] < 0.6, naive
    assert all(0.75 < each < 1.25 for each in mine), mine
    assert all(aware > each + 0.25 for aware, each in zip(mine, naive, strict=True)), (naive, mine)


def test_the_report_shows_the_model_with_and_without() -> None:
    given = helped_force().given
    trained = train(given, "collapse")
    card = trained.model.card["treated"]
    assert card["weighed"]
    assert 0.05 < card["share_treated"] < 0.5
    assert 0.3 < card["effective_share"] < 1.0
    table = card["figures"]
    assert set(table) == {"weighted, among the untreated", "without weights, among the untreated",
                          "weighted, all labels", "without weights, all labels"}  # fmt: skip
    with_, without = (
        table[f"{name}, among the untreated"]["expected_observed"][0] for name in ("weighted", "without weights")
    )
    assert with_ > 1.15 * without
    precise = [
        table[f"{name}, among the untreated"]["average_precision"][0] for name in ("weighted", "without weights")
    ]
    assert precise[0] > precise[1] - 0.01
    assert "effective sample size" in trained.report.text()


def test_treated_rows_count_nothing_and_every_month_keeps_its_weight() -> None:
    rows, found = weighed(helped_force().given, ROUNDS[-1])
    assert (found.weight[found.treated] == 0).all()
    assert (found.weight[~found.treated] > 0).all()
    for month in rows.as_ofs:
        mine = rows.as_of == month
        assert found.weight[mine].sum() == pytest.approx(mine.sum(), rel=1e-4)
    before = rows.as_of + 3 < START + FLAGS_FROM
    assert (found.weight[before] == 1).all()


def test_no_row_counts_more_than_the_bound_and_what_has_no_overlap_is_told() -> None:
    _, found = weighed(helped_force().given, ROUNDS[-1])
    assert found.untouched.min() < 0.5
    assert found.weight.max() <= 2 * MOST_WEIGHT
    assert found.no_overlap == pytest.approx((found.untouched < 1 / MOST_WEIGHT).mean())


def test_the_chance_of_staying_without_help_is_about_right() -> None:
    _, found = weighed(helped_force().given, ROUNDS[-1])
    late = found.untouched < 0.999
    for part in np.array_split(np.argsort(found.untouched[late]), 4):
        stayed = (~found.treated[late][part]).mean()
        assert stayed == pytest.approx(found.untouched[late][part].mean(), abs=0.08)


def test_help_recorded_after_until_changes_no_weight() -> None:
    given, until = helped_force().given, ROUNDS[1]
    _, found = weighed(given, until)
    late = given.until(until)
    assert len(late.events) < len(given.events)
    again = treatment(late, training_set(late, "collapse", until=until))
    assert again is not None
    assert np.array_equal(found.weight, again.weight)


def without_help(given: Histories) -> Histories:
    helps = given.events.measure == given.profile.measure_number["acted"]
    return replace(given, events=given.events.take(~helps))


def test_without_treated_rows_nothing_changes_to_the_bit() -> None:
    given = without_help(helped_force().given)
    rows = training_set(given, "collapse")
    found = treatment(given, rows)
    assert found is not None
    assert found.weighed(rows) is rows
    assert found.why_not is not None
    assert "fewer than" in found.why_not
    plain = replace(given, profile=marked(acted_on=None).model_copy(update={"actions": {}}))
    assert treatment(plain, training_set(plain, "collapse")) is None


def test_routine_help_without_a_mark_is_not_taken_for_treatment() -> None:
    given = helped_force(measure="talk", acted_on=None).given
    assert marks(given.profile, "collapse") == ("talk",)
    rows, found = weighed(given, ROUNDS[-1])
    assert found.monthly > 0.02
    assert found.why_not is not None
    assert "acted_on" in found.why_not
    assert found.weighed(rows) is rows


def test_rest_and_mentoring_that_answer_the_risk_are_its_marks_where_none_is_named() -> None:
    profile = load_profile("gongan")
    bare = profile.model_copy(
        update={"risks": {key: risk.model_copy(update={"acted_on": None}) for key, risk in profile.risks.items()}}
    )
    assert marks(bare, "burnout") == ("compensatory_leave", "roster_relief", "recuperation", "counselling")
    assert marks(bare, "efficiency_decline") == ("roster_relief", "mentoring_received")


def test_the_mark_is_never_an_input() -> None:
    rows = training_set(helped_force().given, "collapse")
    assert not [name for name in rows.names if name.startswith("acted__")]
    assert [name for name in rows.inputs if name.startswith("talk__")]


def of_one(*happened: tuple[str, str]) -> tuple[bool, int]:
    """Whether the row of one officer at 2020-08 is treated, and the month in which it was settled."""
    force = helped_force()
    table = pd.DataFrame([(f"P{n:04d}", m, pd.Timestamp(d), 1.0) for n, m, d in [(0, *each) for each in happened]]
                         + [("P0001", "night", pd.Timestamp("2021-06-30"), 1.0)],
                         columns=["officer_id", "measure", "occurred_on", "value"])  # fmt: skip
    roster = pd.DataFrame({"officer_id": ["P0000", "P0001"], "valid_from": pd.Timestamp("2019-01-01"), "post": "desk",
                           "unit": "one"})  # fmt: skip
    given = histories(profile=force.given.profile, roster=roster, events=table)
    as_of = parse_month("2020-08")
    label = float(any(m == "collapse" and "2020-09" <= d < "2020-12" for m, d in happened))
    whole = training_set(force.given, "collapse", until=ROUNDS[-1])
    row = replace(whole.take(np.array([0])), officer=np.array([0], np.int32), as_of=np.array([as_of], np.int32),
                  label=np.array([label], np.float32))  # fmt: skip
    treated, settled = censored(given, row, Ledger.of(given, ("acted",)))
    return bool(treated[0]), int(settled[0])


@pytest.mark.parametrize(
    ("happened", "treated", "settled"),
    [
        ([], False, 3),
        ([("acted", "2020-08-31")], False, 3),
        ([("acted", "2020-09-01")], True, 3),
        ([("acted", "2020-11-30")], True, 3),
        ([("acted", "2020-12-01")], False, 3),
        ([("collapse", "2020-10-05")], False, 2),
        ([("collapse", "2020-10-05"), ("acted", "2020-10-20")], False, 2),
        ([("acted", "2020-09-20"), ("collapse", "2020-10-05")], True, 2),
        ([("collapse", "2020-08-05"), ("acted", "2020-08-20"), ("collapse", "2020-09-30")], False, 1),
    ],
)
def test_a_row_is_treated_by_help_after_its_as_of_and_before_its_outcome(
    happened: list[tuple[str, str]], treated: bool, settled: int
) -> None:
    assert of_one(*happened) == (treated, settled)


def small(intervene: Callable[[int, Callable[[], Recorded]], Help | None] | None) -> SimulatedForce:
    return simulate(officers=120, months=14, seed=4, intervene=intervene)


@pytest.fixture(scope="module")
def alone() -> SimulatedForce:
    return small(None)


def test_looking_without_helping_leaves_the_simulated_force_as_it_is(alone: SimulatedForce) -> None:
    looks: list[Recorded] = []

    def only_look(as_of: int, look: Callable[[], Recorded]) -> Help | None:
        looks.append(look())
        return None

    watched = small(only_look)
    for name in ("roster", "events", "truth", "effects"):
        pd.testing.assert_frame_equal(getattr(alone, name), getattr(watched, name))
    assert len(looks) == 13
    assert all(each.events["recorded_on"].max() < pd.Timestamp("2025-01-01") for each in looks)
    assert [len(each.events) for each in looks] == sorted(len(each.events) for each in looks)


def test_help_from_outside_is_recorded_works_and_reaches_only_the_chosen(alone: SimulatedForce) -> None:
    chosen = [f"P{number:06d}" for number in range(1, 61)]
    helped = small(lambda as_of, _: Help(chosen, mentoring=True))
    given = helped.events[helped.events["measure"] == "counselling"].groupby("officer_id").size()
    assert given.reindex(chosen).median() >= 11
    assert given.drop(chosen, errors="ignore").median() < 3
    assert (helped.events["measure"] == "mentoring_received").sum() > (
        alone.events["measure"] == "mentoring_received"
    ).sum() + 500
    end = helped.truth["as_of"].max()

    def risk(force: SimulatedForce, inside: bool) -> float:
        table = force.truth[(force.truth["risk"] == "burnout") & (force.truth["as_of"] == end)]
        return float(table.loc[table["officer_id"].isin(chosen) == inside, "probability"].mean())

    assert risk(helped, True) < 0.5 * risk(alone, True)
    assert risk(helped, False) == pytest.approx(risk(alone, False), rel=0.35)

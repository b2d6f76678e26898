"""The points ledger: balances equal a plain recount, entries are never changed, each is traced to event and rule."""

import datetime as dt
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from features.assessment.ground.assessable import assessable
from features.assessment.points import Ledger, entry_table, in_cents, ledger
from features.histories.tables import Histories
from features.months import parse_month
from features.profile import Profile
from tests.assessment_force import NOW, Row, force, roster, rules, table

START, END = dt.date(2021, 1, 1), dt.date(2021, 12, 31)
VERSIONED = {
    "measures": {"solved": {"versions": [{"valid_from": "2021-05", "points": 6.5, "difficulty": 1.1}]}},
    "posts": {"detective": {"versions": [{"valid_from": "2021-08", "risk_coefficient": 1.7}]}},
}
CENT = Decimal("0.01")


@st.composite
def chains(draw: st.DrawFn) -> list[Row]:
    """Events with corrections (also of the measure, the day and the officer) and retractions, in random order."""
    rows: list[Row] = []
    day = st.dates(START, END - dt.timedelta(60))
    for number in range(draw(st.integers(1, 8))):
        recorded = draw(day)
        for step in range(draw(st.integers(1, 4))):
            occurred = recorded - dt.timedelta(draw(st.integers(0, 90)) if step == 0 else 100)
            value = draw(st.none() | st.integers(-400, 4000).map(lambda cents: cents / 100))
            who, measure = (
                draw(st.sampled_from(["D00", "P00"])),
                draw(st.sampled_from(["solved", "hard", "complaint", "call"])),
            )
            rows.append((who, measure, str(occurred), value, str(recorded), None, f"E{number}"))
            recorded = recorded + dt.timedelta(draw(st.integers(1, 40)))
    plain = draw(st.lists(st.tuples(st.sampled_from(["D00", "P00"]), st.just("hazard"), day.map(str)), max_size=4))
    return draw(st.permutations(rows + plain))


def recount(profile: Profile, rows: list[Row], day: dt.date) -> dict[str, Decimal]:
    """The balance by hand: of each event what counts on the day, times its points by the rules of its month."""
    latest: dict[object, tuple[str, bool, Row]] = {}
    for number, row in enumerate(rows):
        padded = (*row, None, None, None, None)[:7] if len(row) < 7 else row
        recorded = str(padded[4] or padded[2])
        key = padded[6] or number
        if recorded <= str(day) and (key not in latest or recorded > latest[key][0]):
            latest[key] = (recorded, key in latest or any(_earlier(other, padded) for other in rows), padded)
    found: dict[str, Decimal] = defaultdict(Decimal)
    for _, again, row in latest.values():
        if row[3] is None and again:
            continue
        value = Decimal(str(1.0 if row[3] is None else row[3]))
        month = parse_month(str(row[2])[:7])
        measure = profile.measures[str(row[1])].at(month)
        post = profile.posts["detective" if row[0] == "D00" else "patrol"].at(month)
        factors = (measure.points, measure.difficulty, post.risk_coefficient, post.load_coefficient)
        points = value
        for factor in factors:
            points *= Decimal(str(factor))
        found[str(row[0])] += points.quantize(CENT, ROUND_HALF_UP)
    return found


def _earlier(other: Row, row: Row) -> bool:
    return len(other) == 7 and other[6] is not None and other[6] == row[6] and str(other[4]) < str(row[4])


def entries_of(given: Histories, as_of: int = NOW) -> Ledger:
    return ledger(assessable(given, as_of))


@settings(max_examples=60, deadline=None)
@examples(rows=chains(), ahead=st.integers(0, 364))
def test_the_balance_at_any_date_equals_a_plain_recount_from_the_events(rows: list[Row], ahead: int) -> None:
    profile, day = rules(**VERSIONED), START + dt.timedelta(ahead)
    given = force(rows, profile, roster(each=1))
    balance = entries_of(given).balances(2, (day - dt.date(1970, 1, 1)).days)
    expected = recount(profile, rows, day)
    assert [Decimal(int(cents)) / 100 for cents in balance] == [expected["D00"], expected["P00"]]


@settings(max_examples=25, deadline=None)
@examples(rows=chains(), month=st.integers(0, 10))
def test_entries_are_only_ever_added(rows: list[Row], month: int) -> None:
    given = force(rows, people=roster(each=1))
    early, late = entries_of(given, NOW - 11 + month), entries_of(given)
    kept = [tuple(getattr(early, name)[row] for name in vars(early)) for row in range(len(early))]
    after = [tuple(getattr(late, name)[row] for name in vars(late)) for row in range(len(late))]
    assert kept == after[: len(kept)]


def test_a_correction_is_booked_as_a_counter_entry_and_a_new_one_on_the_day_it_was_recorded() -> None:
    rows = [
        ("D00", "solved", "2021-03-01", 2, "2021-03-02", None, "A"),
        ("D00", "solved", "2021-03-01", 1, "2021-06-05", None, "A"),
        ("D00", "solved", "2021-03-01", None, "2021-09-09", None, "A"),
    ]
    view = assessable(force(rows), NOW)
    entries = entry_table(view, ledger(view))
    assert [str(day.date()) for day in entries["booked_on"]] == ["2021-03-02", "2021-06-05", "2021-06-05", "2021-09-09"]
    assert sorted(entries["cents"]) == [-1430, -715, 715, 1430]
    assert entries["cents"].sum() == 0
    assert list(entries["kind"]).count("counter") == 2


def test_each_entry_names_its_event_row_and_the_rule_that_was_valid_when_it_happened() -> None:
    rows = [("D00", "solved", day, 1, "2021-11-01") for day in ("2021-04-30", "2021-05-01", "2021-09-01")]
    given = force(rows, rules(**VERSIONED))
    view = assessable(given, NOW)
    entries = entry_table(view, ledger(view))
    assert list(entries["rule"]) == ["test@base", "test@2021-05", "test@2021-08"]
    assert list(entries["cents"]) == [715, 1022, 1337]  # 5 x 1.43; 6.5 x 1.1 x 1.43; 6.5 x 1.1 x 1.7 x 1.1
    assert [int(given.events.occurred[row]) for row in entries["row"]] == [
        (dt.date.fromisoformat(str(day.date())) - dt.date(1970, 1, 1)).days for day in entries["occurred_on"]
    ]


def test_halves_of_a_cent_round_away_from_zero_and_huge_values_stay_exact() -> None:
    rate = np.array([1_005_000, 1_005_000, 5_000_000])
    assert list(in_cents(np.array([1.0, -1.0, 1e12]), rate)) == [101, -101, 500_000_000_000_000]


def test_work_outside_any_posting_gets_its_points_without_coefficients() -> None:
    people = roster(each=1).assign(valid_to=[dt.datetime(2021, 6, 30), None])
    given = force([("D00", "solved", "2021-06-30", 1), ("D00", "solved", "2021-07-01", 1)], people=people)
    assert list(entries_of(given).cents) == [715, 500]


@pytest.mark.parametrize(("places", "names"), [(10, ["P00"]), (45, ["P00", "P01", "P02"])])
def test_what_points_buy_goes_by_balance_and_a_tie_at_the_last_place_is_left_to_a_person(
    places: float, names: list[str]
) -> None:
    buys = [{"key": "place", "label": "place", "cost": 50, "places_per_1000": places * 2}]
    rows = [
        ("P00", "mentoring", "2021-05-05", 30),
        ("P01", "mentoring", "2021-05-05", 12),
        ("P02", "mentoring", "2021-05-05", 12),
    ]
    rows += [("P03", "mentoring", "2021-05-05", 9), ("P03", "duty", "2021-12-05", 9)]
    offers = table(force(rows, rules(buys=buys)), "offers")
    assert list(offers["officer_id"]) == names
    assert list(offers["tied"]) == [False, *[True] * (len(names) - 1)]

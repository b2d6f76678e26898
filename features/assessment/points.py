"""The points ledger: append-only entries in whole cents, each of one event row and one rule.

An entry is booked on the day its row was recorded. A correction books the old entry back on the day the correction was
recorded, and the corrected row's own entry beside it; a retraction only books back. Nothing is ever changed.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from decimal import ROUND_HALF_UP, Decimal
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.assessment.ground.assessable import BLOCK, Assessable, Mask, Positions, in_threads
from features.assessment.rules import Purchase
from features.efficiency import indicator_posts
from features.errors import Refusal
from features.histories.tables import Histories, Ints
from features.months import NO_DAY, first_day, month_text, timestamps

VALUE_UNITS = 1_000
"""Values count to the thousandth."""
RATE_UNITS = 1_000_000
"""Points of one unit, coefficients included, to the millionth."""
CENT = VALUE_UNITS * RATE_UNITS // 100
LARGEST = np.iinfo(np.int64).max // 4

Cents = npt.NDArray[np.int64]
Told = TypeVar("Told")


@dataclass(frozen=True)
class Rates:
    """Points of one unit in millionths: [rule, post, measure]; the last post stands for no posting on the day.

    ``valid_from`` is the first month of each rule; the first rule has always been valid.
    """

    valid_from: tuple[int | None, ...]
    points: npt.NDArray[np.int64]

    def name(self, rule: int, profile: str) -> str:
        """Return the name of a rule version: the profile and the month from which it holds."""
        month = self.valid_from[rule]
        return f"{profile}@{month_text(month) if month is not None else 'base'}"


@dataclass(frozen=True)
class Ledger:
    """Entries in the order of ``booked`` (days); ``row`` is the event row's position in the given histories.

    ``counter`` marks what was booked back; ``rule`` is a position in Rates.valid_from, ``rate`` in millionths of a
    point; ``cents`` are hundredths of a point.
    """

    officer: Ints
    measure: Ints
    occurred: Ints
    booked: Ints
    row: Positions
    post: Ints
    rule: Ints
    rate: npt.NDArray[np.int64]
    cents: Cents
    counter: Mask

    def __len__(self) -> int:
        return len(self.cents)

    def take(self, rows: npt.NDArray[np.generic]) -> "Ledger":
        """Return the chosen entries."""
        return Ledger(**{part.name: getattr(self, part.name)[rows] for part in fields(self)})

    def balances(self, officers: int, day: int) -> Cents:
        """Return everyone's balance at the end of a day, in cents."""
        found = np.zeros(officers, dtype=np.int64)
        booked = self.booked <= day
        np.add.at(found, self.officer[booked], self.cents[booked])
        return found


def ledger(view: Assessable, officer: int | None = None) -> Ledger:
    """Return every entry booked by the as-of (of one officer where given), corrections as counter-entries."""
    everyone = (0, len(view.given.officers))
    entries = _entries(view, point_rates(view.given), everyone if officer is None else (officer, officer + 1))
    return entries.take(np.argsort(entries.booked, kind="stable"))


def _each_block(view: Assessable, told: Callable[[Ledger], Told]) -> list[Told]:
    """Return what is told of every entry booked by the as-of, some officers at a time; entries are in no order."""
    rates = point_rates(view.given)
    firsts = range(0, len(view.given.officers), BLOCK)
    return in_threads(lambda first: told(_entries(view, rates, (first, first + BLOCK))), firsts)


def _entries(view: Assessable, rates: Rates, officers: tuple[int, int]) -> Ledger:
    events, own = view.given.events, view.rows_between(*officers)
    worth = (rates.points != 0).any(axis=(0, 1))
    rows = own.start + np.flatnonzero(worth[events.measure[own]])
    part = events.take(rows)
    post = posts_on(view.given, part.officer, part.occurred)
    rule = _rules(rates, part.occurred)
    rate = rates.points[rule, post, part.measure]
    retracts, replaced = view.retracts[rows], view.replaced_on[rows]
    undone = np.flatnonzero((replaced != NO_DAY) & ~retracts)
    credit = Ledger(
        officer=part.officer, measure=part.measure, occurred=part.occurred, booked=part.recorded,
        row=view.row[rows], post=post, rule=rule, rate=rate,
        cents=in_cents(view.amounts(rows), rate), counter=np.zeros(len(rows), dtype=bool),
    )  # fmt: skip
    back = credit.take(undone)
    back = Ledger(
        **{**vars(back), "booked": replaced[undone], "cents": -back.cents, "counter": np.ones(len(undone), dtype=bool)}
    )
    return _joined(credit.take(~retracts), back)


def balances(view: Assessable, day: int) -> Cents:
    """Return everyone's balance at the end of a day up to the as-of, in cents."""
    size = len(view.given.officers)
    found: Cents = np.sum(_each_block(view, lambda entries: entries.balances(size, day)), axis=0)
    return found


def point_rates(given: Histories) -> Rates:
    """Return the points of each measure in each post, by the rules of each time."""
    profile, posts = given.profile, indicator_posts(given)
    months = {version.valid_from for post in posts for version in post.versions}
    months |= {version.valid_from for measure in profile.measures.values() for version in measure.versions}
    valid_from = (None, *sorted(months))
    points = np.zeros((len(valid_from), len(posts) + 1, len(profile.measures)), dtype=np.int64)
    for rule, month in enumerate(valid_from):
        then = month if month is not None else 0
        coefficients = [_exact(post.at(then).risk_coefficient, post.at(then).load_coefficient) for post in posts]
        for place, measure in enumerate(profile.measures.values()):
            each = _exact(measure.at(then).points, measure.at(then).difficulty)
            points[rule, :, place] = [_millionths(each * times) for times in (*coefficients, Decimal(1))]
    return Rates(valid_from, points)


def _exact(*factors: float) -> Decimal:
    product = Decimal(1)
    for factor in factors:
        product *= Decimal(str(factor))
    return product


def _millionths(points: Decimal) -> int:
    found = int((points * RATE_UNITS).to_integral_value(ROUND_HALF_UP))
    if abs(found) > LARGEST:
        raise Refusal(f"{points} points for one unit are more than the ledger holds.", hint="Lower the points.")
    return found


def posts_on(given: Histories, officer: Ints, day: Ints) -> Ints:
    """Return each officer's post on a day; of overlapping postings the last begun counts; len(posts) where none."""
    postings = given.postings
    key = (postings.officer.astype(np.int64) << 32) + postings.first
    place = np.searchsorted(key, (officer.astype(np.int64) << 32) + day, side="right") - 1
    found = np.full(len(officer), len(given.posts), dtype=np.int32)
    waiting = np.arange(len(officer))
    while len(waiting):
        own = (place[waiting] >= 0) & (postings.officer[place[waiting]] == officer[waiting])
        waiting = waiting[own]
        last = postings.last[place[waiting]]
        valid = (last == NO_DAY) | (last >= day[waiting])
        found[waiting[valid]] = postings.post[place[waiting[valid]]]
        waiting = waiting[~valid]
        place[waiting] -= 1
    return found


def _rules(rates: Rates, occurred: Ints) -> Ints:
    days = first_day(np.asarray([month for month in rates.valid_from if month is not None], dtype=np.int64))
    return np.searchsorted(days, occurred, side="right").astype(np.int32)


def in_cents(value: npt.NDArray[np.float64], rate: npt.NDArray[np.int64]) -> Cents:
    """Return value x rate in cents, exactly, halves away from zero; values count to the thousandth."""
    units = np.rint(value * VALUE_UNITS)
    wide = np.abs(units) * np.abs(rate.astype(np.float64)) > LARGEST
    product = np.where(wide, 0, units).astype(np.int64) * rate
    cents: Cents = np.sign(product) * ((np.abs(product) + CENT // 2) // CENT)
    for row in np.flatnonzero(wide):  # beyond 64 bits: as whole numbers of any size
        exact = int(units[row]) * int(rate[row])
        size = (abs(exact) + CENT // 2) // CENT
        if size > LARGEST:
            raise Refusal("An event is worth more points than the ledger holds.", hint="Correct its value.")
        cents[row] = size if exact > 0 else -size
    return cents


def _joined(first: Ledger, second: Ledger) -> Ledger:
    pairs = {part.name: (getattr(first, part.name), getattr(second, part.name)) for part in fields(Ledger)}
    return Ledger(**{name: np.concatenate(pair) for name, pair in pairs.items()})


def entry_table(view: Assessable, entries: Ledger) -> pd.DataFrame:
    """Return entries as a table: what was booked when, of which event row, by which rule, in cents."""
    rates = point_rates(view.given)
    rules = np.array([rates.name(rule, view.profile.settings.name) for rule in range(len(rates.valid_from))])
    posts = np.array([*view.given.posts, ""])
    return pd.DataFrame(
        {
            "officer_id": view.given.officers[entries.officer],
            "booked_on": timestamps(entries.booked),
            "measure": np.asarray(view.profile.measure_keys)[entries.measure],
            "occurred_on": timestamps(entries.occurred),
            "post": posts[entries.post],
            "rule": rules[entries.rule],
            "points_per_unit": entries.rate / RATE_UNITS,
            "cents": entries.cents,
            "kind": np.where(entries.counter, "counter", "credit"),
            "row": entries.row,
        }
    )


def balance_table(view: Assessable) -> pd.DataFrame:
    """Return everyone's balance at the as-of and what the month booked, in cents, for those with a posting."""
    size, first = len(view.given.officers), first_day(view.as_of)

    def told(entries: Ledger) -> npt.NDArray[np.int64]:
        booked = entries.take(entries.booked >= first)
        parts = np.zeros((4, size), dtype=np.int64)
        np.add.at(parts[0], entries.officer, entries.cents)
        np.add.at(parts[1], booked.officer, booked.cents)
        np.add.at(parts[2], booked.officer, 1)
        np.add.at(parts[3], booked.officer[booked.counter], booked.cents[booked.counter])
        return parts

    now, month, number, returned = np.sum(_each_block(view, told), axis=0)
    here = np.flatnonzero(view.now.post >= 0)
    return pd.DataFrame(
        {
            "officer_id": view.given.officers[here],
            "balance_cents": now[here],
            "month_cents": month[here],
            "month_entries": number[here],
            "month_counter_cents": returned[here],
        }
    )


def offer_table(view: Assessable, balance: pd.DataFrame) -> pd.DataFrame:
    """Return to whom what points buy would go this month: by balance, within the places; ties stay for a person.

    ``balance`` is the balance table. Columns: purchase, officer_id, balance_cents, cost_cents, rank, places, tied (the
    last place is shared).
    """
    cents, names = balance["balance_cents"].to_numpy(), balance["officer_id"].to_numpy(dtype=str)
    tables = [_offers(names, cents, purchase) for purchase in view.rules.buys]
    columns = ["purchase", "officer_id", "balance_cents", "cost_cents", "rank", "places", "tied"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def _offers(officer_id: npt.NDArray[np.str_], balance: Cents, purchase: Purchase) -> pd.DataFrame:
    cost = int((Decimal(str(purchase.cost)) * 100).to_integral_value(ROUND_HALF_UP))
    places = max(1, int(len(balance) * purchase.places_per_1000 // 1000))
    able = np.flatnonzero(balance >= cost)
    ranked = able[np.argsort(-balance[able], kind="stable")]
    last = balance[ranked[places - 1]] if len(ranked) >= places else cost
    chosen = ranked[balance[ranked] >= last]
    tied = (balance[chosen] == last) & (len(chosen) > places)
    rank = np.searchsorted(-balance[ranked], -balance[chosen], side="left") + 1
    return pd.DataFrame(
        {
            "purchase": purchase.key,
            "officer_id": officer_id[chosen],
            "balance_cents": balance[chosen],
            "cost_cents": cost,
            "rank": rank,
            "places": places,
            "tied": tied,
        }
    )

"""Part "assessment" of the acceptance: 30,000 officers and 48 months assessed, and their balances counted again."""

import time
from collections.abc import Iterator
from dataclasses import fields, replace
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pandas as pd

from features.assessment.assess import assess
from features.histories.tables import Events, Histories, Postings, event_table, histories
from features.months import last_day, timestamps
from features.profile import load_profile
from features.simulation import simulate
from features.simulation.force import LAST_MONTH

OFFICERS, MONTHS, COPIES = 2000, 48, 15
SECONDS = 20.0


def assessed() -> Iterator[tuple[str, str, str, bool]]:
    """Seconds of one as-of in one process, and the officers whose balance differs from a recount in pandas."""
    force = simulate(officers=OFFICERS, months=MONTHS, seed=5, with_truth=False)
    one = histories(profile=load_profile("gongan"), roster=force.roster, events=force.events)
    whole = tiled(one, COPIES)
    start, work = time.perf_counter(), time.process_time()
    found = assess(whole, LAST_MONTH)
    wall, cpu = time.perf_counter() - start, time.process_time() - work
    size = f"{len(whole.officers):,} officers, {len(whole.events):,} events"
    yield (
        f"assessment of one as-of: {size}",
        f"{wall:.1f} s ({cpu:.1f} s of CPU)",
        f"under {SECONDS:g} s",
        wall < SECONDS,
    )
    points = found.tables["points"].set_index("officer_id")["balance_cents"]
    expected = recount(one, LAST_MONTH)
    wrong = sum(int(points[f"{name}-0"]) != cents for name, cents in expected.items() if f"{name}-0" in points.index)
    yield "points balances against a plain recount", f"{wrong} of {len(expected):,} differ", "none", wrong == 0


def tiled(one: Histories, copies: int) -> Histories:
    """Return a force that is so many copies of one, each with its own officers and units."""
    size, units, ids = len(one.officers), len(one.units), int(one.events.event.max()) + 1

    def repeated(table: Events | Postings) -> dict[str, np.ndarray]:
        parts = {part.name: np.tile(getattr(table, part.name), copies) for part in fields(table)}
        copy = np.repeat(np.arange(copies), len(table.officer))
        parts["officer"] = (parts["officer"] + copy * size).astype(np.int32)
        if "unit" in parts:
            parts["unit"] = (parts["unit"] + copy * units).astype(np.int32)
        if "event" in parts:
            parts["event"] = np.where(parts["event"] < 0, -1, parts["event"] + copy * ids)
        return parts

    names = np.array([f"{name}-{copy}" for copy in range(copies) for name in one.officers])
    postings = Postings(**repeated(one.postings))
    people = pd.concat([one.people] * copies, ignore_index=True)
    return replace(
        one,
        officers=names,
        units=tuple(f"{unit}-{copy}" for copy in range(copies) for unit in one.units),
        postings=postings,
        events=Events(**repeated(one.events)),
        people=people.assign(officer_id=names[postings.officer]),
    )


def recount(given: Histories, as_of: int) -> dict[str, int]:
    """Return everyone's balance in cents by pandas: the last known row of each event, by its day's post."""
    table = event_table(given)
    table = table[table["recorded_on"] <= timestamps([last_day(as_of)])[0]]
    table["key"] = table["event_id"].fillna(pd.Series(table.index.astype(str), index=table.index))
    table = table.sort_values(["key", "recorded_on"], kind="stable")
    again = table.duplicated("key", keep="first")
    last = table[~table.duplicated("key", keep="last") & ~(again & table["value"].isna())]
    postings = pd.DataFrame(
        {
            "officer_id": given.officers[given.postings.officer],
            "first": timestamps(given.postings.first),
            "until": pd.Series(timestamps(given.postings.last)).fillna(pd.Timestamp("2200-01-01")),
            "post": np.asarray(given.posts)[given.postings.post],
        }
    )
    worth = {key: measure.points for key, measure in given.profile.measures.items() if measure.points}
    last = last[last["measure"].isin([key for key in worth if not given.profile.measures[key].sensitive])]
    joined = last.reset_index().merge(postings, on="officer_id")
    joined = joined[(joined["first"] <= joined["occurred_on"]) & (joined["occurred_on"] <= joined["until"])]
    joined = joined.sort_values("first").drop_duplicates("index", keep="last")
    found: dict[str, int] = {}
    for officer, measure, post, value in joined[["officer_id", "measure", "post", "value"]].itertuples(index=False):
        factor = Decimal(str(worth[measure])) * Decimal(str(given.profile.posts[post].risk_coefficient))
        points = (Decimal(str(1.0 if value != value else value)) * factor * 100).to_integral_value(ROUND_HALF_UP)
        found[officer] = found.get(officer, 0) + int(points)
    return found

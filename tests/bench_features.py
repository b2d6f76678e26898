"""The feature engine beside pandas and Polars: the same outputs from the same rows, cube building included.

The rivals are written as their documentation has it: groupby with rolling, and expressions over windows. Both get
tables of numbers that are sorted already, and on-time rows only, since they could do no others.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from features.engine import feature_names, feature_rows
from features.histories.tables import Events, Histories, Postings
from features.months import NO_DAY, first_day, last_day, parse_month
from features.profile import Profile

OFFICERS, MONTHS, MEASURES = 10_000, 48, 12
FIRST = parse_month("2020-01")
POSTS, UNIT_SIZE = 7, 30
WINDOWS, HALF_LIVES = (1, 3, 6, 12, 36), (3, 6, 12, 24, 48)
HUNGRIEST = 6e9
"""Bytes: more than any of the ways takes."""
KEYS = ("officer", "month")
Table = npt.NDArray[np.float32]


def bench_profile(measures: int = MEASURES) -> Profile:
    """Return a profile of summed measures only, so that the rivals can make the same outputs."""
    told = {f"m{number}": {"dimension": "workload"} for number in range(measures)}
    settings = {"name": "bench", "min_tenure_months": 0}
    parts = {"settings": settings, "measures": told, "posts": {}, "risks": {}, "actions": {}}
    return Profile.model_validate(parts)


def bench_histories(officers: int = OFFICERS, months: int = MONTHS, measures: int = MEASURES) -> Histories:
    """Return one row an officer, month and measure, on a random day; everyone serves from the first month on."""
    draw = np.random.default_rng(1)
    month = np.tile(np.arange(months), officers * measures)
    occurred = (first_day(FIRST + month) + draw.integers(0, 28, len(month))).astype(np.int32)
    size, who = len(month), np.arange(officers, dtype=np.int32)
    events = Events(
        officer=np.repeat(who, measures * months),
        measure=np.tile(np.repeat(np.arange(measures, dtype=np.int32), months), officers),
        occurred=occurred,
        recorded=occurred.copy(),
        began=np.full(size, NO_DAY, dtype=np.int32),
        value=draw.integers(1, 9, size).astype(np.float64),
        event=np.arange(size),
    )
    nothing = np.full(officers, NO_DAY, dtype=np.int32)
    started = np.full(officers, first_day(FIRST), dtype=np.int32)
    postings = Postings(who, started, nothing, who % POSTS, who // UNIT_SIZE, nothing)
    names = np.array([f"B{number:07d}" for number in who])
    people = pd.DataFrame({"officer_id": names}).assign(name="", rank="", hired_on=pd.NaT, birth_year=None, sex="",
                                                        supervisor_id="")  # fmt: skip
    posts = tuple(f"post {number}" for number in range(POSTS))
    units = tuple(f"unit {number}" for number in range(officers // UNIT_SIZE + 1))
    return Histories(bench_profile(measures), names, posts, units, postings, events, people)


def outputs(profile: Profile) -> list[str]:
    """Return the outputs that all make: every statistic of every measure."""
    return [name for name in feature_names(profile) if name.split("__")[0] in profile.measures]


def ours(given: Histories, *, months: int = MONTHS) -> Table:
    """Return the outputs by the engine, sorted by officer and month."""
    return feature_rows(given, range(FIRST, FIRST + months), names=outputs(given.profile)).values


def columns_of(given: Histories) -> dict[str, npt.NDArray[np.generic]]:
    """Return the rows as the rivals get them."""
    events = given.events
    month = np.searchsorted(first_day(np.arange(FIRST, FIRST + 600)), events.occurred, side="right") - 1
    return {"officer": events.officer, "month": month.astype(np.int32), "measure": events.measure,
            "day": events.occurred, "value": events.value}  # fmt: skip


def pandas_way(rows: pd.DataFrame, measures: int) -> Table:
    """Return the same by pandas: a pivot, then groupby with rolling and ewm, and transform by post and unit."""
    grid = rows.pivot_table(index=list(KEYS), columns="measure", values="value", aggfunc="sum", fill_value=0.0)
    last = rows.pivot_table(index=list(KEYS), columns="measure", values="day", aggfunc="max")
    last = last.groupby(level="officer", sort=False).ffill()
    officer, month = (grid.index.get_level_values(key).to_numpy() for key in KEYS)
    places = [month, officer % POSTS], [month, officer // UNIT_SIZE]
    found = {}
    for measure in range(measures):
        found[measure] = _pandas_measure(grid[measure], last[measure], month, places)
    return pd.concat([found[measure] for measure in range(measures)], axis=1).to_numpy(dtype=np.float32)


def _pandas_measure(
    value: pd.Series, last: pd.Series, month: npt.NDArray[np.int32], places: Sequence[list[npt.NDArray[np.int32]]]
) -> pd.DataFrame:
    people = value.groupby(level="officer", sort=False)

    def rolled(of: pd.Series, window: int, how: str, least: int = 1) -> npt.NDArray[np.float64]:
        roll = of.groupby(level="officer", sort=False).rolling(window, min_periods=least)
        return (roll.std(ddof=0) if how == "std" else getattr(roll, how)()).to_numpy()

    found = {f"sum {window}": rolled(value, window, "sum") for window in WINDOWS}
    found |= {f"mean {window}": rolled(value, window, "mean") for window in WINDOWS[1:]}
    when = pd.Series(month.astype(float), index=value.index)
    for window in (6, 12):
        there = rolled(when, window, "mean")
        along = rolled(when * when, window, "mean") - there**2
        across = rolled(when * value, window, "mean") - there * rolled(value, window, "mean")
        found[f"slope {window}"] = np.where(month >= 2, across / np.where(along > 0, along, np.nan), np.nan)
    found["spread"] = rolled(value, 12, "std", 2)
    found["vs_self"] = found["mean 3"] - found["mean 12"]
    for half_life in HALF_LIVES:
        keep = 0.5 ** (1 / half_life)
        weight = (1 - keep ** (month + 1)) / (1 - keep)
        found[f"decay {half_life}"] = people.ewm(halflife=half_life).mean().to_numpy() * weight
    days = last.to_numpy()
    found["months_since"] = month - (np.searchsorted(first_day(np.arange(FIRST, FIRST + 600)), days, "right") - 1)
    found["days_since"] = last_day(FIRST + month) - days
    found["ever"] = (~np.isnan(days)).astype(float)
    for kind, place in zip(("peers", "unit"), places, strict=True):
        for window in (3, 12):
            level = pd.Series(found[f"sum {window}"], index=value.index)
            group = level.groupby(place)
            if kind == "peers":
                found[f"{kind} {window}"] = (
                    (level - group.transform("mean")) / group.transform("std", ddof=0)
                ).to_numpy()
            else:
                size = group.transform("size")
                found[f"{kind} {window}"] = ((group.transform("sum") - level) / (size - 1)).to_numpy()
    return pd.DataFrame(found)


def polars_way(rows: pl.DataFrame, measures: int) -> Table:
    """Return the same by Polars: a pivot, then rolling and ewm expressions over officers, posts and units."""
    names = [str(measure) for measure in range(measures)]
    total = rows.pivot(on="measure", index=list(KEYS), values="value", aggregate_function="sum")
    last = rows.pivot(on="measure", index=list(KEYS), values="day", aggregate_function="max")
    calendar = pl.DataFrame({"month": np.arange(600, dtype=np.int32), "ends": last_day(FIRST + np.arange(600))})
    grid = (
        total.lazy()
        .with_columns(pl.col(names).fill_null(0.0))
        .join(calendar.lazy(), on="month")
        .join(last.lazy().select(*KEYS, pl.col(names).name.prefix("day ")), on=list(KEYS), how="left")
        .sort(*KEYS)
        .with_columns(
            pl.col("^day .*$").forward_fill().over("officer"),
            post=pl.col("officer") % POSTS,
            unit=pl.col("officer") // UNIT_SIZE,
            when=pl.col("month").cast(pl.Float64),
        )
    )
    levels, rest = [], []
    for name in names:
        first, then = _polars_measure(name)
        levels += first
        rest += then
    order = [f"{name} {output}" for name in names for output in POLARS_OUTPUTS]
    done = grid.with_columns(levels).with_columns(rest)
    return done.select(pl.col(order).cast(pl.Float32)).collect().to_numpy()


POLARS_OUTPUTS = (
    *(f"sum {window}" for window in WINDOWS), *(f"mean {window}" for window in WINDOWS[1:]), "slope 6", "slope 12",
    "spread", "vs_self", *(f"decay {half_life}" for half_life in HALF_LIVES), "months_since", "days_since", "ever",
    "peers 3", "peers 12", "unit 3", "unit 12",
)  # fmt: skip


def _polars_measure(name: str) -> tuple[list[pl.Expr], list[pl.Expr]]:
    value, when, month = pl.col(name), pl.col("when"), pl.col("month")
    levels = [
        value.rolling_sum(window, min_samples=1).over("officer").alias(f"{name} sum {window}") for window in WINDOWS
    ]
    levels += [
        value.rolling_mean(window, min_samples=1).over("officer").alias(f"{name} mean {window}")
        for window in WINDOWS[1:]
    ]
    levels.append(value.rolling_std(12, min_samples=2, ddof=0).over("officer").alias(f"{name} spread"))
    rest = []
    for window in (6, 12):
        there = when.rolling_mean(window, min_samples=1)
        along = (when * when).rolling_mean(window, min_samples=1) - there**2
        across = (when * value).rolling_mean(window, min_samples=1) - there * value.rolling_mean(window, min_samples=1)
        slope = pl.when(month >= 2).then((across / along).over("officer"))
        rest.append(slope.alias(f"{name} slope {window}"))
    rest.append((pl.col(f"{name} mean 3") - pl.col(f"{name} mean 12")).alias(f"{name} vs_self"))
    for half_life in HALF_LIVES:
        keep = 0.5 ** (1 / half_life)
        mean = value.ewm_mean(half_life=half_life).over("officer")
        rest.append((mean * (1 - pl.lit(keep).pow(month + 1)) / (1 - keep)).alias(f"{name} decay {half_life}"))
    day = pl.col(f"day {name}")
    happened = pl.from_epoch(day, time_unit="d")
    since = FIRST + month - (happened.dt.year() * 12 + happened.dt.month().cast(pl.Int32) - 1)
    rest.append(since.alias(f"{name} months_since"))
    rest.append((pl.col("ends") - day).alias(f"{name} days_since"))
    rest.append(day.is_not_null().cast(pl.Float64).alias(f"{name} ever"))
    for window in (3, 12):
        level = pl.col(f"{name} sum {window}")
        peers = (level - level.mean().over("month", "post")) / level.std(ddof=0).over("month", "post")
        others = (level.sum().over("month", "unit") - level) / (pl.len().over("month", "unit") - 1)
        rest += [peers.alias(f"{name} peers {window}"), others.alias(f"{name} unit {window}")]
    return levels, rest


def memory_at_hand() -> None:
    """Touch as much memory as the hungriest way takes, and free it: every way starts with pages that are there.

    A virtual machine hands free pages back to its host within seconds. The next to want them, whichever way it is,
    would wait for the host twenty times as long as for the machine itself.
    """
    np.empty(int(min(HUNGRIEST, _available() / 2)), dtype=np.uint8).fill(1)


def _available() -> int:
    """The bytes that the machine has for new work."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


def the_same(mine: Table, theirs: Table, *, name: str) -> None:
    """Raise where the outputs differ."""
    assert mine.shape == theirs.shape, f"{name}: {mine.shape} and {theirs.shape}"
    np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=2e-3, err_msg=name)


def ways(given: Histories, *, months: int = MONTHS) -> dict[str, Callable[[], Table]]:
    """Return what is timed, by name; each is called without arguments and gives the same table."""
    columns, measures = columns_of(given), len(given.profile.measures)
    frame, table = pd.DataFrame(columns), pl.DataFrame(columns)
    return {
        "feature engine": lambda: ours(given, months=months),
        "Polars": lambda: polars_way(table, measures),
        "pandas": lambda: pandas_way(frame, measures),
    }

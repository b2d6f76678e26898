"""A slow, obviously right feature engine, from the contract's text: one person, measure and statistic at a time."""

import calendar
import datetime as dt
import math
from collections import defaultdict
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from features.profile import Profile


def month_of(day: dt.date) -> int:
    return day.year * 12 + day.month - 1


def end_of(month: int) -> dt.date:
    return dt.date(month // 12, month % 12 + 1, calendar.monthrange(month // 12, month % 12 + 1)[1])


def reference_rows(
    profile: Profile, roster: pd.DataFrame, events: pd.DataFrame, as_of: int, *, barred: Collection[str] = ()
) -> dict[str, dict[str, float]]:
    """Features of every cohort member at one as-of; only rows recorded by its last day are looked at.

    Of the ``barred`` no sensitive measure may be used, neither for themselves nor for others.
    """
    postings = _postings(roster)
    members = _cohort(profile, postings, as_of)
    live = _live_rows(events, end_of(as_of))
    people = {
        name: _Person(profile, live.get(name, []), postings[name], as_of, barred=name in barred) for name in postings
    }
    out: dict[str, dict[str, float]] = {}
    for name, (post, unit) in members.items():
        row = people[name].features()
        peers = [people[other] for other, place in members.items() if place[0] == post]
        others = [people[other] for other, place in members.items() if place[1] == unit and other != name]
        for key in profile.measures:
            for window in (3, 12):
                row[f"{key}__vs_peers__{window}m"] = _vs_peers(
                    people[name].level(key, window), [p.level(key, window) for p in peers]
                )
                row[f"{key}__unit__{window}m"] = _unit([p.level(key, window) for p in others])
        out[name] = {key: math.nan if people[name].hides(key) else value for key, value in row.items()}
    return out


def _postings(roster: pd.DataFrame) -> dict[str, list[tuple[dt.date, dt.date | None, str, str]]]:
    found: dict[str, list[tuple[dt.date, dt.date | None, str, str]]] = defaultdict(list)
    for row in roster.itertuples():
        last = None if pd.isna(row.valid_to) else row.valid_to.date()
        found[row.officer_id].append((row.valid_from.date(), last, row.post, row.unit))
    return {name: sorted(rows, key=lambda row: row[0]) for name, rows in found.items()}


def _cohort(profile: Profile, postings: dict[str, Any], as_of: int) -> dict[str, tuple[str, str]]:
    members, day = {}, end_of(as_of)
    for name, rows in postings.items():
        valid = [row for row in rows if row[0] <= day and (row[1] is None or row[1] >= day)]
        long_enough = as_of - month_of(min(row[0] for row in rows)) >= profile.settings.min_tenure_months
        if valid and long_enough:
            members[name] = max(valid, key=lambda row: row[0])[2:4]
    return members


def _live_rows(events: pd.DataFrame, day: dt.date) -> dict[str, list[dict[str, Any]]]:
    chains: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for number, row in enumerate(events.itertuples()):
        recorded = row.occurred_on.date() if pd.isna(row.recorded_on) else row.recorded_on.date()
        if recorded > day:
            continue
        key = number if pd.isna(row.event_id) else row.event_id
        began = None if pd.isna(row.began_on) else row.began_on.date()
        chains[key].append({"officer": row.officer_id, "measure": row.measure, "day": row.occurred_on.date(),
                            "value": row.value, "recorded": recorded, "began": began, "empty": False})  # fmt: skip
    live: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for rows in chains.values():
        rows.sort(key=lambda row: row["recorded"])
        last = rows[-1]
        if math.isnan(last["value"]):
            if len(rows) > 1:
                continue  # retracted
            last = {**last, "value": 1.0, "empty": True}
        live[last["officer"]].append(last)
    return live


class _Person:
    def __init__(
        self, profile: Profile, rows: list[dict[str, Any]], postings: list[Any], as_of: int, *, barred: bool
    ) -> None:
        self.profile, self.rows, self.as_of, self.barred = profile, rows, as_of, barred
        self.start = month_of(postings[0][0])

    def hides(self, feature: str) -> bool:
        """Whether a feature draws on health data that may not be used."""
        group, settings = feature.split("__")[0], self.profile.settings
        of = {group}
        if group in settings.rates:
            of = {settings.rates[group].of, settings.rates[group].per}
        if group in settings.sequences:
            of = {settings.sequences[group].first, settings.sequences[group].then}
        return self.barred and any(key in self.profile.measures and self.profile.measures[key].sensitive for key in of)

    def of(self, key: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["measure"] == key]

    def months(self, key: str) -> dict[int, float]:
        """The measure's number of each month that has one."""
        kind, cells = self.profile.measures[key].aggregate, defaultdict(list)
        for row in self.of(key):
            end = month_of(row["day"])
            start = month_of(row["began"]) if row["began"] and kind == "sum" else end
            for month in range(start, end + 1):
                # of two rows of one day an empty one is the last
                cells[month].append((row["day"], row["recorded"], row["empty"], row["value"] / (end - start + 1)))
        fold = {
            "sum": lambda rows: sum(row[3] for row in rows),
            "mean": lambda rows: sum(row[3] for row in rows) / len(rows),
            "max": lambda rows: max(row[3] for row in rows),
            "last": lambda rows: max(rows)[3],
        }
        return {month: fold[kind](rows) for month, rows in cells.items()}

    def window(self, key: str, window: int) -> list[tuple[int, float]]:
        """(age, value) of the observed months: for sums every month since joining, else months with a number."""
        cells = self.months(key)
        months = range(self.as_of - window + 1, self.as_of + 1)
        if self.profile.measures[key].aggregate == "sum":
            return [(self.as_of - m, cells.get(m, 0.0)) for m in months if m >= self.start]
        return [(self.as_of - m, cells[m]) for m in months if m in cells]

    def total(self, key: str, window: int) -> float:
        return sum(value for month, value in self.months(key).items() if self.as_of - window < month <= self.as_of)

    def mean(self, key: str, window: int) -> float:
        observed = self.window(key, window)
        if self.profile.measures[key].aggregate == "sum":
            return self.total(key, window) / len(observed) if observed else math.nan
        return sum(value for _, value in observed) / len(observed) if observed else math.nan

    def level(self, key: str, window: int) -> float:
        if self.hides(key):
            return math.nan
        return self.total(key, window) if self.profile.measures[key].aggregate == "sum" else self.mean(key, window)

    def features(self) -> dict[str, float]:
        row: dict[str, float] = {}
        for key, measure in self.profile.measures.items():
            summed = measure.aggregate == "sum"
            for window in self.profile.settings.windows_months:
                if summed:
                    row[f"{key}__sum__{window}m"] = self.total(key, window)
                if window > 1 or not summed:
                    row[f"{key}__mean__{window}m"] = self.mean(key, window)
            for window in (3, 12):
                if not summed:
                    row[f"{key}__count__{window}m"] = sum(
                        0 <= self.as_of - month_of(r["day"]) < window for r in self.of(key)
                    )
            for window in (6, 12):
                row[f"{key}__slope__{window}m"] = _slope(self.window(key, window))
            values = [value for _, value in self.window(key, 12)]
            row[f"{key}__spread__12m"] = float(np.std(values)) if len(values) > 1 else math.nan
            row[f"{key}__vs_self__3m"] = self.mean(key, 3) - self.mean(key, 12)
            for half_life in self.profile.settings.half_lives_months if summed else ():
                row[f"{key}__decay__{half_life}m"] = sum(
                    v * 0.5 ** ((self.as_of - m) / half_life) for m, v in self.months(key).items() if m <= self.as_of
                )
            days = [r["day"] for r in self.of(key)]
            row[f"{key}__ever"] = float(bool(days))
            row[f"{key}__days_since"] = (end_of(self.as_of) - max(days)).days if days else math.nan
            row[f"{key}__months_since"] = self.as_of - month_of(max(days)) if days else math.nan
            if measure.daily:
                row[f"{key}__in_a_row__3m"] = _longest_run(self.days(key))
                row[f"{key}__back_to_back__3m"] = sum(d + dt.timedelta(1) in self.days(key) for d in self.days(key))
        for key, sequence in self.profile.settings.sequences.items():
            gap = dt.timedelta(sequence.days_apart)
            row[f"{key}__count__3m"] = sum(day + gap in self.days(sequence.then) for day in self.days(sequence.first))
        for key, rate in self.profile.settings.rates.items():
            for window in (3, 12):
                per = self.total(rate.per, window)
                row[f"{key}__rate__{window}m"] = rate.times * self.total(rate.of, window) / per if per > 0 else math.nan
        return row

    def days(self, key: str) -> set[dt.date]:
        return {r["day"] for r in self.of(key) if 0 <= self.as_of - month_of(r["day"]) < 3}


def _slope(points: list[tuple[int, float]]) -> float:
    if len(points) < 3:
        return math.nan
    return float(np.polyfit([-age for age, _ in points], [value for _, value in points], 1)[0])


def _longest_run(days: set[dt.date]) -> float:
    best = 0
    for day in days:
        length = 0
        while day + dt.timedelta(length) in days:
            length += 1
        best = max(best, length)
    return best


def _vs_peers(own: float, peers: list[float]) -> float:
    known = [level for level in peers if not math.isnan(level)]
    if math.isnan(own) or len(known) < 5:
        return math.nan
    deviation = float(np.std(known))
    return (own - float(np.mean(known))) / deviation if deviation > 1e-9 * max(map(abs, known)) else 0.0


def _unit(others: list[float]) -> float:
    known = [level for level in others if not math.isnan(level)]
    return float(np.mean(known)) if len(known) >= 4 else math.nan

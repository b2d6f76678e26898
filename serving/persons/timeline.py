"""What happened to one person, event by event, as known at a month: from this person's stored histories alone.

Drawn are rare events: honours, help that was taken, warnings, days in hospital where the caller may know of them.
Daily work is drawn month by month elsewhere.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.asknown import lifetimes
from features.errors import Refusal
from features.histories.bases import load_bases
from features.histories.tables import Events, Histories
from features.months import first_day, last_day
from features.profile import Profile
from features.profile_rows import Measure
from serving.access.roles import Field
from serving.access.sight import Sight
from serving.persons.own_histories import own_histories

MONTHS = 24
RARE = ("wellbeing", "honour", "action")
"""Dimensions whose events are drawn one by one."""
LANES = {"warning": "lane_warning", "wellbeing": "lane_wellbeing", "action": "lane_action", "honour": "lane_honour",
         "posting": "lane_posting"}  # fmt: skip
"""The lanes in their order, and their words."""
EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class Happened:
    """One event; ``value`` is None where the row holds none or it says nothing (a posting)."""

    lane: str
    day: dt.date
    label: dict[str, str]
    value: float | None
    unit: dict[str, str] | None


def timeline(home: Path, number: str, as_of: int, *, sight: Sight) -> list[Happened]:
    """Return the rare events of the 24 months up to the end of ``as_of``, recorded by then, the newest first.

    Health events only for a caller who may see health data of wellness, and only while there is a basis for the
    person's, at that month and today; nothing for one who knows pseudonyms only,
    since days would tell who it is; nothing where no histories are stored.
    """
    if sight.pseudonymous or not any(Field.HISTORY in sight.fields(purpose) for purpose in sight.purposes):
        return []
    try:
        given, _ = own_histories(home, number)
    except Refusal:  # no histories at this home, or not of this person any more
        return []
    health = Field.HEALTH in sight.fields("wellness") and _covered(home, given, number, as_of)
    drawn = {key: lane for key, measure in given.profile.measures.items() if (lane := _lane(measure, health=health))}
    events = _as_known(given, as_of)
    found = [*_events(given.profile, events, drawn), *_postings(given, as_of)]
    return sorted(found, key=lambda each: (each.day, each.lane), reverse=True)


def _covered(home: Path, given: Histories, number: str, as_of: int) -> bool:
    register, bases = given.profile.settings.sensitive_basis == "organisation", load_bases(home)
    officer, today = np.array([number]), (dt.datetime.now(dt.UTC).date() - EPOCH).days
    days = (int(last_day(as_of)), today)
    return all(bool(bases.covering(officer, day, register=register)[0]) for day in days)


def _lane(measure: Measure, *, health: bool) -> str | None:
    if measure.sensitive and not health:
        return None
    if measure.negative_list:
        return "warning"
    if measure.aggregate == "mean":  # surveys and ratings are no events
        return None
    return measure.dimension if measure.dimension in RARE else None


def _as_known(given: Histories, as_of: int) -> Events:
    """The rows that count then (neither corrected nor retracted), of the months that are drawn."""
    events, life = given.events, lifetimes(given.events)
    days = (events.occurred >= first_day(as_of - MONTHS + 1)) & (events.occurred <= last_day(as_of))
    return events.take((life.born <= as_of) & (as_of < life.died) & days)


def _events(profile: Profile, events: Events, drawn: dict[str, str]) -> list[Happened]:
    keys = profile.measure_keys
    found = []
    for number, day, value in zip(events.measure, events.occurred, events.value, strict=True):
        key = keys[number]
        if key in drawn:
            unit = profile.measures[key].unit
            found.append(
                Happened(
                    lane=drawn[key],
                    day=EPOCH + dt.timedelta(days=int(day)),
                    label={language: profile.label(key, language) for language in ("zh", "en")},
                    value=None if np.isnan(value) else float(value),
                    unit={"zh": unit.zh, "en": unit.en} if unit else None,
                )
            )
    return found


def _postings(given: Histories, as_of: int) -> list[Happened]:
    """Where a posting began within the months that are drawn."""
    postings = given.postings
    since, until = first_day(as_of - MONTHS + 1), last_day(as_of)
    rows = np.flatnonzero((postings.first >= since) & (postings.first <= until))
    return [_posting(given, int(row)) for row in rows]


def _posting(given: Histories, row: int) -> Happened:
    post, unit = given.posts[given.postings.post[row]], given.units[given.postings.unit[row]]
    label = {
        language: ("{}（{}）" if language == "zh" else "{} ({})").format(unit, given.profile.label(post, language))
        for language in ("zh", "en")
    }
    return Happened("posting", EPOCH + dt.timedelta(days=int(given.postings.first[row])), label, None, None)


def lanes(happened: Sequence[Happened]) -> list[str]:
    """Return the lanes in which something happened, in their order."""
    there = {each.lane for each in happened}
    return [lane for lane in LANES if lane in there]

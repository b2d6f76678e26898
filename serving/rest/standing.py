"""What the histories say of everyone at an as-of: where posted, until when away, last rests, what is due by right.

Read once from the histories and kept in SQL (table rest_standings) until they change.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from features.asknown import lifetimes
from features.cohort import standing as posted
from features.engine import FeatureRows, feature_rows
from features.histories.store import current_version, load_histories
from features.histories.tables import Floats, Histories, Ints
from features.months import NO_DAY, last_day, month_end, month_of
from features.profile import Profile
from features.profile_rows import Action
from serving.rest.tables import RestStanding

Texts = npt.NDArray[np.str_]
DAYS_A_MONTH = 30.4375
NEVER = 10**6
"""Days since 1970 for what has no end."""


@dataclass(frozen=True)
class Standing:
    """Everyone on the roster on the last day of the as-of, by officer_id.

    ``away_until`` is the last day of an absence already recorded, ``gone_from`` the first day after the posting ends
    (days since 1970); ``since`` months since the last rest of a kind (NaN: none known); ``due`` why a kind is due by
    right: the code of a reason for each officer, "" where it isn't.
    """

    as_of: dt.date
    officer_id: Texts
    unit: Texts
    post: Texts
    away_until: Ints
    gone_from: Ints
    since: dict[str, Floats]
    due: dict[str, Texts]

    def __len__(self) -> int:
        return len(self.officer_id)


def kept_standing(session: Session, home: Path, as_of: dt.date) -> Standing | None:
    """Return the standing kept in SQL; None where there is none, or the histories have changed since."""
    row = session.get(RestStanding, as_of)
    if row is None or row.histories_version != current_version(home).name:
        return None
    people = row.people
    return Standing(
        as_of=as_of,
        officer_id=np.array(people["officer_id"], dtype=str),
        unit=_decoded(people["unit"]),
        post=_decoded(people["post"]),
        away_until=np.array(people["away_until"], dtype=np.int32),
        gone_from=np.array(people["gone_from"], dtype=np.int32),
        since={key: np.array(column, dtype=np.float64) for key, column in people["since"].items()},
        due={key: _decoded(column) for key, column in people["due"].items()},
    )


def keep_standing(session: Session, home: Path, found: Standing) -> None:
    """Keep a standing in SQL, in the place of an earlier one of the same month."""
    people: dict[str, Any] = {
        "officer_id": found.officer_id.tolist(),
        "unit": _coded(found.unit),
        "post": _coded(found.post),
        "away_until": found.away_until.tolist(),
        "gone_from": found.gone_from.tolist(),
        "since": {
            key: [None if np.isnan(x) else round(float(x), 1) for x in column] for key, column in found.since.items()
        },
        "due": {key: _coded(column) for key, column in found.due.items()},
    }
    version = current_version(home).name
    session.merge(RestStanding(as_of=found.as_of, histories_version=version, people=people))


def read_standing(home: Path, as_of: dt.date) -> tuple[Standing, Profile]:
    """Return the standing as the histories tell it, and their profile."""
    given = load_histories(home)
    return standing_of(given, month_of(as_of)), given.profile


def standing_of(given: Histories, month: int) -> Standing:
    """Return the standing at the end of a month from what was recorded by then."""
    now = posted(given, month)
    here = np.flatnonzero(now.post >= 0)
    rests = {key: action for key, action in given.profile.actions.items() if action.kind == "rest"}
    rows = feature_rows(given, [month], names=_names(rests))
    known = _Known(rows, here)
    return Standing(
        as_of=month_end(month),
        officer_id=given.officers[here],
        unit=np.array(given.units, dtype=str)[now.unit[here]],
        post=np.array(given.posts, dtype=str)[now.post[here]],
        away_until=_away_until(given, month)[here],
        gone_from=_gone_from(given, month)[here],
        since={key: known.months(action.recorded_as) for key, action in rests.items()},
        due={key: _due(known, action) for key, action in rests.items()},
    )


def _names(rests: dict[str, Action]) -> list[str]:
    measures = {action.recorded_as for action in rests.values() if action.recorded_as}
    measures |= {measure for action in rests.values() for measure in action.after}
    since = [f"{measure}__{unit}_since" for measure in sorted(measures) for unit in ("months", "days")]
    return [*since, "tenure__months"]


class _Known:
    """Features of the cohort, spread over everyone on the roster (NaN for the newly hired)."""

    def __init__(self, rows: FeatureRows, here: npt.NDArray[np.int64]) -> None:
        self._rows = rows
        self._row = np.full(int(here.max(initial=0)) + 1, -1)
        inside = rows.officer <= here.max(initial=-1)
        self._row[rows.officer[inside]] = np.flatnonzero(inside)
        self._here = here

    def __call__(self, name: str) -> Floats:
        row = self._row[self._here]
        values = self._rows.values[:, self._rows.names.index(name)].astype(np.float64)
        return np.where(row >= 0, values[row] if len(values) else np.nan, np.nan)

    def months(self, measure: str | None) -> Floats:
        return self(f"{measure}__months_since") if measure else np.full(len(self._here), np.nan)


def _due(known: _Known, action: Action) -> Texts:
    """Why a kind is due: "calendar" (so long ago), "never" (never taken), a measure (after such an event), or ""."""
    reason = np.full(len(known.months(None)), "", dtype="<U120")
    if action.recorded_as is None:
        return reason
    since, every = known.months(action.recorded_as), action.due_every_months
    if every and not np.isnan(since).all():  # nobody, where the force keeps no such record
        reason[np.isnan(since) & (known("tenure__months") >= every)] = "never"
        reason[since >= every] = "calendar"
    taken = known(f"{action.recorded_as}__days_since")
    for measure, months in action.after.items():
        event = known(f"{measure}__days_since")
        reason[(event <= months * DAYS_A_MONTH) & ~(taken <= event)] = measure
    return reason


def _away_until(given: Histories, month: int) -> Ints:
    """The last day of each officer's recorded absence that is not over: exempt days, and days of rest off duty."""
    day, events = int(last_day(month)), given.events
    exempt = np.array([given.profile.measures[key].exempt for key in given.profile.measure_keys])
    away = exempt | _off_duty(given.profile)
    lives = lifetimes(events)
    known = (events.recorded <= day) & (events.occurred <= day) & (lives.died > month) & away[events.measure]
    rows = np.flatnonzero(known & (events.began == NO_DAY))  # what has begun_on and is recorded, is over
    until = np.full(len(given.officers), int(NO_DAY), dtype=np.int64)
    last = events.occurred[rows].astype(np.int64) + np.ceil(np.clip(lives.value[rows], 1, 366)).astype(np.int64) - 1
    np.maximum.at(until, events.officer[rows], last)
    return until.astype(np.int32)


def _off_duty(profile: Profile) -> npt.NDArray[np.bool_]:
    """Measures that count days of rest off duty (those of a rest of more than a day)."""
    named = {
        action.recorded_as
        for action in profile.actions.values()
        if action.kind == "rest" and action.rest.takes == "duty" and (action.length_days or 1) > 1
    }
    return np.array([key in named for key in profile.measure_keys])


def _gone_from(given: Histories, month: int) -> Ints:
    """The first day after the posting that counts at the as-of; NEVER where it has no end."""
    postings, day = given.postings, last_day(month)
    valid = np.flatnonzero((postings.first <= day) & ((postings.last == NO_DAY) | (postings.last >= day)))
    gone = np.full(len(given.officers), NEVER, dtype=np.int32)
    last = np.where(postings.last == NO_DAY, NEVER, postings.last + 1)
    gone[postings.officer[valid]] = last[valid]  # sorted by first day: the last begun stays
    return gone


def _coded(column: Texts) -> dict[str, Any]:
    names, codes = np.unique(column, return_inverse=True)
    return {"names": names.tolist(), "codes": codes.tolist()}


def _decoded(column: dict[str, Any]) -> Texts:
    names = np.array(column["names"], dtype=str)
    return names[np.array(column["codes"], dtype=np.int64)] if len(names) else np.zeros(0, dtype=str)

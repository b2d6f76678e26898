"""One person's score computed anew by the one path: without disputed records, or without data that has no basis.

The list's own model, month and profile are used; everybody else stays as they were. Nothing is stored here.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from features.engine import FeatureRows, feature_rows
from features.errors import Refusal
from features.histories.store import load_histories, load_officer
from features.histories.tables import Histories
from features.histories.versions import under
from features.months import month_text
from features.profile import Profile
from serving.months.replay import PastList, histories_of
from serving.scored.scoring import KEPT, Explained, explained, names_needed, reason_of, rows_of
from training.models.risk_model import RiskModel
from training.registry.registry import Registry

AT = "@"
"""A record without an event_id is named by its measure and day: ``night_shift@2024-06-03``."""


@dataclass(frozen=True)
class PersonScore:
    """A person's score as a list holds it; ``rank`` is the place the person would have, None without one.

    ``exact``: computed from what was known when the list was made, and not from the histories as they are now.
    """

    probability: float
    low: float
    high: float
    rank: int | None
    evidence: str
    model_version: str
    base_value: float
    contributions: list[float]
    strongest: list[dict[str, Any]]
    exact: bool = True

    def as_json(self) -> dict[str, Any]:
        """Return the score as plain values."""
        return asdict(self)


def without_records(home: Path, past: PastList, officer_id: str, disputed: Collection[str]) -> PersonScore:
    """Return the person's score of a list without the disputed records; a Refusal where it can't be computed.

    ``disputed`` are names of records (event_id, or measure@day). Peers and unit count with all of their records.
    """
    given, exact = _as_known(home, past)
    return replace(_anew(home, past, given, officer_id, disputed), exact=exact)


def as_of_now(home: Path, past: PastList, officer_id: str, *, disputed: Collection[str] = ()) -> PersonScore:
    """Return the person's score of a list from what may be used now (a basis may have ended since).

    ``disputed`` are names of records that stay left out: those of objections that were upheld.
    """
    return _anew(home, past, under(load_histories(home), _profile(past)), officer_id, disputed)


def histories_without(given: Histories, home: Path, officer_id: str, disputed: frozenset[str]) -> Histories:
    """Return the histories without the named records of one officer, every version of them."""
    gone = _contents(home, officer_id, disputed)
    events, keys = given.events, given.profile.measure_keys
    mine = np.flatnonzero(given.officers[events.officer] == officer_id)
    kept = np.ones(len(events), dtype=bool)
    for row in mine:
        content = (keys[events.measure[row]], int(events.occurred[row]), int(events.recorded[row]))
        kept[row] = content not in gone
    return replace(given, events=events.take(kept))


def record_name(event_id: str | None, measure: str, occurred_on: dt.date) -> str:
    """Return how a record is named in an objection."""
    return event_id or f"{measure}{AT}{occurred_on}"


def _anew(home: Path, past: PastList, given: Histories, officer_id: str, disputed: Collection[str]) -> PersonScore:
    model = Registry(home).version(past.risk, past.model_version)
    names = names_needed(given.profile, [model])
    rows = rows_of(feature_rows(given, [past.as_of], names=names), past.as_of, model)
    if disputed:
        reduced = histories_without(given, home, officer_id, frozenset(disputed))
        alone = rows_of(feature_rows(reduced, [past.as_of], names=names), past.as_of, model)
        rows = _with_row(rows, alone, _place(given, alone, officer_id, past))
    return _score(given, model, rows, _place(given, rows, officer_id, past))


def _as_known(home: Path, past: PastList) -> tuple[Histories, bool]:
    """The histories as they were known for the list; else as they are now."""
    try:
        return histories_of(home, past), True
    except Refusal:
        return under(load_histories(home), _profile(past)), False


def _profile(past: PastList) -> Profile:
    if past.profile is None:
        raise Refusal(f"The list {past.name} was stored before lists kept their profile; score it again.")
    return Profile.model_validate(past.profile)


def _contents(home: Path, officer_id: str, disputed: frozenset[str]) -> set[tuple[str, int, int]]:
    own, ids = load_officer(home, officer_id)
    events, keys = own.events, own.profile.measure_keys
    found = set()
    for row, event_id in enumerate(ids):
        key, occurred = keys[events.measure[row]], int(events.occurred[row])
        if record_name(event_id, key, dt.date(1970, 1, 1) + dt.timedelta(days=occurred)) in disputed:
            found.add((key, occurred, int(events.recorded[row])))
    return found


def _place(given: Histories, rows: FeatureRows, officer_id: str, past: PastList) -> int:
    found = np.flatnonzero(given.officers[rows.officer] == officer_id)
    if not len(found):
        raise Refusal(f"'{officer_id}' is not in the cohort of {month_text(past.as_of)}.")
    return int(found[0])


def _with_row(everyone: FeatureRows, alone: FeatureRows, place: int) -> FeatureRows:
    """Everyone's rows, one of them exchanged: cohorts don't depend on events, so that places are the same."""
    values = everyone.values.copy()
    values[place] = alone.values[place]
    return replace(everyone, values=values)


def _score(given: Histories, model: RiskModel, rows: FeatureRows, row: int) -> PersonScore:
    made: Explained = explained(given, model, rows, told=KEPT)
    each = made.cohort
    return PersonScore(
        probability=float(each.probability[row]),
        low=float(each.low[row]),
        high=float(each.high[row]),
        rank=int(each.rank[row]) or None,
        evidence=str(each.evidence[row]),
        model_version=each.model_version,
        base_value=each.base_value,
        contributions=made.contributions[row].tolist(),
        strongest=[reason_of(reason) for reason in each.reasons[row][:KEPT]],
    )

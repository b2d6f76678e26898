"""Past lists rebuilt from the store, to the bit; and the change between two lists split into data, model and policy."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from features.engine import feature_rows
from features.errors import Refusal
from features.histories.bases import bases_of
from features.histories.tables import Histories
from features.histories.versions import VERSIONS_KEPT, known_digest, stored_versions, under
from features.months import month_end, month_text
from features.profile import Profile
from serving.access.sight import WHOLE
from serving.months.then import AS_NOW, Then, then_of
from serving.scored.lists import KEPT_COLUMNS, RUNS_KEPT, contributions_digest, set_aside_value
from serving.scored.queries import batch_of
from serving.scored.scoring import Explained, explained, names_needed, rows_of
from serving.tables import Batch, ProfileRow, SupersededList
from training.models.risk_model import RiskModel
from training.registry.registry import Registry

EXACT = ("officer_id", "post", "unit", "evidence", "rank")
"""Columns that are equal or not; the others differ by so much."""
DATA, MODEL, POLICY = "data", "model", "policy"
MODEL_AND_POLICY = "model_and_policy"
UNEXPLAINED = "unexplained"
MONTHS_NAMED = 6


@dataclass(frozen=True)
class PastList:
    """A stored list with what it was made of; ``people`` by column, in the order of officer_id."""

    risk: str
    as_of: int
    run: int
    model_version: str
    histories_version: str | None
    known_digest: str | None
    profile_digest: str
    profile: Mapping[str, Any] | None
    capacity: int
    base_value: float
    groups: tuple[str, ...]
    people: Mapping[str, Sequence[Any]]
    contributions_digest: str
    served: Mapping[str, Any] | None = None
    """By whose word the model served, where it was told."""
    then: Then = AS_NOW
    """What of consent and corrections came after the list was made."""

    @property
    def name(self) -> str:
        """How the list is named to people."""
        return f"{self.risk} {month_text(self.as_of)}, run {self.run}"

    @property
    def listed(self) -> frozenset[str]:
        """The persons within the list's capacity."""
        ranked = zip(self.people["officer_id"], self.people["rank"], strict=True)
        return frozenset(name for name, rank in ranked if rank is not None and rank <= self.capacity)


@dataclass(frozen=True)
class Difference:
    """One thing that a rebuilt list has otherwise: in how many persons, and by how much at most (0 for words)."""

    what: str
    persons: int
    largest: float


@dataclass(frozen=True)
class Replayed:
    """A list computed again: nothing in ``differences`` means equal to the bit."""

    past: PastList
    differences: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        """Whether every value is the same, bit for bit."""
        return not self.differences


@dataclass(frozen=True)
class Step:
    """What one cause did to a list: who came on it, who left it."""

    cause: str
    came: frozenset[str]
    left: frozenset[str]


@dataclass(frozen=True)
class Change:
    """The change between two lists, cause after cause: the older list plus all steps is the newer one, exactly.

    A person whom one cause brings and another takes stands in both steps; ``came`` and ``left`` hold the outcome.
    """

    older: PastList
    newer: PastList
    steps: tuple[Step, ...]

    @property
    def came(self) -> frozenset[str]:
        """Who is on the newer list only."""
        return self.newer.listed - self.older.listed

    @property
    def left(self) -> frozenset[str]:
        """Who is on the older list only."""
        return self.older.listed - self.newer.listed


def past_list(session: Session, risk: str, as_of: int, *, run: int | None = None) -> PastList:
    """Return a stored list (the present one, or an earlier run); a Refusal says which there are.

    Of each risk and month the newest RUNS_KEPT superseded runs are kept; a published list is never superseded.
    """
    day = month_end(as_of)
    present = batch_of(session, WHOLE, risk, day)
    older = select(SupersededList).where(SupersededList.risk == risk, SupersededList.as_of == day)
    runs = {row.run: row for row in session.scalars(older)}
    if present is not None and run in (None, present.run):
        return _of_row(session, present, set_aside_value(session, present))
    if run is None or run not in runs:
        raise _no_list(session, risk, as_of, run=run, there={*runs, *([present.run] if present else [])})
    kept = runs[run]
    return _of_row(session, kept, (kept.people, kept.contributions_digest))


def replay(home: Path, past: PastList) -> Replayed:
    """Return the list computed again from the stored histories, the registered model and the profile of its day.

    Compared are the values as they were scored, with the health data of which there was a basis then; who was
    corrected since stands in ``past.then``. Where that put a draft into another order, the order of all others is
    compared. Raises a Refusal where the histories, the model or the profile of that day are no longer there, or where
    somebody took the past months out too.
    """
    given = _histories_then(home, past)
    again = _explained(given, Registry(home).version(past.risk, past.model_version), past.as_of)
    return Replayed(past, tuple(_differences(past, given, again)))


def change_between(home: Path, older: PastList, newer: PastList) -> Change:
    """Return what data, model and policy did between two lists of a risk.

    The older list is computed again with one thing changed at a time: the newer data (its month and all that was known
    by then) under the old model and profile; then the newer model; then the newer profile, which is the newer list.
    Where the newer model needs features of the newer profile, the two are told as one step.
    """
    if older.risk != newer.risk:
        raise Refusal(f"'{older.risk}' and '{newer.risk}' are lists of different risks.")
    steps, before = [], older.listed
    for cause, listed in _one_by_one(home, older, newer):
        steps.append(Step(cause, listed - before, before - listed))
        before = listed
    return Change(older, newer, tuple(steps))


def histories_of(home: Path, past: PastList) -> Histories:
    """Return histories that hold what was known for a list, under its profile and of what may be used now.

    Raises a Refusal where none do.
    """
    profile = _needed(past)
    for found in stored_versions(home, past.histories_version):
        given = under(found, profile)
        if known_digest(given, past.as_of) == past.known_digest:
            return given
    raise _changed_backwards(past)


def _histories_then(home: Path, past: PastList) -> Histories:
    """The same, with the bases for health data as they were when the list was made."""
    profile = _needed(past)
    for found in stored_versions(home, past.histories_version):
        given = under(found, profile)
        for each in (given, replace(given, bases=bases_of(past.then.bases))):
            if known_digest(each, past.as_of) == past.known_digest:
                return each
    if past.then.gone:
        raise Refusal(
            f"The list {past.name} was made with health data of persons who took their past months out since; without "
            "it the list can't be rebuilt:",
            list(past.then.gone),
            hint="That it is unchanged since it was published is told by its digest: jingxing verify",
        )
    raise _changed_backwards(past)


def _needed(past: PastList) -> Profile:
    if past.profile is None or past.known_digest is None:
        raise Refusal(
            f"The list {past.name} was stored before lists kept what replaying needs.",
            hint=f"Score it again: jingxing score --as-of {month_text(past.as_of)} --risk {past.risk}",
        )
    return Profile.model_validate(past.profile)


def _changed_backwards(past: PastList) -> Refusal:
    return Refusal(
        f"The histories that the list {past.name} was made of are no longer there: what the store now holds of "
        f"{month_text(past.as_of)} was changed backwards (rows or postings dated by then were added, or taken out), "
        f"and version {past.histories_version or 'of that day'} is not kept any more.",
        hint=f"The newest {VERSIONS_KEPT} versions are kept, and those of published lists. Restore a backup of that "
        "time into another home, and replay there.",
    )


def _no_list(session: Session, risk: str, as_of: int, *, run: int | None, there: set[int]) -> Refusal:
    """Say what there is: runs of the month, months of the risk, or risks that have lists."""
    if there and run is not None and run < min(there):
        return Refusal(
            f"Run {run} of the list of '{risk}' at {month_text(as_of)} is no longer kept: the newest {RUNS_KEPT} "
            "superseded runs of a month are, and published lists.",
            hint=f"Runs that are there: {_listed_runs(there)}. An older one is in a backup of its time.",
        )
    if there:
        what = f"There is no run {run} of the list of '{risk}' at {month_text(as_of)}."
        return Refusal(what, hint=f"Runs that are there: {_listed_runs(there)}.")
    months = session.scalars(select(Batch.as_of).where(Batch.risk == risk).order_by(Batch.as_of)).all()
    if months:
        newest = ", ".join(f"{month:%Y-%m}" for month in months[-MONTHS_NAMED:])
        return Refusal(
            f"No list of '{risk}' was ever made at {month_text(as_of)}.", hint=f"The newest are of: {newest}."
        )
    risks = ", ".join(session.scalars(select(Batch.risk).distinct().order_by(Batch.risk)))
    return Refusal(
        f"No list of a risk '{risk}' was ever made.",
        hint=f"There are lists of: {risks}." if risks else "No list was made yet: jingxing score --as-of YYYY-MM",
    )


def _listed_runs(there: set[int]) -> str:
    return ", ".join(str(each) for each in sorted(there))


def _of_row(
    session: Session, row: Batch | SupersededList, content: tuple[Mapping[str, Sequence[Any]], str]
) -> PastList:
    kept = session.get(ProfileRow, row.profile_digest)
    return PastList(
        risk=row.risk,
        as_of=row.as_of.year * 12 + row.as_of.month - 1,
        run=row.run,
        model_version=row.model_version,
        histories_version=row.histories_version,
        known_digest=row.known_digest,
        profile_digest=row.profile_digest,
        profile=kept.content if kept else None,
        capacity=row.capacity,
        base_value=row.base_value,
        groups=tuple(row.groups),
        people=content[0],
        contributions_digest=content[1],
        served=row.served,
        then=then_of(session, row),
    )


def _explained(given: Histories, model: RiskModel, as_of: int) -> Explained:
    rows = feature_rows(given, [as_of], names=names_needed(given.profile, [model]))
    return explained(given, model, rows_of(rows, as_of, model), told=1)


def _columns(given: Histories, again: Explained) -> dict[str, list[Any]]:
    """The columns of a list as it would be stored, in the order of officer_id."""
    each, parts = again.cohort, again.parts
    return {
        "officer_id": [str(name) for name in each.officer_id],
        "post": [given.posts[number] for number in each.post],
        "unit": [given.units[number] for number in each.unit],
        "probability": each.probability.tolist(),
        "low": each.low.tolist(),
        "high": each.high.tolist(),
        "rank": [rank or None for rank in each.rank.tolist()],
        "evidence": [str(kind) for kind in each.evidence],
        "part_post": parts.post.tolist(),
        "part_unit": parts.unit.tolist(),
        "part_person": parts.person.tolist(),
    }


def _differences(past: PastList, given: Histories, again: Explained) -> Iterator[Difference]:
    columns = _columns(given, again)
    capacity = given.profile.risks[past.risk].capacity(len(again.cohort))
    for what, then, now in (
        ("cohort", len(past.people["officer_id"]), len(columns["officer_id"])),
        ("capacity", past.capacity, capacity),
        ("base_value", past.base_value, again.cohort.base_value),
    ):
        if then != now:
            yield Difference(what, len(columns["officer_id"]), abs(float(then) - float(now)))
    if len(past.people["officer_id"]) != len(columns["officer_id"]):
        return
    for name in KEPT_COLUMNS:
        listed, rebuilt = past.people[name], columns[name]
        if name == "rank" and past.then.reordered:
            listed, rebuilt = _order(past, listed), _order(past, rebuilt)
        yield from _difference(name, listed, rebuilt)
    contributions = again.contributions
    if past.groups != again.groups or past.contributions_digest != contributions_digest(contributions.tolist()):
        yield Difference("contributions", len(contributions), float("nan"))


def _difference(name: str, then: Sequence[Any], now: Sequence[Any]) -> Iterator[Difference]:
    unlike = [place for place, (old, new) in enumerate(zip(then, now, strict=True)) if old != new]
    if unlike and name in EXACT:
        yield Difference(name, len(unlike), 0.0)
    elif unlike:
        away = [abs(float(then[place]) - float(now[place])) for place in unlike if then[place] is not None]
        yield Difference(name, len(unlike), float(np.max(away)) if away else float("nan"))


def _order(past: PastList, ranks: Sequence[int | None]) -> list[int | None]:
    """The order among those whom no correction moved; None for who was corrected."""
    pairs = zip(past.people["officer_id"], ranks, strict=True)
    kept = [None if officer in past.then.reordered else rank for officer, rank in pairs]
    place = {rank: number for number, rank in enumerate(sorted(rank for rank in kept if rank is not None), 1)}
    return [None if rank is None else place[rank] for rank in kept]


def _one_by_one(home: Path, older: PastList, newer: PastList) -> Iterator[tuple[str, frozenset[str]]]:
    """The list after each cause has changed; the last is the newer list as it was stored."""
    given, registry = _histories_then(home, newer), Registry(home)
    old_policy = under(given, _profile(older))
    old_model, new_model = (registry.version(each.risk, each.model_version) for each in (older, newer))

    data = older.listed if _same_data(older, newer) else _listed(old_policy, old_model, newer.as_of)
    yield DATA, data
    try:
        same = older.model_version == newer.model_version
        between = data if same else _listed(old_policy, new_model, newer.as_of)
    except Refusal:  # the newer model needs features that only the newer profile gives
        yield MODEL_AND_POLICY, newer.listed
        return
    yield MODEL, between
    same = older.profile_digest == newer.profile_digest
    yield POLICY, between if same else newer.listed
    if same and between != newer.listed:
        yield UNEXPLAINED, newer.listed


def _same_data(older: PastList, newer: PastList) -> bool:
    return older.as_of == newer.as_of and older.known_digest == newer.known_digest


def _profile(past: PastList) -> Profile:
    if past.profile is None:
        raise Refusal(f"The profile of the list {past.name} was not kept.", hint="Compare with a later list.")
    return Profile.model_validate(past.profile)


def _listed(given: Histories, model: RiskModel, as_of: int) -> frozenset[str]:
    """The persons within capacity, were the list made of this."""
    again = _explained(given, model, as_of).cohort
    capacity = given.profile.risks[model.risk].capacity(len(again))
    return frozenset(str(name) for name in again.officer_id[(again.rank > 0) & (again.rank <= capacity)])

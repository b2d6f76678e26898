"""What changed between a list and the one before it: who is new, gone or risen, and which reasons did it.

Causes are named only where they pass the reason gate in one of the two lists, and only what the caller may see.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from serving.access.sight import Sight
from serving.decisions.standing import corrected, standing_score, without_basis
from serving.persons.seen import Seen, hidden_groups, seen
from serving.scored.told import gated, points_per_unit
from serving.tables import Batch, Reasons, Score

SHOWN = 10
"""So many of each kind are named; the others are counted."""
ROSE = 1.25
"""A risk has risen where it is so many times that of the list before."""
CAUSES = 2
SLIGHT = 0.03
"""A contribution that moved by less, in log-odds, is no cause."""


@dataclass(frozen=True)
class Cause:
    """A measure whose contribution moved; ``points`` of probability, by the person's own scale."""

    measure: str
    label: Mapping[str, str]
    points: float


@dataclass(frozen=True)
class Moved:
    """One person in the two lists; ``now`` or ``then`` is None where the person was not scored or may not be seen."""

    officer_id: str
    now: Seen | None
    then: Seen | None
    causes: Sequence[Cause]


@dataclass(frozen=True)
class Changes:
    """Two lists of a risk beside each other, as far as the caller sees; the first few of each kind and how many."""

    before: Batch
    new: Sequence[Moved]
    gone: Sequence[Moved]
    risen: Sequence[Moved]
    counts: Mapping[str, int]
    other_model: bool
    """Another model version made the newer list: a difference may be the model's."""


def changes(session: Session, sight: Sight, batch: Batch, *, shown: int = SHOWN) -> Changes | None:
    """Return what changed since the list before; None where there is none."""
    before = list_before(session, batch)
    if before is None or batch.purpose not in sight.purposes:
        return None
    now, then = _listed(session, sight, batch), _listed(session, sight, before)
    risen = [name for name in now.keys() & then.keys() if now[name].probability >= ROSE * then[name].probability]
    kinds = {
        "new": sorted(now.keys() - then.keys(), key=lambda name: now[name].rank),
        "gone": sorted(then.keys() - now.keys(), key=lambda name: then[name].rank),
        "risen": sorted(risen, key=lambda name: then[name].probability - now[name].probability),
    }
    named = [name for names in kinds.values() for name in names[:shown]]
    pair = _Pair(session, sight, batch, before, named)
    return Changes(
        before=before,
        **{kind: [pair.moved(name) for name in names[:shown]] for kind, names in kinds.items()},
        counts={kind: len(names) for kind, names in kinds.items()},
        other_model=before.model_version != batch.model_version,
    )


def list_before(session: Session, batch: Batch) -> Batch | None:
    """Return the list of the same risk before a list."""
    earlier = select(Batch).where(Batch.risk == batch.risk, Batch.as_of < batch.as_of)
    return session.scalar(earlier.order_by(Batch.as_of.desc()).limit(1))


@dataclass(frozen=True)
class _Place:
    """Where somebody stands in a list; a score that was computed anew counts as such."""

    rank: int
    probability: float


def _listed(session: Session, sight: Sight, batch: Batch) -> dict[str, _Place]:
    """Whom the caller sees within a list's capacity, by number."""
    reached = sight.persons(officer=Score.officer_id, unit=Score.unit)
    statement = select(Score.officer_id, Score.rank, Score.probability)
    rows = session.execute(statement.where(Score.batch_id == batch.id, Score.rank <= batch.capacity, reached))
    found = {name: _Place(rank or 0, probability) for name, rank, probability in rows}
    for name, row in corrected(session, batch).items():
        if name in found:
            found[name] = _Place(found[name].rank, row.score["probability"])
    return found


class _Pair:
    """Some persons of two lists with their reasons in both; a score that was computed anew stands as such, uncaused."""

    def __init__(self, session: Session, sight: Sight, batch: Batch, before: Batch, names: Sequence[str]) -> None:
        self.sight, self.batch, self.before = sight, batch, before
        self.hidden = hidden_groups(session, sight, batch) | hidden_groups(session, sight, before)
        self.anew = corrected(session, batch, names).keys() | corrected(session, before, names).keys()
        self.anew |= without_basis(session, names)  # of whom no change may tell which health reason did it
        self.now, self.then = (_rows(session, sight, each, names) for each in (batch, before))

    def moved(self, name: str) -> Moved:
        """Return one person as the caller may see it, with what did it."""
        now, then = self.now.get(name), self.then.get(name)
        return Moved(
            officer_id=self.sight.shown_id(name, self.batch.purpose),
            now=seen(self.sight, self.batch.purpose, now[0]) if now else None,
            then=seen(self.sight, self.before.purpose, then[0]) if then else None,
            causes=self._causes(now, then) if now and then and name not in self.anew else (),
        )

    def _causes(self, now: tuple[Score, Reasons], then: tuple[Score, Reasons]) -> list[Cause]:
        """The visible contributions that moved most, in the direction in which the risk went."""
        up = now[0].probability >= then[0].probability
        scale = points_per_unit(self.batch.base_value, now[0].probability)
        pushes, earlier = _pushes(self.batch, now[1]), _pushes(self.before, then[1])
        firm = _firm(now[1], then[1]) - self.hidden
        moved = {group: pushes.get(group, 0.0) - earlier.get(group, 0.0) for group in firm}
        chosen = sorted((group for group, by in moved.items() if (by > 0) == up and abs(by) >= SLIGHT),
                        key=lambda group: (-abs(moved[group]), group))  # fmt: skip
        return [Cause(group, self._label(group), moved[group] * scale) for group in chosen[:CAUSES]]

    def _label(self, group: str) -> Mapping[str, str]:
        labels: dict[str, Any] = {**self.before.labels["measures"], **self.batch.labels["measures"]}
        label: Mapping[str, str] = labels.get(group, {"zh": group, "en": group})
        return label


def _rows(session: Session, sight: Sight, batch: Batch, names: Sequence[str]) -> dict[str, tuple[Score, Reasons]]:
    joined = (Reasons.batch_id == Score.batch_id) & (Reasons.officer_id == Score.officer_id)
    reached = sight.persons(officer=Score.officer_id, unit=Score.unit)
    statement = select(Score, Reasons).join(Reasons, joined)
    statement = statement.where(Score.batch_id == batch.id, Score.officer_id.in_(names), reached)
    found, anew = session.execute(statement).all(), corrected(session, batch, names)
    return {score.officer_id: (standing_score(score, anew.get(score.officer_id)), reasons) for score, reasons in found}


def _pushes(batch: Batch, reasons: Reasons) -> dict[str, float]:
    return dict(zip(batch.groups, reasons.contributions, strict=True))


def _firm(*told: Reasons) -> set[str]:
    return {reason["measure"] for reasons in told for reason in _holding(reasons.strongest)}


def _holding(strongest: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    return (reason for reason in strongest if gated(reason))

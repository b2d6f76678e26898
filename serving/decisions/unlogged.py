"""What stands in the store against what the log tells: changed, forged or deleted rows, and a log that was cut."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Executable, func, select
from sqlalchemy.orm import Session

from serving.access.tables import AuditRow
from serving.decisions.consents import HEALTH
from serving.decisions.objections import MADE, OPEN, Outcome
from serving.decisions.rescored import LEFT_OUT, NO_HEALTH
from serving.decisions.reviews import STATUS_AFTER
from serving.decisions.sealed import (
    ANSWERED,
    ASKED,
    CONSENT,
    CONTESTED,
    DECIDED,
    FEEDBACK,
    RERUN,
    RESCORED,
    REVIEW,
    seal,
)
from serving.decisions.standing import OBJECTION
from serving.decisions.tables import Consent, Feedback, Flag, HelpRequest, Objection, Published, Rescored, Review

Stands = dict[tuple[str, int], Any]
"""Subject and number -> a row as it stands."""


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of row (``rows``: it and what else it is about), and the actions of the log that tell of it.

    What the log says of it: a digest of the columns ``says``, by whom (``by``), and, detail -> column, what rows of the
    log say that have no digest yet (``also``). ``last``: of several rows of the log the last one counts.
    """

    actions: tuple[str, ...]
    rows: Executable
    subject: str
    says: tuple[str, ...]
    by: str | None = None
    also: dict[str, str] = field(default_factory=dict)
    last: bool = False
    number: str | None = None
    """The detail that holds the row's number; else the subject does."""
    several: bool = False
    """A row of the log may tell of several rows at once, by the digests of their numbers."""
    named: str = ""
    """What a row is called besides the subject."""


@dataclass(frozen=True)
class Told:
    """What one row of the log says of one row of a table; ``digest`` None in a row of before there were any."""

    row: AuditRow
    key: tuple[str, int]
    digest: str | None


_reviewed = select(Review, Flag.risk, Flag.officer_id).outerjoin(Flag, Flag.id == Review.flag_id)
_rerun = Objection.before.is_not(None) | Objection.without.is_not(None)
_ended = (Objection.status != OPEN) | Objection.decided_by.is_not(None) | Objection.answer.is_not(None)
_answered = HelpRequest.answered_at.is_not(None) | HelpRequest.answer.is_not(None)
_health, _letters = select(Consent).where(Consent.basis == HEALTH), select(Consent).where(Consent.basis != HEALTH)

KINDS = (
    Kind(("flag decided",), _reviewed, "flag {0.flag_id}", REVIEW, by="by", number="review", named="review",
         also={name: name for name in ("decision", "version", "as_of", "action")}),
    Kind(("feedback given",), select(Feedback), "feedback {0.id}", FEEDBACK, by="by",
         also={"measure": "measure", "verdict": "verdict"}),
    Kind((MADE,), select(Objection), "objection {0.id}", CONTESTED, also={"against": "against", "due": "due_on"}),
    Kind(("objection decided",), select(Objection).where(_ended), "objection {0.id}", DECIDED, by="decided_by",
         also={"outcome": "status"}),
    Kind(("score rerun",), select(Objection).where(_rerun), "objection {0.id}", RERUN, last=True),
    Kind(("help asked for",), select(HelpRequest), "request {0.id}", ASKED, also={"kind": "kind"}),
    Kind(("help answered",), select(HelpRequest).where(_answered), "request {0.id}", ANSWERED, by="answered_by"),
    Kind(("consent given", "consent withdrawn"), _health, "officer {0.officer_id}", CONSENT, last=True, several=True,
         named="consent"),
    Kind(("letter agreed to", "letter withdrawn"), _letters, "officer {0.officer_id}", CONSENT, last=True, several=True,
         named="consent"),
    Kind((LEFT_OUT, NO_HEALTH), select(Rescored), "officer {0.officer_id}", RESCORED, several=True,
         named="rescored row"),
)  # fmt: skip


def unlogged(session: Session) -> list[str]:
    """Return in words what is published, decided, said, consented or computed anew otherwise than the log tells.

    Each was written in one transaction with its row of the log: one without it was put in, one that says something
    else was changed, and where the log tells of one that is not there, it was deleted.
    """
    found = [*_publications(session)]
    for kind in KINDS:
        found += _differing(session, kind)
    return [*found, *_reopened(session), *_not_computed(session)]


def _publications(session: Session) -> Iterator[str]:
    told = {(row.subject, row.details.get("as_of"), row.details.get("digest"), row.actor)
            for row in _log(session, "list published")}  # fmt: skip
    for row in session.scalars(select(Published).order_by(Published.id)):
        if (row.risk, str(row.as_of), row.digest, row.by) not in told:
            yield f"the list of {row.risk}, {row.as_of:%Y-%m}, is published, and the log does not say so"


def _differing(session: Session, kind: Kind) -> Iterator[str]:
    """What differs in both directions: rows of the log without theirs, and rows that none of the log tells of."""
    stands: Stands = {}
    digests: dict[tuple[str, int], str] = {}
    for found in session.execute(kind.rows):
        row, *about = found
        key = (kind.subject.format(row), row.id)
        stands[key], digests[key] = row, seal(row, kind.says, *about)
    log = _log(session, *kind.actions)
    told = [each for row in log for each in _tells(kind, row)]
    for each in {each.key: each for each in told}.values() if kind.last else told:
        if not _as_told(kind, each, stands.get(each.key), digests.get(each.key)):
            yield f"{_name(kind, each.key)} is not as row {each.row.number} of the log says ({each.row.action})"
    before = _before_digests(session, kind, log)
    for key in sorted(stands.keys() - {each.key for each in told}):
        if (key[0], _action(stands[key])) not in before:
            yield f"{_name(kind, key)} is not in the log as it stands ({' or '.join(kind.actions)})"


def _tells(kind: Kind, row: AuditRow) -> Iterator[Told]:
    """What a row of the log says of which rows."""
    if not kind.several:
        number = row.details[kind.number] if kind.number else int(row.subject.rpartition(" ")[2])
        yield Told(row, (row.subject, number), row.details.get("digest"))
        return
    for text, digest in row.details.get("digest", {}).items():
        yield Told(row, (row.subject, int(text)), digest)


def _as_told(kind: Kind, told: Told, row: Any, digest: str | None) -> bool:
    if row is None or (kind.by and getattr(row, kind.by) != told.row.actor):
        return False
    if told.digest is not None:
        return told.digest == digest
    said = {name: told.row.details.get(name) for name in kind.also if name in told.row.details}
    return all(value == _plain(getattr(row, kind.also[name])) for name, value in said.items())


def _before_digests(session: Session, kind: Kind, log: list[AuditRow]) -> set[tuple[str, str]]:
    """Subject and action of the log's rows without digests, where these tell of several: theirs may be any."""
    if not kind.several:
        return set()
    found = {(row.subject, row.action) for row in log if "digest" not in row.details}
    if LEFT_OUT in kind.actions:  # an objection that was upheld told of them itself
        ended = {row.subject for row in _log(session, "objection decided") if "digest" not in row.details}
        upheld = session.scalars(select(Objection).where(Objection.status == Outcome.UPHELD))
        found |= {(f"officer {row.officer_id}", LEFT_OUT) for row in upheld if f"objection {row.id}" in ended}
    return found


def _action(row: Any) -> str:
    """The action by which the log told last of a row, before there were digests."""
    if isinstance(row, Rescored):
        return LEFT_OUT if row.cause == OBJECTION else NO_HEALTH
    if isinstance(row, Consent) and row.basis == HEALTH:
        return "consent given" if row.withdrawn_on is None and row.counts_until is None else "consent withdrawn"
    return "letter agreed to" if getattr(row, "withdrawn_on", None) is None else "letter withdrawn"


def _reopened(session: Session) -> Iterator[str]:
    """Flags that are not in the state of their last decision, although nothing came after it."""
    last = select(func.max(Review.id)).group_by(Review.flag_id)
    rows = select(Flag, Review).join(Review, Review.flag_id == Flag.id).where(Review.id.in_(last)).order_by(Flag.id)
    for flag, review in session.execute(rows):
        changed = flag.version == review.version and flag.status != STATUS_AFTER.get(review.decision)
        if changed or flag.version < review.version:
            yield f"flag {flag.id} is not as it was decided"


def _not_computed(session: Session) -> Iterator[str]:
    """Withdrawals that are said to be done with, of whom no row of the log tells that all was computed."""
    done = {row.subject for row in _log(session, NO_HEALTH) if not row.details.get("not_computed")}
    for row in session.scalars(select(Consent).where(Consent.rescored_at.is_not(None)).order_by(Consent.id)):
        if f"officer {row.officer_id}" not in done:
            yield f"consent {row.id} was withdrawn, and the log does not say that the scores were computed anew"


def _name(kind: Kind, key: tuple[str, int]) -> str:
    subject, number = key
    return f"{subject}: {kind.named} {number}" if kind.named else subject


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int | str) else str(value)


def _log(session: Session, *actions: str) -> list[AuditRow]:
    statement = select(AuditRow).where(AuditRow.action.in_(actions)).order_by(AuditRow.number)
    return list(session.scalars(statement))

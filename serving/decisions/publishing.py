"""Publishing: a person makes a month's draft the list of that month. From then on it never changes."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from serving.access.audit import Actor, record
from serving.access.tables import AuditRow
from serving.answers.problems import Kind, Problem
from serving.decisions.sealed import FORM, digest_of, first_digest_of
from serving.decisions.tables import Published
from serving.models.monitored import HOLD, run_of
from serving.scored.lists import set_aside_value
from serving.tables import Batch, SupersededList

SHORTEST_REASON = 10
"""Publishing although the monitor says to hold the lists back needs a written reason of so many characters."""


@dataclass(frozen=True)
class Beside:
    """A scoring that was made after its month's list was published: who it would bring, whom it would leave out."""

    run: int
    model_version: str
    scored_at: dt.datetime
    came: frozenset[str]
    left: frozenset[str]


def publish(
    session: Session, actor: Actor, batch: Batch, *, despite: str = "", reordered: int | None = None
) -> Published:
    """Publish a draft, write the audit row, and return what was published.

    ``reordered`` is Batch.reordered as it was when somebody looked at the draft. Raises a Problem where that month's
    list is out already, where the draft is another one or in another order by now, or where the monitor says to hold
    the lists back and ``despite`` gives no reason.
    """
    batch = _looked_at(session, batch, reordered)
    held = published_of(session, batch.risk, batch.as_of)
    if held is not None:
        raise _out_already(held)
    if held_back(session, batch) and len(despite.strip()) < SHORTEST_REASON:
        raise Problem(
            Kind.INVALID,
            f"The monitor says to hold this month's lists back. Say in {SHORTEST_REASON} characters or more why it is "
            f"published all the same. 监测建议暂不发布；如仍要发布，请写明理由（至少 {SHORTEST_REASON} 字）。",
        )
    now = dt.datetime.now(dt.UTC)
    row = Published(
        risk=batch.risk,
        as_of=batch.as_of,
        batch_id=batch.id,
        digest=digest_of(session, batch, by=actor.name, at=now),
        by=actor.name,
        at=now,
    )
    session.add(row)
    try:
        session.flush()
    except IntegrityError:  # somebody else published it in this moment
        raise Problem(
            Kind.DECIDED_MEANWHILE, "This month's list was published meanwhile. 本月名单刚刚已发布。"
        ) from None
    told = {"as_of": str(batch.as_of), "run": batch.run, "digest": row.digest}
    record(session, actor, "list published", batch.risk, **told, **({"despite": despite.strip()} if despite else {}))
    return row


def held_still(session: Session, *batches: int) -> list[Batch]:
    """Return lists by their numbers as they are once nobody else publishes, scores or reorders them, until the end.

    Whoever holds several takes them together, and before writing to the log: else two could wait for each other.
    """
    statement = select(Batch).where(Batch.id.in_(batches)).order_by(Batch.id).with_for_update()
    return list(session.scalars(statement.execution_options(populate_existing=True)))


def _looked_at(session: Session, batch: Batch, reordered: int | None) -> Batch:
    """The draft, held still; a Problem where it is not the one that was looked at."""
    found = next(iter(held_still(session, batch.id)), None)
    if found is None or reordered not in (None, found.reordered):
        raise Problem(
            Kind.LIST_CHANGED,
            "The draft was computed anew since you looked at it: look again, nothing was published. "
            "草稿已重新计算或重新排序，请重新查看；名单尚未发布。",
        )
    return found


def published_of(session: Session, risk: str, as_of: dt.date) -> Published | None:
    """Return the publication of a risk's month; None for a draft."""
    return session.scalar(select(Published).where(Published.risk == risk, Published.as_of == as_of))


def list_of(session: Session, risk: str, as_of: dt.date) -> Batch | None:
    """Return a risk's list of a month, draft or published, whoever asks."""
    return session.scalar(select(Batch).where(Batch.risk == risk, Batch.as_of == as_of))


def publications(session: Session, purposes: Sequence[str]) -> list[tuple[Batch, Published | None]]:
    """Return every list of some purposes with its publication, the newest first."""
    statement = (
        select(Batch, Published)
        .outerjoin(Published, Published.batch_id == Batch.id)
        .where(Batch.purpose.in_(purposes))
        .order_by(Batch.as_of.desc(), Batch.purpose.desc(), Batch.risk)
    )
    return [(batch, published) for batch, published in session.execute(statement)]


def held_back(session: Session, batch: Batch) -> bool:
    """Return whether the monitor said of the list's month, for all risks or this one, to hold lists back."""
    runs = [run_of(session, batch.as_of, scope, figures=False) for scope in ("", batch.risk)]
    return any(run is not None and run.level >= HOLD for run in runs)


def altered(session: Session) -> list[Published]:
    """Return the published lists that no longer are what was published; nothing when all are."""
    rows = session.execute(select(Published, Batch).outerjoin(Batch, Batch.id == Published.batch_id))
    return [row for row, batch in rows if batch is None or _digest_as(session, row, batch) != row.digest]


def _digest_as(session: Session, row: Published, batch: Batch) -> str:
    """The digest of a list as it is, in the form that it was published with."""
    if row.digest.startswith(FORM):
        return digest_of(session, batch, by=row.by, at=row.at)
    return first_digest_of(session, batch)


def missing(session: Session) -> list[tuple[str, str]]:
    """Return risk and as-of of every publication in the log that no published list answers to, by its digest."""
    held = {(row.risk, str(row.as_of), row.digest) for row in session.scalars(select(Published))}
    rows = session.scalars(select(AuditRow).where(AuditRow.action == "list published").order_by(AuditRow.number))
    told = [(row.subject, str(row.details["as_of"]), row.details["digest"]) for row in rows]
    return [(risk, as_of) for risk, as_of, digest in told if (risk, as_of, digest) not in held]


def beside(session: Session, batch: Batch) -> list[Beside]:
    """Return the scorings of a list's month that are newer than the list, the newest first."""
    statement = select(SupersededList).where(SupersededList.risk == batch.risk, SupersededList.as_of == batch.as_of)
    newer = session.scalars(statement.where(SupersededList.run > batch.run).order_by(SupersededList.run.desc())).all()
    if not newer:
        return []
    people, _ = set_aside_value(session, batch)
    held = _within(people["officer_id"], people["rank"], batch.capacity)
    return [_beside(row, held) for row in newer]


def _beside(row: SupersededList, held: frozenset[str]) -> Beside:
    listed = _within(row.people["officer_id"], row.people["rank"], row.capacity)
    return Beside(row.run, row.model_version, row.scored_at, listed - held, held - listed)


def _within(officers: Sequence[str], ranks: Sequence[int | None], capacity: int) -> frozenset[str]:
    pairs = zip(officers, ranks, strict=True)
    return frozenset(officer for officer, rank in pairs if rank is not None and rank <= capacity)


def _out_already(held: Published) -> Problem:
    when = held.at.date().isoformat()
    return Problem(
        Kind.DECIDED_MEANWHILE,
        f"This month's list was published by {held.by} on {when} and never changes. "
        f"本月名单已由 {held.by} 于 {when} 发布，不再更改。",
    )

"""The basis for a person's health data: given, withdrawn, and the spans that every feature is made with.

With ``sensitive_basis: organisation`` the register of processing covers everyone until a person withdraws; with
``person`` nobody is covered before consenting. HOME/var/bases.json is written in the same breath as the table.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from features.histories.bases import Bases, Span, day_number, write_bases
from serving.access.audit import Actor, record
from serving.answers.problems import Kind, Problem
from serving.database import one_at_a_time
from serving.decisions.sealed import CONSENT, seal
from serving.decisions.tables import Consent
from serving.tables import Batch

HEALTH = "health"
"""Consent.basis of rows about health data."""
ALWAYS = dt.date(1900, 1, 1)
"""The register's own span begins here."""
A_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Basis:
    """Where one person stands: covered or not, by the register or by consent, and every row there is."""

    covered: bool
    by_register: bool
    rows: Sequence[Consent]

    @property
    def computing(self) -> bool:
        """Whether scores are still being computed anew after a withdrawal."""
        return any(row.counts_until is not None and row.rescored_at is None for row in self.rows)


def basis_of(session: Session, officer_id: str, *, register: bool) -> Basis:
    """Return where a person stands; ``register``: the profile's basis is the organisation's."""
    rows = _rows(session, officer_id)
    held = any(row.withdrawn_on is None for row in rows) if rows else register
    return Basis(held, held and not rows, rows)


def give(session: Session, actor: Actor, officer_id: str, *, register: bool, home: Path, today: dt.date) -> None:
    """Write consent from today on; a Problem where there is a basis already."""
    one_at_a_time(session, HEALTH, officer_id)
    if basis_of(session, officer_id, register=register).covered:
        raise Problem(Kind.INVALID, "There is a basis already; nothing was changed. 已有依据，未作改动。")
    row = Consent(officer_id=officer_id, basis=HEALTH, given_on=today, withdrawn_on=None, by=actor.name)
    session.add(row)
    session.flush()
    record(session, actor, "consent given", f"officer {officer_id}", digest={str(row.id): seal(row, CONSENT)})
    write_bases(home, spans(session))


def withdraw(
    session: Session,
    actor: Actor,
    officer_id: str,
    *,
    register: bool,
    home: Path,
    today: dt.date,
    past: bool = False,
) -> None:
    """End the basis today: no list that stands, and none to come, uses the data; a Problem where there is none.

    The months before keep what was lawful then, so that past lists can be rebuilt; with ``past`` they too go without,
    in every training and replay from now on. Call ``rescored.rescore_withdrawn`` when this is committed.
    """
    one_at_a_time(session, HEALTH, officer_id)
    found = basis_of(session, officer_id, register=register)
    if not found.covered:
        raise Problem(Kind.INVALID, "There is no basis to withdraw; nothing was changed. 没有可撤回的依据，未作改动。")
    row = next((row for row in found.rows if row.withdrawn_on is None), None)
    if row is None:
        row = Consent(officer_id=officer_id, basis=HEALTH, given_on=ALWAYS, withdrawn_on=None, by=actor.name)
        session.add(row)
    row.withdrawn_on = today
    row.counts_until = _last_lawful(session, today)
    if past:
        for each in {*found.rows, row}:
            each.counts_until, each.rescored_at = each.given_on - A_DAY, None
    session.flush()
    told = {str(each.id): seal(each, CONSENT) for each in {*found.rows, row}}
    record(session, actor, "consent withdrawn", f"officer {officer_id}", past_too=past, digest=told)
    write_bases(home, spans(session))


def owe_again(session: Session, bases: Bases) -> None:
    """Have scores computed anew of those whose basis ended after the histories that are being scored were read.

    Call it when the log was written to: who withdraws from then on finds the new lists.
    """
    known = set(zip(bases.officer.tolist(), bases.first.tolist(), bases.last.tolist(), strict=True))
    ended = select(Consent).where(Consent.counts_until.is_not(None), Consent.rescored_at.is_not(None))
    for row in session.scalars(ended.execution_options(populate_existing=True)):
        last = row.counts_until or row.given_on
        if (row.officer_id, day_number(row.given_on), day_number(last)) not in known:
            row.rescored_at = None


def spans(session: Session) -> list[Span]:
    """Return the spans of every basis there is or was, by officer and first day."""
    statement = select(Consent).where(Consent.basis == HEALTH).order_by(Consent.officer_id, Consent.given_on)
    return [(row.officer_id, row.given_on, row.counts_until) for row in session.scalars(statement)]


def _rows(session: Session, officer_id: str) -> Sequence[Consent]:
    statement = select(Consent).where(Consent.officer_id == officer_id, Consent.basis == HEALTH)
    return session.scalars(statement.order_by(Consent.given_on, Consent.id)).all()


def _last_lawful(session: Session, today: dt.date) -> dt.date:
    """The day before the oldest list that stands (the newest one of each risk), or before today."""
    newest: list[dt.date] = list(session.scalars(select(func.max(Batch.as_of)).group_by(Batch.risk)))
    return min([today, *newest]) - A_DAY

"""Whether an officer agrees to a letter of honour to the family: given and withdrawn by the person alone."""

import datetime as dt

from sqlalchemy import select
from sqlalchemy.orm import Session

from serving.access.audit import Actor, record
from serving.answers.problems import Kind, Problem
from serving.assessed.storing import LETTER
from serving.decisions.sealed import CONSENT, seal
from serving.decisions.tables import Consent


def letter_agreed(session: Session, officer_id: str) -> Consent | None:
    """Return the consent that holds; None where there is none."""
    own = select(Consent).where(Consent.officer_id == officer_id, Consent.basis == LETTER)
    return session.scalar(own.where(Consent.withdrawn_on.is_(None)).order_by(Consent.id.desc()).limit(1))


def agree_to_letters(session: Session, actor: Actor, officer_id: str, *, today: dt.date) -> None:
    """Agree from today on: the next assessment writes the letter of a quarter's star; a Problem where one did."""
    if letter_agreed(session, officer_id) is not None:
        raise Problem(Kind.INVALID, "You agreed already; nothing was changed. 您已同意，未作改动。")
    row = Consent(officer_id=officer_id, basis=LETTER, given_on=today, withdrawn_on=None, by=actor.name)
    session.add(row)
    session.flush()
    record(session, actor, "letter agreed to", f"officer {officer_id}", digest={str(row.id): seal(row, CONSENT)})


def withdraw_from_letters(session: Session, actor: Actor, officer_id: str, *, today: dt.date) -> None:
    """Withdraw: no letter is shown or made from now on, whatever an earlier record says."""
    row = letter_agreed(session, officer_id)
    if row is None:
        row = Consent(officer_id=officer_id, basis=LETTER, given_on=today, withdrawn_on=today, by=actor.name)
        session.add(row)
    else:
        row.withdrawn_on = today
    session.flush()
    record(session, actor, "letter withdrawn", f"officer {officer_id}", digest={str(row.id): seal(row, CONSENT)})

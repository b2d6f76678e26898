"""The first start: an account to begin with, or one of each role in a demo. Passwords are made here and told once."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from serving.access import accounts
from serving.access.audit import SYSTEM
from serving.access.roles import Role
from serving.database import transaction
from serving.tables import Batch, Facts, Score

MARK = "demo.json"
"""This file under HOME/var says that everything there was made by the demo."""


@dataclass(frozen=True)
class First:
    """An account that was just made: its first password is shown once and must be changed."""

    name: str
    role: Role
    password: str
    scope: str = ""


def first_accounts(home: Path, engine: Engine) -> list[First]:
    """Make what a home without any account needs to be opened, and return it; nothing where there is one."""
    with transaction(engine) as session:
        if accounts.how_many(session):
            return []
        wanted = _one_of_each(session) if (home / "var" / MARK).exists() else [accounts.NewAccount("admin", Role.ADMIN)]
        return [
            First(
                new.name, new.role, accounts.add_account(session, SYSTEM, new), new.officer_id or ", ".join(new.units)
            )
            for new in wanted
        ]


def _one_of_each(session: Session) -> list[accounts.NewAccount]:
    officer, unit = _somebody(session)
    scopes = {Role.COMMANDER: {"units": (unit,)}, Role.OFFICER: {"officer_id": officer}}
    return [accounts.NewAccount(role.value, role, **scopes.get(role, {})) for role in Role]  # type: ignore[arg-type]


def _somebody(session: Session) -> tuple[str, str]:
    """An officer within the newest list's capacity, of the unit that has most of these; the first one without lists."""
    batch = session.scalar(select(Batch).order_by(Batch.purpose, Batch.as_of.desc()).limit(1))
    if batch is None:
        found = session.execute(select(Facts.officer_id, Facts.unit).limit(1)).one_or_none()
        return (found[0], found[1]) if found else ("000001", "-")
    listed = (Score.batch_id == batch.id, Score.rank <= batch.capacity)
    units = select(Score.unit).where(*listed).group_by(Score.unit).order_by(func.count().desc(), Score.unit)
    unit = session.scalar(units.limit(1)) or "-"
    officer = session.scalar(select(Score.officer_id).where(*listed, Score.unit == unit).order_by(Score.rank).limit(1))
    return officer or "000001", unit

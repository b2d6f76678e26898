"""What this home keeps secret, made at its first start: there is no default that everybody knows."""

import secrets

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from serving.access.tables import Secret
from serving.database import transaction

SALT = "salt of pseudonyms"


def salt_of(engine: Engine) -> str:
    """Return the salt of this home's pseudonyms; it is made where there is none yet."""
    with transaction(engine, writes=False) as session:
        found = _held(session, SALT)
    if found is None:
        with transaction(engine) as session:
            found = _held(session, SALT) or _made(session, SALT)
    return found


def _held(session: Session, name: str) -> str | None:
    return session.scalar(select(Secret.value).where(Secret.name == name))


def _made(session: Session, name: str) -> str:
    value = secrets.token_urlsafe(32)
    session.add(Secret(name=name, value=value))
    session.flush()
    return value

"""How often a sign-in may fail: counted before the password is looked at, so that many at once count as many."""

import datetime as dt
import hashlib
from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from serving.access.tables import Failure

LONGEST_WAIT = dt.timedelta(minutes=15)
FORGOTTEN_AFTER = dt.timedelta(hours=24)


def count_attempt(session: Session, name: str, address: str, now: dt.datetime) -> int:
    """Count an attempt as failed and return 0; or return the seconds to wait, and count nothing.

    The rows are locked until the transaction ends (SQLite: whoever writes is alone), so none is lost.
    """
    limits = dict(_throttles(name, address))
    rows = _locked(session, sorted(limits), now)
    wait = max(_wait(row, limits[row.throttled], now) for row in rows)
    if wait == 0:
        for row in rows:
            stale = now - _aware(row.last_at) > FORGOTTEN_AFTER
            row.failures, row.last_at = (1 if stale else row.failures + 1), now
        session.flush()
    return wait


def wait_after(session: Session, name: str, address: str, now: dt.datetime) -> int:
    """Return the seconds until the next attempt is looked at."""
    found = ((session.get(Failure, key), limit) for key, limit in _throttles(name, address))
    return max((_wait(row, limit, now) for row, limit in found if row is not None), default=0)


def forget(session: Session, name: str, address: str) -> None:
    """Take back what a right password was counted for; the name at this address begins anew."""
    both, *others = (key for key, _ in _throttles(name, address))
    session.execute(delete(Failure).where(Failure.throttled == both))
    taken = update(Failure).where(Failure.throttled.in_(others), Failure.failures > 0)
    session.execute(taken.values(failures=Failure.failures - 1))
    session.execute(delete(Failure).where(Failure.throttled.in_(others), Failure.failures == 0))


def _throttles(name: str, address: str) -> list[tuple[str, int]]:
    """What is throttled, and after how many failures: the name at this address, the address, the name anywhere."""
    keys = ((f"both\0{name}\0{address}", 5), (f"address\0{address}", 30), (f"name\0{name}", 100))
    return [(hashlib.sha256(key.encode()).hexdigest(), limit) for key, limit in keys]


def _locked(session: Session, keys: Sequence[str], now: dt.datetime) -> Sequence[Failure]:
    """The rows of some keys, made where there are none, locked in one order: two attempts can't wait for each other."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    made = insert(Failure).values([{"throttled": key, "failures": 0, "last_at": now} for key in keys])
    session.execute(made.on_conflict_do_nothing())
    rows = select(Failure).where(Failure.throttled.in_(keys)).order_by(Failure.throttled).with_for_update()
    return session.scalars(rows, execution_options={"populate_existing": True}).all()


def _wait(row: Failure, limit: int, now: dt.datetime) -> int:
    """Seconds until the next attempt is looked at: none up to the limit, then doubling up to LONGEST_WAIT."""
    if row.failures < limit or now - _aware(row.last_at) > FORGOTTEN_AFTER:
        return 0
    pause = min(LONGEST_WAIT, dt.timedelta(seconds=2 ** min(row.failures - limit + 1, 20)))
    left = _aware(row.last_at) + pause - now
    return max(0, -int(-left.total_seconds() // 1))


def _aware(moment: dt.datetime) -> dt.datetime:
    """SQLite gives back times without their zone: they are UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)

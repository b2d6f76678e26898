"""What the monitor found in a month, as a value, and how it is written to SQL and read. The page needs no more."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session, defer

from features.months import month_end, month_text
from serving.access.audit import SYSTEM, record
from serving.tables import MonitorFindingRow, MonitorRun, Words

Kind = Literal["hole", "unit", "roster", "artefact", "score", "calibration", "precision", "input"]
HOLD, CHECK, WATCH, STABLE, UNJUDGED = 3, 2, 1, 0, -1
"""Don't publish lists; look before using them; keep an eye on it; nothing to do; it can't be judged."""
FALSE_DISCOVERIES = 0.01
"""Share of false ones among the drifts that are told; with none real, the chance of any (README: measured)."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was: ``level`` HOLD, CHECK or WATCH; ``figures`` are what it rests on."""

    kind: Kind
    level: int
    risk: str | None
    subject: str
    text: Words
    action: Words
    figures: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the finding as ``--json`` gives it."""
        return vars(self) | {"text": dict(self.text), "action": dict(self.action)}


@dataclass(frozen=True)
class MonitoredMonth:
    """One run: ``scope`` is a risk where only that was looked at; ``level`` that of the most severe finding.

    Without findings it is STABLE, or UNJUDGED where neither inputs nor scores could be compared.
    """

    as_of: int
    scope: str
    level: int
    verdict: Words
    findings: Sequence[Finding]
    figures: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return what ``monitor --json`` prints."""
        return {
            "as_of": month_text(self.as_of),
            "risk": self.scope or None,
            "level": self.level,
            "verdict": self.verdict,
            "findings": [finding.as_json() for finding in self.findings],
            "figures": self.figures,
        }


def store_month(session: Session, month: MonitoredMonth) -> MonitorRun:
    """Write a run with its audit row, in place of an earlier one of the same month and scope."""
    as_of = month_end(month.as_of)
    old = session.scalar(select(MonitorRun).where(MonitorRun.as_of == as_of, MonitorRun.scope == month.scope))
    if old is not None:
        session.execute(delete(MonitorFindingRow).where(MonitorFindingRow.run_id == old.id))
        session.execute(delete(MonitorRun).where(MonitorRun.id == old.id))
    run = MonitorRun(
        as_of=as_of,
        scope=month.scope,
        ran_at=dt.datetime.now(dt.UTC),
        level=month.level,
        verdict=month.verdict,
        figures=month.figures,
    )
    session.add(run)
    session.flush()
    rows = [{"run_id": run.id, "position": place, **vars(one)} for place, one in enumerate(month.findings)]
    if rows:
        session.execute(insert(MonitorFindingRow), rows)
    record(session, SYSTEM, "month monitored", month_text(month.as_of), level=month.level, risk=month.scope)
    return run


def run_of(
    session: Session, as_of: dt.date | None = None, scope: str | None = None, *, figures: bool = True
) -> MonitorRun | None:
    """Return the run of a month (the newest when none is given), that of all risks before one of a single risk.

    Its figures are some 100 kB: who needs the verdict alone leaves them out.
    """
    statement = select(MonitorRun).order_by(MonitorRun.as_of.desc(), MonitorRun.scope).limit(1)
    if not figures:
        statement = statement.options(defer(MonitorRun.figures, raiseload=True))
    if as_of is not None:
        statement = statement.where(MonitorRun.as_of == as_of)
    return session.scalar(statement if scope is None else statement.where(MonitorRun.scope == scope))


def findings_of(session: Session, run: MonitorRun) -> list[MonitorFindingRow]:
    """Return the findings of a run, the most severe first."""
    statement = select(MonitorFindingRow).where(MonitorFindingRow.run_id == run.id)
    return list(session.scalars(statement.order_by(MonitorFindingRow.position)))


def months_monitored(session: Session) -> list[dt.date]:
    """Return the months that have a run, the newest first."""
    return list(session.scalars(select(MonitorRun.as_of).distinct().order_by(MonitorRun.as_of.desc())))

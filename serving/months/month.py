"""The monthly run: its steps one after the other (steps.py); the lists stay drafts until they are published here."""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from features.console import Console
from features.errors import Refusal
from features.months import month_end, month_text
from serving.access.audit import Actor
from serving.database import transaction
from serving.decisions.publishing import (
    SHORTEST_REASON,
    beside,
    held_back,
    held_still,
    list_of,
    publish,
    published_of,
)
from serving.months.notices import notice_settings, send_notices
from serving.months.steps import STEPS, MonthRun, MonthStep, label, not_had
from serving.tables import Words


@dataclass(frozen=True)
class MonthList:
    """One list of the month as it stands after the run."""

    risk: str
    run: int
    model_version: str
    cohort: int
    capacity: int
    state: str
    """draft or published."""
    digest: str | None
    beside: int
    """So many newer scorings lie beside a published list."""


@dataclass(frozen=True)
class StepDone:
    """What became of a step: whether it could be had, what is told of it in both languages, how long it took."""

    name: str
    had: bool
    told: Words
    seconds: float


def run_month(console: Console, run: MonthRun, *, language: str, without: Collection[str] = ()) -> list[StepDone]:
    """Do the work of a month into the store, a line for each step; return what became of the steps.

    Lists that are out already are not touched: the new scoring is kept beside them. Steps named in ``without`` are left
    out; one that these histories do not allow says so, and the month goes on where it is not needed for the rest.
    """
    notice_settings(run.home)  # a mistake there is told before the work, not after it
    return [_done(console, run, step, language=language) for step in STEPS if step.name not in without]


def _done(console: Console, run: MonthRun, step: MonthStep, *, language: str) -> StepDone:
    had = True
    with console.step(label(step, run.as_of, language), step.total(run)) as shown:
        try:
            told = step.does(run, shown.advance)
        except Refusal as refusal:
            if step.must:
                raise
            had, told = False, not_had(refusal)
        shown.told = told[language]
    return StepDone(step.name, had, told, round(shown.seconds, 1))


def publish_month(
    engine: Engine, actor: Actor, as_of: int, *, risks: Sequence[str], despite: str = ""
) -> dict[str, int]:
    """Publish the month's drafts in one transaction; return risk -> number of the publication.

    Lists that are out already are left alone. A Refusal says when the monitor says to hold back and no reason is given.
    """
    published: dict[str, int] = {}
    with transaction(engine) as session:
        drafts = {risk: list_of(session, risk, month_end(as_of)) for risk in risks}
        held_still(session, *(batch.id for batch in drafts.values() if batch is not None))
        for risk, batch in drafts.items():
            if batch is None or published_of(session, risk, batch.as_of) is not None:
                continue
            if held_back(session, batch) and len(despite.strip()) < SHORTEST_REASON:
                raise Refusal(
                    f"The monitor says to hold the lists of {month_text(as_of)} back; they stay drafts.",
                    hint=f"Look at jingxing monitor --as-of {month_text(as_of)}, or say why they are published all the "
                    'same: --despite "REASON"',
                )
            published[risk] = publish(session, actor, batch, despite=despite).id
    return published


def send_all(engine: Engine, home: Path, published: Sequence[int]) -> dict[str, list[str]]:
    """Send the notices of what was published; return sent and failed channels."""
    told: dict[str, list[str]] = {"sent": [], "failed": []}
    for number in published:
        for channel, state in send_notices(engine, home, number).items():
            told[state].append(channel)
    return told


def lists_of(engine: Engine, day: dt.date, risks: Sequence[str]) -> list[MonthList]:
    """Return how the lists of a month stand."""
    found = []
    with transaction(engine, writes=False) as session:
        for risk in risks:
            batch = list_of(session, risk, day)
            if batch is None:
                continue
            out = published_of(session, risk, day)
            found.append(
                MonthList(
                    risk=risk,
                    run=batch.run,
                    model_version=batch.model_version,
                    cohort=batch.cohort,
                    capacity=batch.capacity,
                    state="published" if out else "draft",
                    digest=out.digest if out else None,
                    beside=len(beside(session, batch)) if out else 0,
                )
            )
    return found

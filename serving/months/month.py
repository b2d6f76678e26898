"""The monthly run: score, explain, recommend, raise flags, assess, monitor; the lists stay drafts until published."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from features.assessment.assess import STEPS, assess
from features.errors import Refusal
from features.histories.tables import Histories
from features.months import month_end, month_text
from serving.access.audit import Actor
from serving.assessed.storing import consented, store_assessment
from serving.database import transaction
from serving.decisions.publishing import SHORTEST_REASON, beside, held_back, list_of, publish, published_of
from serving.models.monitor import monitor_into_store
from serving.models.monitored import MonitoredMonth
from serving.months.notices import notice_settings, send_notices
from serving.offers.raising import raise_offers
from serving.scored.scoring import by_whose_word, score_into_store
from training.models.risk_model import RiskModel
from training.models.scoring import ScoredCohort

Advance = Callable[[int], None]


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


def steps_of_month(models: Sequence[RiskModel]) -> int:
    """Return how often a run advances its progress."""
    return len(models) + STEPS + 2 + len(models)


def run_month(
    given: Histories, models: Sequence[RiskModel], as_of: int, *, home: Path, engine: Engine, advance: Advance
) -> tuple[list[ScoredCohort], MonitoredMonth]:
    """Do the work of a month into the store; return what was scored and what the monitor found.

    Lists that are out already are not touched: the new scoring is kept beside them.
    """
    notice_settings(home)  # a mistake there is told before the work, not after it
    cohorts = score_into_store(given, models, [as_of], engine, advance=advance, home=home)
    found = assess(given, as_of, consents=consented(engine, month_end(as_of)), progress=advance)
    store_assessment(found, engine)
    with transaction(engine) as session:
        raise_offers(session, given.profile, month_end(as_of))
    watched = monitor_into_store(given, models, as_of, engine, served=by_whose_word(home, models), advance=advance)
    return cohorts, watched


def publish_month(
    engine: Engine, actor: Actor, as_of: int, *, risks: Sequence[str], despite: str = ""
) -> dict[str, int]:
    """Publish the month's drafts in one transaction; return risk -> number of the publication.

    Lists that are out already are left alone. A Refusal says when the monitor says to hold back and no reason is given.
    """
    published: dict[str, int] = {}
    with transaction(engine) as session:
        for risk in risks:
            batch = list_of(session, risk, month_end(as_of))
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

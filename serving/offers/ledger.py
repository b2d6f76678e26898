"""The ledger of help: what was taken becomes events of the histories, so that the next training knows who was helped.

Mentorships begun and meetings held, rest taken, offers done, and the mark of help after a flag (``acted_on``).
"""

import datetime as dt
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from features.histories.ingest import IngestResult, ingest
from features.histories.store import load_histories, load_roster
from features.histories.tables import EVENT_COLUMNS, ROSTER_COLUMNS
from features.months import timestamps
from features.profile import Profile
from serving.decisions.reviews import Decision
from serving.decisions.tables import Flag, Review
from serving.mentoring.tables import Mentorship, MentorshipStep, Offer, OfferStep
from serving.rest.tables import RestDecision, RestEntry

TAKEN = "taken"


class Helped(NamedTuple):
    """One event: of whom, what, when it happened, when it was entered, how much, under which lasting id."""

    officer_id: str
    measure: str
    occurred_on: dt.date
    recorded_on: dt.date
    value: float
    event_id: str


def ledger_events(session: Session, profile: Profile) -> pd.DataFrame:
    """Return all help that was taken, as rows of an export's events (EVENT_COLUMNS), by officer and day.

    An event keeps its ``event_id`` for ever, so that ingesting the ledger again changes nothing. ``recorded_on`` is
    the day on which it was entered: nothing before that day may use it.
    """
    rows = [
        *_mentorships(session, profile),
        *_rests(session, profile),
        *_offers(session),
        *_flags(session, profile),
    ]
    known = [row for row in rows if row.measure in profile.measures]
    table = pd.DataFrame(sorted(known), columns=list(Helped._fields))
    for column in ("occurred_on", "recorded_on"):
        table[column] = pd.to_datetime(table[column])
    table["began_on"] = pd.NaT
    return table[list(EVENT_COLUMNS)]


def ingest_ledger(session: Session, home: Path) -> tuple[IngestResult | None, int]:
    """Bring the ledger into the stored histories; return what came of it, and how many events have to wait.

    Events entered after the last recorded day of the store wait for the next export: otherwise the store would
    seem to know months of which nothing else was delivered yet, and their outcomes would be taken for none.
    """
    given = load_histories(home)
    table = ledger_events(session, given.profile)
    table = table[table["officer_id"].isin(given.officers)]
    known = table["recorded_on"] <= pd.Timestamp(timestamps([given.last_recorded])[0])
    if not known.any():
        return None, int((~known).sum())
    with tempfile.TemporaryDirectory(prefix="jingxing-ledger-") as folder:
        write_ledger(Path(folder), home, table[known])
        return ingest(Path(folder), home=home, profile=None, strict=True), int((~known).sum())


def write_ledger(folder: Path, home: Path, table: pd.DataFrame) -> None:
    """Write an export that holds these events and the roster as it is stored."""
    folder.mkdir(parents=True, exist_ok=True)
    _roster(home).to_parquet(folder / "roster.parquet", index=False)
    table.to_parquet(folder / "events.parquet", index=False)


def _roster(home: Path) -> pd.DataFrame:
    """The stored roster with the columns of an export."""
    stored = load_roster(home)
    postings = stored.postings
    table = stored.people.assign(
        officer_id=stored.officers[postings.officer],
        valid_from=timestamps(postings.first),
        valid_to=timestamps(postings.last),
        post=[stored.posts[code] for code in postings.post],
        unit=[stored.units[code] for code in postings.unit],
        birth_year=stored.people["birth_year"].astype("Int64"),
    )
    return table[list(ROSTER_COLUMNS)]


def _mentorships(session: Session, profile: Profile) -> Iterator[Helped]:
    """Each meeting, of both; and the mark of help after a flag on the day on which it began."""
    received = next((part.recorded_as for part in profile.actions.values() if part.kind == "mentoring"), None)
    given = profile.settings.mentoring.given_as
    statement = (
        select(Mentorship, MentorshipStep)
        .join(MentorshipStep, MentorshipStep.mentorship_id == Mentorship.id)
        .where(MentorshipStep.step.in_(("start", "check_in")))
    )
    for pair, step in session.execute(statement):
        entered = _entered(step.on, step.at)
        name = f"jx-mentorship-{pair.id}-{step.version}"
        for who, measure in (("mentee", received), ("mentor", given)):
            officer = pair.mentee_id if who == "mentee" else pair.mentor_id
            if measure:
                yield Helped(officer, measure, step.on, entered, 1.0, f"{name}-{who}")
        risk = profile.risks.get(pair.risk)
        if step.step == "start" and risk and risk.acted_on:
            yield Helped(pair.mentee_id, risk.acted_on, step.on, entered, 1.0, f"{name}-acted")


def _rests(session: Session, profile: Profile) -> Iterator[Helped]:
    """Rest that was taken, on its first day, in the measure's unit: days, weeks, or once."""
    said = select(RestDecision).where(RestDecision.decision == TAKEN).order_by(RestDecision.id)
    entered = {(row.plan_id, row.officer_id, row.kind): row.at.date() for row in session.scalars(said)}
    for entry in session.scalars(select(RestEntry).where(RestEntry.state == TAKEN)):
        if entry.measure:
            day = max(entry.first_day, entered.get((entry.plan_id, entry.officer_id, entry.kind), entry.last_day))
            amount = _amount(profile, entry.measure, (entry.last_day - entry.first_day).days + 1)
            yield Helped(entry.officer_id, entry.measure, entry.first_day, day, amount, f"jx-rest-{entry.id}")


def _amount(profile: Profile, measure: str, days: int) -> float:
    unit = profile.measures[measure].unit if measure in profile.measures else None
    return {"days": float(days), "weeks": days / 7}.get(unit.en if unit else "", 1.0)


def _offers(session: Session) -> Iterator[Helped]:
    statement = select(Offer, OfferStep).join(OfferStep, OfferStep.offer_id == Offer.id)
    for offer, step in session.execute(statement.where(Offer.status == "done", OfferStep.step == "done")):
        if offer.recorded_as:
            entered = _entered(step.on, step.at)
            yield Helped(offer.officer_id, offer.recorded_as, step.on, entered, offer.amount, f"jx-offer-{offer.id}")


def _flags(session: Session, profile: Profile) -> Iterator[Helped]:
    """Flags that were acted on: the mark of help after a flag, on the day of the first such decision."""
    statement = select(Flag, Review).join(Review, Review.flag_id == Flag.id).where(Review.decision == Decision.ACT)
    seen = set()
    for flag, review in session.execute(statement.order_by(Review.id)):
        risk = profile.risks.get(flag.risk)
        if risk and risk.acted_on and flag.id not in seen:
            seen.add(flag.id)
            day = review.at.date()
            yield Helped(flag.officer_id, risk.acted_on, day, day, 1.0, f"jx-flag-{flag.id}-acted")


def _entered(on: dt.date, at: dt.datetime) -> dt.date:
    return max(on, at.date())

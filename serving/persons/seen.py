"""Persons as a caller may see them: hidden parts are None, numbers become pseudonyms where only those may be known."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from serving.access.roles import Field
from serving.access.sight import PSEUDONYM, Sight
from serving.scored.kept import Newest
from serving.tables import Batch, Facts, ProfileRow, Score

PARTS_OF_SCORE = ("probability", "low", "high", "rank", "evidence", "previous_rank", "part_post", "part_unit",
                  "part_person")  # fmt: skip

_pseudonyms: Newest[dict[str, str]] = Newest(2)
"""This home's salt -> pseudonym -> number: what a pseudonym stands for never changes."""
_health: dict[str, frozenset[str]] = {}
"""Digest of a profile -> the groups of reasons that draw on health data; a digest's content never changes."""


@dataclass(frozen=True)
class Seen:
    """One person of a list; ``post`` and ``unit`` are None where the caller may not see them."""

    officer_id: str
    post: str | None
    unit: str | None
    probability: float
    low: float
    high: float
    rank: int | None
    evidence: str
    previous_rank: int | None
    part_post: float | None
    part_unit: float | None
    part_person: float | None

    def within(self, capacity: int) -> bool:
        """Return whether the person is ranked within the list's capacity."""
        return self.rank is not None and self.rank <= capacity


@dataclass(frozen=True)
class Known:
    """What is known of a person at a month, whatever the risk; None where the caller may not see it."""

    as_of: dt.date
    officer_id: str
    post: str | None
    unit: str | None
    tenure_months: int | None
    dimensions: dict[str, Any]


@dataclass(frozen=True)
class Why:
    """The reasons of a score: log-odds of each of ``groups``, words of the strongest, the months behind them."""

    groups: tuple[str, ...]
    contributions: tuple[float, ...]
    strongest: list[dict[str, Any]]
    history: dict[str, Any]
    withheld: float | None = None
    """Log-odds of all health reasons together, where consent was withdrawn: none of them is told by itself."""


def seen(sight: Sight, purpose: str, score: Score) -> Seen:
    """Return a score as the caller may see it."""
    placed = Field.PLACE in sight.fields(purpose)
    return Seen(
        officer_id=sight.shown_id(score.officer_id, purpose),
        post=score.post if placed else None,
        unit=score.unit if placed else None,
        **{name: getattr(score, name) for name in PARTS_OF_SCORE},
    )


def known(sight: Sight, facts: Facts) -> Known:
    """Return what is known of a person as the caller may see it."""
    placed = any(Field.PLACE in sight.fields(purpose) for purpose in sight.purposes)
    return Known(
        as_of=facts.as_of,
        officer_id=sight.pseudonym(facts.officer_id) if sight.pseudonymous else facts.officer_id,
        post=facts.post if placed else None,
        unit=facts.unit if placed else None,
        tenure_months=facts.tenure_months if placed else None,
        dimensions=facts.dimensions if placed else {},
    )


def number_of(session: Session, sight: Sight, asked: str) -> str:
    """Return the number in the store of somebody whom the caller names; '' where it can be nobody.

    Who knows pseudonyms only gets nobody for a number, and the other way round.
    """
    if not sight.pseudonymous:
        return asked
    if not asked.startswith(PSEUDONYM):
        return ""
    return _number_behind(session, sight, asked)


def _number_behind(session: Session, sight: Sight, asked: str) -> str:
    """The number of a pseudonym of this home; all are looked through once, and again for one that is not known."""
    known = _pseudonyms.of(sight.salt, dict)
    if asked not in known:
        found = {sight.pseudonym(number): number for number in session.scalars(select(Facts.officer_id).distinct())}
        known.update(found)
        return found.get(asked, "")
    return known[asked]


def hidden_groups(session: Session, sight: Sight, batch: Batch) -> frozenset[str]:
    """Return the groups of a list's reasons that the caller may not see: those that draw on health data.

    Where the profile of the list is not kept, nobody can tell which these are: then it is all of them.
    """
    return frozenset() if Field.HEALTH in sight.fields(batch.purpose) else health_groups(session, batch)


def health_groups(session: Session, batch: Batch) -> frozenset[str]:
    """Return the groups of a list's reasons that draw on health data; all where its profile is not kept."""
    if batch.profile_digest not in _health:
        held = session.get(ProfileRow, batch.profile_digest)
        if held is None:
            return frozenset(batch.groups)
        _health[batch.profile_digest] = _on_health(held.content)
    return _health[batch.profile_digest]


def shown_reasons(strongest: list[dict[str, Any]], hidden: frozenset[str]) -> list[dict[str, Any]]:
    """Return reasons without those of hidden groups."""
    return [reason for reason in strongest if reason["measure"] not in hidden]


def why(batch: Batch, reasons: Any, hidden: frozenset[str], withheld: float | None = None) -> Why:
    """Return stored reasons without hidden groups; ``withheld``: what some of these sum to, where it may be told."""
    pairs = zip(batch.groups, reasons.contributions, strict=True)
    kept = [(group, push) for group, push in pairs if group not in hidden]
    return Why(
        groups=tuple(group for group, _ in kept),
        contributions=tuple(push for _, push in kept),
        strongest=shown_reasons(reasons.strongest, hidden),
        history={group: values for group, values in reasons.history.items() if group not in hidden},
        withheld=withheld,
    )


def _on_health(profile: dict[str, Any]) -> frozenset[str]:
    """Sensitive measures, and the rates and sequences made of them."""
    measures = {key for key, measure in profile["measures"].items() if measure["sensitive"]}
    settings = profile["settings"]
    rates = {key for key, rate in settings["rates"].items() if {rate["of"], rate["per"]} & measures}
    runs = {key for key, each in settings["sequences"].items() if {each["first"], each["then"]} & measures}
    return frozenset(measures | rates | runs)

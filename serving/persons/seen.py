"""Persons as a caller may see them: hidden parts are None, numbers become pseudonyms where only those may be known."""

import datetime as dt
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from features.names import GROUPS
from features.statistics import FEWEST
from serving.access.roles import Field
from serving.access.sight import PSEUDONYM, Sight
from serving.scored.kept import Newest
from serving.scored.told import gated
from serving.tables import Batch, Facts, ProfileRow, Score

PARTS_OF_SCORE = ("probability", "low", "high", "rank", "evidence", "previous_rank", "part_post", "part_unit",
                  "part_person")  # fmt: skip
NO_PARTS = dict.fromkeys(("part_post", "part_unit", "part_person"))
OF_PLACE = frozenset({"post"})
"""Groups of reasons that tell the post itself."""
SHARED = 0.5
"""A measure that is looked at in less than so many of the posts tells the post of whom it is told."""
OTHERS = "other"
"""The name of all groups together that are not told one by one."""
MIDDLE = re.compile(r"，本岗位中位数 [^，]+|; the post's middle [^;]+")
"""What a reason's sentence says of the post."""

_pseudonyms: Newest[dict[str, str]] = Newest(2)
"""This home's salt -> pseudonym -> number: what a pseudonym stands for never changes."""
_health: dict[str, frozenset[str]] = {}
"""Digest of a profile -> the groups of reasons that draw on health data; a digest's content never changes."""
_place: dict[str, frozenset[str]] = {}
"""The same for those that tell the post."""


@dataclass(frozen=True)
class Seen:
    """One person of a list; post, unit and the split by them are None where the caller may not see post and unit."""

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
    """The reasons of a score: log-odds of each of ``groups``, words of the strongest, the months behind them.

    Where the caller may not see the post, the last group is OTHERS: the sum of ``together`` groups.
    """

    groups: tuple[str, ...]
    contributions: tuple[float, ...]
    strongest: list[dict[str, Any]]
    history: dict[str, Any]
    withheld: float | None = None
    """Log-odds of all health reasons together, where consent was withdrawn: none of them is told by itself."""
    together: int = 0

    @property
    def number(self) -> int:
        """How many groups the contributions are of."""
        return len(self.groups) + max(self.together - 1, 0)


def seen(sight: Sight, purpose: str, score: Score) -> Seen:
    """Return a score as the caller may see it."""
    placed = Field.PLACE in sight.fields(purpose)
    told = {name: getattr(score, name) for name in PARTS_OF_SCORE}
    return Seen(
        officer_id=sight.shown_id(score.officer_id, purpose),
        post=score.post if placed else None,
        unit=score.unit if placed else None,
        **(told if placed else told | NO_PARTS),
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
    """Return the groups of a list's reasons that the caller may not see: those of health data and of the post.

    Where the profile of the list is not kept, nobody can tell which draw on health data: then it is all of them.
    """
    fields = sight.fields(batch.purpose)
    health = frozenset[str]() if Field.HEALTH in fields else health_groups(session, batch)
    return health if Field.PLACE in fields else health | place_groups(session, batch)


def place_groups(session: Session, batch: Batch) -> frozenset[str]:
    """Return the groups of a list's reasons that tell the post, or may: all where its profile is not kept.

    These are what the rules of few posts name, what the list's medians know in few, and of measures what they never
    speak of.
    """
    if batch.profile_digest not in _place:
        held = session.get(ProfileRow, batch.profile_digest)
        if held is None:
            return OF_PLACE.union(batch.groups)
        _place[batch.profile_digest] = OF_PLACE | _named_by_few(held.content)
    never_drawn = set(batch.groups).difference(GROUPS, *batch.medians.values())
    return _place[batch.profile_digest] | _drawn_in_few(batch.medians) | never_drawn


def health_groups(session: Session, batch: Batch) -> frozenset[str]:
    """Return the groups of a list's reasons that draw on health data; all where its profile is not kept."""
    if batch.profile_digest not in _health:
        held = session.get(ProfileRow, batch.profile_digest)
        if held is None:
            return frozenset(batch.groups)
        _health[batch.profile_digest] = _on_health(held.content)
    return _health[batch.profile_digest]


def shown_reasons(strongest: list[dict[str, Any]], hidden: Set[str]) -> list[dict[str, Any]]:
    """Return reasons without those of hidden groups."""
    return [reason for reason in strongest if reason["measure"] not in hidden]


def told_reasons(sight: Sight, batch: Batch, strongest: list[dict[str, Any]], hidden: Set[str]) -> list[dict[str, Any]]:
    """Return reasons as the caller may see them; without the post, only some are told and nothing in them tells it.

    A post's median, to the last digit, sorts persons by post; and the small contributions together have much of it.
    So only reasons that pass the gate are told by themselves, and always FEWEST groups or more are left to be summed.
    """
    shown = shown_reasons(strongest, hidden)
    if Field.PLACE in sight.fields(batch.purpose):
        return shown
    most = len(set(batch.groups) - hidden - OF_PLACE) - FEWEST
    return [_unplaced(reason) for reason in shown if gated(reason)][: max(most, 0)]


def why(
    sight: Sight,
    batch: Batch,
    reasons: Any,
    hidden: Set[str],
    *,
    withheld: float | None = None,
    apart: Set[str] = frozenset(),
) -> Why:
    """Return stored reasons without hidden groups; ``withheld``: the sum of those ``apart``, where it may be told.

    Where the caller may not see the post, all groups without a reason of their own are one sum, what tells the post
    within it; base value, contributions and ``withheld`` still add up to the margin.
    """
    pushes = dict(zip(batch.groups, reasons.contributions, strict=True))
    strongest = told_reasons(sight, batch, reasons.strongest, hidden)
    kept = {group: push for group, push in pushes.items() if group not in hidden}
    together = 0
    if Field.PLACE not in sight.fields(batch.purpose):
        named = {reason["measure"] for reason in strongest}
        kept = {group: push for group, push in kept.items() if group in named}
        rest = sum(pushes.values()) - sum(kept.values()) - (withheld or 0.0)
        together = len(pushes) - len(kept) - len(apart & pushes.keys())
        kept[OTHERS] = rest
    return Why(
        groups=tuple(kept),
        contributions=tuple(kept.values()),
        strongest=strongest,
        history={group: values for group, values in reasons.history.items() if group not in hidden},
        withheld=withheld,
        together=together,
    )


def _unplaced(reason: dict[str, Any]) -> dict[str, Any]:
    """A reason without the post's median, in figures and in words."""
    said = {name: MIDDLE.sub("", reason[name]) for name in ("sentence_zh", "sentence_en")}
    return {**reason, "peers": None, **said}


def _on_health(profile: dict[str, Any]) -> frozenset[str]:
    """Sensitive measures, and the rates and sequences made of them."""
    return _made_of(profile, {key for key, measure in profile["measures"].items() if measure["sensitive"]})


def _made_of(profile: dict[str, Any], measures: set[str]) -> frozenset[str]:
    """Some measures, and the rates and sequences made of any of them."""
    settings = profile["settings"]
    rates = {key for key, rate in settings["rates"].items() if {rate["of"], rate["per"]} & measures}
    runs = {key for key, each in settings["sequences"].items() if {each["first"], each["then"]} & measures}
    return frozenset(measures | rates | runs)


def _named_by_few(profile: dict[str, Any]) -> frozenset[str]:
    """What the rules of few posts name, and no others': it tells whose work it is, whatever its number."""
    posts = profile["posts"]
    named = {post: set(_texts([rules, rules.get("versions")])) for post, rules in posts.items()}
    known = profile["measures"].keys() | profile["settings"]["rates"].keys()
    times = {key: sum(key in texts for texts in named.values()) for key in sorted(known)}
    return _made_of(profile, {key for key, many in times.items() if 0 < many < SHARED * len(posts)})


def _drawn_in_few(medians: dict[str, dict[str, list[float | None]]]) -> frozenset[str]:
    """What is known in few posts only, or is anything but nothing there only, by the posts' own medians."""
    groups, fewer = {group for drawn in medians.values() for group in drawn}, SHARED * len(medians)
    known = {group: [drawn.get(group, []) for drawn in medians.values()] for group in groups}
    there = {group: sum(any(value is not None for value in post) for post in posts) for group, posts in known.items()}
    some = {group: sum(any(post) for post in posts) for group, posts in known.items()}
    return frozenset(group for group in groups if there[group] < fewer or 0 < some[group] < fewer)


def _texts(rules: Any) -> Iterator[str]:
    """Every key and text within a post's rules."""
    if isinstance(rules, str):
        yield rules
    elif isinstance(rules, (dict, list, tuple)):
        for each in rules:
            yield from _texts(each)
        yield from _texts(list(rules.values())) if isinstance(rules, dict) else ()

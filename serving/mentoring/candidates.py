"""Who is to be paired: officers warned of decline, stars as mentors; what each needs or is strong in; who may not.

Nothing here reads health data or a wellness list. A mentor's own strain is the list of decline and measured workload.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from features.errors import Refusal
from features.histories.store import load_roster
from features.histories.tables import Histories
from features.months import last_day, month_end, month_of, month_text
from features.profile import Profile
from serving.mentoring import asking
from serving.mentoring.asking import Listed, Star
from serving.mentoring.fit import FULL_STRENGTH, Barred, Fits, Longs, Side, in_command, nearness
from serving.mentoring.recent import Recent, recent


@dataclass(frozen=True)
class LeftOut:
    """Somebody who takes no part in a round, and why; ``figures`` fill the sentence."""

    officer_id: str
    side: str
    kind: str
    figures: Mapping[str, Any]


@dataclass(frozen=True)
class Candidates:
    """Both sides of a round: ``places`` are free places of each mentor; ``skills`` names the columns of both sides."""

    profile: Profile
    risks: tuple[str, ...]
    as_of: dt.date
    mentors: Side
    mentees: Side
    places: Longs
    near: Fits
    barred: Barred
    skills: tuple[str, ...]
    place_of: Mapping[str, tuple[str, str]]
    """Post and unit of everyone concerned."""
    left_out: tuple[LeftOut, ...]
    kept: int


def candidates(session: Session, home: Path, as_of: dt.date | None = None) -> Candidates:
    """Return who is to be paired at a month (that of the newest list by default).

    A Refusal says what is missing: an action of mentoring, a list, stars.
    """
    roster = load_roster(home)
    profile, rules = roster.profile, roster.profile.settings.mentoring
    risks = answered(profile)
    day = asking.newest_list(session, risks, as_of)
    listed = asking.listed(session, risks, day)
    stars = asking.stars(session, month_end(month_of(day) - rules.star_months), day)
    if not stars:
        raise Refusal(
            f"There are no stars within {rules.star_months} months up to {month_text(month_of(day))}: ask the "
            f"administrator to run the assessment. 近 {rules.star_months} 个月没有警星，请联系管理员运行考核。",
            hint=f"Assess first: jingxing assess --as-of {month_text(month_of(day))}",
        )
    living = asking.living(session)
    facts = asking.facts(session, day, {*listed, *stars})
    seen = recent(home, sorted(facts), month_of(day), profile)
    refusing = asking.refusing(session, max(day, dt.date.today()))
    taught = {pair.mentee_id for pair in living}
    load = Counter(pair.mentor_id for pair in living)
    left = [
        *_mentees_left(listed, facts, taught=taught, refusing=refusing),
        *_mentors_left(profile, stars, facts, listed=listed, load=load, refusing=refusing, seen=seen),
    ]
    out = {(each.side, each.officer_id) for each in left}
    mentees = [name for name in sorted(listed) if name in facts and ("mentee", name) not in out]
    mentors = [name for name in sorted(stars) if name in facts and ("mentor", name) not in out]
    sides = _sides(session, profile, day, people=(mentors, mentees), facts=facts, listed=listed, seen=seen)
    return Candidates(
        profile=profile,
        risks=risks,
        as_of=day,
        mentors=sides.mentors,
        mentees=sides.mentees,
        places=np.array([rules.mentor_load - load[name] for name in mentors], dtype=np.int64),
        near=nearness(rules, sides.units),
        barred=_barred(roster, mentors, mentees, apart=asking.apart(session), as_of=month_of(day)),
        skills=sides.skills,
        place_of={name: (row[0], row[1]) for name, row in facts.items()},
        left_out=tuple(left),
        kept=len(living),
    )


def answered(profile: Profile) -> tuple[str, ...]:
    """Return the risks that mentoring answers and HR may know of; a Refusal where there are none."""
    actions = [action for action in profile.actions.values() if action.kind == "mentoring"]
    named = {risk for action in actions for risk in action.risks}
    found = tuple(key for key, risk in profile.risks.items() if key in named and risk.purpose == "development")
    if not found:
        raise Refusal(
            "No action of mentoring answers a risk whose purpose is development. 方案中没有针对发展类风险的结对措施。",
            hint="Give one in actions.yaml: kind: mentoring, risks: [...].",
        )
    return found


@dataclass(frozen=True)
class _Sides:
    """Mentors and mentees as arrays, with the names of units and skills that their codes stand for."""

    mentors: Side
    mentees: Side
    units: list[str]
    skills: tuple[str, ...]


def _sides(
    session: Session,
    profile: Profile,
    day: dt.date,
    *,
    people: tuple[list[str], list[str]],
    facts: Mapping[str, tuple[str, str, int]],
    listed: Mapping[str, Listed],
    seen: Recent,
) -> _Sides:
    mentors, mentees = people
    levels = asking.levels(session, day, {*mentees, *mentors})
    skills = tuple(sorted({key for row in levels.values() for key in row if _teachable(profile, key)}))
    posts, units = _codes(facts, 0), _codes(facts, 1)
    strong = [_strengths(levels.get(name, {}), skills) for name in mentors]
    needed = [_needs(profile, listed[name], levels.get(name, {}), skills) for name in mentees]
    return _Sides(
        mentors=_side(mentors, facts, posts, units, skills=strong, seen=seen),
        mentees=_side(mentees, facts, posts, units, skills=needed, seen=seen),
        units=list(units),
        skills=skills,
    )


def _teachable(profile: Profile, key: str) -> bool:
    """Presence is no skill: hours and shifts are left out."""
    measure = profile.measures.get(key)
    return measure is None or measure.kind != "attendance"


def _mentees_left(
    listed: Mapping[str, Listed], facts: Mapping[str, Any], *, taught: set[str], refusing: set[tuple[str, str]]
) -> Iterable[LeftOut]:
    for name in sorted(listed):
        if name in facts and name in taught:
            yield LeftOut(name, "mentee", "paired", {})
        elif name in facts and ("mentee", name) in refusing:
            yield LeftOut(name, "mentee", "said_no", {})


def _mentors_left(
    profile: Profile,
    stars: Mapping[str, Star],
    facts: Mapping[str, tuple[str, str, int]],
    *,
    listed: Mapping[str, Listed],
    load: Mapping[str, int],
    refusing: set[tuple[str, str]],
    seen: Recent,
) -> Iterable[LeftOut]:
    """Stars who can't mentor now: the first thing that stands in the way of each."""
    rules = profile.settings.mentoring
    for name in sorted(set(stars) & set(facts)):
        heavy = seen.above(name, rules.mentor_limits)
        if name in listed:
            yield LeftOut(name, "mentor", "strain", {"listed": True})
        elif ("mentor", name) in refusing:
            yield LeftOut(name, "mentor", "said_no", {})
        elif facts[name][2] < rules.mentor_tenure_months:
            yield LeftOut(name, "mentor", "junior", {"months": rules.mentor_tenure_months})
        elif heavy is not None:
            yield LeftOut(name, "mentor", "strain", {"measure": heavy[0], "value": heavy[1], "limit": heavy[2]})
        elif load[name] >= rules.mentor_load:
            yield LeftOut(name, "mentor", "full", {"load": load[name]})


def _strengths(levels: Mapping[str, asking.Level], skills: Sequence[str]) -> list[float]:
    """How strong somebody is in each indicator, 0 to 1."""
    return [min(max(levels[key].level, 0.0) / FULL_STRENGTH, 1.0) if key in levels else 0.0 for key in skills]


def _needs(profile: Profile, listed: Listed, levels: Mapping[str, asking.Level], skills: Sequence[str]) -> list[float]:
    """Which share of a mentee's need lies in each indicator: what the reasons name, and what fell or is low.

    A reason that is an indicator on which the person stands below the own usual or the peers counts as it pushes. What
    the reasons say of efficiency as a whole, or of nothing that can be taught, goes to the indicators that fell
    or lie below the post's middle, by how much.
    """
    need = dict.fromkeys(skills, 0.0)
    left = 0.0
    for reason in listed.reasons:
        key, push = reason["measure"], float(reason["contribution"])
        if key in need and _behind(profile, reason):
            need[key] += push
        else:
            left += push
    low = {key: max(row.before - row.level, 0.0) + max(-row.level, 0.0) for key, row in levels.items() if key in need}
    total = sum(low.values())
    for key, amount in low.items():
        need[key] += left * amount / total if total else 0.0
    whole = sum(need.values())
    return [need[key] / whole if whole else 0.0 for key in skills]


def _behind(profile: Profile, reason: Mapping[str, Any]) -> bool:
    """Whether the value is worse than the own usual or than the peers'."""
    part = profile.measures.get(reason["measure"]) or profile.settings.rates.get(reason["measure"])
    better = part.better if part else None
    others = [value for value in (reason["usual"], reason["peers"]) if value is not None]
    if better is None or reason["value"] is None:
        return False
    return any(reason["value"] < other if better == "up" else reason["value"] > other for other in others)


def _codes(facts: Mapping[str, tuple[str, str, int]], place: int) -> dict[str, int]:
    return {name: number for number, name in enumerate(sorted({str(row[place]) for row in facts.values()}))}


def _side(
    names: Sequence[str],
    facts: Mapping[str, tuple[str, str, int]],
    posts: Mapping[str, int],
    units: Mapping[str, int],
    *,
    skills: Sequence[Sequence[float]],
    seen: Recent,
) -> Side:
    return Side(
        officer_id=np.array(names, dtype=np.str_),
        post=np.array([posts[facts[name][0]] for name in names], dtype=np.int64),
        unit=np.array([units[facts[name][1]] for name in names], dtype=np.int64),
        tenure=np.array([facts[name][2] for name in names], dtype=np.int64),
        skills=np.array(skills, dtype=np.float32).reshape(len(names), -1),
        shifts=seen.shifts_of(names),
    )


def _barred(
    roster: Histories, mentors: Sequence[str], mentees: Sequence[str], *, apart: Iterable[tuple[str, str]], as_of: int
) -> Barred:
    superior = _superiors(roster, as_of)
    place = {str(name): number for number, name in enumerate(roster.officers)}
    known = [np.array([place[name] for name in names], dtype=np.int64) for names in (mentors, mentees)]
    i, j = in_command(superior, *known)
    rows = ({name: row for row, name in enumerate(names)} for names in (mentors, mentees))
    row_of_mentor, row_of_mentee = rows
    both = [pair for one, other in apart for pair in ((one, other), (other, one))]
    found = [(row_of_mentor[a], row_of_mentee[b]) for a, b in both if a in row_of_mentor and b in row_of_mentee]
    conflict = np.array(found, dtype=np.int64).reshape(-1, 2)
    return Barred(
        mentor=np.concatenate([i, conflict[:, 0]]),
        mentee=np.concatenate([j, conflict[:, 1]]),
        why=np.array(["command"] * len(i) + ["conflict"] * len(conflict), dtype=np.str_),
    )


def commanding(roster: Histories, one: str, other: str) -> bool:
    """Return whether one of two stands above the other at any distance, by the newest posting of each."""
    place = {str(name): number for number, name in enumerate(roster.officers)}
    if one not in place or other not in place:
        return False
    superior = _superiors(roster, int(month_of(dt.date.today())))
    above, _ = in_command(superior, np.array([place[one]]), np.array([place[other]]))
    return bool(len(above))


def _superiors(roster: Histories, as_of: int) -> Longs:
    """For each officer the position of the superior named in the posting that began last by the end of the month."""
    superior = np.full(len(roster.officers), -1, dtype=np.int64)
    begun = np.flatnonzero(roster.postings.first <= int(last_day(as_of)))
    named = roster.people["supervisor_id"].to_numpy(dtype=object)[begun]
    names = np.array([name if isinstance(name, str) else "" for name in named], dtype=np.str_)
    place = np.searchsorted(roster.officers, names)
    known = roster.officers[np.minimum(place, len(roster.officers) - 1)] == names
    superior[roster.postings.officer[begun]] = np.where(known, place, -1)  # sorted by first day: the last stays
    return superior

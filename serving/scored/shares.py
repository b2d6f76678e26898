"""What a unit's page says first: whether the roster, something shared, or single persons raise the unit's risk."""

import math
from collections.abc import Sequence

from features.histories.tables import Histories
from features.names import parse_name
from features.profile import Profile
from serving.scored.lists import ScoredUnit
from serving.words import number
from training.models.split import Carried, UnitShare

ELEVATED = math.log(1.2)
"""A unit is spoken of where its odds are a fifth above everyone else's or more."""
MOST = 0.5
"""The unit's people share most of it: this part or more; and rosters carry most of what is shared likewise."""
CERTAIN = 2.5
"""Standard errors: among units that differ by chance alone about one in 160 is further above the others."""
MEASURE_CERTAIN = 4.0
"""One measure of the roster alone may tell it, further out still: many measures are looked at."""
CARRIES = 0.05
"""A measure carries it where its push, in log-odds, is this or more."""
SHOWN = 6


def scored_units(given: Histories, risk: str, shares: Sequence[UnitShare]) -> list[ScoredUnit]:
    """Return what is stored of each unit; health data never among the measures shown."""
    return [_scored_unit(given, risk, share) for share in shares]


def _scored_unit(given: Histories, risk: str, share: UnitShare) -> ScoredUnit:
    profile = given.profile
    open_ = [each for each in share.carried if each.push >= CARRIES and _tellable(profile, each)]
    rosters = [each for each in open_ if _set_by_rosters(profile, each)]
    ordered = (rosters + [each for each in open_ if each not in rosters])[:SHOWN]
    return ScoredUnit(
        unit=given.units[share.unit],
        people=share.people,
        elevated=share.elevated,
        shared=share.shared,
        verdict=verdict(share, rosters),
        carried=[_told(profile, each, each in rosters) for each in ordered],
        levers=_levers(profile, risk, [each.group for each in rosters]),
    )


def verdict(share: UnitShare, rosters: Sequence[Carried]) -> str:
    """Return roster, shared (by the unit, but not mostly by its roster), persons, or none (it is not elevated).

    The roster is the cause where its measures together carry half of the shared part.
    """
    if share.elevated < ELEVATED:
        return "none"
    certain = share.certain >= CERTAIN or any(each.certain >= MEASURE_CERTAIN for each in rosters)
    if share.shared < MOST * share.elevated or not certain:
        return "persons"
    return "roster" if rosters and sum(each.push for each in rosters) >= MOST * share.shared else "shared"


def _measures(profile: Profile, group: str) -> list[str]:
    """The measures behind a group: its own, or those of a rate or sequence."""
    rate, sequence = profile.settings.rates.get(group), profile.settings.sequences.get(group)
    if rate:
        return [rate.of, rate.per]
    return [sequence.first, sequence.then] if sequence else [group]


def _tellable(profile: Profile, each: Carried) -> bool:
    """No health data; and the unit's number is another than its peers', as it is read."""
    known = [profile.measures[key] for key in _measures(profile, each.group) if key in profile.measures]
    alike = math.isnan(each.value) or math.isnan(each.others) or number(each.value) == number(each.others)
    return not alike and not any(measure.sensitive for measure in known)


def _set_by_rosters(profile: Profile, each: Carried) -> bool:
    """Work that rosters and tasks hand out, and of which the unit has another amount than its peers."""
    measure = profile.measures.get(_measures(profile, each.group)[0])
    if measure is None or measure.dimension != "workload":
        return False
    return each.value > each.others if measure.better != "up" else each.value != each.others


def _told(profile: Profile, each: Carried, roster: bool) -> dict[str, object]:
    window = parse_name(each.feature).months
    return {
        "measure": each.group,
        "push": each.push,
        "value": each.value,
        "others": each.others,
        "window": window,
        "roster": roster,
        "lever": roster and each.group in profile.measures and window is not None,
    }


def _levers(profile: Profile, risk: str, groups: Sequence[str]) -> list[dict[str, str]]:
    """What the profile lets a commander arrange or decide against these measures."""
    carried = {key for group in groups for key in _measures(profile, group)}
    return [
        {language: action.label.get(language) for language in ("zh", "en")}
        for action in profile.actions.values()
        if "commander" in (action.owner, action.decides) and risk in action.risks and carried & set(action.reasons)
    ]

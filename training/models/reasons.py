"""Reasons: a score's contributions told as sentences with the person's number, own usual and the post's middle."""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features.engine import FeatureRows, feature_names
from features.names import parse_name
from features.others import Counts
from features.profile import Profile
from features.statistics import FEWEST
from training.models.telling import TOLD, Teller

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

USUAL_MONTHS = 12
DEFAULT_MONTHS = 3
NOTHING = 1e-12
"""Contributions below this are not reasons; they are left out."""


Asked = Callable[[str, Counts], Counts]
"""Gives everyone's counts of a name for those of some rows."""


@dataclass(frozen=True)
class Reason:
    """One group's push on the margin, and the number it is told with (None = unknown or not applicable).

    ``stable``: it passes the reason gate and is shown; what does not is still in the sum.
    """

    group: str
    contribution: float
    feature: str
    window: int | None
    value: float | None
    usual: float | None
    peers: float | None
    sentence_zh: str
    sentence_en: str
    stable: bool = True

    def sentence(self, language: str) -> str:
        """Return the sentence in ``zh`` or ``en``."""
        return self.sentence_zh if language == "zh" else self.sentence_en

    def as_json(self) -> dict[str, Any]:
        """Return the reason as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """How the groups of some inputs are told from some columns: worked out once for a model.

    ``columns`` [group] are the places of a group's inputs among the model's names; ``of`` [group] its candidates: the
    numbers that it may be told with. Of each candidate: its place among the seen columns, that of the own usual and
    that of its push among the inputs (-1 where there is none), and the months of both windows (1 where there is none).
    """

    groups: tuple[str, ...]
    columns: tuple[Places, ...]
    of: tuple[slice, ...]
    names: tuple[str, ...]
    place: Places
    usual: Places
    push: Places
    months: Places
    longer: Places
    summed: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Told:
    """The candidate that each group of each row is told with, and its three numbers; all [row, group]."""

    chosen: Places
    value: Array
    usual: Array
    peers: Array


def told_names(profile: Profile, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the model's names and those that its reasons are told with besides: sums, means and own usual."""
    known = set(feature_names(profile))
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(parse_name(name).group, []).append(name)
    wanted = dict.fromkeys(names)
    for group, members in groups.items():
        for name in _candidates(members, known, group):
            wanted.update(dict.fromkeys(one for one in (name, _usual_name(name)) if one in known))
    return tuple(wanted)


def reasons(
    profile: Profile,
    names: tuple[str, ...],
    seen: FeatureRows,
    contributions: Array,
    *,
    stable: npt.NDArray[np.bool_] | None = None,
    known: Array | None = None,
    told: Asked | None = None,
) -> list[tuple[Reason, ...]]:
    """Return each row's reasons, the strongest first; their contributions add up to margin less base value.

    ``contributions`` are [row, name]; ``seen`` should hold told_names for a whole cohort, for the post's middle is
    the median over its rows. ``stable`` [row, group], groups in the order of names, says which pass the reason gate
    (all where it is not given). ``known`` [row] is how many months each person's records reach back (every window where
    it is not given): sentences tell the months that a window really covers, and the own usual is reckoned over these.
    ``told`` gives everyone's counts of a name for those of these rows, where they are a part of a cohort.
    """
    plan = _plan(names, tuple(seen.names))
    reach = np.full(len(seen.values), np.inf) if known is None else known
    best, teller = _told(plan, seen, contributions, reach, told=told), Teller(profile)
    found: list[list[Reason]] = [[] for _ in range(len(seen.values))]
    for number, (group, columns) in enumerate(zip(plan.groups, plan.columns, strict=True)):
        held = [True] * len(found) if stable is None else stable[:, number].tolist()
        numbers = zip(*(part[:, number].tolist() for part in (best.value, best.usual, best.peers)), strict=True)
        sums = contributions[:, columns].sum(axis=1).tolist()
        for row, (push, chosen, three) in enumerate(zip(sums, best.chosen[:, number].tolist(), numbers, strict=True)):
            if abs(push) > NOTHING:
                name = plan.names[chosen]
                window = parse_name(name).months
                covered = window if window is None else int(min(window, max(reach[row], 1)))
                said = teller.sentences(name, three, covered=covered, up=push > 0)
                value, usual, peers = (None if math.isnan(one) else one for one in three)
                found[row].append(Reason(group, push, name, window, value, usual, peers, *said, held[row]))
    return [tuple(sorted(row, key=lambda reason: -abs(reason.contribution))) for row in found]


@functools.lru_cache(maxsize=64)
def _plan(names: tuple[str, ...], seen: tuple[str, ...]) -> Plan:
    """How a model's inputs are told from the columns that are there."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(parse_name(name).group, []).append(name)
    chosen = [_candidates(members, set(seen), group) for group, members in groups.items()]
    bounds = np.cumsum([0, *map(len, chosen)]).tolist()
    candidates = tuple(name for several in chosen for name in several)
    column, there = ({name: place for place, name in enumerate(several)} for several in (names, seen))
    usual = [_usual_name(name) for name in candidates]
    months = [[parse_name(name).months or 1 if name else 1 for name in several] for several in (candidates, usual)]
    return Plan(
        groups=tuple(groups),
        columns=tuple(np.asarray([column[name] for name in members], dtype=np.int64) for members in groups.values()),
        of=tuple(slice(first, after) for first, after in itertools.pairwise(bounds)),
        names=candidates,
        place=np.asarray([there[name] for name in candidates], dtype=np.int64),
        usual=np.asarray([there.get(name, -1) for name in usual], dtype=np.int64),
        push=np.asarray([column.get(name, -1) for name in candidates], dtype=np.int64),
        months=np.asarray(months[0], dtype=np.int64),
        longer=np.asarray(months[1], dtype=np.int64),
        summed=np.asarray([parse_name(name).statistic == "sum" for name in candidates], dtype=np.bool_),
    )


def _told(plan: Plan, seen: FeatureRows, contributions: Array, known: Array, *, told: Asked | None) -> Told:
    """The candidate of each group that pushes most, with the person's number, the own usual and the post's middle."""
    chosen = np.empty((len(known), len(plan.groups)), dtype=np.int64)
    for number, several in enumerate(plan.of):
        pushes = np.abs(contributions[:, plan.push[several]]) * (plan.push[several] >= 0)
        chosen[:, number] = several.start + np.argmax(pushes, axis=1)
    middles = _middles(plan, seen, told)
    peers = middles[seen.post[:, None], chosen].astype(np.float64)
    value = np.take_along_axis(seen.values, plan.place[chosen], axis=1).astype(np.float64)
    return Told(chosen, value, _usual(plan, seen, chosen, known), peers)


def _usual(plan: Plan, seen: FeatureRows, chosen: Places, known: Array) -> Array:
    reach = np.maximum(known, 1)[:, None]
    own, longer = np.minimum(plan.months[chosen], reach), np.minimum(plan.longer[chosen], reach)
    values = np.take_along_axis(seen.values, plan.usual[chosen], axis=1).astype(np.float64)
    usual = values * np.where(plan.summed[chosen], own / longer, 1.0)
    # who has no longer past than the window has no usual beside it
    return np.where((longer > own) & (plan.usual[chosen] >= 0), usual, np.nan)


def _middles(plan: Plan, seen: FeatureRows, told: Asked | None) -> npt.NDArray[np.float32]:
    """The median of each candidate in each post [post, candidate]; NaN where it is known of fewer than FEWEST.

    The middle of two would tell the one what the other has.
    """
    if told is not None:
        return _asked_middles(plan, seen, told)
    found = np.full((int(seen.post.max(initial=-1)) + 1, len(plan.names)), np.nan, dtype=np.float32)
    for post in np.unique(seen.post):
        values = np.sort(seen.values[seen.post == post][:, plan.place], axis=0)  # what is unknown comes last
        number = (~np.isnan(values)).sum(axis=0)
        low, high = (
            np.take_along_axis(values, np.maximum(place, 0)[None, :], axis=0)[0]
            for place in ((number - 1) // 2, number // 2)
        )
        found[post] = np.where(number >= FEWEST, (low + high) / np.float32(2), np.nan)
    return found


def _asked_middles(plan: Plan, seen: FeatureRows, told: Asked) -> npt.NDArray[np.float32]:
    several = [_counts(seen, place, name, told) for place, name in zip(plan.place.tolist(), plan.names, strict=True)]
    posts = max([int(seen.post.max(initial=-1)), *(int(counts.group.max(initial=-1)) for counts in several)]) + 1
    return np.stack([counts.medians(posts, fewest=FEWEST) for counts in several], axis=1).astype(np.float32)


def _counts(seen: FeatureRows, place: int, name: str, told: Asked) -> Counts:
    column = seen.values[:, place]
    known = ~np.isnan(column)
    return told(name, Counts.of(column[known], seen.post[known]))


def _candidates(members: Sequence[str], known: set[str], group: str) -> list[str]:
    """The numbers that a group can be told with: its own inputs of a told kind, else the sum or mean of a window."""
    for wanted in TOLD:
        chosen = [name for name in members if parse_name(name).statistic == wanted]
        if chosen:
            return chosen
    default = [name for kind in TOLD if (name := f"{group}__{kind}__{DEFAULT_MONTHS}m") in known]
    return default[:1] or list(members)


def _usual_name(name: str) -> str:
    """The own average over twelve months (36 for a longer window) that a number is held against; empty if none."""
    part = parse_name(name)
    if part.months is None or part.statistic not in TOLD:
        return ""
    longer = USUAL_MONTHS if part.months < USUAL_MONTHS else 3 * USUAL_MONTHS
    return f"{part.group}__{part.statistic}__{longer}m" if part.months < longer else ""


def ask_middles(names: tuple[str, ...], seen: FeatureRows, told: Asked | None) -> None:
    """Ask for everyone's counts of what the reasons of a model may be told with, as ``reasons`` does."""
    if told is None:
        return
    plan = _plan(names, tuple(seen.names))
    for place, name in zip(plan.place.tolist(), plan.names, strict=True):
        _counts(seen, place, name, told)

"""Reasons: a score's contributions told as sentences with the person's number, own usual and the post's middle."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from features.engine import FeatureRows, feature_names
from features.names import FeatureName, feature_sentence, group_label, number_text, parse_name, unit_text
from features.others import Counts
from features.profile import Profile

Array = npt.NDArray[np.float64]

TOLD = ("sum", "mean", "rate", "count", "level")
"""The statistics that a reason is told with, for these are numbers that a person knows of themselves."""
USUAL_MONTHS = 12
DEFAULT_MONTHS = 3
NOTHING = 1e-12
"""Contributions below this are not reasons; they are left out."""


Asked = Callable[[str, Counts], Counts]
"""Gives everyone's counts of a name for those of some rows."""


def _own(_name: str, counts: Counts) -> Counts:
    return counts


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
class Seen:
    """What reasons are drawn from: values [row, name] and posts of a cohort, contributions by name of the model."""

    names: tuple[str, ...]
    values: npt.NDArray[np.float32]
    post: npt.NDArray[np.int32]
    contributions: dict[str, Array]
    known: Array
    """How many months each person's records reach back: a longer window covers these alone."""
    told: Asked


@dataclass(frozen=True)
class Told:
    """The feature that a group is told with, for each row: its place in the names, and the three numbers."""

    place: list[int]
    value: list[float]
    usual: list[float]
    peers: list[float]


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
    told: Asked = _own,
) -> list[tuple[Reason, ...]]:
    """Return each row's reasons, the strongest first; their contributions add up to margin less base value.

    ``contributions`` are [row, name]; ``seen`` should hold told_names for a whole cohort, for the post's middle is
    the median over its rows. ``stable`` [row, group], groups in the order of names, says which pass the reason gate
    (all where it is not given). ``known`` [row] is how many months each person's records reach back (every window where
    it is not given): sentences tell the months that a window really covers, and the own usual is reckoned over these.
    ``told`` gives everyone's counts of a name for those of these rows, where they are a part of a cohort.
    """
    groups: dict[str, list[int]] = {}
    reach = np.full(len(seen.values), np.inf) if known is None else known
    for number, name in enumerate(names):
        groups.setdefault(parse_name(name).group, []).append(number)
    found: list[list[Reason]] = [[] for _ in range(len(seen.values))]
    for number, (group, columns) in enumerate(groups.items()):
        held = [True] * len(found) if stable is None else stable[:, number].tolist()
        pushes = dict(zip([names[column] for column in columns], contributions[:, columns].T, strict=True))
        best = _told(Seen(seen.names, seen.values, seen.post, pushes, reach, told), group)
        teller = _Teller(profile, group, seen.names)
        for row, contribution in enumerate(contributions[:, columns].sum(axis=1).tolist()):
            if abs(contribution) > NOTHING:
                found[row].append(teller.reason(contribution, best, row, stable=held[row], known=reach[row]))
    return [tuple(sorted(row, key=lambda reason: -abs(reason.contribution))) for row in found]


def _told(seen: Seen, group: str) -> Told:
    candidates = _candidates(list(seen.contributions), set(seen.names), group)
    pushes = np.column_stack([seen.contributions.get(name, np.zeros(len(seen.values))) for name in candidates])
    strongest = np.argmax(np.abs(pushes), axis=1) if len(pushes) else np.zeros(0, dtype=np.int64)
    places = np.asarray([seen.names.index(name) for name in candidates], dtype=np.int64)
    usual = np.column_stack([_usual(seen, name) for name in candidates])
    peers = np.column_stack([_middle(seen.values[:, seen.names.index(name)], seen.post, name, seen.told)
                             for name in candidates])  # fmt: skip
    rows = np.arange(len(seen.values))
    value = seen.values[rows, places[strongest]].astype(np.float64)
    return Told(
        places[strongest].tolist(), value.tolist(), usual[rows, strongest].tolist(), peers[rows, strongest].tolist()
    )


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


def _usual(seen: Seen, name: str) -> Array:
    part, other = parse_name(name), _usual_name(name)
    if other not in seen.names:
        return np.full(len(seen.values), np.nan)
    own, longer = (np.minimum(each.months or 1, np.maximum(seen.known, 1)) for each in (part, parse_name(other)))
    scale = own / longer if part.statistic == "sum" else 1.0
    usual = seen.values[:, seen.names.index(other)].astype(np.float64) * scale
    return np.where(longer > own, usual, np.nan)  # who has no longer past than the window has no usual beside it


def ask_middles(names: tuple[str, ...], seen: FeatureRows, told: Asked) -> None:
    """Ask for everyone's counts of what the reasons of a model may be told with, as ``reasons`` does."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(parse_name(name).group, []).append(name)
    for group, members in groups.items():
        for name in _candidates(members, set(seen.names), group):
            _middle(seen.values[:, seen.names.index(name)], seen.post, name, told)


def _middle(column: npt.NDArray[np.float32], post: npt.NDArray[np.int32], name: str, told: Asked) -> Array:
    known = ~np.isnan(column)
    counts = told(name, Counts.of(column[known], post[known]))
    posts = max(int(post.max(initial=-1)), int(counts.group.max(initial=-1))) + 1
    found: Array = counts.medians(posts).astype(np.float64)[post]
    return found


class _Teller:
    """Turns one group's numbers into sentences; the same numbers are told once and remembered."""

    def __init__(self, profile: Profile, group: str, names: tuple[str, ...]) -> None:
        self.profile, self.group, self.names = profile, group, names
        self.said: dict[tuple[object, ...], tuple[str, str]] = {}

    def reason(self, contribution: float, told: Told, row: int, *, stable: bool, known: float) -> Reason:
        place = told.place[row]
        part = parse_name(self.names[place])
        window = part.months
        covered = window if window is None else int(min(window, max(known, 1)))
        numbers = told.value[row], told.usual[row], told.peers[row]
        value, usual, peers = (None if math.isnan(number) else number for number in numbers)
        key = (place, covered, *(f"{number:.6g}" for number in numbers), contribution > 0)
        if key not in self.said:
            self.said[key] = (
                self._sentence(place, numbers, contribution, "zh", covered=covered),
                self._sentence(place, numbers, contribution, "en", covered=covered),
            )
        name = self.names[place]
        return Reason(self.group, contribution, name, window, value, usual, peers, *self.said[key], stable)

    def _sentence(
        self,
        place: int,
        numbers: tuple[float, float, float],
        contribution: float,
        language: str,
        *,
        covered: int | None,
    ) -> str:
        text = _chinese if language == "zh" else _english
        part = parse_name(self.names[place])
        part = part if part.months == covered else replace(part, months=covered)
        label = group_label(self.profile, part.group, language)
        if part.group == "post":
            return text(label, [], contribution)
        if part.statistic not in (*TOLD, "months", "months_since"):
            label = feature_sentence(self.profile, self.names[place], language)  # its window is no number of a person
        said = [number_text(number, language) for number in numbers]
        known = [not math.isnan(number) for number in numbers]
        unit = _unit(self.profile, part, language) if known[0] else ""
        return text(_number(label, said[0], unit, part, language), _context_words(said, known, language), contribution)


def _unit(profile: Profile, part: FeatureName, language: str) -> str:
    if part.statistic == "months":
        return "个月" if language == "zh" else "months"
    if part.statistic == "count":
        return "次" if language == "zh" else "times"
    return unit_text(profile, part, language)


def _number(label: str, said: str, unit: str, part: FeatureName, language: str) -> str:
    spaced = f"{said} {unit}" if unit else said
    if part.months is None or part.statistic not in TOLD:
        return f"{label} {spaced}" if language == "zh" else f"{label}: {spaced}"
    each = part.statistic == "mean"
    if language == "zh":
        return f"{label} {spaced}（近 {part.months} 个月{'月均' if each else ''}）"
    last = "last month" if part.months == 1 else f"last {part.months} months"
    return f"{label}: {spaced} ({'monthly mean, ' if each else ''}{last})"


def _context_words(said: Sequence[str], known: Sequence[bool], language: str) -> list[str]:
    found = []
    if known[1]:
        found.append(f"自己平时 {said[1]}" if language == "zh" else f"usually {said[1]}")
    if known[2]:
        found.append(f"本岗位中位数 {said[2]}" if language == "zh" else f"the post's middle {said[2]}")
    return found


def _chinese(head: str, context: Sequence[str], contribution: float) -> str:
    return "，".join([head, *context, "推高风险" if contribution > 0 else "降低风险"])


def _english(head: str, context: Sequence[str], contribution: float) -> str:
    return "; ".join([head, *context, "pushes the risk up" if contribution > 0 else "pushes the risk down"])

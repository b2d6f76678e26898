"""The sentences of reasons, in Chinese and English: a number, what is usual for the person, the post's middle."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from features.names import FeatureName, feature_sentence, group_label, number_text, parse_name, unit_text
from features.profile import Profile
from features.same import Same

TOLD = ("sum", "mean", "rate", "count", "level")
"""The statistics that a reason is told with, for these are numbers that a person knows of themselves."""
Numbers = tuple[float, float, float]
"""The person's own, the usual and the post's middle; NaN where unknown."""


class Teller:
    """Turns numbers into sentences; the same numbers are told once and remembered."""

    def __init__(self, profile: Profile) -> None:
        self.profile = Same(profile)
        self.said: dict[tuple[object, ...], tuple[str, str]] = {}

    def sentences(self, name: str, numbers: Numbers, *, covered: int | None, up: bool) -> tuple[str, str]:
        """Return the sentences in Chinese and English; ``covered`` are the months that the window really covers."""
        key = (name, covered, *(f"{number:.6g}" for number in numbers), up)
        if key not in self.said:
            zh, en = (
                _sentence(_frame(self.profile, name, covered, language), numbers, language, up=up)
                for language in ("zh", "en")
            )
            self.said[key] = zh, en
        return self.said[key]


@dataclass(frozen=True)
class Frame:
    """What of a sentence no number changes: the words before and after the number, its unit; the label alone."""

    before: str
    unit: str
    after: str
    label: str = ""


@lru_cache(maxsize=10_000)
def _frame(profile: Same[Profile], name: str, covered: int | None, language: str) -> Frame:
    part = parse_name(name)
    label = group_label(profile.value, part.group, language)
    if part.group == "post":
        return Frame("", "", "", label)
    if part.statistic not in (*TOLD, "months", "months_since"):
        label = feature_sentence(profile.value, name, language)  # its window is no number of a person
    part = part if part.months == covered else replace(part, months=covered)
    before = f"{label} " if language == "zh" else f"{label}: "
    return Frame(before, _unit(profile.value, part, language), _window(part, language))


def _sentence(frame: Frame, numbers: Numbers, language: str, *, up: bool) -> str:
    text = _chinese if language == "zh" else _english
    if frame.label:
        return text(frame.label, [], up=up)
    said = [number_text(number, language) for number in numbers]
    known = [not math.isnan(number) for number in numbers]
    unit = f" {frame.unit}" if frame.unit and known[0] else ""
    return text(f"{frame.before}{said[0]}{unit}{frame.after}", _context_words(said, known, language), up=up)


def _unit(profile: Profile, part: FeatureName, language: str) -> str:
    if part.statistic == "months":
        return "个月" if language == "zh" else "months"
    if part.statistic == "count":
        return "次" if language == "zh" else "times"
    return unit_text(profile, part, language)


def _window(part: FeatureName, language: str) -> str:
    if part.months is None or part.statistic not in TOLD:
        return ""
    each = part.statistic == "mean"
    if language == "zh":
        return f"（近 {part.months} 个月{'月均' if each else ''}）"
    last = "last month" if part.months == 1 else f"last {part.months} months"
    return f" ({'monthly mean, ' if each else ''}{last})"


def _context_words(said: Sequence[str], known: Sequence[bool], language: str) -> list[str]:
    found = []
    if known[1]:
        found.append(f"自己平时 {said[1]}" if language == "zh" else f"usually {said[1]}")
    if known[2]:
        found.append(f"本岗位中位数 {said[2]}" if language == "zh" else f"the post's middle {said[2]}")
    return found


def _chinese(head: str, context: Sequence[str], *, up: bool) -> str:
    return "，".join([head, *context, "推高风险" if up else "降低风险"])


def _english(head: str, context: Sequence[str], *, up: bool) -> str:
    return "; ".join([head, *context, "pushes the risk up" if up else "pushes the risk down"])

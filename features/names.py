"""Feature names and their sentences: ``<measure>__<statistic>__<window>``, told without a table of names."""

import functools
import math
from dataclasses import dataclass

from features.errors import Refusal
from features.profile import Profile
from features.statistics import STATISTICS
from features.texts import Text

OTHERS = {
    "vs_peers": Text(
        zh="近 {months} 个月与同岗位相比（标准差）",
        en="{months} months against the same post, in standard deviations",
    ),
    "unit": Text(zh="所在单位其他人近 {months} 个月平均", en="mean of the others in the unit, {months} months"),
    "rate": Text(zh="近 {months} 个月", en="over {months} months"),
    "in_a_row": Text(zh="近 {months} 个月最长连续天数", en="longest run of days in {months} months"),
    "back_to_back": Text(zh="近 {months} 个月连续两日次数", en="back-to-back days in {months} months"),
    "level": Text(
        zh="近 {months} 个月平均（同岗位标准差）",
        en="mean of {months} months, in standard deviations of the post",
    ),
    "is": Text(zh="所在岗位", en="present post"),
    "months": Text(zh="月数", en="months"),
}
GROUPS = {
    "efficiency": Text(zh="效能指数", en="Efficiency index"),
    "tenure": Text(zh="从警时间", en="Length of service"),
    "transfer": Text(zh="调入现岗位以来", en="Since the last transfer"),
    "post": Text(zh="岗位", en="Post"),
}


@dataclass(frozen=True)
class FeatureName:
    """A name in its parts; ``months`` is None where the statistic has no window."""

    group: str
    statistic: str
    months: int | None


@functools.lru_cache(maxsize=16_384)
def parse_name(name: str) -> FeatureName:
    """Return the parts of a feature name; a Refusal for anything else."""
    parts = name.split("__")
    if len(parts) == 2 and all(parts):
        return FeatureName(parts[0], parts[1], None)
    if len(parts) == 3 and parts[1] == "is":
        return FeatureName(parts[0], f"is__{parts[2]}", None)
    if len(parts) == 3 and all(parts) and parts[2].endswith("m") and parts[2][:-1].isdigit():
        return FeatureName(parts[0], parts[1], int(parts[2][:-1]))
    raise Refusal(
        f"'{name}' is not a feature name.",
        hint="It is <measure>__<statistic>__<window>, e.g. night_shift__sum__3m.",
    )


def group_of(name: str) -> str:
    """Return what the feature is about: a measure, rate, sequence, or efficiency, tenure, transfer, post."""
    return parse_name(name).group


def group_label(profile: Profile, group: str, language: str) -> str:
    """Return the label of a group in ``zh`` or ``en``."""
    return GROUPS[group].get(language) if group in GROUPS else profile.label(group, language)


def feature_sentence(profile: Profile, name: str, language: str, *, value: float | None = None) -> str:
    """Return what the feature is, and its value with the measure's unit where one is given."""
    part = parse_name(name)
    if part.statistic.startswith("is__"):
        what = (
            f"{group_label(profile, part.group, language)}："
            if language == "zh"
            else f"{group_label(profile, part.group, language)}: "
        )
        return what + profile.label(part.statistic.removeprefix("is__"), language)
    row = STATISTICS.get(part.statistic)
    text = (row.text if row else OTHERS[part.statistic]).get(language).replace("{months}", str(part.months))
    label = group_label(profile, part.group, language)
    sentence = f"{label}，{text}" if language == "zh" else f"{label}, {text}"
    if value is None:
        return sentence
    said = number_text(value, language)
    unit = unit_text(profile, part, language)
    return (
        f"{sentence}：{said}{' ' + unit if unit else ''}"
        if language == "zh"
        else f"{sentence}: {said}{' ' + unit if unit else ''}"
    )


def unit_text(profile: Profile, part: FeatureName, language: str) -> str:
    """Return the unit of a feature's value; empty where it has none."""
    if part.statistic == "months_since":
        return "个月" if language == "zh" else "months"
    if part.statistic == "days_since":
        return "天" if language == "zh" else "days"
    measure = profile.measures.get(part.group)
    plain = part.statistic in {"sum", "mean", "unit", "vs_self", "spread", "decay"}
    return measure.unit.get(language) if measure and measure.unit and plain else ""


def number_text(value: float, language: str) -> str:
    """Return a number as a person would write it: whole where it is whole, else at most two figures."""
    if math.isnan(value):
        return "无记录" if language == "zh" else "no record"
    if abs(value - round(value)) < 0.005 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) < 10 else f"{value:.1f}".rstrip("0").rstrip(".")

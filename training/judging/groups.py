"""What an audit of fairness found in one group, and which groups lie beyond a policy's bounds. Computes no figure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from features.policy import Policy
from features.texts import Text
from training.judging.metrics import Figure

PLAIN = ("selection", "precision", "missed", "calibration")
LABELS: Mapping[str, Text] = {
    "sex": Text(zh="性别", en="sex"),
    "age": Text(zh="年龄", en="age"),
    "post": Text(zh="岗位", en="post"),
    "unit_size": Text(zh="单位规模", en="unit size"),
    "unit": Text(zh="单位", en="unit"),
    "tenure": Text(zh="工龄（年）", en="tenure (years)"),
}
PERSONAL = ("sex", "age")
"""The dimensions whose false-negative rate is bounded."""


@dataclass(frozen=True)
class Deviation:
    """How far a group is off in one respect, with a standard error; ``level`` is what the bound is relative to.

    ``calibration``: mean probability minus rate, beyond what holds for all others; level: the mean of the two.
    ``precision``: that of its members on the list; level: that of all others there. ``missed``: false-negative rate
    minus that of all others; level: 1. ``persons`` is how many persons it rests on.
    """

    value: float
    error: float
    level: float
    persons: int


@dataclass(frozen=True)
class GroupFigures:
    """The figures of one group over the test rows; NaN where they are withheld or do not exist.

    ``positives`` counts the persons who had the outcome; ``rate`` is its share among the rows. ``selection``: share on
    the list; ``precision``: share of those on the list with the outcome; ``missed``: false-negative rate;
    ``calibration``: mean probability minus rate.
    """

    dimension: str
    group: str
    persons: int
    positives: int
    rows: int
    rate: float
    selection: Figure
    precision: Figure
    missed: Figure
    calibration: Figure
    deviations: Mapping[str, Deviation]

    def state(self, policy: Policy) -> str:
        """Return ``judged``, ``too few persons`` or ``too few outcomes``."""
        if self.persons < policy.fairness_min_persons:
            return "too few persons"
        return "judged" if self.positives >= policy.fairness_min_positives else "too few outcomes"

    def as_json(self) -> dict[str, Any]:
        """Return plain values, None for NaN."""
        told = {name: getattr(self, name) for name in ("dimension", "group", "persons", "positives", "rows")}
        figures = {name: getattr(self, name).as_json() for name in PLAIN}
        deviations = {key: _rounded(vars(found)) for key, found in self.deviations.items()}
        return {**told, **_rounded({"rate": self.rate}), **figures, "deviations": deviations}

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> "GroupFigures":
        """Return the figures that ``as_json`` gave."""
        figures: dict[str, Any] = {name: Figure(*(_number(part) for part in stored[name])) for name in PLAIN}
        deviations = {key: Deviation(**found) for key, found in stored["deviations"].items()}
        plain: dict[str, Any] = {name: stored[name] for name in ("dimension", "group", "persons", "positives", "rows")}
        return cls(**plain, rate=_number(stored["rate"]), **figures, deviations=deviations)


@dataclass(frozen=True)
class Unfair:
    """A group that lies beyond a bound, and by what figure."""

    figure: str
    of: GroupFigures
    bound: float

    @property
    def en(self) -> str:
        """The sentence in English."""
        who = f"{LABELS[self.of.dimension].en} '{self.of.group}'"
        found, level = self.of.deviations[self.figure], self.of.deviations[self.figure].level
        if self.figure == "calibration":
            way = "too high" if found.value > 0 else "too low"
            return (
                f"{who}: its probabilities are {abs(found.value):.3f} {way} on average beyond what holds for all "
                f"others ({self.of.rate:.3f} of its rows had the outcome); the bound is {self.bound:.3f}"
            )
        if self.figure == "precision":
            return (
                f"{who}: {found.value:.3f} of its members on the list had the outcome, {level:.3f} of all "
                f"others there; the bound is {self.bound:.3f}"
            )
        return (
            f"{who}: the false-negative rate {self.of.missed.value:.3f} is {found.value:.3f} above that of all others; "
            f"the bound is {self.bound:.3f}"
        )

    @property
    def zh(self) -> str:
        """The sentence in Chinese."""
        who = f"{LABELS[self.of.dimension].zh}“{self.of.group}”"
        found, level = self.of.deviations[self.figure], self.of.deviations[self.figure].level
        if self.figure == "calibration":
            way = "偏高" if found.value > 0 else "偏低"
            return (
                f"{who}：扣除其他人共同偏差后，概率平均{way} {abs(found.value):.3f}"
                f"（实际发生率 {self.of.rate:.3f}），界限 {self.bound:.3f}"
            )
        if self.figure == "precision":
            return f"{who}：名单中实际发生的占 {found.value:.3f}，其他人为 {level:.3f}，界限 {self.bound:.3f}"
        return f"{who}：漏报率 {self.of.missed.value:.3f}，比其他人高 {found.value:.3f}，界限 {self.bound:.3f}"


def unfair(groups: Sequence[GroupFigures], policy: Policy) -> list[Unfair]:
    """Return what lies beyond the policy's bounds, the false-discovery rate over all groups and figures controlled.

    Each judged figure is tested against its bound, one-sided, with its standard error (Wald); the bound must be
    passed by the value itself too. Benjamini and Hochberg (1995) over all of them.
    """
    tested = [
        (Unfair(figure, group, _bound(figure, found, policy)), _chance(figure, found, policy))
        for group in groups
        if group.state(policy) == "judged"
        for figure, found in group.deviations.items()
    ]
    if not tested:
        return []
    adjusted = scipy.stats.false_discovery_control(np.asarray([chance for _, chance in tested]))
    return [one for (one, _), chance in zip(tested, adjusted, strict=True) if chance <= policy.fairness_false_discovery]


def _bound(figure: str, found: Deviation, policy: Policy) -> float:
    if figure == "calibration":
        return max(policy.fairness_calibration, policy.fairness_calibration_share * found.level)
    return policy.fairness_precision_share * found.level if figure == "precision" else policy.fairness_missed


def _chance(figure: str, found: Deviation, policy: Policy) -> float:
    """How likely so much would be seen of a group that lies just on the bound."""
    bound = _bound(figure, found, policy)
    beyond = {"calibration": abs(found.value) - bound, "precision": bound - found.value, "missed": found.value - bound}
    error = found.error
    if figure == "precision":  # a group with no hit at all has no spread of its own
        error = max(error, math.sqrt(bound * (1 - bound) / max(1, found.persons)))
    return float(scipy.stats.norm.sf(beyond[figure] / error)) if error > 0 else 1.0


def _number(part: float | None) -> float:
    return math.nan if part is None else float(part)


def _rounded(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: (None if math.isnan(part) else round(part, 6)) if isinstance(part, float) else part
        for key, part in found.items()
    }

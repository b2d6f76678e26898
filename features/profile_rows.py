"""The rows of a profile's files: measures, posts, risks, actions and settings, each strict and with its defaults."""

import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, field_validator

from features.assessment.rules import AssessmentRules
from features.help_rules import MentoringRules, WhatIfRules
from features.policy import Policy
from features.rest_rules import RestRules
from features.texts import Month, Part, Text, as_valid, ascending, both

Assessed = Literal["workload", "quality", "satisfaction"]
ASSESSED: tuple[Assessed, ...] = ("workload", "quality", "satisfaction")
"""The three dimensions of the assessment; wellbeing, honour and action are never assessed."""

KEY = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
Key = Annotated[str, Field(pattern=KEY)]
Dimension = Literal["workload", "quality", "satisfaction", "wellbeing", "honour", "action"]
Kind = Literal["attendance", "paperwork", "activity", "outcome", "residents", "superiors"]
Review = Literal["week", "month", "quarter", "case"]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Versions = TypeVar("Versions", bound=Iterable[Any])


def _in_order(value: Versions) -> Versions:
    ascending(tuple(value))
    return value


class MeasureVersion(Part):
    """What a measure is worth from a month on."""

    valid_from: Month
    points: float | None = Field(default=None, allow_inf_nan=False)
    difficulty: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    negative_list: bool | None = None


class Measure(Part):
    """One thing that is counted or rated: a row of measures.yaml."""

    label: Text | None = None
    unit: Text | None = None
    dimension: Dimension
    aggregate: Literal["sum", "mean", "max", "last"] = "sum"
    better: Literal["up", "down"] | None = None
    sensitive: bool = False
    points: float = Field(default=0.0, allow_inf_nan=False)
    negative_list: bool = False
    raises: tuple[str, ...] = ()
    lowers: tuple[str, ...] = ()
    daily: bool = False
    """Its days are looked at too: days in a row, back-to-back pairs."""
    exempt: bool = False
    """Its value counts days away from the post's work (leave, secondment, declared operation)."""
    kind: Kind | None = None
    """What weight on it rewards; for the lint of the assessment and its blind spots."""
    difficulty: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Points are multiplied by it."""
    versions: tuple[MeasureVersion, ...] = ()
    """Points, difficulty and negative list that hold from a month on."""

    _labels = field_validator("label", "unit", mode="before")(both)
    _order = field_validator("versions")(_in_order)

    def at(self, month: int) -> "Measure":
        """Return the measure as its versions have it in a month."""
        return as_valid(self, self.versions, month)


Indicators = dict[Assessed, dict[str, Weight]]


class PostVersion(Part):
    """What of a post's rules holds from a month on; what is not named stays as it was."""

    valid_from: Month
    risk_coefficient: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    load_coefficient: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    review: Review | None = None
    indicators: Indicators | None = None
    bonus: dict[str, Weight] | None = None
    in_hand: tuple[str, ...] | None = None


class Post(Part):
    """One post: its indicators with weights inside each dimension, and its assessment window."""

    label: Text | None = None
    risk_coefficient: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    load_coefficient: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Points of the post are multiplied by it, as by the risk coefficient."""
    review: Review = "month"
    indicators: Indicators = Field(default_factory=dict)
    bonus: dict[str, Weight] = Field(default_factory=dict)
    in_hand: tuple[str, ...] = ()
    """Measures whose events in a month say that long work is in hand and not yet closed."""
    versions: tuple[PostVersion, ...] = ()
    """Weights and coefficients that hold from a month on."""

    _labels = field_validator("label", mode="before")(both)
    _order = field_validator("versions")(_in_order)

    def at(self, month: int) -> "Post":
        """Return the post as its versions have it in a month."""
        return as_valid(self, self.versions, month)


class EventOutcome(Part):
    """The sum of a measure's events in the horizon reaches ``at_least``."""

    measure: str
    at_least: float = Field(default=1.0, gt=0, allow_inf_nan=False)


class IndexOutcome(Part):
    """The mean index of the horizon falls below the own baseline by so many peer standard deviations."""

    index: Literal["efficiency"]
    falls_by: float = Field(default=0.5, gt=0, allow_inf_nan=False)
    baseline_months: int = Field(default=12, ge=1, le=60)


class Risk(Part):
    """One risk to predict: a row of risks.yaml."""

    label: Text | None = None
    outcome: EventOutcome | IndexOutcome
    horizon_months: int = Field(ge=1, le=60)
    maturity_months: int = Field(default=0, ge=0, le=120)
    purpose: Literal["wellness", "development"] = "development"
    capacity_percent: float = Field(default=2.0, gt=0, le=100)
    """How many of the cohort the team can attend to in a month, in percent (at least 10 persons)."""
    acted_on: str | None = None
    """The measure whose events say that help began because a flag of this risk was acted on; never a model input."""

    _labels = field_validator("label", mode="before")(both)

    @field_validator("outcome", mode="before")
    @classmethod
    def _one_form(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or ("measure" in value) == ("index" in value):
            raise ValueError("give either measure (with at_least) or index (with falls_by)")
        return EventOutcome.model_validate(value) if "measure" in value else IndexOutcome.model_validate(value)

    def capacity(self, cohort: int) -> int:
        """Return how many persons the list holds for a cohort of this size."""
        return min(cohort, max(10, math.ceil(cohort * self.capacity_percent / 100)))


class Rate(Part):
    """An exposure-adjusted figure: ``times`` x sum of ``of`` / sum of ``per``."""

    of: str
    per: str
    times: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    label: Text | None = None
    better: Literal["up", "down"] | None = None

    _labels = field_validator("label", mode="before")(both)


class Sequence(Part):
    """A pattern over two successive days: ``first`` on a day and ``then`` on the next (or same) day."""

    first: str
    then: str
    days_apart: Literal[0, 1] = 1
    label: Text | None = None

    _labels = field_validator("label", mode="before")(both)


class Settings(Part):
    """profile.yaml."""

    name: str = "unnamed"
    label: Text | None = None
    windows_months: tuple[Annotated[int, Field(ge=1, le=120)], ...] = (1, 3, 6, 12, 36)
    half_lives_months: tuple[Annotated[int, Field(ge=1, le=120)], ...] = (3, 6, 12, 24, 48)
    min_tenure_months: int = Field(default=6, ge=0, le=120)
    sensitive_basis: Literal["organisation", "person"] = "organisation"
    rates: dict[Key, Rate] = Field(default_factory=dict)
    sequences: dict[Key, Sequence] = Field(default_factory=dict)
    leading_months: int = Field(default=3, ge=1, le=24)
    """So many months ahead in the own post lead to training first, or to rotation (practice D2)."""
    policy: Policy = Policy()
    """Bounds of the model gate, life of a flag."""
    assessment: AssessmentRules = AssessmentRules()
    """Stars, ladders, warnings, what points buy."""
    mentoring: MentoringRules = MentoringRules()
    """Fit, vetoes and load of mentorships."""
    what_if: WhatIfRules = WhatIfRules()
    """The levers of a what-if question."""

    _labels = field_validator("label", mode="before")(both)

    @field_validator("windows_months")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value:
            raise ValueError("give at least one window")
        return tuple(sorted(set(value)))


class Action(Part):
    """One thing that can be offered: a row of actions.yaml."""

    label: Text
    kind: Literal["rest", "mentoring", "training", "rotation", "care", "culture"]
    practice: str
    owner: Literal["wellness", "hr", "commander", "officer"]
    """Who arranges it."""
    decides: Literal["wellness", "hr", "commander", "officer"]
    """Who decides on it."""
    risks: tuple[str, ...] = ()
    """The risks that it answers; empty where it does not depend on a risk."""
    reasons: tuple[str, ...] = ()
    """Offered first where these measures push the risk up."""
    recorded_as: str | None = None
    """The measure whose events say that it was taken."""
    due_every_months: int | None = Field(default=None, ge=1, le=120)
    """Due by right so often (a yearly check-up), whatever the risk."""
    after: dict[str, int] = Field(default_factory=dict)
    """Due when one of these measures had an event in so many months with no taking since."""
    length_days: float | None = Field(default=None, gt=0)
    quota_per_1000: float | None = Field(default=None, gt=0)
    """Places a month for a thousand officers."""
    due_days: int = Field(default=30, ge=1, le=365)
    """Whoever arranges it has so many days from the list's as-of."""
    rest: RestRules = RestRules()
    """Where its kind is rest: staffing, closed days, what is assumed of it."""
    why: Text
    """What it is for, in a sentence."""
    opening: Text | None = None
    """Words for the first conversation."""

    _labels = field_validator("label", "why", "opening", mode="before")(both)


class Rows(Part):
    """Every row of a profile by its key, as the files have them."""

    settings: Settings
    measures: dict[Key, Measure]
    posts: dict[str, Post]
    risks: dict[Key, Risk]
    actions: dict[Key, Action]

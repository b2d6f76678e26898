"""What a force decides about mentoring and about what-if questions: fit, vetoes, levers. Part of profile.yaml."""

from typing import Annotated

from pydantic import Field, field_validator

from features.texts import Part, Text, both

Weight = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
Percent = Annotated[float, Field(gt=0, le=100)]


class FitWeights(Part):
    """How much each part of the fit counts; the fit is their weighted mean, 0 to 1."""

    strengths: Weight = 4.0
    """What the mentee is weak in against what the mentor is strong in."""
    same_post: Weight = 2.0
    near: Weight = 1.0
    """Same unit, or units not far apart."""
    tenure_gap: Weight = 1.0
    shared_shifts: Weight = 1.0
    """Days of the last months on which both were on the same kind of shift."""


class MentoringRules(Part):
    """The key ``mentoring`` of profile.yaml."""

    weights: FitWeights = FitWeights()
    mentor_load: int = Field(default=1, ge=1, le=10)
    """So many mentees at most for one mentor."""
    star_months: int = Field(default=6, ge=1, le=36)
    """Stars of the assessments of so many months back may be mentors."""
    mentor_tenure_months: int = Field(default=24, ge=0, le=480)
    tenure_gap_months: tuple[int, int] = (24, 120)
    """A mentor with so much more service fits fully; with less, or much more, less well."""
    least_fit: float = Field(default=0.25, ge=0, le=1)
    """A pair that fits worse is no pair."""
    places: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Unit -> where it lies, in km east and north of any point; without it only the same unit is near."""
    near_km: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    """Two units so far apart count half as near as the same unit."""
    shift_measures: tuple[str, ...] = ()
    """Measures whose days say who was on shift together; all daily workload measures where empty."""
    mentor_limits: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    """Measure -> a month's mean of the last three above which a star carries too much to mentor; no health data."""
    refusal_months: int = Field(default=12, ge=1, le=120)
    """Who said no to any mentorship is not asked again for so long."""
    check_in_days: int = Field(default=30, ge=1, le=365)
    given_as: str | None = None
    """The measure under which a meeting is recorded for the mentor."""


class Lever(Part):
    """What command can change of a person's roster: a key of ``what_if.levers`` is the measure that falls."""

    label: Text | None = None
    carried: bool = True
    """Colleagues of the same unit and post have to take it over."""
    also: tuple[str, ...] = ()
    """Measures that fall by the same amount."""

    _labels = field_validator("label", mode="before")(both)


class WhatIfRules(Part):
    """The key ``what_if`` of profile.yaml."""

    months: int = Field(default=3, ge=1, le=12)
    """The last months' events are changed."""
    floor_percent: Percent = 10.0
    """No lower than the person at this percentile of the post."""
    carry_percent: Percent = 20.0
    """Colleagues of unit and post together take over at most this much of what they have."""
    levers: dict[str, Lever] = Field(default_factory=dict)

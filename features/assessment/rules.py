"""What a force decides about its assessment: stars, ladders, warnings, what points buy. Part of profile.yaml."""

from typing import Annotated

from pydantic import Field, field_validator

from features.texts import Month, Part, Text, ascending, both

Percent = Annotated[float, Field(gt=0, le=100)]
Deviations = Annotated[float, Field(gt=0, le=10)]


class Purchase(Part):
    """What points buy: a bonus, a training place, a place for recuperation."""

    key: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    label: Text
    cost: float = Field(gt=0, le=1e9, allow_inf_nan=False)
    """Points of one place."""
    places_per_1000: float = Field(gt=0, le=1000)
    """Places a month for a thousand officers."""

    _labels = field_validator("label", mode="before")(both)


class EqualRank(Part):
    """A technical title and the post of leading that has the same rank."""

    technical: Text
    leading: Text

    _labels = field_validator("technical", "leading", mode="before")(both)


LETTER = Text(
    zh="尊敬的{name}家属：您好！{name}同志在{unit}{post}岗位上，于 {quarter} 被评为季度警星。这一季度，{deeds}。"
    "这些成绩里，有您的理解、支持和牵挂。谨此报喜，并向您和家人致以敬意和感谢！",
    en="To the family of {name}: {name}, of {unit} ({post}), is a police star of {quarter}. In this quarter: {deeds}. "
    "Your understanding and support are part of it. With our congratulations, our respect and our thanks.",
)
BLANKS = {"name": "", "unit": "", "post": "", "quarter": "", "deeds": ""}


class AssessmentVersion(Part):
    """Rules that hold from a month on; what is not named stays as it was."""

    valid_from: Month
    star_percent: Percent | None = None
    star_min_months: int | None = Field(default=None, ge=1, le=3)
    star_min_ratings: int | None = Field(default=None, ge=1, le=1000)
    star_min_credibility: float | None = Field(default=None, ge=0, le=1)
    warning_bars_star: bool | None = None
    warning_months: int | None = Field(default=None, ge=1, le=120)
    appeal_days: int | None = Field(default=None, ge=1, le=730)
    leader_percent: Percent | None = None
    rotation_after_training_months: int | None = Field(default=None, ge=1, le=120)
    trained_at_least: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    falls_by: Deviations | None = None
    steady_level: Deviations | None = None
    honours: tuple[str, ...] | None = None
    technical: tuple[str, ...] | None = None
    leading: tuple[str, ...] | None = None
    ladder_by: Deviations | None = None
    equal_ranks: tuple[EqualRank, ...] | None = None
    hidden: tuple[str, ...] | None = None
    hidden_by: Deviations | None = None
    jump_by: Deviations | None = None
    blind_spot_by: Deviations | None = None
    letter: Text | None = None
    buys: tuple[Purchase, ...] | None = None


class AssessmentRules(Part):
    """The key ``assessment`` of profile.yaml; everything has a default."""

    interval: float = Field(default=0.9, gt=0.5, lt=1)
    """How sure the intervals of levels and percentiles are."""
    star_percent: Percent = 5.0
    """So many of a post, in percent (at least one), are stars of the quarter."""
    star_min_months: int = Field(default=2, ge=1, le=3)
    """A star was assessed in so many months of the quarter."""
    star_min_ratings: int = Field(default=5, ge=1, le=1000)
    """A star has so many ratings in a dimension that consists of ratings."""
    star_min_credibility: float = Field(default=0.5, ge=0, le=1)
    """The figures of a star rest so far on own observations, and not on the post's middle."""
    warning_bars_star: bool = True
    """A standing warning of the negative list keeps from the star of that quarter."""
    warning_months: int = Field(default=12, ge=1, le=120)
    """A warning stands so long."""
    appeal_days: int = Field(default=60, ge=1, le=730)
    """It can be appealed so many days from the day it was recorded."""
    leader_percent: Percent = 10.0
    """Leading is to be in this best share of the own post."""
    rotation_after_training_months: int = Field(default=12, ge=1, le=120)
    """Who leads and had training within so many months is proposed for rotation, everyone else for training."""
    trained_at_least: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """So much of the measure that records training counts as having had it."""
    falls_by: Deviations = 0.5
    """A month counts towards decline when it lies so far below the own twelve months before."""
    steady_level: Deviations = 0.5
    """A steady strong performer has this mean of twelve months, and three of four months above the middle."""
    honours: tuple[str, ...] = ()
    """Measures of the honour ledger; empty: every measure of the dimension honour."""
    technical: tuple[str, ...] = ()
    """Measures that speak for the technical ladder."""
    leading: tuple[str, ...] = ()
    """Measures that speak for leading and mentoring others."""
    ladder_by: Deviations = 0.5
    """One ladder is named when its measures are so far ahead of the other's."""
    equal_ranks: tuple[EqualRank, ...] = ()
    hidden: tuple[str, ...] = ()
    """Work that shows little; empty: every measure with a direction that the post does not count."""
    hidden_by: Deviations = 1.0
    """Hidden performance: uncounted measures so far above the index."""
    jump_by: Deviations = 0.4
    """Gaming watch: a measure that rose so much more than its neighbours after the rules changed."""
    blind_spot_by: Deviations = 1.0
    """Blind spot: superiors and residents so far apart on one officer."""
    letter: Text = LETTER
    """The letter of honour; {name}, {unit}, {post}, {quarter} and {deeds} are filled in."""
    letter_consent: str | None = None
    """The measure that records an officer's consent to a letter of honour; without it, consent is given by name."""
    buys: tuple[Purchase, ...] = ()
    versions: tuple[AssessmentVersion, ...] = ()

    @field_validator("letter")
    @classmethod
    def _fillable(cls, value: Text) -> Text:
        for text in (value.zh, value.en):
            try:
                text.format(**BLANKS)
            except (KeyError, IndexError, ValueError):
                raise ValueError(f"only {', '.join(f'{{{name}}}' for name in BLANKS)} can be filled in") from None
        return value

    @field_validator("versions")
    @classmethod
    def _in_order(cls, value: tuple[AssessmentVersion, ...]) -> tuple[AssessmentVersion, ...]:
        ascending(value)
        return value

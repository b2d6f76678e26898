"""What a force decides about its models and flags: bounds of the gate, life of a flag. Part of profile.yaml."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0, lt=1)]


class Policy(BaseModel):
    """The key ``policy`` of profile.yaml; every bound has a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flag_expires_months: int = Field(default=3, ge=1, le=24)
    """A flag that nobody renewed ends after so many months: it is mostly not the same persons year after year."""
    objection_days: int = Field(default=15, ge=1, le=180)
    """An objection is to be decided within so many calendar days."""
    retention_months: int = Field(default=60, ge=1, le=600)
    """Scores, reviews and histories are kept for so many months: what the notice tells."""

    randomised_band: float = Field(default=0.0, ge=0, le=0.2)
    """Persons whose expected benefit is so near that of the last who gets a place draw lots (serving/effects/band.py);
    0: nobody does. Every draw is in the log, and makes the effect of the help learnable."""
    impact_assessment: Literal["draft", "signed"] = "draft"
    """The state that an impact assessment must have reached before a model may serve."""
    forced_reason_length: int = Field(default=20, ge=1, le=1000)
    """A promotion against the gate needs a written reason of so many characters."""

    calibration_error: Share = 0.02
    """The calibration error may be so large in any case ..."""
    calibration_share: Share = 0.35
    """... and so large a share of the base rate, whichever is more."""
    calibration_ratio: float = Field(default=1.6, gt=1, le=10)
    """So many times too many, or too few, outcomes may be expected over the whole force."""
    calibration_slope: float = Field(default=1.7, gt=1, le=10)
    """Log-odds may be so many times too far apart, or too close together."""

    fairness_min_persons: int = Field(default=30, ge=5)
    """A smaller group is told as too small; its figures are withheld."""
    fairness_min_positives: int = Field(default=5, ge=1)
    """A group in which fewer persons had the outcome is told, and not judged."""
    fairness_calibration: Share = 0.05
    """A group's mean probability may be so far off beyond what holds for all others, in any case ..."""
    fairness_calibration_share: float = Field(default=0.25, gt=0, le=5)
    """... and by so large a share of the group's own rate, whichever is more."""
    fairness_precision_share: Share = 0.5
    """Of a group's members on the list at least this share of the others' precision must have the outcome."""
    fairness_missed: Share = 0.2
    """By sex and age, the false-negative rate may be so much higher than that of all others."""
    fairness_false_discovery: Share = 0.1
    """Share of false alarms among the groups that are called unfair (Benjamini and Hochberg 1995)."""

"""What a force decides about its models and flags: bounds of the gate, life of a flag. Part of profile.yaml."""

from pydantic import BaseModel, ConfigDict, Field


class Policy(BaseModel):
    """The key ``policy`` of profile.yaml; every bound has a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flag_expires_months: int = Field(default=3, ge=1, le=24)
    """A flag that nobody renewed ends after so many months: it is mostly not the same persons year after year."""

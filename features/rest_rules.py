"""How a kind of rest is planned: the key ``rest`` of an action in actions.yaml."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from features.texts import Part

Present = Annotated[float, Field(gt=0, le=1_000)]
"""Below 1 a share of those posted there, from 1 on a number of persons."""

_RANGE = re.compile(r"(\d{2})-(\d{2})(?:/(\d{2})-(\d{2}))?")


class RestRules(Part):
    """Staffing, closed days and what is assumed of one kind of rest."""

    takes: Literal["duty", "nights", "nothing"] = "duty"
    """Who rests is off duty, off nights only, or missed by nobody (an hour of counselling)."""
    unit_present: Present | None = None
    """So many of the unit stay present (or on nights) in every week in which somebody has this rest; None: no bound."""
    post_present: Present | None = None
    """The same, of those of the same post in the unit."""
    blackouts: tuple[str, ...] = ()
    """Days of every year on which this rest can't be taken: MM-DD, or MM-DD/MM-DD from first to last."""
    discreet: bool = False
    """It tells of health: only the wellness team sees the kind, everybody else sees a rest."""
    assumed_share: float = Field(default=0.0, ge=0, lt=1)
    """The share of a person's risk that it is assumed to take away where its effect can't be estimated."""
    again_after_months: int = Field(default=1, ge=0, le=60)
    """Who had it within so many months gets none by benefit."""

    @field_validator("unit_present", "post_present")
    @classmethod
    def _whole(cls, value: float | None) -> float | None:
        if value is not None and value >= 1 and value != int(value):
            raise ValueError("a share is below 1; from 1 on give a whole number of persons")
        return value

    @field_validator("blackouts")
    @classmethod
    def _ranges(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            found = _RANGE.fullmatch(text)
            if not found or not all(
                1 <= int(month or 1) <= 12 and 1 <= int(day or 1) <= 31
                for month, day in (found.groups()[:2], found.groups()[2:])
            ):
                raise ValueError(f"'{text}' is not MM-DD or MM-DD/MM-DD")
        return value

    def closed(self, month: int, day: int) -> bool:
        """Return whether a day of the year is closed; a range may run over the new year."""
        at = month, day
        for text in self.blackouts:
            first, _, last = text.partition("/")
            low, high = _day(first), _day(last or first)
            if (low <= at <= high) if low <= high else (at >= low or at <= high):
                return True
        return False


def _day(text: str) -> tuple[int, int]:
    month, day = text.split("-")
    return int(month), int(day)

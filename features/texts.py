"""The pieces that every part of a profile is made of: strict tables, texts in both languages, months of validity."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from features.errors import WrongUsage
from features.months import parse_month


class Part(BaseModel):
    """A table of a profile: an unknown key is refused, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(Part):
    """A text in both languages."""

    zh: str
    en: str

    def get(self, language: str) -> str:
        """Return the text in ``zh`` or ``en``."""
        return self.zh if language == "zh" else self.en


def both(value: Any) -> Any:
    """Return a plain text as one that is the same in both languages; anything else as it is."""
    return {"zh": value, "en": value} if isinstance(value, str) else value


def _month(value: Any) -> Any:
    try:
        return parse_month(value) if isinstance(value, str) else value
    except WrongUsage as refusal:
        raise ValueError(refusal.message()) from None


Month = Annotated[int, BeforeValidator(_month)]
"""A month of validity, written YYYY-MM: the rule holds from its first day on."""


class Dated(Protocol):
    """What holds from a month on."""

    @property
    def valid_from(self) -> int:
        """The first month in which it holds."""


Whole = TypeVar("Whole", bound=BaseModel)


def as_valid(whole: Whole, versions: Sequence[Dated], month: int) -> Whole:
    """Return ``whole`` with what its versions changed by that month; what a version doesn't name stays as it was."""
    changes: dict[str, Any] = {}
    for version in versions:
        if version.valid_from <= month:
            named = {name: value for name, value in vars(version).items() if value is not None}
            changes |= {name: value for name, value in named.items() if name != "valid_from"}
    return whole.model_copy(update=changes) if changes else whole


def ascending(versions: Sequence[Dated]) -> None:
    """Raise ValueError where versions are not in the order of their months, or two share one."""
    months = [version.valid_from for version in versions]
    if any(later <= earlier for earlier, later in pairwise(months)):
        raise ValueError("versions stand in the order of valid_from, each with a month of its own")

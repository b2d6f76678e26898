"""Keys of what is kept for a thing itself, and not for whatever is equal to it."""

from dataclasses import dataclass
from typing import Generic, TypeVar

Part = TypeVar("Part")


@dataclass(frozen=True, eq=False)
class Same(Generic[Part]):
    """A thing as a key that is equal to no other, be it alike in all."""

    value: Part

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is other.value

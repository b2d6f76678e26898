"""A new recipe beside the champion's on the same folds: a paired bootstrap over officers. Decides nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from features.profile import Profile
from training.dataset import TrainingSet
from training.folds import Fold
from training.judging.metrics import Figure
from training.judging.validation import OutOfFold, difference, validate
from training.recipe import Recipe


@dataclass(frozen=True)
class Incumbent:
    """The present champion: its version and how it was made."""

    version: str
    recipe: Recipe

    @classmethod
    def of_card(cls, version: str, card: Mapping[str, Any]) -> "Incumbent | None":
        """Return the champion that a card describes; None where an older card has no recipe."""
        return cls(version, Recipe.of_json(card["recipe"])) if "recipe" in card else None


@dataclass(frozen=True)
class Comparison:
    """Average precision of the new recipe less the champion's, on the same rows of the same folds."""

    version: str
    recipe: str
    same_recipe: bool
    difference: Figure

    def card(self) -> dict[str, Any]:
        """Return what the gate reads."""
        value, low, high = self.difference.as_json()
        told = {"version": self.version, "recipe": self.recipe, "same_recipe": self.same_recipe}
        return told | {"difference": value, "low": low, "high": high}

    def lines(self) -> list[str]:
        """Return one sentence."""
        if self.same_recipe:
            return [f"  champion version {self.version} has the same recipe: no difference, only newer months"]
        found = self.difference
        return [
            f"  against champion version {self.version} on the same folds: average precision {found.value:+.4f} "
            f"({found.low:+.4f} to {found.high:+.4f}, paired over officers)"
        ]


def compared(
    rows: TrainingSet,
    folds: Sequence[Fold],
    profile: Profile,
    *,
    mine: tuple[Recipe, OutOfFold],
    incumbent: Incumbent,
) -> Comparison:
    """Return how a recipe does beside the incumbent's, each trained anew in every fold.

    The incumbent's final model can't be judged on these months: it may have been trained on them. Both are judged on
    the persons whom the new recipe's models rank.
    """
    recipe, found = mine
    same = recipe.digest == incumbent.recipe.digest
    other = found
    if not same:
        other = validate(rows, folds, profile, incumbent.recipe, with_rivals=False).of_rows(found.row)
    return Comparison(incumbent.version, incumbent.recipe.digest, same, difference(found, other))

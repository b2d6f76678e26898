"""The recipe of a model: LightGBM's settings and the boosters that are averaged. No rows here."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

SETTINGS: Mapping[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 8,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "extra_trees": True,
    "max_bin": 63,
}
"""Strong regularisation throughout; how they were chosen stands in the README."""
BAG: tuple[Mapping[str, Any], ...] = (
    {},
    {"seed": 21, "extra_trees": False},
    {"seed": 22, "extra_trees": False},
)
"""The boosters whose mean is the model: one with random thresholds, two with the best ones (see the README)."""


@dataclass(frozen=True)
class Recipe:
    """How a model is made from rows. ``bag`` holds for each booster what differs from ``settings``."""

    settings: Mapping[str, Any] = field(default_factory=lambda: dict(SETTINGS))
    bag: tuple[Mapping[str, Any], ...] = BAG

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that tell recipes apart."""
        text = json.dumps(self.as_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def with_settings(self, **changed: Any) -> "Recipe":
        """Return the recipe with some settings changed."""
        return replace(self, settings={**self.settings, **changed})

    def single(self) -> "Recipe":
        """Return the recipe without bagging: its first booster only."""
        return replace(self, bag=self.bag[:1])

    def as_json(self) -> dict[str, Any]:
        """Return the recipe as plain values."""
        return {"settings": dict(self.settings), "bag": [dict(each) for each in self.bag]}

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> "Recipe":
        """Return the recipe that ``as_json`` gave."""
        return cls(dict(stored["settings"]), tuple(dict(each) for each in stored["bag"]))


STANDARD = Recipe()

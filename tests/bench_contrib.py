"""`jingxing` with LightGBM's own pred_contrib in the place of our TreeSHAP kernel; nothing else is changed."""

from collections.abc import Sequence
from typing import Any

from serving.cli import main
from training.models import risk_model
from training.models.treeshap import NotExplainable


def refuse(_boosters: Sequence[Any]) -> Any:
    """Say that our kernel can't explain: the model then asks LightGBM."""
    raise NotExplainable("The benchmark asks for LightGBM's own.")


risk_model.forest = refuse  # also where a process that scores imports this module again

if __name__ == "__main__":
    main()

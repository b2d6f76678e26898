"""Libraries that are loaded when they are first used: named at the door of a module, not inside its functions.

A command or a request that draws no picture and runs no model does not wait for what draws and what models.
"""

import importlib
from typing import Any


class Late:
    """Stands for a module until something of it is asked for; several threads may ask at once."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(importlib.import_module(self._name), attribute)
        setattr(self, attribute, found)
        return found

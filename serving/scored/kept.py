"""Values of a list that stay as they are while the list stands: kept, so that no page adds up 30,000 rows again."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from serving.access.sight import Sight
from serving.tables import Batch

Value = TypeVar("Value")
MOST = 64


class Kept(Generic[Value]):
    """The newest values by list and by what the caller may see; a list scored anew is another list."""

    def __init__(self) -> None:
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def of(self, batch: Batch, sight: Sight, make: Callable[[], Value]) -> Value:
        """Return the value of a list for a sight, made if it is not there."""
        key = (batch.id, batch.scored_at, batch.risk, sight)
        if key not in self._values:
            self._values[key] = make()
            while len(self._values) > MOST:
                self._values.popitem(last=False)
        return self._values[key]

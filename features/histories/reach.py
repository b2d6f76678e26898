"""From which day to which the histories reach. A month or a day outside is refused in words, the same by every command.

Nothing is known of it: rows made all the same would look like those of a force in which nothing happens.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.errors import Refusal
from features.histories.store import current_version
from features.histories.tables import Histories
from features.months import month_end, month_of, month_text

EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class Reach:
    """The day on which the first event occurred, and the last on which anything was recorded."""

    first: dt.date
    last: dt.date

    @property
    def months(self) -> range:
        """The months that can be asked for, the last one even if it is not over."""
        return range(month_of(self.first), month_of(self.last) + 1)

    def check_months(self, *months: int) -> None:
        """Raise a Refusal that names the first of ``months`` (month numbers) that the histories do not reach."""
        for month in months:
            if month not in self.months:
                first, last = month_text(self.months[0]), month_text(self.months[-1])
                raise Refusal(
                    f"{month_text(month)} lies outside the store, which holds {first} to {last}.",
                    hint="Choose a month between these, or ingest a newer export: jingxing ingest EXPORT",
                )

    def check_day(self, day: dt.date) -> None:
        """Raise a Refusal where the histories do not reach a day: up to the end of the last recorded month."""
        if day < self.first:
            raise Refusal(
                f"The histories begin on {self.first}: what stood on {day} is not known.",
                hint=f"Choose a day from {self.first} on.",
            )
        if day > month_end(month_of(self.last)):
            raise Refusal(
                f"The histories end on {self.last}: what stood on {day} is not known.",
                hint=f"Choose a day up to {self.last}, or ingest a newer export: jingxing ingest EXPORT",
            )


def reach_of(given: Histories) -> Reach:
    """Return how far histories reach; a Refusal where they hold no event."""
    if not len(given.events):
        raise _no_events()
    return reach_between(given.others.first_event(int(given.events.occurred.min())), given.last_recorded)


def reach_between(first: int, last: int) -> Reach:
    """Return the reach from the day of the first event to the last day of recording; a Refusal without either."""
    if first > last:
        raise _no_events()
    return Reach(_day(first), _day(last))


def stored_reach(home: Path) -> Reach:
    """Return how far the stored histories reach, by reading two columns; Refusals where nothing is stored."""
    table = pq.read_table(current_version(home) / "events.parquet", columns=["occurred", "recorded"])
    if not len(table):
        raise _no_events()
    return Reach(pc.min(table["occurred"]).as_py(), pc.max(table["recorded"]).as_py())


def _no_events() -> Refusal:
    return Refusal("The store holds no events.", hint="Begin with: jingxing ingest EXPORT")


def _day(number: int) -> dt.date:
    return EPOCH + dt.timedelta(days=number)

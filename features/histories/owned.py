"""Some officers' rows read alone: what a correction that moved an event to somebody else does to them.

A correction may name another officer than the row it replaces. Who is read alone would miss it, so the rows of such
events are kept by themselves, few as they are.
"""

import numpy as np
import numpy.typing as npt

from features.histories.tables import Events, Ints

Places = npt.NDArray[np.int64]


def of_several(officer: Ints, event: Places) -> npt.NDArray[np.bool_]:
    """Return which rows have an event_id (a number from 0 on, -1 for none) whose rows name several officers."""
    named = event >= 0
    size = int(event.max(initial=-1)) + 1
    first, last = np.full(size, np.iinfo(np.int32).max), np.full(size, -1)
    np.minimum.at(first, event[named], officer[named])
    np.maximum.at(last, event[named], officer[named])
    found = np.zeros(len(event), dtype=np.bool_)
    found[named] = (first != last)[event[named]]
    return found


def as_their_own(events: Events, moved: Events, chosen: Places) -> tuple[Events, Places]:
    """Return some officers' rows with what others' rows of the same event do to them, and whose event_id each has.

    ``events`` are all rows of the ``chosen`` officers that were read, ``moved`` the rows of events that name several. A
    later row of somebody else retracts the own one on the day it was recorded, under the own measure and day; an own
    retraction of somebody else's row is none of one's own. The places say which of ``events`` a row is or ends.
    """
    ends: list[tuple[int, int]] = []
    gone: list[int] = []
    for code in np.unique(moved.event[np.isin(moved.officer, chosen)]):
        _follow(events, moved, chosen, code=int(code), ends=ends, gone=gone)
    kept = np.delete(np.arange(len(events)), gone)
    if not ends:
        return events.take(kept), kept
    place, day = (np.array(column) for column in zip(*ends, strict=True))
    source = np.concatenate([kept, place])
    found = events.take(source)
    found.recorded[len(kept) :] = day
    found.value[len(kept) :] = np.nan
    order = np.lexsort((found.began, found.value, found.recorded, found.occurred, found.measure, found.officer))
    return found.take(order), source[order]


def _follow(
    events: Events, moved: Events, chosen: Places, *, code: int, ends: list[tuple[int, int]], gone: list[int]
) -> None:
    """Follow the rows of one event: ``ends`` gets (own row, day it was moved away), ``gone`` what is no own row."""
    own = np.flatnonzero(events.event == code)
    rows = np.flatnonzero(moved.event == code)
    last = -1
    for row in rows[np.argsort(moved.recorded[rows], kind="stable")]:
        if moved.officer[row] not in chosen:
            if last >= 0:
                ends.append((last, int(moved.recorded[row])))
            last = -1
            continue
        mine = own[events.recorded[own] == moved.recorded[row]]
        if len(mine) and last < 0 and np.isnan(events.value[mine[0]]):
            gone.append(int(mine[0]))
        elif len(mine):
            last = int(mine[0])

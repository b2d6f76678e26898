"""Help chosen from outside while the force lives on: who receives it, how much, and what the chooser may see."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.histories.tables import Ints
from features.simulation.mechanism import Extra, Mask


@dataclass(frozen=True)
class Help:
    """Who is helped in a month, and with what: days of leave and recuperation, sessions, roster relief, mentoring.

    It works like the same amounts under the policies and is recorded as such; ``recorded_as`` is one more measure
    under which each of these persons has an event, for a profile that tells help after a flag from routine.
    """

    officers: Sequence[str]
    rest: tuple[float, float, float, float] = (3.0, 7.0, 4.0, 1.0)
    mentoring: bool = False
    recorded_as: str | None = None


@dataclass(frozen=True)
class Recorded:
    """The tables of a force as they stood at the end of a month: what someone who chooses then may know.

    The small delays and amounts of corrections are drawn anew for every look, so a few rows may differ from the export.
    """

    as_of: int
    roster: pd.DataFrame
    events: pd.DataFrame


Intervene = Callable[[int, Callable[[], Recorded]], Help | None]
"""Called before each recorded month but the first: the as-of before it, and how to look at what is recorded then."""


def reached(help: Help | None, officers: Sequence[str], there: Mask) -> Ints:
    """Return the positions of those of the chosen who are there."""
    if help is None:
        return np.zeros(0, dtype=np.int32)
    wanted = np.isin(np.asarray(officers), np.asarray(help.officers, dtype=str))
    return np.flatnonzero(there & wanted).astype(np.int32)


def extra_of(help: Help, who: Ints, persons: int) -> Extra:
    """Return the help as arrays over persons."""
    rest, mentored = np.zeros((persons, len(help.rest))), np.zeros(persons, dtype=bool)
    rest[who] = help.rest
    mentored[who] = help.mentoring
    return Extra(rest, mentored)

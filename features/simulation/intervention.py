"""Help chosen from outside while the force lives on: who receives it, how much, and what the chooser may see.

`Waves` is a chooser whose help can be judged afterwards; `Trial` asks the truth for the effect of one action.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from features.histories.tables import Ints
from features.simulation.mechanism import REST_DAYS, Extra, Mask, Mechanism


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


REST_KINDS = ("compensatory_leave", "recuperation", "counselling", "roster_relief")
NEVER_OFFERED = -60.0
"""Log-odds that switch a policy off and leave its random numbers as they are."""


@dataclass(frozen=True)
class Trial:
    """A question to the truth: a risk with an action begun in the month after an as-of, and without it.

    ``action`` is one of REST_KINDS or ``mentoring``; ``amount`` its days or sessions (1 for relief and mentoring).
    In neither arm do the policies offer this action in that month; from the next one on they go on in both.
    """

    action: str
    risk: str
    as_ofs: tuple[int, ...]
    amount: float

    def without_policy(self, mechanism: Mechanism) -> Mechanism:
        """Return the mechanism of the first month, in which nobody is offered the action."""
        if self.action == "mentoring":
            return replace(mechanism, mentoring_level=NEVER_OFFERED)
        levels = [NEVER_OFFERED if kind == self.action else level
                  for kind, level in zip(REST_KINDS, mechanism.rest_policy, strict=True)]  # fmt: skip
        return replace(mechanism, rest_policy=(levels[0], levels[1], levels[2], levels[3]))

    def extra(self, persons: int, *, given: bool) -> Extra:
        """Return the action for all of so many persons, or nothing."""
        rest, mentored = np.zeros((persons, len(REST_KINDS))), np.zeros(persons, dtype=bool)
        if given and self.action == "mentoring":
            mentored[:] = True
        elif given:
            rest[:, REST_KINDS.index(self.action)] = self.amount
        return Extra(rest, mentored)


@dataclass(frozen=True)
class Wave:
    """Help after some as-ofs: ``chosen_by`` tells by which measure's last record, high or low first, who is helped.

    The chance is sigmoid(level + slope z), z the standardised last record, turned so that it grows with the need;
    who has no record is not helped.
    """

    as_ofs: tuple[int, ...]
    help: Help
    chosen_by: str
    high_first: bool
    level: float = -2.3
    slope: float = 0.8


@dataclass(frozen=True)
class Waves:
    """An ``Intervene`` that helps in waves, more often those at higher risk as far as records tell, with chance.

    Nothing hidden chooses: given what is recorded, who is helped does not depend on what would come.
    """

    waves: Sequence[Wave]
    seed: int

    def __call__(self, as_of: int, look: Callable[[], Recorded]) -> Help | None:
        """Return whom to help in the coming month."""
        for number, wave in enumerate(self.waves):
            if as_of in wave.as_ofs:
                rng = np.random.default_rng([self.seed, as_of, number])
                return replace(wave.help, officers=_drawn(wave, look().events, rng))
        return None


def _drawn(wave: Wave, events: pd.DataFrame, rng: np.random.Generator) -> list[str]:
    told = events[events["measure"] == wave.chosen_by].dropna(subset=["value"])
    recent = told.sort_values("occurred_on", kind="stable").groupby("officer_id")["value"].apply(_last_three)
    need = (recent - recent.mean()) / recent.std() * (1.0 if wave.high_first else -1.0)
    chance = 1.0 / (1.0 + np.exp(-(wave.level + wave.slope * need.to_numpy())))
    return [str(officer) for officer in need.index[rng.random(len(need)) < chance]]


def _last_three(values: "pd.Series[float]") -> float:
    return float(values.tail(3).mean())


def known_waves(*, last_month: int, months: int, seed: int, every: int = 7) -> tuple[Waves, tuple[Trial, Trial]]:
    """Return waves of recuperation and of mentoring with the trials that tell their true effects.

    Recuperation is chosen by the strain survey; mentoring, three months later, by low ratings of superiors.
    ``every`` is longer than both horizons: a truth without further help from outside is then that of what came.
    """
    first = last_month - months + 13
    rest = tuple(range(first, last_month - 5, every))
    mentoring = tuple(month + 3 for month in rest if month + 3 <= last_month - 3)
    days = float(REST_DAYS[1])
    chosen = (
        Wave(rest, Help((), rest=(0.0, days, 0.0, 0.0)), "strain_survey", high_first=True),
        Wave(mentoring, Help((), rest=(0.0,) * 4, mentoring=True), "supervisor_rating", high_first=False),
    )
    trials = (
        Trial("recuperation", "burnout", rest, days),
        Trial("mentoring", "efficiency_decline", mentoring, 1.0),
    )
    return Waves(chosen, seed), trials

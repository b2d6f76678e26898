"""How far the levers of a what-if go for each person: what everybody had in the last months, read once a version.

Amounts of the whole force fit in a megabyte; reading them takes seconds, so that it is done once for each month asked.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from features.asknown import NEVER, lifetimes
from features.cohort import Standing, standing
from features.errors import Refusal
from features.histories.store import load_some
from features.histories.tables import Histories
from features.months import first_day, last_day, month_text
from features.profile import Profile
from serving.persons.own_histories import mark_of, stored_roster
from serving.scored.kept import Newest

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Room:
    """How far a lever can be pulled: the person's amount in the last months, and how much less the roster allows.

    ``floor`` is the low end of the post, ``carry`` what colleagues of unit and post can take over (None: nobody has
    to). ``whole``: it is counted one by one.
    """

    lever: str
    now: float
    floor: float
    carry: float | None
    less: float
    whole: bool


@dataclass(frozen=True)
class Levers:
    """What each officer had of each lever in the profile's last months: ``amounts`` and ``whole`` [lever, officer]."""

    profile: Profile
    officers: npt.NDArray[np.str_]
    where: Standing
    amounts: npt.NDArray[np.float64]
    whole: Mask

    def rooms(self, officer: int) -> list[Room]:
        """Return for each lever of the profile how far the roster allows to pull it for an officer."""
        peers = self.where.post == self.where.post[officer]
        near = peers & (self.where.unit == self.where.unit[officer])
        return [
            _room(self.profile, key, amounts, me=officer, peers=peers, near=near, whole=bool(whole[officer]))
            for key, amounts, whole in zip(self.profile.settings.what_if.levers, self.amounts, self.whole, strict=True)
        ]


_levers: Newest[Levers] = Newest(2)
_one_reads = Lock()


def rooms_of(home: Path, officer_id: str, as_of: int) -> list[Room]:
    """Return how far each lever goes for an officer at a month; a Refusal for someone who had no post then."""
    with _one_reads:
        held = _levers.of((mark_of(home), as_of), lambda: _read(home, as_of))
    place = int(np.searchsorted(held.officers, officer_id))
    if place == len(held.officers) or held.officers[place] != officer_id or held.where.post[place] < 0:
        raise Refusal(f"'{officer_id}' has no post in {month_text(as_of)}.")
    return held.rooms(place)


def levers_of(given: Histories, as_of: int) -> Levers:
    """Return what the officers of some histories had of each lever."""
    amounts, whole = [], []
    for key in given.profile.settings.what_if.levers:
        rows, value = live(given, key, as_of)
        owner = given.events.officer[rows]
        amounts.append(np.bincount(owner, weights=value, minlength=len(given.officers)).astype(np.float64))
        whole.append(np.bincount(owner, weights=value != 1, minlength=len(given.officers)) == 0)
    shape = (len(amounts), len(given.officers))
    found = np.reshape(np.array(amounts, dtype=np.float64), shape), np.reshape(np.array(whole, dtype=bool), shape)
    return Levers(given.profile, given.officers, standing(given, as_of), *found)


def live(given: Histories, measure: str, as_of: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the rows of a measure that stand and occurred in the profile's last months, with their values."""
    events, life = given.events, lifetimes(given.events)
    since = int(first_day(as_of - given.profile.settings.what_if.months + 1))
    late = (events.occurred >= since) & (events.occurred <= int(last_day(as_of)))
    mine = events.measure == given.profile.measure_number[measure]
    rows = np.flatnonzero(mine & late & (life.died == NEVER))
    return rows, life.value[rows]


def _read(home: Path, as_of: int) -> Levers:
    roster = stored_roster(home)
    since = int(first_day(as_of - roster.profile.settings.what_if.months + 1))
    return levers_of(load_some(home, roster.officers.tolist(), since=since).until(as_of), as_of)


def _room(
    profile: Profile, key: str, amounts: npt.NDArray[np.float64], *, me: int, peers: Mask, near: Mask, whole: bool
) -> Room:
    rules, now = profile.settings.what_if, float(amounts[me])
    floor = float(np.percentile(amounts[peers], rules.floor_percent))
    colleagues = near.copy()
    colleagues[me] = False
    carry = float(amounts[colleagues].sum()) * rules.carry_percent / 100 if rules.levers[key].carried else None
    less = max(0.0, now - floor if carry is None else min(now - floor, carry))
    step = 1 if whole else 10
    return Room(key, now, floor, carry, math.floor(less * step + 1e-9) / step, whole)

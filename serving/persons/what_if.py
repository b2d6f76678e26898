"""What if: one person's risk, had the roster of the last months been lighter.

Events are changed; the histories then go through the one feature path and the champion. Nothing is stored. Peers and
unit stay as they were: of those who count for the person's features only what counts is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from features.cohort import standing
from features.engine import FeatureRows, feature_rows
from features.errors import Refusal
from features.histories.store import load_some
from features.histories.tables import Events, Histories
from features.months import first_day
from serving.persons.levers import Room, levers_of, live, rooms_of
from serving.persons.own_histories import stored_roster
from training.models.risk_model import RiskModel

PEERS_MONTHS = 12
"""Peers and unit count in features for so many months."""
MOST_PEERS = 1500
"""In a larger post so many peers stand for all, drawn the same way every time; the own unit is always whole."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Score:
    """A probability with its interval."""

    probability: float
    low: float
    high: float


@dataclass(frozen=True)
class WhatIf:
    """A person at a month, with everybody who counts for the features: ask for ``rooms``, then for ``scores``.

    ``told`` are the rooms by the whole force; without them they are those by the histories given.
    """

    given: Histories
    officer: int
    as_of: int
    told: Sequence[Room] | None = None

    def rooms(self) -> list[Room]:
        """Return for each lever of the profile how far the roster allows to pull it."""
        return list(self.told) if self.told is not None else levers_of(self.given, self.as_of).rooms(self.officer)

    def scores(self, model: RiskModel, less: Mapping[str, float]) -> tuple[Score, Score]:
        """Return the model's score of the histories as they are, and with so much less of each lever.

        A Refusal names a lever that is unknown, or that the roster does not allow to pull so far.
        """
        check_pulls(self.rooms(), less)
        now = self._scored(model, self.given)
        if not any(less.values()):
            return now, now
        changed = replace(self.given, events=eased(self.given, self.officer, less, as_of=self.as_of))
        return now, self._scored(model, changed)

    def _scored(self, model: RiskModel, given: Histories) -> Score:
        rows = feature_rows(given, [self.as_of], names=model.names)
        mine: FeatureRows = rows.take(np.flatnonzero(rows.officer == self.officer))
        scores = model.score(mine)
        return Score(float(scores.probability[0]), float(scores.low[0]), float(scores.high[0]))


def what_if(home: Path, officer_id: str, as_of: int) -> WhatIf:
    """Return a person's case at a month, with all of the own records and a year of those who count as peers or unit.

    A Refusal for someone who had no post then.
    """
    told, roster = rooms_of(home, officer_id, as_of), stored_roster(home)
    places = np.flatnonzero(roster.officers == officer_id)
    names = roster.officers[_around(roster, int(places[0]), as_of)]
    since = int(first_day(as_of - PEERS_MONTHS))
    given = load_some(home, names, since=since, whole=[officer_id]).until(as_of)
    return WhatIf(given, int(np.flatnonzero(given.officers == officer_id)[0]), as_of, told)


def check_pulls(told: Sequence[Room], less: Mapping[str, float]) -> None:
    """Raise a Refusal that names each lever that is unknown, or that the roster does not allow to pull so far."""
    rooms, problems = {room.lever: room for room in told}, []
    for key, amount in less.items():
        if key not in rooms:
            problems.append(f"{key}: no lever; there are {', '.join(rooms)}")
        elif not 0 <= amount <= rooms[key].less:
            problems.append(f"{key}: the roster allows 0 to {rooms[key].less:g} less, not {amount:g}")
        elif rooms[key].whole and not float(amount).is_integer():
            problems.append(f"{key}: a whole number")
    if problems:
        raise Refusal("These levers can't be pulled so:", problems)


def eased(given: Histories, officer: int, less: Mapping[str, float], *, as_of: int) -> Events:
    """Return the events with so much less of some levers for one officer, in the profile's last months.

    What is counted one by one loses whole rows, evenly over the months; amounts are scaled. Measures that go along
    (``also``) fall by the same amount.
    """
    rules = given.profile.settings.what_if
    gone, value = np.zeros(len(given.events), dtype=bool), given.events.value.copy()
    for key, amount in less.items():
        for measure in (key, *rules.levers[key].also):
            _ease(given, officer, measure, amount, as_of=as_of, gone=gone, value=value)
    twice = np.isin(given.events.event, given.events.event[gone & (given.events.event >= 0)])
    return replace(given.events, value=value).take(~(gone | twice))


def _around(roster: Histories, me: int, as_of: int) -> Mask:
    """The own unit, and the peers of every post held in the last year; a large post is drawn from."""
    now = standing(roster, as_of)
    unit = now.unit == now.unit[me]
    peers = np.zeros(len(roster.officers), dtype=bool)
    for month in range(as_of - PEERS_MONTHS, as_of + 1):
        where = standing(roster, month)
        peers |= (where.post >= 0) & (where.post == where.post[me])
    others = np.flatnonzero(peers & ~unit)
    if len(others) > MOST_PEERS:
        others = np.random.default_rng(0).choice(others, MOST_PEERS, replace=False)
    found: Mask = unit.copy()
    found[others] = True
    return found


def _ease(
    given: Histories,
    officer: int,
    measure: str,
    amount: float,
    *,
    as_of: int,
    gone: Mask,
    value: npt.NDArray[np.float64],
) -> None:
    """Mark the rows that go, or write smaller values, for one measure."""
    rows, amounts = live(given, measure, as_of)
    own = given.events.officer[rows] == officer
    rows, amounts = rows[own], amounts[own]
    total = float(amounts.sum())
    if total <= 0 or amount <= 0:
        return
    if (amounts == 1).all():
        order = rows[np.argsort(given.events.occurred[rows], kind="stable")]
        count = min(round(amount), len(order))
        gone[order[np.linspace(0, len(order) - 1, count).round().astype(np.int64)]] = True
    else:
        value[rows] = amounts * max(0.0, 1.0 - amount / total)

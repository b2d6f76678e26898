"""What a rest plan is asked for, as arrays: people, wishes, places, staffing. Nothing is solved here."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from features.errors import Refusal

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

EQUAL_BENEFIT = 0.001
"""Expected benefits closer than this tenth of a percentage point are equal: their intervals are far wider."""
LONGEST_WAIT = 99
"""Months without rest count among equals up to so many."""
FAIR_PLACE = 10
"""A place that a unit lacks of its share outweighs so many of the greatest benefits."""


@dataclass(frozen=True)
class RestKind:
    """A kind of rest as the plan sees it; ``unit_present`` and ``post_present``: see ``needed``."""

    key: str
    length_weeks: int = 1
    takes: Literal["duty", "nights", "nothing"] = "duty"
    places: int | None = None
    """So many in the whole plan; None: as many as wanted."""
    unit_present: float | None = 0.85
    post_present: float | None = None


@dataclass(frozen=True)
class RestProblem:
    """Everyone on the roster (P), who may get what (M wishes, at most one of a person and kind), and the bounds.

    ``away`` and ``relieved`` are (P, weeks): not there, or not on nights, whatever is planned. ``open`` is (M, weeks):
    may begin in this week as far as blackouts say. ``benefit`` is the expected fall of the probability; a wish by
    right needs none and must be granted. ``pin`` is the week fixed by a person, or -1.
    """

    kinds: tuple[RestKind, ...]
    weeks: int
    unit: Ints
    post: Ints
    away: Flags
    relieved: Flags
    person: Ints
    kind: Ints
    benefit: Floats
    wait: Floats
    right: Flags
    pin: Ints
    open: Flags
    total: int | None = None
    """Places in all for wishes that are no rights."""
    slack: float = 1.0
    """A unit may get so many places less than its share."""
    rights_first: bool = False
    """As many rights as possible instead of all of them."""
    late: Flags | None = None
    """Rights that were postponed before: as many of these as possible, and all of the others."""
    least: Ints | None = None
    """Places by benefit that each unit should get (``fair_least``); None: any number."""

    def __post_init__(self) -> None:
        long = [kind.key for kind in self.kinds if not 1 <= kind.length_weeks <= self.weeks]
        if long:
            raise Refusal(
                f"A plan of {self.weeks} weeks has no room for: {', '.join(long)}.", hint="Plan for more weeks."
            )
        if (self.total is not None and self.total < 0) or any((kind.places or 0) < 0 for kind in self.kinds):
            raise Refusal("Places can't be fewer than none.", hint="Give quotas of 0 or more.")

    def __len__(self) -> int:
        return len(self.person)

    @cached_property
    def length(self) -> Ints:
        """Weeks that each wish takes."""
        return np.array([kind.length_weeks for kind in self.kinds], dtype=np.int64)[self.kind]

    @cached_property
    def required(self) -> Flags:
        """Whether each wish must be granted: by right, or because a person pinned it."""
        return np.asarray((self.right & ~self.postponable) | (self.pin >= 0))

    @cached_property
    def postponable(self) -> Flags:
        """Whether each wish is a right that may be left for later."""
        late = np.zeros(len(self), dtype=bool) if self.late is None else self.late
        return np.asarray(self.right & (late | self.rights_first))

    @cached_property
    def cells(self) -> Ints:
        """Post within unit, as one number for each person."""
        return np.unique(np.stack([self.unit, self.post]), axis=1, return_inverse=True)[1].astype(np.int64).reshape(-1)

    @cached_property
    def fits(self) -> Flags:
        """(M, weeks): whether a wish that begins in this week ends within the plan."""
        return np.asarray(np.arange(self.weeks)[None, :] + self.length[:, None] <= self.weeks)

    @cached_property
    def there(self) -> Flags:
        """(M, weeks): whether the person is there, and not yet resting, in every week that a beginning here takes."""
        gone = np.asarray(self.away | self.relieved, dtype=np.int64)[self.person]
        before = np.concatenate([np.zeros((len(self), 1), dtype=np.int64), np.cumsum(gone, axis=1)], axis=1)
        starts = np.arange(self.weeks)
        ends = np.minimum(starts[None, :] + self.length[:, None], self.weeks)
        return np.asarray(np.take_along_axis(before, ends, axis=1) == before[:, starts])

    @cached_property
    def worth(self) -> Ints:
        """What each wish is worth by rounded benefit, then by months without rest; zero: not worth a place.

        A right that may be left for later is worth more than any benefits that it could push out; among these too the
        benefit counts, then the months without rest.
        """
        steps = np.nan_to_num(np.round(self.benefit / EQUAL_BENEFIT), nan=0.0).astype(np.int64)
        waiting = np.clip(np.nan_to_num(self.wait, nan=float(LONGEST_WAIT)), 0, LONGEST_WAIT).astype(np.int64)
        worth = np.where(self.right | (steps > 0), np.maximum(steps, 0) * 1000 + waiting * 10, 0)
        first = FAIR_PLACE**2 * max(1, int(worth.max(initial=0)))
        return np.asarray(np.where(self.right, self.postponable * (first + worth), worth))

    def value(self, week: Ints, wishes: Ints) -> Ints:
        """Return what granting wishes in weeks is worth: ``worth``, and sooner before later among equals."""
        sooner = 9 - np.minimum(week * 10 // self.weeks, 9)
        return np.asarray(self.worth[wishes] + sooner)

    @cached_property
    def price(self) -> float:
        """What a place costs that a unit lacks of its share."""
        return float(FAIR_PLACE * max(1, int(self.worth[~self.right].max(initial=0))))

    @cached_property
    def least_by_unit(self) -> Ints:
        """``least``, or none for each unit."""
        return np.zeros(self.units, dtype=np.int64) if self.least is None else self.least

    @cached_property
    def units(self) -> int:
        """How many units there are."""
        return int(self.unit.max(initial=-1)) + 1


def needed(present: float | None, people: Ints) -> Ints:
    """Return how many must be present of so many people.

    Below 1 ``present`` is a share, rounded so that one person may always be away; from 1 on it is a count.
    """
    if present is None:
        return np.zeros_like(people)
    if present >= 1:
        return np.minimum(np.full_like(people, int(present)), people)
    spare = np.maximum(np.floor((1 - present) * people + 1e-9), 1).astype(np.int64)
    return np.asarray(np.maximum(people - spare, 0))


def fair_least(problem: RestProblem, granted: int) -> Ints:
    """Return how many of so many places by benefit each unit should get: its share by people, less the slack.

    A unit in which fewer wish for one should get as many as wish.
    """
    people = np.bincount(problem.unit, minlength=problem.units)
    wanting = np.unique(problem.person[~problem.right & (problem.worth > 0)])
    mine = np.bincount(problem.unit[wanting], minlength=problem.units)
    share = np.ceil(granted * people / max(1, int(people.sum())) - problem.slack - 1e-9)
    return np.asarray(np.minimum(np.maximum(share, 0), mine), dtype=np.int64)


def only(problem: RestProblem, wishes: Ints) -> RestProblem:
    """Return the problem with some of its wishes only (by position)."""
    return replace(
        problem,
        person=problem.person[wishes], kind=problem.kind[wishes], benefit=problem.benefit[wishes],
        wait=problem.wait[wishes], right=problem.right[wishes], pin=problem.pin[wishes], open=problem.open[wishes],
        late=None if problem.late is None else problem.late[wishes],
    )  # fmt: skip

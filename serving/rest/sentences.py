"""A conflict in sentences, Chinese and English: what can't be had together, said with names, weeks and numbers."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from serving.rest.asking import Asked
from serving.rest.solver.explain import Clash, Conflict
from serving.rest.solver.problem import Flags, RestProblem, needed
from serving.words import LANGUAGES, both, joined

Words = dict[str, str]
NAMED = 6
"""So many persons at most are named in a sentence; of more, how many."""


def told(found: Conflict, asked: Asked, problem: RestProblem) -> list[Words]:
    """Return the conflict, one sentence for each kind of demand, the most telling first."""
    by_demand: dict[str, list[Clash]] = defaultdict(list)
    for one in found.clashes:
        by_demand[one.demand.removesuffix("_night")].append(one)
    sayer = _Sayer(asked, problem)
    said: Mapping[str, Callable[[Sequence[Clash]], Iterator[Words]]] = {
        "right": sayer.rights, "pin": sayer.pins, "places": sayer.places, "total": sayer.total, "unit": sayer.units,
        "post": sayer.posts, "blackout": sayer.blackouts, "absent": sayer.absences, "apart": sayer.apart,
        "one": sayer.one,
    }  # fmt: skip
    return [words for demand, say in said.items() if demand in by_demand for words in say(by_demand[demand])]


class _Sayer:
    """Says each demand of a conflict in the names of the force."""

    def __init__(self, asked: Asked, problem: RestProblem) -> None:
        self._asked = asked
        self._problem = problem

    def rights(self, clashes: Sequence[Clash]) -> Iterator[Words]:
        for kind, wishes in self._by_kind(clashes).items():
            due = int((self._problem.right & (self._problem.kind == kind)).sum())
            people = [int(self._problem.person[wish]) for wish in wishes]
            yield _say("rest_clash_right", kind=self._label(kind), n=len(wishes), due=due, who=self._people(people))

    def pins(self, clashes: Sequence[Clash]) -> Iterator[Words]:
        for wish in sorted({one.subject for one in clashes}):
            officer = str(self._asked.staff.officer_id[self._problem.person[wish]])
            week = self._weeks([int(self._problem.pin[wish])])
            yield _say("rest_clash_pin", officer=officer, kind=self._label(int(self._problem.kind[wish])), week=week)

    def places(self, clashes: Sequence[Clash]) -> Iterator[Words]:
        for one in clashes:
            yield _say("rest_clash_places", kind=self._label(one.subject), n=self._problem.kinds[one.subject].places)

    def total(self, _clashes: Sequence[Clash]) -> Iterator[Words]:
        yield _say("rest_clash_total", n=self._problem.total)

    def units(self, clashes: Sequence[Clash]) -> Iterator[Words]:
        for unit, weeks in _weeks_of(clashes).items():
            bounds = [kind.unit_present for kind in self._problem.kinds]
            yield self._staffing("rest_clash_unit", self._problem.unit == unit, weeks, bounds=bounds)

    def posts(self, clashes: Sequence[Clash]) -> Iterator[Words]:
        for cell, weeks in _weeks_of(clashes).items():
            bounds = [kind.post_present for kind in self._problem.kinds]
            yield self._staffing("rest_clash_post", self._problem.cells == cell, weeks, bounds=bounds)

    def _staffing(self, key: str, here: Flags, weeks: list[int], *, bounds: Sequence[float | None]) -> Words:
        people, row = int(here.sum()), int(np.flatnonzero(here)[0])
        away = int(self._problem.away[here][:, weeks].sum(axis=0).max())
        most = max(int(needed(bound, np.array([people]))[0]) for bound in bounds)
        post = str(self._asked.staff.post[row])
        labels = self._asked.posts.get(post, {"zh": post, "en": post})
        return _say(
            key, unit=str(self._asked.staff.unit[row]), post=labels, people=people, needed=most, away=away,
            weeks=self._weeks(weeks),
        )  # fmt: skip

    def blackouts(self, clashes: Sequence[Clash]) -> Iterator[Words]:
        for kind, wishes in self._by_kind(clashes).items():
            weeks = np.flatnonzero((~self._problem.open[wishes]).any(axis=0)).tolist()
            yield _say("rest_clash_blackout", kind=self._label(kind), weeks=self._weeks(weeks))

    def absences(self, clashes: Sequence[Clash]) -> Iterator[Words]:
        people = sorted({one.subject for one in clashes})
        weeks = np.flatnonzero((self._problem.away | self._problem.relieved)[people].any(axis=0)).tolist()
        yield _say("rest_clash_absent", who=self._people(people), weeks=self._weeks(weeks))

    def apart(self, clashes: Sequence[Clash]) -> Iterator[Words]:
        yield _say("rest_clash_apart", who=self._people(sorted({one.subject for one in clashes})))

    def one(self, clashes: Sequence[Clash]) -> Iterator[Words]:
        yield _say("rest_clash_one", who=self._people(sorted({one.subject for one in clashes})))

    def _by_kind(self, clashes: Sequence[Clash]) -> dict[int, list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for wish in sorted({one.subject for one in clashes}):
            found[int(self._problem.kind[wish])].append(wish)
        return found

    def _label(self, kind: int) -> Words:
        return self._asked.kinds[kind].label

    def _people(self, people: Sequence[int]) -> Words:
        officers = [str(self._asked.staff.officer_id[person]) for person in people]
        named = {language: joined(officers[:NAMED], language) for language in LANGUAGES}
        return named if len(people) <= NAMED else _say("rest_and_more", named=named, n=len(people))

    def _weeks(self, weeks: Sequence[int]) -> Words:
        """Weeks by their Mondays; runs of three or more from first to last."""
        said = []
        for first, last in _runs(weeks):
            dates = [self._asked.calendar.monday(week).strftime("%m-%d") for week in range(first, last + 1)]
            said += [f"{dates[0]} – {dates[-1]}"] if len(dates) > 2 else dates
        return {language: joined(said, language) for language in LANGUAGES}


def _say(key: str, **values: Mapping[str, str] | str | int | None) -> Words:
    """A text in both languages; values that are texts in both are taken in each one's own."""
    return both(
        key,
        lambda language: {
            name: value[language] if isinstance(value, Mapping) else value for name, value in values.items()
        },
    )


def _weeks_of(clashes: Sequence[Clash]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for one in sorted(clashes):
        if one.week not in found[one.subject]:
            found[one.subject].append(one.week)
    return found


def _runs(weeks: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for week in weeks:
        if last is not None and week == last + 1:
            last = week
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = week
    if first is not None and last is not None:
        yield first, last

"""Random small rest problems, and a slow checker and solver that share nothing with the programme."""

import itertools
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from serving.rest.solver.problem import RestKind, RestProblem

TAKES = ("duty", "nights", "nothing")


@st.composite
def problems(draw, *, people=12, weeks=4, kinds=3, pins=True, rights_first=False):
    """A problem with rights, pins, absences, blackouts, quotas; many are impossible."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size, count = draw(st.integers(2, people)), draw(st.integers(1, kinds))
    present = (None, 0.5, 0.7, 0.85, 1.0, 2.0, 3.0)
    kind = tuple(
        RestKind(
            f"k{number}", int(rng.integers(1, min(3, weeks) + 1)), str(rng.choice(TAKES, p=(0.6, 0.25, 0.15))),
            None if rng.random() < 0.3 else int(rng.integers(0, size)),
            present[rng.integers(7)], present[rng.integers(7)],
        )
        for number in range(count)
    )  # fmt: skip
    pairs = np.array([(p, k) for p in range(size) for k in range(count) if rng.random() < 0.6], dtype=np.int64).reshape(
        -1, 2
    )
    wishes = len(pairs)
    pin = np.where(rng.random(wishes) < (0.06 if pins else 0), rng.integers(0, weeks, wishes), -1)
    return RestProblem(
        kinds=kind, weeks=weeks, unit=np.append(rng.integers(0, 3, size - 1), 2), post=rng.integers(0, 2, size),
        away=rng.random((size, weeks)) < 0.1, relieved=rng.random((size, weeks)) < 0.05,
        person=pairs[:, 0], kind=pairs[:, 1],
        benefit=np.where(rng.random(wishes) < 0.1, np.nan, rng.normal(0.03, 0.02, wishes)),
        wait=rng.integers(0, 50, wishes).astype(float), right=rng.random(wishes) < 0.15, pin=pin,
        open=rng.random((wishes, weeks)) < 0.9, total=int(rng.integers(0, size + 1)),
        slack=float(rng.integers(0, 2)), rights_first=rights_first,
        least=rng.integers(0, 3, 3) if rng.random() < 0.3 else None,
    )  # fmt: skip


def broken(problem, granted):
    """Every demand that a plan {wish: week} breaks, counted person by person."""
    found = []
    for wish in range(len(problem)):
        if problem.right[wish] and problem.pin[wish] < 0 and not problem.rights_first and wish not in granted:
            found.append(("right", wish))
        if problem.pin[wish] >= 0 and granted.get(wish) != problem.pin[wish]:
            found.append(("pin", wish))
    found += _broken_by_person(problem, granted)
    found += _broken_quotas(problem, granted)
    for week in range(problem.weeks):
        found += _broken_staffing(problem, granted, week)
    return found


def _broken_by_person(problem, granted):
    found = []
    for wish, start in granted.items():
        length = problem.kinds[problem.kind[wish]].length_weeks
        person = problem.person[wish]
        if start + length > problem.weeks or not problem.open[wish, start]:
            found.append(("closed", wish))
        if any(
            problem.away[person, w] or problem.relieved[person, w]
            for w in range(start, min(start + length, problem.weeks))
        ):
            found.append(("absent", wish))
    for one, other in itertools.combinations(granted, 2):
        if problem.person[one] == problem.person[other]:
            if not problem.right[one] and not problem.right[other]:
                found.append(("one", one))
            if set(weeks_of(problem, one, granted[one])) & set(weeks_of(problem, other, granted[other])):
                found.append(("apart", one))
    return found


def _broken_quotas(problem, granted):
    found = []
    for number, kind in enumerate(problem.kinds):
        if kind.places is not None and sum(problem.kind[wish] == number for wish in granted) > kind.places:
            found.append(("places", number))
    if problem.total is not None and sum(not problem.right[wish] for wish in granted) > problem.total:
        found.append(("total", 0))
    return found


def weeks_of(problem, wish, start):
    return range(start, start + problem.kinds[problem.kind[wish]].length_weeks)


def _broken_staffing(problem, granted, week):
    """Each rest of this week asks for its own minimum, in its unit and in its post there."""
    here = [wish for wish, start in granted.items() if week in weeks_of(problem, wish, start)]
    found = []
    for wish in here:
        kind, person = problem.kinds[problem.kind[wish]], problem.person[wish]
        same_unit = [p for p in range(len(problem.unit)) if problem.unit[p] == problem.unit[person]]
        same_post = [p for p in same_unit if problem.post[p] == problem.post[person]]
        for name, people, present in (("unit", same_unit, kind.unit_present), ("post", same_post, kind.post_present)):
            if present is None or kind.takes == "nothing":
                continue
            counts = ("duty",) if kind.takes == "duty" else ("duty", "nights")
            resting = {problem.person[w] for w in here if problem.kinds[problem.kind[w]].takes in counts}
            missing = [
                p for p in people
                if p in resting or problem.away[p, week] or (kind.takes == "nights" and problem.relieved[p, week])
            ]  # fmt: skip
            if len(people) - len(missing) < least(present, len(people)):
                found.append((name, int(week)))
    return found


def least(present, people):
    if present >= 1:
        return min(int(present), people)
    return people - max(1, int((1 - present) * people + 1e-9))


def value(problem, granted):
    """What the programme maximises, counted by hand."""
    total = float(sum(int(problem.value(np.array([week]), np.array([wish]))[0]) for wish, week in granted.items()))
    for unit, places in enumerate(problem.least_by_unit):
        mine = sum(not problem.right[w] and problem.unit[problem.person[w]] == unit for w in granted)
        total -= problem.price * max(0, int(places) - mine)
    return total


def best(problem):
    """The best value by trying everything; None where nothing is possible."""
    choices = []
    for wish in range(len(problem)):
        wanted = problem.right[wish] or problem.pin[wish] >= 0 or problem.worth[wish] > 0
        choices.append([None, *range(problem.weeks)] if wanted else [None])
    found = None
    for weeks in itertools.product(*choices):
        granted = {wish: week for wish, week in enumerate(weeks) if week is not None}
        if not broken(problem, granted):
            here = value(problem, granted)
            found = here if found is None else max(found, here)
    return found


def demands_broken(problem, granted):
    """The demands that a placing of required wishes breaks, named as in a conflict."""
    cells = problem.cells
    found = set()
    for what, number in broken(problem, granted):
        if what in ("right", "pin") and number not in granted:
            found.add(("pin" if problem.pin[number] >= 0 else "right", int(number), -1))
        elif what == "places":
            found.add(("places", int(number), -1))
        elif what == "total":
            found.add(("total", 0, -1))
    for wish, start in granted.items():
        person = int(problem.person[wish])
        if problem.pin[wish] >= 0 and problem.pin[wish] != start:
            found.add(("pin", wish, -1))
            continue
        if not problem.open[wish, start]:
            found.add(("blackout", wish, -1))
        if not problem.there[wish, start]:
            found.add(("absent", person, -1))
    for one, other in itertools.combinations(granted, 2):
        person = int(problem.person[one])
        if person == problem.person[other]:
            if not problem.right[one] and not problem.right[other]:
                found.add(("one", person, -1))
            both = set(weeks_of(problem, one, granted[one])) & set(weeks_of(problem, other, granted[other]))
            found |= {("apart", person, week) for week in both}
    for wish, start in granted.items():
        kind, person = problem.kinds[problem.kind[wish]], int(problem.person[wish])
        night = "_night" if kind.takes == "nights" else ""
        for week in weeks_of(problem, wish, start):
            for what in {name for name, _ in _broken_by(problem, granted, wish, week)}:
                subject = problem.unit[person] if what == "unit" else cells[person]
                found.add((what + night, int(subject), week))
    return found


def _broken_by(problem, granted, wish, week):
    """The staffing that breaks as this wish asks for it, whoever is counted."""
    alone = replace(problem, kinds=tuple(
        kind if number == problem.kind[wish] else replace(kind, unit_present=None, post_present=None)
        for number, kind in enumerate(problem.kinds)
    ))  # fmt: skip
    same = [w for w in granted if problem.unit[problem.person[w]] == problem.unit[problem.person[wish]]]
    post = [w for w in same if problem.post[problem.person[w]] == problem.post[problem.person[wish]]]
    names = _broken_staffing(alone, {w: granted[w] for w in same}, week)
    units = [pair for pair in names if pair[0] == "unit"]
    return units + [pair for pair in _broken_staffing(alone, {w: granted[w] for w in post}, week) if pair[0] == "post"]


def placings(problem):
    """Every way to place, or leave out, the required wishes."""
    wishes = np.flatnonzero(problem.required).tolist()
    choices = [[None, *np.flatnonzero(problem.fits[wish]).tolist()] for wish in wishes]
    for weeks in itertools.product(*choices):
        yield {wish: week for wish, week in zip(wishes, weeks, strict=True) if week is not None}

"""Who is in the simulated force: persons, units, names, and where each was posted when."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from features.histories.tables import Floats, Ints
from features.months import NO_DAY, first_day, timestamps
from features.profile import Profile
from features.simulation.mechanism import Mechanism, State, Traits

SHARE_OF_POSTS = np.array([0.19, 0.25, 0.15, 0.17, 0.07, 0.10, 0.07])
UNIT_SIZE = 35
RANKS = ("二级警员", "一级警员", "四级警长", "三级警长", "二级警长", "一级警长")
FAMILY = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗"
GIVEN = ("伟", "芳", "娜", "敏", "静", "强", "磊", "军", "洋", "勇", "艳", "杰", "娟",
         "涛", "明", "超", "霞", "平", "刚", "秀兰", "桂英", "建国", "志强", "晓东", "海燕",
         "春梅", "文博", "雨桐")  # fmt: skip
NUMERALS = "一二三四五六七八九十"


@dataclass(frozen=True)
class Units:
    """The units: name and post of each."""

    name: tuple[str, ...]
    post: Ints

    def shocks(self, rng: np.random.Generator) -> Floats:
        """Return a standard normal number per unit, of mean 0 over the units of a post.

        What hits all units of a post alike would move everyone's peers: that is the season's part.
        """
        size = np.bincount(self.post)
        drawn = rng.standard_normal(len(self.post))
        mean = np.bincount(self.post, weights=drawn) / size
        return np.asarray((drawn - mean[self.post]) / np.sqrt(1.0 - 1.0 / size[self.post]))


@dataclass(frozen=True)
class People:
    """The persons: month of joining (before the start for most), hiring day, display columns."""

    officer_id: tuple[str, ...]
    joined: Ints
    hired: Ints
    name: tuple[str, ...]
    birth_year: Ints
    sex: tuple[str, ...]


def make_units(profile: Profile, officers: int) -> Units:
    """Return units of about 35 officers, at least two in each post."""
    names: list[str] = []
    posts: list[int] = []
    for number, key in enumerate(profile.posts):
        share = SHARE_OF_POSTS[number % len(SHARE_OF_POSTS)]
        for unit in range(max(2, round(officers * share / UNIT_SIZE))):
            names.append(f"{profile.label(key, 'zh')}{_numeral(unit + 1)}队")
            posts.append(number)
    return Units(tuple(names), np.array(posts, dtype=np.int32))


def _numeral(number: int) -> str:
    if number <= 10:
        return NUMERALS[number - 1]
    if number > 99:  # forces of more than about 20,000
        return str(number)
    tens, ones = divmod(number, 10)
    return ("" if tens == 1 else NUMERALS[tens - 1]) + "十" + (NUMERALS[ones - 1] if ones else "")


def make_people(rng: np.random.Generator, officers: int, *, start: int, months: int) -> People:
    """Return the persons: nine in ten at work at the start, the others joining month by month."""
    late = rng.random(officers) < 0.0022 * months
    joined = np.where(late, start + rng.integers(1, max(2, months), officers), start - 12)
    served = rng.gamma(2.2, 5.0, officers).clip(1.0, 32.0) * ~late
    hired = first_day(joined) - (served * 365.25).astype(np.int32)
    age = 23 + rng.integers(0, 5, officers) + served
    first = rng.integers(0, len(FAMILY), officers)
    given = rng.integers(0, len(GIVEN), officers)
    return People(
        officer_id=tuple(f"P{number:06d}" for number in range(1, officers + 1)),
        joined=joined.astype(np.int32),
        hired=hired.astype(np.int32),
        name=tuple(FAMILY[a] + GIVEN[b] for a, b in zip(first, given, strict=True)),
        birth_year=(start // 12 - age).astype(np.int32),
        sex=tuple(np.where(rng.random(officers) < 0.16, "F", "M").tolist()),
    )


def make_traits(rng: np.random.Generator, people: People, *, mechanism: Mechanism, start: int) -> Traits:
    """Return the persons' constants. Half the difference in effects follows years of service, half is hidden."""
    size, spread = len(people.joined), mechanism.effect_differs
    years = (first_day(np.full(size, start)) - people.hired) / 365.25
    known = ((years - years.mean()) / (years.std() + 1e-9))[:, None] * np.array([-0.5, 0.7, 0.3, -0.7])
    own = np.exp(spread * (known + 0.7 * rng.standard_normal((size, 4))) - spread**2 / 2)
    return Traits(
        frailty=mechanism.frailty_spread * rng.standard_normal(size),
        aptitude=mechanism.aptitude_spread * rng.standard_normal((size, 3)),
        rest_response=own[:, :3],
        mentoring_response=own[:, 3],
        tenure_years=years,
    )


@dataclass
class Postings:
    """Where everyone is now, and the postings so far; changed month by month by the simulation."""

    units: Units
    unit: Ints
    since: Ints
    gone: Ints
    rows: list[pd.DataFrame]

    def end(self, who: Ints, day: int) -> None:
        """Close the present postings of some persons on a day."""
        self.rows.append(self.rows_of(who, day))

    def move(self, who: Ints, unit: Ints, day: int) -> None:
        """Close the present postings the day before ``day`` and open others."""
        self.end(who, day - 1)
        self.unit[who] = unit
        self.since[who] = day

    def rows_of(self, who: Ints, day: int) -> pd.DataFrame:
        """Return the present postings of some persons, ended on a day (NO_DAY: not ended)."""
        until = np.full(len(who), day, dtype=np.int64)
        return pd.DataFrame({"person": who, "first": self.since[who], "last": until, "unit": self.unit[who]})


def first_postings(rng: np.random.Generator, people: People, units: Units, *, start: int) -> Postings:
    """Return everyone's first posting: to a unit drawn by the size of the posts."""
    share = SHARE_OF_POSTS[units.post % len(SHARE_OF_POSTS)]
    weight = share / np.bincount(units.post)[units.post]
    size = len(people.joined)
    unit = rng.choice(len(units.post), size, p=weight / weight.sum()).astype(np.int32)
    before = (rng.random(size) * 24 * 30).astype(np.int32)
    since = np.maximum(first_day(people.joined) - before * (people.joined < start), people.hired)
    return Postings(units, unit, since.astype(np.int32), np.full(size, NO_DAY, dtype=np.int32), [])


def first_state(rng: np.random.Generator, postings: Postings, *, mechanism: Mechanism) -> State:
    """Return states from which a year of burn-in leads to the mechanism's own balance."""
    size, m = len(postings.unit), mechanism
    unit_load = m.unit_load_spread * postings.units.shocks(rng)
    pressure = m.pressure_spread * postings.units.shocks(rng)
    custom = m.rest_spread_of_units * postings.units.shocks(rng)
    zero, none = np.zeros(size), np.zeros(size, dtype=np.int32)
    return State(
        post=postings.units.post[postings.unit],
        load=m.load_spread * rng.standard_normal(size),
        unit_load=unit_load[postings.unit],
        pressure=pressure[postings.unit],
        unit_rest=custom[postings.unit],
        strain=zero,
        morale=zero,
        dip=zero,
        coached=zero,
        mentoring=none,
        relief=none,
    )


def transfer(
    rng: np.random.Generator, state: State, postings: Postings, *, who: Ints, day: int, mechanism: Mechanism
) -> tuple[State, Ints]:
    """Move some persons to another unit, two in five to another post; return the state and who changed post."""
    units = postings.units
    other = rng.random(len(who)) < 0.4
    target = np.empty(len(who), dtype=np.int32)
    for place, person in enumerate(who):
        same = (units.post == state.post[person]) & (np.arange(len(units.post)) != postings.unit[person])
        choice = units.post != state.post[person] if other[place] else same
        target[place] = rng.choice(np.flatnonzero(choice))
    postings.move(who, target, day)
    shared = (state.unit_load, state.pressure, state.unit_rest)
    unit_load, pressure, custom = (_of_units(part, postings, who) for part in shared)
    dip = state.dip.copy()
    dip[who] = mechanism.transfer_dip * np.where(other, 1.0, 0.5)
    post = state.post.copy()
    post[who] = units.post[target]
    state = replace(state, post=post, dip=dip, unit_load=unit_load, pressure=pressure, unit_rest=custom)
    return state, who[other]


def _of_units(values: Floats, postings: Postings, who: Ints) -> Floats:
    """Give those who moved the state of their new unit: that of its longest-standing member."""
    found = values.copy()
    moved = np.zeros(len(values), dtype=bool)
    moved[who] = True
    stayed = np.flatnonzero(~moved)[::-1]
    of_unit = np.zeros(len(postings.units.post))
    of_unit[postings.unit[stayed]] = values[stayed]
    found[who] = of_unit[postings.unit[who]]
    return found


def _heads(people: People, postings: Postings) -> dict[int, str]:
    """Return each unit's head: of those now in it, the longest in the force."""
    present = np.flatnonzero(postings.gone == NO_DAY)
    by_service = present[np.argsort(-people.hired[present], kind="stable")]
    return {int(postings.unit[person]): people.officer_id[int(person)] for person in by_service}


def roster_table(people: People, postings: Postings, *, profile: Profile) -> pd.DataFrame:
    """Return the roster with the contract's columns, sorted by officer and first day."""
    present = np.flatnonzero(postings.gone == NO_DAY).astype(np.int32)
    current = postings.rows_of(present, NO_DAY)
    rows = pd.concat([*postings.rows, current], ignore_index=True).sort_values(["person", "first"], kind="stable")
    person, unit = rows["person"].to_numpy(), rows["unit"].to_numpy()
    years = (rows["first"].to_numpy() - people.hired[person]) / 365.25
    posts, mine = np.array(list(profile.posts)), [people.officer_id[int(number)] for number in person]
    heads = _heads(people, postings)
    head = [heads.get(int(number)) for number in unit]
    return pd.DataFrame(
        {
            "officer_id": mine,
            "valid_from": timestamps(rows["first"].to_numpy()),
            "valid_to": timestamps(rows["last"].to_numpy()),
            "post": posts[postings.units.post[unit]],
            "unit": [postings.units.name[int(number)] for number in unit],
            "name": [people.name[int(number)] for number in person],
            "rank": [RANKS[min(len(RANKS) - 1, int(max(0.0, year) // 5))] for year in years],
            "hired_on": timestamps(people.hired[person]),
            "birth_year": people.birth_year[person],
            "sex": [people.sex[int(number)] for number in person],
            "supervisor_id": [None if a == b else a for a, b in zip(head, mine, strict=True)],
        }
    )

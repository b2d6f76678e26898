"""What a unit's page reads from SQL, as values: the verdict, what carries it, the split of its risk, its people."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, false, func, select
from sqlalchemy.orm import Session

from features.statistics import FEWEST
from serving.access.roles import Field
from serving.access.sight import Sight
from serving.persons.seen import Seen
from serving.scored import queries
from serving.scored.lists import PARTS
from serving.scored.told import average_start, points_per_unit
from serving.tables import Batch, Score, UnitShareRow

MOST_PEOPLE = 1000
BAR = 100.0
"""Half the width of a split bar."""


@dataclass(frozen=True)
class Parts:
    """A risk from the average start to the person, in shares of probability: start + post + unit + person = risk."""

    start: float
    post: float
    unit: float
    person: float

    @property
    def reach(self) -> float:
        """How far the parts go to either side."""
        values = (self.post, self.unit, self.person)
        return max(sum(v for v in values if v > 0), -sum(v for v in values if v < 0))

    def bars(self, scale: float) -> list[tuple[str, float, float]]:
        """Return (part, x, width) on a line from 0 to 2 BAR with its zero in the middle; what lowers goes left."""
        right, left, found = BAR, BAR, []
        for name in ("post", "unit", "person"):
            width = BAR * abs(getattr(self, name)) / scale if scale else 0.0
            if getattr(self, name) >= 0:
                found.append((name, right, width))
                right += width
            else:
                left -= width
                found.append((name, left, width))
        return found


@dataclass(frozen=True)
class Means:
    """A unit's figures beside all others': mean risk, parts in log-odds, and the mean were nothing shared.

    ``without_first`` is the mean were the first measure that carries it alone as in the same posts elsewhere.
    """

    people: int
    listed: int
    mean: float
    others: float
    parts: tuple[float, float, float]
    parts_of_others: tuple[float, float, float]
    without_shared: float
    without_first: float | None


def parts_of(score: Score | Seen, base_value: float) -> Parts | None:
    """Return the split of one person's risk; None in lists older than the split."""
    if score.part_post is None or score.part_unit is None or score.part_person is None:
        return None
    each = points_per_unit(base_value, score.probability)
    start = average_start(base_value)
    return Parts(start, score.part_post * each, score.part_unit * each, score.part_person * each)


def unit_share(session: Session, sight: Sight, batch: Batch, unit: str) -> UnitShareRow | None:
    """Return what is stored of a unit of a list; None for fewer than FEWEST people, or a unit that may not be seen."""
    table = UnitShareRow
    return session.scalar(select(table).where(table.unit == unit, *_shares(sight, batch)))


def rest(share: UnitShareRow) -> float:
    """Return what of the shared part the measures named don't carry, in log-odds; below 0 where others lower it."""
    return share.shared - sum(float(each["push"]) for each in share.carried)


def portions(share: UnitShareRow) -> list[float]:
    """Return the portion of the shared part that each measure named carries, then that of the rest; they sum to 1.

    Where the measures named push further than the shared part (others lower it), their sum is the whole.
    """
    pushes = [*(float(each["push"]) for each in share.carried), max(rest(share), 0.0)]
    whole = sum(pushes)
    return [push / whole if whole > 0 else 0.0 for push in pushes]


def by_rosters(session: Session, sight: Sight, batch: Batch) -> list[UnitShareRow]:
    """Return the units of a list whose roster is the cause, the most raised first."""
    table = UnitShareRow
    statement = select(table).where(table.verdict == "roster", *_shares(sight, batch))
    return list(session.scalars(statement.order_by(table.elevated.desc(), table.unit)))


def people(session: Session, sight: Sight, batch: Batch, unit: str) -> Sequence[queries.Entry]:
    """Return the ranked people of a unit, with reasons and offers."""
    return queries.entries(session, sight, batch, unit=unit, limit=MOST_PEOPLE)


def means(session: Session, sight: Sight, batch: Batch, unit: str) -> Means | None:
    """Return a unit's figures beside all others'; None for fewer than FEWEST people, or where there are no others."""
    columns = [func.avg(Score.probability), *(func.avg(getattr(Score, name)) for name in PARTS)]
    outside = session.execute(select(*columns).where(Score.batch_id == batch.id, Score.unit != unit)).one()
    reached = sight.persons(officer=Score.officer_id, unit=Score.unit) if _may(sight, batch) else false()
    mine = session.scalars(select(Score).where(Score.batch_id == batch.id, Score.unit == unit, reached)).all()
    if len(mine) < FEWEST or outside[0] is None or outside[1] is None or mine[0].part_unit is None:
        return None
    post, unit_part, person = (_mean([float(getattr(score, name)) for score in mine]) for name in PARTS)
    share = unit_share(session, sight, batch, unit)
    first = portions(share)[0] * share.shared if share and share.carried else None
    above = [float(score.part_unit or 0.0) - float(outside[2]) for score in mine]
    return Means(
        people=len(mine),
        listed=sum(score.within(batch.capacity) for score in mine),
        mean=_mean([score.probability for score in mine]),
        others=float(outside[0]),
        parts=(post, unit_part, person),
        parts_of_others=(float(outside[1]), float(outside[2]), float(outside[3])),
        without_shared=_mean([_lowered(score, by) for score, by in zip(mine, above, strict=True)]),
        without_first=None if first is None else _mean([_lowered(score, first) for score in mine]),
    )


def _shares(sight: Sight, batch: Batch) -> tuple[ColumnElement[bool], ...]:
    """The conditions for what is stored of the units of a list that the caller may see."""
    table = UnitShareRow
    return (table.batch_id == batch.id, sight.units_seen(table.unit) if _may(sight, batch) else false())


def _may(sight: Sight, batch: Batch) -> bool:
    return Field.PLACE in sight.fields(batch.purpose)


def _lowered(score: Score, push: float) -> float:
    """The probability with so much less on the margin."""
    bounded = min(max(score.probability, 1e-12), 1 - 1e-12)
    return 1 / (1 + (1 - bounded) / bounded * math.exp(push))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)

"""What a unit's page reads from SQL, as values: the verdict, what carries it, the split of its risk, its people."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from features.statistics import FEWEST
from serving import queries
from serving.lists import PARTS
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
    """A unit's figures beside all others': mean risk, parts in log-odds, and the mean were nothing shared."""

    people: int
    listed: int
    mean: float
    others: float
    parts: tuple[float, float, float]
    parts_of_others: tuple[float, float, float]
    without_shared: float


def parts_of(score: Score, base_value: float) -> Parts | None:
    """Return the split of one person's risk; None in lists older than the split."""
    if score.part_post is None or score.part_unit is None or score.part_person is None:
        return None
    each = queries.points_per_unit(base_value, score.probability)
    start = 1 / (1 + math.exp(-base_value))
    return Parts(start, score.part_post * each, score.part_unit * each, score.part_person * each)


def unit_share(session: Session, batch: Batch, unit: str) -> UnitShareRow | None:
    """Return what is stored of a unit of a list; None for fewer than FEWEST people."""
    return session.get(UnitShareRow, (batch.id, unit))


def by_rosters(session: Session, batch: Batch) -> list[UnitShareRow]:
    """Return the units of a list whose roster is the cause, the most raised first."""
    table = UnitShareRow
    statement = select(table).where(table.batch_id == batch.id, table.verdict == "roster")
    return list(session.scalars(statement.order_by(table.elevated.desc(), table.unit)))


def people(session: Session, batch: Batch, unit: str) -> Sequence[queries.Entry]:
    """Return the ranked people of a unit, with reasons and offers."""
    return queries.entries(session, batch, unit=unit, limit=MOST_PEOPLE)


def means(session: Session, batch: Batch, unit: str) -> Means | None:
    """Return a unit's figures beside all others'; None for fewer than FEWEST people, or where there are no others."""
    columns = [func.avg(Score.probability), *(func.avg(getattr(Score, name)) for name in PARTS)]
    outside = session.execute(select(*columns).where(Score.batch_id == batch.id, Score.unit != unit)).one()
    mine = session.scalars(select(Score).where(Score.batch_id == batch.id, Score.unit == unit)).all()
    if len(mine) < FEWEST or outside[0] is None or outside[1] is None or mine[0].part_unit is None:
        return None
    post, unit_part, person = (_mean([float(getattr(score, name)) for score in mine]) for name in PARTS)
    without = [_without(score, batch.base_value, float(outside[2])) for score in mine]
    return Means(
        people=len(mine),
        listed=sum(score.within(batch.capacity) for score in mine),
        mean=_mean([score.probability for score in mine]),
        others=float(outside[0]),
        parts=(post, unit_part, person),
        parts_of_others=(float(outside[1]), float(outside[2]), float(outside[3])),
        without_shared=_mean(without),
    )


def _without(score: Score, base_value: float, usual: float) -> float:
    """The probability were the unit's part what it is for everyone else."""
    margin = base_value + float(score.part_post or 0.0) + usual + float(score.part_person or 0.0)
    return 1 / (1 + math.exp(-margin))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)

"""What a person's page draws: each measure month by month, as it was known then, beside the post's median."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.engine import feature_names, feature_rows
from features.histories.tables import Histories
from features.names import parse_name
from features.profile import Profile
from features.statistics import FEWEST

MONTHS_DRAWN = 12
STANDING = "efficiency__level__3m"
"""The feature whose percentile within the post a person's page tells."""
TOLD = ("sum", "mean", "rate", "count", "level")


@dataclass(frozen=True)
class Records:
    """Values [month, officer, feature] of the features that are drawn; NaN where unknown or not in the cohort."""

    months: tuple[int, ...]
    groups: tuple[str, ...]
    values: npt.NDArray[np.float32]
    medians: npt.NDArray[np.float32]
    """[month, post, feature]; NaN where it is known of fewer than FEWEST of the post: it would tell of persons."""
    standing: npt.NDArray[np.float32]
    """[month, officer]: percentile of the efficiency index within the post, of no fewer either."""

    def of(self, officer: int, group: str, as_of: int) -> list[float | None]:
        """Return a person's values in the months up to ``as_of``."""
        return _plain(self.values[self._window(as_of), officer, self.groups.index(group)])

    def median(self, post: int, group: str, as_of: int) -> list[float | None]:
        """Return a post's medians in the months up to ``as_of``."""
        return _plain(self.medians[self._window(as_of), post, self.groups.index(group)])

    def percentile(self, officer: int, as_of: int) -> float | None:
        """Return where the person's efficiency stands within the post, 0 to 100; None where unknown."""
        return _plain(self.standing[self.months.index(as_of), [officer]])[0]

    def _window(self, as_of: int) -> slice:
        last = self.months.index(as_of)
        return slice(last - MONTHS_DRAWN + 1, last + 1)


def records(given: Histories, as_ofs: Sequence[int]) -> Records:
    """Return what can be drawn for these as-ofs: the twelve months up to each."""
    months = tuple(range(min(as_ofs) - MONTHS_DRAWN + 1, max(as_ofs) + 1))
    drawn = drawable(given.profile)
    names = [*drawn.values(), *([] if STANDING in drawn.values() else [STANDING])]
    rows = feature_rows(given, months, names=names)
    values = np.full((len(months), len(given.officers), len(names)), np.nan, dtype=np.float32)
    month = rows.as_of - months[0]
    values[month, rows.officer] = rows.values
    grouped = pd.DataFrame(rows.values).groupby([month, rows.post])
    by_post = grouped.median().where(grouped.count() >= FEWEST)
    medians = np.full((len(months), len(given.posts), len(names)), np.nan, dtype=np.float32)
    medians[by_post.index.get_level_values(0), by_post.index.get_level_values(1)] = by_post.to_numpy()
    level = pd.Series(rows.values[:, names.index(STANDING)])
    ranked = level.groupby([month, rows.post])
    percentile = (ranked.rank(pct=True) * 100).where(ranked.transform("count") >= FEWEST)
    standing = np.full((len(months), len(given.officers)), np.nan, dtype=np.float32)
    standing[month, rows.officer] = percentile.to_numpy()
    return Records(months, tuple(drawn), values, medians, standing)


def drawable(profile: Profile) -> dict[str, str]:
    """Return for each group that can be drawn the feature of its shortest window."""
    chosen: dict[str, tuple[int, str]] = {}
    for name in feature_names(profile):
        part = parse_name(name)
        if part.statistic in TOLD and part.months is not None:
            best = (part.months, name)
            if part.group not in chosen or best < chosen[part.group]:
                chosen[part.group] = best
    return {group: name for group, (_, name) in chosen.items()}


def _plain(values: npt.NDArray[np.float32]) -> list[float | None]:
    """Numbers as JSON takes them: rounded to what is drawn, None where unknown."""
    return [None if math.isnan(value) else round(value, 4) for value in values.tolist()]

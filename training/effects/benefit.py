"""Expected benefit: what an action would spare each person, and what it spared groups of those who got it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.engine import FeatureRows, feature_rows
from features.histories.tables import Histories
from training.effects.estimate import NEARLY_ALL, Z90, Figure, Fitted, average_effect, fitted, told_count
from training.effects.learner import modifiers_of
from training.effects.scores import TENURE, Scores, scores_of
from training.effects.study import Array, Helped, Mask, Study

COLUMNS = ["officer_id", "benefit", "low", "high", "estimable"]
FEWEST_IN_GROUP = 30
"""Rows of helped persons; of fewer nothing is told."""
YEARS = (5.0, 15.0)
EDGE = 0.01
"""Persons are like those helped where their chance of it is not below that of all but so large a share of them."""


@dataclass(frozen=True)
class GroupEffect:
    """The average effect among those helped of a group; None where too few of them were helped.

    ``kind`` is post, service or risk, ``group`` the post's key, or low, middle, high.
    """

    kind: str
    group: str
    helped: int
    effect: Figure | None


def expected_benefit(
    histories: Histories, action: str, risk: str, *, as_of: int, until: int | None = None
) -> pd.DataFrame:
    """Return officer_id, benefit, low, high (90 %) and estimable for everyone of the cohort at ``as_of``.

    ``benefit`` is the probability of the outcome over the risk's horizon that beginning the action in the coming month
    would spare (positive: help), learned from what was known by ``until`` (default: ``as_of``). NaN where not
    estimable: nothing could be told on average, too few like this person were helped or not, or it is under way.
    """
    found = fitted(histories, action, risk, until=as_of if until is None else until)
    return benefits_at(histories, found, feature_rows(histories, [as_of], names=found.study.names))


def benefits_at(histories: Histories, found: Fitted, rows: FeatureRows) -> pd.DataFrame:
    """Return what expected_benefit does, by what was fitted before, for rows of one as-of with the study's features."""
    table = pd.DataFrame(np.nan, index=range(len(rows)), columns=COLUMNS[1:4])
    estimable = np.zeros(len(rows), dtype=bool)
    if found.effect.estimable and found.gains is not None and found.scores is not None:
        told = scores_of(found.study, found.scores, rows.values)
        effect, spread = found.gains.of(modifiers_of(found.study, told, rows.values))
        table = pd.DataFrame({"benefit": -effect, "low": -effect - Z90 * spread, "high": -effect + Z90 * spread})
        estimable = _like_those(found.study, found.scores, told) & ~_under_way(histories, found.study, rows)
    table[~estimable] = np.nan
    return table.assign(officer_id=histories.officers[rows.officer], estimable=estimable)[COLUMNS]


def by_group(found: Fitted, posts: Sequence[str]) -> list[GroupEffect]:
    """Return the effect by post, by service (to 5, to 15 years, longer) and by thirds of the risk without help.

    ``posts`` are the keys of Histories.posts.
    """
    if not found.effect.estimable or found.scores is None or found.nuisance is None:
        return []
    groups = _groups(found.study, found.scores, posts)
    return [_of_group(found, kind, group, inside) for kind, parts in groups.items() for group, inside in parts.items()]


def _of_group(found: Fitted, kind: str, group: str, inside: Mask) -> GroupEffect:
    assert found.nuisance is not None
    helped = int((found.study.treated & inside).sum())
    enough = helped >= FEWEST_IN_GROUP and (inside & ~found.study.treated).sum() >= FEWEST_IN_GROUP
    return GroupEffect(
        kind, group, told_count(helped), average_effect(found.study, found.nuisance, inside) if enough else None
    )


def _groups(study: Study, told: Scores, posts: Sequence[str]) -> dict[str, dict[str, Mask]]:
    by_post = {posts[number]: study.post == number for number in np.unique(study.post)}
    years = study.values[:, study.names.index(TENURE)].astype(np.float64) / 12
    return {
        "post": by_post,
        "service": _thirds(years, YEARS),
        "risk": _thirds(told.prognosis, np.quantile(told.prognosis[study.treated], [1 / 3, 2 / 3])),
    }


def _thirds(values: Array, bounds: Array | tuple[float, float]) -> dict[str, Mask]:
    low, high = values < bounds[0], values >= bounds[1]
    return {"low": low, "middle": ~low & ~high, "high": high}


def _like_those(study: Study, own: Scores, told: Scores) -> Mask:
    """Who lies where there were both helped and others."""
    lowest = np.quantile(own.helped[study.treated], EDGE)
    return np.asarray((told.helped >= lowest) & (told.helped <= np.log(NEARLY_ALL / (1 - NEARLY_ALL))))


def _under_way(histories: Histories, study: Study, rows: FeatureRows) -> Mask:
    known = histories.until(int(rows.as_of.max()))
    return Helped.of(known, study.measure).between(rows.officer, rows.as_of - study.washout + 1, rows.as_of)

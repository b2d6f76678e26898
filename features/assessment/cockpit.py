"""The three-dimension report 工作量 / 质效值 / 群众满意度 of a person, a unit and the force.

Level against peers, own trend, twelve months, percentile with interval, what changed and why. No cell of fewer than
five persons is shown, and none can be had by subtracting those that are.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from features.assessment.ground.assessable import Assessable, Mask
from features.assessment.ground.indicators import Estimate, percentile
from features.assessment.ground.levels import INDEX, SCORES, Months, PostLevels, bounds
from features.assessment.ground.windows import status
from features.histories.tables import Floats
from features.months import first_day, last_day, timestamps
from features.statistics import FEWEST

TREND_MONTHS = 6
DRAWN_MONTHS = 12
CHANGES = 3
PARTS = ("level", "low", "high", "percentile", "percentile_low", "percentile_high", "trend", "change")


def people(view: Assessable, levels: Sequence[PostLevels], months: Months) -> pd.DataFrame:
    """Return one row per posted officer: window, status, and for index and dimensions each of PARTS.

    Columns ``<score>_<part>``: levels in standard deviations of the post with their interval; percentiles within the
    post; ``trend`` per month over six months, ``change`` of the last month against the own twelve before, both by
    the monthly index.
    """
    trends = {name: _trend(months.scores[name]) for name in SCORES}
    changes = {name: _change(months.scores[name]) for name in SCORES}
    tables = [_post_people(view, each, trends=trends, changes=changes) for each in levels]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=people_columns())


def people_columns() -> list[str]:
    """Return the columns of ``people``."""
    first = ["officer_id", "post", "unit", "review", "window_from", "window_to", "status", "credibility"]
    return [*first, *(f"{name}_{part}" for name in SCORES for part in PARTS)]


def _post_people(
    view: Assessable, each: PostLevels, *, trends: Mapping[str, Floats], changes: Mapping[str, Floats]
) -> pd.DataFrame:
    members, index = each.seen.members, each.scores[INDEX]
    columns: dict[str, object] = {
        "officer_id": view.given.officers[members],
        "post": view.given.posts[each.post],
        "unit": np.asarray(view.given.units)[view.now.unit[members]],
        "review": view.posts[each.post].review,
        "window_from": timestamps(first_day(each.window.first)),
        "window_to": timestamps([last_day(view.as_of)])[0],
        "status": status(each.seen, each.window, index.level),
        "credibility": index.credibility,
    }
    for name in SCORES:
        own = standing_of(each.scores[name], sure=view.rules.interval)
        own |= {"trend": trends[name][members], "change": changes[name][members]}
        columns |= {f"{name}_{part}": own[part] for part in PARTS}
    return pd.DataFrame(columns)


def standing_of(each: Estimate, *, sure: float) -> dict[str, Floats]:
    """Return level and percentile among these officers, each with its interval."""
    low, high = bounds(each, sure)
    return {
        "level": each.level,
        "low": low,
        "high": high,
        "percentile": percentile(each.level, each.level),
        "percentile_low": percentile(low, each.level),
        "percentile_high": percentile(high, each.level),
    }


def _trend(score: Floats) -> Floats:
    """Return the least-squares trend over TREND_MONTHS, per month; NaN with fewer than three months."""
    part = score[-TREND_MONTHS:]
    known = ~np.isnan(part)
    number = known.sum(axis=0)
    safe = np.where(number > 0, number, 1)
    age = np.where(known, np.arange(len(part))[:, None], 0.0)
    away = np.where(known, age - age.sum(axis=0) / safe, 0.0)
    level = np.where(known, part - np.where(known, part, 0.0).sum(axis=0) / safe, 0.0)
    along = (away**2).sum(axis=0)
    slope: Floats = np.where(number >= 3, (away * level).sum(axis=0) / np.where(along > 0, along, np.nan), np.nan)
    return slope


def _change(score: Floats) -> Floats:
    before = score[-1 - DRAWN_MONTHS : -1]
    number = (~np.isnan(before)).sum(axis=0)
    change: Floats = score[-1] - np.nansum(before, axis=0) / np.where(number >= TREND_MONTHS, number, np.nan)
    return change


def history(view: Assessable, months: Months) -> pd.DataFrame:
    """Return twelve months of everyone posted: officer_id, month (its end), index, dimensions; NaN = not assessed."""
    here = np.flatnonzero(view.now.post >= 0)
    table = pd.DataFrame(
        {
            "officer_id": np.repeat(view.given.officers[here], DRAWN_MONTHS),
            "month": np.tile(timestamps(last_day(np.asarray(months.months[-DRAWN_MONTHS:]))), len(here)),
        }
    )
    for name in SCORES:
        table[name] = months.scores[name][-DRAWN_MONTHS:, here].T.reshape(-1)
    return table


def indicator_table(view: Assessable, levels: Sequence[PostLevels]) -> pd.DataFrame:
    """Return one row per officer and counted indicator: weight, value and the post's middle, evidence, level.

    Beside them, with weight 0, the measures of the profile's ``hidden`` list that the post does not count.
    """
    rows = []
    for each in levels:
        for dimension, weights in view.posts[each.post].indicators.items():
            rows += [
                _indicator_rows(view, each, key, dimension=dimension, weight=weight) for key, weight in weights.items()
            ]
        for key in each.beside:
            rows.append(_indicator_rows(view, each, key, dimension=view.profile.measures[key].dimension, weight=0.0))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=list(INDICATOR_COLUMNS))


INDICATOR_COLUMNS = ("officer_id", "post", "dimension", "indicator", "weight", "value", "middle", "evidence",
                     "credibility", "level", "low", "high", "before", "percentile")  # fmt: skip


def _indicator_rows(view: Assessable, each: PostLevels, key: str, *, dimension: str, weight: float) -> pd.DataFrame:
    counted = key in each.indicators
    part, before = (each.indicators[key], each.before[key]) if counted else each.beside[key]
    own = standing_of(part, sure=view.rules.interval)
    known = part.value[~np.isnan(part.value)]
    return pd.DataFrame(
        {
            "officer_id": view.given.officers[each.seen.members],
            "post": view.given.posts[each.post],
            "dimension": dimension,
            "indicator": key,
            "weight": weight,
            "value": part.value,
            "middle": float(np.median(known)) if len(known) >= FEWEST else np.nan,
            "evidence": part.evidence,
            "credibility": part.credibility,
            **{name: own[name] for name in ("level", "low", "high")},
            "before": before.level,
            "percentile": own["percentile"],
        }
    )


def reasons(indicators: pd.DataFrame) -> pd.DataFrame:
    """Return what changed most for each officer against the window before, and by how much it moved the dimension.

    Columns: officer_id, place (1 = most), dimension, indicator, before, now, moved: the share of weight times the
    change of level, in standard deviations of the post.
    """
    seen = indicators["level"].notna() & indicators["before"].notna() & (indicators["weight"] > 0)
    part = indicators[seen]
    total = part.groupby(["officer_id", "dimension"], sort=False, observed=True)["weight"].transform("sum")
    moved = part["weight"] / total * (part["level"] - part["before"])
    table = part.assign(moved=moved, size=-moved.abs()).rename(columns={"level": "now"})
    table = table.sort_values(["officer_id", "size", "dimension", "indicator"], kind="stable")
    table["place"] = table.groupby("officer_id", sort=False, observed=True).cumcount() + 1
    kept = table[(table["place"] <= CHANGES) & (table["size"] < 0)]
    columns = ["officer_id", "place", "dimension", "indicator", "before", "now", "moved"]
    return kept[columns].reset_index(drop=True)


def units(view: Assessable, levels: Sequence[PostLevels], months: Months) -> pd.DataFrame:
    """Return each unit, and the force (unit empty): mean levels with interval, percentile among units, trend.

    One row per unit and score. A unit of fewer than five assessed persons shows nothing (``shown`` False); nor does the
    next smallest where the force's mean would give it away.
    """
    size = len(view.given.officers)
    level = {name: np.full(size, np.nan) for name in SCORES}
    variance = {name: np.full(size, np.nan) for name in SCORES}
    for each in levels:
        for name in SCORES:
            level[name][each.seen.members] = each.scores[name].level
            variance[name][each.seen.members] = each.scores[name].variance
    tables = [
        _unit_rows(view, name, level=level[name], variance=variance[name], trend=_trend(months.scores[name]))
        for name in SCORES
    ]
    return pd.concat(tables, ignore_index=True)


def _unit_rows(view: Assessable, name: str, *, level: Floats, variance: Floats, trend: Floats) -> pd.DataFrame:
    unit, number_of = view.now.unit, len(view.given.units)
    known = np.flatnonzero((unit >= 0) & ~np.isnan(level))
    persons = np.bincount(unit[known], minlength=number_of)
    everyone = np.bincount(unit[unit >= 0], minlength=number_of)
    hidden = suppressed(persons)
    safe = np.where(hidden | (persons == 0), np.nan, persons)
    mean = np.bincount(unit[known], weights=level[known], minlength=number_of) / safe
    spread = np.sqrt(np.bincount(unit[known], weights=variance[known], minlength=number_of)) / safe
    sloped = known[~np.isnan(trend[known])]
    many = np.bincount(unit[sloped], minlength=number_of)
    total = np.bincount(unit[sloped], weights=trend[sloped], minlength=number_of)
    slopes = total / np.where(suppressed(many) | (many == 0) | hidden, np.nan, many)
    whole = Estimate(mean, spread**2, mean, persons.astype(np.float64), mean)
    part = pd.DataFrame({"unit": view.given.units, "score": name, "shown": ~hidden & (persons > 0)})
    part["persons"] = np.where(hidden, 0, persons)
    part = part.assign(**standing_of(whole, sure=view.rules.interval), trend=slopes)[everyone > 0]
    force = {"unit": "", "score": name, "shown": len(known) >= FEWEST, "persons": len(known)}
    if len(known) >= FEWEST:
        force |= {
            "level": level[known].sum() / len(known),
            "trend": trend[sloped].mean() if len(sloped) >= FEWEST else np.nan,
        }
    return pd.concat([pd.DataFrame([force]), part], ignore_index=True)


def suppressed(persons: np.ndarray) -> Mask:
    """Return which cells of a total must not be shown: those of 1 to 4 persons; and, where those are fewer than five
    persons together (the total less the others would tell of them), the smallest cells beside them."""
    hidden = (persons > 0) & (persons < FEWEST)
    for cell in np.argsort(np.where(persons > 0, persons, np.iinfo(np.int64).max), kind="stable"):
        if not 0 < persons[hidden].sum() < FEWEST:
            break
        hidden[cell] |= persons[cell] > 0
    return hidden


def unit_months(view: Assessable, months: Months) -> pd.DataFrame:
    """Return twelve months of each unit and of the force (unit empty): persons assessed, means of index and dimensions.

    The officers of a month are those posted in the unit then; cells of fewer than five are left out.
    """
    tables = []
    for month in months.months[-DRAWN_MONTHS:]:
        row = month - months.months[0]
        unit = view.standings[month].unit
        tables.append(_unit_month(view, unit, {name: months.scores[name][row] for name in SCORES}, month=month))
    return pd.concat(tables, ignore_index=True)


def _unit_month(view: Assessable, unit: np.ndarray, scores: Mapping[str, Floats], *, month: int) -> pd.DataFrame:
    number_of = len(view.given.units)
    table = pd.DataFrame({"unit": ["", *view.given.units], "month": timestamps([last_day(month)])[0]})
    for name, level in scores.items():
        known = np.flatnonzero((unit >= 0) & ~np.isnan(level))
        persons = np.bincount(unit[known], minlength=number_of)
        total = np.bincount(unit[known], weights=level[known], minlength=number_of)
        mean = total / np.where(suppressed(persons) | (persons == 0), np.nan, persons)
        whole = level[known].sum() / len(known) if len(known) >= FEWEST else np.nan
        table[name] = [whole, *mean]
        if name == INDEX:
            table["persons"] = [len(known), *np.where(np.isnan(mean), 0, persons)]
    return table[table[list(scores)].notna().any(axis=1)].reset_index(drop=True)


def force_months(view: Assessable, levels: Sequence[PostLevels]) -> pd.DataFrame:
    """Return twelve months of each post's indicators in their own units: post, indicator, month, persons, mean value.

    Against peers a force always stands in the middle; this says what its work came to. Fewer than five: left out.
    """
    ends = timestamps(last_day(np.arange(view.as_of - DRAWN_MONTHS + 1, view.as_of + 1)))
    tables = []
    for each in levels:
        for key in each.indicators:
            value = each.seen.indicators[key].value
            persons = (~np.isnan(value)).sum(axis=1)
            mean = np.nansum(value, axis=1) / np.where(persons >= FEWEST, persons, np.nan)
            row = {"post": view.given.posts[each.post], "indicator": key, "month": ends, "persons": persons}
            tables.append(pd.DataFrame({**row, "value": mean})[persons >= FEWEST])
    columns = ["post", "indicator", "month", "persons", "value"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)

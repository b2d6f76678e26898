"""Stars of the quarter, the honour ledger, and what a letter of honour to the family says.

A star has evidence: months assessed, ratings enough, figures that rest on own work. Ties share the rank and the star.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from features.assessment.ground.assessable import Assessable, Mask, Positions
from features.assessment.ground.indicators import SEEN_MONTHS, Estimate, counted_keys, estimate
from features.assessment.ground.levels import INDEX, PostLevels, bounds, scores
from features.assessment.negative_list import standing_at
from features.histories.tables import Floats
from features.months import first_day, timestamps
from features.names import number_text
from features.profile_rows import ASSESSED

STAR_COLUMNS = ("quarter", "state", "post", "unit", "officer_id", "rank", "tied", "star", "barred", "level", "low",
                "high", "months", "reason_zh", "reason_en")  # fmt: skip
LETTER_COLUMNS = ("officer_id", "quarter", "agreed", "deeds_zh", "deeds_en", "letter_zh", "letter_en")
TIE = 2
"""Levels that are the same to so many decimals are a tie."""
SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")
DEEDS = 5
SAID = 2


@dataclass(frozen=True)
class Quarter:
    """The calendar quarter of the as-of: its first month, and whether it is over."""

    first: int
    over: bool
    text: str


def quarter_of(as_of: int) -> Quarter:
    """Return the quarter in which a month lies; it is over in its third month."""
    place = as_of % 3
    return Quarter(as_of - place, place == 2, f"{as_of // 12}-Q{as_of % 12 // 3 + 1}")


def stars(view: Assessable, levels: Sequence[PostLevels]) -> pd.DataFrame:
    """Return the ranking of the quarter by post: who is a star, who shares a rank, and why, or what bars from it.

    ``state`` is final in the quarter's last month and running before. ``barred`` says what keeps a person out of the
    ranking: months, ratings, credibility, or a standing warning; without it the rank counts.
    """
    quarter = quarter_of(view.as_of)
    warned = standing_at(view, since=quarter.first) if view.rules.warning_bars_star else None
    tables = [
        _post_stars(view, each, quarter=quarter, warned=warned) for each in levels if counted_keys(view, each.post)
    ]
    if not tables:
        return pd.DataFrame(columns=list(STAR_COLUMNS))
    return pd.concat(tables, ignore_index=True)[list(STAR_COLUMNS)]


def _post_stars(view: Assessable, each: PostLevels, *, quarter: Quarter, warned: Mask | None) -> pd.DataFrame:
    window = np.zeros((SEEN_MONTHS, each.seen.size), dtype=bool)
    window[quarter.first - view.as_of - 1 :] = True
    parts = {
        key: estimate(each.seen.indicators[key], window, each.learned[key]) for key in counted_keys(view, each.post)
    }
    found = scores(view, each.post, seen=each.seen, parts=parts, window=window, learned=each.learned)
    index = found[INDEX]
    months = _months(each, window, list(parts))
    barred = _barred(view, each, found, window=window, months=months, warned=warned)
    rank, tied, chosen = _ranks(index.level, barred == "", percent=view.rules.star_percent)
    low, high = bounds(index, view.rules.interval)
    members = each.seen.members
    table = pd.DataFrame(
        {
            "quarter": quarter.text,
            "state": "final" if quarter.over else "running",
            "post": view.given.posts[each.post],
            "unit": np.asarray(view.given.units)[view.now.unit[members]],
            "officer_id": view.given.officers[members],
            "rank": pd.arrays.IntegerArray(rank, rank == 0),
            "tied": tied,
            "star": chosen,
            "barred": barred,
            "level": index.level,
            "low": low,
            "high": high,
            "months": months,
        }
    )
    for language in ("zh", "en"):
        table[f"reason_{language}"] = _reasons(view, each.post, parts, chosen=chosen, language=language)
    order = np.lexsort((members, np.where(rank > 0, rank, np.iinfo(np.int32).max)))
    return table.iloc[order[~np.isnan(index.level[order])]]


def _months(each: PostLevels, window: Mask, keys: list[str]) -> np.ndarray:
    """Return in how many months of the window anything was seen."""
    seen = np.zeros(window.shape, dtype=bool)
    for key in keys:
        seen |= each.seen.indicators[key].weight > 0
    number: np.ndarray = (seen & window).sum(axis=0)
    return number


def _barred(
    view: Assessable,
    each: PostLevels,
    found: Mapping[str, Estimate],
    *,
    window: Mask,
    months: np.ndarray,
    warned: Mask | None,
) -> np.ndarray:
    rules, size = view.rules, each.seen.size
    barred = np.full(size, "", dtype="U16")
    barred[found[INDEX].credibility < rules.star_min_credibility] = "credibility"
    for dimension in ASSESSED:
        keys = view.posts[each.post].indicators.get(dimension, {})
        barred[np.isnan(found[dimension].level) & bool(keys)] = "dimension"
        if keys and all(key in view.profile.measures and _rated(view, key) for key in keys):
            ratings = sum((np.where(window, each.seen.indicators[key].weight, 0.0).sum(axis=0) for key in keys),
                          start=np.zeros(size))  # fmt: skip
            barred[ratings < rules.star_min_ratings] = "ratings"
    barred[months < rules.star_min_months] = "months"
    if warned is not None:
        barred[warned[each.seen.members]] = "warning"
    return barred


def _rated(view: Assessable, key: str) -> bool:
    return view.profile.measures[key].aggregate != "sum"


def _ranks(level: Floats, able: Mask, *, percent: float) -> tuple[Positions, Mask, Mask]:
    """Return rank (0: none), whether it is shared, and who is a star.

    Whoever ties with the last star is one, but where a tie would make twice as many stars it makes none.
    """
    rank = np.zeros(len(level), dtype=np.int64)
    ranked = np.flatnonzero(able & ~np.isnan(level))
    shown = np.round(level[ranked], TIE)
    ordered = np.sort(-shown)
    first, after = (np.searchsorted(ordered, -shown, side=side) for side in SIDES)
    rank[ranked] = first + 1
    tied, chosen = np.zeros(len(level), dtype=bool), np.zeros(len(level), dtype=bool)
    tied[ranked] = after - first > 1
    places = max(1, int(len(level) * percent // 100))
    chosen[ranked] = (first < places) & (after <= 2 * places) & (shown > 0)
    return rank, tied, chosen


def _reasons(view: Assessable, post: int, parts: Mapping[str, Estimate], *, chosen: Mask, language: str) -> list[str]:
    """Say of each star which indicators carried it: the strongest by weight x level."""
    weights = {key: share for each in view.posts[post].indicators.values() for key, share in each.items()}
    keys = list(parts)
    carried = np.array([weights[key] * np.nan_to_num(parts[key].level) for key in keys]).reshape(len(keys), -1)
    said = ["" for _ in chosen]
    for row in np.flatnonzero(chosen):
        best = [keys[place] for place in np.argsort(-carried[:, row], kind="stable")[:SAID] if carried[place, row] > 0]
        words = [
            f"{view.profile.label(key, language)} {number_text(float(parts[key].value[row]), language)}" for key in best
        ]
        said[row] = ("突出：" + "、".join(words)) if language == "zh" else ("Ahead in " + " and ".join(words))
    return said


def honour_ledger(view: Assessable) -> pd.DataFrame:
    """Return every honour on record at the as-of, the newest first: who, what, when, and the event row behind it."""
    honours = np.array([key in honour_keys(view) for key in view.profile.measure_keys], dtype=bool)
    events = view.given.events
    rows = np.flatnonzero(view.live & honours[events.measure])
    rows = rows[np.lexsort((events.officer[rows], -events.occurred[rows].astype(np.int64)))]
    table = pd.DataFrame(
        {
            "officer_id": view.given.officers[events.officer[rows]],
            "measure": np.asarray(view.profile.measure_keys)[events.measure[rows]],
            "occurred_on": timestamps(events.occurred[rows]),
            "recorded_on": timestamps(events.recorded[rows]),
            "value": view.amounts(rows),
            "row": view.row[rows],
        }
    )
    for language in ("zh", "en"):
        labels = {key: view.profile.label(key, language) for key in view.profile.measure_keys}
        table[f"label_{language}"] = table["measure"].map(labels).astype(str)
    return table


def honour_keys(view: Assessable) -> tuple[str, ...]:
    """Return the measures that are honours: those that the profile names, or all of that dimension."""
    every = (key for key, measure in view.profile.measures.items() if measure.dimension == "honour")
    return view.rules.honours or tuple(every)


def letters(view: Assessable, ranking: pd.DataFrame, consents: Collection[str] = ()) -> pd.DataFrame:
    """Return the letters of honour of the stars of a quarter that is over: honour and own deeds, in both languages.

    A letter has content only where the officer agreed: by an event of the profile's ``letter_consent`` measure, or
    by name in ``consents``. ``deeds_*`` are lists of texts; ``letter_*`` the profile's letter, with {name} left open.
    """
    chosen = ranking[ranking["star"] & (ranking["state"] == "final")]
    number = {officer: place for place, officer in enumerate(view.given.officers.tolist())}
    agreed = set(consents) | _agreed(view)
    rows = []
    for row in chosen[["officer_id", "quarter", "unit", "post"]].to_dict("records"):
        star = {str(name): str(value) for name, value in row.items()}
        yes = star["officer_id"] in agreed
        deeds = _deeds(view, number[star["officer_id"]]) if yes else []
        said = {lang: [_deed(view, *deed, language=lang) for deed in deeds] for lang in ("zh", "en")}
        letter = {lang: _letter(view, star, deeds=said[lang], language=lang) if yes else "" for lang in said}
        rows.append([star["officer_id"], star["quarter"], yes, *said.values(), *letter.values()])
    return pd.DataFrame(rows, columns=list(LETTER_COLUMNS))


def _letter(view: Assessable, star: dict[str, str], *, deeds: list[str], language: str) -> str:
    """Return the profile's letter with everything filled in but the name, which no figure knows."""
    joint = "；" if language == "zh" else "; "
    text = view.rules.letter.get(language)
    post = view.profile.label(star["post"], language)
    return text.format(name="{name}", unit=star["unit"], post=post, quarter=star["quarter"], deeds=joint.join(deeds))


def _agreed(view: Assessable) -> set[str]:
    key = view.rules.letter_consent
    if key is None or key not in view.profile.measures:
        return set()
    return set(view.given.officers[view.given.events.officer[view.rows_of(key)]].tolist())


def _deeds(view: Assessable, officer: int) -> list[tuple[str, float]]:
    """Return what an officer did in the quarter that earns most: measures of achievement by points, at most DEEDS."""
    events, since = view.given.events, first_day(quarter_of(view.as_of).first)
    own = view.rows_between(officer, officer + 1)
    rows = own.start + np.flatnonzero(view.live[own] & (events.occurred[own] >= since))
    found = []
    for place, (key, measure) in enumerate(view.profile.measures.items()):
        if measure.better == "up" and measure.points > 0 and measure.dimension in ("quality", "satisfaction"):
            number = float(view.amounts(rows[events.measure[rows] == place]).sum())
            found.append((measure.points * number, key, number))
    return [(key, number) for worth, key, number in sorted(found, reverse=True)[:DEEDS] if worth > 0]


def _deed(view: Assessable, key: str, number: float, *, language: str) -> str:
    measure = view.profile.measures[key]
    unit = measure.unit.get(language) if measure.unit else ""
    said = number_text(number, language)
    label = view.profile.label(key, language)
    return f"{label} {said} {unit}".rstrip() if language == "zh" else f"{label}: {said} {unit}".rstrip()

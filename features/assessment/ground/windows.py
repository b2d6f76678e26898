"""Elastic windows: over which months (or weeks) a post is judged, and who is not judged at all, and why.

Exempt time is left out; work that spans months is judged when it closes, over all its months.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.asknown import Credits
from features.assessment.ground.assessable import Assessable, Grid, Mask, empty_grid, fill
from features.assessment.ground.indicators import SEEN_MONTHS, PostSeries
from features.efficiency import exposures, post_scores
from features.histories.tables import Floats, Ints
from features.months import NO_DAY, first_day, last_day, month_of_day, timestamps
from features.profile_rows import ASSESSED
from features.statistics import FEWEST, vs_peers

LENGTH = {"week": 1, "month": 1, "quarter": 3, "case": 3}
"""Months of evidence of each review; a case that closed within them adds all its own months."""
ASSESSED_NOW, IN_HAND, EXEMPT, UNKNOWN = "assessed", "in_hand", "exempt", "unknown"
WEEK = 7
MONDAY = 4
"""1970-01-01 was a Thursday: the first Monday has this number of days."""


@dataclass(frozen=True)
class Windows:
    """The windows of a post's officers: first month of each, and as a mask over the months seen."""

    first: Ints
    inside: Mask
    before: Mask
    """The window of the same length before it."""


def windows(view: Assessable, post: int, seen: PostSeries) -> Windows:
    """Return over which months each officer of a post is judged at the as-of."""
    rules = view.posts[post]
    oldest = view.as_of - SEEN_MONTHS + 1
    first = np.full(len(view.given.officers), view.as_of - LENGTH[rules.review] + 1, dtype=np.int32)
    if rules.review == "case":
        closed = _closed(view, view.as_of - LENGTH["case"] + 1)
        np.minimum.at(first, closed[0], closed[1])
    first = np.maximum(first[seen.members], oldest)
    months = np.arange(oldest, view.as_of + 1)[:, None]
    length = view.as_of - first + 1
    return Windows(first, months >= first, (months < first) & (months >= first - length))


def _closed(view: Assessable, since: int) -> tuple[Ints, Ints]:
    """Return officer and first month of the long work that closed from a month on."""
    events = view.given.events
    rows = np.flatnonzero(view.live & (events.began != NO_DAY) & (events.occurred >= first_day(since)))
    began, ended = month_of_day(events.began[rows]), month_of_day(events.occurred[rows])
    long = began < ended
    return events.officer[rows][long], began[long]


def status(seen: PostSeries, window: Windows, level: Floats) -> npt.NDArray[np.str_]:
    """Return why an officer has no level: long work in hand, exempt time, or too little known."""
    exempt = np.isnan(np.where(window.inside, seen.exposure, np.nan)).all(axis=0)
    found = np.where(exempt, EXEMPT, np.where(seen.busy[-1], IN_HAND, UNKNOWN))
    return np.where(np.isnan(level), found, ASSESSED_NOW)


def week_reviews(view: Assessable) -> pd.DataFrame:
    """Return how each week that ended in the month went, for posts that are reviewed by the week.

    Columns: officer_id, post, period_from, period_to, exempt_days, workload, quality, satisfaction, index (standard
    deviations of the post in that week, NaN where not assessed).
    """
    posts = [number for number, post in enumerate(view.posts) if post.review == "week"]
    starts = _weeks(view.as_of)
    weeks = week_grid(view, starts)
    rows = [
        _week_rows(view, weeks, post, week=week, start=start) for post in posts for week, start in enumerate(starts)
    ]
    columns = ["officer_id", "post", "period_from", "period_to", "exempt_days", *ASSESSED, "index"]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)


def _weeks(month: int) -> list[int]:
    """Return the Mondays of the weeks whose Sunday lies in the month."""
    first, last = int(first_day(month)), int(last_day(month))
    sundays = [day for day in range(first, last + 1) if (day - MONDAY) % WEEK == WEEK - 1]
    return [sunday - WEEK + 1 for sunday in sundays]


def week_grid(view: Assessable, starts: list[int]) -> Grid:
    """Return cells of weeks; what lasted longer than a day counts by the days that lie in the week.

    Exempt days (leave, secondment) without a beginning are the days up to the day on which they were noted.
    """
    events, size = view.given.events, len(view.given.officers)
    rows = np.flatnonzero(view.live & (events.occurred >= starts[0]))
    part, value = events.take(rows), view.amounts(rows)
    measures = [view.profile.measures[key] for key in view.profile.measure_keys]
    summed = np.array([measure.aggregate == "sum" for measure in measures])[part.measure]
    away = np.array([measure.exempt for measure in measures])[part.measure]
    noted = part.occurred - np.where(away, np.clip(np.ceil(value), 1, 400), 1).astype(np.int32) + 1
    began = np.where(part.began == NO_DAY, noted, np.minimum(part.began, part.occurred))
    start = np.where(summed, began, part.occurred)
    parts = [_week_credit(start, part.occurred, value, monday=monday) for monday in starts]
    slot = np.repeat(np.arange(len(starts)), [len(credit.position) for credit in parts])
    joined = Credits(*(np.concatenate([getattr(c, name) for c in parts]) for name in vars(parts[0])))
    whole = empty_grid(view.given, np.full(len(starts), float(WEEK)))
    fill(whole, part, joined, slot=slot, officers=(0, size))
    return whole


def _week_credit(start: Ints, end: Ints, value: Floats, *, monday: int) -> Credits:
    overlap = np.minimum(end, monday + WEEK - 1) - np.maximum(start, monday) + 1
    rows = np.flatnonzero(overlap > 0)
    length = (end - start + 1)[rows]
    share = value[rows] * overlap[rows] / length
    closes = end[rows] < monday + WEEK
    return Credits(rows, np.full(len(rows), monday, dtype=np.int32), share, closes, length > WEEK)


def _week_rows(view: Assessable, weeks: Grid, post: int, *, week: int, start: int) -> pd.DataFrame:
    members = view.members(post)
    away = exposures(weeks, slot=week, days=float(WEEK))[members]
    table = pd.DataFrame({"officer_id": view.given.officers[members], "post": view.given.posts[post]})
    table = table.assign(period_from=timestamps([start])[0], period_to=timestamps([start + WEEK - 1])[0])
    table["exempt_days"] = _exempt_days(view, weeks, members=members, week=week)
    same = np.zeros(len(members), dtype=np.int32)
    if len(members) >= FEWEST:
        scores = post_scores(weeks, view.posts[post], slot=week, members=members, exposure=away)
        for name in ASSESSED:
            level = scores.dimension.get(name, np.full(len(members), np.nan))
            table[name] = vs_peers(level, same, 1)
        table["index"] = vs_peers(scores.index, same, 1)
    return table


def _exempt_days(view: Assessable, weeks: Grid, *, members: npt.NDArray[np.int64], week: int) -> Floats:
    days = np.zeros(len(members))
    for number, key in enumerate(view.profile.measure_keys):
        if view.profile.measures[key].exempt:
            days = days + weeks.value[number, week, members]
    return np.minimum(days, float(WEEK))

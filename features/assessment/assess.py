"""One month's assessment: every table of it, from histories as known at the as-of. The story of this folder."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from features.assessment import blind_spots, cockpit, ladders, leaders, negative_list, points, stars, watch
from features.assessment.ground import windows
from features.assessment.ground.assessable import Assessable, assessable
from features.assessment.ground.levels import Months, PostLevels, all_levels, monthly_scores
from features.assessment.negative_list import Appeal
from features.errors import Refusal
from features.histories.tables import Histories
from features.months import month_of_day, month_text

TABLES: dict[str, tuple[str, ...]] = {
    "people": tuple(cockpit.people_columns()),
    "indicators": cockpit.INDICATOR_COLUMNS,
    "reasons": ("officer_id", "place", "dimension", "indicator", "before", "now", "moved"),
    "history": ("officer_id", "month", "index", "workload", "quality", "satisfaction"),
    "weeks": ("officer_id", "post", "period_from", "period_to", "exempt_days", "workload", "quality", "satisfaction",
              "index"),
    "units": ("unit", "score", "shown", "persons", "level", "trend", "low", "high", "percentile", "percentile_low",
              "percentile_high"),
    "unit_months": ("unit", "month", "index", "persons", "workload", "quality", "satisfaction"),
    "force_months": ("post", "indicator", "month", "persons", "value"),
    "warnings": negative_list.COLUMNS,
    "stars": stars.STAR_COLUMNS,
    "honours": ("officer_id", "measure", "occurred_on", "recorded_on", "value", "row", "label_zh", "label_en"),
    "letters": stars.LETTER_COLUMNS,
    "ladders": ladders.COLUMNS,
    "points": ("officer_id", "balance_cents", "month_cents", "month_entries", "month_counter_cents"),
    "offers": ("purchase", "officer_id", "balance_cents", "cost_cents", "rank", "places", "tied"),
    "leaders": leaders.LEADER_COLUMNS,
    "declines": leaders.DECLINE_COLUMNS,
    "blind_spots": blind_spots.COLUMNS,
    "lint": blind_spots.LINT_COLUMNS,
    "gaming": watch.GAMING_COLUMNS,
    "hidden": watch.HIDDEN_COLUMNS,
}  # fmt: skip
"""Every table of an assessment with its columns; features/assessment/README.md says what each is."""

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Assessment:
    """The tables of one as-of (a month), each with exactly its columns of TABLES.

    Missing figures are NaN or NaT; lists stand in ``levels``, ``measures``, ``deeds_*`` and ``equal_ranks``. ``labels``
    says posts, measures, rates and purchases in ``zh`` and ``en``, so that a page needs no profile.
    """

    as_of: int
    profile: str
    labels: Mapping[str, Mapping[str, str]]
    tables: Mapping[str, pd.DataFrame]

    def __post_init__(self) -> None:
        for name, columns in TABLES.items():
            if tuple(self.tables[name].columns) != columns:
                raise ValueError(f"table {name} has the columns {tuple(self.tables[name].columns)}")


def assess(
    given: Histories,
    as_of: int,
    *,
    appeals: Collection[Appeal] = (),
    consents: Collection[str] = (),
    progress: Advance | None = None,
) -> Assessment:
    """Return the assessment of a month, as known at its end: later rows, corrections and rules change nothing of it.

    ``appeals`` are those of the negative list that wait for a decision; ``consents`` the officers who agreed to a
    letter of honour. ``progress`` is told 1 for each of STEPS. A Refusal where the month lies outside the histories.
    """
    _check(given, as_of)
    view = assessable(given, as_of)
    return Assessment(
        as_of,
        given.profile.settings.name,
        _labels(view),
        _tables(view, appeals=appeals, consents=consents, advance=progress or (lambda _: None)),
    )


def _labels(view: Assessable) -> dict[str, dict[str, str]]:
    profile = view.profile
    keys = (*profile.measures, *profile.settings.rates, *view.given.posts)
    labels = {key: {language: profile.label(key, language) for language in ("zh", "en")} for key in keys}
    return labels | {buy.key: {"zh": buy.label.zh, "en": buy.label.en} for buy in view.rules.buys}


STEPS = 5
"""How often ``assess`` reports progress."""


def _check(given: Histories, as_of: int) -> None:
    if not len(given.events):
        raise Refusal("There is nothing to assess: the store holds no events.", hint="Ingest an export first.")
    first, last = int(month_of_day(given.events.occurred.min())), int(month_of_day(given.last_recorded))
    if not first <= as_of <= last:
        raise Refusal(
            f"{month_text(as_of)} can't be assessed: histories reach from {month_text(first)} to {month_text(last)}.",
            hint="Choose a month within them, or ingest a newer export.",
        )


def _tables(
    view: Assessable, *, appeals: Collection[Appeal], consents: Collection[str], advance: Advance
) -> dict[str, pd.DataFrame]:
    months = monthly_scores(view)
    advance(1)
    levels = all_levels(view)
    advance(1)
    found = _of_persons(view, levels, months)
    advance(1)
    found |= _of_the_force(view, levels, months)
    advance(1)
    found |= {
        "warnings": negative_list.warnings(view, appeals),
        "letters": stars.letters(view, found["stars"], consents),
        "reasons": cockpit.reasons(found["indicators"]),
        "offers": points.offer_table(view, found["points"]),
    }
    advance(1)
    return {name: found[name].reindex(columns=list(TABLES[name])).reset_index(drop=True) for name in TABLES}


def _of_persons(view: Assessable, levels: Sequence[PostLevels], months: Months) -> dict[str, pd.DataFrame]:
    return {
        "people": cockpit.people(view, levels, months),
        "indicators": cockpit.indicator_table(view, levels),
        "history": cockpit.history(view, months),
        "weeks": windows.week_reviews(view),
        "stars": stars.stars(view, levels),
        "honours": stars.honour_ledger(view),
        "ladders": ladders.ladders(view, levels, months),
        "points": points.balance_table(view),
        "leaders": leaders.leaders(view, months),
        "declines": leaders.declines(view, months),
    }


def _of_the_force(view: Assessable, levels: Sequence[PostLevels], months: Months) -> dict[str, pd.DataFrame]:
    return {
        "units": cockpit.units(view, levels, months),
        "unit_months": cockpit.unit_months(view, months),
        "force_months": cockpit.force_months(view, levels),
        "blind_spots": blind_spots.blind_spots(view, levels),
        "lint": blind_spots.weight_lint(view),
        "gaming": watch.gaming(view),
        "hidden": watch.hidden(view, levels),
    }

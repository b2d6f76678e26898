"""A small force for the tests of the assessment: two posts, ratings, cases, warnings, health data, dated rules."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from features.assessment.assess import Assessment, assess
from features.histories.tables import Histories, histories
from features.months import parse_month
from features.profile import Profile
from tests.forces import events_of

MONTHS = pd.period_range("2020-01", "2021-12", freq="M")
NOW = parse_month("2021-12")
Row = tuple[Any, ...]

MEASURES: dict[str, dict[str, Any]] = {
    "call": {"dimension": "workload", "better": "up", "points": 0.2, "kind": "activity"},
    "duty": {"dimension": "workload", "better": "up", "kind": "attendance"},
    "solved": {"dimension": "quality", "better": "up", "points": 5, "kind": "outcome"},
    "hard": {"dimension": "quality", "better": "up", "points": 33.335, "difficulty": 1.5, "kind": "outcome"},
    "hazard": {"dimension": "quality", "better": "up", "points": 2, "kind": "outcome"},
    "rating": {"dimension": "satisfaction", "better": "up", "aggregate": "mean", "kind": "residents"},
    "boss": {"dimension": "quality", "better": "up", "aggregate": "mean", "kind": "superiors"},
    "complaint": {"dimension": "satisfaction", "better": "down", "points": -10, "negative_list": True},
    "in_hand": {"dimension": "workload", "aggregate": "max"},
    "leave": {"dimension": "workload", "exempt": True},
    "mentoring": {"dimension": "action", "points": 5},
    "course": {"dimension": "action"},
    "star": {"dimension": "honour", "better": "up"},
    "sick": {"dimension": "wellbeing", "better": "down", "sensitive": True, "points": 7, "negative_list": True},
    "climate": {"dimension": "wellbeing", "better": "down", "aggregate": "mean"},
}
POSTS: dict[str, dict[str, Any]] = {
    "detective": {
        "review": "case", "risk_coefficient": 1.3, "load_coefficient": 1.1,
        "in_hand": ["in_hand"], "bonus": {"hard": 5},
        "indicators": {
            "workload": {"duty": 1.0}, "quality": {"solved": 0.7, "hazard": 0.3}, "satisfaction": {"rating": 1},
        },
    },
    "patrol": {
        "review": "week",
        "indicators": {
            "workload": {"call": 0.6, "duty": 0.4}, "quality": {"hazard": 1.0}, "satisfaction": {"rating": 1},
        },
    },
}  # fmt: skip
ACTIONS = {
    "course": {"label": "course", "kind": "training", "practice": "D2", "owner": "hr", "decides": "hr", "why": "why",
               "recorded_as": "course"},
}  # fmt: skip


def rules(
    *,
    measures: Mapping[str, Mapping[str, Any]] | None = None,
    posts: Mapping[str, Any] | None = None,
    **assessment: Any,
) -> Profile:
    """The profile; ``measures`` and ``posts`` are laid over keys of it."""
    own = {key: {**row, **(measures or {}).get(key, {})} for key, row in MEASURES.items()}
    return Profile.model_validate(
        {
            "settings": {"name": "test", "assessment": assessment},
            "measures": own,
            "posts": {key: {**row, **(posts or {}).get(key, {})} for key, row in POSTS.items()},
            "risks": {"sickness": {"outcome": {"measure": "sick"}, "horizon_months": 3, "purpose": "wellness"}},
            "actions": ACTIONS,
        }
    )


def roster(*, each: int = 12, units: int = 2) -> pd.DataFrame:
    """Detectives D00.. and patrol officers P00.., spread over units."""
    names = [f"{post[0].upper()}{number:02d}" for post in POSTS for number in range(each)]
    posts = [post for post in POSTS for _ in range(each)]
    unit = [f"U{number % units}" for _ in POSTS for number in range(each)]
    table = pd.DataFrame({"officer_id": names, "valid_from": pd.Timestamp("2019-01-01"), "post": posts, "unit": unit})
    return table.assign(valid_to=pd.NaT)


def work(seed: int = 1, *, each: int = 12, skill: Mapping[str, float] | None = None) -> list[Row]:
    """Ordinary monthly work of everyone; ``skill`` raises or lowers one officer, in standard deviations."""
    generator, rows = np.random.default_rng(seed), []
    for post in POSTS:
        for number in range(each):
            name = f"{post[0].upper()}{number:02d}"
            lift = (skill or {}).get(name, float(generator.normal(0, 1)))
            for month in MONTHS:
                rows += _month(generator, name, post, str(month), lift)
    return rows


def _month(generator: np.random.Generator, name: str, post: str, month: str, lift: float) -> list[Row]:
    rows: list[Row] = [(name, "duty", f"{month}-28", 160 + 3 * lift + float(generator.normal(0, 3)))]
    rows += [(name, "rating", f"{month}-{day}", 80 + 4 * lift + float(generator.normal(0, 4))) for day in ("07", "19")]
    rows += [(name, "boss", f"{month}-20", 80 + 4 * lift + float(generator.normal(0, 4)))]
    rows += [(name, "hazard", f"{month}-11", float(generator.poisson(6 * np.exp(0.3 * lift))))]
    own = "solved" if post == "detective" else "call"
    rows += [(name, own, f"{month}-15", float(generator.poisson(12 * np.exp(0.3 * lift))))]
    return rows


def force(rows: Iterable[Row], profile: Profile | None = None, people: pd.DataFrame | None = None) -> Histories:
    """Histories of rows as events_of takes them."""
    return histories(profile=profile or rules(), roster=roster() if people is None else people, events=events_of(*rows))


def table(given: Histories, name: str, as_of: int = NOW, **given_to: Any) -> pd.DataFrame:
    """One table of the assessment of a month."""
    return assess(given, as_of, **given_to).tables[name]


def same(left: Assessment, right: Assessment) -> list[str]:
    """The tables that differ in any bit; where a row stood in the export is no figure."""
    return [
        name
        for name, table_ in left.tables.items()
        if not table_.drop(columns="row", errors="ignore").equals(
            right.tables[name].drop(columns="row", errors="ignore")
        )
    ]

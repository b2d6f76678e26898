"""A small force for the tests of training: nights drive collapse, health data tell it too, complaints say nothing."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.histories.tables import Histories, histories
from features.profile import Profile

SETTINGS = {"name": "small", "windows_months": [1, 3, 12], "half_lives_months": [3], "min_tenure_months": 3}
MEASURES = {
    "night": {"dimension": "workload", "raises": ["collapse"], "label": {"zh": "夜班", "en": "Night shifts"},
              "unit": {"zh": "次", "en": "shifts"}},
    "complaint": {"dimension": "satisfaction", "label": {"zh": "投诉", "en": "Complaints"}},
    "sleep_score": {"dimension": "wellbeing", "sensitive": True, "aggregate": "mean"},
    "collapse": {"dimension": "wellbeing"},
}  # fmt: skip
RISKS = {
    "collapse": {"outcome": {"measure": "collapse"}, "horizon_months": 3, "purpose": "wellness"},
    "collapse_open": {"outcome": {"measure": "collapse"}, "horizon_months": 3, "purpose": "development"},
}


def small_profile() -> Profile:
    """Return a profile of four measures and two risks with the same outcome."""
    parts = {"settings": SETTINGS, "measures": MEASURES, "posts": {}, "risks": RISKS, "actions": {}}
    return Profile.model_validate(parts)


@dataclass(frozen=True)
class SmallForce:
    """Its tables, so that tests can change them."""

    roster: pd.DataFrame
    events: pd.DataFrame

    def histories(self) -> Histories:
        """Return its histories."""
        return histories(profile=small_profile(), roster=self.roster, events=self.events)


def small_force(*, officers: int = 240, months: int = 30, seed: int = 5, skill: bool = True) -> SmallForce:
    """Return a force from 2020-01 on; without ``skill`` collapse has nothing to do with anything."""
    generator = np.random.default_rng(seed)
    ids = [f"P{number:04d}" for number in range(officers)]
    strain = generator.gamma(2.0, 1.0, officers)
    roster = pd.DataFrame(
        {
            "officer_id": ids,
            "valid_from": pd.Timestamp("2019-01-01"),
            "valid_to": pd.NaT,
            "post": generator.choice(["patrol", "desk"], officers),
            "unit": generator.choice(["north", "south", "east"], officers),
            "name": "Planted Name",
            "birth_year": 1980,
            "sex": "F",
        }
    )
    rows = []
    for month in range(months):
        day = pd.Timestamp("2020-01-01") + pd.DateOffset(months=month)
        nights = generator.poisson(2 * strain)
        chance = np.clip(0.02 * strain**2 if skill else np.full(officers, 0.06), 0, 0.6)
        fell = generator.random(officers) < chance
        moaned = generator.random(officers) < 0.2
        for number, officer in enumerate(ids):
            rows += [(officer, "night", day, float(nights[number]))]
            rows += [(officer, "sleep_score", day + pd.Timedelta(days=3), float(9 - strain[number]))]
            rows += [(officer, "collapse", day + pd.Timedelta(days=9), 1.0)] * bool(fell[number])
            rows += [(officer, "complaint", day + pd.Timedelta(days=19), 1.0)] * bool(moaned[number])
    events = pd.DataFrame(rows, columns=["officer_id", "measure", "occurred_on", "value"])
    return SmallForce(roster, events.assign(recorded_on=events["occurred_on"], began_on=pd.NaT, event_id=None))

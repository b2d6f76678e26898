"""Small real histories for tests: made by hand, or at random from a seed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from features.histories.tables import Histories, histories
from features.profile import Profile, load_profile

SMALL = Path(__file__).parent / "profiles" / "small"


def small_profile() -> Profile:
    return load_profile(SMALL)


def roster_of(*rows: tuple[str, str, str | None, str, str]) -> pd.DataFrame:
    """Rows of (officer_id, valid_from, valid_to, post, unit)."""
    table = pd.DataFrame(rows, columns=["officer_id", "valid_from", "valid_to", "post", "unit"])
    return table.assign(valid_from=pd.to_datetime(table["valid_from"]), valid_to=pd.to_datetime(table["valid_to"]))


def events_of(*rows: tuple[object, ...]) -> pd.DataFrame:
    """Rows of (officer_id, measure, occurred_on[, value[, recorded_on[, began_on[, event_id]]]])."""
    names = ["officer_id", "measure", "occurred_on", "value", "recorded_on", "began_on", "event_id"]
    padded = [tuple(row) + (None,) * (len(names) - len(row)) for row in rows]
    table = pd.DataFrame(padded, columns=names)
    dates = {name: pd.to_datetime(table[name]) for name in ("occurred_on", "recorded_on", "began_on")}
    return table.assign(value=pd.to_numeric(table["value"]).astype(float), **dates)


def force(roster: pd.DataFrame, events: pd.DataFrame, profile: Profile | None = None) -> Histories:
    return histories(profile=profile or small_profile(), roster=roster, events=events)


def squad(count: int, post: str = "patrol", unit: str = "U1", since: str = "2020-01-01") -> pd.DataFrame:
    """A post of ``count`` officers named P00, P01, ..."""
    return roster_of(*[(f"P{number:02d}", since, None, post, unit) for number in range(count)])


def random_tables(
    seed: int, *, officers: int = 14, months: int = 30, per_month: float = 3.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A roster with transfers and leavers, and events with late news, corrections, retractions and long work."""
    rng = np.random.default_rng(seed)
    profile, start = small_profile(), pd.Timestamp("2020-01-01")
    postings = []
    for number in range(officers):
        name, begin = (
            f"R{number:02d}",
            start + pd.Timedelta(days=int(rng.integers(0, 200)) * int(rng.random() < 0.3)),
        )
        moves = begin + pd.Timedelta(days=int(rng.integers(100, 600)))
        if rng.random() < 0.3:
            postings.append((name, begin, moves, _pick(rng, ["patrol", "detective"]), _pick(rng, ["U1", "U2"])))
            begin = moves + pd.Timedelta(days=int(rng.integers(-20, 60)))
        leaves = begin + pd.Timedelta(days=int(rng.integers(200, 900))) if rng.random() < 0.2 else pd.NaT
        postings.append((name, begin, leaves, _pick(rng, ["patrol", "detective"]), _pick(rng, ["U1", "U2"])))
    size = int(officers * months * per_month)
    occurred = start + pd.to_timedelta(rng.integers(0, months * 30, size), unit="D")
    late = pd.to_timedelta(np.where(rng.random(size) < 0.3, rng.integers(0, 200, size), 0), unit="D")
    long_ = pd.to_timedelta(rng.integers(20, 300, size), unit="D")
    events = pd.DataFrame(
        {
            "officer_id": [f"R{number:02d}" for number in rng.integers(0, officers, size)],
            "measure": [_pick(rng, profile.measure_keys) for _ in range(size)],
            "occurred_on": occurred,
            "value": np.where(rng.random(size) < 0.2, np.nan, np.round(rng.normal(3, 2, size), 2)),
            "recorded_on": occurred + late,
            "began_on": pd.Series(occurred - long_).where(rng.random(size) < 0.2),
            "event_id": [f"E{number}" if rng.random() < 0.7 else None for number in range(size)],
        }
    )
    return roster_of(*postings), pd.concat([events, _corrections(rng, events)], ignore_index=True)


def _corrections(rng: np.random.Generator, events: pd.DataFrame) -> pd.DataFrame:
    chosen = events[events["event_id"].notna() & (rng.random(len(events)) < 0.2)].copy()
    chosen["recorded_on"] += pd.to_timedelta(rng.integers(1, 150, len(chosen)), unit="D")
    chosen["value"] = np.where(rng.random(len(chosen)) < 0.4, np.nan, np.round(rng.normal(3, 2, len(chosen)), 2))
    return chosen


def random_force(seed: int, **sizes: float) -> Histories:
    roster, events = random_tables(seed, **sizes)  # type: ignore[arg-type]
    return force(roster, events)


def _pick(rng: np.random.Generator, values: Sequence[str]) -> str:
    return str(values[int(rng.integers(0, len(values)))])

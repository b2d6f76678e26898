"""The fast engine equals a slow per-person loop on random histories."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.engine import feature_rows
from features.histories.tables import Histories
from features.tiles.plan import Wanted
from tests.forces import force, random_tables
from tests.reference import reference_rows

FIRST, LAST = 2020 * 12 + 8, 2022 * 12 + 5
NOT_HERE = ("efficiency__", "tenure__", "transfer__", "post__")  # proved in their own tests


def differences(fast: Histories, roster: pd.DataFrame, events: pd.DataFrame, as_of: int) -> list[str]:
    rows = feature_rows(fast, [as_of - 4, as_of])
    rows = rows.take(rows.as_of == as_of)
    slow = reference_rows(fast.profile, roster, events, as_of)
    assert [str(name) for name in fast.officers[rows.officer]] == sorted(slow)
    names = [name for name in rows.names if not name.startswith(NOT_HERE)]
    told = {name for row in slow.values() for name in row}
    assert told <= set(names)
    assert set(names) == told or not slow
    wrong = []
    for number, officer in enumerate(fast.officers[rows.officer]):
        for name in names:
            mine, theirs = float(rows.values[number, rows.names.index(name)]), slow[str(officer)][name]
            if not np.isclose(mine, theirs, rtol=2e-5, atol=2e-5, equal_nan=True):
                wrong.append(f"{officer} {name}: {mine} instead of {theirs}")
    return wrong


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(seed=st.integers(0, 10_000), as_of=st.integers(FIRST, LAST), per_month=st.sampled_from([0.2, 1.0, 4.0]))
def test_feature_rows_equal_the_slow_reference(seed: int, as_of: int, per_month: float) -> None:
    roster, events = random_tables(seed, officers=12, months=24, per_month=per_month)
    assert differences(force(roster, events), roster, events, as_of) == []


def test_the_reference_comparison_notices_a_wrong_window(monkeypatch: pytest.MonkeyPatch) -> None:
    roster, events = random_tables(3)
    plan = Wanted._plan
    shorter = lambda wanted: plan(wanted)._replace(windows=np.maximum(plan(wanted).windows - 1, 1))  # noqa: E731
    monkeypatch.setattr(Wanted, "_plan", shorter)
    assert differences(force(roster, events), roster, events, 2021 * 12) != []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_how_many_officers_are_worked_on_at_a_time_changes_no_bit(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    roster, events = random_tables(seed, officers=14)
    many = feature_rows(force(roster, events), range(2020 * 12 + 9, 2022 * 12, 2))
    monkeypatch.setattr("features.engine.TILE", 3)
    monkeypatch.setattr("features.engine.LEVELS_AT_ONCE", 3)
    monkeypatch.setattr("features.engine.AS_OFS_AT_ONCE", 2)
    few = feature_rows(force(roster, events), range(2020 * 12 + 9, 2022 * 12, 2))
    assert many.values.tobytes() == few.values.tobytes()
    np.testing.assert_array_equal(many.officer, few.officer)
    np.testing.assert_array_equal(many.as_of, few.as_of)

"""The engine on real histories, where they lie beside the project; they are read, never copied into it."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.engine import FeatureRows, feature_rows
from features.histories.ingest import ingest
from features.histories.store import load_histories
from features.months import parse_month
from tests.reference import end_of

REAL = Path(os.environ.get("JINGXING_REAL", Path(__file__).parents[2] / "shared" / "data"))
CHICAGO = REAL / "chicago"
pytestmark = pytest.mark.skipif(not CHICAGO.is_dir(), reason=f"no real histories at {CHICAGO}; set JINGXING_REAL")


def rows_of(export: Path, home: Path, as_ofs: list[int]) -> FeatureRows:
    ingest(export, home=home, profile=CHICAGO / "profile", strict=False)
    return feature_rows(load_histories(home), as_ofs)


def test_chicago_features_do_not_change_by_a_bit_when_later_rows_leave_the_export(tmp_path: Path) -> None:
    as_of, later = parse_month("2007-06"), parse_month("2009-12")
    full = rows_of(CHICAGO, tmp_path / "full", [as_of, later])
    export = tmp_path / "cut"
    export.mkdir()
    events = pd.read_parquet(CHICAGO / "events.parquet")
    early = pd.to_datetime(events["recorded_on"]) <= pd.Timestamp(end_of(as_of))
    assert 0.3 < early.mean() < 0.7
    events[early].to_parquet(export / "events.parquet")
    pd.read_parquet(CHICAGO / "roster.parquet").to_parquet(export / "roster.parquet")
    cut = rows_of(export, tmp_path / "home", [as_of])
    there = full.take(full.as_of == as_of)
    np.testing.assert_array_equal(there.officer, cut.officer)
    assert there.values.tobytes() == cut.values.tobytes()


def test_chicago_complaints_are_sustained_long_after_they_occurred(tmp_path: Path) -> None:
    """The trap that the rule above guards against is really there: sustained complaints are known years late."""
    events = pd.read_parquet(CHICAGO / "events.parquet")
    sustained = events[events["measure"] == "complaint_sustained"]
    late = pd.to_datetime(sustained["recorded_on"]) - pd.to_datetime(sustained["occurred_on"])
    assert late.dt.days.mean() > 365

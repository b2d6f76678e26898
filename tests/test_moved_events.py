"""A correction that names another officer: whoever is read alone has what the whole histories have."""

import numpy as np
import pandas as pd
import pytest

from features.asknown import NEVER, lifetimes
from features.engine import feature_rows
from features.histories.ingest import ingest
from features.histories.store import load_histories, load_officer, load_some
from features.months import month_of_day

DAYS = ("P00", "P01", "P02", "P03")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """X1 moved from P00 to P01; X2 of P02 retracted by a row that names P03; X3 moved there and back."""
    place = tmp_path_factory.mktemp("moved")
    roster = pd.DataFrame({"officer_id": DAYS, "valid_from": "2023-01-01", "post": "patrol", "unit": "one"})
    rows = [
        ("P00", "2023-10-05", "2023-10-06", 1, "X1"),
        ("P01", "2023-10-05", "2023-12-20", 1, "X1"),
        ("P02", "2023-11-05", "2023-11-06", 1, "X2"),
        ("P03", "2023-11-05", "2023-12-21", None, "X2"),
        ("P00", "2023-09-05", "2023-09-06", 1, "X3"),
        ("P02", "2023-09-05", "2023-10-01", 1, "X3"),
        ("P00", "2023-09-05", "2023-11-01", 1, "X3"),
        ("P01", "2023-12-30", "2023-12-31", 1, "X4"),
    ]
    events = pd.DataFrame(rows, columns=["officer_id", "occurred_on", "recorded_on", "value", "event_id"])
    (place / "export").mkdir()
    roster.to_csv(place / "export" / "roster.csv", index=False)
    events.assign(measure="complaint").to_csv(place / "export" / "events.csv", index=False)
    ingest(place / "export", home=place, profile="gongan", strict=True)
    return place


@pytest.mark.parametrize(("officer", "stands"), [("P00", ["X3"]), ("P01", ["X1", "X4"]), ("P02", []), ("P03", [])])
def test_an_officer_read_alone_has_the_events_that_stand_in_the_whole(home, officer, stands):
    given, ids = load_officer(home, officer)
    life = lifetimes(given.events)
    assert sorted(ids[row] for row in np.flatnonzero(life.died == NEVER)) == stands


@pytest.mark.parametrize("names", [["P00"], ["P01", "P03"], ["P00", "P02"], list(DAYS)])
def test_some_officers_read_alone_have_the_features_of_the_whole(home, names):
    whole, some = load_histories(home), load_some(home, names)
    months = range(int(month_of_day(whole.last_recorded)) - 3, int(month_of_day(whole.last_recorded)) + 1)
    columns = ["complaint__sum__12m", "complaint__ever", "complaint__days_since"]
    mine = feature_rows(some, months, names=columns).frame(some)
    theirs = feature_rows(whole, months, names=columns).frame(whole)
    theirs = theirs[theirs["officer_id"].isin(names)].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, theirs)

"""Good exports: what is stored, in which order, and what a second ingest changes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from features.errors import Refusal
from features.histories.ingest import ingest
from features.histories.store import load_histories, quarantined
from features.histories.tables import Events, Histories, histories
from features.profile import load_profile
from serving.cli import main
from tests.export_files import (
    EVENTS,
    MEASURES,
    POSTS,
    ROSTER,
    bad_rows,
    fingerprint,
    take_in,
    write_export,
    write_profile,
)

FEWER = "night_shift: {dimension: workload}\nburnout_episode: {dimension: action}\n"
ARRAYS = ("officer", "measure", "occurred", "recorded", "began", "value", "event")


def assert_same_events(one: Events, other: Events) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_an_export_comes_back_as_histories(tmp_path: Path) -> None:
    result = take_in(tmp_path)
    assert (result.rows_read, result.events_new, result.events_total) == (7, 4, 4)
    assert (result.postings, result.officers, result.quarantined) == (3, 2, [])
    stored = load_histories(tmp_path / "home")
    assert list(stored.officers) == ["P1", "P2"]
    assert stored.people["name"].tolist() == ["甲", "乙", "乙"]
    assert stored.events.value.tolist()[:3] == [1.0, 3.0, 2.5]
    assert np.isnan(stored.events.value[3])
    first, correction = stored.events.event[:2]
    assert first == correction >= 0
    assert stored.events.event[3] == -1
    assert stored.events.recorded[3] == stored.events.occurred[3]


def test_the_store_gives_what_the_declared_constructor_gives(tmp_path: Path) -> None:
    take_in(tmp_path)
    stored = load_histories(tmp_path / "home")
    dates = ["occurred_on", "recorded_on", "began_on"]
    events = pd.read_csv(tmp_path / "export" / "events.csv", parse_dates=dates)
    roster = pd.read_csv(tmp_path / "export" / "roster.csv", parse_dates=["valid_from", "valid_to"])
    made = histories(profile=load_profile(tmp_path / "profile"), roster=roster, events=events)
    for name in ARRAYS[:-1]:
        np.testing.assert_array_equal(getattr(stored.events, name), getattr(made.events, name))
    np.testing.assert_array_equal(stored.postings.last, made.postings.last)


def _both_ways(tmp_path: Path, frames: dict[str, pd.DataFrame]) -> tuple[Histories, Histories]:
    profile = write_profile(tmp_path / "profile")
    found = []
    for kind in ("csv", "parquet"):
        folder = tmp_path / kind
        folder.mkdir()
        for name, frame in frames.items():
            path = folder / f"{name}.{kind}"
            frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path, index=False)
        ingest(folder, home=tmp_path / f"home_{kind}", profile=profile, strict=True)
        found.append(load_histories(tmp_path / f"home_{kind}"))
    return found[0], found[1]


def test_csv_and_typed_parquet_give_the_same_histories(tmp_path: Path) -> None:
    roster = pd.read_csv(write_export(tmp_path / "text") / "roster.csv")
    events = pd.read_csv(tmp_path / "text" / "events.csv")
    roster["valid_from"] = pd.to_datetime(roster["valid_from"]).dt.date
    roster["valid_to"] = pd.to_datetime(roster["valid_to"])
    events["occurred_on"] = pd.to_datetime(events["occurred_on"]).astype("datetime64[ms]")
    events["measure"] = events["measure"].astype("category")
    events["value"] = events["value"].astype("float32")
    csv, parquet = _both_ways(tmp_path, {"roster": roster, "events": events})
    assert_same_events(csv.events, parquet.events)
    assert csv.people.equals(parquet.people)


def test_parquet_counts_nan_as_empty_and_whole_number_ids_as_text(tmp_path: Path) -> None:
    profile = write_profile(tmp_path / "profile")
    folder = tmp_path / "export"
    folder.mkdir()
    pd.DataFrame({"officer_id": [7], "valid_from": ["2020-01-01"], "post": "desk", "unit": 3}).to_parquet(
        folder / "roster.parquet"
    )
    events = {"officer_id": [7, 7], "measure": "night_shift", "occurred_on": "2020-01-02", "value": [np.nan, np.inf]}
    pd.DataFrame(events).to_parquet(folder / "events.parquet")
    result = ingest(folder, home=tmp_path / "home", profile=profile, strict=False)
    assert bad_rows(result) == [("events.parquet", 2, "value", "inf")]
    assert np.isnan(load_histories(tmp_path / "home").events.value).tolist() == [True]
    assert load_histories(tmp_path / "home").officers.tolist() == ["7"]


def test_ingesting_the_same_export_twice_changes_not_one_byte(tmp_path: Path) -> None:
    events = EVENTS + "P9,night_shift,2021-01-05,1,,,e9\nP1,night_shift,2021-13-05,1,,,\n"
    first = take_in(tmp_path, events=events)
    before = fingerprint(tmp_path / "home")
    again = take_in(tmp_path, events=events)
    assert fingerprint(tmp_path / "home") == before
    assert (first.changed, again.changed) == (True, False)
    assert (again.events_new, again.events_known) == (0, 4)
    assert again.quarantined == first.quarantined == quarantined(tmp_path / "home")


def test_the_same_rows_in_another_order_and_in_parts_give_the_same_bytes(tmp_path: Path) -> None:
    take_in(tmp_path / "one")
    head, *rows = EVENTS.splitlines(keepends=True)
    take_in(tmp_path / "two", events=head + "".join(reversed(rows)))
    folder = write_export(tmp_path / "three" / "export")
    (folder / "events.csv").unlink()
    (folder / "events").mkdir()
    for number, row in enumerate(rows):
        (folder / "events" / f"{number}.csv").write_text(head + row, encoding="utf-8")
    profile = write_profile(tmp_path / "three" / "profile")
    ingest(folder, home=tmp_path / "three" / "home", profile=profile, strict=True)
    assert fingerprint(tmp_path / "one" / "home") == fingerprint(tmp_path / "two" / "home")
    assert fingerprint(tmp_path / "one" / "home") == fingerprint(tmp_path / "three" / "home")


def test_rows_recorded_later_change_no_array_of_the_rows_before(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    size = 400
    occurred = pd.Timestamp("2020-01-01") + pd.to_timedelta(generator.integers(0, 30, size), unit="D")
    events = pd.DataFrame({"officer_id": generator.choice(["P1", "P2"], size), "measure": "night_shift",
                           "occurred_on": occurred, "value": generator.integers(0, 3, size)})  # fmt: skip
    events["recorded_on"] = occurred + pd.to_timedelta(generator.integers(0, 60, size), unit="D")
    events["event_id"] = [f"e{number}" for number in generator.integers(0, 200, size)]
    events = events.drop_duplicates(["event_id", "recorded_on"])
    cut = pd.Timestamp("2020-02-01")
    whole = take_in(tmp_path / "whole", events=events.to_csv(index=False))
    part = take_in(tmp_path / "part", events=events[events["recorded_on"] <= cut].to_csv(index=False))
    assert part.events_total < whole.events_total
    full, early = (load_histories(tmp_path / name / "home").events for name in ("whole", "part"))
    assert_same_events(full.take(full.recorded <= (cut - pd.Timestamp("1970-01-01")).days), early)


def test_rows_without_id_count_as_often_as_the_fuller_export_holds_them(tmp_path: Path) -> None:
    head = "officer_id,measure,occurred_on,value\n"
    row = "P1,night_shift,2021-01-05,1\n"
    assert take_in(tmp_path, events=head + row * 2).events_total == 2
    more = take_in(tmp_path, events=head + row * 3)
    assert (more.events_new, more.events_known, more.events_total) == (1, 2, 3)
    less = take_in(tmp_path, events=head + row)
    assert (less.events_new, less.events_known, less.events_total) == (0, 1, 3)


def test_an_incremental_export_adds_events_and_replaces_an_officers_postings(tmp_path: Path) -> None:
    take_in(tmp_path)
    roster = "officer_id,valid_from,valid_to,post,unit\nP0,2021-01-01,,desk,U9\nP2,2020-01-01,,patrol,U1\n"
    events = "officer_id,measure,occurred_on\nP0,night_shift,2021-02-01\nP1,case_closed,2021-07-01\n"
    result = take_in(tmp_path, name="next", roster=roster, events=events)
    assert (result.events_new, result.events_total, result.postings, result.officers) == (2, 6, 3, 3)
    stored = load_histories(tmp_path / "home")
    assert stored.officers[stored.events.officer].tolist() == ["P0", "P1", "P1", "P1", "P1", "P2"]
    assert np.isnan(stored.events.value[0])


def test_stored_content_is_never_replaced_under_the_same_id_and_day(tmp_path: Path) -> None:
    take_in(tmp_path)
    before = load_histories(tmp_path / "home").events
    result = take_in(tmp_path, name="next", events=EVENTS.replace("2.5,2021-03-04", "9.5,2021-03-04"))
    assert bad_rows(result) == [("events.csv", 3, "event_id", "e2")]
    assert "later recorded_on" in result.quarantined[0]["reason"]
    assert_same_events(load_histories(tmp_path / "home").events, before)


def test_the_profile_is_remembered_and_copied(tmp_path: Path) -> None:
    take_in(tmp_path)
    write_profile(tmp_path / "profile", measures=FEWER)
    result = ingest(tmp_path / "export", home=tmp_path / "home", profile=None, strict=True)
    assert result.profile == "small"
    assert not result.changed
    assert load_histories(tmp_path / "home").profile.measure_keys == ("night_shift", "case_closed", "burnout_episode")


def test_a_profile_that_does_not_know_stored_rows_is_refused_with_counts(tmp_path: Path) -> None:
    take_in(tmp_path)
    before = fingerprint(tmp_path / "home")
    other = write_profile(tmp_path / "other", measures=FEWER, posts="desk: {}\n")
    with pytest.raises(Refusal, match="does not fit") as refused:
        ingest(tmp_path / "export", home=tmp_path / "home", profile=other, strict=False)
    assert refused.value.problems == (
        "1 stored events have the measure 'case_closed', which this profile does not know",
        "1 stored postings have the post 'patrol', which this profile does not know",
    )
    assert fingerprint(tmp_path / "home") == before


def test_measures_in_another_order_leave_the_events_what_they_were(tmp_path: Path) -> None:
    take_in(tmp_path)
    turned = "\n".join(reversed(MEASURES.strip().splitlines())) + "\n"
    other = write_profile(tmp_path / "other", measures=turned, posts=POSTS)
    ingest(tmp_path / "export", home=tmp_path / "home", profile=other, strict=True)
    again = load_histories(tmp_path / "home")
    keys = np.array(again.profile.measure_keys)
    assert keys[again.events.measure].tolist() == ["case_closed", "night_shift", "night_shift", "night_shift"]
    ingest(tmp_path / "export", home=tmp_path / "fresh", profile=other, strict=True)
    assert_same_events(again.events, load_histories(tmp_path / "fresh").events)


def test_a_corrected_export_empties_the_quarantine(tmp_path: Path) -> None:
    wrong = EVENTS + "P1,night_shift,2021-02-30,1,,,e9\n"
    assert len(take_in(tmp_path, events=wrong).quarantined) == 1
    take_in(tmp_path, events=wrong.replace("2021-02-30", "2021-02-28"))
    assert quarantined(tmp_path / "home") == []


@pytest.mark.parametrize("ident", ["e9", ""])
def test_an_export_of_the_corrected_row_alone_takes_it_out_and_leaves_the_others(tmp_path: Path, ident: str) -> None:
    head = EVENTS.splitlines()[0] + "\n"
    bad, other = f"P1,night_shift,2021-01-09,zwei,,,{ident}\n", "P1,night_shift,2021-02-30,1,,,\n"
    take_in(tmp_path, events=EVENTS + bad + other)
    assert len(quarantined(tmp_path / "home")) == 2
    take_in(tmp_path, name="next", events=head + bad.replace("zwei", "2"))
    assert [row["value"] for row in quarantined(tmp_path / "home")] == ["2021-02-30"]


def test_a_newer_edition_of_the_whole_history_replaces_the_quarantine(tmp_path: Path) -> None:
    take_in(tmp_path, events=EVENTS + "P1,night_shift,2021-02-30,1,,,\n")
    take_in(tmp_path, name="next", events=EVENTS)
    assert quarantined(tmp_path / "home") == []


def test_an_unrelated_export_leaves_the_quarantine(tmp_path: Path) -> None:
    take_in(tmp_path, events=EVENTS + "P1,night_shift,2021-02-30,1,,,\n")
    take_in(tmp_path, name="next", events="officer_id,measure,occurred_on\nP1,case_closed,2022-01-01\n")
    assert [row["value"] for row in quarantined(tmp_path / "home")] == ["2021-02-30"]


FOREIGN = "officer_id,measure,occurred_on\nP1,arrest,2022-01-01\nP1,stop,2022-01-02\nP1,case_closed,2022-01-01\n"


def test_an_export_that_the_remembered_profile_hardly_knows_is_refused_by_name(tmp_path: Path) -> None:
    take_in(tmp_path)
    before = fingerprint(tmp_path / "home")
    folder = write_export(tmp_path / "next", events=FOREIGN)
    with pytest.raises(Refusal) as refused:
        ingest(folder, home=tmp_path / "home", profile=None, strict=False)
    said = refused.value.message()
    assert "2 of 3 rows of the events have a measure that the profile 'small' (that the store remembers)" in said
    assert "  - arrest\n  - stop" in said
    assert "--profile" in said
    assert fingerprint(tmp_path / "home") == before
    named = ingest(folder, home=tmp_path / "home", profile=tmp_path / "profile", strict=False)
    assert (named.events_new, len(named.quarantined)) == (1, 2)


def test_posts_that_the_default_profile_does_not_know_are_refused_at_the_first_ingest(tmp_path: Path) -> None:
    folder = write_export(tmp_path / "export", roster=ROSTER.replace("patrol", "desk"))
    with pytest.raises(Refusal, match=r"of the roster have a post that the profile 'gongan' \(that is used where none"):
        ingest(folder, home=tmp_path / "home", profile=None, strict=False)
    assert not (tmp_path / "home").exists()


def test_half_of_the_rows_may_be_unknown_to_the_remembered_profile(tmp_path: Path) -> None:
    take_in(tmp_path)
    half = "officer_id,measure,occurred_on\nP1,arrest,2022-01-01\nP1,case_closed,2022-01-01\n"
    taken = ingest(write_export(tmp_path / "next", events=half), home=tmp_path / "home", profile=None, strict=False)
    assert (taken.profile, len(taken.quarantined)) == ("small", 1)


def test_every_ingest_says_which_profile_it_used(tmp_path: Path) -> None:
    profile, folder = write_profile(tmp_path / "profile"), write_export(tmp_path / "export")
    words = ["--home", str(tmp_path / "home"), "ingest", str(folder)]
    first = CliRunner().invoke(main, [*words, "--profile", str(profile)])
    again = CliRunner().invoke(main, words)
    assert "under the profile 'small'" in first.stdout
    assert "No --profile was given: checked by the profile 'small'" in again.stdout
    assert json.loads(CliRunner().invoke(main, ["--json", *words]).stdout)["profile"] == "small"


def test_strict_refuses_and_changes_nothing(tmp_path: Path) -> None:
    wrong = EVENTS + "P1,night_shift,2021-02-30,1,,,\n"
    with pytest.raises(Refusal, match=r"1 bad rows[\s\S]*events.csv line 6: occurred_on"):
        take_in(tmp_path, events=wrong, strict=True)
    assert not (tmp_path / "home").exists()
    take_in(tmp_path)
    before = fingerprint(tmp_path / "home")
    with pytest.raises(Refusal):
        take_in(tmp_path, events=wrong, strict=True)
    assert fingerprint(tmp_path / "home") == before


def test_before_any_ingest_reading_is_refused_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="jingxing ingest"):
        load_histories(tmp_path)
    with pytest.raises(Refusal, match="jingxing ingest"):
        quarantined(tmp_path)


def test_progress_adds_up_to_about_the_bytes_of_the_export(tmp_path: Path) -> None:
    steps: list[int] = []
    profile = write_profile(tmp_path / "profile")
    folder = write_export(tmp_path / "export")
    ingest(folder, home=tmp_path / "home", profile=profile, strict=True, progress=steps.append)
    assert sum(steps) == pytest.approx(len(ROSTER.encode()) + len(EVENTS.encode()), rel=0.01)

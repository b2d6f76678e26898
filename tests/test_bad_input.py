"""Bad input: a refusal that leaves the store as it was, or an entry for exactly the bad row; never anything else."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import Refusal
from features.histories import lines
from features.histories.ingest import ingest
from features.histories.store import load_histories, quarantined
from tests.export_files import EVENTS, ROSTER, bad_rows, fingerprint, take_in, write_export, write_profile

HEAD = "officer_id,measure,occurred_on,value,recorded_on,began_on,event_id\n"


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        ("P1,nightshift,2021-01-05,1,,,", "measure", "nightshift"),
        ("P1,night_shift,2021-02-30,1,,,", "occurred_on", "2021-02-30"),
        ("P1,night_shift,05.01.2021,1,,,", "occurred_on", "05.01.2021"),
        ("P1,night_shift,44201,1,,,", "occurred_on", "44201"),
        ("P1,night_shift,1821-01-05,1,,,", "occurred_on", "1821-01-05"),
        ("P1,night_shift,2201-01-05,1,,,", "occurred_on", "2201-01-05"),
        ("P1,night_shift,2021-01-05,inf,,,", "value", "inf"),
        ("P1,night_shift,2021-01-05,-Infinity,,,", "value", "-Infinity"),
        ("P1,night_shift,2021-01-05,1e999,,,", "value", "1e999"),
        ("P1,night_shift,2021-01-05,nan,,,", "value", "nan"),
        ("P1,night_shift,2021-01-05,three,,,", "value", "three"),
        ('P1,night_shift,2021-01-05,"1,5",,,', "value", "1,5"),
        ("P7,night_shift,2021-01-05,1,,,", "officer_id", "P7"),
        ("P1,night_shift,2021-01-05,1,2021-01-04,,", "recorded_on", "2021-01-04"),
        ("P1,night_shift,2021-01-05,1,soon,,", "recorded_on", "soon"),
        ("P1,night_shift,2021-01-05,1,,2021-01-06,", "began_on", "2021-01-06"),
        (",night_shift,2021-01-05,1,,,", "officer_id", ""),
        ("P1, ,2021-01-05,1,,,", "measure", " "),
        ("P1,night_shift,,1,,,", "occurred_on", ""),
        ("P1,night_shift,2021-01-05,1,,,e2", None, None),
    ],
)
def test_exactly_the_bad_event_is_quarantined(tmp_path: Path, row: str, column: str | None, value: str) -> None:
    if column is None:  # a second row with the same event_id and day of record
        row, column, value = row.replace(",1,,,", ",1,2021-03-04,,"), "event_id", "e2"
    result = take_in(tmp_path, events=f"{EVENTS}{row}\nP2,night_shift,2021-05-05,1,,,\n")
    assert bad_rows(result) == [("events.csv", 6, column, value)]
    assert result.quarantined == quarantined(tmp_path / "home")
    assert result.quarantined[0]["reason"]
    assert len(load_histories(tmp_path / "home").events) == 5


def test_a_bad_first_row_does_not_make_its_good_repeat_a_duplicate(tmp_path: Path) -> None:
    result = take_in(tmp_path, events=HEAD + "P1,night_shift,2021-02-30,1,,,e1\nP1,night_shift,2021-02-28,1,,,e1\n")
    assert [row["line"] for row in result.quarantined] == [2]


def test_identical_copies_of_an_event_are_told_apart_by_naming_the_first(tmp_path: Path) -> None:
    row = "P1,night_shift,2021-02-01,1,,,e1\n"
    result = take_in(tmp_path, events=HEAD + row * 3)
    assert [row["line"] for row in result.quarantined] == [3, 4]
    assert all("line 2 of events.csv" in row["reason"] for row in result.quarantined)


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("P3,2020-01-01,,pilot,U1,x", "post"),
        ("P3,2020-01-01,2019-12-31,patrol,U1,x", "valid_to"),
        ("P3,2020-02-31,,patrol,U1,x", "valid_from"),
        ("P3,,,patrol,U1,x", "valid_from"),
        ("P3,2020-01-01,,patrol,,x", "unit"),
        (",2020-01-01,,patrol,U1,x", "officer_id"),
        ("P1,2020-01-01,,desk,U1,x", "valid_from"),
    ],
)
def test_exactly_the_bad_posting_is_quarantined_and_its_officer_a_ghost(tmp_path: Path, row: str, column: str) -> None:
    result = take_in(tmp_path, roster=f"{ROSTER}{row}\n", events=EVENTS + "P3,night_shift,2021-01-05,1,,,\n")
    assert bad_rows(result) == [("roster.csv", 5, column, result.quarantined[0]["value"]),
                                ("events.csv", 6, "officer_id", "P3")]  # fmt: skip
    assert ("in quarantine" in result.quarantined[1]["reason"]) == row.startswith("P3")


def test_a_birth_year_must_be_a_whole_year(tmp_path: Path) -> None:
    born = ["1980", "1980.5", "80"]
    rows = "".join(f"P{number},2020-01-01,desk,U,{year}\n" for number, year in enumerate(born))
    roster = "officer_id,valid_from,post,unit,birth_year\n" + rows
    result = take_in(tmp_path, roster=roster, events=HEAD)
    assert bad_rows(result) == [("roster.csv", 3, "birth_year", "1980.5"), ("roster.csv", 4, "birth_year", "80")]


def test_overlapping_postings_are_counted_and_kept(tmp_path: Path) -> None:
    result = take_in(tmp_path, roster=ROSTER.replace("2021-05-31", "2021-06-01"))
    assert result.quarantined == []
    assert result.notes[0]["count"] == 1
    assert result.notes[0]["rows"] == [{"file": "roster.csv", "line": 4}]
    assert take_in(tmp_path / "clean").notes == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings_that_bureaus_export_are_recognised(tmp_path: Path, encoding: str, newline: str) -> None:
    roster, events = (table.replace("\n", newline).encode(encoding) for table in (ROSTER, EVENTS))
    result = take_in(tmp_path, roster=roster, events=events)
    told = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8 with BOM"}.get(encoding, "GB18030")
    assert result.files[0]["encoding"] == told
    assert result.quarantined == []
    assert load_histories(tmp_path / "home").people["name"].tolist() == ["甲", "乙", "乙"]


def test_a_line_in_another_encoding_is_quarantined_alone(tmp_path: Path) -> None:
    good = (ROSTER + "P3,2020-01-01,,patrol,U1,丙\n").encode()
    roster = good + b"P4,2020-01-01,,patrol,U1,\xb1\xfb\xff\nP5,2020-01-01,,desk,U1,x\n"
    result = take_in(tmp_path, roster=roster)
    assert [(row["file"], row["line"], row["reason"]) for row in result.quarantined] == [
        ("roster.csv", 6, "the line is not UTF-8 text")
    ]
    assert result.officers == 4


@pytest.mark.parametrize(
    "content",
    [
        EVENTS.encode("utf-16"),
        EVENTS.encode("utf-16-le"),
        b"",
        b"\n\n",
        b"\xff" * 1000,
        b"PAR1" + b"\0" * 30,
        EVENTS.encode()[:25],
        EVENTS.replace("occurred_on", "date").encode(),
        EVENTS.replace(",", ";").encode(),
        EVENTS.replace("began_on", "value").encode(),
        "".join(f"P1,é{'é' * n},\n" for n in range(9)).encode("latin-1"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_and_the_store_stays(tmp_path: Path, content: bytes) -> None:
    take_in(tmp_path)
    before = fingerprint(tmp_path / "home")
    with pytest.raises(Refusal, match=r"events\.csv"):
        take_in(tmp_path, name="bad", events=content)
    assert fingerprint(tmp_path / "home") == before
    with pytest.raises(Refusal):
        take_in(tmp_path / "fresh", events=content)
    assert not (tmp_path / "fresh" / "home").exists()


def test_all_problems_of_the_files_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refused:
        take_in(tmp_path, roster="officer_id,post\nP1,desk\n", events=b"")
    assert len(refused.value.problems) == 2
    assert "valid_from, unit" in refused.value.problems[0]


def test_a_header_alone_is_no_roster_but_may_be_events(tmp_path: Path) -> None:
    result = take_in(tmp_path, events=HEAD)
    assert result.events_total == 0
    assert result.notes == [{"note": "events.csv holds no rows"}]
    with pytest.raises(Refusal, match="no rows"):
        take_in(tmp_path, roster=ROSTER.splitlines()[0] + "\n")


def _without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _both_kinds(folder: Path) -> None:
    pd.read_csv(folder / "events.csv").to_parquet(folder / "events.parquet")


def _file_and_folder(folder: Path) -> None:
    (folder / "events").mkdir()


def _folder_in_folder(folder: Path) -> None:
    (folder / "events.csv").unlink()
    (folder / "events" / "2021").mkdir(parents=True)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_without("roster.csv"), r"roster\.csv or roster\.parquet is missing"),
        (_without("events.csv"), r"events\.csv or events\.parquet is missing"),
        (_both_kinds, r"events\.csv and events\.parquet are both there"),
        (_file_and_folder, "events/ are both there"),
        (_folder_in_folder, r"events/2021 is a folder[\s\S]*holds no"),
    ],
)
def test_a_folder_that_is_no_export_is_refused(tmp_path: Path, spoil: Callable[[Path], None], told: str) -> None:
    profile, folder = write_profile(tmp_path / "profile"), write_export(tmp_path / "export")
    spoil(folder)
    with pytest.raises(Refusal, match=told):
        ingest(folder, home=tmp_path / "home", profile=profile, strict=False)
    with pytest.raises(Refusal, match="no export folder"):
        ingest(tmp_path / "nowhere", home=tmp_path / "home", profile=profile, strict=False)


def _parquet_export(tmp_path: Path) -> tuple[Path, Path]:
    profile, folder = write_profile(tmp_path / "profile"), write_export(tmp_path / "export")
    events = pd.DataFrame({"officer_id": "P1", "measure": "night_shift", "occurred_on": "2021-01-05",
                           "value": np.arange(5000.0)})  # fmt: skip
    events.to_parquet(folder / "events.parquet", compression=None)
    (folder / "events.csv").unlink()
    return profile, folder


@pytest.mark.parametrize("kept", [0, 3, 100, 0.5, 0.99])
def test_a_truncated_parquet_file_is_refused(tmp_path: Path, kept: float) -> None:
    profile, folder = _parquet_export(tmp_path)
    path = folder / "events.parquet"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept) if kept < 1 else int(kept)])
    with pytest.raises(Refusal, match=r"events\.parquet"):
        ingest(folder, home=tmp_path / "home", profile=profile, strict=False)


def test_a_parquet_file_with_damaged_pages_is_refused(tmp_path: Path) -> None:
    profile, folder = _parquet_export(tmp_path)
    path = folder / "events.parquet"
    content = bytearray(path.read_bytes())
    content[4:2000] = b"\xff" * 1996
    path.write_bytes(content)
    with pytest.raises(Refusal, match=r"events\.parquet"):
        ingest(folder, home=tmp_path / "home", profile=profile, strict=False)


def test_a_parquet_column_of_a_wrong_type_is_refused_by_name(tmp_path: Path) -> None:
    profile, folder = _parquet_export(tmp_path)
    events = pd.DataFrame({"officer_id": [1.5], "measure": ["night_shift"], "occurred_on": [44201], "value": [[1]]})
    events.to_parquet(folder / "events.parquet")
    with pytest.raises(Refusal) as refused:
        ingest(folder, home=tmp_path / "home", profile=profile, strict=False)
    assert len(refused.value.problems) == 3


def test_a_line_of_50_megabytes_is_quarantined_without_being_held(tmp_path: Path) -> None:
    folder = write_export(tmp_path / "export")
    with (folder / "events.csv").open("ab") as file:
        for _ in range(50):
            file.write(b"A" * (1 << 20))
        file.write(b"\nP2,night_shift,2021-05-05,1,,,\n")
    result = ingest(folder, home=tmp_path / "home", profile=write_profile(tmp_path / "profile"), strict=False)
    assert [(row["line"], row["reason"]) for row in result.quarantined] == [
        (6, "the line is longer than 1,048,576 bytes")
    ]
    assert result.events_total == 5


def test_a_long_line_within_a_block_is_quarantined_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 80)
    long = "P1,night_shift,2021-01-05,1,,," + "x" * 80 + "\n"
    result = take_in(tmp_path, events=EVENTS + long + "P1,night_shift,2021-07-05,1,,,\n")
    assert [row["line"] for row in result.quarantined] == [6]
    assert result.events_total == 5


@pytest.mark.parametrize("block", [7, 64, 1 << 20])
def test_lines_keep_their_numbers_over_blank_lines_and_quoted_line_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(lines, "BLOCK", block)
    rows = [
        "",
        'P1,"night_shift","2021-01-05",1,,,"a, ""b""',
        '"',
        "",
        'P1,night_shift,2021-02-30,1,,,"x',
        "",
        'y"',
        "\r",
        "P9,night_shift,2021-01-05,1,,,",
        "P1,night_shift,2021-01-05",
        "P1,night_shift,2021-01-05,1,,,,,",
        'P1,"night',
        "P1,night_shift,2021-01-07,1,,,z\0",
        "P2,night_shift,2021-01-07,1,,,",
    ]
    result = take_in(tmp_path, events=HEAD + "\n".join(rows))
    assert [row["line"] for row in result.quarantined] == [6, 10, 11, 12, 13, 14]
    assert result.quarantined[0]["event_id"] == "x\n\ny"
    assert result.events_total == 2
    assert result.rows_read == 3 + 8


def test_one_stray_quotation_mark_costs_one_row(tmp_path: Path) -> None:
    row = "P1,night_shift,2021-01-{:02d},1,,,\n"
    good = [row.format(day) for day in range(1, 29)]
    good[10] = 'P1,"night_shift,2021-01-11,1,,,\n'
    good[20] = 'P1,"night_shift",2021-01-11,1,,,\n'
    result = take_in(tmp_path, events=HEAD + "".join(good))
    assert [row["line"] for row in result.quarantined] == [12]
    assert result.events_total == 27


@pytest.mark.parametrize(
    "written",
    ["2021/01/05", "2021/1/5", "2021-01-05 08:30", "2021-01-05T08:30:00.000Z", "2021年1月5日", " 2021-01-05 "],
)
def test_dates_as_spreadsheets_write_them_are_read(tmp_path: Path, written: str) -> None:
    take_in(tmp_path, strict=True, events=f"{HEAD}P1,night_shift,{written},1,,,\n")
    assert load_histories(tmp_path / "home").events.occurred.tolist() == [18632]


def test_line_endings_of_old_macs_are_read(tmp_path: Path) -> None:
    result = take_in(tmp_path, events=EVENTS.replace("\n", "\r") + "P1,no,2021-01-05,1,,,\r")
    assert (result.events_total, [row["line"] for row in result.quarantined]) == (4, [6])


def test_unknown_columns_are_noted_and_left_out(tmp_path: Path) -> None:
    result = take_in(tmp_path, events="shoe,officer_id,measure,occurred_on\n9,P1,night_shift,2021-01-05\n")
    assert result.notes == [{"note": "events.csv: columns that nothing here knows were left out: shoe"}]
    assert result.events_total == 1


PROPER = ["", "P1", "P2", "P9", "night_shift", "case_closed", "2021-01-05", "2021-02-30", "2021/3/1", "1", "-2.5"]
ODD = ["inf", "nan", "x", '"', '"a,b"', '"a\nb"', "\r", "\0", "é", "乙", " ", "'", "1e400", "e1", "e2", "999999-01-01"]
CELLS = st.sampled_from([*PROPER, *ODD])
PLAUSIBLE = st.tuples(
    st.sampled_from(["P1", "P2", "P9", ""]), st.sampled_from(["night_shift", "case_closed", "x"]),
    st.sampled_from(["2021-01-05", "2021-02-05", "2021-02-30", ""]), st.sampled_from(["", "1", "2", "inf"]),
    st.sampled_from(["", "2021-02-05", "2021-03-05", "2020-03-05"]), st.just(""), st.sampled_from(["", "e1", "e2"]),
).map(list)  # fmt: skip
ROWS = st.lists(st.one_of(PLAUSIBLE, st.lists(CELLS, min_size=1, max_size=9)), max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=ROWS, tail=st.binary(max_size=20))
def test_whatever_the_bytes_are_the_door_refuses_or_accounts_for_every_row(
    tmp_path_factory: pytest.TempPathFactory, table: list[list[str]], tail: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    body = "\n".join(",".join(cells) for cells in table).encode()
    try:
        result = take_in(folder, events=HEAD.encode() + body + tail)
    except Refusal:
        assert not (folder / "home").exists()
        return
    entries = [row for row in result.quarantined if row["file"] == "events.csv"]
    assert result.files[1]["rows"] == result.events_new + len(entries)
    assert len({row["line"] for row in entries}) == len(entries)
    assert len(load_histories(folder / "home").events) == result.events_new


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.lists(PLAUSIBLE, max_size=25))
def test_rows_of_plausible_cells_are_each_taken_in_or_quarantined_once_and_only_once(
    tmp_path_factory: pytest.TempPathFactory, table: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("plausible")
    events = HEAD + "".join(",".join(cells) + "\n" for cells in table)
    result = take_in(folder, events=events)
    seen, good = set(), 0
    for officer, measure, occurred, value, recorded, _, event_id in table:
        fine = (
            officer in ("P1", "P2") and measure != "x" and occurred in ("2021-01-05", "2021-02-05") and value != "inf"
        )
        fine = fine and (recorded or occurred) >= occurred
        key = (event_id, recorded or occurred)
        good += fine and not (event_id and key in seen)
        if fine and event_id:
            seen.add(key)
    assert (result.events_new, len(result.quarantined)) == (good, len(table) - good)
    before = fingerprint(folder / "home")
    assert not take_in(folder, events=events).changed
    assert fingerprint(folder / "home") == before

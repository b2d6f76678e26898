"""Small history exports and a small profile for the tests of the door; a person's rows as they are sent."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from features.histories.ingest import IngestResult, ingest
from features.histories.tables import Histories, event_table
from features.months import NO_DAY

ROSTER = """officer_id,valid_from,valid_to,post,unit,name
P1,2020-01-01,,patrol,U1,甲
P2,2020-01-01,2021-05-31,patrol,U1,乙
P2,2021-06-01,,desk,U2,乙
"""
EVENTS = """officer_id,measure,occurred_on,value,recorded_on,began_on,event_id
P1,night_shift,2021-01-05,1,,,e1
P1,case_closed,2021-03-01,2.5,2021-03-04,2021-01-10,e2
P2,night_shift,2021-01-06,,,,
P1,night_shift,2021-01-05,3,2021-02-01,,e1
"""
MEASURES = """
night_shift: {dimension: workload}
case_closed: {dimension: quality}
burnout_episode: {dimension: wellbeing}
"""
RISKS = "burnout: {outcome: {measure: burnout_episode, at_least: 1}, horizon_months: 6}\n"
POSTS = "patrol: {}\ndesk: {}\n"


def write_profile(folder: Path, *, measures: str = MEASURES, posts: str = POSTS) -> Path:
    """Write a profile of three measures and two posts."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "measures.yaml").write_text(measures, encoding="utf-8")
    (folder / "risks.yaml").write_text(RISKS, encoding="utf-8")
    (folder / "posts.yaml").write_text(posts, encoding="utf-8")
    (folder / "profile.yaml").write_text("name: small\n", encoding="utf-8")
    return folder


def write_export(folder: Path, *, roster: str | bytes = ROSTER, events: str | bytes = EVENTS) -> Path:
    """Write roster.csv and events.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("roster", roster), ("events", events)):
        (folder / f"{name}.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def take_in(tmp_path: Path, *, strict: bool = False, name: str = "export", **tables: Any) -> IngestResult:
    """Write an export and ingest it into ``tmp_path/home`` under the small profile."""
    profile = write_profile(tmp_path / "profile")
    return ingest(write_export(tmp_path / name, **tables), home=tmp_path / "home", profile=profile, strict=strict)


def fingerprint(home: Path) -> dict[str, str]:
    """Return a digest of every file under HOME/var."""
    files = sorted(path for path in (home / "var").rglob("*") if path.is_file())
    return {str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def bad_rows(result: IngestResult) -> list[tuple[str, int, str | None, str | None]]:
    """Return file, line, column and value of each entry."""
    return [(row["file"], row["line"], row["column"], row["value"]) for row in result.quarantined]


def as_sent(given: Histories, officer: str) -> tuple[Histories, dict[str, Any]]:
    """Return the histories of one person, and their roster and event rows as a request sends them."""
    one = given.officers_at(given.officers == officer)
    posted = one.postings
    roster = [
        {
            "officer_id": officer,
            "valid_from": _day(first),
            "valid_to": _day(last),
            "hired_on": _day(hired),
            "post": given.posts[post],
            "unit": given.units[unit],
            "name": "甲乙丙丁",
        }
        for first, last, hired, post, unit in zip(
            posted.first, posted.last, posted.hired, posted.post, posted.unit, strict=True
        )
    ]
    events = json.loads(event_table(one).to_json(orient="records", date_format="iso"))
    for row in events:
        for column in ("occurred_on", "recorded_on", "began_on"):
            row[column] = row[column][:10] if row[column] else None
    return one, {"roster": roster, "events": events}


def _day(number: int) -> str | None:
    return None if number == NO_DAY else str(np.datetime64(int(number), "D"))

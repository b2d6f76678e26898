"""The log: read in pages, filtered, verified; whatever was edited, deleted, moved or cut off is found and named."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, select, update

import serving
from serving.access.audit import SYSTEM, Actor, faults, record
from serving.access.tables import AuditHead, AuditRow
from serving.access.trail import Wanted, actions, how_many, trail
from serving.app import create_app
from serving.cli import main
from serving.database import transaction
from serving.pages.codes import DONE
from tests.serving_fixtures import signed_in_client


def chain(store, rows=12):
    for number in range(rows):
        with transaction(store) as session:
            actor = Actor("chen", "wellness") if number % 3 else SYSTEM
            record(session, actor, "tested" if number % 2 else "tried", f"thing {number}", count=number)


def test_pages_of_the_log_join_to_the_whole_newest_first(store):
    chain(store)
    with transaction(store, writes=False) as session:
        seen, before = [], None
        while rows := trail(session, Wanted(), before=before, limit=5):
            seen += [row.number for row in rows]
            before = rows[-1].number
        assert seen == list(range(12, 0, -1))
        assert how_many(session) == 12
        assert actions(session) == [("tested", 6), ("tried", 6)]


def test_filters_show_what_was_asked_for_and_nothing_else(store):
    chain(store)
    with transaction(store, writes=False) as session:
        assert {row.actor for row in trail(session, Wanted(actor="chen"))} == {"chen"}
        assert [row.number for row in trail(session, Wanted(subject="thing 4"))] == [5]
        day = session.get_one(AuditRow, 1).at[:10]
        assert len(trail(session, Wanted(since=day, until=day))) == 12
        assert trail(session, Wanted(until="2000-01-01")) == []


SWAP = ((4, 99), (5, 4), (99, 5))
CHANGES = {
    "edited": [update(AuditRow).where(AuditRow.number == 4).values(actor="nobody")],
    "details": [update(AuditRow).where(AuditRow.number == 4).values(details={"count": 0})],
    "deleted": [delete(AuditRow).where(AuditRow.number == 4)],
    "swapped": [update(AuditRow).where(AuditRow.number == old).values(number=new) for old, new in SWAP],
    "cut off": [delete(AuditRow).where(AuditRow.number >= 4)],
    "rehashed": [update(AuditRow).where(AuditRow.number == 4).values(subject="x", hash="0" * 64)],
    "head": [update(AuditHead).values(number=3)],
}  # fmt: skip


@pytest.mark.parametrize("how", CHANGES)
def test_whatever_was_done_to_a_row_is_found_and_the_row_is_named_by_page_and_api(store, tmp_path, how):
    app = create_app(tmp_path, store)
    auditor = signed_in_client(app, store, "auditor")
    chain(store)
    assert auditor.get("/api/v1/audit/verify").json()["whole"]
    with store.begin() as connection:
        for change in CHANGES[how]:
            connection.execute(change)
    found = auditor.get("/api/v1/audit/verify").json()
    assert not found["whole"]
    numbers = {fault["number"] for fault in found["faults"]}
    assert numbers & {4, 13}  # where the head was turned back the last row stands beyond it
    page = auditor.get("/log?verify=true&lang=en", headers={"accept": "text/html"}).text
    assert found["faults"][0]["what"]["en"] in page
    auditor.close()


def test_a_log_cut_together_with_its_mark_is_missed_by_the_row_that_was_written_down(store, store_url, made_home):
    chain(store)
    with transaction(store) as session:
        head = session.get_one(AuditHead, 1)
        noted, kept = f"{head.number}:{head.hash}", session.get_one(AuditRow, 9)
        session.execute(delete(AuditRow).where(AuditRow.number > 9))
        session.execute(update(AuditHead).values(number=9, hash=kept.hash))
    with transaction(store, writes=False) as session:
        assert faults(session) == []  # nothing inside the database tells any more

    def verify(*more):
        return CliRunner().invoke(main, ["--home", str(made_home), "--json", "verify", "--db", store_url, *more])

    whole = verify()
    assert whole.exit_code == 0, whole.output
    assert json.loads(whole.stdout)["audit"]["rows"] == 9
    cut = verify("--head", noted)
    assert cut.exit_code == 1
    assert "row 12 is not the one that was written down: gone" in cut.output
    assert verify("--head", "12").exit_code == 2


def test_only_the_auditor_reads_the_log(as_role):
    for role in ("officer", "wellness", "hr", "commander", "data_scientist", "admin"):
        assert as_role(role).get("/api/v1/audit").status_code == 403
        assert as_role(role).get("/log").status_code == 403
    answer = as_role("auditor").get("/api/v1/audit?limit=3").json()
    assert [row["number"] for row in answer["rows"]] == list(range(answer["total"], answer["total"] - 3, -1))
    older = as_role("auditor").get("/api/v1/audit", params={"limit": 3, "cursor": answer["next_cursor"]}).json()
    assert older["rows"][0]["number"] == answer["next_cursor"] - 1


def test_the_api_refuses_filters_that_are_none(as_role):
    for query in ("cursor=0", "limit=0", "limit=9999", "since=yesterday", "cursor=99999999999"):
        assert as_role("auditor").get(f"/api/v1/audit?{query}").status_code == 422


def test_the_chain_of_the_served_force_is_whole(engine):
    with transaction(engine, writes=False) as session:
        assert faults(session) == []
        assert session.scalar(select(AuditRow.number).limit(1)) is not None


def test_every_kind_of_row_that_the_program_writes_is_said_in_both_languages():
    written = set()
    for file in Path(serving.__file__).parent.rglob("*.py"):
        written |= set(re.findall(r'\brecord\(\s*\w+,\s*[\w.]+,\s*"([^"]+)"', file.read_text(encoding="utf-8")))
    assert len(written) > 25
    assert written - set(DONE) == set()

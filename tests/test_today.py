"""The list as people work with it: decisions, changes and their causes, filters, export, feedback, publication."""

import csv
import datetime as dt
import io
import re
import shutil
from html import unescape

import pytest
from openpyxl import load_workbook
from sqlalchemy import func, select, update

from features.months import month_end, month_text, parse_month
from serving.access.audit import SYSTEM, Actor, faults, record
from serving.access.sight import WHOLE
from serving.access.tables import AuditRow
from serving.app import create_app
from serving.database import open_database, transaction
from serving.decisions.publishing import list_of
from serving.decisions.reviews import Decision, Verdict, decide
from serving.decisions.tables import Feedback, Flag, HelpRequest, Published, Review
from serving.scored.changes import changes
from serving.scored.exports import as_csv, as_xlsx
from serving.scored.lists import ScoredList, ScoredPerson, store_list
from tests.accept_reviewers import Service, crowd, free_port, prepared
from tests.serving_fixtures import last_month, signed_in_client

LIST, DECLINE = "/api/v1/risk-lists/burnout", "/api/v1/risk-lists/efficiency_decline"


@pytest.fixture(scope="module")
def desk(made_home, tmp_path_factory):
    """A copy of the served home to decide in: its engine, and clients of roles by name."""
    home = shutil.copytree(made_home, tmp_path_factory.mktemp("today") / "home")
    engine = open_database(home)
    app = create_app(home, engine)
    made = {}

    def client(role):
        if role not in made:
            made[role] = signed_in_client(app, engine, role)
        return made[role]

    yield engine, client
    for each in made.values():
        each.close()
    engine.dispose()


def flagged(client, path=LIST):
    return [entry for entry in client.get(path).json()["entries"] if entry["flag_id"]]


def posted(client, path, **data):
    form = {"csrf": client.headers["x-csrf-token"], **data}
    return client.post(path, data=form, headers={"accept": "text/html"})


def page(client, path):
    answer = client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return answer.text


def test_everyone_within_capacity_is_open_and_nobody_beyond(desk):
    _, client = desk
    found = client("wellness").get(LIST).json()
    assert {entry["status"] for entry in found["entries"] if entry["in_capacity"]} <= {"open", "acted", "watched"}
    assert {entry["status"] for entry in found["entries"] if not entry["in_capacity"]} == {None}
    assert (found["state"], found["run"], found["digest"]) == ("draft", 1, None)


def test_a_decision_by_form_goes_back_to_the_row_and_stands_in_the_list(desk):
    engine, client = desk
    first = flagged(client("wellness"))[0]
    back = f"/lists/burnout?status=open#p-{first['officer_id']}"
    answer = posted(client("wellness"), "/flags/decision", flag_id=first["flag_id"], version=first["flag_version"],
                    decision="act", action="counselling", reason="", back=back)  # fmt: skip
    assert (answer.status_code, answer.headers["location"]) == (303, back)
    assert flagged(client("wellness"))[0]["status"] == "acted"
    assert "已安排" in page(client("wellness"), "/lists/burnout?lang=zh")
    with transaction(engine) as session:
        kept = session.scalars(select(Review).where(Review.flag_id == first["flag_id"])).one()
        assert (kept.by, kept.decision, kept.action) == ("the wellness", "act", "counselling")


def test_an_action_that_the_profile_has_not_is_refused_by_page_and_call_and_nothing_is_written(desk):
    engine, client = desk
    flag = flagged(client("wellness"))[1]
    told = {"flag_id": flag["flag_id"], "version": flag["flag_version"], "decision": "act", "action": "demotion"}
    assert posted(client("wellness"), "/flags/decision", **told).status_code == 422
    refused = client("wellness").post("/api/v1/reviews", json=told)
    assert (refused.status_code, "action" in refused.json()["detail"]) == (422, True)
    with transaction(engine) as session:
        assert session.scalars(select(Review).where(Review.flag_id == flag["flag_id"])).all() == []
        assert session.get_one(Flag, flag["flag_id"]).version == flag["flag_version"]


def test_who_was_too_late_is_told_who_decided_and_nothing_is_written(desk):
    engine, client = desk
    second = flagged(client("wellness"))[1]
    told = {"flag_id": second["flag_id"], "version": second["flag_version"]}
    assert posted(client("wellness"), "/flags/decision", **told, decision="watch").status_code == 303
    late = posted(client("wellness"), "/flags/decision", **told, decision="dismiss", reason="no need")
    assert late.status_code == 409
    assert "the wellness: watch" in late.text
    by_api = client("wellness").post("/api/v1/reviews", json={**told, "decision": "act"})
    assert by_api.status_code == 409
    assert by_api.headers["content-type"].startswith("application/problem+json")
    with transaction(engine) as session:
        assert len(session.scalars(select(Review).where(Review.flag_id == second["flag_id"])).all()) == 1


def test_a_dismissal_without_reason_is_refused_and_with_one_it_is_kept(desk):
    _, client = desk
    third = flagged(client("wellness"))[2]
    told = {"flag_id": third["flag_id"], "version": third["flag_version"], "decision": "dismiss"}
    assert client("wellness").post("/api/v1/reviews", json=told).status_code == 422
    answer = client("wellness").post("/api/v1/reviews", json={**told, "reason": "on leave until May"})
    assert answer.status_code == 201
    assert answer.json()["status"] == "dismissed"
    assert answer.json()["reviews"][0]["reason"] == "on leave until May"
    again = client("wellness").get(f"/api/v1/flags/{third['flag_id']}")
    assert again.json() == answer.json()


def test_a_dismissal_that_forgot_its_reason_comes_back_with_what_was_chosen_beside_the_field(desk):
    _, client = desk
    one = flagged(client("wellness"))[3]
    told = {"flag_id": one["flag_id"], "version": one["flag_version"], "decision": "dismiss", "reason": "x"}
    for place in ("/lists/burnout?lang=en", f"/officers/{one['officer_id']}?risk=burnout&lang=en"):
        form = page(client("wellness"), place).split(f'name="flag_id" value="{one["flag_id"]}"')[1]
        back = unescape(re.search(r'name="back" value="([^"]*)"', form)[1])
        headers = {"accept": "text/html", "referer": f"http://localhost{place}"}
        answer = client("wellness").post("/flags/decision?lang=en", data={**told, "back": back}, headers=headers)
        assert answer.status_code == 422, place
        again = answer.text.split(f'name="flag_id" value="{one["flag_id"]}"')[1].split("</form>")[0]
        assert "Say why it is dismissed" in again
        assert re.search(r'<input [^>]*name="reason"[^>]*value="x"', again)
        assert re.search(r'<input [^>]*value="dismiss"[^>]*checked', again)


def test_the_same_idempotency_key_decides_once(desk):
    engine, client = desk
    fourth = flagged(client("wellness"))[3]
    told = {"flag_id": fourth["flag_id"], "version": fourth["flag_version"], "decision": "act"}
    key = {"Idempotency-Key": "once-and-no-more"}
    answers = [client("wellness").post("/api/v1/reviews", json=told, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    with transaction(engine) as session:
        assert len(session.scalars(select(Review).where(Review.flag_id == fourth["flag_id"])).all()) == 1


def test_a_flag_of_another_purpose_or_of_nobody_is_not_found_and_a_commander_may_not_decide(desk):
    _, client = desk
    flag = flagged(client("wellness"))[-1]
    told = {"flag_id": flag["flag_id"], "version": 0, "decision": "act"}
    foreign = client("hr").post("/api/v1/reviews", json=told)
    nobody = client("hr").post("/api/v1/reviews", json={**told, "flag_id": 2_000_000_000})
    assert foreign.status_code == nobody.status_code == 404
    assert foreign.json()["detail"] == nobody.json()["detail"]
    assert client("commander").post("/api/v1/reviews", json=told).status_code == 403
    assert client("commander").get(f"/api/v1/flags/{flag['flag_id']}").status_code == 403


def test_a_form_without_our_secret_decides_nothing(desk):
    _, client = desk
    flag = flagged(client("wellness"))[-1]
    told = {"flag_id": flag["flag_id"], "version": flag["flag_version"], "decision": "act", "csrf": "guessed"}
    without = {"x-csrf-token": ""}
    assert client("wellness").post("/flags/decision", data=told, headers=without).status_code == 403
    assert flagged(client("wellness"))[-1]["status"] == "open"


def test_a_form_leads_back_within_the_service_only(desk):
    _, client = desk
    flag = flagged(client("wellness"))[4]
    answer = posted(client("wellness"), "/flags/decision", flag_id=flag["flag_id"], version=flag["flag_version"],
                    decision="watch", back="https://elsewhere.example/")  # fmt: skip
    assert answer.headers["location"] == "/"


def test_the_status_filter_narrows_list_page_and_export_and_is_refused_to_whom_reviews_are_hidden(desk):
    _, client = desk
    wellness = client("wellness")
    everyone = wellness.get(LIST, params={"limit": 1000}).json()
    for status in ("open", "acted", "watched", "dismissed"):
        wanted = [entry["officer_id"] for entry in everyone["entries"] if entry["status"] == status]
        found = wellness.get(LIST, params={"status": status, "limit": 1000}).json()
        assert [entry["officer_id"] for entry in found["entries"]] == wanted
        assert found["total"] == len(wanted)
        shown = re.findall(r'<tr id="p-([^"]+)"', page(wellness, f"/lists/burnout?status={status}"))
        assert shown == wanted
    assert client("commander").get(DECLINE, params={"status": "open"}).status_code == 403
    assert client("commander").get("/lists/efficiency_decline?status=open").status_code == 403
    assert wellness.get("/lists/burnout?status=unheard").status_code == 422


def test_the_tag_of_a_list_changes_with_a_decision(desk):
    _, client = desk
    tag = client("wellness").get(LIST).headers["etag"]
    assert client("wellness").get(LIST, headers={"If-None-Match": tag}).status_code == 304
    flag = flagged(client("wellness"))[5]
    told = {"flag_id": flag["flag_id"], "version": flag["flag_version"], "decision": "watch"}
    client("wellness").post("/api/v1/reviews", json=told)
    assert client("wellness").get(LIST, headers={"If-None-Match": tag}).status_code == 200


def test_roles_without_reviews_see_no_status_no_flag_and_no_form(desk):
    _, client = desk
    for role in ("commander", "data_scientist"):
        entries = client(role).get(DECLINE).json()["entries"]
        assert {(entry["status"], entry["flag_id"], entry["flag_version"]) for entry in entries} == {(None, None, None)}
        text = page(client(role), "/lists/efficiency_decline")
        assert "/flags/decision" not in text
        assert 'name="status"' not in text


def test_an_export_holds_what_the_page_shows_and_is_written_to_the_log(desk):
    engine, client = desk
    with transaction(engine, writes=False) as session:
        before = session.scalar(select(func.max(AuditRow.number)))
    entries = client("wellness").get(LIST, params={"limit": 1000}).json()["entries"]
    answer = client("wellness").get("/lists/burnout/export.csv?lang=en")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[0][:3] == ["Rank", "Rank before", "Officer"]
    assert [row[2] for row in rows[1:]] == [entry["officer_id"] for entry in entries]
    book = load_workbook(io.BytesIO(client("wellness").get("/lists/burnout/export.xlsx?lang=en").content))
    assert [[cell.value for cell in row][2] for row in book.active.iter_rows(min_row=2)] == [row[2] for row in rows[1:]]
    with transaction(engine) as session:
        exported = select(AuditRow).where(AuditRow.action == "list exported", AuditRow.number > before)
        rows_ = session.scalars(exported.order_by(AuditRow.number)).all()
        assert [(row.actor, row.details["form"], row.details["rows"]) for row in rows_] == [
            ("the wellness", form, len(entries)) for form in ("csv", "xlsx")
        ]


def test_an_export_leaves_out_what_the_role_may_not_see(desk, given):
    _, client = desk
    assert client("hr").get("/lists/burnout/export.csv").status_code == 404
    told = client("data_scientist").get("/lists/efficiency_decline/export.csv?lang=en").content.decode("utf-8-sig")
    assert not {"Unit", "Post", "Review", "What to offer"} & set(told.splitlines()[0].split(","))
    assert not [number for number in given.officers if str(number) in told]
    own = client("commander").get("/lists/efficiency_decline/export.csv?lang=en").content.decode("utf-8-sig")
    units = {row["Unit"] for row in csv.DictReader(io.StringIO(own))}
    assert len(units) == 1
    assert "Review" not in own.splitlines()[0]
    assert client("auditor").get("/lists/burnout/export.csv").status_code == 403


def test_no_cell_of_an_export_is_a_formula():
    rows = [["=HYPERLINK(1)", "+1", "-2", "@x", "kept", 3, -0.5, None]]
    assert as_csv(["a"], rows).decode("utf-8-sig").splitlines()[1] == "'=HYPERLINK(1),'+1,'-2,'@x,kept,3,-0.5,"
    sheet = load_workbook(io.BytesIO(as_xlsx("t", ["a"], rows))).active
    assert [cell.value for cell in sheet[2]][:2] == ["'=HYPERLINK(1)", "'+1"]
    assert sheet.freeze_panes == "A2"


def test_the_tag_of_a_list_moves_with_its_own_flags_and_only_for_who_may_know_them(desk):
    engine, client = desk
    wellness, hr = client("wellness"), client("hr")

    def tags():
        return [one.get(path).headers["etag"] for one, path in ((wellness, LIST), (hr, DECLINE))]

    flag_id = flagged(wellness)[-1]["flag_id"]
    before = tags()
    for change in ({"version": Flag.version + 1}, {"status": "watched"}, {"status": "open", "version": Flag.version}):
        with transaction(engine) as session:
            session.execute(update(Flag).where(Flag.id == flag_id).values(**change))
            record(session, SYSTEM, "flag decided", f"flag {flag_id}")  # as every change has it
        after = tags()
        assert after[0] != before[0]
        assert after[1] == before[1]
        assert wellness.get(LIST, headers={"If-None-Match": before[0]}).status_code == 200
        before = after
    own = flagged(hr, DECLINE)[-1]["flag_id"]
    seen = client("commander").get(DECLINE).headers["etag"]
    with transaction(engine) as session:
        session.execute(update(Flag).where(Flag.id == own).values(version=Flag.version + 1))
        record(session, SYSTEM, "flag decided", f"flag {own}")
    after = tags()
    assert after[0] == before[0]
    assert after[1] != before[1]
    assert client("commander").get(DECLINE).headers["etag"] == seen


@pytest.mark.parametrize(
    "title", ["Burnout/strain [x]", "a\\b:c*d?", "\x00\x07", "'quoted'", "倦怠/风险", "x" * 40 + "/"]
)
def test_a_workbook_opens_whatever_the_labels_hold(title):
    rows = [["a\x00b\x0bc", "=\x01", "two\nlines", title]]
    sheet = load_workbook(io.BytesIO(as_xlsx(title, ["h\x02", "b", "c", "d"], rows))).active
    assert not set(sheet.title) & set("/\\:*?[]")
    assert [cell.value for cell in sheet[2]][:3] == ["a b c", "'= ", "two\nlines"]
    assert sheet["A1"].value == "h "


JUNE = parse_month("2024-06")


def listed(month, people, *, version="1", groups=("night_shift", "rest", "strain")):
    """``people``: number -> probability and contributions; ranked by probability."""
    ranked = sorted(people, key=lambda name: -people[name][0])
    return ScoredList(
        risk="burnout", as_of=month, model_version=version, capacity=2, horizon_months=6, purpose="wellness",
        recorded_until=month_end(month), profile_digest="0" * 64, base_value=-2.0, groups=list(groups),
        labels={"risk": {"zh": "倦怠", "en": "Burnout"}, "posts": {},
                "measures": {group: {"zh": group, "en": group} for group in groups}},
        people=[
            ScoredPerson(
                name, "patrol", "U1", people[name][0], 0.0, 1.0, rank, people[name][1],
                [{"measure": group, "contribution": push, "stable": group != "strain"}
                 for group, push in zip(groups, people[name][1], strict=True)],
            )
            for rank, name in enumerate(ranked, 1)
        ],
    )  # fmt: skip


def test_changes_say_who_came_who_left_whose_risk_rose_and_which_firm_reason_did_it(store):
    before = {"a": (0.5, [1.0, 0.5, 0.2]), "b": (0.4, [0.9, 0.4, 0.1]), "c": (0.1, [0.0, 0.0, 0.0])}
    after = {"a": (0.7, [1.1, 1.4, 3.0]), "b": (0.2, [0.2, 0.3, 0.1]), "c": (0.3, [1.2, 0.0, 0.4])}
    with transaction(store) as session:
        store_list(session, listed(JUNE, before))
        batch = store_list(session, listed(JUNE + 1, after, version="2"))
        found = changes(session, WHOLE, batch)
        assert found is not None
        assert dict(found.counts) == {"new": 1, "gone": 1, "risen": 1}
        assert found.other_model
        assert [(moved.officer_id, [cause.measure for cause in moved.causes]) for moved in found.new] == [
            ("c", ["night_shift"])
        ]
        assert [(moved.officer_id, [cause.measure for cause in moved.causes]) for moved in found.gone] == [
            ("b", ["night_shift", "rest"])
        ]
        risen = found.risen[0]
        assert (risen.officer_id, [cause.measure for cause in risen.causes]) == ("a", ["rest", "night_shift"])
        assert all(cause.points > 0 for cause in risen.causes)
        assert all(cause.points < 0 for cause in found.gone[0].causes)
        assert changes(session, WHOLE, list_of(session, "burnout", month_end(JUNE))) is None


def test_the_page_tells_changes_only_of_whom_the_reader_sees(desk, given):
    _, client = desk
    text = page(client("commander"), "/lists/efficiency_decline?lang=en")
    block = text.split('id="changes"')[1].split("</section>")[0] if 'id="changes"' in text else ""
    unit = client("commander").get(DECLINE).json()["entries"][0]["unit"]
    assert not [name for name in given.units if name != unit and name in block]
    pseudonymous = page(client("data_scientist"), "/lists/efficiency_decline?lang=en")
    assert not [number for number in given.officers if str(number) in pseudonymous]


def test_who_asks_for_help_stands_before_the_list_for_the_wellness_team_alone(desk, given):
    engine, client = desk
    asking = str(given.officers[3])
    with transaction(engine) as session:
        session.add(
            HelpRequest(officer_id=asking, kind="talk", told="", made_at=dt.datetime(2024, 7, 1, tzinfo=dt.UTC))
        )
    assert "1 人主动求助" in page(client("wellness"), "/lists/burnout?lang=zh")
    assert "主动求助" not in page(client("hr"), "/lists/efficiency_decline?lang=zh")


def test_feedback_on_score_and_reason_is_counted_without_the_person(desk):
    engine, client = desk
    entry = flagged(client("wellness"))[0]
    reason = entry["reasons"][0]["measure"]
    month = client("wellness").get(LIST).json()["as_of"][:7]
    told = {"risk": "burnout", "as_of": month, "officer_id": entry["officer_id"]}
    assert posted(client("wellness"), "/feedback", **told, measure=reason, verdict="wrong").status_code == 303
    api = client("wellness").post("/api/v1/feedback", json={**told, "verdict": "right"})
    assert api.status_code == 201
    counts = client("data_scientist").get("/api/v1/feedback/burnout").json()["reasons"]
    assert {(row["measure"], row["right"], row["wrong"]) for row in counts} == {(reason, 0, 1), ("", 1, 0)}
    assert entry["officer_id"] not in client("data_scientist").get("/api/v1/feedback/burnout").text
    assert entry["officer_id"] not in page(client("data_scientist"), "/reviews")
    for wrong in ({"measure": "unheard"}, {"officer_id": "nobody"}, {"as_of": "1999-01"}, {"verdict": "maybe"}):
        answer = client("wellness").post("/api/v1/feedback", json={**told, "verdict": "right", **wrong})
        assert answer.status_code in (404, 422)
    assert client("hr").post("/api/v1/feedback", json={**told, "verdict": "right"}).status_code == 404
    with transaction(engine) as session:
        assert len(session.scalars(select(Feedback)).all()) == 2


def test_hr_can_give_no_feedback_on_a_health_reason(desk):
    _, client = desk
    month = client("hr").get(DECLINE).json()["as_of"][:7]
    entry = client("hr").get(DECLINE).json()["entries"][0]
    told = {"risk": "efficiency_decline", "as_of": month, "officer_id": entry["officer_id"], "verdict": "right"}
    health = client("hr").post("/api/v1/feedback", json={**told, "measure": "strain_survey"})
    unheard = client("hr").post("/api/v1/feedback", json={**told, "measure": "unheard"})
    assert health.status_code == unheard.status_code == 422
    assert health.json()["detail"] == unheard.json()["detail"]


def test_who_agrees_with_everything_is_shown_to_those_who_watch(desk):
    engine, client = desk
    with transaction(engine) as session:
        flag = Flag(
            risk="burnout", purpose="wellness", officer_id="made up", raised_on=month_end(JUNE),
            renewed_on=month_end(JUNE), status="open", version=0, asked=False,
        )  # fmt: skip
        session.add(flag)
        session.flush()
        yes = Actor("nodding", "wellness")
        for version in range(100):
            decide(session, yes, Verdict(flag.id, version, Decision.ACT, month_end(JUNE)))
    for role in ("wellness", "data_scientist", "auditor"):
        assert "nodding" in page(client(role), "/reviews?lang=en")
    assert "nodding" in page(client("wellness"), "/lists/burnout?lang=en")
    assert "nodding" not in page(client("hr"), "/lists/efficiency_decline?lang=en")
    summary = client("auditor").get("/api/v1/reviews/summary").json()["reviewers"]
    assert {row["by"]: row["agrees_with_everything"] for row in summary}["nodding"]
    assert client("hr").get("/reviews").status_code == 403


def test_publishing_by_page_and_api_tells_it_on_the_page_until_seen(desk, given):
    engine, client = desk
    name = month_text(last_month(given))
    text = page(client("wellness"), "/months?lang=en")
    assert text.count('action="/months/publish"') == 4
    stale = posted(client("wellness"), "/months/publish", risk="burnout", as_of=name, run=7)
    assert stale.status_code == 409
    assert posted(client("wellness"), "/months/publish", risk="burnout", as_of=name, run=1).status_code == 303
    assert posted(client("wellness"), "/months/publish", risk="burnout", as_of=name, run=1).status_code == 409
    assert posted(client("hr"), "/months/publish", risk="burnout", as_of=name, run=1).status_code == 404
    assert (
        posted(client("commander"), "/months/publish", risk="efficiency_decline", as_of=name, run=1).status_code == 403
    )
    api = client("hr").post(f"{DECLINE}/publication", json={"as_of": name, "run": 1})
    assert api.status_code == 201
    out = client("wellness").get(LIST).json()
    assert out["state"] == "published"
    assert out["digest"] in page(client("wellness"), "/months")
    shown = page(client("commander"), "/lists/efficiency_decline?lang=en")
    assert "A new list is out" in shown
    assert "Burnout" not in shown
    with transaction(engine) as session:
        decline = session.scalars(select(Published).where(Published.risk == "efficiency_decline")).one()
        burnout = session.scalars(select(Published).where(Published.risk == "burnout")).one()
    foreign = posted(client("commander"), "/months/seen", published_id=burnout.id)
    assert foreign.status_code == 404
    seen = posted(client("commander"), "/months/seen", published_id=decline.id, back="/lists/efficiency_decline")
    assert seen.status_code == 303
    assert "A new list is out" not in page(client("commander"), "/lists/efficiency_decline?lang=en")
    with transaction(engine) as session:
        assert faults(session) == []


def test_a_few_reviewers_on_the_same_flags_through_a_server_that_is_killed(store_url, tmp_path):
    """The small form of `make accept ARGS=reviewers`."""
    engine, tokens = prepared(tmp_path, store_url, reviewers=3, flags=12)
    with Service(tmp_path, store_url, free_port()) as service:
        found = crowd(service, engine, tokens, kill=store_url.startswith("sqlite"))
    engine.dispose()
    assert len(found.answers) == 36
    assert (found.lost, found.doubled, found.untold, found.faults) == (0, 0, 0, 0)
    assert len(found.reviews) == found.audited == found.flags == 12

"""Models for the data scientist, over the real registry: the gate's word, a row in each log, no person."""

import datetime as dt
import json
import re
import shutil

import pytest
from sqlalchemy import select

from serving.access.audit import faults
from serving.access.tables import AuditRow
from serving.app import create_app
from serving.database import open_database, transaction
from serving.decisions.tables import Feedback
from serving.tables import Score
from tests.model_versions import two_more_versions
from tests.serving_fixtures import signed_in_client
from training.registry.chain import verify
from training.registry.impact import withdraw
from training.registry.registry import Registry

RISK = "burnout"
WHY = "better on the newest months"


@pytest.fixture(scope="module")
def made(made_home, given, tmp_path_factory):
    """The shared home with two more versions of one risk: 2 passes the gate, 3 is unfair and below the champion."""
    home = shutil.copytree(made_home, tmp_path_factory.mktemp("models") / "home")
    two_more_versions(home, given, RISK)
    return home


@pytest.fixture
def home(made, tmp_path):
    return shutil.copytree(made, tmp_path / "home")


@pytest.fixture
def served(home):
    engine = open_database(home)
    app = create_app(home, engine)
    yield home, engine, lambda role: signed_in_client(app, engine, role)
    engine.dispose()


@pytest.fixture
def calls(served):
    _, _, as_role = served
    with as_role("data_scientist") as client:
        yield client


def test_a_promotion_and_a_rollback_sent_twice_with_one_key_are_done_once(served, calls):
    home, engine, _ = served
    before = len(Registry(home).history(RISK))
    for path, sent in (("promote", {"version": "2", "reason": WHY}), ("rollback", {"reason": "it was slower"})):
        key = {"Idempotency-Key": f"{path}-sent-twice"}
        answers = [calls.post(f"/api/v1/models/{RISK}/{path}", json=sent, headers=key) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].json() == answers[1].json()
    assert len(Registry(home).history(RISK)) == before + 2
    assert [row[1] for row in audit(engine)] == ["model promoted", "model rolled back"]


def audit(engine):
    with transaction(engine) as session:
        assert faults(session) == []
        rows = session.scalars(select(AuditRow).order_by(AuditRow.number)).all()
        return [
            (row.actor, row.action, row.subject, dict(row.details)) for row in rows if row.action.startswith("model")
        ]


def test_promotion_through_the_page_is_the_command_s_and_a_row_in_both_logs(served, calls):
    home, engine, _ = served
    page = calls.get(f"/models/{RISK}/2?lang=en")
    assert "every criterion is met" in page.text
    assert 'name="csrf" value="' + calls.headers["x-csrf-token"] in page.text
    done = calls.post(f"/models/{RISK}/2/promote", data={"reason": WHY, "csrf": calls.headers["x-csrf-token"]})
    assert (done.status_code, done.headers["location"]) == (303, f"/models?risk={RISK}&done=promoted")
    told = Registry(home).in_production(RISK)
    assert (told.version, told.by, told.reason, told.forced) == ("2", "the data_scientist", WHY, False)
    assert verify(home / "mlruns" / "history.jsonl").fault is None
    assert audit(engine) == [("the data_scientist", "model promoted", f"model {RISK}", {"version": "2"})]
    shown = calls.get(done.headers["location"])
    assert "Version 2 serves now" in shown.text
    assert WHY in shown.text
    back = calls.post(f"/models/{RISK}/rollback", data={"reason": "it was slower"})
    assert back.headers["location"].endswith("done=rolled_back")
    assert Registry(home).serving(RISK) == "1"
    assert audit(engine)[-1] == ("the data_scientist", "model rolled back", f"model {RISK}", {"version": "1"})


def test_the_gate_s_sentences_stand_on_the_page_and_in_the_answer_and_nothing_changes(served, calls):
    home, engine, _ = served
    refused = calls.post(f"/models/{RISK}/3/promote", data={"reason": WHY})
    assert refused.status_code == 409
    assert "在相同各折上平均精度低于现任冠军模型" in refused.text
    assert "对以下群体不公：性别“F”" in refused.text
    assert WHY in refused.text  # what was typed is not lost
    answer = calls.post(f"/api/v1/models/{RISK}/promote", json={"version": "3", "reason": WHY})
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    assert answer.json()["type"] == "urn:jingxing:problem:not-promoted"
    assert any("unfair to sex 'F'" in each for each in answer.json()["problems"])
    registry = Registry(home)
    assert registry.serving(RISK) == "1"
    assert [row.action for row in registry.history(RISK)][-2:] == ["refused", "refused"]
    assert [(row[1], row[3]["objections"]) for row in audit(engine)] == [
        ("model not promoted", ["champion", "fairness"])
    ] * 2


def test_the_api_tells_versions_criteria_history_and_promotes_and_rolls_back(calls):
    (told,) = calls.get("/api/v1/models", params={"risk": RISK}).json()["risks"]
    assert told["serving"]["version"] == "1"
    assert told["serving"]["forced"]
    assert [one["aliases"] for one in told["versions"]] == [["champion"], [], ["challenger"]]
    passed = told["versions"][1]["criteria"]
    assert {one["key"] for one in passed} >= {"rule", "champion", "calibration", "fairness", "leak", "impact"}
    assert all(one["met"] and one["figure"] and one["bound"] for one in passed)
    assert [one["key"] for one in told["versions"][2]["criteria"] if not one["met"]] == ["champion", "fairness"]
    assert [row["action"] for row in told["history"]][-1] == "refused"
    done = calls.post(f"/api/v1/models/{RISK}/promote", json={"version": "2", "reason": WHY})
    assert (done.status_code, done.json()["who"], done.json()["previous"]) == (200, "the data_scientist", "1")
    affirmed = calls.post(f"/api/v1/models/{RISK}/promote", json={"version": "2", "reason": "looked at again"})
    assert affirmed.json()["action"] == "affirmed"
    back = calls.post(f"/api/v1/models/{RISK}/rollback", json={"reason": "it was slower"})
    assert (back.json()["action"], back.json()["version"]) == ("rolled back", "1")
    none = calls.post(f"/api/v1/models/{RISK}/rollback", json={"reason": "once more"})
    assert (none.status_code, "no champion before" in none.json()["detail"]) == (422, True)


@pytest.mark.parametrize(
    ("address", "sent", "status"),
    [
        ("/api/v1/models/boredom/promote", {"version": "1", "reason": WHY}, 404),
        ("/api/v1/models/boredom/rollback", {"reason": WHY}, 404),
        (f"/api/v1/models/{RISK}/promote", {"version": "99", "reason": WHY}, 404),
        (f"/api/v1/models/{RISK}/promote", {"version": "2", "reason": "    "}, 422),
        (f"/api/v1/models/{RISK}/promote", {"version": "2"}, 422),
        (f"/api/v1/models/{RISK}/promote", {"version": "2", "reason": WHY, "force": True}, 422),
    ],
)
def test_what_is_not_there_or_not_signed_changes_nothing(served, calls, address, sent, status):
    home, engine, _ = served
    before = (home / "mlruns" / "history.jsonl").read_bytes()
    assert calls.post(address, json=sent).status_code == status
    assert (home / "mlruns" / "history.jsonl").read_bytes() == before
    assert audit(engine) == []


def test_nothing_is_promoted_where_the_log_cannot_be_written(served, calls):
    home, engine, _ = served
    with transaction(engine) as session:
        closed = "CREATE TRIGGER closed BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'the log is closed'); END"
        session.connection().exec_driver_sql(closed)
    assert calls.post(f"/api/v1/models/{RISK}/promote", json={"version": "2", "reason": WHY}).status_code == 500
    assert Registry(home).serving(RISK) == "1"


def test_who_may_see_the_models_may_not_promote_them_without_the_permission(served):
    home, _, as_role = served
    with as_role("auditor") as client:
        assert "<form" not in client.get(f"/models/{RISK}/2").text.split("<main")[1]
        assert client.get("/models").status_code == client.get("/api/v1/models").status_code == 200
        for address in (f"/models/{RISK}/2/promote", f"/models/{RISK}/rollback"):
            assert client.post(address, data={"reason": WHY}).status_code == 403
        assert client.post(f"/api/v1/models/{RISK}/promote", json={"version": "2", "reason": WHY}).status_code == 403
    with as_role("wellness") as client:
        assert client.get("/models").status_code == client.get("/api/v1/models").status_code == 403
    with as_role("data_scientist") as client:
        forged = client.post(f"/models/{RISK}/2/promote", data={"reason": WHY}, headers={"x-csrf-token": "guessed"})
        assert forged.status_code == 403
    assert Registry(home).serving(RISK) == "1"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_person_and_no_small_group_stands_on_any_page(served, calls, language):
    _, engine, _ = served
    with transaction(engine) as session:
        persons = set(session.scalars(select(Score.officer_id)))
        at = {
            "as_of": dt.date(2024, 11, 30),
            "at": dt.datetime.now(dt.UTC),
            "note": "",
            "by": "chen",
            "role": "wellness",
        }
        for measure, verdict in (("night_shift", "wrong"), ("", "unclear")):
            session.add(Feedback(risk=RISK, officer_id=min(persons), measure=measure, verdict=verdict, **at))
    texts = [
        calls.get(f"{path}?lang={language}").text for path in ("/models", f"/models/{RISK}/2", f"/models/{RISK}/3")
    ]
    texts.append(json.dumps(calls.get("/api/v1/models").json()))
    words = set(re.findall(r"[\w-]+", " ".join(texts)))
    assert not words & persons
    assert ("性别 · F" if language == "zh" else "sex · F") in texts[1]
    assert " · M" not in texts[1]
    assert ("另有 1 个群体人数太少" if language == "zh" else "1 more groups have too few persons") in texts[1]
    assert ("对照方法领先：计数" if language == "zh" else "A rival leads: counts") in texts[1]
    assert ("夜班" if language == "zh" else "Night shifts") in texts[0].split('id="feedback"')[1]
    assert ("整体得分" if language == "zh" else "The score as a whole") in texts[0]


def test_a_champion_without_assessment_and_a_changed_history_are_told_loudly(served, calls):
    home, _, _ = served
    calls.post(f"/api/v1/models/{RISK}/promote", json={"version": "2", "reason": WHY})
    (held,) = [one for one in Registry(home).versions(RISK) if one.version == "2"]
    named = held.card["impact_assessment"]
    withdraw(home, named, by="Zhao", reason="the unit was merged")
    page = calls.get(f"/models?risk={RISK}&lang=en").text
    assert f"The impact assessment {named} was withdrawn: this model scores nobody." in page
    assert calls.get("/api/v1/models", params={"risk": RISK}).json()["risks"][0]["scores_nobody"] == named
    path = home / "mlruns" / "history.jsonl"
    path.write_bytes(path.read_bytes().replace(WHY.encode(), WHY.upper().encode()))
    assert "The history was changed" in calls.get(f"/models?risk={RISK}&lang=en").text


def test_files_and_aliases_beside_the_history_are_checked_when_asked(served, calls):
    home, _, _ = served
    address = f"/models?risk={RISK}&lang=en&verify=true"
    assert "the files are those that were registered" in calls.get(address).text
    registry = Registry(home)
    report = registry.folder(RISK, registry.versions(RISK)[1].run_id).parent / "report.json"
    report.write_text(report.read_text() + " ", encoding="utf-8")
    assert "the files of burnout version 2 are not those that were registered" in calls.get(address).text


def test_picture_and_model_card_come_from_the_store(calls):
    picture = calls.get(f"/models/{RISK}/2/calibration.svg")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/svg+xml")
    assert calls.get(f"/models/{RISK}/1/calibration.svg").status_code == 404
    card = calls.get(f"/models/{RISK}/2/card")
    assert card.headers["content-disposition"].startswith("attachment")
    assert "http://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", card.text)
    assert "<script" not in card.text
    assert calls.get(f"/models/{RISK}/99/card").status_code == 404

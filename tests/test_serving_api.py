"""The API: its answers, its problems, its permissions; it stores nothing that it was not asked to store."""

import datetime as dt
import logging

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event, inspect, text

from features.engine import feature_rows
from features.months import month_end, month_text
from serving.answers.problems import Kind
from serving.app import create_app
from serving.arrivals.given import Event, Posting, given_histories
from serving.database import open_database, transaction
from tests.export_files import as_sent
from tests.serving_fixtures import HERE, last_month, signed_in_client
from training.dataset import training_set
from training.models.scoring import scored
from training.registry.registry import Registry

NAME = "甲乙丙丁"
LIST = "/api/v1/risk-lists/burnout"
PROBLEM = "application/problem+json"


def test_the_list_is_ranked_and_tells_why(client):
    answer = client.get(LIST, params={"limit": 20})
    assert answer.status_code == 200
    body = answer.json()
    assert [entry["rank"] for entry in body["entries"]] == list(range(1, 21))
    chances = [entry["probability"] for entry in body["entries"]]
    assert chances == sorted(chances, reverse=True)
    assert body["capacity"] == 10
    assert [entry["in_capacity"] for entry in body["entries"]] == [True] * 10 + [False] * 10
    first = body["entries"][0]
    assert first["low"] <= first["probability"] <= first["high"]
    assert first["reasons"][0]["sentence"]["zh"].endswith("风险")
    assert first["status"] == "open"
    assert isinstance(first["previous_rank"], int)


def test_pages_of_a_list_join_to_the_whole(client):
    whole = client.get(LIST, params={"limit": 1000}).json()
    seen, cursor = [], None
    while True:
        page = client.get(LIST, params={"limit": 37, **({"cursor": cursor} if cursor else {})}).json()
        seen += page["entries"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == whole["entries"]
    assert len(seen) == whole["cohort"] == whole["total"]


def test_filters_keep_ranks_of_the_whole_list(client):
    whole = client.get(LIST, params={"limit": 1000}).json()["entries"]
    unit, post = whole[0]["unit"], whole[3]["post"]
    assert client.get(LIST, params={"unit": unit, "limit": 1000}).json()["entries"] == [
        entry for entry in whole if entry["unit"] == unit
    ]
    of_post = client.get(LIST, params={"post": post, "limit": 1000}).json()
    assert of_post["entries"] == [entry for entry in whole if entry["post"] == post]
    assert of_post["total"] == len(of_post["entries"])
    assert client.get(LIST, params={"status": "acted"}).json()["entries"] == []


def test_an_earlier_month_can_be_asked_for(client, given):
    month = last_month(given) - 1
    body = client.get(LIST, params={"as_of": month_text(month)}).json()
    assert body["as_of"] == month_end(month).isoformat()
    assert dt.date.fromisoformat(body["recorded_until"]) <= month_end(month)
    assert {entry["previous_rank"] for entry in body["entries"]} == {None}


def test_an_unchanged_list_answers_304(client):
    first = client.get(LIST, params={"limit": 3})
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    again = client.get(LIST, params={"limit": 3}, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(LIST, params={"limit": 4}, headers={"If-None-Match": tag}).status_code == 200


def test_a_cursor_of_a_list_that_was_replaced_is_a_conflict(client):
    assert client.get(LIST, params={"cursor": "OTk5OTkuMC41"}).status_code == Kind.LIST_CHANGED.status
    assert client.get(LIST, params={"cursor": "nonsense"}).status_code == Kind.INVALID.status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/risk-lists/nothing", 404),
        ("GET", "/api/v1/officers/nobody", 404),
        ("GET", "/api/v1/officers/nobody/recommendations", 404),
        ("DELETE", "/api/v1/predictions", 405),
        ("GET", LIST + "?limit=0", 422),
        ("GET", LIST + "?as_of=2024-13", 422),
        ("GET", LIST + "?status=unheard", 422),
        ("POST", "/api/v1/predictions", 422),
    ],
)
def test_every_error_is_a_problem_document(as_role, method, path, status):
    answer = as_role("data_scientist" if "predictions" in path else "wellness").request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == PROBLEM
    body = answer.json()
    assert body["status"] == status
    assert body["type"].startswith("urn:jingxing:problem:")
    assert body["reference"]


def test_a_body_that_is_no_json_is_malformed(as_role):
    client = as_role("data_scientist")
    answer = client.post("/api/v1/predictions", content=b"{", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, PROBLEM)


def test_other_host_names_are_refused(client):
    assert client.get("/healthz", headers={"host": "evil.example"}).status_code == Kind.WRONG_HOST.status
    assert client.get("/healthz", headers={"host": "127.0.0.1:8000"}).status_code == 200
    assert client.get("/healthz", headers={"host": "[::1]:8000"}).status_code == 200


def test_a_person_has_reasons_that_add_up(client):
    officer = client.get(LIST).json()["entries"][0]["officer_id"]
    body = client.get(f"/api/v1/officers/{officer}").json()
    assert {risk["risk"] for risk in body["risks"]} == {"burnout", "efficiency_decline"}
    for risk in body["risks"]:
        total = risk["base_value"] + sum(risk["contributions"].values())
        assert total == pytest.approx(risk["margin"], abs=1e-9)
        assert 1 / (1 + np.exp(-total)) == pytest.approx(risk["probability"], abs=1e-9)
        start = 1 / (1 + np.exp(-risk["base_value"]))
        share = risk["reasons"][0]["points"] / risk["reasons"][0]["contribution"]
        assert start + share * sum(risk["contributions"].values()) == pytest.approx(risk["probability"])
        assert len(risk["trend"]) == 2


def test_recommendations_say_who_decides_and_that_the_benefit_is_not_estimable(client):
    officer = client.get(LIST).json()["entries"][0]["officer_id"]
    body = client.get(f"/api/v1/officers/{officer}/recommendations").json()
    assert body["recommendations"]
    for offer in body["recommendations"]:
        assert offer["decides"] in ("wellness", "hr", "commander", "officer")
        assert offer["benefit"] == "not estimable"
        assert offer["reason"]["zh"]
        assert offer["reason"]["en"]


def _counts(engine):
    with engine.connect() as connection:
        names = inspect(connection).get_table_names()
        return {name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar() for name in names}


def test_a_prediction_equals_the_champion_on_the_same_person_alone_and_stores_nothing(
    as_role, given, engine, made_home
):
    client = as_role("data_scientist")
    month, officer = last_month(given), str(given.officers[3])
    alone, body = as_sent(given, officer)
    before = _counts(engine)
    answer = client.post("/api/v1/predictions", json={**body, "as_of": month_text(month), "risk": "burnout"})
    assert answer.status_code == 200, answer.text
    (told,) = answer.json()["predictions"]
    model = Registry(made_home).champion("burnout")
    expected = scored(alone, model, feature_rows(alone, [month], names=model.names))
    assert told["probability"] == float(expected.probability[0])
    assert told["base_value"] + sum(reason["contribution"] for reason in told["reasons"]) == pytest.approx(
        float(expected.margin[0]), abs=1e-9
    )
    assert _counts(engine) == before


def test_a_training_row_equals_the_serving_row_of_the_same_person_and_month(given):
    rows = training_set(given, "burnout")
    row = len(rows.officer) // 2
    month, officer = int(rows.as_of[row]), int(rows.officer[row])
    served = feature_rows(given, [month], names=rows.names)
    assert np.array_equal(
        served.values[served.officer == officer][0].view(np.int32), rows.values[row].astype(np.float32).view(np.int32)
    )


def test_sent_rows_become_the_same_features_as_stored_ones(given):
    month, officer = last_month(given), str(given.officers[5])
    alone, body = as_sent(given, officer)
    sent = given_histories(
        given.profile, [Posting(**row) for row in body["roster"]], [Event(**row) for row in body["events"]]
    )
    ours, theirs = feature_rows(alone, [month]), feature_rows(sent, [month])
    columns = [name for name in ours.names if not name.startswith("post__")]
    left = ours.frame(alone)[columns].to_numpy(dtype=np.float32)
    right = theirs.frame(sent)[columns].to_numpy(dtype=np.float32)
    assert np.array_equal(left, right, equal_nan=True)


def test_bad_rows_of_a_prediction_are_all_listed(as_role, given):
    client = as_role("data_scientist")
    _, body = as_sent(given, str(given.officers[3]))
    body["events"] = [
        *body["events"][:3],
        {"officer_id": "ghost", "measure": "night_shift", "occurred_on": "2024-01-02"},
        {"officer_id": str(given.officers[3]), "measure": "no_such", "occurred_on": "2024-01-02"},
        {
            "officer_id": str(given.officers[3]),
            "measure": "night_shift",
            "occurred_on": "2024-01-02",
            "recorded_on": "2023-01-02",
        },
    ]
    answer = client.post("/api/v1/predictions", json={**body, "as_of": "2024-06"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    problems = " ".join(answer.json()["problems"])
    assert "events.3.officer_id" in problems
    assert "events.4.measure" in problems
    assert "events.5.recorded_on" in problems


def test_a_person_out_of_the_cohort_is_named_not_scored(as_role, given):
    client = as_role("data_scientist")
    _, body = as_sent(given, str(given.officers[3]))
    answer = client.post("/api/v1/predictions", json={**body, "as_of": "2010-01"}).json()
    assert answer == {"predictions": [], "not_in_cohort": [str(given.officers[3])]}


def test_readiness_needs_a_champion(client, tmp_path):
    assert client.get("/readyz").json()["champions"].keys() == {"burnout", "efficiency_decline"}
    app = create_app(tmp_path, open_database(tmp_path))
    with TestClient(app, base_url="http://localhost", client=HERE) as empty:
        assert empty.get("/healthz").status_code == 200
        assert (empty.get("/readyz").status_code, empty.get("/readyz").headers["content-type"]) == (503, PROBLEM)


def test_a_commit_that_fails_answers_500_and_logs_no_value(own_home, caplog):
    database = open_database(own_home)

    def fail(_connection):
        raise RuntimeError(f"{NAME} could not be stored")

    calls = signed_in_client(create_app(own_home, database), database, "wellness", quiet=True)
    with caplog.at_level(logging.DEBUG):
        event.listen(database, "commit", fail)
        answer = calls.get(LIST)
    assert (answer.status_code, answer.headers["content-type"]) == (500, PROBLEM)
    reference = answer.json()["reference"]
    assert any(reference in record.getMessage() for record in caplog.records)
    assert NAME not in caplog.text + answer.text
    database.dispose()


def test_planted_names_reach_no_log_record(client, given, caplog):
    _, body = as_sent(given, str(given.officers[3]))
    body["events"].append({"officer_id": "甲乙丙丁", "measure": "night_shift", "occurred_on": "2024-01-02"})
    with caplog.at_level(logging.DEBUG):
        client.post("/api/v1/predictions", json={**body, "as_of": "2024-06"})
        client.get("/api/v1/officers/甲乙丙丁")
        client.get("/officers/甲乙丙丁", headers={"accept": "text/html"})
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "asyncio"))]
    assert not [record for record in ours if "甲乙丙丁" in record.getMessage()]


def test_the_document_describes_every_call_with_answers(client):
    document = client.get("/openapi.json").json()
    for path in document["paths"].values():
        for call in path.values():
            done = next(each for status, each in call["responses"].items() if status in ("200", "201", "204"))
            assert "204" in call["responses"] or done["content"]["application/json"]["schema"]["$ref"]
            assert call["description"]
            assert PROBLEM in call["responses"].get("500", {"content": {PROBLEM: 1}})["content"]


def test_no_stock_documentation_page_loads_from_elsewhere(client):
    assert client.get("/docs").status_code == 404
    assert client.get("/redoc").status_code == 404


def test_a_database_that_does_not_answer_makes_the_service_not_ready(own_home):
    database = open_database(own_home)
    with TestClient(create_app(own_home, database), base_url="http://localhost", client=HERE) as calls:
        with transaction(database) as session:
            assert session is not None
        database.dispose()
        (own_home / "var" / "jingxing.db").unlink()
        (own_home / "var" / "jingxing.db").mkdir()
        assert calls.get("/readyz").status_code == 503

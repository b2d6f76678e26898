"""Predictions of what is sent: feature rows scored as the champion scores them; faultless histories are the door's."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from features.engine import feature_rows
from features.months import month_text
from features.profile import load_profile
from serving.access.tables import AuditRow
from serving.answers.problems import Problem
from serving.api import predictions
from serving.arrivals.faultless import faultless_histories
from serving.arrivals.given import Event, Posting, _checked, given_histories
from serving.database import transaction
from tests.serving_fixtures import last_month
from training.registry.registry import Registry

GONGAN = load_profile("gongan")
PATH = "/api/v1/predictions/burnout"


@pytest.fixture(scope="module")
def champion(made_home):
    return Registry(made_home).champion("burnout")


@pytest.fixture(scope="module")
def sent(request, champion):
    """Five persons' feature rows as a program sends them, and as the engine made them."""
    rows = feature_rows(request.getfixturevalue("given"), [last_month(request.getfixturevalue("given"))],
                        names=champion.names).take(np.arange(5))  # fmt: skip
    told = [[None if np.isnan(cell) else float(cell) for cell in row] for row in rows.values]
    return rows, {"columns": list(champion.names), "rows": told}


def test_rows_sent_are_scored_as_the_champion_scores_them(as_role, champion, sent):
    rows, body = sent
    answer = as_role("data_scientist").post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    expected = champion.score(rows)
    told = answer.json()
    assert told["probability"] == expected.probability.tolist()
    assert (told["low"], told["high"]) == (expected.low.tolist(), expected.high.tolist())
    assert told["evidence"] == champion.evidence(rows).tolist()
    assert (told["risk"], told["model_version"]) == ("burnout", champion.version)


def test_the_order_of_the_columns_changes_nothing(as_role, sent):
    _, body = sent
    turned = {"columns": body["columns"][::-1], "rows": [row[::-1] for row in body["rows"]]}
    client = as_role("data_scientist")
    assert client.post(PATH, json=turned).json() == client.post(PATH, json=body).json()


def test_health_data_may_be_left_out_and_is_unknown_then(as_role, champion, sent):
    rows, body = sent
    health = predictions._of_health(GONGAN, champion.names)
    assert health
    kept = [name not in health for name in champion.names]
    columns, *rows_left = (
        [cell for cell, stays in zip(row, kept, strict=True) if stays] for row in (champion.names, *body["rows"])
    )
    blank = np.where(kept, rows.values, np.nan).astype(np.float32)
    answer = as_role("data_scientist").post(PATH, json={"columns": columns, "rows": rows_left})
    assert answer.json()["probability"] == champion.probability(replace(rows, values=blank)).tolist()


def test_every_wrong_column_and_row_is_named(as_role, sent):
    _, body = sent
    columns = ["sex__is__male", *body["columns"][1:]]
    rows = [body["rows"][0], body["rows"][1][:-1]]
    answer = as_role("data_scientist").post(PATH, json={"columns": columns, "rows": rows})
    assert answer.status_code == 422
    told = " ".join(answer.json()["problems"])
    assert "'sex__is__male' is not an input" in told
    assert f"'{body['columns'][0]}' is missing" in told
    assert "rows.1: holds" in told
    twice = as_role("data_scientist").post(PATH, json={"columns": ["a", "a"], "rows": [[1, 2]]})
    assert any("twice" in problem for problem in twice.json()["problems"])


@pytest.mark.parametrize("wrong", [True, False, "1", "NaN", [1], {}])
def test_only_numbers_are_taken_as_numbers(as_role, sent, wrong):
    _, body = sent
    client = as_role("data_scientist")
    rows = [[wrong, *body["rows"][0][1:]]]
    answer = client.post(PATH, json={**body, "rows": rows})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert "rows.0.0" in answer.text
    whole = [[3 if cell is None else int(cell) for cell in body["rows"][0]]]
    assert client.post(PATH, json={**body, "rows": whole}).status_code == 200


def test_a_row_of_nulls_alone_is_never_sufficient(as_role, champion, sent):
    rows, body = sent
    nothing = [None] * len(body["columns"])
    answer = as_role("data_scientist").post(PATH, json={**body, "rows": [nothing, body["rows"][0]]})
    assert answer.json()["evidence"] == ["little_history", champion.evidence(rows)[0]]


@pytest.mark.parametrize("as_of", ["2024-06-99", "2024-06-01", "2024-06-31", "２０２４-06", "2024-13", "2024-6", ""])
def test_a_month_is_read_as_everywhere_else(as_role, as_of):
    person = {"officer_id": "A", "valid_from": "2019-03-01", "post": "patrol", "unit": "x"}
    night = {"officer_id": "A", "measure": "night_shift", "occurred_on": "2024-06-03", "value": 1}
    send = {"roster": [person], "events": [night], "as_of": as_of}
    client = as_role("data_scientist")
    answer = client.post("/api/v1/predictions", json=send)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    told = [client.post("/api/v1/predictions", json={**send, "as_of": text}) for text in ("2024-06", "2024-06-30")]
    assert [each.status_code for each in told] == [200, 200]
    assert told[0].json() == told[1].json()


def test_an_unknown_risk_is_not_found_and_other_roles_are_refused(as_role, sent):
    _, body = sent
    assert as_role("data_scientist").post("/api/v1/predictions/nothing", json=body).status_code == 404
    assert {as_role(role).post(PATH, json=body).status_code for role in ("hr", "commander", "wellness")} == {403}


def test_health_data_is_refused_by_name_for_a_risk_of_another_purpose_and_the_refusal_is_in_the_log(
    as_role, engine, champion
):
    health = predictions._of_health(GONGAN, champion.names)
    answer = as_role("data_scientist").post(
        "/api/v1/predictions/efficiency_decline", json={"columns": health[:2], "rows": [[1, 2]]}
    )
    assert answer.status_code == 403
    assert answer.json()["problems"] == health[:2]
    with transaction(engine, writes=False) as session:
        newest = session.scalars(select(AuditRow).order_by(AuditRow.number.desc())).first()
    assert (newest.action, newest.subject) == ("refused", "/api/v1/predictions/{risk}")
    assert newest.details["permission"] == "health_reasons_and_history"


DATES = st.dates(np.datetime64("2020-01-01").item(), np.datetime64("2024-12-31").item())
ODD = st.sampled_from(["P1", "P2", " P1", "", "P\0"])
PEOPLE = st.lists(
    st.builds(
        Posting,
        officer_id=st.sampled_from(["P1", "P2"]),
        valid_from=DATES,
        valid_to=st.none() | DATES,
        post=st.sampled_from([*list(GONGAN.posts)[:3], "nobody's"]),
        unit=st.sampled_from(["一队", "二队"]),
        name=st.none() | ODD,
        birth_year=st.none() | st.integers(1890, 1990),
    ),
    min_size=1,
    max_size=4,
)
HAPPENED = st.lists(
    st.builds(
        Event,
        officer_id=st.sampled_from(["P1", "P1", "P2", "P3"]),
        measure=st.sampled_from([*list(GONGAN.measures)[:4], "no_such"]),
        occurred_on=DATES,
        value=st.none() | st.floats(-10, 10) | st.just(2e12),
        recorded_on=st.none() | DATES,
        began_on=st.none() | DATES,
        event_id=st.none() | st.sampled_from(["a", "b", " a"]),
    ),
    max_size=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(PEOPLE, HAPPENED)
def test_faultless_rows_are_the_doors_and_what_the_door_refuses_is_not_faultless(people, happened):
    quick = faultless_histories(GONGAN, people, happened)
    try:
        slow = _checked(GONGAN, people, happened)
    except Problem:
        assert quick is None
        return
    if quick is not None:
        _the_same(quick, slow)


def test_a_real_persons_rows_are_faultless(made_home, request):
    force = request.getfixturevalue("given")
    one = force.officers_at(force.officers == force.officers[3])
    people = [
        Posting(officer_id=str(one.officers[0]), valid_from=_day(first), valid_to=_day(last), post=force.posts[post],
                unit=force.units[unit])
        for first, last, post, unit in zip(one.postings.first, one.postings.last, one.postings.post, one.postings.unit,
                                           strict=True)
    ]  # fmt: skip
    keys = force.profile.measure_keys
    happened = [
        Event(officer_id=str(one.officers[0]), measure=keys[measure], occurred_on=_day(occurred), value=_known(value),
              recorded_on=_day(recorded), began_on=_day(began))
        for measure, occurred, value, recorded, began in zip(
            *(getattr(one.events, name) for name in ("measure", "occurred", "value", "recorded", "began")), strict=True)
    ]  # fmt: skip
    quick = faultless_histories(force.profile, people, happened)
    assert quick is not None
    _the_same(quick, _checked(force.profile, people, happened))
    month = last_month(force)
    rows = [feature_rows(each, [month]) for each in (quick, given_histories(force.profile, people, happened))]
    assert np.array_equal(rows[0].values, rows[1].values, equal_nan=True), month_text(month)


def _the_same(quick, slow):
    assert np.array_equal(quick.officers, slow.officers)
    assert (quick.posts, quick.units) == (slow.posts, slow.units)
    for part in ("postings", "events"):
        for name, column in vars(getattr(quick, part)).items():
            other = getattr(getattr(slow, part), name)
            assert column.dtype == other.dtype, name
            assert np.array_equal(column, other, equal_nan=column.dtype.kind == "f"), name
    assert list(quick.people.columns) == list(slow.people.columns)


def _day(number):
    return None if number < -100_000 else np.datetime64(int(number), "D").item()


def _known(value):
    return None if np.isnan(value) else float(value)

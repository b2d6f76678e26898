"""A person's page: words for a talk, events, what was done and what came of it, the report; as each role may see."""

import datetime as dt
import shutil

import pytest
from sqlalchemy import select

from features.assessment.assess import assess
from features.histories.store import load_officer
from features.months import month_end, month_of
from features.profile import load_profile
from serving.access.audit import Actor
from serving.access.roles import Role
from serving.access.sight import WHOLE, Sight
from serving.app import create_app
from serving.assessed.storing import store_assessment
from serving.charts import Event, timeline_chart
from serving.database import open_database, transaction
from serving.decisions.help import Wanted, answer_help, ask_for_help
from serving.persons.first_words import first_words
from serving.persons.heights import falls_from_height
from serving.persons.timeline import MONTHS, timeline
from serving.scored.queries import batch_of, entries
from serving.tables import Batch
from tests.serving_fixtures import an_officer, last_month, signed_in_client

DECLINE, BURNOUT = "/api/v1/risk-lists/efficiency_decline", "/api/v1/risk-lists/burnout"
PROFILE = load_profile("gongan").model_dump(mode="json")
LABELS = {key: measure["label"] for key, measure in PROFILE["measures"].items()}
OFFERS = [{"zh": "带薪调休", "en": "Paid compensatory leave"}, {"zh": "疗休养", "en": "Recuperation stay"}]
FORBIDDEN = ("风险", "概率", "模型", "名单", "倦怠", "抑郁", "诊断", "处分", "投诉", "睡眠", "压力", "%",
             "risk", "probab", "model", "burnout", "depress", "diagnos", "disciplin", "complain", "sleep",
             "strain")  # fmt: skip


def reason(measure, value=14.0, usual=8.0, peers=7.0, *, contribution=0.6, stable=True):
    return {"measure": measure, "contribution": contribution, "value": value, "usual": usual, "peers": peers,
            "stable": stable}  # fmt: skip


def words(*reasons, offers=OFFERS, profile=PROFILE):
    return first_words(reasons, labels=LABELS, profile=profile, offers=offers)


def test_words_name_the_load_that_is_heavier_than_usual_and_the_first_offers():
    said = words(reason("night_shift"), reason("overtime_hours"), reason("rest_day_worked"))
    assert "夜班、加班时长比平时多" in said["zh"][0]
    assert "more than usual of these lately: night shifts, overtime hours" in said["en"][0]
    assert any("带薪调休、疗休养" in line for line in said["zh"])
    assert any("paid compensatory leave, recuperation stay" in line for line in said["en"])


def test_words_compare_with_the_post_where_the_load_is_usual_for_the_person():
    assert "夜班比同岗位多" in words(reason("night_shift", 14, 15, 7))["zh"][0]


@pytest.mark.parametrize(
    "silent",
    [reason("strain_survey"), reason("complaint"), reason("sleep_hours"), reason("supervisor_rating"),
     reason("night_shift", contribution=-0.5), reason("night_shift", stable=False),
     reason("night_shift", 5, 8, 7), reason("night_shift", None, None, None)],
    ids=["health", "complaint", "sleep", "rating", "lowers", "not firm", "less than usual", "unknown"],
)  # fmt: skip
def test_words_never_begin_with_health_complaints_or_what_is_not_heavier(silent):
    said = words(silent)
    assert said == words()
    assert "night" not in " ".join(said["en"])


def test_words_hold_no_score_no_diagnosis_and_no_threat_and_always_the_right_to_refuse():
    for said in (words(*map(reason, LABELS)), words(), words(reason("night_shift"), profile=None)):
        for language in ("zh", "en"):
            text = " ".join(said[language]).lower()
            assert [word for word in FORBIDDEN if word in text.replace("压力自评", "")] == []
        assert any("不要也没关系" in line for line in said["zh"])
        assert any("Saying no is fine" in line for line in said["en"])


@pytest.fixture(scope="module")
def desk(made_home, given, tmp_path_factory):
    """A copy of the served home with an assessment: its home, engine, and clients of roles by name."""
    home = shutil.copytree(made_home, tmp_path_factory.mktemp("person") / "home")
    engine = open_database(home)
    store_assessment(assess(given, last_month(given)), engine)
    app = create_app(home, engine)
    made = {}

    def client(role):
        if role not in made:
            made[role] = signed_in_client(app, engine, role)
        return made[role]

    yield home, engine, client
    for each in made.values():
        each.close()
    engine.dispose()


def page(client, path):
    answer = client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return answer.text


def someone(client, path=DECLINE):
    return client.get(path).json()["entries"][0]


def test_a_decision_on_the_page_stands_there_with_risk_then_and_now(desk):
    _, _, client = desk
    entry = someone(client("wellness"), BURNOUT)
    address = f"/officers/{entry['officer_id']}?risk=burnout&lang=en"
    assert "Nobody has decided yet" in page(client("wellness"), address)
    form = {"csrf": client("wellness").headers["x-csrf-token"], "flag_id": entry["flag_id"], "version": 0,
            "decision": "act", "action": "counselling", "reason": "wants to talk", "back": address}  # fmt: skip
    assert client("wellness").post("/flags/decision", data=form).status_code == 303
    text = page(client("wellness"), address)
    for told in (
        "the wellness: acted on",
        "Arranged: Counselling",
        "wants to talk",
        "No help on record",
    ):
        assert told in text
    assert "wants to talk" not in page(client("data_scientist"), f"/officers/{pseudonym(client, entry)}")


def pseudonym(client, entry):
    listed = client("data_scientist").get(BURNOUT, params={"limit": 1000}).json()["entries"]
    return next(each["officer_id"] for each in listed if each["rank"] == entry["rank"])


def test_the_report_is_there_for_appraisers_and_never_beside_a_wellness_score(desk):
    _, _, client = desk
    for role in ("hr", "commander"):
        officer = someone(client(role))["officer_id"]
        text = page(client(role), f"/officers/{officer}?lang=en")
        assert 'id="report"' in text
        assert f"/officers/{officer}/cockpit" in text
        assert "Burnout" not in text
    officer = someone(client("wellness"), BURNOUT)["officer_id"]
    assert 'id="report"' not in page(client("wellness"), f"/officers/{officer}")


def test_no_appraisal_page_holds_a_risk(desk):
    _, _, client = desk
    entry = someone(client("hr"))
    for path in (f"/officers/{entry['officer_id']}/cockpit", "/cockpit", "/warnings", "/assessment", "/stars"):
        text = page(client("hr"), f"{path}?lang=en")
        assert "Burnout risk" not in text
        assert f"{entry['probability']:.4f}" not in text


def sensitive(given):
    return {measure.label.zh for measure in given.profile.measures.values() if measure.sensitive}


def test_health_events_are_drawn_for_the_wellness_team_alone(desk, given):
    home, _, client = desk
    month = last_month(given)
    officer = next(
        str(number)
        for number in given.officers
        if any(
            each.label["zh"] in sensitive(given) for each in timeline(home, str(number), month, sight=sight("wellness"))
        )
    )
    shown = {role: timeline(home, officer, month, sight=sight(role)) for role in ("wellness", "hr", "data_scientist")}
    assert not {each.label["zh"] for each in shown["hr"]} & sensitive(given)
    assert len(shown["hr"]) < len(shown["wellness"])
    assert shown["data_scientist"] == []
    labels = {each.label["zh"] for each in shown["wellness"]} & sensitive(given)
    table = page(client("hr"), f"/officers/{officer}?lang=zh").split('id="timeline"')
    assert not [label for label in labels if len(table) > 1 and label in table[1]]


def sight(role, **scope):
    return Sight(Role(role), **scope)


def test_events_are_those_known_then_within_two_years_and_not_retracted(desk, given):
    home, _, _ = desk
    month = last_month(given) - 3
    officer = str(given.officers[5])
    own, _ = load_officer(home, officer)
    found = timeline(home, officer, month, sight=sight("wellness"))
    assert found == sorted(found, key=lambda each: (each.day, each.lane), reverse=True)
    assert all(month_end(month - MONTHS) < each.day <= month_end(month) for each in found)
    late = {dt.date(1970, 1, 1) + dt.timedelta(days=int(day)) for day in own.events.occurred[own.events.recorded > 0]}
    assert {each.day for each in found if each.lane != "posting"} <= late
    assert timeline(home, "nobody", month, sight=sight("wellness")) == []


def test_the_picture_of_events_is_an_svg_with_a_lane_for_each_kind():
    events = [Event(dt.date(2024, 3, 1), "荣誉", "x"), Event(dt.date(2024, 5, 1), "帮扶", "y")]
    for size in ("wide", "narrow"):
        svg = timeline_chart(events, ["帮扶", "荣誉"], (dt.date(2023, 1, 1), dt.date(2024, 12, 31)), size).decode()
        assert svg.startswith("<svg")
        assert "荣誉" in svg


def test_pictures_of_persons_out_of_reach_are_not_found(desk, given):
    _, engine, client = desk
    own = {entry["unit"] for entry in client("commander").get(DECLINE).json()["entries"]}
    with transaction(engine) as session:
        assert session.scalar(select(Batch.id).limit(1))
    other = next(e for e in client("hr").get(DECLINE, params={"limit": 1000}).json()["entries"] if e["unit"] not in own)
    for picture in ("timeline.svg", "risk.svg?risk=efficiency_decline"):
        assert client("commander").get(f"/officers/{other['officer_id']}/{picture}").status_code == 404


def test_the_page_of_a_past_month_tells_that_month(desk, given):
    _, _, client = desk
    first = month_end(last_month(given) - 1)
    entry = client("wellness").get(BURNOUT, params={"as_of": f"{first:%Y-%m}"}).json()["entries"][0]
    text = page(client("wellness"), f"/officers/{entry['officer_id']}?as_of={first:%Y-%m}&lang=zh")
    assert f"{first.year}年{first.month}月" in text
    assert month_of(first) == last_month(given) - 1


@pytest.mark.parametrize(
    ("risk", "told", "says"),
    [
        ("efficiency_decline", reason("citizen_rating", 96.0, 95.0, 88.0), True),
        ("efficiency_decline", reason("citizen_rating", 80.0, 95.0, 88.0), False),
        ("efficiency_decline", reason("complaint", 0.0, 0.0, 1.0), True),  # fewer is better
        ("efficiency_decline", reason("night_shift", 14.0, 8.0, 7.0), False),  # neither is better
        ("efficiency_decline", reason("efficiency", 0.8, None, 0.0), True),
        ("efficiency_decline", reason("efficiency", -0.8, None, 0.0), False),
        ("efficiency_decline", reason("citizen_rating", 96.0, 95.0, 88.0, contribution=-0.4), False),
        ("efficiency_decline", reason("citizen_rating", 96.0, 95.0, 88.0, stable=False), False),
        ("efficiency_decline", reason("citizen_rating", None, None, 88.0), False),
        ("burnout", reason("citizen_rating", 96.0, 95.0, 88.0), False),
    ],
)
def test_a_fall_from_a_high_level_is_told_where_the_risk_is_a_decline_and_only_there(risk, told, says):
    assert falls_from_height(PROFILE, risk, [told]) is says
    assert falls_from_height(None, risk, [told]) is False


def test_a_person_page_says_why_a_good_level_raises_the_risk_of_a_decline(client, engine):
    with transaction(engine, writes=False) as session:
        batch = batch_of(session, WHOLE, "efficiency_decline")
        high = [each.score.officer_id for each in entries(session, WHOLE, batch, limit=60)
                if falls_from_height(PROFILE, batch.risk, each.strongest)]  # fmt: skip
    for language, words_ in (("zh", "回归均值"), ("en", "regression to the mean")):
        assert words_ in client.get(f"/officers/{high[0]}?lang={language}").text


def test_a_decision_on_this_very_list_tells_no_change_of_the_risk(own_home):
    engine = open_database(own_home)
    client = signed_in_client(create_app(own_home, engine), engine, "wellness")
    first = client.get(BURNOUT).json()["entries"][0]
    told = {"flag_id": first["flag_id"], "version": first["flag_version"], "decision": "watch"}
    assert client.post("/api/v1/reviews", json=told).status_code == 201
    text = client.get(f"/officers/{first['officer_id']}?lang=en").text
    assert "Kept under watch" in text or "watch" in text
    assert "The risk was" not in text
    engine.dispose()


def test_an_answered_request_for_help_stays_on_the_pages_with_its_answer(own_home):
    engine = open_database(own_home)
    client = signed_in_client(create_app(own_home, engine), engine, "wellness")
    hr = signed_in_client(create_app(own_home, engine), engine, "hr")
    with transaction(engine) as session:
        who = an_officer(session)[0]
        row = ask_for_help(session, Actor("wang", "officer"), who, kind=Wanted.REST, told="连续值班，睡不好")
        answer_help(session, Actor("chen", "wellness"), row.id, "下周一起调休三天")
    for path in ("/objections?lang=zh", f"/officers/{who}?lang=zh"):
        text = client.get(path).text
        assert "下周一起调休三天" in text, path
        assert "连续值班，睡不好" in text, path
        assert "下周一起调休三天" not in hr.get(path).text
    engine.dispose()

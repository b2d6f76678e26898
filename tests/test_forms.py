"""A form that is refused comes back as it was filled in, with what is wrong beside the field, in one language."""

import re

import pytest
from sqlalchemy import func, select

from features.histories.store import load_roster
from serving.app import create_app
from serving.database import open_database, transaction
from serving.pages.filled import Typed, filled
from serving.rest.tables import RestPlan
from serving.words import say
from tests.serving_fixtures import signed_in_client

HTML = {"accept": "text/html"}
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture
def clients(own_home):
    engine = open_database(own_home)
    app = create_app(own_home, engine)
    yield lambda role: signed_in_client(app, engine, role)
    engine.dispose()


@pytest.fixture
def unit(own_home):
    return load_roster(own_home).units[0]


def fault_of(page):
    return re.sub(r"<[^>]+>", " ", re.search(r'<p class="fault"[^>]*>(.*?)</p>', page, re.DOTALL)[1]).strip()


def rest_form(wellness):
    """The fields of the form for a rest plan that a browser sends whatever is typed."""
    page = wellness.get("/rest", headers=HTML).text
    kinds = re.findall(r'name="kind" value="([^"]+)"', page)
    return {"as_of": re.search(r'<option value="(\d{4}-\d{2})"', page)[1], "kind": kinds, "places": [""] * len(kinds)}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_an_objection_that_is_too_short_stands_in_its_form_again(clients, language):
    officer = clients("officer")
    officer.cookies.set("lang", language)
    page = officer.get("/my-record", headers=HTML).text
    risk = re.search(r'name="risk" value="([^"]+)"', page)[1]
    sent = {"against": "score", "risk": risk, "told": "<a>"}
    answer = officer.post("/my-record/objections", data=sent, headers=HTML)
    assert answer.status_code == 422
    assert fault_of(answer.text) == say("fault_string_too_short", language, least=4)
    form = answer.text.split('class="fault"')[1].split("</form>")[0]
    assert "&lt;a&gt;</textarea>" in form
    assert re.search(r'<textarea name="told"[^>]*aria-invalid="true"[^>]*aria-describedby="fault"[^>]*autofocus', form)
    assert answer.text.count("&lt;a&gt;</textarea>") == 1  # the form of the other risk stays empty


def test_a_help_request_that_is_too_long_is_not_lost(clients):
    told = "word " * 1000
    answer = clients("officer").post("/my-record/help", data={"kind": "family", "told": told}, headers=HTML)
    assert answer.status_code == 422
    assert told.strip() in answer.text
    assert re.search(r'<option value="family"[^>]*selected', answer.text)


def test_a_contested_record_comes_back_to_the_page_of_its_measure_with_its_tick_twice(clients):
    officer = clients("officer")
    place = "/my-record/records?measure=duty_hours"
    names = re.findall(r'name="record" value="([^"]+)"', officer.get(place, headers=HTML).text)
    sent = {"against": "record", "told": "no", "record": [names[1]]}
    answer = officer.post("/my-record/objections", data=sent, headers={**HTML, "referer": f"http://localhost{place}"})
    for _ in range(2):  # the second time the browser stands at the address of the form
        ticked = [tag for tag in re.findall(r'<input[^>]*name="record"[^>]*>', answer.text) if "checked" in tag]
        assert len(ticked) == 1
        assert names[1] in ticked[0]
        page = re.search(r'name="form_page" value="([^"]+)"', answer.text)[1]
        assert page == place
        answer = officer.post("/my-record/objections", data=sent | {"form_page": page}, headers=HTML)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"old": "wrong", "new": "quite another one", "again": "quite another one"}, "old"),
        ({"old": "wrong", "new": "quite another one", "again": "not the same"}, "again"),
    ],
)
def test_the_password_page_tells_the_field_in_one_language_and_repeats_no_password(clients, language, sent, field):
    admin = clients("admin")
    admin.cookies.set("lang", language)
    page = admin.post("/password", data={"username": "the admin", **sent}, headers=HTML)
    assert page.status_code == 422
    assert bool(CHINESE.search(fault_of(page.text))) == (language == "zh")
    assert re.search(rf'<input name="{field}"[^>]*aria-invalid="true"', page.text)
    assert not [value for value in sent.values() if f'value="{value}"' in page.text]


def test_an_offer_for_nobody_and_a_pair_of_one_come_back_with_the_numbers(clients):
    hr = clients("hr")
    offers = hr.get("/offers", headers=HTML).text
    action = re.findall(r'<option value="([^"]+)"', offers.split('name="action"')[1])[-1]
    answer = hr.post("/offers", data={"officer_id": "nobody-7", "action": action}, headers=HTML)
    assert answer.status_code == 404
    assert 'value="nobody-7"' in answer.text
    assert re.search(rf'<option value="{action}" selected', answer.text)
    answer = hr.post("/mentorships/kept-apart", data={"one": "same-1", "other": "same-1"}, headers=HTML)
    assert answer.text.count('value="same-1"') == 2


def test_a_rest_plan_that_is_refused_keeps_every_figure(clients, unit):
    wellness = clients("wellness")
    form = rest_form(wellness)
    sent = form | {"quota": "7", "places": ["", "2"], "weeks": "6", "postpone": "true", "closed_first": "2030-02-01",
            "closed_last": "2030-01-01", "closed_unit": unit}  # fmt: skip
    answer = wellness.post("/rest", data=sent, headers=HTML)
    assert answer.status_code == 422
    for value in ("7", "6", "2", "2030-02-01", "2030-01-01", unit):
        assert f'value="{value}"' in answer.text
    assert re.search(r'name="postpone"[^>]*checked', answer.text)
    assert "<details open><summary>" in answer.text
    assert re.search(r'name="closed_last"[^>]*aria-invalid', answer.text)


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"closed_first": "2030-02-01", "closed_unit": "no such unit"}, "closed_unit"),
        ({"closed_last": "2030-02-01"}, "closed_first"),
        ({"places": ["", "-1"]}, "places"),
        ({"places": ["", "many"]}, "places"),
    ],
)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_closed_days_of_no_unit_and_places_that_are_no_number_are_told_at_their_field(
    clients, own_home, language, typed, field
):
    wellness = clients("wellness")
    wellness.cookies.set("lang", language)
    answer = wellness.post("/rest", data=rest_form(wellness) | {"quota": "2"} | typed, headers=HTML)
    assert answer.status_code == 422
    assert bool(CHINESE.search(fault_of(answer.text))) == (language == "zh")
    wrong = re.findall(rf'<input[^>]*name="{field}"[^>]*>', answer.text)
    assert [("aria-invalid" in tag) for tag in wrong].index(True) == len(typed.get("places", [""])) - 1
    with transaction(open_database(own_home), writes=False) as session:
        assert session.scalar(select(func.count()).select_from(RestPlan)) == 0


def test_days_without_rest_that_were_given_on_the_page_are_in_the_plan(clients, own_home, unit):
    wellness = clients("wellness")
    sent = rest_form(wellness) | {"quota": "2", "weeks": "8", "closed_first": "2030-02-01", "closed_unit": unit}
    answer = wellness.post("/rest", data=sent, headers=HTML)
    assert answer.status_code == 303, answer.text
    number = answer.headers["location"].split("/")[-1]
    with transaction(open_database(own_home), writes=False) as session:
        (kept,) = session.get_one(RestPlan, int(number)).blackouts
    assert kept == {"first": "2030-02-01", "last": "2030-02-01", "unit": unit}


def test_an_account_that_is_refused_keeps_what_was_typed(clients):
    answer = clients("admin").post("/accounts", data={"name": "new one", "role": "commander"}, headers=HTML)
    assert answer.status_code == 422
    assert 'value="new one"' in answer.text
    assert re.search(r'<option value="commander" selected', answer.text)


def test_a_program_gets_a_problem_and_no_page(clients):
    answer = clients("hr").post("/offers", data={"officer_id": "x", "action": "y"})
    assert answer.headers["content-type"] == "application/problem+json"


def test_only_the_form_that_was_sent_is_filled_in():
    one = '<form method="post" action="/a"><input type="hidden" name="k" value="{}"><input name="n" value="old"></form>'
    page = filled(one.format(1) + one.format(2), Typed("/a", {"k": ["2"], "n": ['"><b>']}, [("bad", "en")], "n", "/p"))
    assert page is not None
    first, second = page.split("</form>")[:2]
    assert 'value="old"' in first
    assert "fault" not in first
    assert 'value="&quot;&gt;&lt;b&gt;"' in second
    assert filled(one, Typed("/b", {}, [], "", "/p")) is None

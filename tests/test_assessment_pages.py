"""The pages of the assessment: every figure leads to its events, small cells are hidden, no health data, no risk."""

import ast
import html
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from sqlalchemy import event, inspect

import serving
from features.assessment.assess import assess
from features.efficiency import may_be_assessed
from features.histories.store import load_histories
from features.months import month_of_day, month_text
from serving.app import create_app
from serving.assessed.pictures import freest
from serving.assessed.storing import store_assessment
from serving.database import open_database, transaction
from serving.pages.assessed_frame import SCORES, signed
from serving.words import day_name, say
from tests.assessment_force import NOW, force, roster, work
from tests.serving_fixtures import signed_in_client

HERE = Path(serving.__file__).parent
OURS = [*(HERE / "assessed").glob("*.py"), HERE / "api" / "assessment.py", HERE / "pages" / "assessment.py",
        HERE / "pages" / "cockpit.py", HERE / "pages" / "assessed_frame.py"]  # fmt: skip
FORBIDDEN = {
    "serving.scored.queries",
    "serving.scored.lists",
    "serving.scored.scoring",
    "serving.scored.units",
    "serving.scored.recommendations",
}
FORBIDDEN_NAMES = {"Score", "Batch", "Reasons", "Facts", "RecommendationRow", "SupersededList"}


@pytest.fixture(scope="module")
def home(made_home, tmp_path_factory):
    """The served force's histories, with a store of its own."""
    own = tmp_path_factory.mktemp("assessed")
    (own / "var").mkdir()
    (own / "var" / "histories").symlink_to(made_home / "var" / "histories")
    return own


@pytest.fixture(scope="module")
def found(given):
    month = int(month_of_day(given.last_recorded))
    stars = assess(given, month).tables["stars"]
    return assess(given, month, consents=[stars[stars["star"]]["officer_id"].iloc[0]])


@pytest.fixture(scope="module")
def client(home, found):
    engine = open_database(home)
    store_assessment(found, engine)
    with signed_in_client(create_app(home, engine), engine, "hr") as calls:
        yield calls
    engine.dispose()


@pytest.fixture(scope="module")
def star(found):
    letters = found.tables["letters"]
    return letters[letters["agreed"]]["officer_id"].iloc[0]


def test_a_commander_begins_at_the_own_units_and_the_force_stands_apart_without_lists(client, home, found):
    units = sorted(found.tables["people"]["unit"].value_counts().index[:2])
    engine = open_database(home)
    one = signed_in_client(client.app, engine, "commander", units=tuple(units[:1]))
    page = one.get("/cockpit?lang=en").text
    assert units[0] in page.split("<h1>")[1].split("</h1>")[0]
    assert "Objections" not in page
    force = one.get("/cockpit?force=true&lang=en").text
    assert "The force" in force.split("<h1>")[1].split("</h1>")[0]
    assert "Warnings:" not in force  # the own units' number does not stand under the force's name
    two = signed_in_client(client.app, engine, "commander", units=tuple(units))
    page = two.get("/cockpit?lang=en").text
    assert "My units" in page.split("<h1>")[1].split("</h1>")[0]
    assert all(f"/cockpit?unit={quote(unit, safe='')}" in page for unit in units)
    assert "force.svg" not in page
    engine.dispose()


def pages_of(found, star):
    unit = quote(found.tables["people"].set_index("officer_id").loc[star, "unit"])
    person = f"/officers/{star}"
    return ["/cockpit", f"/cockpit?unit={unit}", "/stars", "/warnings", "/assessment", f"{person}/cockpit",
            f"{person}/points", f"{person}/events", f"{person}/letter"]  # fmt: skip


def _text(client, path, language="zh"):
    answer = client.get(f"{path}{'&' if '?' in path else '?'}lang={language}")
    assert answer.status_code == 200, path
    client.cookies.delete("lang")
    return answer.text


def test_every_page_is_whole_in_both_languages(client, found, star, given):
    for path in pages_of(found, star):
        assert 'lang="zh-CN"' in _text(client, path)
        if path.endswith("/letter"):
            continue
        text = _text(client, path, "en")
        for unit in given.units:
            text = text.replace(unit, "")
        assert re.findall(r"[\u4e00-\u9fff]+", text.replace("中文", "")) == [], path


def test_every_link_of_these_pages_within_the_assessment_answers(client, found, star):
    for path in pages_of(found, star):
        links = set(re.findall(r'(?:href|src)="(/[^"#]*)', _text(client, path)))
        kept = sorted(link.replace("&amp;", "&") for link in links if not link.startswith(("/static", "/lists")))
        for link in kept[:25]:
            assert client.get(link).status_code in (200, 303), (path, link)


def test_every_indicator_of_a_person_leads_to_its_events(client, found, star):
    own = found.tables["indicators"]
    person, events = _text(client, f"/officers/{star}/cockpit"), _text(client, f"/officers/{star}/events")
    for key in own[own["officer_id"] == star]["indicator"]:
        assert f"#{key}" in person
        assert f'id="{key}"' in events


def test_the_points_page_adds_up_to_the_balance(client, found, star):
    body = client.get(f"/api/v1/officers/{star}/points").json()
    balance = int(found.tables["points"].set_index("officer_id").loc[star, "balance_cents"])
    assert body["balance_cents"] == balance == sum(entry["cents"] for entry in body["entries"])
    assert f"{balance / 100:,.2f}" in _text(client, f"/officers/{star}/points")


def test_the_report_says_level_interval_percentile_and_twelve_months(client, star):
    body = client.get(f"/api/v1/officers/{star}/report").json()
    assert body["report"]["index_low"] <= body["report"]["index_level"] <= body["report"]["index_high"]
    assert len(body["tables"]["history"]) == 12
    assert body["tables"]["indicators"]
    missing = client.get("/api/v1/officers/nobody/report")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
    assert client.get(f"/api/v1/officers/{star}/report?as_of=1999-01").status_code == 404


def test_a_letter_is_made_only_for_who_agreed_and_speaks_both_languages(client, found, star):
    page = _text(client, f"/officers/{star}/letter")
    assert "敬意和感谢" in page
    assert "To the family of" in page
    letters = found.tables["letters"]
    for other in letters[~letters["agreed"].astype(bool)]["officer_id"]:
        assert client.get(f"/officers/{other}/letter").status_code == 404


def test_a_unit_of_fewer_than_five_shows_no_figure(tmp_path):
    people = roster()
    people.loc[people["officer_id"].isin(["P00", "P01", "P02"]), "unit"] = "TINY"
    engine = open_database(tmp_path)
    store_assessment(assess(force(work(), people=people), NOW), engine)
    with signed_in_client(create_app(tmp_path, engine), engine, "hr") as calls:
        page = calls.get("/cockpit?unit=TINY").text
        assert "不足 5 人" in page
        assert 'class="figures"' not in page
        assert calls.get("/cockpit/months.svg?unit=TINY").status_code in (200, 404)
        rows = calls.get("/api/v1/cockpit?unit=TINY").json()
        assert {row["level"] for row in rows["scores"]} == {None}
        assert {row["index"] for row in rows["months"]} <= {None}
    engine.dispose()


def _plain(calls, path):
    """A page without what belongs to the sign-in."""
    return calls.get(path).text.replace(calls.headers["x-csrf-token"], "")


def test_poisoned_health_data_changes_no_byte_of_any_page(client, home, found, star, given, tmp_path):
    sensitive = [given.profile.measure_number[key] for key, one in given.profile.measures.items()
                 if not may_be_assessed(one)]  # fmt: skip
    value = given.events.value.copy()
    hit = np.isin(given.events.measure, sensitive)
    assert hit.any()
    value[hit] = 987654.0
    poisoned = replace(given, events=replace(given.events, value=value))
    engine = open_database(tmp_path)
    store_assessment(assess(poisoned, found.as_of, consents=[star]), engine)
    with signed_in_client(create_app(home, engine), engine, "hr") as calls:
        for path in pages_of(found, star):
            assert _plain(calls, path) == _plain(client, path), path
    engine.dispose()


def test_no_measure_of_health_and_no_risk_is_named_on_any_page(client, found, star, given):
    hidden = [one.label.zh for one in given.profile.measures.values() if not may_be_assessed(one)]
    hidden += [risk.label.zh for risk in given.profile.risks.values() if risk.purpose == "wellness"]
    for path in pages_of(found, star):
        text = _text(client, path)
        assert [label for label in hidden if label in text] == [], path


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_nothing_here_imports_a_score_a_list_or_a_reason(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.module not in FORBIDDEN
            assert not {alias.name for alias in node.names} & FORBIDDEN_NAMES
            assert not {f"{node.module}.{alias.name}" for alias in node.names} & FORBIDDEN
            assert not str(node.module).startswith("training")


def test_without_an_assessment_the_pages_say_so(tmp_path):
    engine = open_database(tmp_path)
    with signed_in_client(create_app(tmp_path, engine), engine, "hr") as calls:
        for path in ("/cockpit", "/stars", "/assessment"):
            text = calls.get(path).text
            assert "请联系管理员运行考核" in text  # whom to ask, not what to type
            assert "jingxing " not in text
        assert calls.get("/warnings").status_code == 404
    engine.dispose()


def test_an_earlier_month_can_be_asked_for(client, home, found):
    engine = open_database(home)
    earlier = assess(load_histories(home), found.as_of - 1)
    store_assessment(earlier, engine)
    body = client.get(f"/api/v1/stars?as_of={month_text(found.as_of - 1)}").json()
    assert body["as_of"].startswith(month_text(found.as_of - 1))
    assert client.get("/api/v1/stars").json()["as_of"].startswith(month_text(found.as_of))
    engine.dispose()


WELLNESS_TABLES = {"scores", "reasons", "batches", "facts", "recommendations", "superseded_lists", "flags", "reviews"}


def test_no_query_of_the_assessment_reads_a_score_a_reason_or_a_flag(client, found, star):
    person = f"/officers/{star}"
    calls = ["/cockpit", "/cockpit/months.svg", "/stars", "/warnings", "/assessment", f"{person}/cockpit",
             f"{person}/points", f"{person}/events", f"{person}/letter", f"/api/v1{person}/report", "/api/v1/stars",
             "/api/v1/cockpit"]  # fmt: skip
    asked: list[str] = []
    engine = client.app.state.engine
    event.listen(engine, "before_cursor_execute", lambda _c, _k, statement, *_: asked.append(statement))
    for call in calls:
        assert client.get(call).status_code == 200, call
    read = {name for statement in asked for name in re.findall(r"(?:FROM|JOIN|INTO|UPDATE) (\w+)", statement)}
    assert "assessed_people" in read
    assert read & WELLNESS_TABLES == set()
    with transaction(engine, writes=False) as session:
        assert set(inspect(session.connection()).get_table_names()) >= WELLNESS_TABLES  # so that none is misspelt


def test_the_force_is_drawn_post_by_post(client, found):
    post = found.tables["force_months"]["post"].iloc[0]
    drawn = client.get(f"/cockpit/force.svg?post={post}&lang=zh")
    assert drawn.headers["content-type"] == "image/svg+xml"
    assert f"force.svg?post={quote(post)}" in client.get("/cockpit").text.replace("&amp;", "&")
    assert client.get("/cockpit/force.svg?post=none").status_code == 404


def test_the_cockpit_says_over_what_months_level_trend_and_change_are(client, found, star):
    page = client.get(f"/officers/{star}/cockpit?lang=en").text
    row = found.tables["people"].set_index("officer_id").loc[star]
    days = {name: day_name(row[name].date(), "en") for name in ("window_from", "window_to")}
    assert say("level_over", "en", from_=days["window_from"], to=days["window_to"]) in html.unescape(page)
    assert "trend over six months" in page
    assert "the last month alone" in page


@pytest.mark.parametrize("path", ["/warnings", "/assessment"])
def test_a_unit_is_chosen_on_the_page_that_says_so(client, found, path):
    units = sorted(set(found.tables["people"]["unit"]))
    page = client.get(path, params={"unit": units[0]}).text
    assert (
        re.findall(r"<option(?: selected)?>([^<]+)</option>", page.split('name="unit"')[1].split("</select>")[0])
        == units
    )
    assert f"<option selected>{units[0]}</option>" in page


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ([1.0] * 12, ("right", False)),
        ([-0.2] * 12, ("right", True)),
        ([-0.2, 0.2] * 3 + [-1.0, None] * 3, ("right", True)),
        ([1.0] * 6 + [-0.2, 0.2] * 3, ("left", False)),
        ([None] * 12, ("right", False)),
    ],
)
def test_the_word_at_the_peers_line_stands_where_the_persons_line_is_not(values, place):
    assert freest(values, reach=1.0) == place


@pytest.mark.parametrize("language", ["zh", "en"])
def test_officers_see_their_own_levels_and_what_counts_and_nobody_elses(client, found, star, language):
    engine = client.app.state.engine
    with signed_in_client(client.app, engine, "officer", officer_id=star) as officer:
        page = officer.get(f"/my-record?lang={language}", headers={"accept": "text/html"}).text
        assert officer.get(f"/officers/{star}/cockpit").status_code == 403
    row = found.tables["people"].set_index("officer_id").loc[star]
    part = page[page.index('id="assessed"') :]
    part = part[: part.index("</section>")]
    for score in SCORES:
        assert f"<b>{signed(row[score + '_level'])}</b>" in part
    own = found.tables["indicators"].query("officer_id == @star and weight > 0")
    assert len(own) > 3
    assert part.count('<th scope="row">') >= len(own)
    for key in own["indicator"]:
        assert found.labels[key][language] in html.unescape(part)

"""The purpose firewall over every page and answer that a role can reach: a crawl from its first page."""

import re
import shutil
from collections import Counter
from html import unescape
from urllib.parse import urlsplit

import pytest

from features.assessment.assess import assess
from features.histories.store import load_histories
from features.months import month_of_day
from serving.access.roles import Role
from serving.app import create_app
from serving.assessed.storing import store_assessment
from serving.database import open_database, transaction
from tests.serving_fixtures import an_officer, signed_in_client

PAGES = 70
"""So many pages of a role are opened at most, a few of each kind."""
OF_A_KIND = 3
AGGREGATES = ("/monitor", "/notice", "/data", "/arrivals", "/models", "/effects", "/reviews")
"""Pages without persons, where measures and units are named as such."""


@pytest.fixture(scope="module")
def served(made_home, tmp_path_factory):
    home = tmp_path_factory.mktemp("firewall") / "home"
    shutil.copytree(made_home, home)
    engine, histories = open_database(home), load_histories(home)
    store_assessment(assess(histories, int(month_of_day(histories.last_recorded))), engine)
    yield create_app(home, engine), engine, histories
    engine.dispose()


@pytest.fixture(scope="module")
def crawled(served):
    """Role -> address -> (status, kind, text) of all that is reached by links from the first page."""
    app, engine, _ = served
    return {role.value: crawl(signed_in_client(app, engine, role.value)) for role in Role}


def crawl(client):
    waiting, found, kinds = ["/"], {}, Counter()
    while waiting and len(found) < PAGES:
        path = waiting.pop(0)
        if path in found or kinds[kind_of(path)] >= OF_A_KIND:
            continue
        kinds[kind_of(path)] += 1
        answer = client.get(path, headers={"accept": "text/html"})
        found[path] = (answer.status_code, answer.headers.get("content-type", ""), answer.text)
        if answer.status_code in (302, 303):
            waiting.insert(0, answer.headers["location"])
        links = re.findall(r'(?:href|src|srcset)="(/[^"#]*)', answer.text)
        waiting += [unescape(link) for link in links if not link.startswith("/static")]
    return found


def kind_of(path):
    """An address without numbers and names, with the names of its parameters."""
    parts = urlsplit(path)
    known = re.sub(r"(/officers|/units/[^/]+|/models/[^/]+|/effects|/rest|/objections)/[^/]+", r"\1/*", parts.path)
    return known, *sorted(re.findall(r"(\w+)=", parts.query))


@pytest.mark.parametrize("role", [role.value for role in Role])
def test_no_link_of_a_role_leads_where_it_may_not_go_or_where_nothing_is(crawled, role):
    assert len(crawled[role]) >= 3
    assert {path: status for path, (status, _, _) in crawled[role].items() if status >= 400} == {}


@pytest.mark.parametrize("role", ["hr", "commander", "auditor", "admin"])
def test_no_wellness_risk_and_no_health_measure_reaches_who_may_not_see_them(crawled, served, role):
    profile = served[2].profile
    hidden = [risk.label for risk in profile.risks.values() if risk.purpose == "wellness"]
    hidden += [measure.label for measure in profile.measures.values() if measure.sensitive and measure.label]
    texts = [text for label in hidden for text in (label.zh, label.en) if len(text) > 2]
    leaks = {
        (path, text)
        for path, (_, _, page) in crawled[role].items()
        if not path.startswith(AGGREGATES)
        for text in texts
        if text in page
    }
    assert leaks == set()


def test_a_data_scientist_meets_no_number_and_no_unit_of_a_person(crawled, served):
    _, _, histories = served
    pages = crawled["data_scientist"]
    numbers = set(histories.officers.tolist())
    assert {path: found for path, (_, _, page) in pages.items() if (found := numbers & words(page))} == {}
    of_persons = {path: page for path, (_, _, page) in pages.items() if path.startswith(("/lists", "/officers"))}
    assert len(of_persons) >= 3
    units = set(histories.units)
    assert {path: unit for path, page in of_persons.items() for unit in units if unit in page} == {}
    assert any("P-" in page for page in of_persons.values())


def test_a_commander_meets_nobody_of_another_unit_but_on_the_star_wall(crawled, served):
    _, engine, histories = served
    with transaction(engine, writes=False) as session:
        _, unit = an_officer(session)
    last = {}
    postings = histories.postings
    for officer, place in zip(postings.officer.tolist(), postings.unit.tolist(), strict=True):
        last[str(histories.officers[officer])] = histories.units[place]
    others = {officer for officer, place in last.items() if place != unit}
    leaks = {}
    for path, (_, _, page) in crawled["commander"].items():
        if not path.startswith(("/stars", "/mentorships")):
            shown = others & words(page)
            if shown:
                leaks[path] = sorted(shown)[:5]
    assert leaks == {}


@pytest.mark.parametrize("role", ["admin", "auditor"])
def test_who_reaches_nobody_meets_no_number(crawled, served, role):
    numbers = set(served[2].officers.tolist())
    with_numbers = {path for path, (_, _, page) in crawled[role].items() if numbers & words(page)}
    assert {path for path in with_numbers if not path.startswith(("/accounts", "/log"))} == set()


def words(page):
    return set(re.findall(r"[\w-]+", page))

"""Who may not see posts learns nobody's: no number, sentence or picture sorts pseudonyms by post; sums still add up."""

import datetime as dt
import itertools
import re
from collections import Counter, defaultdict

import numpy as np
import pytest
from sqlalchemy import select

from features.statistics import FEWEST
from serving.access.roles import Role
from serving.access.sight import Sight
from serving.app import create_app
from serving.database import transaction
from serving.persons.seen import OF_PLACE, OTHERS, told_reasons
from serving.scored.queries import person_risks
from serving.tables import Batch, Facts
from serving.words import say
from tests.serving_fixtures import signed_in_client
from tests.test_withheld import earlier, gone, home  # noqa: F401 - fixtures

HTML = {"accept": "text/html"}
RISKS = ("burnout", "efficiency_decline")
SAID = re.compile(r"本岗位中位数 [^，<]*\d|the post's middle [^;<]*\d")
"""What a sentence with the post's median has."""
FEW = 40
"""A number that so many persons have is sorted by."""
MOSTLY = 0.5
"""By chance 0.17 of neighbours are of one post; how many nights somebody had, which is told, does for 0.4."""
OWN = ("value", "usual", "rank", "previous_rank", "flag_id", "window")
"""Numbers of the person's own records and place on the list."""


@pytest.fixture(scope="module")
def asked(as_role, engine, made_home):
    """The data scientist's client, and the true post of every pseudonym."""
    client = as_role("data_scientist")
    salt = client.app.state.salt
    sight = Sight(Role.DATA_SCIENTIST, salt=salt)
    with transaction(engine, writes=False) as session:
        last = last_as_of(session)
        rows = session.execute(select(Facts.officer_id, Facts.post).where(Facts.as_of == last)).all()
    return client, {sight.pseudonym(officer): post for officer, post in rows}


def last_as_of(session):
    return session.scalar(select(Facts.as_of).order_by(Facts.as_of.desc()).limit(1))


def entries_of(client, risk):
    return client.get(f"/api/v1/risk-lists/{risk}?limit=1000").json()["entries"]


def numbers(told, path=()):
    """(path, number) of everything in an answer that is a number; reasons and lists by their measure."""
    if isinstance(told, dict):
        own = (told["measure"],) if "measure" in told else (told["risk"],) if "risk" in told else ()
        for key, value in told.items():
            yield from numbers(value, (*path, *own, key))
    elif isinstance(told, list):
        for each in told:
            yield from numbers(each, path)
    elif isinstance(told, (int, float)) and not isinstance(told, bool):
        yield path, float(told)


def neighbours(found, posts):
    """How often neighbours in the order of a number are of the same post, and how often they would be by chance."""
    ordered = [posts[who] for _, who in sorted(found)]
    same = np.mean([one == other for one, other in itertools.pairwise(ordered)])
    chance = sum((many / len(ordered)) ** 2 for many in Counter(ordered).values())
    return float(same), chance


def sorted_by_numbers(client, posts):
    """Path of a number -> (share of neighbours of the same post, that of chance)."""
    found = defaultdict(list)
    for risk in RISKS:
        for entry in entries_of(client, risk):
            for path, number in numbers(entry):
                found["list", risk, *path].append((number, entry["officer_id"]))
    for who in posts:
        for path, number in numbers(client.get(f"/api/v1/officers/{who}").json()["risks"]):
            found["person", *path].append((number, who))
    told = {path: rows for path, rows in found.items() if len(rows) >= FEW and path[-1] not in OWN}
    return {path: neighbours(rows, posts) for path, rows in told.items() if len({number for number, _ in rows}) > FEW}


def test_no_number_that_a_data_scientist_is_told_sorts_the_pseudonyms_by_post(asked):
    client, posts = asked
    found = sorted_by_numbers(client, posts)
    assert len(found) > 30
    assert {path: shares for path, shares in found.items() if shares[0] > MOSTLY} == {}
    place = {path: shares for path, shares in found.items() if path[-1] in ("other_influences", OTHERS)}
    assert len(place) == 2 * len(RISKS)
    assert {path: shares for path, shares in place.items() if shares[0] > shares[1] + 0.1} == {}


def test_no_number_is_shared_by_all_of_one_post_and_by_nobody_else(asked):
    client, posts = asked
    told = defaultdict(set)
    for risk in RISKS:
        for entry in entries_of(client, risk):
            for path, number in numbers(entry):
                told[risk, path, number].add(entry["officer_id"])
    shared = {key: {posts[who] for who in people} for key, people in told.items()
              if len(people) >= FEWEST and key[1][-1] not in OWN}  # fmt: skip
    assert {key: found for key, found in shared.items() if len(found) == 1} == {}


def test_no_measure_is_told_of_people_of_one_post_only(asked, engine):
    """A measure of one post's work tells the post whatever its number: in reasons and months drawn alike."""
    client, posts = asked
    sight, told = Sight(Role.DATA_SCIENTIST, salt=client.app.state.salt), defaultdict(set)
    with transaction(engine, writes=False) as session:
        found = [(who, risk) for who in posts for risk in person_risks(session, sight, who, last_as_of(session))]
    for who, risk in found:
        for measure in {*risk.reasons.history, *(reason["measure"] for reason in risk.reasons.strongest)}:
            told[measure].add(who)
    assert len(told) > 10
    of_one = {key: len(people) for key, people in told.items() if len({posts[who] for who in people}) == 1}
    assert {key: many for key, many in of_one.items() if many >= 3} == {}


@pytest.mark.parametrize("risk", RISKS)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_neither_answers_nor_pages_pictures_and_files_tell_a_posts_median(asked, as_role, risk, language):
    client, _ = asked
    who = entries_of(client, risk)[0]["officer_id"]
    with_place = as_role("wellness").get(f"/api/v1/risk-lists/{risk}?limit=50").text
    assert SAID.search(with_place)
    texts = [client.get(f"/api/v1/risk-lists/{risk}?limit=1000").text, client.get(f"/api/v1/officers/{who}").text]
    for path in (f"/lists/{risk}", f"/officers/{who}?risk={risk}", f"/lists/{risk}/export.csv",
                 f"/officers/{who}/history.svg?risk={risk}"):  # fmt: skip
        answer = client.get(f"{path}{'&' if '?' in path else '?'}lang={language}", headers=HTML)
        assert answer.status_code == 200, path
        texts.append(answer.text)
    assert [text for text in texts if SAID.search(text)] == []
    page = client.get(f"/officers/{who}?risk={risk}&lang={language}", headers=HTML).text
    drawn = re.findall(r'<tr class="other">.*?</tr>', page.split('id="history-')[-1], re.DOTALL)
    assert [row for row in drawn if re.search(r'<td class="n">-?\d', row)] == []


def test_a_persons_risks_still_add_up_for_who_may_not_see_posts_and_for_who_may(asked, as_role, engine):
    client, posts = asked
    with transaction(engine, writes=False) as session:
        groups = {batch.risk: set(batch.groups) for batch in session.scalars(select(Batch))}
    for who in list(posts)[:20]:
        for risk in client.get(f"/api/v1/officers/{who}").json()["risks"]:
            pushes = risk["contributions"]
            assert risk["base_value"] + sum(pushes.values()) == pytest.approx(risk["margin"])
            firm = {reason["measure"] for reason in risk["reasons"]}
            assert set(pushes) == firm | {OTHERS}
            assert pushes[OTHERS] == pytest.approx(risk["other_influences"])
            assert not OF_PLACE & firm
            assert risk["split"] is None
            assert len(groups[risk["risk"]] - OF_PLACE - firm) >= FEWEST
    number = entries_of(as_role("wellness"), "burnout")[0]["officer_id"]
    for risk in as_role("wellness").get(f"/api/v1/officers/{number}").json()["risks"]:
        assert set(risk["contributions"]) == groups[risk["risk"]]
        assert risk["split"] is not None
        assert any(reason["peers"] is not None for reason in risk["reasons"])


def test_of_a_model_of_few_groups_reasons_are_left_out_until_enough_are_summed():
    keys = ("a", "b", "c", "d", "e", "f", "g", "post")
    batch = Batch(risk="r", purpose="wellness", groups=list(keys), as_of=dt.date(2024, 1, 31))
    said = {"sentence_zh": "甲 3 次，自己平时 1，本岗位中位数 1,234.5，推高风险",
            "sentence_en": "A: 3 times; usually 1; the post's middle 1,234.5; pushes the risk up"}  # fmt: skip
    strongest = [{"measure": key, "stable": key != "b", "peers": 1234.5, **said} for key in keys]
    told = told_reasons(Sight(Role.DATA_SCIENTIST), batch, strongest, OF_PLACE)
    assert [reason["measure"] for reason in told] == ["a", "c"]
    assert {reason["peers"] for reason in told} == {None}
    assert told[0]["sentence_zh"] == "甲 3 次，自己平时 1，推高风险"
    assert told[0]["sentence_en"] == "A: 3 times; usually 1; pushes the risk up"
    assert told_reasons(Sight(Role.WELLNESS), batch, strongest, frozenset()) == strongest
    small = Batch(risk="r", purpose="wellness", groups=["a", "b", "post"], as_of=batch.as_of)
    assert told_reasons(Sight(Role.DATA_SCIENTIST), small, strongest, OF_PLACE) == []


def test_health_that_is_withheld_is_not_summed_twice(home, earlier):  # noqa: F811 - fixtures
    path, engine = home
    day, who = earlier
    gone(path, engine, who)
    client = signed_in_client(create_app(path, engine), engine, "data_scientist")
    pseudonym = Sight(Role.DATA_SCIENTIST, salt=client.app.state.salt).pseudonym(who)
    risks = client.get(f"/api/v1/officers/{pseudonym}?as_of={day:%Y-%m}").json()["risks"]
    told = next(risk for risk in risks if risk["risk"] == "burnout")
    assert told["withheld"] is not None
    assert told["base_value"] + sum(told["contributions"].values()) + told["withheld"] == pytest.approx(told["margin"])


def test_who_may_not_know_of_help_is_not_told_that_there_is_none(asked):
    client, _ = asked
    listed = client.get("/lists/burnout?lang=en", headers=HTML).text
    assert say("col_offer", "en") not in listed
    assert say("no_offer", "en") not in listed
    who = entries_of(client, "burnout")[0]["officer_id"]
    person = client.get(f"/officers/{who}?lang=en", headers=HTML).text
    assert say("offers_none", "en") not in person
    assert say("words_title", "en") not in person


def test_who_may_is(as_role):
    listed = as_role("wellness").get("/lists/burnout?lang=en", headers=HTML).text
    assert say("col_offer", "en") in listed

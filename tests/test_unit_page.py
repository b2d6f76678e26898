"""Unit and post before person: parts that add up, an overloaded unit said first, a heavy person not blamed on it."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from features.engine import feature_rows
from features.histories.tables import histories
from features.months import month_text, parse_month
from serving.access.sight import WHOLE
from serving.app import create_app
from serving.database import open_database, transaction
from serving.scored import queries
from serving.scored import units as figures
from serving.scored.scoring import explained, names_needed, score_into_store
from serving.scored.shares import scored_units, verdict
from serving.tables import Score, UnitShareRow
from tests.browsing import WIDTHS, browser, fits, opened, serious_faults
from tests.serving_fixtures import last_month, signed_in_client
from tests.test_pages_browser import address
from tests.training_force import small_profile
from training.dataset import training_set
from training.fitting import fit
from training.models.split import Carried, UnitShare, split
from training.registry.registry import Registry

__all__ = ["address", "browser"]

UNITS, EACH, MONTHS = 10, 16, 22
OVERLOADED, CALM, HEAVY, TINY = "U3", "U5", "P0095", "T"
AS_OF = parse_month("2021-10")


def _force():
    """Ten units of two posts: all of U3 have six nights more a month, one of calm U5 more still; T holds three."""
    generator = np.random.default_rng(11)
    count = UNITS * EACH
    unit = np.repeat([f"U{number}" for number in range(UNITS)], EACH)
    unit[-3:] = TINY
    ids = np.asarray([f"P{number:04d}" for number in range(count)])
    extra = np.select([unit == OVERLOADED, ids == HEAVY], [6.0, 14.0])
    strain = np.where(unit == CALM, 0.5, generator.gamma(2.0, 1.0, count))
    rows = []
    for month in range(MONTHS):
        day = pd.Timestamp("2020-01-01") + pd.DateOffset(months=month)
        nights = generator.poisson(2 * strain + extra)
        fell = generator.random(count) < np.clip(0.005 * nights**1.6, 0, 0.7)
        for number, officer in enumerate(ids):
            rows += [(officer, "night", day, float(nights[number]))]
            rows += [(officer, "sleep_score", day + pd.Timedelta(days=3), float(9 - strain[number]))]
            rows += [(officer, "collapse", day + pd.Timedelta(days=9), 1.0)] * bool(fell[number])
    events = pd.DataFrame(rows, columns=["officer_id", "measure", "occurred_on", "value"])
    roster = pd.DataFrame(
        {
            "officer_id": ids, "valid_from": pd.Timestamp("2019-01-01"), "valid_to": pd.NaT,
            "post": np.where(np.arange(count) % 2, "patrol", "desk"), "unit": unit,
        }
    )  # fmt: skip
    return histories(profile=small_profile(), roster=roster, events=events)


@pytest.fixture(scope="module")
def force():
    return _force()


@pytest.fixture(scope="module")
def model(force):
    return fit(training_set(force, "collapse"), force.profile).model("collapse").named("1")


@pytest.fixture(scope="module")
def told(force, model):
    rows = feature_rows(force, [AS_OF], names=names_needed(force.profile, [model]))
    return explained(force, model, rows, told=1)


@pytest.fixture(scope="module")
def units(force, told):
    return {unit.unit: unit for unit in scored_units(force, "collapse", told.units)}


@pytest.fixture(scope="module")
def served(force, model, tmp_path_factory):
    home = tmp_path_factory.mktemp("units")
    engine = open_database(home)
    score_into_store(force, [model], [AS_OF], engine, advance=lambda _: None)
    with signed_in_client(create_app(home, engine), engine, "wellness") as client:
        yield client, engine
    engine.dispose()


def _text(client, path):
    answer = client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return answer.text


def test_base_post_unit_and_person_add_up_to_the_margin(told):
    parts = told.parts
    total = told.cohort.base_value + parts.post + parts.unit + parts.person
    assert np.allclose(total, told.cohort.margin, atol=1e-9)


def test_features_of_post_and_unit_go_to_post_and_unit():
    names = ["post__is__desk", "night__unit__3m", "night__vs_peers__3m"]
    pushes = np.arange(30, dtype=np.float64).reshape(10, 3)
    alone = np.arange(10, dtype=np.int32)
    parts = split(names, pushes, post=alone, unit=alone)
    assert np.array_equal(parts.post, pushes[:, 0])
    assert np.array_equal(parts.unit, pushes[:, 1])
    assert np.allclose(parts.person, pushes[:, 2])


def test_what_a_unit_shares_is_its_own_and_one_heavy_person_moves_no_colleague():
    generator = np.random.default_rng(3)
    unit = np.repeat(np.arange(12), 10).astype(np.int32)
    push = generator.normal(0, 0.3, (120, 1))
    push[unit == 4] += 2.0
    push[50] += 9.0
    parts = split(["night__sum__3m"], push, post=np.zeros(120, dtype=np.int32), unit=unit)
    assert parts.unit[unit == 4].min() > 1.3
    assert np.abs(parts.unit[unit == 5]).max() < 0.4
    assert parts.person[50] > 8.0


def test_units_that_differ_by_chance_alone_share_next_to_nothing():
    generator = np.random.default_rng(5)
    unit = np.repeat(np.arange(40), 12).astype(np.int32)
    push = generator.normal(0, 1.0, (480, 1))
    parts = split(["night__sum__3m"], push, post=np.zeros(480, dtype=np.int32), unit=unit)
    assert np.abs(parts.unit).mean() < 0.12
    assert np.abs(parts.unit).max() < 0.5


def test_the_overloaded_unit_is_found_with_its_nights_and_no_other_is(units):
    assert units[OVERLOADED].verdict == "roster"
    first = units[OVERLOADED].carried[0]
    assert (first["measure"], first["roster"]) == ("night", True)
    assert first["value"] > first["others"] + 10
    assert [unit for unit, each in units.items() if each.verdict == "roster"] == [OVERLOADED]


def test_a_heavy_person_in_a_calm_unit_is_not_blamed_on_the_unit(force, told, units):
    who = int(np.flatnonzero(told.cohort.officer_id == HEAVY)[0])
    assert force.units[told.cohort.unit[who]] == CALM
    assert units[CALM].verdict in ("none", "persons")
    assert told.parts.person[who] > 1.0
    assert told.parts.unit[who] < 0.5 * told.parts.person[who]


def test_a_unit_raised_by_one_person_is_told_as_persons():
    nights = Carried("night", 0.3, 2.0, "night__sum__3m", 30.0, 9.0)
    unit = UnitShare(0, 6, elevated=0.8, shared=0.6, certain=4.0, carried=(nights,))
    assert verdict(replace(unit, shared=0.1), [nights]) == "persons"
    assert verdict(unit, [nights]) == "roster"
    assert verdict(unit, []) == "shared"
    assert verdict(replace(unit, elevated=0.1), [nights]) == "none"
    assert verdict(replace(unit, certain=1.0), [nights]) == "persons"
    assert verdict(replace(unit, certain=1.0), [replace(nights, certain=9.0)]) == "roster"
    assert verdict(unit, [replace(nights, push=0.1)]) == "shared"  # the roster carries a sixth of it only


def test_a_measure_gets_its_own_portion_of_the_shared_part_and_the_rest_is_told():
    carried = [{"measure": "night", "push": 0.2}, {"measure": "overtime", "push": 0.1}]
    share = UnitShareRow(shared=0.4, carried=carried)
    assert figures.rest(share) == pytest.approx(0.1)
    assert figures.portions(share) == pytest.approx([0.5, 0.25, 0.25])
    lowered = UnitShareRow(shared=0.2, carried=carried)
    assert figures.rest(lowered) == pytest.approx(-0.1)
    assert figures.portions(lowered) == pytest.approx([2 / 3, 1 / 3, 0.0])


def test_the_named_measure_alone_is_reckoned_apart_from_all_that_is_shared(served):
    client, engine = served
    with transaction(engine) as session:
        batch = queries.batch_of(session, WHOLE, "collapse")
        share, means = (
            figures.unit_share(session, WHOLE, batch, OVERLOADED),
            figures.means(session, WHOLE, batch, OVERLOADED),
        )
        scores = session.scalars(select(Score).where(Score.batch_id == batch.id, Score.unit == OVERLOADED)).all()
    push = figures.portions(share)[0] * share.shared
    odds = [score.probability / (1 - score.probability) * math.exp(-push) for score in scores]
    assert means.without_first == pytest.approx(sum(each / (1 + each) for each in odds) / len(odds))
    assert means.without_first < means.mean
    text = _text(client, f"/units/collapse/{OVERLOADED}?lang=en")
    assert "Were “Night shifts” alone" in text
    assert "All else (not named here" in text


def test_health_data_never_stands_among_what_a_unit_carries(told, units):
    assert "sleep_score" in {each.group for unit in told.units for each in unit.carried}
    assert "sleep_score" not in {each["measure"] for unit in units.values() for each in unit.carried}


def test_units_of_fewer_than_five_have_no_figures(units, served):
    client, _ = served
    assert TINY not in units
    text = _text(client, f"/units/collapse/{TINY}?lang=en")
    assert "Too few people" in text
    assert "mean risk" not in text
    assert text.count('class="officer"') == 3


@pytest.mark.parametrize(("language", "says"), [("zh", "先看排班"), ("en", "Look at the roster first")])
def test_the_page_of_the_overloaded_unit_says_the_roster_before_any_person(served, language, says):
    text = _text(served[0], f"/units/collapse/{OVERLOADED}?lang={language}")
    assert text.index(says) < text.index('class="officer"')
    assert ("夜班" if language == "zh" else "Night shifts") in text[: text.index('class="officer"')]
    assert ("单位领导可以改变的" if language == "zh" else "What a commander can change") in text


def test_the_list_leads_to_the_overloaded_unit_first(served):
    text = _text(served[0], "/lists/collapse?lang=en")
    assert f"/units/collapse/{OVERLOADED}?as_of={month_text(AS_OF)}" in text[: text.index('class="people"')]
    assert "All units" in text


def test_the_stored_parts_add_up_in_the_store_and_in_the_api(served):
    client, engine = served
    body = client.get("/api/v1/risk-lists/collapse", params={"limit": 1000}).json()
    for entry in body["entries"]:
        margin = body["base_value"] + sum(entry["split"].values())
        assert 1 / (1 + math.exp(-margin)) == pytest.approx(entry["probability"], abs=1e-9)
    with transaction(engine) as session:
        batch = queries.batch_of(session, WHOLE, "collapse")
        score = session.get(Score, (batch.id, body["entries"][0]["officer_id"]))
        assert score.part_unit == body["entries"][0]["split"]["unit"]


def test_a_unit_that_is_not_there_is_a_404(served):
    assert served[0].get("/units/collapse/nowhere").status_code == 404
    assert served[0].get("/units/nothing/U1").status_code == 404


def test_every_unit_of_the_simulated_force_has_a_page_in_both_languages(client, given, made_home):
    assert Registry(made_home).champion("burnout").risk == "burnout"
    rows = feature_rows(given, [last_month(given)], names=["tenure__months"])
    for unit in {given.units[number] for number in rows.unit}:
        for language in ("zh", "en"):
            assert unit in _text(client, f"/units/burnout/{unit}?lang={language}")
    client.cookies.delete("lang")


def test_a_force_of_one_unit_has_no_unit_to_compare(told, force, model):
    rows = feature_rows(force, [AS_OF], names=names_needed(force.profile, [model]))
    alone = explained(force, model, rows.take(rows.unit == rows.unit[0]), told=1)
    assert alone.units == ()


@pytest.mark.browser
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_unit_page_fits_is_barrier_free_and_leads_to_a_person_by_keyboard(browser, address, width, language):
    page = opened(browser, address, width, javascript=True)
    page.goto(f"{address}/lists/burnout?lang={language}")
    page.locator(".watch summary").click()
    page.locator(".watch table a[href^='/units/']").first.click()
    page.wait_for_url("**/units/**")
    fits(page, width)
    assert serious_faults(page) == []
    page.locator(".people .officer a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/officers/**")
    assert page.broken == []
    page.context.close()

"""What if: changed events through the one feature path, within what the roster allows; nothing kept but the asking."""

import re

import numpy as np
import pytest
from sqlalchemy import func, select

from features.engine import feature_rows
from features.errors import Refusal
from features.histories.store import load_histories, load_some
from features.months import first_day, month_text
from serving.access.tables import AuditRow
from serving.database import transaction
from serving.models.champions import Champions
from serving.persons.levers import live
from serving.persons.what_if import eased, what_if
from serving.tables import Batch, Score
from tests.serving_fixtures import last_month


@pytest.fixture(scope="module")
def month(given):
    return last_month(given)


@pytest.fixture(scope="module")
def person(engine, month):
    """Somebody on the list of decline."""
    with transaction(engine, writes=False) as session:
        statement = select(Score.officer_id).join(Batch, Batch.id == Score.batch_id)
        return session.scalars(statement.where(Batch.risk == "efficiency_decline", Score.rank == 1)).first()


@pytest.fixture(scope="module")
def case(made_home, person, month):
    return what_if(made_home, person, month)


def test_what_is_read_gives_the_features_and_the_score_of_the_whole_force(case, made_home, given, person, month):
    for risk in given.profile.risks:
        model = Champions(made_home).champion(risk)
        whole = feature_rows(given, [month], names=model.names)
        mine = whole.take(np.flatnonzero(given.officers[whole.officer] == person))
        part = feature_rows(case.given, [month], names=model.names)
        own = part.take(np.flatnonzero(part.officer == case.officer))
        np.testing.assert_allclose(own.values, mine.values, rtol=2e-5, atol=2e-5)
        now, then = case.scores(model, {})
        assert now == then
        assert now.probability == pytest.approx(float(model.score(mine).probability[0]), abs=1e-6)


def test_a_lever_takes_away_so_much_of_the_last_months_and_nothing_else(case, month):
    rooms = {room.lever: room for room in case.rooms()}
    less = {key: room.less for key, room in rooms.items() if room.less}
    assert {"night_shift", "overtime_hours"} & set(less)
    events = eased(case.given, case.officer, less, as_of=month)
    changed = type(case)(case.given.__class__(**{**vars_of(case.given), "events": events}), case.officer, month)
    for key, room in rooms.items():
        now = {each.lever: each.now for each in changed.rooms()}[key]
        assert now == pytest.approx(room.now - less.get(key, 0), abs=0.01)
    hours, _ = live(changed.given, "hours_worked", month)
    before, _ = live(case.given, "hours_worked", month)
    fell = total(case, before, "value") - total(changed, hours, "value")
    assert fell == pytest.approx(less.get("overtime_hours", 0), abs=0.01)
    since = int(first_day(month - 2))
    old = case.given.events.occurred < since
    kept = events.occurred < since
    assert (events.value[kept] == case.given.events.value[old]).sum() == (~np.isnan(case.given.events.value[old])).sum()
    others = case.given.events.officer != case.officer
    assert (events.officer != case.officer).sum() == others.sum()


def vars_of(given):
    return {name: getattr(given, name) for name in given.__dataclass_fields__}


def total(case, rows, name):
    mine = case.given.events.officer[rows] == case.officer
    return float(getattr(case.given.events, name)[rows[mine]].sum())


def test_a_lever_goes_no_further_than_the_post_and_the_colleagues_allow(case, made_home):
    model = Champions(made_home).champion("efficiency_decline")
    for room in case.rooms():
        assert 0 <= room.less <= max(0.0, room.now - room.floor) + 1e-9
        assert room.carry is None or room.less <= room.carry
        with pytest.raises(Refusal) as refusal:
            case.scores(model, {room.lever: room.less + 1})
        assert room.lever in refusal.value.message()
    with pytest.raises(Refusal):
        case.scores(model, {"sick_days": 1})
    with pytest.raises(Refusal):
        case.scores(model, {"night_shift": 0.5})


def test_some_officers_histories_are_a_cut_of_the_whole(made_home, given):
    chosen = given.officers[3:9]
    part = load_some(made_home, chosen.tolist())
    whole = load_histories(made_home).officers_at(np.isin(given.officers, chosen))
    for name in part.events.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(part.events, name), getattr(whole.events, name))
    since = int(first_day(last_month(given) - 3))
    late = load_some(made_home, chosen.tolist(), since=since, whole=[str(chosen[0])])
    first = late.events.officer == 0
    assert (first.sum(), len(late.events)) == (
        (part.events.officer == 0).sum(),
        ((part.events.officer == 0) | (part.events.occurred >= since) | (part.events.recorded >= since)).sum(),
    )


def test_somebody_without_a_post_is_refused(made_home, month):
    with pytest.raises(Refusal, match="no post"):
        what_if(made_home, "nobody", month)


def asked(client, person, **given):
    return client.post(f"/api/v1/officers/{person}/what-if", json=given)


def test_the_wellness_officer_is_answered_for_both_risks_and_one_audit_row_is_all_that_is_kept(as_role, engine, person):
    client = as_role("wellness")
    bounds = asked(client, person).json()
    lever = next(each for each in bounds["levers"] if each["less"])
    with transaction(engine, writes=False) as session:
        before = session.scalar(select(func.count()).select_from(AuditRow))
    answer = asked(client, person, less={lever["lever"]: lever["less"]})
    assert answer.status_code == 200
    assert {each["risk"] for each in answer.json()["risks"]} == {"burnout", "efficiency_decline"}
    assert "promise" in answer.json()["caution"]["en"]
    with transaction(engine, writes=False) as session:
        rows = session.scalars(select(AuditRow).where(AuditRow.number > before)).all()
        assert [row.action for row in rows] == ["what-if asked"]
        assert rows[0].details["less"] == {lever["lever"]: lever["less"]}


def test_a_commander_asks_of_the_own_unit_and_never_of_a_wellness_risk(as_role, engine, person, month):
    with transaction(engine, writes=False) as session:
        newest = select(Batch.id).where(Batch.risk == "efficiency_decline").order_by(Batch.as_of.desc()).limit(1)
        rows = session.execute(
            select(Score.officer_id, Score.unit).where(Score.batch_id == newest.scalar_subquery())
        ).all()
    commander = as_role("commander")
    answers = {officer: asked(commander, officer) for officer, _ in one_of_each_unit(rows)}
    answered = [answer.json() for answer in answers.values() if answer.status_code == 200]
    assert len(answered) == 1
    assert {each["risk"] for each in answered[0]["risks"]} == {"efficiency_decline"}
    assert {answer.status_code for answer in answers.values()} == {200, 404}
    mine = answered[0]["officer_id"]
    assert asked(commander, mine, risk="burnout").status_code == 404


def one_of_each_unit(rows):
    return {unit: (officer, unit) for officer, unit in rows}.values()


@pytest.mark.parametrize("role", ["hr", "data_scientist", "auditor", "officer"])
def test_other_roles_may_not_ask(as_role, person, role):
    assert asked(as_role(role), person).status_code == 403


def test_too_much_of_a_lever_is_answered_with_what_the_roster_allows(as_role, person):
    answer = asked(as_role("wellness"), person, less={"night_shift": 400})
    assert answer.status_code == 422
    assert "allows" in answer.text


def test_the_page_works_without_a_script_in_both_languages(as_role, person):
    client = as_role("wellness")
    page = client.get(f"/officers/{person}/what-if?lang=en")
    assert "not a promise" in page.text
    form = {"csrf": client.headers["x-csrf-token"], "less-quick_return": "0", "less-night_shift": ""}
    assert client.post(f"/officers/{person}/what-if?lang=zh", data=form).status_code == 200
    pulled = {**form, "less-overtime_hours": "1"}
    answer = client.post(f"/officers/{person}/what-if?lang=zh", data=pulled)
    assert "不是承诺" in answer.text
    assert "改了以后" in answer.text
    assert client.post(f"/officers/{person}/what-if", data={**form, "less-night_shift": "many"}).status_code == 422
    client.cookies.delete("lang")


@pytest.mark.parametrize(("typed", "told"), [("400", "at most {most} less"), ("-3", "a number from 0")])
def test_a_lever_out_of_bounds_stands_in_the_form_again_with_the_bound_at_its_field(
    as_role, case, person, month, typed, told
):
    client, room = as_role("wellness"), next(room for room in case.rooms() if room.lever == "night_shift")
    place = f"/officers/{person}/what-if?as_of={month_text(month)}&lang=en"
    sent = {"csrf": client.headers["x-csrf-token"], "less-overtime_hours": "0.1", "less-night_shift": typed}
    answer = client.post(place, data=sent, headers={"accept": "text/html"})
    client.cookies.delete("lang")
    assert answer.status_code == 422
    fault = answer.text.split('class="fault"')[1].split("</p>")[0]
    assert told.format(most=f"{room.less:g}") in fault
    assert re.search(rf'<input[^>]*name="less-night_shift"[^>]*value="{typed}"[^>]*aria-invalid', answer.text)
    assert re.search(r'<input[^>]*name="less-overtime_hours"[^>]*value="0.1"', answer.text)
    assert f"/officers/{person}?as_of=" in answer.text  # the way back

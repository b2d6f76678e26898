"""Recommendations: what is due by right, what answers a risk, who is offered a mentor, and who decides."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from features.assessment.ground.assessable import assessable
from features.assessment.ground.levels import monthly_scores
from features.assessment.leaders import leaders
from features.profile import load_profile
from serving.scored.recommendations import Flag, Leader, Situation, recommend, situations
from tests.serving_fixtures import last_month

PROFILE = load_profile("gongan")


def _situation(
    columns: Mapping[str, Sequence[float]],
    *,
    people: int,
    leading: Mapping[str, str] | None = None,
) -> Situation:
    return Situation(
        profile=PROFILE,
        officer_ids=tuple(f"P{number}" for number in range(people)),
        columns={name: np.asarray(values, dtype=np.float32) for name, values in columns.items()},
        leading={name: Leader(earns, {"zh": "前 10%", "en": "best 10%"}) for name, earns in (leading or {}).items()},
    )


def _flag(risk="burnout", *, rank=1, probability=0.4, pushing=(), on_list=True) -> Flag:
    return Flag(risk, probability, 0.05, rank, on_list, tuple(pushing))


def _of(offers, officer):
    return {offer.action: offer for offer in offers if offer.officer_id == officer}


def test_the_strongest_reason_chooses_the_rest():
    here = _situation({}, people=3)
    flags = {
        "P0": [_flag(pushing=["night_shift", "overtime_hours"])],
        "P1": [_flag(pushing=["strain_survey", "night_shift"], rank=2)],
    }
    offers = recommend(here, flags)
    nights, strain = _of(offers, "P0"), _of(offers, "P1")
    assert next(iter(nights)) in ("compensatory_leave", "roster_relief")
    assert next(iter(strain)) in ("recuperation", "counselling")
    assert len(nights) == len(strain) == 2
    assert not _of(offers, "P2")


def test_the_reason_names_the_risk_the_posts_average_and_what_pushes_it():
    (offer, *_) = recommend(_situation({}, people=1), {"P0": [_flag(pushing=["night_shift"])]})
    assert offer.reason["zh"] == "倦怠风险 40%，本岗位平均 5%；主要由夜班推高。"
    assert "40%" in offer.reason["en"]
    assert "Night shifts" in offer.reason["en"]
    assert offer.decides == PROFILE.actions[offer.action].decides
    assert offer.opening is not None


def test_whoever_is_below_capacity_and_near_the_average_is_left_alone():
    ordinary = _flag(on_list=False, probability=0.06)
    far_above = _flag(on_list=False, probability=0.26)
    assert recommend(_situation({}, people=1), {"P0": [ordinary]}) == []
    assert recommend(_situation({}, people=1), {"P0": [far_above]})


def test_what_was_taken_within_a_month_is_not_offered_again():
    taken = {"compensatory_leave__days_since": [12.0]}
    offers = recommend(_situation(taken, people=1), {"P0": [_flag(pushing=["overtime_hours"])]})
    assert "compensatory_leave" not in _of(offers, "P0")


def test_a_check_up_is_due_by_right_also_off_the_list():
    columns = {
        "health_checkup__months_since": [14.0, 3.0, np.nan, np.nan],
        "tenure__months": [40.0, 40.0, 40.0, 8.0],
    }
    offers = recommend(_situation(columns, people=4), {})
    assert {offer.officer_id for offer in offers} == {"P0", "P2"}
    assert all(offer.by_right and offer.action == "health_checkup" for offer in offers)
    assert "14" in _of(offers, "P0")["health_checkup"].reason["zh"]
    assert "尚无记录" in _of(offers, "P2")["health_checkup"].reason["zh"]


def test_nothing_is_due_where_the_force_keeps_no_such_record():
    columns = {"health_checkup__months_since": [np.nan, np.nan], "tenure__months": [40.0, 40.0]}
    assert recommend(_situation(columns, people=2), {}) == []


def test_an_injury_makes_counselling_due_until_it_was_taken():
    columns = {"injury__days_since": [20.0, 20.0, 200.0], "counselling__days_since": [np.nan, 5.0, np.nan]}
    offers = [offer for offer in recommend(_situation(columns, people=3), {}) if offer.action == "counselling"]
    assert [(offer.officer_id, offer.by_right) for offer in offers] == [("P0", True)]
    assert "20" in offers[0].reason["en"]


def test_a_right_and_a_risk_make_one_offer_with_both_reasons():
    columns = {"injury__days_since": [20.0], "counselling__days_since": [np.nan]}
    offers = recommend(_situation(columns, people=1), {"P0": [_flag(pushing=["strain_survey"])]})
    offer = _of(offers, "P0")["counselling"]
    assert offer.by_right
    assert "40%" in offer.reason["zh"]
    assert "20" in offer.reason["zh"]
    assert sum(each.action == "counselling" for each in offers) == 1


def test_everybody_warned_of_decline_is_offered_a_mentor_who_is_matched_elsewhere():
    flags = {"P1": [_flag("efficiency_decline", rank=1)], "P0": [_flag("burnout", rank=1)]}
    offers = [offer for offer in recommend(_situation({}, people=3), flags) if offer.kind == "mentoring"]
    assert [(offer.officer_id, offer.mentor_id, offer.purpose) for offer in offers] == [("P1", None, "development")]


def test_the_reason_of_a_decline_is_told_with_the_labels_of_its_groups():
    flags = {"P0": [_flag("efficiency_decline", pushing=["efficiency", "complaint"])]}
    offers = _of(recommend(_situation({}, people=3), flags), "P0")
    assert next(iter(offers)) == "one_to_one_mentoring"
    assert "效能指数、投诉" in offers["one_to_one_mentoring"].reason["zh"]


@pytest.mark.parametrize(("earns", "expected"), [("training", "training_first"), ("rotation", "job_rotation")])
def test_three_months_of_leading_earn_training_or_rotation(earns, expected):
    offers = recommend(_situation({}, people=2, leading={"P0": earns}), {})
    assert [(offer.officer_id, offer.action) for offer in offers] == [("P0", expected)]
    assert offers[0].decides == "hr"
    assert offers[0].reason == {"zh": "效能指数：前 10%。", "en": "Efficiency index: best 10%."}


def test_who_leads_is_who_leads_in_the_assessment(given):
    month = last_month(given)
    view = assessable(given, month)
    table = leaders(view, monthly_scores(view)).set_index("officer_id")
    here = situations(given, [month])[month]
    kinds = {"training_first": "training", "job_rotation": "rotation"}
    offered = {offer.officer_id: kinds[offer.action] for offer in recommend(here, {}) if offer.action in kinds}
    assert len(table) >= 3
    inside = table[table.index.isin(here.officer_ids)]
    assert offered == inside["recommended"].to_dict()

"""Recommendations: what is due by right, what answers a risk, one mentor each, and who decides."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from features.profile import load_profile
from serving.recommendations import Flag, Situation, recommend

PROFILE = load_profile("gongan")
POSTS = {"criminal_investigation": 0, "patrol": 1}


def _situation(
    columns: Mapping[str, Sequence[float]], *, people: int, leading: Sequence[int] = (), supervisors=None, post=None
) -> Situation:
    return Situation(
        profile=PROFILE,
        officer_ids=tuple(f"P{number}" for number in range(people)),
        post=np.asarray(post or [0] * people, dtype=np.int32),
        supervisors=supervisors or {},
        columns={name: np.asarray(values, dtype=np.float32) for name, values in columns.items()},
        leading_months=np.asarray(leading or [0] * people, dtype=np.int64),
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
    assert offer.benefit is None
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


def _force(levels, **more):
    columns = {"efficiency__level__12m": levels, "tenure__months": [60.0] * len(levels)}
    return _situation(columns, people=len(levels), **more)


def _mentors(offers):
    return {offer.officer_id: offer.mentor_id for offer in offers if offer.kind == "mentoring"}


def test_the_highest_on_the_list_gets_the_best_star_and_nobody_two_mentees():
    levels = [-2.0, -1.5, 2.0, 1.8, 0.0, 0.1, -0.1, 0.2]
    flags = {"P1": [_flag("efficiency_decline", rank=1)], "P0": [_flag("efficiency_decline", rank=2)]}
    assert _mentors(recommend(_force(levels), flags)) == {"P1": "P2", "P0": "P3"}
    flags["P6"] = [_flag("efficiency_decline", rank=3)]
    assert _mentors(recommend(_force(levels), flags))["P6"] is None


def test_the_reason_of_a_decline_is_told_with_the_labels_of_its_groups():
    flags = {"P0": [_flag("efficiency_decline", pushing=["efficiency", "complaint"])]}
    offers = _of(recommend(_force([-2.0, 2.0, 0.0]), flags), "P0")
    assert next(iter(offers)) == "one_to_one_mentoring"
    assert "效能指数、投诉" in offers["one_to_one_mentoring"].reason["zh"]


def test_a_mentor_is_of_the_same_post_not_the_supervisor_and_not_at_risk():
    levels = [-2.0, 2.0, 1.9, 1.8, 1.7, 0.0, 0.1, -0.1, 0.2, 0.0, 0.1, -0.2]
    flags = {"P0": [_flag("efficiency_decline")], "P2": [_flag("burnout", rank=2)]}
    post = [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    here = _force(levels, post=post, supervisors={"P0": "P3"})
    assert _mentors(recommend(here, flags)) == {"P0": "P4"}


@pytest.mark.parametrize(("trained", "expected"), [(np.nan, "training_first"), (3.0, "job_rotation")])
def test_three_months_of_leading_earn_training_or_rotation(trained, expected):
    columns = {"training_hours__months_since": [trained, np.nan]}
    offers = recommend(_situation(columns, people=2, leading=[3, 2]), {})
    assert [(offer.officer_id, offer.action) for offer in offers] == [("P0", expected)]
    assert offers[0].decides == "hr"

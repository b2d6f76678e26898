"""The built-in profile names everything that the mission names, in both languages."""

import re

import pytest

from features.profile import BUILT_IN, Profile, load_profile

INDICATORS = {
    # what the mission names -> (post or None, measure or rate)
    "S1 刑侦 quality of case-solving": ("criminal_investigation", "case_solved"),
    "S1 刑侦 loss recovery rate": ("criminal_investigation", "loss_recovery_rate"),
    "S1 刑侦 new-type crime": ("criminal_investigation", "new_type_crime_case"),
    "S1 刑侦 bonus for hard cases": ("criminal_investigation", "hard_case_solved"),
    "S1 社区 dispute resolution rate": ("community_policing", "dispute_resolution_rate"),
    "S1 社区 residents' sense of safety": ("community_policing", "sense_of_safety"),
    "S1 社区 key-person management": ("community_policing", "key_person_management_rate"),
    "S1 社区 online ratings by residents": ("community_policing", "online_rating"),
    "S1 交管 accident reduction": ("traffic", "accident_reduction"),
    "S1 交管 congestion": ("traffic", "congestion_index"),
    "S1 交管 standard enforcement rate": ("traffic", "standard_enforcement_rate"),
    "S1 交管 quick-handling rate": ("traffic", "quick_handling_rate"),
    "F1 hazards found": ("community_policing", "hazard_found"),
    "F1 lawsuit-free community": ("community_policing", "lawsuit_free_community"),
    "F2 warnings given": ("cyber", "warning_given"),
    "F2 causes removed": ("cyber", "cause_removed"),
    "window ratings": ("household_window", "window_rating"),
    "dispatch in time": ("command_centre", "dispatch_on_time_rate"),
    "calls": ("patrol", "call_handled"),
    "S1 case quality": (None, "case_quality"),
    "S3 enforcement faults": (None, "enforcement_fault"),
    "S3 complaints": (None, "complaint"),
    "C1 murder solved": (None, "murder_solved"),
    "C1 neighbours reconciled": (None, "neighbours_reconciled"),
    "C2 check-up": (None, "health_checkup"),
    "C2 counselling": (None, "counselling"),
    "C2 compensatory leave": (None, "compensatory_leave"),
    "C2 recuperation": (None, "recuperation"),
    "A star of the quarter": (None, "star_quarter"),
    "A honours": (None, "honour"),
    "A letter to the family": (None, "family_letter"),
    "B technical title": (None, "technical_title"),
    "B management": (None, "management_post"),
    "D2 training": (None, "training_hours"),
    "D2 rotation": (None, "rotation"),
    "D3 mentoring received": (None, "mentoring_received"),
    "D3 mentoring given": (None, "mentoring_given"),
    "D4 complaints about assessment": (None, "assessment_objection"),
    "E open days": (None, "open_day"),
    "E family alliance": (None, "family_alliance"),
    "G volunteering": (None, "volunteering"),
    "superior's rating": (None, "supervisor_rating"),
    "evidence: quick returns": (None, "quick_return"),
    "evidence: single-day absence": (None, "single_day_absence"),
    "evidence: organisational pressure": (None, "organisational_pressure"),
}
PRACTICES = {
    "C2": {"compensatory_leave", "recuperation", "counselling", "health_checkup", "roster_relief"},
    "D2": {"training_first", "job_rotation"},
    "D3": {"one_to_one_mentoring"},
    "E": {"story_session", "open_day", "family_alliance", "veterans_pass_it_on", "young_officers_workshop"},
    "F3": {"injury_and_sickness_aid", "childrens_schooling", "family_help"},
}
POSTS = {
    "criminal_investigation": "刑侦",
    "community_policing": "社区警务",
    "traffic": "交管",
    "patrol": "巡特警",
    "cyber": "网安",
    "household_window": "户政窗口",
    "command_centre": "指挥中心",
}
HEALTH = {"burnout_episode", "strain_survey", "sleep_hours", "sick_days", "single_day_absence", "injury",
          "counselling", "injury_aid", "burnout_flag_acted"}  # fmt: skip


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_profile("gongan")


@pytest.mark.parametrize("named", INDICATORS)
def test_the_profile_has_every_indicator_that_the_mission_names(profile: Profile, named: str) -> None:
    post, key = INDICATORS[named]
    assert key in profile.measures or key in profile.settings.rates
    if post:
        part = profile.posts[post]
        assert key in part.bonus or any(key in weights for weights in part.indicators.values())


def test_the_profile_has_enough_measures_in_all_six_dimensions(profile: Profile) -> None:
    assert len(profile.measures) >= 45
    dimensions = {measure.dimension for measure in profile.measures.values()}
    assert dimensions == {"workload", "quality", "satisfaction", "wellbeing", "honour", "action"}


def test_the_posts_are_those_of_the_mission_and_weights_add_up_to_one(profile: Profile) -> None:
    assert {key: post.label.zh for key, post in profile.posts.items() if post.label} == POSTS
    for post in profile.posts.values():
        assert set(post.indicators) == {"workload", "quality", "satisfaction"}
        for weights in post.indicators.values():
            assert sum(weights.values()) == pytest.approx(1.0)


def test_every_practice_has_its_actions_with_words_for_the_first_conversation(profile: Profile) -> None:
    for practice, keys in PRACTICES.items():
        assert keys == {key for key, action in profile.actions.items() if action.practice == practice}
    for action in profile.actions.values():
        assert action.opening is not None
        assert action.recorded_as in profile.measures


def test_every_word_is_in_both_languages(profile: Profile) -> None:
    parts = [*profile.measures.values(), *profile.posts.values(), *profile.risks.values(), *profile.actions.values(),
             *profile.settings.rates.values(), *profile.settings.sequences.values()]  # fmt: skip
    for part in parts:
        for text in (
            part.label,
            getattr(part, "unit", None),
            getattr(part, "why", None),
            getattr(part, "opening", None),
        ):
            if text is not None and text.zh != "%":
                assert re.search(r"[一-鿿]", text.zh), text
                assert not re.search(r"[一-鿿]", text.en), text
        assert part.label is not None


def test_chinese_sentences_use_full_width_punctuation(profile: Profile) -> None:
    for key, action in profile.actions.items():
        for text in (action.why, action.opening):
            assert text is not None
            assert not re.search(r"[,.?!;:]", text.zh), key
            assert text.zh[-1] in "。？！", key


def test_health_data_is_sensitive_and_never_an_indicator(profile: Profile) -> None:
    assert {key for key, measure in profile.measures.items() if measure.sensitive} == HEALTH
    for post in profile.posts.values():
        used = {key for weights in post.indicators.values() for key in weights} | set(post.bonus)
        assert not used & HEALTH


def test_the_points_are_those_of_the_mission(profile: Profile) -> None:
    assert profile.measures["murder_solved"].points == 100
    assert profile.measures["neighbours_reconciled"].points == 10
    assert {key for key, measure in profile.measures.items() if measure.negative_list} == {
        "complaint",
        "enforcement_fault",
    }


def test_the_examples_of_the_contract_stand_as_written(profile: Profile) -> None:
    night, post = profile.measures["night_shift"], profile.posts["criminal_investigation"]
    assert (night.points, night.raises, night.better, night.daily) == (2, ("burnout",), "down", True)
    assert post.indicators["quality"] == {"case_solved": 0.5, "loss_recovery_rate": 0.3, "new_type_crime_case": 0.2}
    assert (post.risk_coefficient, post.review, post.in_hand) == (1.3, "case", ("case_in_hand",))
    rate = profile.settings.rates["complaints_per_100h"]
    assert (rate.of, rate.per, rate.times) == ("complaint", "duty_hours", 100)
    assert profile.risks["burnout"].horizon_months == 6
    assert profile.risks["efficiency_decline"].horizon_months == 3


def test_only_what_evidence_carries_is_forced_into_the_models(profile: Profile) -> None:
    raising = {key for key, measure in profile.measures.items() if measure.raises}
    assert raising == {
        "night_shift",
        "quick_return",
        "long_shift",
        "overtime_hours",
        "organisational_pressure",
        "strain_survey",
    }
    assert not any(measure.lowers for measure in profile.measures.values())


def test_exempt_time_is_declared(profile: Profile) -> None:
    exempt = {key for key, measure in profile.measures.items() if measure.exempt}
    assert exempt == {"leave_days", "secondment_days", "major_operation_days"}


def test_the_check_up_is_due_every_year_by_right(profile: Profile) -> None:
    checkup = profile.actions["health_checkup"]
    assert checkup.due_every_months == 12
    assert checkup.risks == ()


def test_the_folder_holds_the_five_files_of_a_profile() -> None:
    names = {path.name for path in (BUILT_IN / "gongan").iterdir()}
    assert names == {"profile.yaml", "measures.yaml", "posts.yaml", "risks.yaml", "actions.yaml"}

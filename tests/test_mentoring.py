"""Pairs: the best total fit of all largest matchings, every veto held, prices that tell what a place is worth."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matching.games import HospitalResident

from features.errors import Refusal
from features.help_rules import MentoringRules
from features.profile import load_profile
from serving.mentoring import pairing
from serving.mentoring.fit import PARTS, Barred, Side, fits, in_command, nearness, parts_of
from serving.mentoring.pairing import best_pairs

RULES = MentoringRules()
NOBODY = Barred(*(np.zeros(0, dtype=kind) for kind in (np.int64, np.int64, "U9")))


def brute_force(fit, places, forced=None):
    """The most pairs and, of these, the most total fit in millionths, over every assignment; None where impossible."""
    mentors, mentees = fit.shape
    found = []
    for choice in itertools.product(range(-1, mentors), repeat=mentees):
        if any(choice.count(mentor) > places[mentor] for mentor in range(mentors)):
            continue
        if forced is not None and choice[forced[1]] != forced[0]:
            continue
        chosen = [fit[mentor, mentee] for mentee, mentor in enumerate(choice) if mentor >= 0]
        if not np.isnan(chosen).any():
            found.append((len(chosen), int(np.rint(np.asarray(chosen, dtype=np.float64) * 1e6).sum())))
    return max(found, default=None)


@st.composite
def small_cases(draw):
    mentors, mentees = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    cells = draw(st.lists(st.one_of(st.none(), st.integers(0, 100)), min_size=mentors * mentees, max_size=mentors * mentees))  # noqa: E501 # fmt: skip
    fit = np.array([np.nan if cell is None else cell / 100 for cell in cells], dtype=np.float32)
    places = draw(st.lists(st.integers(0, 2), min_size=mentors, max_size=mentors))
    return fit.reshape(mentors, mentees), np.array(places, dtype=np.int64)


def told(found, fit):
    return int((found.mentor_of >= 0).sum()), round(found.total * 1e6)


@settings(max_examples=150, deadline=None)
@given(small_cases())
def test_pairs_equal_the_brute_force_optimum_and_hold_every_veto(case):
    fit, places = case
    found = best_pairs(fit, places)
    assert told(found, fit) == pytest.approx(brute_force(fit, places), abs=1)
    paired = np.flatnonzero(found.mentor_of >= 0)
    assert not np.isnan(fit[found.mentor_of[paired], paired]).any()
    assert (np.bincount(found.mentor_of[paired], minlength=len(places)) <= places).all()


@settings(max_examples=60, deadline=None)
@given(small_cases())
def test_what_one_more_place_brings_is_exact(case):
    fit, places = case
    found, before = best_pairs(fit, places), brute_force(fit, places)
    for mentor in range(len(places)):
        more = places.copy()
        more[mentor] += 1
        after = brute_force(fit, more)
        assert found.one_more[mentor] == after[0] - before[0]
        assert found.gained[mentor] * 1e6 == pytest.approx(after[1] - before[1], abs=2)


@settings(max_examples=40, deadline=None)
@given(small_cases())
def test_why_not_is_exact_for_those_without_and_never_too_much_for_others(case):
    fit, places = case
    found, best = best_pairs(fit, places), brute_force(fit, places)
    for mentor, mentee in itertools.product(range(fit.shape[0]), range(fit.shape[1])):
        if places[mentor] and not np.isnan(fit[mentor, mentee]):
            pairs, loss = found.loss(np.array([mentor]), np.array([mentee]), fit[[mentor], [mentee]])
            forced = brute_force(fit, places, forced=(mentor, mentee))
            true = (best[0] - forced[0]) * 100 + (best[1] - forced[1]) / 1e6
            mine = pairs[0] * 100 + loss[0]
            assert mine == pytest.approx(true, abs=1e-5) if found.mentor_of[mentee] < 0 else mine <= true + 1e-5


@settings(max_examples=60, deadline=None)
@given(small_cases())
def test_no_stable_matching_has_more_pairs_or_of_as_many_a_better_fit(case):
    fit, places = case
    able = ~np.isnan(fit)
    mentees = {f"m{i}": [f"s{j}" for j in np.argsort(-fit[:, i], kind="stable") if able[j, i] and places[j]] for i in range(fit.shape[1])}  # noqa: E501 # fmt: skip
    mentees = {name: wishes for name, wishes in mentees.items() if wishes}
    mentors = {f"s{j}": [f"m{i}" for i in np.argsort(-fit[j], kind="stable") if able[j, i]] for j in range(len(places)) if places[j]}  # noqa: E501 # fmt: skip
    mentors = {name: wishes for name, wishes in mentors.items() if wishes}
    if not mentees or not mentors:
        return
    game = HospitalResident.create_from_dictionaries(
        mentees, mentors, {name: int(places[int(name[1:])]) for name in mentors}
    )
    stable = [
        (int(mentor.name[1:]), int(mentee.name[1:])) for mentor, chosen in game.solve().items() for mentee in chosen
    ]
    total = sum(float(fit[pair]) for pair in stable)
    found = best_pairs(fit, places)
    size, _ = told(found, fit)
    assert size > len(stable) or (size == len(stable) and found.total >= total - 1e-5)


@settings(max_examples=60, deadline=None)
@given(small_cases())
def test_nobody_is_left_who_could_be_matched_with_a_free_mentor(case):
    fit, places = case
    found = best_pairs(fit, places)
    free = np.bincount(found.mentor_of[found.mentor_of >= 0], minlength=len(places)) < places
    without = found.mentor_of < 0
    assert np.isnan(fit[np.ix_(free, without)]).all()


def test_a_pair_left_out_at_first_is_taken_in_when_it_could_gain(monkeypatch):
    """Looking at one candidate each at first, the prices lead to the optimum all the same."""
    monkeypatch.setattr(pairing, "PER_MENTEE", 1)
    monkeypatch.setattr(pairing, "PER_MENTOR", 1)
    fit = np.random.default_rng(3).random((30, 60)).astype(np.float32)
    few = best_pairs(fit, np.full(30, 2))
    monkeypatch.undo()
    monkeypatch.setattr(pairing, "PER_MENTEE", 60)
    whole = best_pairs(fit, np.full(30, 2))
    assert few.rounds > 1
    assert few.total == pytest.approx(whole.total, abs=1e-6)
    assert (few.mentor_of >= 0).all()


def test_a_fit_outside_0_to_1_is_refused():
    with pytest.raises(Refusal):
        best_pairs(np.array([[1.5]], dtype=np.float32), np.array([1]))


def side(*, post, unit, tenure, skills, shifts):
    columns = [np.asarray(values, dtype=np.int64) for values in (post, unit, tenure)]
    names = np.array([f"P{number}" for number in range(len(post))])
    return Side(names, *columns, np.asarray(skills, dtype=np.float32), np.asarray(shifts, dtype=np.float32))


MENTORS = side(post=[0, 1], unit=[0, 1], tenure=[100, 20], skills=[[1, 0], [0.5, 0.5]], shifts=[[1, 1, 0], [0, 0, 0]])
MENTEES = side(post=[0, 0], unit=[0, 1], tenure=[20, 20], skills=[[1, 0], [0.5, 0.5]], shifts=[[1, 0, 0], [0, 0, 0]])
NEAR = np.eye(2, dtype=np.float32)


def test_the_parts_of_a_fit_say_what_they_mean():
    rows, columns = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    parts, fit = parts_of(RULES, MENTORS, MENTEES, near=NEAR, pairs=(rows, columns))
    assert parts["strengths"].tolist() == [1.0, 0.5, 0.5, 0.5]
    assert parts["same_post"].tolist() == [1, 1, 0, 0]
    assert parts["near"].tolist() == [1, 0, 0, 1]
    assert parts["tenure_gap"].tolist() == [1, 1, 0, 0]
    assert parts["shared_shifts"].tolist() == [0.5, 0, 0, 1]
    assert fit[0] == pytest.approx((4 + 2 + 1 + 1 + 0.5) / 9)
    whole = fits(RULES, MENTORS, MENTEES, near=NEAR, barred=NOBODY)
    assert whole.reshape(-1)[fit >= RULES.least_fit].tolist() == pytest.approx(fit[fit >= RULES.least_fit].tolist())
    assert np.isnan(whole.reshape(-1)[fit < RULES.least_fit]).all()


def test_a_barred_pair_has_no_fit():
    barred = Barred(np.array([0]), np.array([1]), np.array(["command"]))
    whole = fits(RULES, MENTORS, MENTEES, near=NEAR, barred=barred)
    assert np.isnan(whole[0, 1])
    assert not np.isnan(whole[0, 0])


def test_the_chain_of_command_is_followed_up_and_down_at_any_distance():
    superior = np.array([1, 2, -1, -1, 2])  # 0 under 1 under 2; 4 under 2; 3 alone
    mentors, mentees = np.array([2, 3, 0]), np.array([0, 4, 1])
    pairs = set(zip(*(part.tolist() for part in in_command(superior, mentors, mentees)), strict=True))
    assert pairs == {(0, 0), (0, 1), (0, 2), (2, 2)}


def test_a_circle_of_superiors_ends():
    superior = np.array([1, 0])
    assert len(in_command(superior, np.array([0]), np.array([1]))[0]) == 1


def test_units_are_near_by_distance_where_their_places_are_known():
    rules = MentoringRules.model_validate({"places": {"A": [0, 0], "B": [0, 10]}, "near_km": 10})
    assert nearness(rules, ["A", "B", "C"]).tolist() == [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mentoring": {"mentor_limits": {"sick_days": 3}}}, "health data"),
        ({"mentoring": {"given_as": "nothing"}}, "unknown measure"),
        ({"mentoring": {"weights": dict.fromkeys(PARTS, 0)}}, "above 0"),
        ({"what_if": {"levers": {"citizen_rating": {}}}}, "summed"),
        ({"what_if": {"levers": {"strain_survey": {}}}}, "health data"),
    ],
)  # fmt: skip
def test_a_profile_whose_mentoring_or_levers_are_wrong_is_refused(changes, said):
    profile = load_profile("gongan")
    content = profile.model_dump(mode="json", exclude_defaults=True)
    content["settings"] = {**content["settings"], **changes}
    with pytest.raises(Refusal) as refusal:
        type(profile).model_validate(content)
    assert said in refusal.value.message()

"""The search for a recipe: judged by later months, the same after a kill as without, never led by chance alone."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from features.errors import Refusal
from features.months import month_text
from tests.search_run import searched, small_rows
from tests.training_force import small_force
from training.judging.metrics import Figure
from training.judging.search import NO_SEARCH, Search, _Jury, _one_trial, _opened, best_recipe
from training.judging.searched import CHURN_WEIGHT, REGRET_WEIGHT, Finalist, Searched, Seen, Tried, ranked
from training.recipe import STANDARD
from training.train import steps_of, train

TRIALS = 5
HALF = b'{"op_code": 5, "wor'
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def whole() -> Searched:
    """A search that nobody interrupted."""
    return searched(Search(TRIALS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a search was killed with -9 in its third trial or later, and in the middle of a line."""
    place = tmp_path_factory.mktemp("searches")
    command = [sys.executable, "-m", "tests.search_run", str(place), str(TRIALS)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(3):  # nothing resumed, first trial, second trial
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    (file,) = place.glob("*.journal")
    file.write_bytes(file.read_bytes() + HALF)
    return place


def settings(found: Searched) -> list[dict[str, object]]:
    return [dict(one.settings) for one in found.tried]


def test_a_killed_search_goes_on_where_it_stopped_and_finds_the_same(folder: Path, whole: Searched) -> None:
    told: list[int] = []
    found = searched(Search(TRIALS, None, folder), told.append)
    assert 2 <= found.resumed < TRIALS
    assert settings(found) == settings(whole)
    assert [one.months for one in found.tried] == [one.months for one in whole.tried]
    assert found.recipe == whole.recipe
    assert sum(told) == TRIALS
    (file,) = folder.glob("*.journal")
    assert HALF not in file.read_bytes()


def test_the_standard_recipe_is_tried_first_and_every_trial_is_judged_on_the_folds_later_months(
    whole: Searched,
) -> None:
    _, folds, _ = small_rows()
    months = {month for fold in folds for month in fold.test}
    first = next(one for one in whole.tried if one.number == 0)
    assert dict(first.settings) == dict(STANDARD.settings)
    assert len(whole.tried) == TRIALS
    for one in whole.tried:
        assert set(one.months) == months if one.finished else set(one.months) < months
    early = {month for fold in folds[:-1] for month in fold.test}
    assert all(set(one.months) <= early for one in whole.tried if not one.finished)


def test_without_trials_the_standard_recipe_is_returned_and_nothing_is_told() -> None:
    rows, folds, profile = small_rows()
    found = best_recipe(rows, folds, profile, search=NO_SEARCH)
    assert found.recipe == STANDARD
    assert found.tried == ()
    assert found.finalists == ()


def test_when_the_time_is_up_no_trial_starts_and_the_report_says_so(tmp_path: Path) -> None:
    found = searched(Search(5, 0.0, tmp_path))
    assert found.recipe == STANDARD
    assert found.tried == ()
    assert "0 recipes tried of 5: the time was up" in found.lines()[0]
    assert Search(5, 10.0).share(3, 2).minutes == 5.0
    assert Search(5, 10.0).share(2, 2).minutes == 10.0


def test_a_trial_cut_short_by_the_time_limit_is_tried_again_by_the_next_run(tmp_path: Path) -> None:
    jury = _Jury(*small_rows(), deadline=0.0)
    study = _opened(jury, tmp_path)
    _one_trial(study, jury)
    found = searched(Search(1, None, tmp_path))
    assert found.resumed == 0
    assert [dict(one.settings) for one in found.tried] == [dict(STANDARD.settings)]
    assert found.tried[0].finished


def test_a_search_of_other_rows_is_another_search(folder: Path) -> None:
    rows, folds, profile = small_rows(seed=6)
    best_recipe(rows, folds, profile, search=Search(1, 0.0, folder))
    assert len(list(folder.glob("*.journal"))) == 2


def test_score_is_quality_less_largest_regret_and_churn_above_the_standards() -> None:
    standard = Tried(0, STANDARD.settings, {1: 0.40, 2: 0.50}, 0.30, True)
    other = replace(standard, number=1, settings={"num_leaves": 4}, months={1: 0.46, 2: 0.46}, churn=0.50)
    pruned = replace(standard, number=2, settings={"num_leaves": 5}, months={1: 0.9}, finished=False)
    first, second, last = ranked([pruned, standard, other])
    assert (first.number, second.number, last.number) == (0, 1, 2)
    assert first.regret == pytest.approx(0.06)
    assert second.regret == pytest.approx(0.04)
    assert first.score == pytest.approx(0.45 - REGRET_WEIGHT * 0.06)
    assert second.score == pytest.approx(0.46 - REGRET_WEIGHT * 0.04 - CHURN_WEIGHT * 0.20)
    calm = ranked([standard, replace(other, churn=0.1)])
    assert calm[0].number == 1
    assert calm[0].score == pytest.approx(0.46 - REGRET_WEIGHT * 0.04)


def test_churn_is_the_share_of_the_list_that_is_new_at_the_next_test_month() -> None:
    lists = {5: frozenset({1, 2, 3, 4}), 3: frozenset({1, 2, 8, 9}), 9: frozenset({1, 2, 3, 4})}
    assert Seen(dict.fromkeys(lists, 0.5), lists).churn == pytest.approx((0.5 + 0.0) / 2)


def test_another_recipe_is_chosen_only_where_its_interval_lies_above_zero(whole: Searched) -> None:
    better = [one for one in whole.finalists if one.gain.low > 0]
    assert (whole.chosen is None) == (not better)
    assert (whole.recipe == STANDARD) == (whole.chosen is None)
    assert whole.standard is not None
    for one in whole.finalists:
        assert one.gain.value == pytest.approx(one.seen.quality - whole.standard.quality, abs=1e-9)
        assert one.gain.low <= one.gain.value <= one.gain.high
    by_chance = Finalist(3, "x", Seen({1: 0.5}, {}), Figure(0.01, -0.01, 0.03))
    assert "no other is better beyond chance" in Searched(STANDARD, finalists=(by_chance,)).card()["why"]


def test_the_report_tells_trials_choice_and_what_the_ensemble_earns(whole: Searched) -> None:
    text, card = "\n".join(whole.lines()), whole.card()
    assert f"{TRIALS} recipes tried" in text
    assert "chosen: " in text
    assert "ensemble: the mean of 3 boosters" in text
    assert [row["trial"] for row in card["tried"]] == [one.number for one in whole.tried]
    assert card["ensemble_gain_80"] is not None


def test_the_progress_bar_counts_every_trial() -> None:
    assert steps_of(["a", "b"], Search(4)) - steps_of(["a", "b"]) == 8


def test_a_second_search_of_a_risk_in_the_same_folder_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / "collapse.lock"),
        pytest.raises(Refusal, match="Another training of 'collapse'") as refusal,
    ):
        searched(Search(1, None, tmp_path))
    assert "Wait until it has ended" in refusal.value.hint
    assert not list(tmp_path.glob("*.journal"))


def test_the_newest_fold_is_held_out_of_the_search_and_told_alone() -> None:
    report = train(small_force(officers=160).histories(), "collapse", search=Search(1)).report
    card = report.card()
    newest = card["folds"][-1]["test"]
    assert card["held_out"]["test"] == newest
    (tried,) = report.sections["search"].tried
    assert not {month_text(month) for month in tried.months} & set(newest)
    assert len(tried.months) == sum(len(fold["test"]) for fold in card["folds"][:-1])
    assert f"on the newest fold alone ({', '.join(newest)}), which the search did not see" in report.text()

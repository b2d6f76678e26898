"""Runs a search on a small force and says each trial; test_training_search starts this as a process and kills it."""

import sys
from collections.abc import Callable
from pathlib import Path

from features.profile import Profile
from tests.training_force import small_force
from training.dataset import TrainingSet, training_set
from training.folds import Fold
from training.judging.search import Search, best_recipe
from training.judging.searched import Searched
from training.judging.validation import judged_folds


def small_rows(*, seed: int = 5) -> tuple[TrainingSet, list[Fold], Profile]:
    """Return rows, folds and profile of a force of 240 officers over 30 months."""
    force = small_force(seed=seed).histories()
    rows = training_set(force, "collapse")
    return rows, judged_folds(rows, force.profile), force.profile


def searched(search: Search, progress: Callable[[int], None] | None = None) -> Searched:
    """Return what a search on these rows finds."""
    rows, folds, profile = small_rows()
    return best_recipe(rows, folds, profile, search=search, progress=progress)


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    searched(Search(int(sys.argv[2]), None, Path(sys.argv[1])), _say)

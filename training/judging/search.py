"""The search for a recipe over temporal folds, kept on disk and resumed. Judged by later months only.

The final fit stands in fitting.py; what a search found, and how it is told, in searched.py.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from features.errors import Refusal
from features.profile import Profile
from training.dataset import TrainingSet
from training.folds import Fold
from training.judging.searched import Ensemble, Finalist, Searched, Tried, gain, ranked, seen
from training.judging.validation import OutOfFold, validate
from training.recipe import STANDARD, Recipe

SEED = 20
STARTUP = 6
"""So many recipes are drawn at random before the sampler learns from what was tried."""
BEFORE_PRUNING = 4
FINALISTS = 2
DONE = (TrialState.COMPLETE, TrialState.PRUNED)

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Search:
    """So many recipes are tried, for at most so many minutes; trials are kept in ``folder`` and resumed from there."""

    trials: int = 0
    minutes: float | None = None
    folder: Path | None = None

    def share(self, risks: int, at_once: int) -> "Search":
        """Return the search of one of several risks: their time limits, ``at_once`` side by side, add up to mine."""
        rounds = -(-risks // max(1, at_once))
        return self if self.minutes is None else replace(self, minutes=self.minutes / max(1, rounds))


NO_SEARCH = Search()


def best_recipe(
    rows: TrainingSet,
    folds: Sequence[Fold],
    profile: Profile,
    *,
    search: Search = NO_SEARCH,
    progress: Callable[[int], None] | None = None,
) -> Searched:
    """Return what a search over temporal folds found, the chosen recipe in it; without trials the standard one.

    The standard recipe is tried first, then those that Optuna's TPE sampler (Bergstra et al. 2011) proposes, each
    with one booster on one fold after the other, the newest last; a median pruner ends those that fall behind. The
    best few and the standard recipe are then judged with all their boosters, and another one is chosen only where a
    paired bootstrap over officers says that it is better. ``progress`` is told 1 for each trial. A search of the
    same rows, folds and profile that was ended, even by kill -9, goes on where it stopped. A Refusal says where
    another training searches for the same risk in the same folder.
    """
    if not search.trials:
        return Searched(STANDARD)
    with _alone(rows.risk, search.folder):
        return _searched(rows, folds, profile, search=search, step=progress or (lambda _: None))


@contextmanager
def _alone(risk: str, folder: Path | None) -> Iterator[None]:
    """No other search of the risk meanwhile: two would take each other's unfinished trials for ones cut short."""
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / f"{risk}.lock", timeout=0):
            yield
    except Timeout:
        raise Refusal(
            f"Another training of '{risk}' is searching here ({folder}).",
            hint="Wait until it has ended, or end it: its trials are kept. Without --trials both can train.",
        ) from None


def _searched(
    rows: TrainingSet, folds: Sequence[Fold], profile: Profile, *, search: Search, step: Callable[[int], None]
) -> Searched:
    started = time.monotonic()
    jury = _Jury(rows, folds, profile, started + 60 * search.minutes if search.minutes is not None else None)
    study = _opened(jury, search.folder)
    before = min(search.trials, len(_done(study)))
    step(before)
    while len(_done(study)) < search.trials and not jury.out_of_time:
        _one_trial(study, jury)
        step(1)
    tried = ranked([_told(trial) for trial in _done(study)])
    step(search.trials - min(search.trials, len(tried)))
    searched = _finals(tried, jury)
    return replace(searched, asked=search.trials, resumed=before, seconds=time.monotonic() - started)


@dataclass(frozen=True)
class _Jury:
    """What recipes are judged on, and until when."""

    rows: TrainingSet
    folds: Sequence[Fold]
    profile: Profile
    deadline: float | None

    @property
    def out_of_time(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def found(self, recipe: Recipe, folds: Sequence[Fold]) -> OutOfFold:
        return validate(self.rows, folds, self.profile, recipe, with_rivals=False)

    def digest(self) -> str:
        """The same for the same rows, folds and profile, whatever the process."""
        known = hashlib.sha256()
        for part in (self.rows.values, self.rows.label, self.rows.weight, self.rows.officer, self.rows.as_of):
            known.update(part.tobytes())
        told = (self.rows.risk, self.rows.names, self.rows.inputs, tuple(self.folds), STANDARD.digest)
        known.update((repr(told) + self.profile.model_dump_json()).encode())
        return known.hexdigest()[:16]


def _opened(jury: _Jury, folder: Path | None) -> optuna.Study:
    """The study of these rows, new or as it was left; a trial that was cut short is tried again."""
    name, storage = f"{jury.rows.risk}-{jury.digest()}", None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{name}.journal"
        _whole_lines(file)
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(file)))
    pruner = optuna.pruners.MedianPruner(n_startup_trials=BEFORE_PRUNING)
    study = optuna.create_study(
        storage=storage, study_name=name, direction="maximize", pruner=pruner, load_if_exists=True
    )
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial({key: STANDARD.settings[key] for key in _proposed(optuna.trial.FixedTrial(_STANDARD))})
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        _again(study, trial)
    return study


def _whole_lines(file: Path) -> None:
    """Take off a last line that a killed process left half-written: the journal could not be read on after it."""
    if file.exists():
        content = file.read_bytes()
        if not content.endswith(b"\n"):
            file.write_bytes(content[: content.rfind(b"\n") + 1])


def _again(study: optuna.Study, trial: FrozenTrial) -> None:
    study.tell(trial.number, state=TrialState.FAIL)
    study.enqueue_trial(trial.params)


def _done(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=DONE)


def _proposed(trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    """The settings that are searched, and between which bounds."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.1, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 4, 24, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 50, 800, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.1, 0.7),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.3, 0.9),
        "lambda_l2": trial.suggest_float("lambda_l2", 1.0, 100.0, log=True),
        "extra_trees": trial.suggest_categorical("extra_trees", [True, False]),
    }


_STANDARD: dict[str, Any] = dict(STANDARD.settings)


def _one_trial(study: optuna.Study, jury: _Jury) -> None:
    """Try one recipe on the folds, oldest first. A trial's seed is its place, so that a resumed search goes the same
    way."""
    done = _done(study)
    study.sampler = optuna.samplers.TPESampler(seed=SEED + len(done), n_startup_trials=STARTUP)
    trial = study.ask()
    recipe = STANDARD.single().with_settings(**_proposed(trial))
    months: dict[int, float] = {}
    lists: dict[int, frozenset[int]] = {}
    for number, fold in enumerate(jury.folds):
        if number and jury.out_of_time:
            _again(study, study.get_trials(deepcopy=False)[trial.number])
            return
        found = seen(jury.found(recipe, (fold,)))
        months, lists = {**months, **found.months}, {**lists, **found.lists}
        trial.report(sum(months.values()) / len(months), number)
        if number + 1 < len(jury.folds) and trial.should_prune():
            _noted(trial, recipe, months)
            study.tell(trial, state=TrialState.PRUNED)
            return
    _noted(trial, recipe, months)
    churn = replace(found, months=months, lists=lists).churn
    trial.set_user_attr("churn", churn)
    mine = Tried(trial.number, recipe.settings, months, churn, True)
    others = [_told(one) for one in done]
    study.tell(trial, next(one.score for one in ranked([*others, mine]) if one.number == trial.number))


def _noted(trial: optuna.Trial, recipe: Recipe, months: dict[int, float]) -> None:
    trial.set_user_attr("settings", dict(recipe.settings))
    trial.set_user_attr("months", {str(month): value for month, value in months.items()})


def _told(trial: FrozenTrial) -> Tried:
    stored = trial.user_attrs
    months = {int(month): value for month, value in stored["months"].items()}
    finished = trial.state == TrialState.COMPLETE
    return Tried(trial.number, stored["settings"], months, stored.get("churn", float("nan")), finished)


def _finals(tried: tuple[Tried, ...], jury: _Jury) -> Searched:
    """Judge the best few with all their boosters beside the standard recipe, on the same rows."""
    if not tried:
        return Searched(STANDARD)
    standard = jury.found(STANDARD, jury.folds)
    best = [one for one in tried if one.finished and dict(one.settings) != dict(STANDARD.settings)][:FINALISTS]
    recipes = {one.number: STANDARD.with_settings(**one.settings) for one in best}
    found = {number: jury.found(recipe, jury.folds) for number, recipe in recipes.items()}
    finalists = tuple(
        Finalist(number, recipes[number].digest, seen(each), gain(each, standard)) for number, each in found.items()
    )
    better = [one for one in finalists if one.gain.low > 0]
    chosen = max(better, key=lambda one: one.gain.value, default=None)
    recipe = STANDARD if chosen is None else recipes[chosen.number]
    bag = standard if chosen is None else found[chosen.number]
    return Searched(
        recipe, tried, seen(standard), finalists, chosen.number if chosen else None, _ensemble(recipe, bag, jury)
    )


def _ensemble(recipe: Recipe, bag: OutOfFold, jury: _Jury) -> Ensemble:
    """What the mean of the recipe's boosters brings over the first of them alone."""
    return Ensemble(len(recipe.bag), gain(bag, jury.found(recipe.single(), jury.folds)))

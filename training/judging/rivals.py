"""The rivals that a model must beat: the rule, counts, and plain models on simple counts. Judged, never served."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from features.names import FeatureName, parse_name
from features.profile_rows import EventOutcome, IndexOutcome, Risk
from training.dataset import TrainingSet
from training.judging.metrics import RULE

Array = npt.NDArray[np.float64]
Scorer = Callable[[TrainingSet, TrainingSet], Array]

RULE_EVENTS = 3
"""Three or more of the outcome's events in 12 months: the threshold that early-warning systems began with."""
FOREST_TREES = 60
FOREST_SAMPLE = 5_000
"""So many rows for each tree; more of them made the trees no better, only slower."""
LOGISTIC_ROWS = 60_000


@dataclass(frozen=True)
class Rival:
    """A contender: from training rows and test rows to a score for each test row."""

    name: str
    score: Scorer
    probability: bool


def rivals(risk: Risk, names: tuple[str, ...]) -> list[Rival]:
    """Return the rivals of a risk, the rule first."""
    return [
        *_simple_rivals(risk, names),
        Rival("logistic_regression", _logistic, True),
        Rival("random_forest", _forest, True),
    ]


def simple_counts(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the features of the plain models: the sum (or mean) of each window, rates, the index, tenure."""
    summed = {parse_name(name).group for name in names if parse_name(name).statistic == "sum"}
    plain = {"sum", "rate", "level", "months"}
    return tuple(name for name in names if _is_plain(parse_name(name), plain, summed))


def _is_plain(part: FeatureName, plain: set[str], summed: set[str]) -> bool:
    return part.statistic in plain or (part.statistic == "mean" and part.group not in summed)


def _simple_rivals(risk: Risk, names: tuple[str, ...]) -> list[Rival]:
    if isinstance(risk.outcome, IndexOutcome):
        drop = f"{risk.outcome.index}__vs_self__3m"
        slope = f"{risk.outcome.index}__slope__6m"
        return [Rival(RULE, _lowest_first(drop), False), Rival("slope_6m", _lowest_first(slope), False)]
    year, years = (_nearest_count(risk.outcome, names, window) for window in (12, 36))
    found = [Rival(RULE, _at_least(year), False), Rival(f"count_{parse_name(year).months}m", _column(year), False)]
    return [*found, Rival(f"count_{parse_name(years).months}m", _column(years), False)] if years != year else found


def _nearest_count(outcome: EventOutcome, names: tuple[str, ...], window: int) -> str:
    heads = tuple(f"{outcome.measure}__{statistic}__" for statistic in ("sum", "mean"))
    counts = [name for name in names if name.startswith(heads)]
    return min(counts, key=lambda name: abs((parse_name(name).months or 0) - window))


def _values(rows: TrainingSet, name: str) -> Array:
    return rows.values[:, rows.columns((name,))[0]].astype(np.float64)


def _column(name: str) -> Scorer:
    return lambda _train, test: np.nan_to_num(_values(test, name), nan=0.0)


def _at_least(name: str) -> Scorer:
    return lambda _train, test: (np.nan_to_num(_values(test, name), nan=0.0) >= RULE_EVENTS).astype(np.float64)


def _lowest_first(name: str) -> Scorer:
    return lambda _train, test: -np.nan_to_num(_values(test, name), nan=0.0)


def _logistic(train: TrainingSet, test: TrainingSet) -> Array:
    logistic = LogisticRegression(C=0.03, tol=1e-3, max_iter=1000)
    return _fitted(make_pipeline(*_prepared(), logistic), train, test, most=LOGISTIC_ROWS)


def _forest(train: TrainingSet, test: TrainingSet) -> Array:
    share = min(1.0, FOREST_SAMPLE / len(train))
    forest = RandomForestClassifier(FOREST_TREES, min_samples_leaf=10, max_samples=share, n_jobs=2, random_state=0)
    return _fitted(make_pipeline(*_prepared(), forest), train, test, most=len(train))


def _prepared() -> tuple[SimpleImputer, StandardScaler]:
    return SimpleImputer(strategy="mean", keep_empty_features=True), StandardScaler()


def _fitted(pipeline: Pipeline, train: TrainingSet, test: TrainingSet, *, most: int) -> Array:
    columns = train.columns(simple_counts(train.inputs))
    chosen = np.arange(len(train))
    if len(train) > most:
        chosen = np.sort(np.random.default_rng(0).choice(len(train), most, replace=False))
    pipeline.fit(train.values[np.ix_(chosen, columns)], train.label[chosen])
    found: Array = pipeline.predict_proba(test.values[:, columns])[:, 1]
    return found

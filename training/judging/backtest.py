"""Past months as they would have been: models trained on what was known by then, their lists, what came of them.

Feature rows are computed once for all months; followed.py judges what became of the flagged by labels known today.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from features.cohort import cohort
from features.engine import FeatureRows, feature_rows
from features.errors import Refusal
from features.histories.tables import Histories
from features.labels import labels, latest_labelled, the_risk
from features.months import month_text, parse_month
from features.profile_rows import EventOutcome
from training.dataset import MOST_VALUES, TrainingSet, last_month, training_months, training_set
from training.fitting import fit
from training.judging.followed import Followed, Outcomes, followed
from training.judging.metrics import RULE
from training.judging.ranked import bounds_of, gain
from training.judging.rivals import rivals
from training.models.evidence import SUFFICIENT
from training.models.lanes import LANES
from training.models.risk_model import RiskModel

Array = npt.NDArray[np.float64]
Steps = Callable[[int], None]

EVERY_MONTHS = 6
TIES = 50
"""So many ways to break the rule's ties at random are followed (see followed.py)."""


@dataclass(frozen=True)
class Backtest:
    """What the lists of ``months`` would have been; ``model`` and ``rule`` are followed side by side.

    ``learned`` says for each month by which month its model's knowledge ends; ``mature`` whether the horizon (and
    the risk's maturity) is over, so that a flag without the outcome is a miss; ``unranked`` how many persons the model
    had insufficient evidence for: they are on neither list, as when it serves.
    """

    risk: str
    months: tuple[int, ...]
    learned: tuple[int, ...]
    mature: tuple[bool, ...]
    version: str | None
    horizon_months: int
    expires_months: int
    unranked: tuple[int, ...]
    model: Followed
    rule: Followed


def run_backtest(
    histories: Histories,
    risk: str,
    months: Sequence[int],
    *,
    every: int = EVERY_MONTHS,
    model: RiskModel | None = None,
    progress: Steps | None = None,
) -> Backtest:
    """Return the lists of successive months as they would have been, and what came of them by labels known today.

    A model is trained at the first month and every ``every`` months, on nothing but what was known then; with
    ``model`` that one is used instead, and a Refusal says where it had seen later months. ``progress`` is told 1 for
    each of ``steps_of``. Raises the Refusals of training where the first month has too little before it.
    """
    step, rule = progress or (lambda _: None), the_risk(histories, risk)
    _check_months(histories, months, model)
    learned = [months[0] + every * ((month - months[0]) // every) for month in months]
    outcomes = what_came(histories, risk, months)
    shape = (len(months), len(histories.officers))
    listed, by_rule, unranked = np.zeros(shape), np.zeros(shape), np.zeros(len(months), dtype=int)
    for chosen, rows in _walks(histories, risk, (months, learned), model, step):
        models = {0: model} if model else _models(histories, risk, (sorted(set(chosen)), rows), step)
        for place, month in enumerate(months):
            if learned[place] in chosen:
                present = rows.take(rows.as_of == month)
                scorer = models[0 if model else learned[place]]
                capacity, judged = rule.capacity(len(present)), _judged(histories, scorer, present)
                there = present.take(judged)
                listed[place, there.officer] = _first(scorer.probability(there), capacity, exact=True)
                by_rule[place, there.officer] = _first(_rule_scores(histories, risk, there), capacity)
                unranked[place] = len(present) - len(there)
    return Backtest(
        risk=risk,
        months=tuple(months),
        learned=tuple(learned) if model is None else (parse_month(str(model.card["until"])),) * len(months),
        mature=tuple(bool(each) for each in outcomes.mature),
        version=model.version if model else None,
        horizon_months=rule.horizon_months,
        expires_months=histories.profile.settings.policy.flag_expires_months,
        unranked=tuple(unranked.tolist()),
        model=followed(listed, outcomes, ties=1),
        rule=followed(by_rule, outcomes, ties=TIES),
    )


def steps_of(months: Sequence[int], *, every: int = EVERY_MONTHS, fixed: bool = False) -> int:
    """Return how many steps ``run_backtest`` reports: one for each month and each model it trains."""
    return len(months) + (0 if fixed else -(-len(months) // every))


def what_came(histories: Histories, risk: str, months: Sequence[int]) -> Outcomes:
    """Return the labels of these months as known today, [month, officer], and after how many months it came.

    An event outcome comes in the month in which its sum is reached; an index outcome at the end of the horizon whose
    mean had fallen, for it is not known earlier.
    """
    rule = the_risk(histories, risk)
    label = _dense(histories, risk, months)
    after = np.where(label == 1, float(rule.horizon_months), np.nan)
    if isinstance(rule.outcome, EventOutcome):
        for sooner in range(rule.horizon_months - 1, 0, -1):
            reached = _dense(_with_horizon(histories, risk, sooner), risk, months) == 1
            after[reached] = sooner
    last = latest_labelled(histories, risk)
    policy = histories.profile.settings.policy
    return Outcomes(
        label=label,
        after=after,
        mature=np.asarray([month <= last for month in months], dtype=bool),
        expires=policy.flag_expires_months,
    )


def _check_months(histories: Histories, months: Sequence[int], model: RiskModel | None) -> None:
    end = last_month(histories, None)
    if not months or months[-1] > end:
        raise Refusal(
            f"The store holds nothing after {month_text(end)}, and the months must not be empty.",
            hint="Choose --from and --to before that.",
        )
    if model is not None and months[0] < parse_month(str(model.card["until"])):
        raise Refusal(
            f"Version {model.version} has learned from what was known by {model.card['until']}: "
            f"its list of {month_text(months[0])} would be hindsight.",
            hint=f"Begin with --from {model.card['until']}, or leave --version out to train as it would have been.",
        )


def _walks(
    histories: Histories, risk: str, when: tuple[Sequence[int], Sequence[int]], model: RiskModel | None, step: Steps
) -> "list[tuple[set[int], FeatureRows]] | _Each":
    """Feature rows of the list's months and of what its models learn from: one walk, or one a model if too large."""
    months, learned = when
    starts = sorted(set(learned))
    needs = {start: set() if model else set(training_months(histories, risk, until=start)[0]) for start in starts}
    columns = training_months(histories, risk, until=starts[-1])[1]
    names = tuple(dict.fromkeys((*columns, *(model.names if model else ()))))
    everything = set(months).union(*needs.values())
    if len(everything) * len(cohort(histories, months[-1])) * len(names) <= 2 * MOST_VALUES:
        rows = feature_rows(histories, sorted(everything), names=names)
        step(len(months))
        return [(set(starts), rows)]
    return _Each(histories, names, needs, dict(zip(months, learned, strict=True)), step)


@dataclass(frozen=True)
class _Each:
    """A walk for each model, where the rows of all would not fit into memory."""

    histories: Histories
    names: tuple[str, ...]
    needs: Mapping[int, set[int]]
    learned: Mapping[int, int]
    step: Steps

    def __iter__(self) -> Any:
        for start, earlier in self.needs.items():
            own = [month for month, learned in self.learned.items() if learned == start]
            rows = feature_rows(self.histories, sorted(earlier | set(own)), names=self.names)
            self.step(len(own))
            yield {start}, rows


def _models(
    histories: Histories, risk: str, what: tuple[Sequence[int], FeatureRows], step: Steps
) -> dict[int, RiskModel]:
    starts, rows = what

    def one(start: int) -> RiskModel:
        learned = training_set(histories, risk, until=start, shared=rows)
        found = fit(learned, histories.profile).model(risk)
        found = replace(found, bounds=bounds_of(learned, found.names, gain(found)))
        step(1)
        return found

    workers = min(len(starts), os.cpu_count() or 1)
    with LANES.side_by_side(workers), ThreadPoolExecutor(max_workers=workers) as threads:
        return dict(zip(starts, threads.map(one, starts), strict=True))


def _judged(histories: Histories, model: RiskModel, rows: FeatureRows) -> npt.NDArray[np.bool_]:
    """Who has a place in the order: a person with insufficient evidence has none."""
    found = model.evidence(rows, np.asarray(histories.posts, dtype=np.str_)[rows.post])
    return np.asarray(found == SUFFICIENT, dtype=bool)


def _first(score: Array, capacity: int, *, exact: bool = False) -> Array:
    """How much of each person is on the list: 1, 0, or at its edge an equal share of the places for equal scores.

    ``exact`` breaks ties by officer, as a stored list does.
    """
    order = np.argsort(-score, kind="stable")
    share = np.zeros(len(score))
    if exact or capacity >= len(score):
        share[order[:capacity]] = 1.0
        return share
    edge = score[order[capacity - 1]]
    above, tied = score > edge, score == edge
    share[above] = 1.0
    share[tied] = (capacity - above.sum()) / tied.sum()
    return share


def _rule_scores(histories: Histories, risk: str, rows: FeatureRows) -> Array:
    """What the rule says of rows. It reads neither label nor month: the zeros here are never looked at."""
    zeros = np.zeros(len(rows), dtype=np.float32)
    unlabelled = TrainingSet(
        risk=risk,
        until=0,
        step=1,
        officer=rows.officer,
        as_of=rows.as_of,
        third=np.zeros(len(rows), dtype=np.int32),
        names=rows.names,
        inputs=rows.names,
        values=rows.values,
        label=zeros,
        weight=zeros,
        known_at=(),
        known_then=zeros[:, None],
    )
    found = next(rival for rival in rivals(histories.profile.risks[risk], rows.names) if rival.name == RULE)
    return found.score(unlabelled, unlabelled)


def _dense(histories: Histories, risk: str, months: Sequence[int]) -> Array:
    found = labels(histories, risk, list(months))
    dense = np.full((len(months), len(histories.officers)), np.nan)
    dense[np.searchsorted(np.asarray(months), found.as_of), found.officer] = found.label
    return dense


def _with_horizon(histories: Histories, risk: str, horizon: int) -> Histories:
    shorter = histories.profile.risks[risk].model_copy(update={"horizon_months": horizon})
    profile = histories.profile.model_copy(update={"risks": {**histories.profile.risks, risk: shorter}})
    return replace(histories, profile=profile)

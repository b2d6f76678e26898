"""What the model card draws beside the report's figures: subject, curves, reasons overall. Plain values, no person."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from features.months import month_text
from features.names import group_label
from features.profile import Profile
from features.profile_rows import EventOutcome
from training.dataset import TrainingSet
from training.judging.metrics import MODEL, interval_of, officer_draws
from training.judging.validation import OutOfFold
from training.models.risk_model import RiskModel

Array = npt.NDArray[np.float64]

MOST_BINS, BIN_ROWS = 10, 50
LENGTHS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 20.0)
"""Lengths of the list in percent of the cohort."""
MOST_PERSONS = 600
FEWEST_PERSONS = 20
"""The spread of reasons over fewer persons would tell of them."""
SHOWN_GROUPS = 15


def portrait(rows: TrainingSet, profile: Profile, *, found: OutOfFold, model: RiskModel) -> dict[str, Any]:
    """Return ``subject``, ``curves`` and ``reasons_overall`` for a model's card, as plain values.

    ``found`` are predictions for test rows, ``model`` is the final one: its reasons are those of the newest as-of.
    """
    return {
        "subject": subject(profile, rows.risk),
        "curves": {"calibration": calibration_curve(found), "precision_by_length": precision_by_length(found)},
        "reasons_overall": overall_reasons(rows, profile, model),
    }


def subject(profile: Profile, risk: str) -> dict[str, Any]:
    """Return what is predicted, in words of both languages."""
    rule = profile.risks[risk]
    if isinstance(rule.outcome, EventOutcome):
        key, least = rule.outcome.measure, f"{rule.outcome.at_least:g}"
        outcome = {
            "zh": f"此后 {rule.horizon_months} 个月内“{profile.label(key, 'zh')}”合计达到 {least}",
            "en": f"the sum of '{profile.label(key, 'en')}' in the next {rule.horizon_months} months reaches {least}",
        }
    else:
        by, base = f"{rule.outcome.falls_by:g}", rule.outcome.baseline_months
        outcome = {
            "zh": f"此后 {rule.horizon_months} 个月效能指数的平均比本人前 {base} 个月低 {by} 个同岗位标准差以上",
            "en": f"the mean efficiency index of the next {rule.horizon_months} months falls {by} peer standard "
            f"deviations or more below the own {base} months before",
        }
    told = {"risk": risk, "label": {language: profile.label(risk, language) for language in ("zh", "en")}}
    keys = ("horizon_months", "maturity_months", "purpose", "capacity_percent")
    posts = {post: {language: profile.label(post, language) for language in ("zh", "en")} for post in profile.posts}
    return {**told, "outcome": outcome, **{key: getattr(rule, key) for key in keys}, "posts": posts}


def calibration_curve(found: OutOfFold) -> list[dict[str, Any]]:
    """Return bins of equal counts by probability: rows, mean probability, share with the outcome and its interval.

    All test rows together; at most ten bins of at least 50 rows. The interval is 90 %, by bootstrap over officers.
    """
    order = np.argsort(found.probability, kind="stable")
    weights = officer_draws(int(found.officer.max()) + 1)
    return [_bin(found, part, weights) for part in np.array_split(order, _bins(len(order)))]


def precision_by_length(found: OutOfFold) -> dict[str, Any]:
    """Return every contender's precision by length of the list in percent of the cohort, and the list's own length.

    The mean over test as-ofs, ties counted as if broken at random; the model's has a 90 % interval.
    """
    weights = officer_draws(int(found.officer.max()) + 1)
    once, scores = weights[:1], {MODEL: found.probability, **found.rivals}
    drawn = {name: _precision(found, score, weights if name == MODEL else once) for name, score in scores.items()}
    band = [interval_of(drawn[MODEL][:, number]).as_json() for number in range(len(LENGTHS))]
    months = np.unique(found.as_of)
    shares = [100 * found.capacities[int(month)] / int((found.as_of == month).sum()) for month in months]
    return {
        "percent": list(LENGTHS),
        "capacity_percent": round(float(np.mean(shares)), 3),
        "base_rate": round(float(np.mean([found.label[found.as_of == month].mean() for month in months])), 6),
        "contenders": {name: [round(float(value), 6) for value in found[0]] for name, found in drawn.items()},
        "interval": [[low, high] for _, low, high in band],
    }


def overall_reasons(rows: TrainingSet, profile: Profile, model: RiskModel) -> dict[str, Any]:
    """Return the groups by mean absolute contribution (log-odds) at the newest as-of, and their spread over persons.

    ``low`` and ``high`` are the 10 % and 90 % points over persons; at most 600 persons, evenly taken, are asked.
    Groups beyond the first 15 are summed as ``others``; with fewer than 20 persons nothing is told.
    """
    month = rows.as_ofs[-1]
    place = np.flatnonzero(rows.as_of == month)
    place = place[:: max(1, -(-len(place) // MOST_PERSONS))]
    if len(place) < FEWEST_PERSONS:
        return {"as_of": month_text(month), "persons": None, "groups": [], "others": None}
    scores = model.score(rows.take(place))
    weight = np.abs(scores.contributions).mean(axis=0)
    first, rest = np.split(np.argsort(-weight, kind="stable"), [SHOWN_GROUPS])
    return {
        "as_of": month_text(month),
        "persons": len(place),
        "groups": [_reason(profile, scores.groups[one], scores.contributions[:, one]) for one in first],
        "others": {"groups": len(rest), "mean_absolute": round(float(weight[rest].sum()), 6)},
    }


def _bins(rows: int) -> int:
    return max(1, min(MOST_BINS, rows // BIN_ROWS))


def _bin(found: OutOfFold, part: npt.NDArray[np.int64], weights: Array) -> dict[str, Any]:
    drawn, label = weights[:, found.officer[part]], found.label[part].astype(np.float64)
    with np.errstate(invalid="ignore"):
        share = interval_of((drawn @ label) / drawn.sum(axis=1)).as_json()
    mean = round(float(found.probability[part].mean()), 6)
    return {"rows": len(part), "mean": mean, "share": share[0], "low": share[1], "high": share[2]}


def _precision(found: OutOfFold, score: Array, weights: Array) -> Array:
    """[draw, length]: the mean over the test as-ofs."""
    lists = []
    for month in np.unique(found.as_of):
        rows = found.as_of == month
        lists.append(_at_lengths(found.label[rows], score[rows], weights[:, found.officer[rows]]))
    return np.asarray(np.mean(lists, axis=0))


def _at_lengths(label: npt.NDArray[np.float32], score: Array, weights: Array) -> Array:
    """Precision at LENGTHS for each draw; between the ends of ties the hits grow evenly."""
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    seen = np.cumsum(weights[:, order], axis=1)[:, ends]
    hits = np.cumsum(weights[:, order] * label[order], axis=1)[:, ends]
    lengths = np.maximum(1.0, np.outer(seen[:, -1], LENGTHS) / 100)
    return np.asarray([_hits(*row) / row[0] for row in zip(lengths, seen, hits, strict=True)])


def _hits(lengths: Array, seen: Array, hits: Array) -> Array:
    return np.asarray(np.interp(lengths, np.append(0.0, seen), np.append(0.0, hits)))


def _reason(profile: Profile, group: str, contribution: Array) -> dict[str, Any]:
    low, middle, high = np.quantile(contribution, [0.1, 0.5, 0.9])
    told: Mapping[str, float] = {
        "mean_absolute": float(np.abs(contribution).mean()),
        "low": float(low),
        "median": float(middle),
        "high": float(high),
        "share_raised": float((contribution > 0).mean()),
    }
    label = {language: group_label(profile, group, language) for language in ("zh", "en")}
    return {"group": group, "label": label, **{key: round(value, 6) for key, value in told.items()}}

"""The monitor's story: histories, champions and a month become findings, and those are stored for the page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine

from features.engine import FeatureRows, feature_rows
from features.histories.tables import Histories
from features.labels import labels, latest_labelled
from features.months import month_of_day, month_text, parse_month
from features.names import group_of
from features.profile import Profile
from serving.database import transaction
from serving.models.findings import FAR_OFF, Teller, drift_figures, ordered, verdict
from serving.models.monitored import FALSE_DISCOVERIES, STABLE, UNJUDGED, Finding, MonitoredMonth, store_month
from serving.scored.scoring import check_month
from serving.tables import Words
from training.judging.metrics import MODEL
from training.models.evidence import SUFFICIENT
from training.models.risk_model import RiskModel
from training.monitoring.coverage import (
    FEWEST_PAST,
    SILENT,
    WINDOWS,
    Arrivals,
    arrivals_by_measure,
    arrivals_by_unit,
    artefacts,
    holes,
    roster_shrunk,
)
from training.monitoring.drift import Drift, drifts
from training.monitoring.inputs import causes, margin_series, measure_series
from training.monitoring.performance import Performance, estimated, measured

REFERENCE_MONTHS = 36
FEWEST_REFERENCE = 6
SCORED_EVERY, MOST_SCORED = 3, 12
"""Reference months whose scores are computed anew: every third, for neighbours are nearly the same."""
JUDGED = 4
"""So many past lists are judged by what came of them."""
SHOWN_MONTHS = 24
FEWEST_ARRIVED = 2 * min(WINDOWS) + FEWEST_PAST
"""With fewer months of records holes can't be seen."""

Step = Callable[[int], None]
Served = Mapping[str, Mapping[str, Any]]
NOBODY_TOLD: Served = MappingProxyType({})


@dataclass(frozen=True)
class Watched:
    """One champion with the rows of its as-ofs: reference months, past lists to judge, the month itself."""

    model: RiskModel
    reference: tuple[int, ...]
    """Empty where there are too few."""
    judged: tuple[int, ...]
    begins: int
    """The first month that is compared with, whether or not there are enough."""


@dataclass
class _Found:
    """What is gathered on the way."""

    findings: list[Finding] = field(default_factory=list)
    inputs: list[Drift] = field(default_factory=list)
    risks: dict[str, Any] = field(default_factory=dict)


def monitor(
    given: Histories,
    models: Sequence[RiskModel],
    as_of: int,
    *,
    served: Served = NOBODY_TOLD,
    advance: Step = lambda _: None,
) -> MonitoredMonth:
    """Return what the monitor finds at ``as_of``, from nothing but what was recorded by then.

    ``served`` tells by whose word each risk's model serves (scoring.by_whose_word). ``advance`` is told 1 after
    coverage, inputs, and each model. Raises a Refusal where the month is not in the store.
    """
    check_month(given, as_of)
    known = given.until(as_of)
    teller = Teller(given.profile, as_of, frozenset(_measures(given.profile, models)))
    found, arrived = _Found(), arrivals_by_measure(known, as_of)
    _coverage(known, arrived, teller, found)
    advance(1)
    watched = [_watched(known, model, as_of) for model in models]
    _inputs(known, watched, teller, found)
    advance(1)
    if watched:
        rows = _rows(known, watched, as_of)
        for one in watched:
            _scores(known, one, rows, teller, found)
            advance(1)
    for risk, told in found.risks.items():
        told["served"] = served.get(risk)
    findings, unjudged = ordered(found.findings), _unjudged(watched, teller)
    unsaid = unjudged if len(unjudged) >= len(watched) else []
    return MonitoredMonth(
        as_of=as_of,
        scope=models[0].risk if len(models) == 1 and len(given.profile.risks) > 1 else "",
        level=findings[0].level if findings else UNJUDGED if unsaid else STABLE,
        verdict=verdict(findings, unsaid, fewest=0 if len(arrived.months) >= FEWEST_ARRIVED else FEWEST_ARRIVED),
        findings=findings,
        figures=_figures(known, arrived, found) | {"unjudged": unjudged},
    )


def monitor_into_store(
    given: Histories,
    models: Sequence[RiskModel],
    as_of: int,
    engine: Engine,
    *,
    served: Served = NOBODY_TOLD,
    advance: Step = lambda _: None,
) -> MonitoredMonth:
    """Run the monitor and store what it found; an earlier run of the month is replaced whole."""
    month = monitor(given, models, as_of, served=served, advance=advance)
    with transaction(engine) as session:
        store_month(session, month)
    return month


def _measures(profile: Profile, models: Sequence[RiskModel]) -> list[str]:
    """The measures that feed the models, those of their rates and sequences included; all where there is no model."""
    groups = {group_of(name) for model in models for name in model.names}
    for key in list(groups):
        if key in profile.settings.rates:
            groups |= {profile.settings.rates[key].of, profile.settings.rates[key].per}
        if key in profile.settings.sequences:
            groups |= {profile.settings.sequences[key].first, profile.settings.sequences[key].then}
    return [key for key in profile.measures if key in groups or not models]


def _coverage(known: Histories, arrived: Arrivals, teller: Teller, found: _Found) -> None:
    gone = holes(arrived)
    found.findings += [teller.hole(hole) for hole in gone]
    by_unit = arrivals_by_unit(known, teller.as_of, without=[hole.subject for hole in gone])
    found.findings += [teller.unit(hole) for hole in holes(by_unit, at_most=SILENT)]
    found.findings += [teller.artefact(one) for one in artefacts(known)]
    shrunk = roster_shrunk(arrived)
    if shrunk:
        found.findings.append(teller.roster(*shrunk))


def _watched(known: Histories, model: RiskModel, as_of: int) -> Watched:
    trained = model.card.get("trained_on", {})
    last = min(parse_month(trained["to"]) if "to" in trained else as_of - 1, as_of - 1)
    first = max(parse_month(trained["from"]) if "from" in trained else 0, _first_month(known), last - REFERENCE_MONTHS)
    reference = tuple(range(first, last + 1))
    fresh = parse_month(trained["until"]) if "until" in trained else as_of
    newest = latest_labelled(known, model.risk)
    judged = [month for month in range(newest, newest - 3 * JUDGED, -3) if month >= fresh]
    enough = len(reference) >= FEWEST_REFERENCE
    return Watched(model, reference if enough else (), tuple(sorted(judged)), begins=first)


def _unjudged(watched: Sequence[Watched], teller: Teller) -> list[Words]:
    """Why inputs and scores are not compared: no model at all, or models with too few months to compare with."""
    if not watched:
        return [teller.no_model()]
    without = [one for one in watched if not one.reference]
    return [teller.too_early(one.model.risk, one.begins, needed=FEWEST_REFERENCE) for one in without]


def _first_month(known: Histories) -> int:
    """The first month that can be compared: half a year after the first event, when windows have filled."""
    return int(month_of_day(known.events.occurred.min())) + FEWEST_REFERENCE


def _inputs(known: Histories, watched: Sequence[Watched], teller: Teller, found: _Found) -> None:
    reference = min((one.reference for one in watched if one.reference), default=(), key=lambda months: months[-1])
    if not reference:
        return
    series = measure_series(known, range(reference[0], teller.as_of + 1), sorted(teller.used))
    recent = teller.as_of - 12
    found.inputs = [one for one in drifts(series, reference) if one.month > recent]
    found.findings += [teller.input(one) for one in found.inputs if one.q <= FALSE_DISCOVERIES]


def _rows(known: Histories, watched: Sequence[Watched], as_of: int) -> FeatureRows:
    """The rows of every as-of that some model is looked at: one walk through the months for all."""
    months = {as_of}.union(*(set(_scored(one)) | set(one.judged) for one in watched))
    names = tuple(dict.fromkeys(name for one in watched for name in one.model.names))
    return feature_rows(known, sorted(months), names=names)


def _scored(one: Watched) -> tuple[int, ...]:
    return one.reference[::-1][::SCORED_EVERY][:MOST_SCORED][::-1]


def _scores(known: Histories, one: Watched, rows: FeatureRows, teller: Teller, found: _Found) -> None:
    risk, model, reference = one.model.risk, one.model, _scored(one)
    now = rows.take(rows.as_of == teller.as_of)
    probability = model.probability(now)
    capacity = known.profile.risks[risk].capacity(len(now))
    told: dict[str, Any] = {
        "model_version": model.version,
        "label": {language: known.profile.label(risk, language) for language in ("zh", "en")},
        "mean": float(probability.mean()),
        "capacity": capacity,
        "listed_mean": _listed_mean(known, model, now, probability, capacity=capacity),
        "expected": _performance(estimated(probability, capacity=capacity)),
        "measured": [],
        "card": model.card.get("figures", {}).get(MODEL, {}).get("average_precision"),
        "first_judged": month_text(_first_judged(known, model)) if "trained_on" in model.card else None,
    }
    _score_drift(one, rows, reference, told, teller, found)
    for month in one.judged:
        _judge(known, one, rows.take(rows.as_of == month), told, teller, found)
    found.risks[risk] = told


def _listed_mean(
    known: Histories, model: RiskModel, now: FeatureRows, probability: npt.NDArray[np.float64], *, capacity: int
) -> float | None:
    """The mean probability of those whom the list names: who has no place in its order is left out."""
    ranked = probability[model.evidence(now, np.asarray(known.posts, dtype=np.str_)[now.post]) == SUFFICIENT]
    return float(np.sort(ranked)[-capacity:].mean()) if len(ranked) and capacity else None


def _score_drift(
    one: Watched, rows: FeatureRows, reference: Sequence[int], told: dict[str, Any], teller: Teller, found: _Found
) -> None:
    chosen = rows.take(np.isin(rows.as_of, [*reference, teller.as_of]))
    officers = int(rows.officer.max()) + 1
    judged = drifts([margin_series(one.model, chosen, officers)], reference) if len(reference) >= 3 else []
    for drift in judged:
        before = float(one.model.probability(chosen.take(chosen.as_of != teller.as_of)).mean())
        told["drift"] = drift_figures(drift) | {"mean_before": before, "mean_now": told["mean"]}
        if drift.p <= FALSE_DISCOVERIES:
            why = causes(one.model, chosen, teller.as_of, reference)
            found.findings.append(teller.score(one.model.risk, drift, (before, told["mean"]), why))


def _judge(
    known: Histories, one: Watched, rows: FeatureRows, told: dict[str, Any], teller: Teller, found: _Found
) -> None:
    month, risk = int(rows.as_of[0]), one.model.risk
    outcome = labels(known, risk, [month])
    probability = one.model.probability(rows)
    capacity = known.profile.risks[risk].capacity(len(rows))
    came = measured(rows.officer, outcome.label, probability, capacity=capacity)
    if came is None or came.ratio is None:
        return
    hoped = _performance(estimated(probability, capacity=capacity))
    told["measured"].append({"month": month_text(month), **_performance(came), "estimate": hoped["average_precision"]})
    if month != one.judged[-1]:
        return
    low, high = came.ratio.low, came.ratio.high
    if low > FAR_OFF or high < 1 / FAR_OFF:
        found.findings.append(teller.calibration(risk, month, came))
    card = told["card"]
    if card and card[1] is not None and came.average_precision.high < card[1]:
        found.findings.append(teller.precision(risk, month, came, card))


def _first_judged(known: Histories, model: RiskModel) -> int:
    risk = known.profile.risks[model.risk]
    return parse_month(model.card["trained_on"]["until"]) + risk.horizon_months + risk.maturity_months


def _performance(found: Performance) -> dict[str, Any]:
    return {
        "people": found.people,
        "average_precision": found.average_precision.as_json(),
        "precision": found.precision.as_json(),
        "expected": round(found.expected, 2),
        "observed": found.observed,
        "calibration_error": found.calibration_error.as_json() if found.calibration_error else None,
        "ratio": found.ratio.as_json() if found.ratio else None,
    }


def _figures(known: Histories, arrived: Arrivals, found: _Found) -> dict[str, Any]:
    """What the page draws besides the findings; labels as they are now, so that it needs no profile."""
    profile, shown = known.profile, slice(-SHOWN_MONTHS, None)
    ages = np.arange(len(arrived.months))[::-1].clip(0, arrived.rows.shape[2] - 1)
    rows = arrived.rows[:, np.arange(len(arrived.months)), ages]
    arrives = [number for number in range(len(rows)) if rows[number].any()]
    return {
        "roster": int(arrived.people[0, -1]) if len(arrived.people) else 0,
        "months": [month_text(month) for month in arrived.months[shown]],
        "arrivals": [
            {"measure": arrived.subjects[number], "rows": [int(value) for value in rows[number, shown]]}
            for number in arrives
        ],
        "labels": {
            key: {language: profile.label(key, language) for language in ("zh", "en")} for key in profile.measures
        },
        "inputs": [drift_figures(one) for one in found.inputs],
        "risks": found.risks,
    }

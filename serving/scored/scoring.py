"""Score, explain and recommend for whole cohorts, into SQL; or into a Parquet file for evaluation."""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Engine, Select, or_, select
from sqlalchemy.orm import Session

from features.cohort import cohort
from features.engine import FeatureRows, feature_names, feature_rows
from features.errors import Refusal
from features.histories.reach import reach_of
from features.histories.tables import Histories
from features.histories.versions import keep_version, known_digest
from features.months import last_day, month_end, month_text, timestamps
from features.names import group_label, group_of
from features.profile import Profile
from serving.access.audit import SYSTEM, record
from serving.database import transaction
from serving.decisions.consents import owe_again
from serving.decisions.flags import raise_flags
from serving.decisions.standing import corrected, corrections, standing_score, standing_strongest
from serving.decisions.tables import Published
from serving.persons.records import MONTHS_DRAWN, Records, records
from serving.scored.lists import (
    PersonFacts,
    ScoredList,
    ScoredPerson,
    store_facts,
    store_list,
    store_recommendations,
)
from serving.scored.recommendations import NOTEWORTHY, Flag, Situation, recommend, situations
from serving.scored.shares import scored_units
from serving.scored.told import gated, whose
from serving.tables import Batch, Reasons, Score
from training.models.reasons import Reason, told_names
from training.models.risk_model import Array, RiskModel, Rows, Scores
from training.models.scoring import ScoredCohort, scored
from training.models.split import Pushed, Split, UnitShare, split, unit_shares
from training.registry.registry import Registry

KEPT = 8
"""So many of the strongest reasons are kept with words; all contributions are kept as numbers."""
DRAWN = 6
"""The history is kept of so many of the strongest reasons."""

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Ready:
    """All that scoring some months needs from the histories: computed once for all of them."""

    given: Histories
    rows: FeatureRows
    records: Records
    situations: dict[int, Situation]
    known: dict[int, str]
    """Digest of what was known at each as-of."""
    version: str | None
    """The version of the store, kept for replay."""
    served: dict[str, dict[str, Any]]
    """By whose word each risk's model serves, where the registry tells."""


@dataclass(frozen=True)
class _AlreadyScored(RiskModel):
    """A model whose scores of the rows are known, so that trees are not walked twice."""

    scores: Scores | None = None

    def score(self, rows: Rows) -> Scores:
        """Return what was computed before."""
        return self.scores or super().score(rows)


def _already_scored(model: RiskModel, scores: Scores) -> RiskModel:
    own = {part.name: getattr(model, part.name) for part in fields(RiskModel)}
    return _AlreadyScored(**own, scores=scores)


@dataclass(frozen=True)
class Explained:
    """A scored cohort with all contributions [person, group]; its reasons are told in words, all or the strongest.

    ``parts`` splits each margin into post, unit and person; ``units`` says what each unit's people share.
    """

    cohort: ScoredCohort
    groups: tuple[str, ...]
    contributions: Array
    parts: Split
    units: tuple[UnitShare, ...]


@dataclass(frozen=True)
class Computed:
    """What workers have computed of some months: feature rows, and the scores of each risk's model at each as-of."""

    rows: FeatureRows
    scores: Mapping[tuple[str, int], Scores]

    def known(self, model: RiskModel, as_of: int) -> RiskModel:
        """Return the model, which then says what it said."""
        return _already_scored(model, self.scores[model.risk, as_of])


def score_into_store(
    given: Histories,
    models: Sequence[RiskModel],
    as_ofs: Sequence[int],
    engine: Engine,
    *,
    advance: Advance,
    told: int | None = KEPT,
    home: Path | None = None,
    computed: Computed | None = None,
) -> list[ScoredCohort]:
    """Score, explain and recommend for each month, one transaction a month; return what was scored.

    Drafts of the same risk and month are replaced, published lists never; those of other data, model or profile are
    kept as superseded. Each list raises, renews or expires the flags of its risk.
    With ``home`` the store's present version is kept too, so that the lists can be rebuilt. ``advance`` is told 1 for
    each risk and month; ``computed`` holds what need not be computed again; ``told`` says how many reasons the
    returned cohorts hold (None = all). A Refusal says when a month lies outside the store or nobody is in its cohort;
    nothing is written then.
    """
    for as_of in as_ofs:
        check_month(given, as_of)
    ready = Ready(
        given=given,
        rows=computed.rows if computed else feature_rows(given, as_ofs, names=names_needed(given.profile, models)),
        records=records(given, as_ofs),
        situations=situations(given, as_ofs),
        known={as_of: known_digest(given, as_of) for as_of in as_ofs},
        version=keep_version(home, needed=_published_versions(engine)) if home else None,
        served=by_whose_word(home, models) if home else {},
    )
    found = []
    for as_of in sorted(as_ofs):
        month = [
            explained(
                given,
                computed.known(model, as_of) if computed else model,
                rows_of(ready.rows, as_of, model),
                told=told,
            )
            for model in models
        ]
        with transaction(engine) as session:
            for each in month:
                batch = store_list(session, _list(ready, each))
                raise_flags(session, batch, expires_months=given.profile.settings.policy.flag_expires_months)
                advance(1)
            store_facts(session, as_of, _facts(ready, as_of))
            offers = recommend(ready.situations[as_of], flags(session, month_end(as_of)))
            store_recommendations(session, as_of, offers)
            versions = {model.risk: model.version for model in models}
            record(session, SYSTEM, "lists scored", month_text(as_of), versions=versions)
            owe_again(session, given.bases)
        found += [each.cohort for each in month]
    return found


def _published_versions(engine: Engine) -> frozenset[str]:
    """The versions of the store of which published lists were made: they can be replayed for ever."""
    joined = select(Batch.histories_version).join(Published, Published.batch_id == Batch.id)
    with transaction(engine, writes=False) as session:
        return frozenset(name for name in session.scalars(joined.distinct()) if name)


def by_whose_word(home: Path, models: Sequence[RiskModel]) -> dict[str, dict[str, Any]]:
    """Return by whose word each risk's model serves, of those in production: a forced one is told on every page."""
    registry = Registry(home)
    spells = {model.risk: registry.in_production(model.risk) for model in models}
    return {
        model.risk: {name: getattr(spell, name) for name in ("since", "by", "reason", "forced")}
        | {"objections": [dict(each) for each in spell.objections]}
        for model in models
        if (spell := spells[model.risk]) is not None and spell.version == str(model.version)
    }


def check_month(given: Histories, as_of: int) -> None:
    """Raise a Refusal where a month has no data or no cohort."""
    reach_of(given).check_months(as_of)
    if not len(cohort(given, as_of)):
        tenure = given.profile.settings.min_tenure_months
        raise Refusal(
            f"Nobody is in the cohort of {month_text(as_of)}.",
            hint=f"It needs a posting on the month's last day and {tenure} months since the first posting.",
        )


def rows_of(rows: FeatureRows, as_of: int, model: RiskModel) -> FeatureRows:
    """Return the rows of one month; a Refusal where a column of the model is not there."""
    missing = sorted(set(model.names) - set(rows.names))
    if missing:
        raise Refusal(
            f"The model of '{model.risk}' needs features that this profile does not give:",
            missing,
            hint=f"Train it again: jingxing train --risk {model.risk}",
        )
    return rows.take(rows.as_of == as_of)


def explained(given: Histories, model: RiskModel, rows: FeatureRows, *, told: int | None) -> Explained:
    """Return the scores of one month's rows, with so many of the strongest reasons in words (None = all).

    Sentences take most of the time of scoring, and a list shows the strongest only; the rest stay numbers.
    """
    scores = model.score(rows)
    by_feature = scores.by_feature
    if told is not None and told < len(scores.groups):
        size = np.abs(scores.contributions)
        kept = size >= np.partition(size, -told, axis=1)[:, [-told]]
        place = {group: number for number, group in enumerate(scores.groups)}
        by_feature = by_feature * kept[:, [place[group_of(name)] for name in model.names]]
    known = _already_scored(model, replace(scores, by_feature=by_feature))
    parts = split(model.names, scores.by_feature, post=rows.post, unit=rows.unit)
    seen = Pushed(model.names, scores.by_feature, rows.names, rows.values, rows.post, rows.unit)
    cohort_ = scored(given, known, rows)
    return Explained(cohort_, scores.groups, scores.contributions, parts, unit_shares(parts, seen))


def flags(session: Session, as_of: dt.date, *, officer_id: str | None = None) -> dict[str, list[Flag]]:
    """Return what the lists of a month say of those who call for help (of one officer: whatever they say), by officer.

    What was computed anew since counts as it stands, with the place that the person would have.
    """
    found: dict[str, list[Flag]] = {}
    only = None if officer_id is None else [officer_id]
    for batch in session.scalars(select(Batch).where(Batch.as_of == as_of).order_by(Batch.risk)):
        anew, (_, since) = corrected(session, batch, only), corrections(session, batch, only)
        for score, strongest in session.execute(_calling(batch, officer_id)):
            who = score.officer_id
            rank = since[who].rank if who in since else score.rank
            if rank is not None:
                stands = standing_score(score, anew.get(who)), standing_strongest(strongest, anew.get(who))
                found.setdefault(who, []).append(_flag(batch, *stands, rank=rank))
    return found


def _calling(batch: Batch, officer_id: str | None) -> Select[tuple[Score, list[Any]]]:
    """Those whose listed score calls for help, or one officer."""
    statement = (
        select(Score, Reasons.strongest)
        .join(Reasons, (Reasons.batch_id == Score.batch_id) & (Reasons.officer_id == Score.officer_id))
        .where(Score.batch_id == batch.id)
    )
    if officer_id is not None:
        return statement.where(Score.officer_id == officer_id)
    means = {post: mean for post, mean in batch.post_means.items() if post}
    high = [(Score.post == post) & (Score.probability >= NOTEWORTHY * mean) for post, mean in means.items()]
    high.append(Score.post.not_in(means) & (Score.probability >= NOTEWORTHY * batch.post_means[""]))
    return statement.where(Score.rank.is_not(None), or_(Score.rank <= batch.capacity, *high))


def write_parquet(path: Path, cohorts: Sequence[ScoredCohort]) -> None:
    """Write the contract's columns, every reason included, by risk and rank."""
    tables = [score_table(each, each.order()) for each in cohorts]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.concat_tables(tables), path)


def reason_of(reason: Reason) -> dict[str, Any]:
    """Return a reason under the contract's names."""
    return {
        "measure": reason.group,
        "contribution": reason.contribution,
        "stable": reason.stable,
        "value": reason.value,
        "usual": reason.usual,
        "peers": reason.peers,
        "window": reason.window,
        "sentence_zh": reason.sentence_zh,
        "sentence_en": reason.sentence_en,
    }


def names_needed(profile: Profile, models: Sequence[RiskModel]) -> list[str]:
    """Return every column that models or their reasons need; those that the profile doesn't give are refused later."""
    wanted = {name for model in models for name in told_names(profile, model.names)}
    return [name for name in feature_names(profile) if name in wanted]


def _flag(batch: Batch, score: Score, strongest: Sequence[dict[str, Any]], *, rank: int) -> Flag:
    return Flag(
        risk=batch.risk,
        probability=score.probability,
        mean=float(batch.post_means.get(score.post, batch.post_means[""])),
        whose=whose(batch, score.post),
        rank=rank,
        on_list=rank <= batch.capacity,
        pushing=tuple(reason["measure"] for reason in strongest if reason["contribution"] > 0 and gated(reason)),
    )


def _list(ready: Ready, explained: Explained) -> ScoredList:
    each, profile = explained.cohort, ready.given.profile
    risk = profile.risks[each.risk]
    people = [_person(ready, explained, row) for row in each.order()]
    drawn = {group for person in people for group in person.history}
    return ScoredList(
        risk=each.risk,
        as_of=each.as_of,
        model_version=each.model_version,
        capacity=risk.capacity(len(each)),
        horizon_months=risk.horizon_months,
        purpose=risk.purpose,
        recorded_until=_recorded_until(ready.given, each.as_of),
        profile_digest=profile_digest(profile),
        base_value=each.base_value,
        groups=explained.groups,
        labels=_labels(profile, each.risk, explained.groups, ready.given.posts),
        people=people,
        months=[month_text(month) for month in range(each.as_of - MONTHS_DRAWN + 1, each.as_of + 1)],
        medians={
            post: {group: ready.records.median(number, group, each.as_of) for group in sorted(drawn)}
            for number, post in enumerate(ready.given.posts)
        },
        histories_version=ready.version,
        known_digest=ready.known[each.as_of],
        served=ready.served.get(each.risk),
        profile=profile.model_dump(mode="json"),
        units=scored_units(ready.given, each.risk, explained.units),
    )


def profile_digest(profile: Profile) -> str:
    """Return the SHA-256 of a profile's content."""
    return hashlib.sha256(profile.model_dump_json().encode()).hexdigest()


def _person(ready: Ready, explained: Explained, row: int) -> ScoredPerson:
    each = explained.cohort
    reasons = each.reasons[row][:KEPT]
    drawn = [reason.group for reason in reasons if reason.group in ready.records.groups][:DRAWN]
    officer = int(each.officer[row])
    return ScoredPerson(
        officer_id=str(each.officer_id[row]),
        post=ready.given.posts[each.post[row]],
        unit=ready.given.units[each.unit[row]],
        probability=float(each.probability[row]),
        low=float(each.low[row]),
        high=float(each.high[row]),
        rank=int(each.rank[row]) or None,
        evidence=str(each.evidence[row]),
        contributions=explained.contributions[row].tolist(),
        strongest=[reason_of(reason) for reason in reasons],
        history={group: ready.records.of(officer, group, each.as_of) for group in drawn},
        part_post=float(explained.parts.post[row]),
        part_unit=float(explained.parts.unit[row]),
        part_person=float(explained.parts.person[row]),
    )


def _labels(profile: Profile, risk: str, groups: Iterable[str], posts: Iterable[str]) -> dict[str, Any]:
    def both(key: str) -> dict[str, str]:
        return {language: profile.label(key, language) for language in ("zh", "en")}

    measures = {}
    for group in groups:
        measures[group] = {language: group_label(profile, group, language) for language in ("zh", "en")}
        measure = profile.measures.get(group)
        if measure and measure.unit:
            measures[group] |= {"unit_zh": measure.unit.zh, "unit_en": measure.unit.en}
    return {"risk": both(risk), "posts": {post: both(post) for post in posts}, "measures": measures}


def _recorded_until(given: Histories, as_of: int) -> dt.date:
    known = given.events.recorded[given.events.recorded <= last_day(as_of)]
    return dt.date(1970, 1, 1) + dt.timedelta(days=int(known.max()))


def _facts(ready: Ready, as_of: int) -> list[PersonFacts]:
    members = cohort(ready.given, as_of)
    found = []
    for row, officer in enumerate(members.officer):
        percentile = ready.records.percentile(int(officer), as_of)
        found.append(
            PersonFacts(
                officer_id=str(ready.given.officers[officer]),
                post=ready.given.posts[members.post[row]],
                unit=ready.given.units[members.unit[row]],
                tenure_months=int(members.tenure[row]),
                dimensions={} if percentile is None else {"efficiency": percentile},
            )
        )
    return found


REASON = pa.struct(
    [
        ("measure", pa.string()),
        ("contribution", pa.float64()),
        ("stable", pa.bool_()),
        ("value", pa.float64()),
        ("usual", pa.float64()),
        ("peers", pa.float64()),
        ("window", pa.int32()),
        ("sentence_zh", pa.string()),
        ("sentence_en", pa.string()),
    ]
)
"""A reason in a score file; the contributions of all sum, with base_value, to the log-odds of probability."""


def score_table(each: ScoredCohort, order: npt.NDArray[np.int64]) -> pa.Table:
    """Return the contract's columns of a cohort in an order, every reason included."""
    size = len(each)
    reasons = [[reason_of(reason) for reason in each.reasons[row]] for row in order]
    return pa.table(
        {
            "officer_id": pa.array([str(name) for name in each.officer_id[order]]),
            "as_of": pa.array(timestamps(np.full(size, last_day(each.as_of)))),
            "risk": pa.array([each.risk] * size),
            "probability": pa.array(each.probability[order]),
            "low": pa.array(each.low[order]),
            "high": pa.array(each.high[order]),
            "rank": pa.array(each.rank[order], pa.int32(), mask=each.rank[order] == 0),
            "model_version": pa.array([str(each.model_version)] * size),
            "base_value": pa.array(np.full(size, each.base_value)),
            "reasons": pa.array(reasons, pa.list_(REASON)),
            "evidence": pa.array([str(kind) for kind in each.evidence[order]]),
        }
    )

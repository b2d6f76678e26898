"""The shapes of the API's answers: they are its documentation in /openapi.json."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from serving.persons.seen import Seen
from serving.scored.queries import Entry, PersonRisk
from serving.scored.told import gated
from serving.tables import Batch, RecommendationRow
from serving.words import same


def with_zone(moment: dt.datetime) -> dt.datetime:
    """Return a time with its zone: SQLite gives times back without it, they are UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


Moment = Annotated[dt.datetime, AfterValidator(with_zone)]


class Answer(BaseModel):
    """The base of all answers."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


class Text(Answer):
    """A text in Chinese and English."""

    zh: str = Field(examples=["夜班 14 次（近 3 个月），本岗位中位数 8 次，推高风险"])
    en: str = Field(examples=["14 night shifts (3 months), the post's middle is 8: raises the risk"])


class Reason(Answer):
    """Why: one measure with all its windows."""

    measure: str = Field(examples=["night_shift"])
    contribution: float = Field(description="Log-odds; base value and all contributions sum to the margin.")
    stable: bool = Field(default=True, description="Sign and place hold over bags and seeds; pages name only these.")
    points: float = Field(description="The same as a share of the probability; start and points add up to it.")
    value: float | None = Field(default=None, description="The person's number in the window.")
    usual: float | None = Field(default=None, description="The person's own usual.")
    peers: float | None = Field(default=None, description="The middle of the post; null where the role may not see it.")
    window: str | int | None = Field(default=None, description="The window of these numbers.")
    sentence: Text


class Split(Answer):
    """A risk split by whom it is shared with; log-odds: base value + post + unit + person is the margin."""

    post: float = Field(description="Features of the post, and what is usual in it.")
    unit: float = Field(description="Features of the unit, and what its other people have beyond their posts.")
    person: float = Field(description="What is left.")


class Correction(Answer):
    """A score that was computed anew since the list was published: consent was withdrawn or an objection upheld."""

    on: dt.date
    probability: float
    low: float
    high: float
    rank: int | None = Field(description="The place the person would have; null where the evidence is insufficient.")
    evidence: str = Field(description="sufficient, little_history or unlike_training.")


class AsPublished(Answer):
    """What the published list says of a person whose score was corrected since."""

    corrected_on: dt.date
    probability: float
    low: float
    high: float
    rank: int | None


WITHHELD = "Log-odds of all health reasons together, where the person withdrew consent: none is told by itself."


SPLIT = "Post, unit and person; null in older lists, and where the role may not see post and unit."


class ListEntry(Answer):
    """One person of a list: in a published one as it was published, with a later correction beside."""

    officer_id: str = Field(examples=["021457"])
    post: str | None = Field(description="Null where the role may not see it.")
    unit: str | None = Field(description="Null where the role may not see it.")
    probability: float = Field(ge=0, le=1, examples=[0.41])
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)
    post_mean: float = Field(description="Mean probability of the post; of all where the role may not see it.")
    rank: int = Field(ge=1)
    previous_rank: int | None = Field(description="Rank in the list before; null if not in it.")
    in_capacity: bool = Field(description="Within what the team can attend to this month.")
    split: Split | None = Field(default=None, description=SPLIT)
    status: str | None = Field(
        examples=["open"],
        description="Of the review: open, acted, watched, dismissed, expired. Null beyond the list's capacity, where "
        "nobody is asked to decide, and for roles that may not know.",
    )
    flag_id: int | None = Field(default=None, examples=[17], description="What POST /reviews decides on.")
    flag_version: int | None = Field(default=None, examples=[0], description="What POST /reviews must have seen.")
    reasons: list[Reason]
    withheld: float | None = Field(default=None, description=WITHHELD)
    actions: list[str] = Field(description="Keys of what is recommended, the most pressing first.")
    correction: Correction | None = Field(
        default=None,
        description="Null unless the score was computed anew since the list was published; the reasons and their "
        "points are then those of the correction. A draft is put into the order of what stands instead.",
    )


class Unranked(Answer):
    """A person with insufficient evidence: not ranked, never within capacity. Talk instead of relying on a model."""

    officer_id: str
    post: str | None
    unit: str | None
    probability: float
    low: float
    high: float
    evidence: str = Field(examples=["little_history"], description="little_history or unlike_training.")
    why: Text


class RiskList(Answer):
    """A page of the ranked list of one risk and month."""

    risk: str = Field(examples=["burnout"])
    label: Text
    as_of: dt.date = Field(examples=["2024-06-30"])
    model_version: str
    forced: str | None = Field(description="Why the model serves although the gate objected; null where it passed.")
    scored_at: Moment
    recorded_until: dt.date = Field(description="The last day on which anything in the store was recorded.")
    horizon_months: int
    cohort: int
    capacity: int
    base_value: float = Field(description="Log-odds of the average, from which contributions and splits start.")
    state: str = Field(examples=["published"], description="draft until a person publishes it; then it never changes.")
    run: int = Field(description="How often this month was scored; POST …/publication names the one looked at.")
    reordered: int = Field(
        default=0, description="How often corrections put the draft into another order; give it to POST …/publication."
    )
    digest: str | None = Field(description="SHA-256 of a published list; null for a draft.")
    total: int = Field(description="Persons that fit the filters.")
    entries: list[ListEntry]
    unranked: list[Unranked] = Field(default=[], description="Whose evidence is insufficient; on the first page only.")
    next_cursor: str | None = Field(description="Give it as cursor for the next page; null on the last.")


class RiskMonth(Answer):
    """A risk in one of the months before."""

    as_of: dt.date
    probability: float
    low: float
    high: float
    rank: int | None


class OfficerRisk(Answer):
    """One risk of a person with all that led to it."""

    risk: str
    label: Text
    model_version: str
    probability: float
    low: float
    high: float
    post_mean: float
    rank: int | None = Field(description="Null where the evidence is insufficient.")
    evidence: str = Field(default="sufficient", description="sufficient, little_history or unlike_training.")
    previous_rank: int | None
    in_capacity: bool
    base_value: float = Field(description="Log-odds of the average from which contributions start.")
    margin: float = Field(description="Log-odds of the probability: base value plus all contributions.")
    split: Split | None = Field(default=None, description=SPLIT)
    reasons: list[Reason] = Field(description="The strongest, with words.")
    contributions: dict[str, float] = Field(
        description="Every group's log-odds; where the role may not see the post, those of the stable reasons, and the "
        "sum of all others under 'other'."
    )
    withheld: float | None = Field(default=None, description=WITHHELD)
    other_influences: float = Field(default=0.0, description="Log-odds of all that is not among the stable reasons.")
    as_published: AsPublished | None = Field(
        default=None,
        description="What the published list says, where the score was corrected since; the other fields but rank "
        "tell the score as it stands.",
    )
    trend: list[RiskMonth]


class Officer(Answer):
    """A person's risks, reasons and recommended actions at a month."""

    officer_id: str
    as_of: dt.date
    post: str | None = Field(description="Null where the role may not see it.")
    unit: str | None = Field(description="Null where the role may not see it.")
    tenure_months: int | None = Field(description="Null where the role may not see it.")
    risks: list[OfficerRisk]
    actions: list[str]


class Offer(Answer):
    """One thing to offer."""

    action: str = Field(examples=["compensatory_leave"])
    kind: str = Field(examples=["rest"])
    label: Text
    reason: Text
    why: Text
    opening: Text | None = Field(description="Words for the first conversation.")
    by_right: bool = Field(description="Due whatever the risk.")
    owner: str = Field(description="Who arranges it.")
    decides: str = Field(description="Who decides on it.")
    mentor_id: str | None
    benefit: float | str = Field(description='Expected change of the risk, or "not estimable".')


class Offers(Answer):
    """What to offer to a person."""

    officer_id: str
    as_of: dt.date
    recommendations: list[Offer]


def reason_of(stored: dict[str, Any], points_per_unit: float) -> Reason:
    """Return a stored reason as the API tells it."""
    return Reason(
        measure=stored["measure"],
        contribution=stored["contribution"],
        points=stored["contribution"] * points_per_unit,
        stable=gated(stored),
        sentence=Text(zh=stored["sentence_zh"], en=stored["sentence_en"]),
        **{name: stored.get(name) for name in ("value", "usual", "peers", "window")},
    )


def split_of(score: Seen) -> Split | None:
    """Return the split of a risk; None in lists older than it."""
    if score.part_post is None or score.part_unit is None or score.part_person is None:
        return None
    return Split(post=score.part_post, unit=score.part_unit, person=score.part_person)


def entry_of(entry: Entry, batch: Batch) -> ListEntry:
    """Return one person of a list."""
    return ListEntry(
        **_score(entry.score),
        post=entry.score.post,
        unit=entry.score.unit,
        officer_id=entry.score.officer_id,
        post_mean=batch.post_means.get(entry.score.post or "", batch.post_means[""]),
        in_capacity=entry.score.within(batch.capacity),
        split=split_of(entry.score),
        status=entry.flag.status if entry.flag else None,
        flag_id=entry.flag.id if entry.flag else None,
        flag_version=entry.flag.version if entry.flag else None,
        reasons=[reason_of(reason, entry.points_per_unit) for reason in entry.strongest],
        withheld=entry.withheld,
        actions=[offer.action for offer in entry.offers],
        correction=Correction(**vars(entry.correction)) if entry.correction else None,
    )


def officer_risk_of(view: PersonRisk) -> OfficerRisk:
    """Return one risk of a person."""
    batch, score = view.batch, view.score
    return OfficerRisk(
        **_score(score),
        risk=batch.risk,
        label=Text(**batch.labels["risk"]),
        model_version=batch.model_version,
        post_mean=view.post_mean,
        evidence=score.evidence,
        in_capacity=score.within(batch.capacity),
        base_value=batch.base_value,
        margin=view.margin,
        split=split_of(score),
        reasons=[reason_of(reason, view.points_per_unit) for reason in view.reasons.strongest],
        contributions=dict(zip(view.reasons.groups, view.reasons.contributions, strict=True)),
        withheld=view.reasons.withheld,
        other_influences=view.margin - batch.base_value - sum(_firm(view.reasons.strongest)),
        as_published=_as_published(view),
        trend=[
            RiskMonth(as_of=b.as_of, probability=s.probability, low=s.low, high=s.high, rank=s.rank)
            for b, s in view.trend
        ],
    )


def offer_of(row: RecommendationRow) -> Offer:
    """Return one recommendation."""
    return Offer(
        action=row.action,
        kind=row.kind,
        label=Text(**row.label),
        reason=Text(**row.reason),
        why=Text(**row.why),
        opening=Text(**row.opening) if row.opening else None,
        by_right=row.by_right,
        owner=row.owner,
        decides=row.decides,
        mentor_id=row.mentor_id,
        benefit="not estimable" if row.benefit is None else row.benefit,
    )


def unranked_of(score: Seen) -> Unranked:
    """Return one person whose evidence is insufficient."""
    names = ("officer_id", "post", "unit", "probability", "low", "high", "evidence")
    why = Text(**same(f"evidence_{score.evidence}"))
    return Unranked(**{name: getattr(score, name) for name in names}, why=why)


def _as_published(view: PersonRisk) -> AsPublished | None:
    if view.correction is None or view.published is None:
        return None
    names = ("probability", "low", "high", "rank")
    return AsPublished(corrected_on=view.correction.on, **{name: getattr(view.published, name) for name in names})


def _firm(strongest: Sequence[dict[str, Any]]) -> list[float]:
    return [reason["contribution"] for reason in strongest if gated(reason)]


def _score(score: Seen) -> dict[str, Any]:
    names = ("probability", "low", "high", "rank", "previous_rank")
    return {name: getattr(score, name) for name in names}

"""What to offer to whom, first form: rules over the profile's actions. Each offer says why and who decides.

Whoever has a right to something gets it offered, on a list or not. Who mentors whom is matched in serving/mentoring,
when rest is taken planned in serving/rest, and what becomes of an offer followed in serving/offers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from features.assessment.ground.assessable import assessable
from features.assessment.ground.levels import monthly_scores
from features.assessment.leaders import leaders
from features.engine import FeatureRows, feature_rows
from features.histories.tables import Histories
from features.names import group_label
from features.profile import Profile
from features.profile_rows import Action
from features.texts import Text
from serving.scored.lists import WELLNESS, Recommendation
from serving.words import LANGUAGES, both, joined, percent, same, say

ANSWERS_PER_RISK = 2
"""So many offers of rest, care or culture at most for one person and risk: more would not be taken."""
NOTEWORTHY = 5.0
"""A risk of so many times the post's average is answered also beyond the list's capacity."""


@dataclass(frozen=True)
class Flag:
    """What one list says of one person; ``pushing`` are the measures that push up, the strongest first."""

    risk: str
    probability: float
    mean: float
    rank: int
    on_list: bool
    pushing: tuple[str, ...] = ()
    whose: str = "whose_post"
    """Whose mean it is, as a key of words: the post's, or that of all where so few are in it."""

    @property
    def calls_for_help(self) -> bool:
        """Whether somebody should act: within the list's capacity, or far above the own post."""
        return self.on_list or self.probability >= NOTEWORTHY * self.mean


Flags = Mapping[str, Sequence[Flag]]
"""Flags by officer_id."""


@dataclass(frozen=True)
class Leader:
    """Who led the post in each of the last months: what that earns (training or rotation), and why in words."""

    earns: str
    reason: Mapping[str, str]


@dataclass(frozen=True)
class Situation:
    """The cohort of one month as the rules see it: rows as in FeatureRows, one per person."""

    profile: Profile
    officer_ids: tuple[str, ...]
    columns: Mapping[str, npt.NDArray[np.float32]]
    leading: Mapping[str, Leader]
    """Who leads by the assessment's rule (features.assessment.leaders), by officer_id."""

    def column(self, name: str) -> npt.NDArray[np.float32]:
        """Return a feature by name, NaN where unknown."""
        absent = np.full(len(self.officer_ids), np.nan, dtype=np.float32)
        return self.columns.get(name, absent)


def recommend(situation: Situation, flags: Flags) -> list[Recommendation]:
    """Return what to offer, the most pressing first for each person.

    ``flags`` are the lists' words on each person of the situation; persons without any still get what
    is due to them by right.
    """
    offers = [
        *_mentoring(situation, flags),
        *_against_risks(situation, flags),
        *_due_by_right(situation),
        *_for_leaders(situation),
    ]
    return _once_each(offers)


def situations(histories: Histories, as_ofs: Sequence[int]) -> dict[int, Situation]:
    """Return the situation of each month, from features known by its end and nothing else."""
    rows = feature_rows(histories, as_ofs, names=_names(histories.profile))
    return {month: _situation(histories, rows, month) for month in as_ofs}


def _names(profile: Profile) -> list[str]:
    taken = {action.recorded_as for action in profile.actions.values() if action.recorded_as}
    before = {measure for action in profile.actions.values() for measure in action.after}
    since = [f"{measure}__{unit}_since" for measure in sorted(taken | before) for unit in ("months", "days")]
    return [*since, "tenure__months"]


def _situation(histories: Histories, rows: FeatureRows, month: int) -> Situation:
    here = rows.as_of == month
    officers = rows.officer[here]
    return Situation(
        profile=histories.profile,
        officer_ids=tuple(str(name) for name in histories.officers[officers]),
        columns={name: rows.values[here, number] for number, name in enumerate(rows.names)},
        leading=_leading(histories, month),
    )


def _leading(histories: Histories, month: int) -> dict[str, Leader]:
    view = assessable(histories, month)
    found = leaders(view, monthly_scores(view)).to_dict("records")
    return {
        str(row["officer_id"]): Leader(row["recommended"], {"zh": row["reason_zh"], "en": row["reason_en"]})
        for row in found
    }


def _against_risks(situation: Situation, flags: Flags) -> Iterable[Recommendation]:
    """Rest, care and culture for those whose risk calls for help: what the reasons point to comes first."""
    for row, officer in enumerate(situation.officer_ids):
        for flag in flags.get(officer, ()):
            if flag.calls_for_help:
                for key in _fitting(situation, row, flag)[:ANSWERS_PER_RISK]:
                    offer = _offer(situation.profile, officer, key, _risk_words(situation.profile, flag))
                    yield replace(offer, purpose=situation.profile.risks[flag.risk].purpose)


def _fitting(situation: Situation, row: int, flag: Flag) -> list[str]:
    """The actions against a risk, best first; what was taken within the last month is left out."""

    def distance(key: str) -> tuple[int, int]:
        action = situation.profile.actions[key]
        pointed = [flag.pushing.index(name) for name in action.reasons if name in flag.pushing]
        return (min(pointed) if pointed else len(flag.pushing) + (action.kind != "rest"), -len(pointed))

    actions = situation.profile.actions
    keys = [
        key
        for key, action in actions.items()
        if flag.risk in action.risks and action.kind in ("rest", "care", "culture")
    ]
    free = [key for key in keys if not _just_taken(situation, row, actions[key])]
    return sorted(free, key=distance)


def _just_taken(situation: Situation, row: int, action: Action) -> bool:
    return action.recorded_as is not None and bool(situation.column(f"{action.recorded_as}__days_since")[row] <= 31)


def _risk_words(profile: Profile, flag: Flag) -> dict[str, str]:
    pushing = list(flag.pushing[:3])
    return both(
        "offer_risk_with_reasons" if pushing else "offer_risk",
        lambda language: {
            "risk": profile.label(flag.risk, language),
            "probability": percent(flag.probability),
            "mean": percent(flag.mean),
            "whose": say(flag.whose, language),
            "reasons": joined([group_label(profile, key, language) for key in pushing], language),
        },
    )


def _mentoring(situation: Situation, flags: Flags) -> Iterable[Recommendation]:
    """A mentor for everybody whose risk calls for it; who it will be is matched for all at once (serving/mentoring)."""
    actions = situation.profile.actions
    key = next((key for key, action in actions.items() if action.kind == "mentoring" and action.risks), None)
    for officer in situation.officer_ids if key else ():
        for flag in flags.get(officer, ()):
            if key and flag.risk in actions[key].risks and flag.calls_for_help:
                words, extra = _risk_words(situation.profile, flag), same("offer_mentoring")
                reason = {lang: words[lang] + (" " if lang == "en" else "") + extra[lang] for lang in words}
                purpose = situation.profile.risks[flag.risk].purpose
                yield replace(_offer(situation.profile, officer, key, reason), purpose=purpose)


def _due_by_right(situation: Situation) -> Iterable[Recommendation]:
    for key, action in situation.profile.actions.items():
        if action.recorded_as and action.due_every_months:
            yield from _due_by_calendar(situation, key, action, action.due_every_months)
        for measure, months in action.after.items():
            yield from _due_after(situation, key, action, measure, months)


def _due_by_calendar(situation: Situation, key: str, action: Action, every: int) -> Iterable[Recommendation]:
    """Due where the last taking is so long ago, or never was; nobody where the force keeps no such record."""
    since = situation.column(f"{action.recorded_as}__months_since")
    if np.isnan(since).all():
        return
    overdue = (since >= every) | (np.isnan(since) & (situation.column("tenure__months") >= every))
    for row in np.flatnonzero(overdue):
        if np.isnan(since[row]):
            reason = same("offer_due_never", every=every)
        else:
            reason = same("offer_due", every=every, since=int(since[row]))
        yield _by_right(situation, int(row), key, reason, of=action.recorded_as or "")


def _due_after(situation: Situation, key: str, action: Action, measure: str, months: int) -> Iterable[Recommendation]:
    """Due where the event lies within so many months and nothing was taken since."""
    since = situation.column(f"{measure}__days_since")
    taken = situation.column(f"{action.recorded_as}__days_since")
    due = (since <= months * 30.4375) & ~(taken <= since)
    for row in np.flatnonzero(due):
        reason = _after_words(situation.profile, action, measure, int(since[row]))
        yield _by_right(situation, int(row), key, reason, of=measure)


def _by_right(situation: Situation, row: int, key: str, reason: dict[str, str], *, of: str) -> Recommendation:
    """What is due because of a measure's records: for wellness where these are health data."""
    offer = _offer(situation.profile, situation.officer_ids[row], key, reason)
    purpose = WELLNESS if situation.profile.measures[of].sensitive else "development"
    return replace(offer, by_right=True, purpose=purpose)


def _after_words(profile: Profile, action: Action, measure: str, days: int) -> dict[str, str]:
    return both(
        "offer_after",
        lambda language: {
            "measure": profile.label(measure, language),
            "days": days,
            "action": action.label.get(language),
        },
    )


def _for_leaders(situation: Situation) -> Iterable[Recommendation]:
    """Months of leading lead to training first; to rotation for those who have just had training."""
    actions = situation.profile.actions
    first: dict[str, str] = {kind: key for key, action in reversed(actions.items()) for kind in [action.kind]}
    for officer in situation.officer_ids:
        leader = situation.leading.get(officer)
        key = first.get(leader.earns) or first.get("rotation") or first.get("training") if leader else None
        if leader and key:
            reason = {lang: say("offer_leading", lang, reason=leader.reason[lang]) for lang in LANGUAGES}
            yield replace(_offer(situation.profile, officer, key, reason), purpose="development")


def _offer(profile: Profile, officer: str, key: str, reason: dict[str, str]) -> Recommendation:
    action = profile.actions[key]
    return Recommendation(
        officer_id=officer,
        action=key,
        kind=action.kind,
        label=_text(action.label),
        reason=reason,
        why=_text(action.why),
        owner=action.owner,
        decides=action.decides,
        opening=_text(action.opening) if action.opening else None,
    )


def _text(text: Text) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}


def _once_each(offers: Iterable[Recommendation]) -> list[Recommendation]:
    """One offer of an action per person and purpose: reasons are joined, a right stays a right."""
    kept: dict[tuple[str, str, str], Recommendation] = {}
    for offer in offers:
        key = (offer.officer_id, offer.action, offer.purpose)
        if key in kept:
            first = kept[key]
            reason = {
                "zh": first.reason["zh"] + offer.reason["zh"],
                "en": f"{first.reason['en']} {offer.reason['en']}",
            }
            kept[key] = replace(first, reason=reason, by_right=first.by_right or offer.by_right)
        else:
            kept[key] = offer
    return list(kept.values())

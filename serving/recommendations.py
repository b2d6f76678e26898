"""What to offer to whom, first form: rules over the profile's actions. Each offer says why and who decides.

Whoever has a right to something gets it offered, on a list or not. Ordering help by measured benefit
instead of risk, matching and plans come later, behind ``recommend``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from features.engine import FeatureRows, feature_rows
from features.histories.tables import Histories
from features.months import last_day
from features.names import group_label
from features.profile import Action, Profile, Text
from serving.lists import Recommendation
from serving.words import both, joined, percent, same

ANSWERS_PER_RISK = 2
"""So many offers of rest, care or culture at most for one person and risk: more would not be taken."""
STAR_SHARE = 0.25
"""Mentors come from this best share of a post by efficiency over twelve months."""
LEADING_SHARE = 0.10
"""Leading means to be in this best share of the post."""
MENTOR_TENURE_MONTHS = 24
NOTEWORTHY = 5.0
"""A risk of so many times the post's average is answered also beyond the list's capacity."""


@dataclass(frozen=True)
class Flag:
    """What one list says of one person; ``pushing`` are the measures that push up, the strongest first."""

    risk: str
    probability: float
    post_mean: float
    rank: int
    on_list: bool
    pushing: tuple[str, ...] = ()

    @property
    def calls_for_help(self) -> bool:
        """Whether somebody should act: within the list's capacity, or far above the own post."""
        return self.on_list or self.probability >= NOTEWORTHY * self.post_mean


Flags = Mapping[str, Sequence[Flag]]
"""Flags by officer_id."""


@dataclass(frozen=True)
class Situation:
    """The cohort of one month as the rules see it: rows as in FeatureRows, one per person."""

    profile: Profile
    officer_ids: tuple[str, ...]
    post: npt.NDArray[np.int32]
    supervisors: Mapping[str, str]
    columns: Mapping[str, npt.NDArray[np.float32]]
    leading_months: npt.NDArray[np.int64]

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
    months = sorted({month - back for month in as_ofs for back in range(histories.profile.settings.leading_months)})
    rows = feature_rows(histories, months, names=_names(histories.profile))
    return {month: _situation(histories, rows, month) for month in as_ofs}


def _names(profile: Profile) -> list[str]:
    taken = {action.recorded_as for action in profile.actions.values() if action.recorded_as}
    before = {measure for action in profile.actions.values() for measure in action.after}
    since = [f"{measure}__{unit}_since" for measure in sorted(taken | before) for unit in ("months", "days")]
    return [*since, "efficiency__level__1m", "efficiency__level__12m", "tenure__months"]


def _situation(histories: Histories, rows: FeatureRows, month: int) -> Situation:
    here = rows.as_of == month
    officers = rows.officer[here]
    return Situation(
        profile=histories.profile,
        officer_ids=tuple(str(name) for name in histories.officers[officers]),
        post=rows.post[here],
        supervisors=_supervisors(histories, month),
        columns={name: rows.values[here, number] for number, name in enumerate(rows.names)},
        leading_months=_leading_months(rows, month, officers, histories.profile.settings.leading_months),
    )


def _supervisors(histories: Histories, month: int) -> dict[str, str]:
    """The supervisor named in the posting that began last by the end of the month."""
    begun = histories.postings.first <= int(last_day(month))
    people = histories.people.loc[begun, ["officer_id", "supervisor_id"]].dropna()
    return dict(zip(people["officer_id"].astype(str), people["supervisor_id"].astype(str), strict=True))


def _leading_months(
    rows: FeatureRows, month: int, officers: npt.NDArray[np.int32], needed: int
) -> npt.NDArray[np.int64]:
    """For each officer, in how many of the last ``needed`` months the index led the post."""
    level = rows.values[:, rows.names.index("efficiency__level__1m")]
    months = np.zeros(len(officers), dtype=np.int64)
    for back in range(needed):
        at = rows.as_of == month - back
        ahead = rows.officer[at][_best(level[at], rows.post[at], LEADING_SHARE)]
        months += np.isin(officers, ahead)
    return months


def _best(level: npt.NDArray[np.float32], post: npt.NDArray[np.int32], share: float) -> npt.NDArray[np.bool_]:
    """Whether each one is in the best share of the own post; nobody is in a post where all are equal."""
    best = np.zeros(len(level), dtype=bool)
    for code in np.unique(post):
        mine = (post == code) & ~np.isnan(level)
        if mine.any():
            bar = np.quantile(level[mine], 1 - share)
            best |= mine & (level >= bar) & (level > np.median(level[mine]))
    return best


def _against_risks(situation: Situation, flags: Flags) -> Iterable[Recommendation]:
    """Rest, care and culture for those whose risk calls for help: what the reasons point to comes first."""
    for row, officer in enumerate(situation.officer_ids):
        for flag in flags.get(officer, ()):
            if flag.calls_for_help:
                for key in _fitting(situation, row, flag)[:ANSWERS_PER_RISK]:
                    yield _offer(situation.profile, officer, key, _risk_words(situation.profile, flag))


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
            "mean": percent(flag.post_mean),
            "reasons": joined([group_label(profile, key, language) for key in pushing], language),
        },
    )


def _mentoring(situation: Situation, flags: Flags) -> Iterable[Recommendation]:
    """One mentor each, the best free star of the post; the highest on the list chooses first."""
    actions = situation.profile.actions
    key = next((key for key, action in actions.items() if action.kind == "mentoring" and action.risks), None)
    if key is None:
        return
    row_of = {officer: row for row, officer in enumerate(situation.officer_ids)}
    wanting = [
        (flag.rank, officer, flag)
        for officer in situation.officer_ids
        for flag in flags.get(officer, ())
        if flag.risk in actions[key].risks and flag.calls_for_help
    ]
    stars = _stars(situation, flags)
    for _, officer, flag in sorted(wanting, key=lambda want: (want[0], want[1])):
        mentor = _take_star(situation, stars, row_of[officer])
        words = _risk_words(situation.profile, flag)
        extra = same("offer_mentor" if mentor else "offer_no_mentor", mentor=mentor)
        reason = {language: words[language] + (" " if language == "en" else "") + extra[language] for language in words}
        yield replace(_offer(situation.profile, officer, key, reason), mentor_id=mentor)


def _stars(situation: Situation, flags: Flags) -> list[int]:
    """Rows of those who can mentor, the most effective first."""
    level = situation.column("efficiency__level__12m")
    able = _best(level, situation.post, STAR_SHARE)
    able &= situation.column("tenure__months") >= MENTOR_TENURE_MONTHS
    burdened = {officer for officer, own in flags.items() if any(flag.calls_for_help for flag in own)}
    rows = [int(row) for row in np.flatnonzero(able) if situation.officer_ids[row] not in burdened]
    return sorted(rows, key=lambda row: (-float(level[row]), situation.officer_ids[row]))


def _take_star(situation: Situation, stars: list[int], mentee: int) -> str | None:
    """Take the first star of the mentee's post who is not the supervisor out of ``stars``."""
    own = situation.officer_ids[mentee]
    for star in stars:
        name = situation.officer_ids[star]
        if situation.post[star] == situation.post[mentee] and name not in (
            own,
            situation.supervisors.get(own),
        ):
            stars.remove(star)
            return name
    return None


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
        yield replace(_offer(situation.profile, situation.officer_ids[row], key, reason), by_right=True)


def _due_after(situation: Situation, key: str, action: Action, measure: str, months: int) -> Iterable[Recommendation]:
    """Due where the event lies within so many months and nothing was taken since."""
    since = situation.column(f"{measure}__days_since")
    taken = situation.column(f"{action.recorded_as}__days_since")
    due = (since <= months * 30.4375) & ~(taken <= since)
    for row in np.flatnonzero(due):
        reason = _after_words(situation.profile, action, measure, int(since[row]))
        yield replace(_offer(situation.profile, situation.officer_ids[row], key, reason), by_right=True)


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
    needed = situation.profile.settings.leading_months
    leaders = np.flatnonzero(situation.leading_months >= needed)
    kinds = {
        kind: next((key for key, action in situation.profile.actions.items() if action.kind == kind), None)
        for kind in ("training", "rotation")
    }
    reason = same("offer_leading", months=needed)
    for row in leaders:
        training = kinds["training"]
        key = kinds["rotation"] if training and _trained(situation, int(row), training) else training
        key = key or kinds["rotation"]
        if key:
            yield _offer(situation.profile, situation.officer_ids[row], key, reason)


def _trained(situation: Situation, row: int, key: str) -> bool:
    measure = situation.profile.actions[key].recorded_as
    return measure is not None and bool(situation.column(f"{measure}__months_since")[row] < 12)


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
    """One offer of an action per person: reasons are joined, a right stays a right."""
    kept: dict[tuple[str, str], Recommendation] = {}
    for offer in offers:
        key = (offer.officer_id, offer.action)
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

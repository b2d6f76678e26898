"""Why this pair, why not another, why nobody: sentences in Chinese and English."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.names import group_label
from features.profile import Profile
from serving.mentoring.candidates import Candidates, LeftOut
from serving.mentoring.fit import Fits, parts_of
from serving.mentoring.pairing import Pairing
from serving.tables import Words
from serving.words import LANGUAGES, both, joined, number, percent, same, say

NAMED = 2
"""So many needs and strengths are named."""
INSTEAD = 2
"""So many mentors that others have are told of."""
LEAST_NEED = 0.05
TRIFLE = 0.0005

PARTS_SAID = {"same_post": "pair_same_post", "near": "pair_same_unit", "shared_shifts": "pair_shared_shifts"}
LEFT_SAID = {
    "paired": "left_paired", "said_no": "left_said_no", "junior": "left_junior", "full": "left_full",
    "listed": "left_listed", "strain": "left_strain",
}  # fmt: skip
BARRED_SAID = {"command": "barred_command", "conflict": "barred_conflict"}


@dataclass(frozen=True)
class Told:
    """A pair in numbers and words; ``instead`` are other mentors, each with fit and why not."""

    fit: float
    parts: dict[str, float]
    reason: Words
    instead: list[dict[str, Any]]


def told_pairs(found: Candidates, fit: Fits, pairing: Pairing) -> dict[int, Told]:
    """Return for each paired mentee (a row) why this mentor, and why not another."""
    rows = np.flatnonzero(pairing.mentor_of >= 0)
    rules, mentor = found.profile.settings.mentoring, pairing.mentor_of[rows]
    parts, fits = parts_of(rules, found.mentors, found.mentees, near=found.near, pairs=(mentor, rows))
    told = {}
    for place, row in enumerate(rows):
        own = {name: round(float(part[place]), 4) for name, part in parts.items()}
        reason = _pair_words(found, int(mentor[place]), int(row), own)
        told[int(row)] = Told(float(fits[place]), own, reason, _instead(found, fit, pairing, int(row)))
    return told


def needs_of(found: Candidates, mentee: int) -> list[str]:
    """Return the indicators in which a mentee most needs somebody strong."""
    need = found.mentees.skills[mentee]
    order = np.argsort(-need, kind="stable")[:NAMED]
    return [found.skills[place] for place in order if need[place] >= LEAST_NEED]


def unmatched_words(found: Candidates, fit: Fits, pairing: Pairing, mentee: int) -> tuple[str, Words]:
    """Return why somebody stays without a mentor: ``taken``, or ``nobody``, in a word and in sentences."""
    column = fit[:, mentee]
    if np.isnan(column).all():
        return "nobody", _nobody_words(found, mentee)
    best = int(np.nanargmax(column))
    others = np.flatnonzero(pairing.mentor_of == best)
    _, loss = pairing.loss(np.array([best]), np.array([mentee]), column[[best]])
    key = "unmatched_taken" if loss[0] >= TRIFLE else "unmatched_tie"
    words = same(
        key,
        mentor=found.mentors.officer_id[best],
        fit=percent(float(column[best])),
        others="、".join(str(found.mentees.officer_id[row]) for row in others) or "—",
        loss=number(round(float(max(loss[0], 0.0)), 3)),
    )
    return "taken", _needs_added(found, mentee, words)


def left_words(profile: Profile, left: LeftOut) -> Words:
    """Return why somebody takes no part in a round."""
    figures = left.figures
    if left.kind == "strain" and "measure" in figures:
        return both(
            LEFT_SAID["strain"],
            lambda language: {
                "measure": profile.label(figures["measure"], language),
                "value": number(round(figures["value"], 1)),
                "limit": number(figures["limit"]),
            },
        )
    return same(LEFT_SAID["listed" if left.kind == "strain" else left.kind], **figures)


def free_words() -> Words:
    """Return what is said of a mentor for whom nobody was left."""
    return same("left_free")


def _pair_words(found: Candidates, mentor: int, mentee: int, parts: Mapping[str, float]) -> Words:
    """What the mentee needs and the mentor has; then post, unit, service and shifts."""
    need, strong = found.mentees.skills[mentee], found.mentors.skills[mentor]
    shared = need * strong
    order = [place for place in np.argsort(-shared, kind="stable")[:NAMED] if shared[place] > 0]
    named, met = needs_of(found, mentee), [found.skills[place] for place in order]
    months = int(found.mentors.tenure[mentor] - found.mentees.tenure[mentee])

    def sentence(language: str) -> str:
        listed = _names(found.profile, language)
        first = say("pair_needs" if met else "pair_needs_only", language, needs=listed(named), strong=listed(met))
        own = [
            say(key, language) for name, key in PARTS_SAID.items() if parts[name] >= 0.999 and name != "shared_shifts"
        ]
        own.append(_gap(months, language))
        own.append(say(PARTS_SAID["shared_shifts"], language, share=percent(parts["shared_shifts"])))
        return first + joined(own, language) + ("。" if language == "zh" else ".")

    return {language: sentence(language) for language in LANGUAGES}


def _gap(months: int, language: str) -> str:
    """The difference in service: about the same within a year."""
    if abs(months) < 12:
        return say("pair_gap_none", language)
    return say("pair_gap" if months > 0 else "pair_gap_less", language, years=number(round(abs(months) / 12, 1)))


def _instead(found: Candidates, fit: Fits, pairing: Pairing, mentee: int) -> list[dict[str, Any]]:
    """The mentors that fit at least as well as all others, and what stood against them."""
    return [*_taken(found, fit, pairing, mentee), *_barred(found, fit, pairing, mentee)]


def _taken(found: Candidates, fit: Fits, pairing: Pairing, mentee: int) -> list[dict[str, Any]]:
    column, mine = fit[:, mentee], int(pairing.mentor_of[mentee])
    order = [int(row) for row in np.argsort(-np.nan_to_num(column, nan=-1.0), kind="stable")[: INSTEAD + 1]]
    others = np.array([row for row in order if row != mine and column[row] > 0][:INSTEAD], dtype=np.int64)
    pairs, loss = pairing.loss(others, np.full(len(others), mentee), column[others])
    full = np.bincount(pairing.mentor_of[pairing.mentor_of >= 0], minlength=len(fit)) >= found.places
    told = []
    for place, row in enumerate(others):
        less = float(loss[place] if full[row] else column[mine] - column[row])
        key = _why_not(free=not full[row], fewer=pairs[place] >= 1, less=less)
        why = same(key, loss=number(round(max(less, 0.0), 3)), n=int(pairs[place]))
        told.append(_other(found, int(row), float(column[row]), why))
    return told


def _why_not(*, free: bool, fewer: bool, less: float) -> str:
    """Who has a place left fits no better, else the pair would have been made; who has none is needed elsewhere."""
    if free:
        return "instead_free" if less >= TRIFLE else "instead_free_equal"
    return "instead_pairs" if fewer else "instead_fit" if less >= TRIFLE else "instead_equal"


def _barred(found: Candidates, fit: Fits, pairing: Pairing, mentee: int) -> list[dict[str, Any]]:
    """Those who would have fitted better and may not."""
    mine = np.flatnonzero(found.barred.mentee == mentee)
    mentors = found.barred.mentor[mine]
    own = fit[pairing.mentor_of[mentee], mentee] if pairing.mentor_of[mentee] >= 0 else 0.0
    pairs = (mentors, np.full(len(mentors), mentee))
    _, fits = parts_of(found.profile.settings.mentoring, found.mentors, found.mentees, near=found.near, pairs=pairs)
    return [
        _other(found, int(mentors[place]), float(fits[place]), same(BARRED_SAID[str(found.barred.why[mine[place]])]))
        for place in range(len(mine))
        if fits[place] > own
    ]


def _other(found: Candidates, mentor: int, fit: float, why: Words) -> dict[str, Any]:
    return {"mentor_id": str(found.mentors.officer_id[mentor]), "fit": round(fit, 4), "why_not": why}


def _nobody_words(found: Candidates, mentee: int) -> Words:
    """Nobody may: how many free stars there are, how many are barred, and how well the best of the rest fits."""
    barred = set(found.barred.mentor[found.barred.mentee == mentee].tolist())
    rest = np.array([row for row in range(len(found.mentors)) if row not in barred], dtype=np.int64)
    if not len(rest):
        key = "unmatched_no_star" if not len(found.mentors) else "unmatched_all_barred"
        return _needs_added(found, mentee, same(key, n=len(found.mentors)))
    rules = found.profile.settings.mentoring
    pairs = (rest, np.full(len(rest), mentee))
    _, fits = parts_of(rules, found.mentors, found.mentees, near=found.near, pairs=pairs)
    best = percent(float(fits.max()))
    words = same("unmatched_poor", n=len(rest), best=best, least=percent(rules.least_fit), barred=len(barred))
    return _needs_added(found, mentee, words)


def _needs_added(found: Candidates, mentee: int, words: Words) -> Words:
    named = needs_of(found, mentee)
    if not named:
        return words
    needs: Callable[[str], Mapping[str, Any]] = lambda language: {"needs": _names(found.profile, language)(named)}  # noqa: E731
    added = both("unmatched_needs", needs)
    return {language: words[language] + (" " if language == "en" else "") + added[language] for language in words}


def _names(profile: Profile, language: str) -> Callable[[list[str]], str]:
    return lambda keys: joined([group_label(profile, key, language) for key in keys], language) or "—"

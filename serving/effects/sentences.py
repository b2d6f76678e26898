"""What a stored effect says in words, for pages and the command; figures are probabilities, told per hundred."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from features.profile import Profile
from serving.words import say

Figures = Mapping[str, Any]
SHARES = frozenset({"no_rival", "follows"})
"""Reasons whose figures are shares."""
COUNTS, WITHHELD = frozenset({"few_helped", "few_outcomes", "few_reached", "all_at_once"}), 4
"""Reasons that count persons, and the count that stands for 1 to 4."""
INDEX = "efficiency"
SURE = 0.05
"""A drift before the start with a smaller p-value is told."""


def hundred(value: float) -> str:
    """Return a difference of probabilities as persons of a hundred, always with its sign."""
    return signed(100 * value)


def signed(value: float, places: int = 1) -> str:
    """Return a difference with its sign; what rounds to nothing has none."""
    text = f"{value:+.{places}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def finding(effect: Figures, language: str) -> str:
    """Return what an effect comes to in one sentence: fewer, more, no telling, or why not."""
    average = effect["average"]
    if average is None:
        return say("effects_not_estimable", language) + " ".join(reasons(effect["why_not"], language))
    value, low, high = (average[key] for key in ("value", "low", "high"))
    if high < 0:
        told = {"n": f"{-100 * value:.1f}", "low": f"{-100 * high:.1f}", "high": f"{-100 * low:.1f}"}
        return say("effects_helps", language, **told)
    if low > 0:
        told = {"n": f"{100 * value:.1f}", "low": f"{100 * low:.1f}", "high": f"{100 * high:.1f}"}
        return say("effects_harms", language, **told)
    return say("effects_nothing", language, n=hundred(value), low=hundred(low), high=hundred(high))


def reasons(why_not: Any, language: str) -> list[str]:
    """Return each reason for "not estimable" as a sentence."""
    return [
        say(f"effects_why_{why['code']}", language, found=_amount(why["code"], why["found"], language),
            bound=_amount(why["code"], why["bound"], language))
        for why in why_not
    ]  # fmt: skip


def naive(effect: Figures, language: str) -> str:
    """Return the plain difference, or nothing where there is none."""
    if effect["naive"] is None:
        return ""
    rates = {"helped": f"{100 * effect['rate_helped']:.1f}", "others": f"{100 * effect['rate_others']:.1f}"}
    return say("effects_naive_told", language, n=hundred(effect["naive"]["value"]), **rates)


def basis(effect: Figures, language: str) -> str:
    """Return what the comparison rests on, or nothing where none was made."""
    overlap = effect["overlap"]
    if overlap is None:
        return ""
    return say(
        "effects_basis",
        language,
        helped=f"{effect['helped']:,}",
        officers=f"{effect['officers']:,}",
        rows=f"{effect['rows']:,}",
        compared=f"{overlap['compared']:,.0f}",
        inside=f"{overlap['inside']:.0%}",
        imbalance=f"{overlap['imbalance']:.2f}",
        later=f"{effect['later']:.0%}",
    )


def of_study(study: Figures, language: str) -> list[str]:
    """Return what an event study says, sentence by sentence."""
    scale, key = (1.0, "effects_study_index") if study["outcome"] == INDEX else (100.0, "effects_study_events")
    places = 2
    alone = signed(scale * study["naive"]["value"], places) if study["naive"] else "—"
    if study["overall"] is None:
        told = [say("effects_study_none", language) + " ".join(reasons(study["why_not"], language))]
        return [*told, *([say("effects_study_naive_only", language, naive=alone)] if study["naive"] else [])]
    overall = {
        key: signed(scale * study["overall"][part], places)
        for key, part in (("n", "value"), ("low", "low"), ("high", "high"))
    }
    sentences = [say(key, language, before=f"{scale * study['before']:.2f}".replace("-", "−"), naive=alone, **overall)]
    if study["drift_p"] < SURE:
        sentences.append(say("effects_study_drift", language, p=f"{study['drift_p']:.2g}"))
    sizes = {name: f"{study[name]:,}" for name in ("helped", "cohorts", "officers", "left_out")}
    return [*sentences, say("effects_study_size", language, **sizes)]


def told_line(profile: Profile, effect: Any, study: Any, language: str) -> str:
    """Return one action and risk in a few lines, for the command."""
    one = effect or study
    head = f"{profile.label(one.action, language)} – {profile.label(one.risk, language)}: "
    lines = [head + finding(asdict(effect), language), naive(asdict(effect), language)] if effect else [head]
    lines += of_study(asdict(study), language) if study else []
    return "\n    ".join(line for line in lines if line)


def _amount(code: str, value: float, language: str) -> str:
    if code in SHARES:
        return f"{value:.0%}"
    if code in COUNTS and value == WITHHELD:
        return say("effects_withheld", language)
    return f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:.2f}"

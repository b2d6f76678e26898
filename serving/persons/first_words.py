"""Words for the first conversation, built from a person's own reasons: no diagnosis, no score, no threat.

Only load is named, and only where it is heavier than the person's own usual or the post's: health, complaints,
quality and what a model thinks are never said first. Whatever is offered can be declined.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from serving.words import LANGUAGES, joined, say

NAMED = 2
OFFERED = 2
LOAD = "workload"
LOADED = {"usual": "words_load_usual", "peers": "words_load_peers"}


def first_words(
    reasons: Sequence[Mapping[str, Any]],
    *,
    labels: Mapping[str, Any],
    profile: Mapping[str, Any] | None,
    offers: Sequence[Mapping[str, str]],
) -> dict[str, list[str]]:
    """Return the sentences in Chinese and English, in the order in which they are said.

    ``reasons`` are those that may be told, as stored; ``profile`` is the one of the list (None where it was not kept:
    then no measure is named); ``offers`` are labels of what can be offered, the first of them are named.
    """
    heavier = _heavier(reasons, profile)
    return {language: list(_said(heavier, labels, offers, language)) for language in LANGUAGES}


def _said(
    heavier: Sequence[tuple[str, str]], labels: Mapping[str, Any], offers: Sequence[Mapping[str, str]], language: str
) -> Iterable[str]:
    against = heavier[0][1] if heavier else ""
    names = [labels.get(measure, {}).get(language, measure) for measure, kind in heavier if kind == against]
    if names:
        yield say(LOADED[against], language, measures=joined([_small(name, language) for name in names], language))
        yield say("words_ask_load", language)
    else:
        yield say("words_open", language)
        yield say("words_ask", language)
    if offers:
        first = [_small(offer[language], language) for offer in offers[:OFFERED]]
        yield say("words_offer", language, offers=joined(first, language))
    yield say("words_free", language)
    yield say("words_record", language)


def _heavier(reasons: Sequence[Mapping[str, Any]], profile: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Measures of load that raise the risk and are heavier than usual, or than the post's middle."""
    found = []
    for reason in reasons:
        if reason["contribution"] <= 0 or not reason.get("stable", True) or not _is_load(reason["measure"], profile):
            continue
        value, usual, peers = (reason.get(name) for name in ("value", "usual", "peers"))
        if value is not None and usual is not None and value > usual:
            found.append((reason["measure"], "usual"))
        elif value is not None and peers is not None and value > peers:
            found.append((reason["measure"], "peers"))
    return found[:NAMED]


def _is_load(measure: str, profile: Mapping[str, Any] | None) -> bool:
    known = (profile or {}).get("measures", {}).get(measure)
    return known is not None and known["dimension"] == LOAD and not known["sensitive"]


def _small(label: str, language: str) -> str:
    """An English label within a sentence; a bracket that explains it is left out."""
    short = label.split("（")[0].split(" (")[0]
    return short[:1].lower() + short[1:] if language == "en" else short

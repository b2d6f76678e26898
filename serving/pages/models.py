"""Models for the data scientist: what serves and why, every version with the gate's verdict, promotion and rollback."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Path, Query, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from features.months import month_end, parse_month
from features.names import group_label
from features.profile import Profile
from serving.access.caller import TheCaller, needs
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem
from serving.decisions.reviews import feedback_by_measure
from serving.models import model_charts
from serving.models.champions import Champions
from serving.models.promotions import champions_of, known_version, promote, registry_of, roll_back
from serving.pages.frame import Language, Reader, page
from serving.sessions import Database
from serving.words import WORDS, day_name, month_name, say
from training.cards.model_card import document
from training.judging.groups import LABELS
from training.judging.metrics import MODEL
from training.registry.gate import Criterion
from training.registry.history import Entry, Production
from training.registry.impact import Assessment
from training.registry.registry import CHALLENGER, CHAMPION, TRAINED, NotPromoted, Registry, Version

SHOWN = ("average_precision", "precision_capacity", "lift_capacity", "auc", "brier", "calibration_error")
GROUP_FIGURES = ("selection", "precision", "missed", "calibration")
MOST_ROWS = 50
STATES = re.compile(r"\b(?:draft|signed|withdrawn)\b")
RiskKey = Annotated[str, Path(max_length=120, pattern=r"^[^\x00']+$")]
Number = Annotated[str, Path(pattern=r"^[0-9]{1,9}$")]
Reason = Annotated[str, Form(min_length=4, max_length=2000)]
Done = Annotated[Literal["promoted", "affirmed", "rolled_back"] | None, Query()]

router = APIRouter(prefix="/models", include_in_schema=False)
SEES, PROMOTES = [needs(Permission.SEE_MODELS)], [needs(Permission.PROMOTE)]


@router.get("", dependencies=SEES)
def models_page(
    request: Request,
    database: Database,
    language: Reader,
    risk: Annotated[str, Query(max_length=120)] = "",
    done: Done = None,
    verify: bool = False,
) -> Response:
    """Show the versions of one risk's model: what serves, what the gate says of each, and every decision."""
    registry, champions = registry_of(request), champions_of(request)
    profile, known = champions.profile(), champions.kept("risks", lambda held: held.risks())
    risks = [key for key in profile.risks if key in known]
    chosen = risk if risk in risks else next(iter(risks), None)
    if chosen is None:
        return page(request, "models.html", language, risk=None)
    return page(
        request,
        "models.html",
        language,
        risk=chosen,
        risks=risks,
        done=done,
        label=lambda key: profile.label(key, language),
        versions=[_version_row(registry, one, found, language=language) for one, found in _judged(champions, chosen)][
            ::-1
        ],
        verified=verify,
        checked=registry.verify() if verify else champions.kept("chained", lambda held: held.chained()),
        **_state(champions.kept(("state", chosen), lambda held: _read(held, chosen)), language),
        feedback=[
            (_measure(profile, key, language), right, wrong, unclear)
            for key, right, wrong, unclear in feedback_by_measure(database, chosen)
        ],
    )


@router.get("/{risk}/{version}", dependencies=SEES)
def version_page(request: Request, risk: RiskKey, version: Number, language: Reader) -> Response:
    """Show one version: every criterion of the gate, its figures beside its rivals', calibration, fairness."""
    return _version_page(request, _version(request, risk, version), language)


@router.get("/{risk}/{version}/calibration.svg", dependencies=SEES)
def calibration_picture(
    request: Request, risk: RiskKey, version: Number, language: Reader, size: Literal["wide", "narrow"] = "wide"
) -> Response:
    """Draw what was predicted against what came."""
    bins = _bins(_version(request, risk, version))
    if not bins:
        raise Problem(Kind.NOT_FOUND, "This version has no calibration picture. 这个版本没有校准图。")
    svg = model_charts.calibration_chart(bins, language, size)
    return Response(svg, media_type="image/svg+xml")


@router.get("/{risk}/{version}/card", dependencies=SEES)
def card_file(request: Request, risk: RiskKey, version: Number) -> Response:
    """Give the model card to keep: its page carries its own style, which this service's policy would not show."""
    registry = registry_of(request)
    file = registry.card_page(_version(request, risk, version))
    if file is None:
        raise Problem(Kind.NOT_FOUND, "This version has no model card. 这个版本没有模型卡。")
    return FileResponse(file, media_type="text/html", filename=f"model-card-{risk}-{version}.html")


@router.post("/{risk}/{version}/promote", dependencies=PROMOTES)
def promotion(
    request: Request, caller: TheCaller, risk: RiskKey, version: Number, language: Reader, reason: Reason
) -> Response:
    """Promote a version through the gate; what the gate has against it stands on the version's own page."""
    held = known_version(registry_of(request), risk, version)
    try:
        entry = promote(request, caller, held, reason)
    except NotPromoted as refusal:
        return _version_page(request, held, language, refused=refusal.entry, reason=reason)
    return _back(risk, "promoted" if entry.action == "promoted" else "affirmed")


@router.post("/{risk}/rollback", dependencies=PROMOTES)
def rollback(request: Request, caller: TheCaller, risk: RiskKey, reason: Reason) -> Response:
    """Let the champion before the present one serve again."""
    roll_back(request, caller, risk, reason)
    return _back(risk, "rolled_back")


def _back(risk: str, done: str) -> Response:
    return RedirectResponse(f"/models?risk={risk}&done={done}", status_code=303)


@dataclass(frozen=True)
class _State:
    """What serves a risk, the assessment that it lacks, what it could be rolled back to, and every decision."""

    serves: Production | None
    unassessed: Assessment | None
    previous: str | None
    history: Sequence[Entry]


def _read(registry: Registry, risk: str) -> _State:
    serves = registry.in_production(risk)
    lacks = registry.unassessed(risk, serves) if serves else None
    return _State(serves, lacks, registry.previous(risk), registry.history(risk))


def _judged(champions: Champions, risk: str) -> list[tuple[Version, list[Criterion]]]:
    """All versions of a risk with every criterion of the gate, as things are now."""
    return champions.kept(("judged", risk), lambda registry: registry.judged(risk))


def _version(request: Request, risk: str, version: str) -> Version:
    """A version by its number; a Problem where there is none."""
    return champions_of(request).kept(("version", risk, version), lambda held: known_version(held, risk, version))


def _state(state: _State, language: Language) -> dict[str, Any]:
    """What serves, what stands against it, and the decisions."""
    serves = state.serves
    return {
        "serves": serves,
        "since": day_of(serves.since, language) if serves else "",
        "why": _reason(serves.reason, language) if serves else "",
        "against": _against(serves, language),
        "unassessed": state.unassessed,
        "previous": state.previous,
        "history": [_entry(row, language) for row in state.history[: -MOST_ROWS - 1 : -1]],
        "rows": len(state.history),
    }


def _against(serves: Production | None, language: Language) -> list[str]:
    return [each[language] for each in serves.objections] if serves and serves.forced else []


def _version_row(
    registry: Registry, held: Version, criteria: Sequence[Criterion], *, language: Language
) -> dict[str, Any]:
    figures = held.card.get("figures", {}).get(MODEL, {})
    return {
        "version": held.version,
        "state": next((name for name in (CHAMPION, CHALLENGER) if name in held.aliases), ""),
        "until": _month(held.card.get("until"), language),
        "figures": {
            key: span(figures.get(key)) for key in ("average_precision", "precision_capacity", "calibration_error")
        },
        "met": sum(one.met for one in criteria),
        "criteria": len(criteria),
        "card": registry.card_page(held) is not None,
    }


def _version_page(
    request: Request, held: Version, language: Language, *, refused: Entry | None = None, reason: str = ""
) -> Response:
    registry, champions = registry_of(request), champions_of(request)
    profile = champions.profile()
    criteria = next(found for one, found in _judged(champions, held.risk) if one.version == held.version)
    told = document(held.card, risk=held.risk, version=held.version)
    return page(
        request,
        "model.html",
        language,
        status=Kind.NOT_PROMOTED.status if refused else 200,
        held=held,
        label=profile.label(held.risk, language) if held.risk in profile.risks else held.risk,
        serves=CHAMPION in held.aliases,
        criteria=criteria,
        stated=lambda text: _stated(text, language),
        unfair=[getattr(each, language) for one in criteria if one.key == "fairness" for each in one.objections],
        refused=[each[language] for each in refused.objections] if refused else [],
        reason=reason,
        made=_made(held, language),
        contenders=_contenders(held, language),
        bins=_bins(held),
        groups=_groups(told, language),
        too_few=sum(each["state"] == "too few persons" for each in (told.get("fairness") or {}).get("groups", [])),
        rival=_sentence(held.card.get("best_rival"), language),
        card=registry.card_page(held) is not None,
        metrics=[(key, say(f"model_{key}", language)) for key in SHOWN],
        share=share,
    )


def _stated(text: str, language: Language) -> str:
    """A figure or bound of the gate with the states of an impact assessment in words."""
    return STATES.sub(lambda state: say(f"impact_{state[0]}", language), text)


def _made(held: Version, language: Language) -> list[tuple[str, str]]:
    """What it was made from."""
    card = held.card
    found = {
        "model_until": _month(card.get("until"), language),
        "model_rows": f"{card['rows']:,} / {card['positives']:,}" if "rows" in card else "",
        "model_folds": str(len(card["folds"])) if "folds" in card else "",
        "model_trees": str(card.get("trees", "")),
    }
    return [(say(key, language), text) for key, text in found.items() if text]


def _contenders(held: Version, language: Language) -> list[tuple[str, list[str]]]:
    """Each contender's figures, the model's first."""
    figures = held.card.get("figures", {})
    return [(_contender(name, language), [span(row.get(key)) for key in SHOWN]) for name, row in figures.items()]


def _contender(name: str, language: Language) -> str:
    head, _, months = name.partition("_")
    if months.endswith("m") and f"model_name_{head}" in WORDS:
        return say(f"model_name_{head}", language, months=months[:-1])
    return say(f"model_name_{name}", language) if f"model_name_{name}" in WORDS else name


def _bins(held: Version) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = (held.card.get("curves") or {}).get("calibration", [])
    return found


def _groups(told: Mapping[str, Any], language: Language) -> list[dict[str, Any]]:
    """The groups that are large enough to tell of, by dimension."""
    posts = told["subject"].get("posts", {})
    found = []
    for each in (told.get("fairness") or {}).get("groups", []):
        if each["state"] == "too few persons":
            continue
        known = each["dimension"] == "post" and each["group"] in posts
        name = posts[each["group"]][language] if known else _group_name(each["group"], language)
        dimension = getattr(LABELS[each["dimension"]], language)
        figures = [span(each[key]) for key in GROUP_FIGURES]
        state = say(f"model_state_{each['state'].replace(' ', '_')}", language)
        found.append(
            {"dimension": dimension, "group": name, "persons": each["persons"], "figures": figures, "state": state}
        )
    return found


def _group_name(group: str, language: Language) -> str:
    key = f"model_group_{group.replace(' ', '_')}"
    return say(key, language) if key in WORDS else group


def _entry(row: Entry, language: Language) -> dict[str, Any]:
    return {
        "row": row,
        "day": day_of(row.when, language),
        "reason": _reason(row.reason, language),
        "action": say(f"model_action_{row.action.replace(' ', '_')}", language),
        "objections": [each[language] for each in row.objections],
    }


def _reason(text: str, language: Language) -> str:
    """What was signed; the sentence that training signs itself, in the reader's language."""
    return say("models_trained", language) if text == TRAINED else text


def _measure(profile: Profile, key: str, language: Language) -> str:
    return group_label(profile, key, language) if key else say("models_feedback_score", language)


def _sentence(found: Mapping[str, Any] | None, language: Language) -> str:
    text = str(found["told_zh" if language == "zh" else "told"]) if found else ""
    return text[:1].upper() + text[1:]


def _month(text: str | None, language: Language) -> str:
    return month_name(month_end(parse_month(text)), language) if text else ""


def day_of(when: str, language: Language) -> str:
    """Return the day of a moment as the history holds it."""
    return day_name(month_end(parse_month(when[:7])).replace(day=int(when[8:10])), language) if when else ""


def span(figure: Sequence[float | None] | None) -> str:
    """Return a figure with its interval, a dash where there is none."""
    if not figure or figure[0] is None:
        return "—"
    low, high = ("—" if part is None else f"{part:.3f}" for part in figure[1:])
    return f"{figure[0]:.3f} ({low}–{high})"


def share(part: float | None) -> str:
    """Return a share in percent with one digit."""
    return "—" if part is None else f"{100 * part:.1f}%"

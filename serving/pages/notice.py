"""The notice: what is processed, why, on what basis, for how long, and one's rights. Open to anyone, about nobody."""

import functools
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from features.errors import Refusal
from features.histories.store import stored_profile
from features.profile import Profile, load_profile
from features.profile_rows import EventOutcome, Risk
from serving.access.caller import needs
from serving.access.roles import Permission
from serving.pages.codes import key_of
from serving.pages.frame import Reader, page

DIMENSIONS = ("workload", "quality", "satisfaction", "wellbeing", "honour", "action")

router = APIRouter(include_in_schema=False)


@router.get("/notice", dependencies=[needs(Permission.OPEN)])
def notice_page(request: Request, language: Reader) -> Response:
    """Say in plain words what is processed, as the force's own profile has it."""
    try:
        profile = stored_profile(request.app.state.home)
    except Refusal:  # nothing was ingested yet: the profile that would be used
        profile = _usual()
    return page(
        request,
        "notice.html",
        language,
        code=key_of,
        force=profile.settings.label.get(language) if profile.settings.label else profile.settings.name,
        by_dimension=_by_dimension(profile, language),
        health=[profile.label(key, language) for key, measure in profile.measures.items() if measure.sensitive],
        risks=[_risk(profile, key, risk, language) for key, risk in profile.risks.items()],
        register=profile.settings.sensitive_basis == "organisation",
        policy=profile.settings.policy,
    )


@functools.cache
def _usual() -> Profile:
    """The standard profile, read once: reading it takes some hundred milliseconds, and anyone may ask."""
    return load_profile("gongan")


def _by_dimension(profile: Profile, language: str) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {name: [] for name in DIMENSIONS}
    for key, measure in profile.measures.items():
        if not measure.sensitive:
            found[measure.dimension].append(profile.label(key, language))
    return [(name, labels) for name, labels in found.items() if labels]


def _risk(profile: Profile, key: str, risk: Risk, language: str) -> dict[str, Any]:
    outcome = risk.outcome
    measured = isinstance(outcome, EventOutcome)
    return {
        "label": profile.label(key, language),
        "months": risk.horizon_months,
        "purpose": risk.purpose,
        "outcome": profile.label(outcome.measure, language) if isinstance(outcome, EventOutcome) else "",
        "measured": measured,
        "percent": risk.capacity_percent,
    }

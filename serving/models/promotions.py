"""Promotion and rollback from the service: the registry's own gate and history, and a row of the log beside them."""

from collections.abc import Callable

from fastapi import Request

from features.errors import Refusal
from serving.access.audit import record
from serving.access.caller import Caller
from serving.access.repeated import ANEW, Asked
from serving.answers.problems import Kind, Problem
from serving.database import transaction
from serving.models.champions import Champions
from training.registry.history import Entry
from training.registry.registry import NotPromoted, Registry, Version

PROMOTED, ROLLED_BACK, NOT_PROMOTED = "model promoted", "model rolled back", "model not promoted"


def champions_of(request: Request) -> Champions:
    """Return the champions of the home that is served, with what is kept of its registry."""
    found: Champions = request.app.state.champions
    return found


def registry_of(request: Request) -> Registry:
    """Return the registry of the home that is served."""
    return champions_of(request).registry


def known_version(registry: Registry, risk: str, version: str) -> Version:
    """Return a version by its number, or the newest for ``latest``; a Problem where there is none."""
    versions = registry.versions(risk)
    chosen = versions[-1:] if version == "latest" else [one for one in versions if one.version == version]
    if not chosen:
        raise Problem(Kind.NOT_FOUND, "There is no such version of this risk's model. 没有这一风险的这个模型版本。")
    return chosen[0]


def promote(request: Request, caller: Caller, held: Version, reason: str, *, asked: Asked = ANEW) -> Entry:
    """Promote a version through the gate in the caller's name; NotPromoted says what the gate has against it."""
    registry = registry_of(request)

    def act() -> Entry:
        return registry.promote(held.risk, held.version, by=caller.actor.name, reason=reason)

    return _logged(request, caller, act, did=(PROMOTED, held.risk, lambda: held.version), asked=asked)


def roll_back(request: Request, caller: Caller, risk: str, reason: str, *, asked: Asked = ANEW) -> Entry:
    """Let the champion before serve again, in the caller's name; a Problem where there is none."""
    registry = registry_of(request)
    known_version(registry, risk, "latest")

    def act() -> Entry:
        return registry.rollback(risk, by=caller.actor.name, reason=reason)

    return _logged(request, caller, act, did=(ROLLED_BACK, risk, lambda: _before(registry, risk)), asked=asked)


def _before(registry: Registry, risk: str) -> str:
    before = registry.previous(risk)
    if before is None:
        raise Problem(
            Kind.INVALID, "There was no champion before the present one: promote another. 此前没有上线版本可退回。"
        )
    return before


def _logged(
    request: Request, caller: Caller, act: Callable[[], Entry], *, did: tuple[str, str, Callable[[], str]], asked: Asked
) -> Entry:
    """Act once the row is written and before it is committed: where the log can't be written, nothing is done.

    What was asked with the same key before is not done again: its row of the history comes back.
    """
    what, risk, version = did
    try:
        with transaction(request.app.state.engine) as session:

            def write() -> int:
                record(session, caller.actor, what, f"model {risk}", version=version())
                return act().number

            number = asked.number(session, write)
        return next(row for row in registry_of(request).history(risk) if row.number == number)
    except NotPromoted as refusal:
        with transaction(request.app.state.engine) as session:
            keys = sorted({each["key"] for each in refusal.entry.objections})
            told = {"version": refusal.entry.version, "row": refusal.entry.number, "objections": keys}
            record(session, caller.actor, NOT_PROMOTED, f"model {risk}", **told)
        raise
    except Refusal as refusal:
        raise Problem(Kind.INVALID, " ".join((refusal.what, refusal.hint)), refusal.problems) from None

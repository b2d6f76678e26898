"""A plan that is solved after its page was answered: a row in state ``solving`` that whoever looks finishes if need be.

A server that is killed meanwhile leaves the row; the next look at it begins again, three times at most.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session, undefer

from features.errors import Refusal
from features.histories.store import stored_profile
from serving.access.audit import Actor, record
from serving.answers.problems import Problem
from serving.database import transaction
from serving.rest.asking import Asked, PlanRequest, asked, calendar_of
from serving.rest.lifecycle import decided_first
from serving.rest.lots import with_lots
from serving.rest.outcome import Outcome, outcome
from serving.rest.storing import begun_plan, keep_solved
from serving.rest.tables import RestPlan
from serving.words import one_language, same, say

SOLVING, FAILED = "solving", "failed"
TRIES = 3
"""So often a plan is begun: what stopped the server twice may stop it again."""


class Underway:
    """The plans that this process solves now: nobody begins one of them a second time."""

    def __init__(self) -> None:
        self._plans: set[int] = set()
        self._lock = Lock()

    @contextmanager
    def alone(self, plan_id: int) -> Iterator[bool]:
        """Tell whether the plan is solved by nobody else in this process, and keep others off until the end."""
        with self._lock:
            free = plan_id not in self._plans
            self._plans.add(plan_id)
        try:
            yield free
        finally:
            if free:
                with self._lock:
                    self._plans.discard(plan_id)


def begin(engine: Engine, home: Path, actor: Actor, request: PlanRequest) -> tuple[int, Asked]:
    """Store a plan that is yet to be solved; return its number and what it asks for.

    A Refusal says what is missing: histories, a list of the month, kinds of rest.
    """
    everyone = asked(engine, home, request)
    with transaction(engine) as session:
        plan = begun_plan(session, actor.name, request, everyone, state=SOLVING)
        own = {"rights_first": request.rights_first, "role": actor.role, "tries": 0}
        plan.staff = {**plan.staff, "request": own}
        told = {"as_of": str(request.as_of), "quota": plan.quota, "weeks": plan.weeks}
        record(session, actor, "rest plan begun", f"rest plan {plan.id}", **told)
        return plan.id, everyone


def finish(engine: Engine, home: Path, underway: Underway, plan_id: int, everyone: Asked | None = None) -> None:
    """Solve a plan that was begun and store what comes of it; nothing where another has done so or is about to."""
    with underway.alone(plan_id) as free:
        begun = _begun(engine, plan_id) if free else None
        if begun is None:
            return
        actor, request, tries = begun
        if tries > TRIES:
            _fail(engine, actor, plan_id, same("rest_failed_tries", n=TRIES))
            return
        try:
            found = _solved(engine, home, actor, request, everyone=everyone)
        except (Refusal, Problem) as why:
            _fail(engine, actor, plan_id, _both(why))
            return
        _keep(engine, actor, plan_id, found)


def _begun(engine: Engine, plan_id: int) -> tuple[Actor, PlanRequest, int] | None:
    """Who asked for a plan that waits, for what, and the how-manieth try this is; None where none waits."""
    with transaction(engine) as session:
        statement = select(RestPlan).where(RestPlan.id == plan_id, RestPlan.state == SOLVING)
        plan = session.scalar(statement.options(undefer(RestPlan.staff)))
        if plan is None:
            return None
        own: dict[str, Any] = plan.staff["request"]
        plan.staff = {**plan.staff, "request": {**own, "tries": own["tries"] + 1}}
        request = PlanRequest(
            as_of=plan.as_of, quota=plan.quota, places=plan.places, weeks=plan.weeks, slack=plan.slack,
            blackouts=calendar_of(plan).blackouts, rights_first=own["rights_first"],
        )  # fmt: skip
        return Actor(plan.made_by, own["role"]), request, own["tries"] + 1


def _solved(engine: Engine, home: Path, actor: Actor, request: PlanRequest, *, everyone: Asked | None) -> Outcome:
    if everyone is None:
        everyone = asked(engine, home, request)
    width = stored_profile(home).settings.policy.randomised_band
    return outcome(with_lots(engine, actor, request, asked=everyone, width=width))


def _keep(engine: Engine, actor: Actor, plan_id: int, found: Outcome) -> None:
    with transaction(engine) as session:
        plan = _leave(session, plan_id, "draft")
        if plan is not None:
            keep_solved(session, plan, found)
            decided_first(session, actor, plan)


def _fail(engine: Engine, actor: Actor, plan_id: int, why: dict[str, str]) -> None:
    with transaction(engine) as session:
        plan = _leave(session, plan_id, FAILED)
        if plan is not None:
            plan.conflict = [why]
            record(session, actor, "rest plan failed", f"rest plan {plan_id}")


def _leave(session: Session, plan_id: int, state: str) -> RestPlan | None:
    """The plan in its new state, if it still waits: of two that solved it the first stores."""
    statement = update(RestPlan).where(RestPlan.id == plan_id, RestPlan.state == SOLVING).values(state=state)
    done = session.scalar(statement.returning(RestPlan.id), execution_options={"synchronize_session": False})
    return None if done is None else session.get_one(RestPlan, plan_id, populate_existing=True)


def _both(why: Refusal | Problem) -> dict[str, str]:
    text = why.what if isinstance(why, Refusal) else why.detail
    return {language: one_language(text, language) or say("problem_detail", language) for language in ("zh", "en")}

"""The steps of the monthly run, in their order: what helps is told first, so that what is offered says what it brings.

Each puts its part into the store and returns a line in both languages. Run again, a step changes nothing that people
have before them.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine, func, select

from features.assessment import assess as assessing
from features.console import Advance
from features.errors import Refusal
from features.histories.store import current_version
from features.histories.tables import Histories
from features.months import month_end, month_text
from serving.access.audit import SYSTEM, Actor
from serving.assessed.storing import consented, store_assessment
from serving.database import transaction
from serving.decisions.rescored import rescore_owed
from serving.effects.storing import store_tracked
from serving.effects.tables import EffectRow
from serving.effects.telling import Pairs, Told, chosen_pairs, help_effects
from serving.mentoring.proposals import propose_once
from serving.mentoring.tables import MentoringRound
from serving.models.monitor import monitor_into_store
from serving.models.monitored import MonitoredMonth
from serving.offers.raising import raise_offers
from serving.rest.asking import PlanRequest
from serving.rest.lifecycle import make_plan
from serving.rest.outcome import Outcome
from serving.rest.tables import RestPlan
from serving.scored.scoring import by_whose_word, score_into_store
from serving.tables import Words
from serving.words import both, same, say
from training.effects.tracked import tracked
from training.models.risk_model import RiskModel
from training.models.scoring import ScoredCohort


@dataclass(frozen=True)
class Scope:
    """How much of a month's work is done: all of it, if nothing else is said."""

    before: int = 0
    """So many months before it are scored along with it."""
    action: str | None = None
    """The effects of this action alone are told; those of all that leave a record when None."""
    every: int = 1
    """Effects are told from every so many of the past months."""
    weeks: int = 8
    """The rest plan's weeks."""


@dataclass
class MonthRun:
    """A month's work: what it is done with, and what came of it on the way."""

    given: Histories
    models: Sequence[RiskModel]
    as_of: int
    home: Path
    engine: Engine
    actor: Actor = SYSTEM
    scope: Scope = Scope()
    cohorts: list[ScoredCohort] = field(default_factory=list)
    watched: MonitoredMonth | None = None

    @property
    def day(self) -> dt.date:
        """The as-of as a day."""
        return month_end(self.as_of)


@dataclass(frozen=True)
class MonthStep:
    """One step: its name, how often it advances its bar, what does it; what is no ``must`` may be not to be had."""

    name: str
    total: Callable[[MonthRun], int]
    does: Callable[[MonthRun, Advance], Words]
    must: bool = True


def effects(run: MonthRun, advance: Advance) -> Words:
    """Tell and store the effects that were not told of this month since the histories changed, and the figures."""
    wanted = chosen_pairs(run.given.profile, action=run.scope.action, risk=None)
    pairs, kept = _untold(run, wanted)
    advance(kept)
    every = run.scope.every
    found: list[Told] = help_effects(run.given, pairs, run.as_of, engine=run.engine, advance=advance, every=every)
    store_tracked(run.engine, run.given.profile, run.as_of, tracked(run.given, until=run.as_of))
    advance(1)
    estimable = sum(one.effect is not None and one.effect.estimable for one in found)
    return same("month_effects_kept" if kept else "month_effects_told", n=len(found), estimable=estimable, kept=kept)


def lists(run: MonthRun, advance: Advance) -> Words:
    """Score, explain, recommend, raise flags."""
    months = range(run.as_of - run.scope.before, run.as_of + 1)
    run.cohorts = score_into_store(run.given, run.models, months, run.engine, advance=advance, home=run.home)
    rescore_owed(run.engine, run.home, months)
    people = max((len(each) for each in run.cohorts), default=0)
    return same("month_lists_told", lists=len(run.cohorts), people=f"{people:,}")


def assessment(run: MonthRun, advance: Advance) -> Words:
    """Assess the month, with the letters that officers agreed to."""
    consents = consented(run.engine, run.day)
    found = assessing.assess(run.given, run.as_of, consents=consents, progress=advance)
    store_assessment(found, run.engine)
    return same("month_assessment_told", people=f"{len(found.tables['people']):,}")


def offers(run: MonthRun, advance: Advance) -> Words:
    """Make offers of what is recommended, and of ladders."""
    with transaction(run.engine) as session:
        made = raise_offers(session, run.given.profile, run.day)
    advance(1)
    return same("month_offers_told", **vars(made))


def watching(run: MonthRun, advance: Advance) -> Words:
    """Look for drift and holes."""
    served = by_whose_word(run.home, run.models)
    run.watched = monitor_into_store(run.given, run.models, run.as_of, run.engine, served=served, advance=advance)
    return run.watched.verdict


def match(run: MonthRun, advance: Advance) -> Words:
    """Propose mentorships; what was proposed and would be so again stands."""
    with transaction(run.engine) as session:
        later = session.scalar(select(func.max(MentoringRound.as_of)).where(MentoringRound.as_of > run.day))
        if later is not None:
            return same("month_later", month=f"{later:%Y-%m}")
        made, new = propose_once(session, run.home, run.actor, as_of=run.day)
        told = same("month_match_told" if new else "month_match_kept",
                    pairs=made.pairs, mentees=made.mentees, kept=made.kept)  # fmt: skip
    advance(1)
    return told


def rest(run: MonthRun, advance: Advance) -> Words:
    """Draft a rest plan under the profile's own quota, once a month."""
    actions = run.given.profile.actions.values()
    if not any(action.kind == "rest" and action.quota_per_1000 for action in actions):
        return same("month_rest_no_quota", month=month_text(run.as_of))
    with transaction(run.engine, writes=False) as session:
        standing = select(RestPlan).where(RestPlan.as_of >= run.day, RestPlan.state.not_in(("withdrawn", "failed")))
        held = session.scalar(standing.order_by(RestPlan.as_of.desc(), RestPlan.id.desc()).limit(1))
    if held is not None and held.as_of > run.day:
        return same("month_later", month=f"{held.as_of:%Y-%m}")
    if held is not None:
        return same("month_rest_kept", plan=held.id)
    plan, found = make_plan(run.engine, run.home, run.actor, PlanRequest(run.day, weeks=run.scope.weeks))
    advance(1)
    return _planned(plan, found)


STEPS = (
    MonthStep("effects", lambda run: _pairs_in(run) + 1, effects, must=False),
    MonthStep("lists", lambda run: len(run.models) * (run.scope.before + 1), lists),
    MonthStep("assessment", lambda _: assessing.STEPS, assessment),
    MonthStep("offers", lambda _: 1, offers),
    MonthStep("monitor", lambda run: 2 + len(run.models), watching),
    MonthStep("match", lambda _: 1, match, must=False),
    MonthStep("rest", lambda _: 1, rest, must=False),
)
"""The month's work. Effects come first: the recommendations of the lists and the rest plan hold what help brings."""


def not_had(refusal: Refusal) -> Words:
    """Return what is told of a step that these histories do not allow."""
    return same("month_not_had", why=refusal.message().replace("\n", " "))


def label(step: MonthStep, month: int, language: str) -> str:
    """Return how a step is named to people: Lists 2024-12."""
    return f"{say(f'month_{step.name}', language)} {month_text(month)}"


def _untold(run: MonthRun, wanted: Pairs) -> tuple[Pairs, int]:
    """The pairs of risk and actions without an effect since the histories changed; how many there are with one."""
    changed = dt.datetime.fromtimestamp(current_version(run.home).stat().st_mtime, dt.UTC)
    mine = select(EffectRow.risk, EffectRow.action).where(EffectRow.as_of == run.day, EffectRow.since == "")
    with transaction(run.engine, writes=False) as session:
        told = {(risk, action) for risk, action in session.execute(mine.where(EffectRow.made_at >= changed))}
    left = {risk: [each for each in actions if (risk, each) not in told] for risk, actions in wanted.items()}
    kept = sum(len(actions) for actions in wanted.values()) - sum(len(actions) for actions in left.values())
    return {risk: actions for risk, actions in left.items() if actions}, kept


def _pairs_in(run: MonthRun) -> int:
    try:
        pairs = chosen_pairs(run.given.profile, action=run.scope.action, risk=None)
    except Refusal:
        return 0  # the step itself says so
    return sum(len(actions) for actions in pairs.values())


def _planned(plan: int, found: Outcome) -> Words:
    conflict = found.conflict
    if conflict is not None:
        return both("month_rest_conflict", lambda lang: {"plan": plan, "why": "; ".join(one[lang] for one in conflict)})
    figures = found.figures or {}
    return same("month_rest_told", plan=plan, by_benefit=figures["by_benefit"], by_right=figures["by_right"])

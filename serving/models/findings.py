"""What the monitor found, in words: each finding with its level, what to do, and the figures behind it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from features.months import month_end, month_text
from features.names import group_label
from features.profile import Profile
from serving.models.monitored import CHECK, HOLD, WATCH, Finding, Kind
from serving.tables import Words
from serving.words import both, month_name, number, percent, points, say
from training.monitoring.coverage import Artefact, Hole
from training.monitoring.drift import Drift
from training.monitoring.inputs import Cause
from training.monitoring.performance import Performance

TEXTS: Mapping[Kind, tuple[str, str]] = {
    "hole": ("monitor_hole", "monitor_do_hole_used"),
    "unit": ("monitor_unit", "monitor_do_unit"),
    "roster": ("monitor_roster", "monitor_do_roster"),
    "artefact": ("monitor_artefact", "monitor_do_artefact"),
    "score": ("monitor_score", "monitor_do_score"),
    "calibration": ("monitor_calibration", "monitor_do_calibration"),
    "precision": ("monitor_precision", "monitor_do_precision"),
    "input": ("monitor_input", "monitor_do_input"),
}
"""What is said of each kind, and what to do; within a level they are told in this order."""
UNUSED = "monitor_do_hole_unused"
OLD_MONTHS = 12
"""A hole that began earlier is known by now, and the model was likely trained with it."""
FAR_OFF = 1.25
"""Outcomes so many times what was expected (or the inverse), beyond the interval's end, say that a level is wrong."""


@dataclass(frozen=True)
class Teller:
    """Makes findings of statistics for an as-of; ``used`` are the groups that some champion looks at."""

    profile: Profile
    as_of: int
    used: frozenset[str]

    def hole(self, hole: Hole) -> Finding:
        """A measure stopped arriving."""
        matters = hole.subject in self.used and hole.since > self.as_of - OLD_MONTHS
        return self._coverage("hole", hole, HOLD if matters else WATCH, action="" if matters else UNUSED)

    def unit(self, hole: Hole) -> Finding:
        """A unit fell silent."""
        fresh = hole.since > self.as_of - OLD_MONTHS
        return self._coverage("unit", hole, HOLD if fresh else WATCH, action="" if fresh else UNUSED)

    def roster(self, usual: float, now: float) -> Finding:
        """The roster shrank at once."""
        figures = {"usual": usual, "now": now, "month": month_text(self.as_of)}
        return self._finding("roster", HOLD, "roster", lambda _: {"usual": number(usual), "now": number(now)}, figures)

    def artefact(self, one: Artefact) -> Finding:
        """Only persons with an event are on file."""
        figures = {"people": one.people, "without": one.without, "expected": one.expected}
        told = {name: number(round(value)) for name, value in figures.items()}
        return self._finding("artefact", CHECK, one.subject, lambda _: told, figures)

    def input(self, drift: Drift) -> Finding:
        """A measure's values moved away from those of the training months."""
        return self._finding(
            "input",
            WATCH,
            drift.subject,
            lambda language: {
                "month": month_name(month_end(drift.month), language),
                "before": number(_short(drift.before)),
                "now": number(_short(drift.now)),
                "shift": number(round(drift.shift, 2)),
            },
            drift_figures(drift),
        )

    def score(self, risk: str, drift: Drift, means: tuple[float, float], why: list[Cause]) -> Finding:
        """The champion's probabilities moved, and what moved them most."""
        figures = drift_figures(drift) | {"mean_before": means[0], "mean_now": means[1]}
        figures |= {"causes": [{"group": one.group, "effect": one.effect} for one in why[:5]]}
        return self._finding(
            "score",
            CHECK,
            why[0].group,
            lambda language: {
                "risk": self.profile.label(risk, language),
                "before": _tenths(means[0]),
                "now": _tenths(means[1]),
                "effect": points(why[0].effect),
            },
            figures,
            risk=risk,
        )

    def calibration(self, risk: str, month: int, found: Performance) -> Finding:
        """Far more or fewer outcomes came than the list said."""
        ratio = found.ratio
        if ratio is None:
            raise ValueError("Calibration is told of lists whose outcomes are known.")
        figures = {"month": month_text(month), "ratio": ratio.as_json(), "expected": found.expected,
                   "observed": found.observed, "people": found.people}  # fmt: skip
        told = {"ratio": number(round(ratio.value, 2)), "low": number(round(ratio.low, 2)),
                "high": number(round(ratio.high, 2))}  # fmt: skip
        return self._performance("calibration", risk, month, told, figures)

    def precision(self, risk: str, month: int, found: Performance, card: list[float]) -> Finding:
        """The list is less precise than the card says, interval against interval."""
        shown = found.average_precision
        figures = {"month": month_text(month), "average_precision": shown.as_json(), "card": card}
        told = {"value": number(round(shown.value, 3)), "low": number(round(shown.low, 3)),
                "high": number(round(shown.high, 3)), "card_low": number(round(card[1], 3))}  # fmt: skip
        return self._performance("precision", risk, month, told, figures)

    def too_early(self, risk: str, begins: int, *, needed: int) -> Words:
        """Why a model's inputs and scores are not compared: too few of its training months lie before."""
        return both(
            "monitor_too_early",
            lambda language: {
                "risk": self.profile.label(risk, language),
                "first": month_name(month_end(begins), language),
                "month": month_name(month_end(self.as_of), language),
                "n": max(0, self.as_of - begins),
                "needed": needed,
            },
        )

    def no_model(self) -> Words:
        """Why nothing is compared where no model serves."""
        return both("monitor_no_model", lambda _: {})

    def _performance(self, kind: Kind, risk: str, month: int, told: Mapping[str, str], figures: Any) -> Finding:
        def values(language: str) -> dict[str, str]:
            place = {"risk": self.profile.label(risk, language), "month": month_name(month_end(month), language)}
            return {**told, **place}

        return self._finding(kind, CHECK, risk, values, figures, risk=risk)

    def _coverage(self, kind: Kind, hole: Hole, level: int, *, action: str = "") -> Finding:
        figures = {"since": month_text(hole.since), "window": hole.window, "rows": hole.rows, "usual": hole.usual,
                   "p": hole.p}  # fmt: skip
        told = {"since": month_text(hole.since), "window": str(hole.window), "rows": number(round(hole.rows)),
                "usual": number(round(hole.usual))}  # fmt: skip
        return self._finding(kind, level, hole.subject, lambda _: told, figures, action=action)

    def _finding(
        self,
        kind: Kind,
        level: int,
        subject: str,
        values: Callable[[str], Mapping[str, Any]],
        figures: dict[str, Any],
        *,
        risk: str | None = None,
        action: str = "",
    ) -> Finding:
        def filled(language: str) -> dict[str, Any]:
            return {"subject": group_label(self.profile, subject, language), **values(language)}

        said, do = TEXTS[kind]
        return Finding(kind, level, risk, subject, both(said, filled), both(action or do, filled), figures)


def ordered(findings: list[Finding]) -> list[Finding]:
    """Return findings with the most severe first."""
    return sorted(findings, key=lambda one: (-one.level, list(TEXTS).index(one.kind), one.figures.get("p", 0.0)))


def verdict(findings: list[Finding], unsaid: list[Words], *, fewest: int = 0) -> Words:
    """Return one sentence with what to do: that of the most severe finding, and how many more there are.

    Without findings it is that all is stable; or, where ``unsaid`` tells why nothing could be compared, just that, and
    what can be said of coverage (nothing before ``fewest`` months of records, where it is not 0).
    """
    if not findings and unsaid:
        arrives = "monitor_arrives_unsaid" if fewest else "monitor_arrives_whole"
        return {
            language: _gap(language).join(
                [
                    say("monitor_unsaid", language),
                    *(why[language] for why in unsaid),
                    say(arrives, language, fewest=fewest),
                ]
            )
            for language in unsaid[0]
        }
    if not findings:
        return both("monitor_stable", lambda _: {})
    first, rest = findings[0], len(findings) - 1
    told = {language: first.text[language] + _gap(language) + first.action[language] for language in first.text}
    if not rest:
        return told
    return {language: say("monitor_more", language, first=told[language], n=rest) for language in told}


def drift_figures(drift: Drift) -> dict[str, Any]:
    """Return a drift with its months as text, for JSON."""
    months = {"from": month_text(drift.reference[0]), "to": month_text(drift.reference[-1]), "n": len(drift.reference)}
    auc = min(max(drift.auc, 0.0), 1.0)  # sums of ranks are off by a rounding
    return vars(drift) | {"auc": auc, "month": month_text(drift.month), "reference": months}


def _tenths(probability: float) -> str:
    """8.3% and 5.6% are told apart."""
    return f"{probability * 100:.1f}%" if probability < 0.2 else percent(probability)


def _short(value: float) -> float:
    return float(f"{value:.3g}") if abs(value) < 1000 else float(round(value))


def _gap(language: str) -> str:
    return "" if language == "zh" else " "

"""The monitor's page: the verdict first, what to do, then what arrived, what drifted, and how good the lists were."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from features.months import month_end, parse_month
from serving.access.caller import needs
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem
from serving.models import monitor_charts, monitored
from serving.models.monitored import FALSE_DISCOVERIES, UNJUDGED
from serving.pages.frame import Reader, page
from serving.sessions import AsOf, Database
from serving.tables import MonitorFindingRow, MonitorRun
from serving.words import month_name, number, percent, say

LEVELS = {3: "monitor_level_3", 2: "monitor_level_2", 1: "monitor_level_1", 0: "monitor_level_0",
          UNJUDGED: "monitor_level_unjudged"}  # fmt: skip
TOLD = ("month", "since", "window", "rows", "usual", "before", "now", "statistic", "shift", "auc", "p", "q",
        "people", "without", "expected", "observed", "ratio", "average_precision", "card",
        "mean_before", "mean_now")  # fmt: skip
"""The figures of a finding that the page shows, by their names."""

router = APIRouter(include_in_schema=False)


@router.get("/monitor", dependencies=[needs(Permission.SEE_MONITOR)])
def monitor_page(request: Request, database: Database, language: Reader, as_of: AsOf) -> Response:
    """Show what the monitor found in a month, the newest by default."""
    run = monitored.run_of(database, as_of)
    if run is None:
        return page(request, "monitor.html", language, run=None)
    findings = monitored.findings_of(database, run)
    return page(
        request,
        "monitor.html",
        language,
        run=run,
        months=monitored.months_monitored(database),
        level=LEVELS[run.level],
        levels=LEVELS,
        findings=[(one, _figures(one, language)) for one in findings],
        arrivals=_arrivals(run, findings),
        drifted=[row for row in run.figures["inputs"] if row["q"] <= FALSE_DISCOVERIES],
        inputs=sorted(run.figures["inputs"], key=lambda row: (row["q"], row["p"])),
        label=lambda key: run.figures["labels"].get(key, {}).get(language, key),
        day=lambda text: month_name(month_end(parse_month(text)), language),
        exact=exact,
        span=span,
        share=share,
    )


@router.get("/monitor/arrivals.svg", dependencies=[needs(Permission.SEE_MONITOR)])
def arrivals_picture(
    database: Database, language: Reader, as_of: AsOf, size: Literal["wide", "narrow"] = "wide"
) -> Response:
    """Draw what arrived by measure and month."""
    run = monitored.run_of(database, as_of)
    if run is None or not run.figures["arrivals"]:
        raise Problem(Kind.NOT_FOUND, "Nothing has been monitored yet.")
    rows = _arrivals(run, monitored.findings_of(database, run))
    svg = monitor_charts.arrivals_chart(rows, run.figures["months"], run.figures["labels"], language, size)
    return Response(svg, media_type="image/svg+xml")


def _arrivals(run: MonitorRun, findings: list[MonitorFindingRow]) -> list[dict[str, Any]]:
    """What arrived, the measures of findings first, then by how regularly they come."""
    found = {one.subject for one in findings if one.kind in ("hole", "artefact", "input")}

    def place(row: dict[str, Any]) -> tuple[bool, int, int]:
        return row["measure"] not in found, -sum(1 for value in row["rows"] if value), -sum(row["rows"])

    return sorted(run.figures["arrivals"], key=place)


def _figures(one: MonitorFindingRow, language: str) -> list[tuple[str, str]]:
    """The figures behind a finding, each with its name."""
    found = [(name, _said(one.figures[name])) for name in TOLD if one.figures.get(name) is not None]
    reference = one.figures.get("reference")
    found += [("reference", f"{reference['from']}–{reference['to']}")] if reference else []
    return [(say(f"monitor_figure_{name}", language), value) for name, value in found]


def _said(value: Any) -> str:
    if isinstance(value, list):
        return span(value)
    return exact(value) if isinstance(value, float) else str(value)


def exact(value: float | None) -> str:
    """Return a figure with three digits; very small ones as powers of ten."""
    if value is None:
        return "—"
    return f"{value:.1e}" if 0 < abs(value) < 0.001 else number(value) if abs(value) >= 100 else f"{value:.3g}"


def span(figure: list[float | None] | None) -> str:
    """Return a figure with its interval."""
    if not figure or figure[0] is None:
        return "—"
    return f"{exact(figure[0])} ({exact(figure[1])}–{exact(figure[2])})"


def share(part: float | None) -> str:
    """Return a share in percent."""
    return "—" if part is None else percent(part)

"""The monitor's figures for Prometheus at /metrics: of the force as a whole, never of a person."""

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from sqlalchemy.orm import Session

from serving.access.caller import needs
from serving.access.probes import probed
from serving.access.roles import Permission
from serving.models import monitored
from serving.sessions import Database
from serving.tables import MonitorRun

router = APIRouter(tags=["health"])


@router.get("/metrics", dependencies=[needs(Permission.OPEN), probed()], include_in_schema=False)
def metrics(database: Database) -> Response:
    """Return the newest run of the monitor in Prometheus' text format; empty of figures where there is none."""
    return Response(exposition(database), media_type=CONTENT_TYPE_LATEST)


def exposition(session: Session) -> bytes:
    """Return the text: made anew of SQL at each call in a registry of its own, so that nothing else leaks in."""
    registry = CollectorRegistry(auto_describe=False)
    run = monitored.run_of(session)
    runs = Gauge("jingxing_monitor_runs", "Months that the monitor has looked at.", registry=registry)
    runs.set(len(monitored.months_monitored(session)))
    if run is not None:
        _of_run(run, registry)
        found = Gauge("jingxing_monitor_findings", "Findings by kind and level.", ["kind", "level"], registry=registry)
        for one in monitored.findings_of(session, run):
            found.labels(one.kind, str(one.level)).inc()
    return generate_latest(registry)


def _of_run(run: MonitorRun, registry: CollectorRegistry) -> None:
    level = Gauge(
        "jingxing_monitor_level", "-1 not judged, 0 stable, 1 watch, 2 check, 3 hold the lists back.", registry=registry
    )
    level.set(run.level)
    ran = Gauge("jingxing_monitor_ran_timestamp_seconds", "When the monitor ran.", registry=registry)
    ran.set(run.ran_at.timestamp())
    month = Gauge("jingxing_monitor_as_of_month", "The as-of: year * 100 + month.", registry=registry)
    month.set(run.as_of.year * 100 + run.as_of.month)
    rows = Gauge("jingxing_rows_in_month", "Rows of the newest month by measure.", ["measure"], registry=registry)
    for each in run.figures["arrivals"]:
        rows.labels(each["measure"]).set(each["rows"][-1])
    shift = Gauge("jingxing_input_shift_sd", "Shift of an input, in SDs.", ["measure"], registry=registry)
    chance = Gauge("jingxing_input_drift_q", "q of an input's drift.", ["measure"], registry=registry)
    for each in run.figures["inputs"]:
        shift.labels(each["subject"]).set(each["shift"])
        chance.labels(each["subject"]).set(each["q"])
    _of_risks(run, registry)


def _of_risks(run: MonitorRun, registry: CollectorRegistry) -> None:
    names = ["risk", "model_version"]
    mean = Gauge("jingxing_score_mean", "Mean probability of the cohort.", names, registry=registry)
    expected = Gauge(
        "jingxing_expected_average_precision", "Expected of the newest list if calibrated.", names, registry=registry
    )
    came = Gauge("jingxing_average_precision", "Of the newest list whose outcomes are known.", names, registry=registry)
    off = Gauge("jingxing_calibration_error", "Of the newest list whose outcomes are known.", names, registry=registry)
    for risk, told in run.figures["risks"].items():
        place = (risk, str(told["model_version"]))
        mean.labels(*place).set(told["mean"])
        if told["expected"]["average_precision"][0] is not None:
            expected.labels(*place).set(told["expected"]["average_precision"][0])
        if told["measured"]:
            newest = told["measured"][-1]
            came.labels(*place).set(newest["average_precision"][0])
            off.labels(*place).set(newest["calibration_error"][0])

"""Who may ask whether the service runs: this machine; others only where it was started so."""

from typing import Any

from fastapi import Depends, Request

from serving.answers.headers import LOOPBACK
from serving.answers.problems import Kind, Problem

NOT_HERE = "Probes answer this machine only; start with --open-probes for others. 探测接口仅限本机访问。"


def probed() -> Any:
    """Return the dependency of /healthz, /readyz and /metrics."""
    return Depends(_from_here)


def _from_here(request: Request) -> None:
    near = request.client is not None and request.client.host in LOOPBACK
    forwarded = "x-forwarded-for" in request.headers or "forwarded" in request.headers
    if not (request.app.state.settings.open_probes or (near and not forwarded)):
        raise Problem(Kind.FORBIDDEN, NOT_HERE)

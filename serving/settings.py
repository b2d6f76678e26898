"""How the service was started: what it trusts, whom it answers, how much at once. No default is a secret."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Provider:
    """The bureau's own OpenID Connect provider; ``claim`` is what names the account, and never its role."""

    issuer: str
    client_id: str
    client_secret: str
    claim: str = "preferred_username"


@dataclass(frozen=True)
class Settings:
    """The settings of one start; the defaults are those of a service on its own machine."""

    trusted_hosts: tuple[str, ...] = ()
    """Names under which others reach it, beside the loopback ones."""
    open_probes: bool = False
    """Whether /healthz, /readyz and /metrics answer others than this machine."""
    calls_a_minute: int = 600
    """So many calls a minute are answered to one token; a tenth of them may come at once."""
    at_once: int = 12
    """So many requests ask the database at a time; the others wait their turn."""
    scorers: int = 0
    """So many processes score the histories sent to POST /predictions; with 0 the server does it itself."""
    provider: Provider | None = None


@dataclass(frozen=True)
class Listening:
    """Where the service listens: TLS of its own, or a proxy before it whose word on the client is believed."""

    host: str
    port: int
    cert: Path | None = None
    key: Path | None = None
    proxies: tuple[str, ...] = ()

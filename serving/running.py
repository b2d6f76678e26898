"""The command serve: where it may listen, its first accounts, and the server that ends gracefully."""

import gc
import ipaddress
import os
import socket
import ssl
from pathlib import Path
from typing import Any

import click
import uvicorn
from sqlalchemy import Engine

from features.console import Console, command
from features.errors import Refusal, WrongUsage
from serving.access.first import First, first_accounts
from serving.answers import logs
from serving.answers.headers import LOOPBACK
from serving.app import create_app
from serving.database import open_database
from serving.models.scorers import MOST_SCORERS
from serving.settings import Listening, Provider, Settings

GRACE_SECONDS = 30
"""So long a request that has begun may take to end when the service is stopped."""
GARBAGE = (10_000, 20, 50)
"""So many new objects between two searches for garbage: a page makes some thousand, which go with it."""
UNASKED_SCORERS = 4
EXISTING = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.option("--host", default="127.0.0.1", show_default=True, help="Others than loopback: with TLS or a proxy only.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option("--db", envvar="JINGXING_DB", default=None, metavar="URL", help="The store (SQLite in HOME/var).")
@click.option("--cert", type=EXISTING, default=None, help="TLS: the certificate chain, PEM.")
@click.option("--key", type=EXISTING, default=None, help="TLS: its private key, PEM.")
@click.option("--behind-proxy", "proxies", multiple=True, metavar="ADDRESS", help="The proxy that ends TLS.")
@click.option("--trusted-host", "hosts", multiple=True, metavar="NAME", help="A name under which others reach it.")
@click.option("--open-probes", is_flag=True, help="/healthz, /readyz and /metrics answer others than this machine.")
@click.option("--calls-a-minute", type=click.IntRange(1), default=600, show_default=True, help="For each token.")
@click.option(
    "--scorers",
    type=click.IntRange(0, MOST_SCORERS),
    default=None,
    metavar="N",
    help="Processes that score histories sent; one for each core, at most 4, unless you say. 0: the server does.",
)
@click.option("--oidc-issuer", envvar="JINGXING_OIDC_ISSUER", default=None, metavar="URL", help="The own provider.")
@click.option("--oidc-client", envvar="JINGXING_OIDC_CLIENT", default=None, metavar="ID", help="Our id there.")
@click.option("--oidc-secret-file", envvar="JINGXING_OIDC_SECRET_FILE", type=EXISTING, default=None, help="Our secret.")
@click.option("--oidc-claim", envvar="JINGXING_OIDC_CLAIM", default="preferred_username", show_default=True,
              help="The claim that names the account.")  # fmt: skip
def _serve(console: Console, *, db: str | None, **given: Any) -> dict[str, Any]:
    """Run the API and the web pages. Without any account it makes the first one and tells its password once."""
    where = Listening(given["host"], given["port"], given["cert"], given["key"], given["proxies"])
    settings = Settings(
        trusted_hosts=given["hosts"],
        open_probes=given["open_probes"],
        calls_a_minute=given["calls_a_minute"],
        scorers=_scorers() if given["scorers"] is None else given["scorers"],
        provider=_provider(given),
    )
    check_listening(where, settings)
    return run(console, bind(where.host, where.port), db=db, where=where, settings=settings)


serve = command("serve")(_serve)


def check_listening(where: Listening, settings: Settings) -> None:
    """Raise a Refusal where personal data would cross the network unprotected."""
    if (where.cert is None) != (where.key is None):
        raise WrongUsage("TLS needs both --cert and --key.")
    if where.cert and where.proxies:
        raise WrongUsage("Either --cert and --key, or --behind-proxy: one of them ends TLS.")
    for proxy in where.proxies:
        _check_proxy(proxy)
    if where.host not in LOOPBACK and not (where.cert or where.proxies):
        raise Refusal(
            f"The service can't be opened to {where.host or 'all addresses'} without TLS: it shows personal data.",
            hint="Give --cert and --key, or --behind-proxy ADDRESS; alone on this machine: --host 127.0.0.1.",
        )
    if where.host not in LOOPBACK and not settings.trusted_hosts:
        raise WrongUsage("Under which name is it reached?", hint="Say it with --trusted-host NAME.")
    if where.cert and where.key:
        _check_certificate(where.cert, where.key)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address; a Refusal where the port is taken or the address is none of ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # not called TCP, asyncio leaves Nagle's wait
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise Refusal(
            f"Port {port} on {host} can't be used ({error.strerror}).", hint=f"Choose another: --port {port + 1}"
        ) from None
    return bound


def run(
    console: Console,
    bound: socket.socket,
    *,
    db: str | None = None,
    where: Listening | None = None,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Serve on a bound socket until stopped; requests that have begun are answered before it ends."""
    host, port = bound.getsockname()[:2]
    where, settings = where or Listening(host, port), settings or Settings()
    engine = open_database(console.home, db)
    scheme = "https" if where.cert else "http"
    tell_first(console, console.home, engine)
    server = uvicorn.Server(server_config(console.home, engine, where=where, settings=settings))
    settle()
    bound.listen()  # whoever comes from now on waits until the server takes them
    console.say(f"Open {scheme}://{_in_url(settings.trusted_hosts[0] if where.cert else host)}:{port}/")
    console.say("Stop with Ctrl+C.")
    server.run(sockets=[bound])
    engine.dispose()
    return {"host": host, "port": port}


def settle() -> None:
    """Let what is loaded stay out of every later search for garbage: looking through it takes a tenth of a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)


def server_config(home: Path, engine: Engine, *, where: Listening, settings: Settings) -> uvicorn.Config:
    """Return the server's configuration."""
    return uvicorn.Config(
        create_app(home, engine, settings),
        log_config=logs.config(),
        access_log=False,  # it would hold officer ids; serving.answers.headers writes a line without them
        server_header=False,
        proxy_headers=bool(where.proxies),
        forwarded_allow_ips=list(where.proxies) or None,
        ssl_certfile=where.cert,
        ssl_keyfile=where.key,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def tell_first(console: Console, home: Path, engine: Engine) -> list[First]:
    """Make the first accounts where there is none, and print their passwords this once."""
    made = first_accounts(home, engine)
    if made:
        console.say("\nFirst accounts. The passwords are shown this once; each is changed at the first sign-in:")
    for one in made:
        console.say(f"  {one.name:15} {one.password}  {one.scope}".rstrip())
    return made


def _check_proxy(proxy: str) -> None:
    try:
        ipaddress.ip_network(proxy)
    except ValueError:
        raise WrongUsage(
            f"--behind-proxy: '{proxy}' is no address.",
            hint="Give the proxy's IP address, or its network: 10.0.0.0/24.",
        ) from None


def _check_certificate(cert: Path, key: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    except (ssl.SSLError, OSError) as error:
        raise Refusal(
            f"The certificate {cert} and the key {key} can't be used together ({type(error).__name__}).",
            hint="Both are PEM: --cert the chain, the server's own first, --key the private key that belongs to it.",
        ) from None


def _scorers() -> int:
    """One for each core, where there are more than one; no more than a few, since each holds the models."""
    cores = os.cpu_count() or 1
    return min(cores, UNASKED_SCORERS) if cores > 1 else 0


def _provider(given: dict[str, Any]) -> Provider | None:
    parts = (given["oidc_issuer"], given["oidc_client"], given["oidc_secret_file"])
    if not any(parts):
        return None
    if not all(parts):
        raise WrongUsage("A provider needs --oidc-issuer, --oidc-client and --oidc-secret-file.")
    if not given["oidc_issuer"].startswith("https://"):
        raise WrongUsage("The provider's address must begin with https://.")
    secret = given["oidc_secret_file"].read_text(encoding="utf-8").strip()
    return Provider(given["oidc_issuer"].rstrip("/"), given["oidc_client"], secret, given["oidc_claim"])


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host

"""The real process: TLS by options, the first password once, requests that have begun are answered at the end."""

import asyncio
import datetime as dt
import json
import re
import signal
import socket
import ssl
import subprocess
import sys

import httpx
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from serving.cli import main
from serving.running import bind

READY = re.compile(r"Open (https?)://[^:]+:(\d+)/")


def certificate(folder):
    """A certificate of localhost by itself, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return folder / "cert.pem", folder / "key.pem"


def started(home, *options):
    """A running service, its port, and what it said until then."""
    command = [
        sys.executable,
        "-c",
        "from serving.cli import main; main()",
        "--home",
        str(home),
        "serve",
        "--port",
        "0",
    ]
    service = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = ""
    for line in service.stdout:
        said += line
        if found := READY.search(line):
            return service, int(found[2]), said
    raise AssertionError(service.stderr.read())


def ended(service):
    service.send_signal(signal.SIGTERM)
    said, log = service.communicate()
    return service.returncode, said, log


def test_over_tls_it_answers_by_name_only_and_its_first_password_is_told_once(tmp_path):
    cert, key = certificate(tmp_path)
    options = ("--cert", str(cert), "--key", str(key), "--trusted-host", "localhost")
    service, port, said = started(tmp_path, *options)
    try:
        context = ssl.create_default_context(cafile=str(cert))
        answer = httpx.get(f"https://localhost:{port}/sign-in", verify=context)
        assert answer.status_code == 200
        assert "strict-transport-security" in answer.headers
        assert httpx.get(f"https://localhost:{port}/notice", verify=context, headers={"host": "x"}).status_code == 421
    finally:
        code, _, log = ended(service)
    assert code in (0, -signal.SIGTERM)
    assert re.search(r"admin +(\w{5}-){3}\w{5}", said)
    lines = [json.loads(line) for line in log.splitlines()]
    assert {line["route"] for line in lines if line["event"] == "answered"} >= {"/sign-in"}
    service, _, said = started(tmp_path, *options)
    ended(service)
    assert "admin" not in said


def test_a_request_that_has_begun_is_answered_before_the_service_ends(tmp_path):
    service, port, said = started(tmp_path)
    try:
        password = re.search(r"admin +([\w-]+)", said)[1]
        body = f"name=admin&password={password}".encode()
        head = f"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall((head + "Content-Type: application/x-www-form-urlencoded\r\n\r\n").encode() + body[:5])
            assert httpx.get(f"http://localhost:{port}/healthz").status_code == 200  # ours has begun: it came before
            service.send_signal(signal.SIGTERM)
            while reached(port):  # until it takes no new ones
                pass
            line.sendall(body[5:])
            answer = line.recv(65536).decode()
    finally:
        service.terminate()
        service.communicate()
    assert answer.startswith("HTTP/1.1 303")
    assert "location: /password" in answer.lower()


def reached(port):
    try:
        return httpx.get(f"http://localhost:{port}/healthz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--host", "0.0.0.0"], 1, "without TLS"),
        (["--host", "0.0.0.0", "--behind-proxy", "10.0.0.1"], 2, "--trusted-host"),
        (["--oidc-issuer", "https://id.bureau"], 2, "--oidc-client"),
    ],
)
def test_an_unsafe_or_half_start_is_refused(tmp_path, options, code, says):
    done = CliRunner().invoke(main, ["--home", str(tmp_path), "serve", *options])
    assert done.exit_code == code
    assert says in done.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_is_answered_in_two_parts_does_not_wait_for_the_first_to_be_acknowledged(host):
    async def no_delay():
        found = asyncio.get_running_loop().create_future()

        def met(_reader, writer):
            found.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with bind(host, 0) as bound:
            async with await asyncio.start_server(met, sock=bound):
                _, calls = await asyncio.open_connection(*bound.getsockname()[:2])
                calls.close()
                return await found

    assert asyncio.run(no_delay()) == 1


def test_a_certificate_without_its_key_is_refused(tmp_path):
    cert, key = certificate(tmp_path)
    done = CliRunner().invoke(main, ["--home", str(tmp_path), "serve", "--cert", str(cert)])
    assert done.exit_code == 2
    key.write_text("no key")
    done = CliRunner().invoke(
        main, ["--home", str(tmp_path), "serve", "--port", "0", "--cert", str(cert), "--key", str(key)]
    )
    assert done.exit_code == 1
    assert "can't be used" in done.stderr

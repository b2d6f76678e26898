"""How long people wait before anything happens: the help of the program, and the server's first answer."""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = Path(sys.executable).parent / "jingxing"


def help_seconds() -> float:
    """Return how long `jingxing --help` takes."""
    start = time.perf_counter()
    subprocess.run([PROGRAM, "--help"], check=True, capture_output=True)
    return time.perf_counter() - start


@contextmanager
def a_home() -> Iterator[Path]:
    """Give a home with a small force."""
    home = Path(tempfile.mkdtemp(prefix="jingxing-bench-"))
    told = ["simulate", "--officers", "100", "--months", "24", "--seed", "1", "--out", str(home / "export")]
    for command in (told, ["ingest", str(home / "export"), "--profile", "gongan"]):
        subprocess.run([PROGRAM, "--home", home, *command], check=True, capture_output=True)
    yield home
    shutil.rmtree(home)


def serving_seconds(home: Path) -> float:
    """Return how long it takes from the start of the server to its first answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = time.perf_counter()
    server = subprocess.Popen(
        [PROGRAM, "--home", home, "serve", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not _answers(port):
            if server.poll() is not None:
                raise RuntimeError(f"The server ended with {server.returncode} before it answered.")
            time.sleep(0.02)
        return time.perf_counter() - start
    finally:
        server.terminate()
        server.wait()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False

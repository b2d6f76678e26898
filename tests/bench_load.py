"""The load generator of the service's benchmark, a process of its own: so many connections, each asking without pause.

`python -m tests.bench_load` reads a plan as JSON on stdin and prints what came of it. It writes bytes made beforehand
and reads no more of an answer than its length and status, so that it is not what limits a rival.
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True)
class Ask:
    """One request: its path, what is sent, and the headers beside."""

    path: str
    method: str = "GET"
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def raw(self, port: int) -> bytes:
        """Return the request as it goes over the wire, keep-alive."""
        sent = self.body.encode()
        path = quote(self.path, safe="/?&=%")
        lines = [f"{self.method} {path} HTTP/1.1", f"host: 127.0.0.1:{port}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"content-length: {len(sent)}"] if sent else []
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + sent


@dataclass(frozen=True)
class Plan:
    """What is asked of a port: each connection goes round the requests, beginning at another one.

    ``users`` holds the requests of each connection, as many as ``asks`` and of the same pages, where they differ.
    """

    port: int
    asks: tuple[Ask, ...]
    users: tuple[tuple[Ask, ...], ...] = ()
    connections: int = 10
    seconds: float = 3.0
    """No request begins after so long."""
    times: int = 0
    """Go round the requests so many times instead, where it is not 0."""
    pause: float = 0.0
    """So many seconds each connection rests after an answer, as who reads a page does."""

    @classmethod
    def of_json(cls, text: str) -> "Plan":
        """Return the plan that as_json gave."""
        told = json.loads(text)
        asks, users = _asks(told.pop("asks")), tuple(map(_asks, told.pop("users")))
        return cls(asks=asks, users=users, **told)

    def as_json(self) -> str:
        """Return the plan as text."""
        return json.dumps(asdict(self))


def _asks(told: Sequence[Mapping[str, Any]]) -> tuple[Ask, ...]:
    return tuple(Ask(**{**each, "headers": tuple(map(tuple, each["headers"]))}) for each in told)


@dataclass(frozen=True)
class Found:
    """What came: wall seconds all in all; for each answer which request, its milliseconds and its status."""

    seconds: float
    answers: Sequence[tuple[int, float, int]]


async def load(plan: Plan) -> Found:
    """Return what a plan finds."""
    raw = [[ask.raw(plan.port) for ask in asks] for asks in plan.users or (plan.asks,)]
    begin = time.perf_counter()
    each = [
        _connection(plan, raw[number % len(raw)], number, begin + plan.seconds) for number in range(plan.connections)
    ]
    parts = await asyncio.gather(*each)
    return Found(time.perf_counter() - begin, [answer for part in parts for answer in part])


async def _connection(plan: Plan, raw: Sequence[bytes], number: int, end: float) -> list[tuple[int, float, int]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", plan.port, limit=2**22)
    found: list[tuple[int, float, int]] = []
    first = number * len(raw) // plan.connections
    while len(found) < plan.times * len(raw) if plan.times else time.perf_counter() < end:
        which = (first + len(found)) % len(raw)
        start = time.perf_counter()
        writer.write(raw[which])
        status = await _answer(reader)
        found.append((which, 1000 * (time.perf_counter() - start), status))
        if plan.pause:
            await asyncio.sleep(plan.pause)
    writer.close()
    return found


async def _answer(reader: asyncio.StreamReader) -> int:
    """Read one answer and return its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    lengths = [int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")]
    if lengths:
        await reader.readexactly(lengths[0])
    elif b"transfer-encoding: chunked" in lines:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    return int(lines[0].split(b" ")[1])


if __name__ == "__main__":
    json.dump(asdict(asyncio.run(load(Plan.of_json(sys.stdin.read())))), sys.stdout)

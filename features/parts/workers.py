"""Dask's workers: opening them, and giving them blocks of officers, so many at a time that none is overrun.

Workers read the histories themselves: what a dead one held is made again by another. Dask gives up on a block whose
workers died more often than its setting distributed.scheduler.allowed-failures (3) says.
"""

import collections
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from features.errors import Refusal, WrongUsage
from features.late import Late

dask: Any = Late("dask")
distributed: Any = Late("distributed")

AHEAD = 2
"""So many blocks for each thread are under way: results wait for their turn in the workers' memory."""
WAIT_SECONDS = 30

MOST_LOCAL = 64
ADDRESS = re.compile(r"(?:(?:tcp|tls)://)?(?:\[[0-9a-fA-F:]+\]|[^\[\]/:\s]+):[0-9]{1,5}", re.ASCII)
LOCAL = re.compile(r"local:([0-9]{1,9})", re.ASCII)
WRITE = "Write --dask local:2, or --dask tcp://HOST:8786."


DASK = click.option(
    "--dask",
    default=None,
    metavar="ADDRESS|local:N",
    help="Dask's scheduler (tcp://HOST:8786), or so many workers on this machine.",
)

LARGE = {"distributed.admin.large-graph-warning-threshold": "1GB"}
"""Figures of everyone go with each task, since whoever makes it after a worker's death needs them too: no warning."""
NO_PAGES = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
"""No dashboard; what Dask asks of itself by HTTP stays on this machine, on any free port."""

Task = TypeVar("Task")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Workers:
    """An open cluster. ``size`` is how many threads its workers have."""

    client: Any

    @property
    def size(self) -> int:
        """How many blocks are worked on at a time."""
        return max(1, int(sum(self.client.nthreads().values())))

    def in_order(self, make: Callable[[Task], Found], tasks: Iterable[Task]) -> Iterator[Found]:
        """Yield what ``make`` finds for each task, in the tasks' order; a task whose worker dies is made again."""
        waiting: collections.deque[Any] = collections.deque()
        for task in tasks:
            waiting.append(self.begun(make, task))
            if len(waiting) >= AHEAD * self.size:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def begun(self, make: Callable[..., Found], *given: Any) -> Any:
        """Return the future of one task, whose result stays with its worker."""
        return self.client.submit(make, *given, pure=False)


@contextmanager
def opened(address: str) -> Iterator[Workers]:
    """Open the workers at a scheduler's address, or ``local:N`` of them on this machine, for as long as needed.

    Local workers listen on this machine only and have no dashboard. A Refusal where no scheduler answers, WrongUsage
    where the address is none: it is checked here, since a client of Dask's that was half made waits for itself.
    """
    local = LOCAL.fullmatch(address)
    if local is None and (address.startswith("local:") or not ADDRESS.fullmatch(address)):
        raise WrongUsage(f"--dask: '{address}' is no address of a scheduler.", hint=WRITE)
    if local:
        # The setting comes after the cluster, which loads Dask's distributed part: put back to what it was
        # before that, the configuration would be without it.
        with (
            _local(int(local[1])) as cluster,
            dask.config.set(LARGE),
            distributed.Client(cluster, set_as_default=False) as client,
        ):
            client.register_plugin(_silent())
            yield Workers(client)
        return
    try:
        client = distributed.Client(address, timeout=WAIT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise Refusal(
            f"No Dask scheduler answers at {address} ({type(error).__name__}).",
            hint="Start one (dask scheduler --host 127.0.0.1) and workers (dask worker ADDRESS), or use local:2.",
        ) from None
    with dask.config.set(LARGE), client:
        if not client.nthreads():
            raise Refusal(f"The Dask scheduler at {address} has no workers.", hint="Start some: dask worker ADDRESS")
        yield Workers(client)


def _silent() -> Any:
    """What makes local workers write nothing to the terminal's standard output: it is the command's."""

    class Silent(distributed.WorkerPlugin):  # type: ignore[misc]
        def setup(self, worker: Any) -> None:  # noqa: ARG002 - the plugin's signature
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    return Silent()


def _local(number: int) -> Any:
    if not 1 <= number <= MOST_LOCAL:
        raise WrongUsage(f"--dask local:{number}: from 1 to {MOST_LOCAL} workers can be on one machine.", hint=WRITE)
    return distributed.LocalCluster(
        n_workers=number,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=None,
        scheduler_kwargs=NO_PAGES,
        silence_logs=logging.CRITICAL,
    )

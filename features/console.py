"""What every command shares: --home and --json, progress bars, refusals as one message, exit codes."""

import functools
import json
import logging
import os
import sys
import tempfile
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console as Terminal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from features.errors import Refusal

OURS = 3
HELD = ("var/histories/current.json", "var/jingxing.db", "mlruns/mlflow.db")
"""Where one of these is, something is stored in a home."""

Advance = Callable[[int], None]


@dataclass
class Step:
    """One step of a long job: ``advance`` moves its bar, ``told`` is what its line says at the end."""

    advance: Advance
    told: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Console:
    """Where a command runs (``home``) and how it speaks: prose, or one JSON object."""

    home: Path
    json: bool

    def say(self, text: str = "") -> None:
        """Print a line of prose; silent under --json."""
        if not self.json:
            click.echo(text)

    @contextmanager
    def progress(self, label: str, total: int) -> Iterator[Advance]:
        """Show a progress bar on stderr where that is a terminal; the yielded function advances it by so many steps."""
        terminal = Terminal(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=terminal, disable=self.json or not terminal.is_terminal) as bar:
            task = bar.add_task(label, total=total)
            yield lambda steps: bar.advance(task, steps)

    @contextmanager
    def step(self, label: str, total: int) -> Iterator[Step]:
        """Do one step of a long job under a bar of its own; at its end a line says what came of it, and how long."""
        began = time.monotonic()
        with self.progress(label, total) as advance:
            step = Step(advance)
            yield step
        step.seconds = time.monotonic() - began
        self.say(f"{label}: {step.told} [{step.seconds:.1f} s]" if step.told else f"{label} [{step.seconds:.1f} s]")


TABLES = frozenset({".csv", ".tsv", ".xlsx", ".xls", ".json", ".parquet"})
"""Endings that say what kind of table a file holds."""


class OutFile(click.Path):
    """A file to write: a folder to put it into can be found or made, which is said before the work and not after it.

    ``written`` are the endings of what the command writes: that of another kind of table is wrong usage.
    """

    def __init__(self, *written: str) -> None:
        super().__init__(path_type=Path, dir_okay=False)
        self.written = written

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; wrong usage where nothing can be written there."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if self.written and path.suffix.lower() in TABLES.difference(self.written):
            named = " or ".join(path.with_suffix(ending).name for ending in self.written)
            self.fail(f"'{path}' says another kind of file than is written. Choose {named}.", param, ctx)
        there = next(folder for folder in path.absolute().parents if folder.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            what = "nothing may be written there" if there.is_dir() else "it is a file, not a folder"
            self.fail(f"'{path}' can't be written into {there}: {what}. Choose another file.", param, ctx)
        return path


def command(
    name: str, *, looks: bool = False, **settings: Any
) -> Callable[[Callable[..., dict[str, Any]]], click.Command]:
    """Make a click command of a function that takes a Console first and returns its result as a dict.

    Adds ``--home`` and ``--json``. The result is printed as one JSON object under ``--json``. A Refusal
    ends with exit code 1 (2 for wrong usage) and its message on stderr, under ``--json`` also as one JSON object
    {"refused": {"what", "problems", "hint"}} on stdout; any other exception with exit code 3 and a reference number,
    its trace in ``HOME/var/errors.log``. A command that ``looks`` at a home is refused where it holds nothing, and
    writes nothing there.
    """

    def wrap(function: Callable[..., dict[str, Any]]) -> click.Command:
        def run(context: click.Context, home: Path | None, as_json: bool, **arguments: Any) -> None:
            outer = context.obj or {}
            where = (home or outer.get("home") or Path(".")).resolve()
            console = Console(home=where, json=as_json or bool(outer.get("json")))
            result = _guarded(console, function, arguments, looks=looks)
            if console.json:
                click.echo(json.dumps(result, ensure_ascii=False, default=str, allow_nan=False))

        functools.update_wrapper(run, function)
        run.__dict__.pop("__wrapped__")
        door: Any = click.pass_context(run)
        door = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of prose.")(door)
        where = click.Path(path_type=Path)
        door = click.option("--home", type=where, default=None, help="Where var/ and mlruns/ live.")(door)
        return click.command(name, click.Command, **settings)(door)

    return wrap


def check_home(home: Path) -> None:
    """Raise a Refusal where a home holds neither histories nor lists nor models."""
    if not any((home / name).exists() for name in HELD):
        raise Refusal(
            f"There is nothing of Jingxing in {home}.",
            hint="Is --home (or JINGXING_HOME) right? A new home begins with: jingxing ingest EXPORT",
        )


def _guarded(
    console: Console, function: Callable[..., dict[str, Any]], arguments: dict[str, Any], *, looks: bool
) -> dict[str, Any]:
    try:
        if console.home.exists() and not console.home.is_dir():
            raise Refusal(
                f"{console.home} is a file, not a folder.", hint="Give a folder with --home (or JINGXING_HOME)."
            )
        if looks:
            check_home(console.home)
        return function(console, **arguments)
    except Refusal as refusal:
        if console.json:
            told = {"what": refusal.what, "problems": list(refusal.problems), "hint": refusal.hint}
            click.echo(json.dumps({"refused": told}, ensure_ascii=False))
        click.echo(refusal.message(), err=True)
        sys.exit(refusal.exit_code)
    except click.exceptions.Exit:
        raise
    except click.ClickException:
        raise
    except BrokenPipeError:  # who read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except Exception:  # noqa: BLE001 - the last door: ours, never a traceback to the user
        reference = uuid.uuid4().hex[:8]
        log = _keep_trace(console.home, reference)
        click.echo(f"Something of ours failed (reference {reference}); the trace is in {log}.", err=True)
        sys.exit(OURS)


def _keep_trace(home: Path, reference: str) -> Path:
    """Write frames only, since an exception's message may hold a person's values; return where: beside the home's."""
    kind, _, trace = sys.exc_info()
    told = f"{reference} {kind.__name__ if kind else ''}\n{''.join(traceback.format_tb(trace))}\n"
    kept = home / "var" / "errors.log"
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with kept.open("a", encoding="utf-8") as log:
            log.write(told)
    except OSError:  # what failed may be the home's disk
        handle, name = tempfile.mkstemp(prefix="jingxing-", suffix=".log")
        kept = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as log:
            log.write(told)
    logging.getLogger(__name__).debug("trace kept under %s", reference)
    return kept

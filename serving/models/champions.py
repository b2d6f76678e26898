"""The champions that the service scores with: loaded once, looked up anew when the registry or the store changes."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from features.errors import Refusal
from features.histories.store import stored_profile
from features.profile import Profile
from serving.scored.kept import Newest
from serving.scored.scoring import names_needed
from training.models.risk_model import RiskModel
from training.registry.registry import Registry

DECISIVE = (
    "mlruns/history.jsonl",
    "mlruns/impact-assessments.jsonl",
    "mlruns/mlflow.db",
    "var/histories/current.json",
)
"""Under the home: every promotion, rollback, signature and ingest writes one of these, whichever program does it."""

MOST_TOLD = 32
"""So much of what the registry tells is kept: the cards of all versions of a risk are some MB."""
Value = TypeVar("Value")
Marks = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True)
class Serving:
    """What serves at one moment: the profile, the champions asked for, every column that they or their reasons need."""

    profile: Profile
    models: tuple[RiskModel, ...]
    names: list[str]


class Champions:
    """The stored profile and each risk's champion, kept in memory."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = Lock()
        self._marks: Marks = ()
        self._profile: Profile | None = None
        self._models: dict[str, RiskModel] = {}
        self._checked: set[str] = set()
        self._names: dict[tuple[tuple[str, str], ...], list[str]] = {}
        self._told: Newest[Any] = Newest(MOST_TOLD)

    @cached_property
    def registry(self) -> Registry:
        """The registry of the home; opened when it is asked for, which takes seconds in a new home."""
        return Registry(self._home)

    def kept(self, asked: Hashable, make: Callable[[Registry], Value]) -> Value:
        """Return what ``make`` gives of the registry, kept while no file that tells was written.

        ``asked`` must hold all that it depends on beside the registry. Files of a registered version never change;
        where one was changed all the same, `Registry.verify` says so, which is asked each time.
        """
        marks = _marks(self._home)  # before it is read: what is written meanwhile is another value's
        value: Value = self._told.of((marks, asked), lambda: make(self.registry))
        return value

    def profile(self) -> Profile:
        """Return the profile that the store was ingested with; a Refusal when nothing was."""
        with self._lock:
            return self._current_profile()

    def champion(self, risk: str) -> RiskModel:
        """Return a risk's champion, as its history tells; a Refusal when it has none, or may score nobody."""
        with self._lock:
            self._forget_what_changed()
            return self._champion(risk)

    def serving(self, risk: str | None = None) -> Serving:
        """Return what serves one risk, or all that have a champion; a Refusal where the one has none."""
        with self._lock:
            profile = self._current_profile()
            models = (self._champion(risk),) if risk else tuple(filter(None, map(self._if_any, profile.risks)))
            key = tuple((model.risk, model.version) for model in models)
            if key not in self._names:
                self._names[key] = names_needed(profile, models)
            return Serving(profile, models, self._names[key])

    def _champion(self, risk: str) -> RiskModel:
        if risk not in self._checked:
            self.registry.must_stand(risk)
            if risk not in self._models or self._models[risk].version != self.registry.serving(risk):
                self._models[risk] = self.registry.champion(risk)
            self._checked.add(risk)
        return self._models[risk]

    def _if_any(self, risk: str) -> RiskModel | None:
        try:
            return self._champion(risk)
        except Refusal:
            return None

    def _current_profile(self) -> Profile:
        self._forget_what_changed()
        if self._profile is None:
            self._profile = stored_profile(self._home)
        return self._profile

    def _forget_what_changed(self) -> None:
        """What was looked up holds while the files that tell are the same; models are kept for their versions."""
        marks = _marks(self._home)
        if marks != self._marks:
            self._profile = None
            self._checked.clear()
            self._names.clear()
            self._marks = marks

    def versions(self) -> dict[str, str]:
        """Return the champion's version of every risk that has one; empty where nothing was ingested."""
        try:
            return {model.risk: str(model.version) for model in self.serving().models}
        except Refusal:
            return {}


def _marks(home: Path) -> Marks:
    return tuple(_mark(home / name) for name in DECISIVE)


def _mark(file: Path) -> tuple[int, int, int] | None:
    try:
        told = file.stat()
    except FileNotFoundError:
        return None
    return told.st_mtime_ns, told.st_size, told.st_ino

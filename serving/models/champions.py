"""The champions that the service scores with: loaded once, looked up anew when the registry or the store changes."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock

from features.errors import Refusal
from features.histories.store import load_roster
from features.profile import Profile
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

Marks = tuple[tuple[int, int, int] | None, ...]


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

    @cached_property
    def registry(self) -> Registry:
        """The registry of the home; opened when it is asked for, which takes seconds in a new home."""
        return Registry(self._home)

    def profile(self) -> Profile:
        """Return the profile that the store was ingested with; a Refusal when nothing was."""
        with self._lock:
            return self._current_profile()

    def champion(self, risk: str) -> RiskModel:
        """Return a risk's champion, as its history tells; a Refusal when it has none, or may score nobody."""
        with self._lock:
            self._forget_what_changed()
            if risk not in self._checked:
                self.registry.must_stand(risk)
                if risk not in self._models or self._models[risk].version != self.registry.serving(risk):
                    self._models[risk] = self.registry.champion(risk)
                self._checked.add(risk)
            return self._models[risk]

    def names(self, models: Sequence[RiskModel]) -> list[str]:
        """Return every column that champions or their reasons need, in the order of the features."""
        with self._lock:
            key = tuple((model.risk, model.version) for model in models)
            profile = self._current_profile()
            if key not in self._names:
                self._names[key] = names_needed(profile, models)
            return self._names[key]

    def _current_profile(self) -> Profile:
        self._forget_what_changed()
        if self._profile is None:
            self._profile = load_roster(self._home).profile
        return self._profile

    def _forget_what_changed(self) -> None:
        """What was looked up holds while the files that tell are the same; models are kept for their versions."""
        marks = tuple(_mark(self._home / name) for name in DECISIVE)
        if marks != self._marks:
            self._profile = None
            self._checked.clear()
            self._names.clear()
            self._marks = marks

    def versions(self) -> dict[str, str]:
        """Return the champion's version of every risk that has one; empty where nothing was ingested."""
        found: dict[str, str] = {}
        try:
            risks = list(self.profile().risks)
        except Refusal:
            return found
        for risk in risks:
            try:
                found[risk] = str(self.champion(risk).version)
            except Refusal:
                continue
        return found


def _mark(file: Path) -> tuple[int, int, int] | None:
    try:
        told = file.stat()
    except FileNotFoundError:
        return None
    return told.st_mtime_ns, told.st_size, told.st_ino

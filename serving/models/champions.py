"""The champions that the service scores with: loaded once, looked up anew when another version is promoted."""

from functools import cached_property
from pathlib import Path
from threading import Lock

from features.errors import Refusal
from features.histories.store import load_histories
from features.profile import Profile
from training.models.risk_model import RiskModel
from training.registry.registry import Registry


class Champions:
    """The stored profile and each risk's champion, kept in memory."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = Lock()
        self._profile: Profile | None = None
        self._models: dict[str, RiskModel] = {}

    @cached_property
    def registry(self) -> Registry:
        """The registry of the home; opened when it is asked for, which takes seconds in a new home."""
        return Registry(self._home)

    def profile(self) -> Profile:
        """Return the profile that the store was ingested with; a Refusal when nothing was."""
        with self._lock:
            if self._profile is None:
                self._profile = load_histories(self._home).profile
            return self._profile

    def champion(self, risk: str) -> RiskModel:
        """Return a risk's champion, as its history tells; a Refusal when it has none, or may score nobody."""
        with self._lock:
            self.registry.must_stand(risk)
            if risk not in self._models or self._models[risk].version != self.registry.serving(risk):
                self._models[risk] = self.registry.champion(risk)
            return self._models[risk]

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

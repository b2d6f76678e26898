"""The registry of trained models: MLflow with a local database under HOME/mlruns. Nothing else imports mlflow."""

import json
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from features.errors import Refusal
from training.gate import objections
from training.model import RiskModel

CHAMPION, CHALLENGER = "champion", "challenger"
MODEL_FOLDER = "model"
CARD_FILE = "report.json"


@dataclass(frozen=True)
class Version:
    """One registered version of a risk's model."""

    risk: str
    version: str
    aliases: tuple[str, ...]
    run_id: str
    created: int
    card: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return what the command ``models`` shows."""
        keys = ("until", "rows", "positives", "figures")
        return {
            "risk": self.risk,
            "version": self.version,
            "aliases": list(self.aliases),
            "run_id": self.run_id,
            **{key: self.card[key] for key in keys if key in self.card},
        }


@dataclass(frozen=True)
class Registered:
    """What came of registering: the version, and why it did not become champion (nothing when it did)."""

    version: str
    objections: tuple[str, ...]


class Registry:
    """The versions of every risk's model in a home; ``champion`` is the one that serves."""

    def __init__(self, home: Path) -> None:
        self.root = home.resolve() / "mlruns"
        self.root.mkdir(parents=True, exist_ok=True)
        for noisy in ("alembic", "mlflow"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        self._lock = FileLock(self.root / "registry.lock")
        address = f"sqlite:///{self.root / 'mlflow.db'}"
        self._client = MlflowClient(tracking_uri=address, registry_uri=address)

    def register(self, model: RiskModel) -> Registered:
        """Log a run with params, metrics, report and model files, register a version, and pass it through the gate.

        It becomes ``champion``, or ``challenger`` where the gate objects.
        """
        with self._lock:
            held = self._aliased(model.risk, CHAMPION)
            run_id = self._logged(model)
            version = self._versioned(model.risk, run_id)
            found = objections(model.card, held.card if held else None)
            alias = CHALLENGER if found else CHAMPION
            self._client.set_registered_model_alias(model.risk, alias, version)
            self._client.set_model_version_tag(model.risk, version, "gate", "; ".join(found) or "passed")
        return Registered(version, tuple(found))

    def champion(self, risk: str) -> RiskModel:
        """Return the model that serves; a Refusal where there is none yet."""
        held = self._aliased(risk, CHAMPION)
        if held is None:
            raise Refusal(f"There is no champion for '{risk}'.", hint=f"Train one: jingxing train --risk {risk}")
        return self._loaded(held)

    def version(self, risk: str, version: str) -> RiskModel:
        """Return a version by its number, or the newest for ``latest``; a Refusal where it does not exist."""
        known = self.versions(risk)
        chosen = known[-1:] if version == "latest" else [one for one in known if one.version == str(version)]
        if not chosen:
            there = ", ".join(one.version for one in known) or "none"
            raise Refusal(f"There is no version {version} of '{risk}'.", hint=f"Versions there are: {there}.")
        return self._loaded(chosen[0])

    def versions(self, risk: str | None = None) -> list[Version]:
        """Return all versions (of a risk), oldest first."""
        names = [risk] if risk else sorted(model.name for model in self._client.search_registered_models())
        found = [self._described(one) for name in names for one in self._search(name)]
        return sorted(found, key=lambda one: (one.risk, int(one.version)))

    def promote(self, risk: str, version: str) -> None:
        """Make a version champion without asking the gate; a Refusal where it does not exist."""
        self.version(risk, version)
        with self._lock:
            self._client.set_registered_model_alias(risk, CHAMPION, version)

    def folder(self, risk: str, run_id: str) -> Path:
        """Return where the files of a run's model lie, wherever the home has been moved to."""
        place: Path = self.root / "artifacts" / risk / run_id / "artifacts" / MODEL_FOLDER
        return place

    def _search(self, risk: str) -> list[Any]:
        if "'" in risk:
            return []
        return list(self._client.search_model_versions(f"name = '{risk}'"))

    def _aliased(self, risk: str, alias: str) -> Version | None:
        return next((one for one in self.versions(risk) if alias in one.aliases), None)

    def _described(self, one: Any) -> Version:
        # searching leaves the aliases out, asking for one version does not
        whole = self._client.get_model_version(one.name, one.version)
        card = self.folder(one.name, one.run_id).parent / CARD_FILE
        held = json.loads(card.read_text(encoding="utf-8")) if card.exists() else {}
        aliases = tuple(sorted(whole.aliases))
        return Version(one.name, str(one.version), aliases, one.run_id, int(one.creation_timestamp), held)

    def _loaded(self, held: Version) -> RiskModel:
        return RiskModel.load(self.folder(held.risk, held.run_id), version=held.version)

    def _logged(self, model: RiskModel) -> str:
        run = self._client.create_run(self._experiment(model.risk))
        run_id, stamp = str(run.info.run_id), int(run.info.start_time)
        metrics = [
            Metric(f"{contender}.{metric}", found[0], stamp, 0)
            for contender, row in model.card["figures"].items()
            for metric, found in row.items()
            if found[0] is not None
        ]
        self._client.log_batch(run_id, metrics=metrics, params=_params(model), tags=[RunTag("risk", model.risk)])
        with tempfile.TemporaryDirectory(dir=self.root) as scratch:
            model.save(Path(scratch) / MODEL_FOLDER)
            card = json.dumps(dict(model.card), ensure_ascii=False, indent=1, allow_nan=False)
            (Path(scratch) / CARD_FILE).write_text(card + "\n", encoding="utf-8")
            self._client.log_artifacts(run_id, scratch)
        self._client.set_terminated(run_id)
        return run_id

    def _experiment(self, risk: str) -> str:
        place = (self.root / "artifacts" / risk).as_uri()
        for found in self._client.search_experiments():
            if found.artifact_location == place:
                return str(found.experiment_id)
        taken = {found.name for found in self._client.search_experiments()}
        # a home that was moved: the old experiment would write to the old place
        name = risk if risk not in taken else f"{risk} in {self.root}"
        return str(self._client.create_experiment(name, artifact_location=place))

    def _versioned(self, risk: str, run_id: str) -> str:
        try:
            self._client.create_registered_model(risk)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = self.folder(risk, run_id).as_uri()
        return str(self._client.create_model_version(risk, source, run_id).version)


def _params(model: RiskModel) -> list[Param]:
    shown = {
        **model.card["settings"],
        "trees": model.card["trees"],
        "until": model.card["until"],
        "features": len(model.names),
    }
    return [Param(key, str(value)) for key, value in shown.items()]

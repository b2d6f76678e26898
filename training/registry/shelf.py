"""Where versions lie: MLflow with a local database under HOME/mlruns. Nothing else imports mlflow; decides nothing."""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"

from filelock import FileLock

from features.errors import Refusal
from features.late import Late
from training.models.risk_model import RiskModel

if TYPE_CHECKING:
    import mlflow
    from mlflow import entities, exceptions
else:
    mlflow, entities, exceptions = Late("mlflow"), Late("mlflow.entities"), Late("mlflow.exceptions")

MODEL_FOLDER = "model"
CARD_FILE = "report.json"
HISTORY_FILE = "history.jsonl"
CHAMPION, CHALLENGER = "champion", "challenger"
HEAD, ASSESSED = "history", "assessments"
"""Tags of a registered model: the last row about it, and the last row of the impact assessments then."""
COMPARISON = "comparison"
"""The tag of a version that holds a comparison made after its training."""


@dataclass(frozen=True)
class Version:
    """One registered version of a risk's model; ``verdict`` is what the gate said when it was registered, if it did."""

    risk: str
    version: str
    aliases: tuple[str, ...]
    run_id: str
    created: int
    card: Mapping[str, Any]
    verdict: str | None = None

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


class Shelf:
    """The runs, versions, aliases and tags of a home. Whoever writes holds the registry's ``lock``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.root.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(self.root / "registry.lock")
        self._made: mlflow.MlflowClient | None = None

    @property
    def _client(self) -> "mlflow.MlflowClient":
        if self._made is None:  # two threads may make one each, no harm done
            self._made = self._opened()
        return self._made

    def _opened(self) -> "mlflow.MlflowClient":
        address = f"sqlite:///{self.root / 'mlflow.db'}"
        make = mlflow.MlflowClient  # loading mlflow sets up its logs
        for noisy in ("alembic", "mlflow"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        client = make(tracking_uri=address, registry_uri=address)
        if not (self.root / "mlflow.db").exists():
            with self.lock:  # two that make the tables at once would meet
                client.search_registered_models()
        return client

    def put(self, model: RiskModel) -> Version:
        """Log a run with params, metrics, report and model files, and make it a version."""
        run_id = self._logged(model)
        try:
            self._client.create_registered_model(model.risk)
        except exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = self.folder(model.risk, run_id).as_uri()
        made = self._client.create_model_version(model.risk, source, run_id)
        return Version(model.risk, str(made.version), (), run_id, int(made.creation_timestamp), model.card)

    def add_text(self, held: Version, files: Mapping[str, str]) -> None:
        """Log more files beside the report of a version's run, by name."""
        for name, text in files.items():
            self._client.log_text(held.run_id, text, name)

    def version(self, risk: str, version: str) -> Version:
        """Return a version by its number, or the newest for ``latest``; a Refusal where it does not exist."""
        known = self.versions(risk)
        if not known:
            there = ", ".join(self.risks()) or "none yet: jingxing train"
            raise Refusal(f"There is no model of '{risk}'.", hint=f"Models there are: {there}.")
        chosen = known[-1:] if version == "latest" else [one for one in known if one.version == str(version)]
        if not chosen:
            there = ", ".join(one.version for one in known)
            raise Refusal(f"There is no version {version} of '{risk}'.", hint=f"Versions there are: {there}.")
        return chosen[0]

    def versions(self, risk: str | None = None) -> list[Version]:
        """Return all versions (of a risk), oldest first."""
        found = [one for name in ([risk] if risk else self.risks()) for one in self._versions(name)]
        return sorted(found, key=lambda one: (one.risk, int(one.version)))

    def risks(self) -> list[str]:
        """Return the risks of which there is a version, or was to be one."""
        return sorted(model.name for model in self._client.search_registered_models())

    def folder(self, risk: str, run_id: str) -> Path:
        """Return where the files of a run's model lie, wherever the home has been moved to."""
        place: Path = self.root / "artifacts" / risk / run_id / "artifacts" / MODEL_FOLDER
        return place

    def digest(self, risk: str, run_id: str) -> str:
        """Return the SHA-256 over the names and contents of a version's report, card and model files."""
        folder = self.folder(risk, run_id)
        digest = hashlib.sha256()
        for path in sorted([folder.parent / CARD_FILE, *folder.parent.glob("model-card.*"), *folder.glob("*")]):
            digest.update(path.name.encode() + b"\0" + (path.read_bytes() if path.exists() else b"") + b"\0")
        return digest.hexdigest()

    def alias(self, risk: str, alias: str) -> str | None:
        """Return the version that an alias of a risk names."""
        return self.aliases(risk).get(alias)

    def aliases(self, risk: str) -> dict[str, str]:
        """Return what the aliases of a risk name; nothing where there is no model of it."""
        try:
            found = self._client.get_registered_model(risk).aliases
        except exceptions.MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return {}
            raise
        return {alias: str(version) for alias, version in found.items()}

    def name(self, risk: str, alias: str, version: str | None) -> None:
        """Let an alias of a risk name a version, or none."""
        if version is None:
            self._client.delete_registered_model_alias(risk, alias)
        else:
            self._client.set_registered_model_alias(risk, alias, version)

    def noted(self, key: str) -> dict[str, str]:
        """Return what a tag holds, by risk."""
        models = {model.name: model.tags.get(key) for model in self._client.search_registered_models()}
        return {risk: value for risk, value in models.items() if value}

    def note(self, risk: str, key: str, value: str, *, version: str | None = None) -> None:
        """Set a tag of a risk, or of one of its versions."""
        if version is None:
            self._client.set_registered_model_tag(risk, key, value)
        else:
            self._client.set_model_version_tag(risk, version, key, value)

    def _versions(self, risk: str) -> list[Version]:
        if "'" in risk:
            return []
        names: dict[str, list[str]] = {}
        for alias, version in self.aliases(risk).items():
            names.setdefault(version, []).append(alias)
        found = self._client.search_model_versions(f"name = '{risk}'")
        # searching leaves the aliases out
        return [self._described(one, tuple(sorted(names.get(str(one.version), ())))) for one in found]

    def _described(self, one: Any, aliases: tuple[str, ...]) -> Version:
        card = self.folder(one.name, one.run_id).parent / CARD_FILE
        held = json.loads(card.read_text(encoding="utf-8")) if card.exists() else {}
        if COMPARISON in one.tags:
            held[COMPARISON] = json.loads(one.tags[COMPARISON])
        made = int(one.creation_timestamp)
        return Version(one.name, str(one.version), aliases, one.run_id, made, held, one.tags.get(VERDICT))

    def _logged(self, model: RiskModel) -> str:
        run = self._client.create_run(self._experiment(model.risk))
        run_id, stamp = str(run.info.run_id), int(run.info.start_time)
        metrics = [
            entities.Metric(f"{contender}.{metric}", found[0], stamp, 0)
            for contender, row in model.card["figures"].items()
            for metric, found in row.items()
            if found[0] is not None
        ]
        self._client.log_batch(
            run_id, metrics=metrics, params=_params(model), tags=[entities.RunTag("risk", model.risk)]
        )
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


VERDICT = "gate"
"""The tag of a version that holds what the gate said when it was registered."""


def _params(model: RiskModel) -> "list[entities.Param]":
    shown = {
        **model.card["settings"],
        "trees": model.card["trees"],
        "until": model.card["until"],
        "features": len(model.names),
    }
    return [entities.Param(key, str(value)) for key, value in shown.items()]

"""The registry of trained models: MLflow with a local database under HOME/mlruns. Nothing else imports mlflow."""

import datetime as dt
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from features.errors import Refusal
from features.histories.store import current_version
from features.policy import Policy
from features.profile import Profile, load_profile
from training.cards.model_card import model_card
from training.models.risk_model import RiskModel
from training.registry.gate import Objection, Place, Signature, evidence, objections
from training.registry.history import (
    PROMOTED,
    REFUSED,
    ROLLED_BACK,
    Act,
    Entry,
    Fault,
    Production,
    Verified,
    append,
    champions,
    entries,
    on_day,
    os_user,
    production,
    verify,
)
from training.registry.impact import Assessment, assessments, on_file

CHAMPION, CHALLENGER = "champion", "challenger"
MODEL_FOLDER = "model"
CARD_FILE = "report.json"
MODEL_CARD_PAGE, MODEL_CARD_JSON = "model-card.html", "model-card.json"
HISTORY_FILE = "history.jsonl"
HEAD, COMPARISON = "history", "comparison"
"""Tags: on a registered model the last row about it, on a version a comparison that was made after its training."""
TRAINED = "trained, and every bound of the gate is met"
"""The reason that is signed for who trains and gives none."""


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
    objections: tuple[Objection, ...]


class Registry:
    """The versions of every risk's model in a home; ``champion`` is the one that serves.

    Its history is the truth: a promotion or rollback is a row of it first, then the alias follows, at the latest when
    the registry is used again.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.root = self.home / "mlruns"
        self.root.mkdir(parents=True, exist_ok=True)
        for noisy in ("alembic", "mlflow"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        self._lock = FileLock(self.root / "registry.lock")
        self._history = self.root / HISTORY_FILE
        address = f"sqlite:///{self.root / 'mlflow.db'}"
        self._client = MlflowClient(tracking_uri=address, registry_uri=address)
        if not (self.root / "mlflow.db").exists():
            with self._lock:  # two that make the tables at once would meet
                self._client.search_registered_models()

    def register(self, model: RiskModel, *, by: str | None = None, reason: str = TRAINED) -> Registered:
        """Log a run with params, metrics, report and model files, register a version, and pass it through the gate.

        It becomes ``champion``, or ``challenger`` where the gate objects; either is a row of the history.
        """
        signature = Signature(os_user() if by is None else by, reason)
        with self._lock:
            run_id = self._logged(model)
            version = self._versioned(model.risk, run_id)
            self._settle(model.risk)
            found = self._objections(model.risk, model.card, signature)
            self._pictured(run_id, version, model, [each.as_json() for each in found])
            act = self._act(REFUSED if found else PROMOTED, (model.risk, version), signature, found=found)
            self._written(replace(act, figures=self._evidence(model.risk, version, run_id, model.card)))
            self._client.set_model_version_tag(model.risk, version, "gate", "; ".join(map(str, found)) or "passed")
            if found:
                self._client.set_registered_model_alias(model.risk, CHALLENGER, version)
        return Registered(version, tuple(found))

    def promote(self, risk: str, version: str, *, by: str, reason: str, force: bool = False) -> Entry:
        """Make a version champion, or raise a Refusal with what the gate has against it; either is in the history.

        With ``force`` and a written reason (policy: forced_reason_length) it serves in spite of the gate, and every
        page that shows it says so. The version that serves already is left as it is.
        """
        signature = Signature(by, reason)
        with self._lock:
            held = self._version(risk, version)
            self._loaded(held)  # a version that is not whole must not serve
            self._settle(risk)
            if held.version == self._alias(risk, CHAMPION):
                return self._standing(held)
            found = self._objections(risk, held.card, signature)
            forced = bool(found) and force
            if forced:
                self._check_forced(signature)
            act = self._act(PROMOTED if forced or not found else REFUSED, (risk, held.version), signature, found=found)
            figures = self._evidence(risk, held.version, held.run_id, held.card)
            entry = self._written(replace(act, forced=forced, figures=figures))
        if entry.action == REFUSED:
            raise Refusal(
                f"Version {held.version} of '{risk}' is not promoted:",
                [str(each) for each in found],
                hint="The refusal is in the history. --force promotes it with a written reason, which pages show.",
            )
        return entry

    def rollback(self, risk: str, *, by: str, reason: str) -> Entry:
        """Make the champion before the present one serve again; a Refusal where there was none, or nobody signs."""
        if not (by.strip() and reason.strip()):
            raise Refusal("A rollback needs a name and a reason.", hint="Give them: --by NAME --reason TEXT")
        with self._lock:
            self._settle(risk)
            stack = champions(entries(self._history), risk)
            if len(stack) < 2:
                raise Refusal(f"'{risk}' had no champion before the present one.", hint="See: jingxing models")
            held = self._version(risk, stack[-2])
            self._loaded(held)
            act = self._act(ROLLED_BACK, (risk, held.version), Signature(by, reason))
            return self._written(replace(act, figures=self._evidence(risk, held.version, held.run_id, held.card)))

    def compared(self, risk: str, version: str, comparison: Mapping[str, Any]) -> None:
        """Keep a comparison with the present champion that was made after a version's training; the gate reads it."""
        held = self._version(risk, version)
        with self._lock:
            told = json.dumps(dict(comparison), allow_nan=False)
            self._client.set_model_version_tag(risk, held.version, COMPARISON, told)

    def in_production(self, risk: str) -> Production | None:
        """Return what serves: version, since when, by whose word, whether forced and against what; None where none."""
        with self._lock:
            self._settle(risk)
            spells = production(entries(self._history), risk)
            alias = self._alias(risk, CHAMPION)
        if spells or alias is None:
            return spells[-1] if spells else None
        return Production(risk, alias, since="", by="", reason="promoted before the history began", forced=False)

    def on_day(self, day: dt.date) -> dict[str, list[Production]]:
        """Return the versions of every risk that served on a day, in their order; mostly one each."""
        rows = entries(self._history)
        if (fault := self.verify().fault) is not None:
            raise Refusal(
                f"The history can't be relied on: row {fault.row}: {fault.what}.", hint="See: jingxing verify"
            )
        return {risk: on_day(rows, risk, day) for risk in sorted({row.risk for row in rows})}

    def history(self, risk: str | None = None) -> list[Entry]:
        """Return the rows of the history (about a risk), oldest first."""
        return [row for row in entries(self._history) if risk in (None, row.risk)]

    def verify(self) -> Verified:
        """Return whether the history is as it was written, held against what the registered models noted of it."""
        with self._lock:
            found = verify(self._history, heads=self._heads())
        if found.fault is not None:
            return found
        rows = entries(self._history)
        for one in self.versions():
            row = _first(rows, one.risk, one.version)
            if row is not None and row.figures["files"] != self._files(one.risk, one.run_id):
                what = f"the files of {one.risk} version {one.version} are not those that were registered"
                return replace(found, fault=Fault(row.number, what))
        return found

    def champion(self, risk: str) -> RiskModel:
        """Return the model that serves; a Refusal where there is none yet."""
        stack = champions(entries(self._history), risk)
        if stack and stack[-1] != self._alias(risk, CHAMPION):
            with self._lock:
                self._settle(risk)
        version = self._alias(risk, CHAMPION)
        if version is None:
            raise Refusal(f"There is no champion for '{risk}'.", hint=f"Train one: jingxing train --risk {risk}")
        return self._loaded(self._version(risk, version))

    def version(self, risk: str, version: str) -> RiskModel:
        """Return a version by its number, or the newest for ``latest``; a Refusal where it does not exist."""
        return self._loaded(self._version(risk, version))

    def versions(self, risk: str | None = None) -> list[Version]:
        """Return all versions (of a risk), oldest first."""
        names = [risk] if risk else sorted(model.name for model in self._client.search_registered_models())
        found = [self._described(one) for name in names for one in self._search(name)]
        return sorted(found, key=lambda one: (one.risk, int(one.version)))

    def folder(self, risk: str, run_id: str) -> Path:
        """Return where the files of a run's model lie, wherever the home has been moved to."""
        place: Path = self.root / "artifacts" / risk / run_id / "artifacts" / MODEL_FOLDER
        return place

    @property
    def profile(self) -> Profile | None:
        """The profile of the stored histories; None where nothing was ingested into this home."""
        try:
            folder = current_version(self.home)
        except Refusal:
            return None
        return load_profile(folder / "profile")

    def _objections(self, risk: str, card: Mapping[str, Any], signature: Signature) -> list[Objection]:
        profile = self.profile
        policy = profile.settings.policy if profile else Policy()
        place = Place(risk, self._alias(risk, CHAMPION), self._assessment(risk, card, profile))
        return objections(card, place, policy=policy, signature=signature)

    def _assessment(self, risk: str, card: Mapping[str, Any], profile: Profile | None) -> Assessment | None:
        if profile is not None:
            return on_file(self.home, risk, profile)
        named = card.get("impact_assessment")
        return next((one for one in assessments(self.home) if one.id == named and one.risk == risk), None)

    def _check_forced(self, signature: Signature) -> None:
        profile = self.profile
        least = (profile.settings.policy if profile else Policy()).forced_reason_length
        if not signature.by.strip() or len(signature.reason.strip()) < least:
            raise Refusal(
                "A promotion against the gate needs a name and a written reason.",
                hint=f"Give at least {least} characters: --reason TEXT. Pages show it.",
            )

    def _act(self, action: str, what: tuple[str, str], signature: Signature, *, found: Sequence[Objection] = ()) -> Act:
        risk, version = what
        return Act(
            who=signature.by.strip(),
            action=action,
            risk=risk,
            version=version,
            previous=self._alias(risk, CHAMPION),
            reason=signature.reason.strip(),
            objections=[each.as_json() for each in found],
        )

    def _written(self, act: Act) -> Entry:
        """Write the row, then let tag and alias follow it. Under the lock."""
        entry = append(self._history, act, heads=self._heads())
        self._settle(act.risk)
        return entry

    def _settle(self, risk: str) -> None:
        """Let the aliases and the noted head of a risk follow its history, whatever was cut short. Under the lock.

        A history that was changed is followed by nothing.
        """
        if verify(self._history, heads=self._heads()).fault is not None:
            return
        rows = [row for row in entries(self._history) if row.risk == risk]
        if not rows:
            return
        noted = self._tags(risk).get(HEAD, "0:")
        if int(noted.partition(":")[0]) < rows[-1].number:
            self._client.set_registered_model_tag(risk, HEAD, rows[-1].head)
        stack = champions(rows, risk)
        if stack and self._alias(risk, CHAMPION) != stack[-1]:
            self._client.set_registered_model_alias(risk, CHAMPION, stack[-1])
        if stack and self._alias(risk, CHALLENGER) == stack[-1]:
            self._client.delete_registered_model_alias(risk, CHALLENGER)

    def _standing(self, held: Version) -> Entry:
        """The row by which a champion serves; one that says so where it serves from before the history began."""
        rows = [row for row in self.history(held.risk) if row.action in (PROMOTED, ROLLED_BACK)]
        if rows:
            return rows[-1]
        act = self._act(PROMOTED, (held.risk, held.version), Signature(os_user(), "served before the history began"))
        return self._written(act)

    def _heads(self) -> list[str]:
        tags = [model.tags.get(HEAD) for model in self._client.search_registered_models()]
        return [head for head in tags if head]

    def _tags(self, risk: str) -> Mapping[str, str]:
        found: Mapping[str, str] = self._client.get_registered_model(risk).tags
        return found

    def _alias(self, risk: str, alias: str) -> str | None:
        if "'" in risk or not self._client.search_registered_models(f"name = '{risk}'"):
            return None
        found = self._client.get_registered_model(risk).aliases.get(alias)
        return None if found is None else str(found)

    def _version(self, risk: str, version: str) -> Version:
        known = self.versions(risk)
        chosen = known[-1:] if version == "latest" else [one for one in known if one.version == str(version)]
        if not chosen:
            there = ", ".join(one.version for one in known) or "none"
            raise Refusal(f"There is no version {version} of '{risk}'.", hint=f"Versions there are: {there}.")
        return chosen[0]

    def _search(self, risk: str) -> list[Any]:
        if "'" in risk:
            return []
        return list(self._client.search_model_versions(f"name = '{risk}'"))

    def _described(self, one: Any) -> Version:
        # searching leaves the aliases out, asking for one version does not
        whole = self._client.get_model_version(one.name, one.version)
        card = self.folder(one.name, one.run_id).parent / CARD_FILE
        held = json.loads(card.read_text(encoding="utf-8")) if card.exists() else {}
        if COMPARISON in whole.tags:
            held[COMPARISON] = json.loads(whole.tags[COMPARISON])
        aliases = tuple(sorted(whole.aliases))
        return Version(one.name, str(one.version), aliases, one.run_id, int(one.creation_timestamp), held)

    def _loaded(self, held: Version) -> RiskModel:
        row = _first(entries(self._history), held.risk, held.version)
        if row is not None and row.figures["files"] != self._files(held.risk, held.run_id):
            raise Refusal(
                f"The files of '{held.risk}' version {held.version} are not those that were registered.",
                hint="Find out who changed them (jingxing verify); train again, or roll back.",
            )
        return RiskModel.load(self.folder(held.risk, held.run_id), version=held.version)

    def _evidence(self, risk: str, version: str, run_id: str, card: Mapping[str, Any]) -> dict[str, Any]:
        """What a row of the history keeps: the gate's figures, and what tells the version's files from any others."""
        row = _first(entries(self._history), risk, version)
        return {**evidence(card), "files": row.figures["files"] if row else self._files(risk, run_id)}

    def _files(self, risk: str, run_id: str) -> str:
        """SHA-256 over the names and contents of a version's card and model files."""
        folder = self.folder(risk, run_id)
        digest = hashlib.sha256()
        for path in sorted([folder.parent / CARD_FILE, *folder.glob("*")]):
            digest.update(path.name.encode() + b"\0" + (path.read_bytes() if path.exists() else b"") + b"\0")
        return digest.hexdigest()

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

    def _pictured(self, run_id: str, version: str, model: RiskModel, verdict: list[dict[str, str]]) -> None:
        """Log the model card beside the report: one page that opens offline, and its JSON."""
        page, plain = model_card(model.card, risk=model.risk, version=version, verdict=verdict)
        self._client.log_text(run_id, page, MODEL_CARD_PAGE)
        text = json.dumps(plain, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        self._client.log_text(run_id, text, MODEL_CARD_JSON)

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


def _first(rows: Sequence[Entry], risk: str, version: str) -> Entry | None:
    """The row that first told of a version, with the digest of its files."""
    mine = (row for row in rows if (row.risk, row.version) == (risk, version) and "files" in row.figures)
    return next(mine, None)


def _params(model: RiskModel) -> list[Param]:
    shown = {
        **model.card["settings"],
        "trees": model.card["trees"],
        "until": model.card["until"],
        "features": len(model.names),
    }
    return [Param(key, str(value)) for key, value in shown.items()]

"""The registry of trained models: which version serves, through the gate alone, and a history of every decision."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from features.errors import Refusal
from features.histories.store import current_version
from features.policy import Policy
from features.profile import Profile, load_profile
from training.cards.model_card import model_card
from training.models.risk_model import RiskModel
from training.registry import chain
from training.registry.chain import Verified
from training.registry.checks import beside, first_row, row_number
from training.registry.gate import IMPACT, Criterion, Objection, Place, Signature, criteria, evidence, objections
from training.registry.history import (
    AFFIRMED,
    PROMOTED,
    REFUSED,
    ROLLED_BACK,
    Act,
    Entry,
    Production,
    append,
    champions,
    entries,
    on_day,
    os_user,
    production,
)
from training.registry.impact import FILE as ASSESSMENTS_FILE
from training.registry.impact import WITHDRAWN, Assessment, assessments, lacking, on_file
from training.registry.shelf import ASSESSED, COMPARISON, HEAD, HISTORY_FILE, VERDICT, Shelf
from training.registry.shelf import CHALLENGER as CHALLENGER
from training.registry.shelf import CHAMPION as CHAMPION
from training.registry.shelf import Version as Version

MODEL_CARD_PAGE, MODEL_CARD_JSON = "model-card.html", "model-card.json"
TRAINED = "trained, and every bound of the gate is met"
"""The reason that is signed for who trains and gives none."""


@dataclass(frozen=True)
class Registered:
    """What came of registering: the version, and why it did not become champion (nothing when it did)."""

    version: str
    objections: tuple[Objection, ...]


class NotPromoted(Refusal):
    """The gate's refusal; ``entry`` is its row in the history, with the objections in both languages."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        serves = f"Version {entry.version} of '{entry.risk}' serves already; the gate has this against affirming it:"
        other = f"Version {entry.version} of '{entry.risk}' is not promoted:"
        super().__init__(
            serves if entry.previous == entry.version else other,
            [each["en"] for each in entry.objections],
            hint="The refusal is in the history. --force promotes it with a written reason, which pages show.",
        )


class Registry:
    """The versions of every risk's model in a home; ``champion`` is the one that serves.

    Its history is the truth: a promotion or rollback is a row of it first, then the alias follows, at the latest when
    the registry is used again.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self._shelf = Shelf(self.home / "mlruns")
        self._lock = self._shelf.lock
        self._history = self._shelf.root / HISTORY_FILE
        self._assessments = self._shelf.root / ASSESSMENTS_FILE
        self._known: tuple[Path, Profile] | None = None

    def register(self, model: RiskModel, *, by: str | None = None, reason: str = TRAINED) -> Registered:
        """Log a run with params, metrics, report and model files, register a version, and pass it through the gate.

        It becomes ``champion``, or ``challenger`` where the gate objects; either is a row of the history.
        """
        signature = Signature(os_user() if by is None else by, reason)
        with self._lock:
            self._check_assessments()
            held = self._shelf.put(model)
            self._settle(model.risk)
            found = self._objections(held, signature)
            self._shelf.add_text(held, _pictured(held, [each.as_json() for each in found]))
            act = self._act(REFUSED if found else PROMOTED, held, signature, found=found)
            self._written(replace(act, figures=self._evidence(held)))
            self._shelf.note(held.risk, VERDICT, "; ".join(map(str, found)) or "passed", version=held.version)
            if found:
                self._shelf.name(model.risk, CHALLENGER, held.version)
        return Registered(held.version, tuple(found))

    def promote(self, risk: str, version: str, *, by: str, reason: str, force: bool = False) -> Entry:
        """Make a version champion, or raise a Refusal with what the gate has against it; either is in the history.

        With ``force`` and a written reason (policy: forced_reason_length) it serves in spite of the gate, and every
        page that shows it says so. The version that serves already is affirmed, on the same terms: it serves by the
        new name and reason from then on, and a rollback still goes to the champion before it.
        """
        signature = Signature(by, reason)
        with self._lock:
            held = self._shelf.version(risk, version)
            self._loaded(held)  # a version that is not whole must not serve
            self._check_assessments()
            self._settle(risk)
            found = self._objections(held, signature)
            forced = bool(found) and force
            if forced:
                self._check_forced(signature)
            entry = self._decided(held, signature, found=found, forced=forced)
        if entry.action == REFUSED:
            raise NotPromoted(entry)
        return entry

    def rollback(self, risk: str, *, by: str, reason: str) -> Entry:
        """Make the champion before the present one serve again; a Refusal where there was none, or nobody signs."""
        if not (by.strip() and reason.strip()):
            raise Refusal("A rollback needs a name and a reason.", hint="Give them: --by NAME --reason TEXT")
        with self._lock:
            newest = self._shelf.version(risk, "latest")
            self._settle(risk)
            stack = champions(entries(self._history), risk)
            if len(stack) < 2:
                raise _nothing_before(newest, stack)
            held = self._shelf.version(risk, stack[-2])
            self._loaded(held)
            act = self._act(ROLLED_BACK, held, Signature(by, reason))
            return self._written(replace(act, figures=self._evidence(held)))

    def compared(self, risk: str, version: str, comparison: Mapping[str, Any]) -> None:
        """Keep a comparison with the present champion that was made after a version's training; the gate reads it."""
        held = self._shelf.version(risk, version)
        with self._lock:
            told = json.dumps(dict(comparison), allow_nan=False)
            self._shelf.note(risk, COMPARISON, told, version=held.version)

    def serving(self, risk: str) -> str | None:
        """Return the version that serves: by the history, settled first where a kill cut something short."""
        stack = champions(entries(self._history), risk)
        if stack and stack[-1] != self._shelf.alias(risk, CHAMPION):
            with self._lock:
                self._settle(risk)
        return self._shelf.alias(risk, CHAMPION)

    def in_production(self, risk: str) -> Production | None:
        """Return what serves: version, since when, by whose word, whether forced and against what; None where none."""
        with self._lock:
            self._settle(risk)
            spells = production(entries(self._history), risk)
        if spells:
            return spells[-1]
        alias = self._shelf.alias(risk, CHAMPION)
        if alias is None:
            return None
        return Production(risk, alias, since="", by="", reason="no row of the history tells why", forced=False)

    def must_stand(self, risk: str) -> None:
        """Raise a Refusal where the impact assessment of a risk does not stand: its champion may score nobody."""
        found = self.unassessed(risk)
        if found is not None:
            by = f"was withdrawn by {found.by} ({found.reason})" if found.state == WITHDRAWN else "is not signed"
            first = f"File a new one (jingxing impact draft {risk}) and" if found.state == WITHDRAWN else "Read it and"
            raise Refusal(
                f"The impact assessment {found.id} of '{risk}' {by}: its model scores nobody.",
                hint=f"{first} have it signed: jingxing impact sign ID --by NAME. Other risks are scored by --risk.",
            )

    def unassessed(self, risk: str, serves: Production | None = None) -> Assessment | None:
        """Return the assessment for which a risk's champion may score nobody; None where it may.

        It may not once the assessment was withdrawn, nor on a draft where the policy asks for a signature. A promotion
        that was forced in spite of the assessment stands: somebody has answered for it in writing. ``serves`` is what
        in_production gave, where that is known.
        """
        self._check_assessments()
        profile, serves = self.profile, serves or self.in_production(risk)
        found = on_file(self.home, risk, profile) if profile else None
        if found is None or serves is None or found.state not in lacking(self.policy):
            return None
        return None if serves.forced and any(each["key"] == IMPACT for each in serves.objections) else found

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
        """Return whether the history is as it was written, held against the registered models, files and aliases."""
        with self._lock:
            found = chain.verify(self._history, heads=self._heads())
            return found if found.fault is not None else replace(found, fault=beside(self._shelf, self.history()))

    def chained(self) -> Verified:
        """Return whether the history is whole in itself: quick, and not held against anything beside it."""
        return chain.verify(self._history)

    def verify_assessments(self) -> Verified:
        """Return whether the impact assessments are as they were written, held against what was noted of them."""
        return chain.verify(self._assessments, heads=list(self._shelf.noted(ASSESSED).values()))

    def note_assessments(self) -> None:
        """Note the last row of the impact assessments with every registered model, so that a cut tail is missed."""
        with self._lock:
            for risk in self._shelf.risks():
                self._note_assessments(risk)

    def champion(self, risk: str) -> RiskModel:
        """Return the model that serves; a Refusal where there is none yet."""
        version = self.serving(risk)
        if version is None:
            raise Refusal(f"There is no champion for '{risk}'.", hint=f"Train one: jingxing train --risk {risk}")
        return self.version(risk, version)

    def version(self, risk: str, version: str) -> RiskModel:
        """Return a version by its number, or the newest for ``latest``; a Refusal where it does not exist."""
        return self._loaded(self._shelf.version(risk, version))

    def risks(self) -> list[str]:
        """Return the risks that have a model."""
        return self._shelf.risks()

    def versions(self, risk: str | None = None) -> list[Version]:
        """Return all versions (of a risk), oldest first."""
        return self._shelf.versions(risk)

    def judged(self, risk: str) -> list[tuple[Version, list[Criterion]]]:
        """Return all versions of a risk, each with every criterion of the gate as things are now, but the signature."""
        held, policy = self._shelf.versions(risk), self.policy
        champion = next((one.version for one in held if CHAMPION in one.aliases), None)
        profile = self.profile
        filed = on_file(self.home, risk, profile) if profile else None
        places = [_place(one, champion, filed if profile else self._assessment(one)) for one in held]
        return [(one, criteria(one.card, place, policy=policy)) for one, place in zip(held, places, strict=True)]

    def previous(self, risk: str) -> str | None:
        """Return the champion that a rollback would bring back; None where there was none before."""
        stack = champions(entries(self._history), risk)
        return stack[-2] if len(stack) > 1 else None

    def card_page(self, held: Version) -> Path | None:
        """Return where a version's model card lies, one HTML page; None where it is gone."""
        page = self._shelf.folder(held.risk, held.run_id).parent / MODEL_CARD_PAGE
        return page if page.is_file() else None

    def folder(self, risk: str, run_id: str) -> Path:
        """Return where the files of a run's model lie, wherever the home has been moved to."""
        return self._shelf.folder(risk, run_id)

    @property
    def profile(self) -> Profile | None:
        """The profile of the stored histories; None where nothing was ingested into this home."""
        try:
            folder = current_version(self.home)
        except Refusal:
            return None
        if self._known is None or self._known[0] != folder:
            self._known = folder, load_profile(folder / "profile")
        return self._known[1]

    @property
    def policy(self) -> Policy:
        """The policy of the profile, or the default one."""
        profile = self.profile
        return profile.settings.policy if profile else Policy()

    def _decided(self, held: Version, signature: Signature, *, found: Sequence[Objection], forced: bool) -> Entry:
        """Write what came of asking the gate. Under the lock."""
        stack = champions(entries(self._history), held.risk)
        action = AFFIRMED if stack and stack[-1] == held.version else PROMOTED
        act = self._act(action if forced or not found else REFUSED, held, signature, found=found)
        return self._written(replace(act, forced=forced, figures=self._evidence(held)))

    def _objections(self, held: Version, signature: Signature) -> list[Objection]:
        place = _place(held, self._shelf.alias(held.risk, CHAMPION), self._assessment(held))
        return objections(held.card, place, policy=self.policy, signature=signature)

    def _assessment(self, held: Version) -> Assessment | None:
        profile = self.profile
        if profile is not None:
            return on_file(self.home, held.risk, profile)
        named = held.card.get("impact_assessment")
        return next((one for one in assessments(self.home) if one.id == named and one.risk == held.risk), None)

    def _check_assessments(self) -> None:
        if (fault := self.verify_assessments().fault) is not None:
            raise Refusal(f"The impact assessments can't be relied on: row {fault.row}: {fault.what}.", hint=fault.hint)

    def _check_forced(self, signature: Signature) -> None:
        least = self.policy.forced_reason_length
        if not signature.by.strip() or sum(letter.isalnum() for letter in signature.reason) < least:
            raise Refusal(
                "A promotion against the gate needs a name and a written reason.",
                hint=f"Give at least {least} letters: --reason TEXT. Pages show it.",
            )

    def _act(self, action: str, held: Version, signature: Signature, *, found: Sequence[Objection] = ()) -> Act:
        return Act(
            who=signature.by.strip(),
            action=action,
            risk=held.risk,
            version=held.version,
            previous=self._shelf.alias(held.risk, CHAMPION),
            reason=signature.reason.strip(),
            objections=[each.as_json() for each in found],
        )

    def _written(self, act: Act) -> Entry:
        """Write the row, then let alias and tags follow it. Under the lock."""
        entry = append(self._history, act, heads=self._heads())
        self._settle(act.risk)
        self._note_assessments(act.risk)
        return entry

    def _settle(self, risk: str) -> None:
        """Let the aliases and the noted head of a risk follow its history, whatever was cut short. Under the lock.

        The head is noted last: an alias that differs from the history while the head is noted was moved by others.
        A history that was changed is followed by nothing.
        """
        heads = self._shelf.noted(HEAD)
        if chain.verify(self._history, heads=list(heads.values())).fault is not None:
            return
        rows = [row for row in entries(self._history) if row.risk == risk]
        if not rows:
            return
        stack, named = champions(rows, risk), self._shelf.aliases(risk)
        if stack and named.get(CHAMPION) != stack[-1]:
            self._shelf.name(risk, CHAMPION, stack[-1])
        if stack and named.get(CHALLENGER) == stack[-1]:
            self._shelf.name(risk, CHALLENGER, None)
        if row_number(heads.get(risk)) < rows[-1].number:
            self._shelf.note(risk, HEAD, rows[-1].head)

    def _heads(self) -> list[str]:
        return list(self._shelf.noted(HEAD).values())

    def _note_assessments(self, risk: str) -> None:
        found = self.verify_assessments()
        if found.fault is None and found.head is not None and self._shelf.noted(ASSESSED).get(risk) != found.head:
            self._shelf.note(risk, ASSESSED, found.head)

    def _loaded(self, held: Version) -> RiskModel:
        row = first_row(entries(self._history), held.risk, held.version)
        if row is not None and row.figures["files"] != self._shelf.digest(held.risk, held.run_id):
            raise Refusal(
                f"The files of '{held.risk}' version {held.version} are not those that were registered.",
                hint="Find out who changed them (jingxing verify); train again, or roll back.",
            )
        return RiskModel.load(self._shelf.folder(held.risk, held.run_id), version=held.version)

    def _evidence(self, held: Version) -> dict[str, Any]:
        """What a row of the history keeps: the gate's figures, and what tells the version's files from any others."""
        row = first_row(entries(self._history), held.risk, held.version)
        files = row.figures["files"] if row else self._shelf.digest(held.risk, held.run_id)
        return {**evidence(held.card), "files": files}


def _place(held: Version, champion: str | None, filed: Assessment | None) -> Place:
    return Place(held.risk, None if champion == held.version else champion, filed)  # nothing is compared with itself


def _pictured(held: Version, verdict: list[dict[str, str]]) -> dict[str, str]:
    """The model card beside the report: one page that opens offline, and its JSON."""
    page, plain = model_card(held.card, risk=held.risk, version=held.version, verdict=verdict)
    return {
        MODEL_CARD_PAGE: page,
        MODEL_CARD_JSON: json.dumps(plain, ensure_ascii=False, indent=1, allow_nan=False) + "\n",
    }


def _nothing_before(newest: Version, stack: Sequence[str]) -> Refusal:
    risk = newest.risk
    if stack:
        what = f"Version {stack[-1]} is the first champion of '{risk}': it had no champion before it to go back to."
    else:
        what = f"'{risk}' has no champion, so there is nothing to roll back."
    return Refusal(what, hint=f"Promote another version: jingxing promote --risk {risk} --version N --reason TEXT")

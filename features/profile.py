"""The profile: what a force's measures, posts, risks and actions mean. YAML is read here and nowhere else."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from features.errors import Refusal
from features.policy import Policy

BUILT_IN = Path(__file__).parent / "profiles"
FILES = ("profile.yaml", "measures.yaml", "posts.yaml", "risks.yaml", "actions.yaml")
ASSESSED = ("workload", "quality", "satisfaction")
"""The three dimensions of the assessment; wellbeing, honour and action are never assessed."""

KEY = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
Key = Annotated[str, Field(pattern=KEY)]
Dimension = Literal["workload", "quality", "satisfaction", "wellbeing", "honour", "action"]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(_Part):
    """A text in both languages."""

    zh: str
    en: str

    def get(self, language: str) -> str:
        """Return the text in ``zh`` or ``en``."""
        return self.zh if language == "zh" else self.en


def _both(value: Any) -> Any:
    return {"zh": value, "en": value} if isinstance(value, str) else value


class Measure(_Part):
    """One thing that is counted or rated: a row of measures.yaml."""

    label: Text | None = None
    unit: Text | None = None
    dimension: Dimension
    aggregate: Literal["sum", "mean", "max", "last"] = "sum"
    better: Literal["up", "down"] | None = None
    sensitive: bool = False
    points: float = Field(default=0.0, allow_inf_nan=False)
    negative_list: bool = False
    raises: tuple[str, ...] = ()
    lowers: tuple[str, ...] = ()
    daily: bool = False
    """Its days are looked at too: days in a row, back-to-back pairs."""
    exempt: bool = False
    """Its value counts days away from the post's work (leave, secondment, declared operation)."""

    _labels = field_validator("label", "unit", mode="before")(_both)


class Post(_Part):
    """One post: its indicators with weights inside each dimension, and its assessment window."""

    label: Text | None = None
    risk_coefficient: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    review: Literal["week", "month", "quarter", "case"] = "month"
    indicators: dict[Literal["workload", "quality", "satisfaction"], dict[str, Weight]] = Field(default_factory=dict)
    bonus: dict[str, Weight] = Field(default_factory=dict)
    in_hand: tuple[str, ...] = ()
    """Measures whose events in a month say that long work is in hand and not yet closed."""

    _labels = field_validator("label", mode="before")(_both)


class EventOutcome(_Part):
    """The sum of a measure's events in the horizon reaches ``at_least``."""

    measure: str
    at_least: float = Field(default=1.0, gt=0, allow_inf_nan=False)


class IndexOutcome(_Part):
    """The mean index of the horizon falls below the own baseline by so many peer standard deviations."""

    index: Literal["efficiency"]
    falls_by: float = Field(default=0.5, gt=0, allow_inf_nan=False)
    baseline_months: int = Field(default=12, ge=1, le=60)


class Risk(_Part):
    """One risk to predict: a row of risks.yaml."""

    label: Text | None = None
    outcome: EventOutcome | IndexOutcome
    horizon_months: int = Field(ge=1, le=60)
    maturity_months: int = Field(default=0, ge=0, le=120)
    purpose: Literal["wellness", "development"] = "development"
    capacity_percent: float = Field(default=2.0, gt=0, le=100)
    """How many of the cohort the team can attend to in a month, in percent (at least 10 persons)."""

    _labels = field_validator("label", mode="before")(_both)

    @field_validator("outcome", mode="before")
    @classmethod
    def _one_form(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or ("measure" in value) == ("index" in value):
            raise ValueError("give either measure (with at_least) or index (with falls_by)")
        return EventOutcome.model_validate(value) if "measure" in value else IndexOutcome.model_validate(value)

    def capacity(self, cohort: int) -> int:
        """Return how many persons the list holds for a cohort of this size."""
        return min(cohort, max(10, math.ceil(cohort * self.capacity_percent / 100)))


class Rate(_Part):
    """An exposure-adjusted figure: ``times`` x sum of ``of`` / sum of ``per``."""

    of: str
    per: str
    times: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    label: Text | None = None
    better: Literal["up", "down"] | None = None

    _labels = field_validator("label", mode="before")(_both)


class Sequence(_Part):
    """A pattern over two successive days: ``first`` on a day and ``then`` on the next (or same) day."""

    first: str
    then: str
    days_apart: Literal[0, 1] = 1
    label: Text | None = None

    _labels = field_validator("label", mode="before")(_both)


class Settings(_Part):
    """profile.yaml."""

    name: str = "unnamed"
    label: Text | None = None
    windows_months: tuple[Annotated[int, Field(ge=1, le=120)], ...] = (1, 3, 6, 12, 36)
    half_lives_months: tuple[Annotated[int, Field(ge=1, le=120)], ...] = (3, 6, 12, 24, 48)
    min_tenure_months: int = Field(default=6, ge=0, le=120)
    sensitive_basis: Literal["organisation", "person"] = "organisation"
    rates: dict[Key, Rate] = Field(default_factory=dict)
    sequences: dict[Key, Sequence] = Field(default_factory=dict)
    leading_months: int = Field(default=3, ge=1, le=24)
    """So many months ahead in the own post lead to training first, or to rotation (practice D2)."""
    policy: Policy = Policy()
    """Bounds of the model gate, life of a flag."""

    _labels = field_validator("label", mode="before")(_both)

    @field_validator("windows_months")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value:
            raise ValueError("give at least one window")
        return tuple(sorted(set(value)))


class Action(_Part):
    """One thing that can be offered: a row of actions.yaml."""

    label: Text
    kind: Literal["rest", "mentoring", "training", "rotation", "care", "culture"]
    practice: str
    owner: Literal["wellness", "hr", "commander", "officer"]
    """Who arranges it."""
    decides: Literal["wellness", "hr", "commander", "officer"]
    """Who decides on it."""
    risks: tuple[str, ...] = ()
    """The risks that it answers; empty where it does not depend on a risk."""
    reasons: tuple[str, ...] = ()
    """Offered first where these measures push the risk up."""
    recorded_as: str | None = None
    """The measure whose events say that it was taken."""
    due_every_months: int | None = Field(default=None, ge=1, le=120)
    """Due by right so often (a yearly check-up), whatever the risk."""
    after: dict[str, int] = Field(default_factory=dict)
    """Due when one of these measures had an event in so many months with no taking since."""
    length_days: float | None = Field(default=None, gt=0)
    quota_per_1000: float | None = Field(default=None, gt=0)
    """Places a month for a thousand officers."""
    why: Text
    """What it is for, in a sentence."""
    opening: Text | None = None
    """Words for the first conversation."""

    _labels = field_validator("label", "why", "opening", mode="before")(_both)


class Profile(_Part):
    """A whole profile, checked when built: every measure named anywhere exists, no cycles."""

    settings: Settings
    measures: dict[Key, Measure]
    posts: dict[str, Post]
    risks: dict[Key, Risk]
    actions: dict[Key, Action]

    @model_validator(mode="after")
    def _consistent(self) -> "Profile":
        problems = list(_inconsistencies(self))
        if problems:
            raise Refusal("The profile does not hold together:", problems)
        return self

    @cached_property
    def measure_keys(self) -> tuple[str, ...]:
        """The measures in the order of the file; arrays use the position in it."""
        return tuple(self.measures)

    @cached_property
    def measure_number(self) -> dict[str, int]:
        """Position of each measure in ``measure_keys``."""
        return {key: number for number, key in enumerate(self.measures)}

    def label(self, key: str, language: str) -> str:
        """Return the label of a measure, rate, sequence, post, risk or action; the key itself if unknown."""
        for table in (
            self.measures,
            self.settings.rates,
            self.settings.sequences,
            self.posts,
            self.risks,
            self.actions,
        ):
            part: Any = table.get(key)
            if part is not None and part.label is not None:
                return str(part.label.get(language))
        return key


def load_profile(where: str | Path) -> Profile:
    """Return the profile in a folder, or the built-in one of that name (``gongan``).

    Every problem of every file is in one Refusal, each with its file and key.
    """
    folder = _folder(where)
    parts: dict[str, Any] = {}
    problems: list[str] = []
    for name in FILES:
        raw = _read_yaml(folder / name, problems)
        parts[name] = raw if isinstance(raw, Mapping) else {}
    unknown = sorted(path.name for path in folder.glob("*.y*ml") if path.name not in FILES)
    problems += [f"{name}: not a file of a profile (known: {', '.join(FILES)})" for name in unknown]
    for name in ("measures.yaml", "risks.yaml"):
        if not (folder / name).exists():
            problems.append(f"{name}: is missing")
    if problems:
        raise Refusal(f"The profile {folder} cannot be used:", problems)
    return _build(folder, parts)


def _build(folder: Path, parts: dict[str, Any]) -> Profile:
    sections = {"settings": "profile.yaml", "measures": "measures.yaml", "posts": "posts.yaml",
                "risks": "risks.yaml", "actions": "actions.yaml"}  # fmt: skip
    try:
        return Profile.model_validate({section: parts[name] for section, name in sections.items()})
    except ValidationError as error:
        problems = [_sentence(sections, dict(fault)) for fault in error.errors()]
        raise Refusal(f"The profile {folder} cannot be used:", problems) from None
    except Refusal as refusal:
        raise Refusal(f"The profile {folder} cannot be used:", refusal.problems) from None


def _folder(where: str | Path) -> Path:
    folder = Path(where)
    if folder.is_dir():
        return folder
    if (BUILT_IN / str(where)).is_dir():
        return BUILT_IN / str(where)
    known = ", ".join(sorted(path.name for path in BUILT_IN.iterdir() if path.is_dir()))
    raise Refusal(
        f"There is no profile folder {where}.",
        hint=f"Give a folder with measures.yaml and risks.yaml, or one of: {known}.",
    )


def _read_yaml(path: Path, problems: list[str]) -> Any:
    if not path.exists():
        return {}
    try:
        raw = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        problems.append(f"{path.name}: not UTF-8")
        return {}
    except (YAMLError, ValueError) as error:
        problems.append(f"{path.name}: {' '.join(str(error).split())}")
        return {}
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        problems.append(f"{path.name}: must be a table of keys")
    return raw


def _sentence(sections: Mapping[str, str], fault: Mapping[str, Any]) -> str:
    path = [str(step) for step in fault["loc"]]
    name = sections.get(path[0], path[0]) if path else "profile"
    key = ".".join(step for step in path[1:] if step != "[key]")
    plain = {
        "extra_forbidden": "unknown key",
        "missing": "is missing",
        "string_pattern_mismatch": "a key is lower-case letters, digits and single underscores",
    }
    reason = plain.get(fault["type"], fault["msg"])
    return f"{name}: {key}: {reason.removeprefix('Value error, ')}"


def _inconsistencies(profile: Profile) -> "list[str]":
    known = profile.measures
    problems: list[str] = []

    def check(where: str, names: Any) -> None:
        problems.extend(f"{where}: unknown measure '{name}'" for name in names if name not in known)

    if not known:
        problems.append("measures.yaml: no measure at all")
    for key, measure in known.items():
        both = (*measure.raises, *measure.lowers)
        problems.extend(f"measures.yaml: {key}: unknown risk '{name}'" for name in both if name not in profile.risks)
        problems.extend(
            f"measures.yaml: {key}: both raises and lowers '{name}'"
            for name in measure.raises
            if name in measure.lowers
        )
    for key, post in profile.posts.items():
        for dimension, weights in post.indicators.items():
            names = [name for name in weights if name not in profile.settings.rates]
            check(f"posts.yaml: {key}.indicators.{dimension}", names)
            problems.extend(
                f"posts.yaml: {key}.indicators.{dimension}: '{name}' is sensitive and can't be assessed"
                for name in names
                if name in known and known[name].sensitive
            )
        check(f"posts.yaml: {key}.bonus", post.bonus)
        check(f"posts.yaml: {key}.in_hand", post.in_hand)
    for key, risk in profile.risks.items():
        if isinstance(risk.outcome, EventOutcome):
            check(f"risks.yaml: {key}.outcome", [risk.outcome.measure])
    problems.extend(_setting_problems(profile))
    for key, action in profile.actions.items():
        check(f"actions.yaml: {key}", [name for name in (action.recorded_as,) if name])
        check(f"actions.yaml: {key}.reasons", action.reasons)
        check(f"actions.yaml: {key}.after", action.after)
        problems.extend(
            f"actions.yaml: {key}.risks: unknown risk '{name}'" for name in action.risks if name not in profile.risks
        )
    return problems


def _setting_problems(profile: Profile) -> list[str]:
    """Rates may name rates, but never in a circle; each derived key is new."""
    problems: list[str] = []
    rates, known = profile.settings.rates, profile.measures
    for key, rate in rates.items():
        if key in known:
            problems.append(f"profile.yaml: rates.{key}: there is a measure of that name")
        problems.extend(
            f"profile.yaml: rates.{key}: unknown measure '{name}'"
            for name in (rate.of, rate.per)
            if name not in known and name not in rates
        )
        if _in_circle(key, rates):
            problems.append(f"profile.yaml: rates.{key}: refers to itself (a cycle)")
        elif any(name in rates for name in (rate.of, rate.per)):
            problems.append(f"profile.yaml: rates.{key}: a rate of a rate; name measures instead")
    for key, sequence in profile.settings.sequences.items():
        if key in known or key in rates:
            problems.append(f"profile.yaml: sequences.{key}: there is a measure or rate of that name")
        for name in (sequence.first, sequence.then):
            if name not in known:
                problems.append(f"profile.yaml: sequences.{key}: unknown measure '{name}'")
    return problems


def _in_circle(start: str, rates: Mapping[str, Rate]) -> bool:
    seen: set[str] = set()
    ahead = [rates[start].of, rates[start].per]
    while ahead:
        name = ahead.pop()
        if name == start:
            return True
        if name in rates and name not in seen:
            seen.add(name)
            ahead += [rates[name].of, rates[name].per]
    return False


@dataclass(frozen=True)
class Default:
    """One row of the table of defaults in the docs."""

    file: str
    key: str
    default: str


def defaults() -> list[Default]:
    """Return every optional key of a profile with its default, for the docs and their test."""
    models: dict[str, type[BaseModel]] = {
        "profile.yaml": Settings,
        "measures.yaml": Measure,
        "posts.yaml": Post,
        "risks.yaml": Risk,
        "actions.yaml": Action,
    }
    rows = []
    for file, model in models.items():
        for key, field in model.model_fields.items():
            if not field.is_required():
                value = field.get_default(call_default_factory=True)
                rows.append(Default(file, key, str(value)))
    return rows

"""The profile: what a force's measures, posts, risks and actions mean. YAML is read here and nowhere else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from features.assessment.rules import AssessmentRules
from features.errors import Refusal
from features.help_rules import FitWeights, MentoringRules, WhatIfRules
from features.profile_checks import inconsistencies
from features.profile_rows import Action, Measure, Post, Risk, Rows, Settings
from features.rest_rules import RestRules

BUILT_IN = Path(__file__).parent / "profiles"
FILES = ("profile.yaml", "measures.yaml", "posts.yaml", "risks.yaml", "actions.yaml")


class Profile(Rows):
    """A whole profile, checked when built: every measure named anywhere exists, no cycles."""

    @model_validator(mode="after")
    def _consistent(self) -> "Profile":
        problems = inconsistencies(self)
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
    return [row for file, model in models.items() for row in _defaults(file, model)]


GROUPED: dict[str, type[BaseModel]] = {
    "assessment": AssessmentRules,
    "mentoring": MentoringRules,
    "what_if": WhatIfRules,
    "weights": FitWeights,
    "rest": RestRules,
}


def _defaults(file: str, model: type[BaseModel], before: str = "") -> Iterator[Default]:
    for key, field in model.model_fields.items():
        if key in GROUPED:
            yield from _defaults(file, GROUPED[key], f"{before}{key}.")
        elif not field.is_required():
            yield Default(file, before + key, str(field.get_default(call_default_factory=True)))

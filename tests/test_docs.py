"""Every command, setting, measure key and permission stands in the docs; no tool's or registry's name does."""

import importlib
import re
import subprocess
from pathlib import Path

import click
import pytest
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from features.profile import load_profile
from serving.access.roles import Permission
from serving.cli import COMMANDS

ROOT = Path(__file__).parents[1]
FLOORS = (
    "features",
    "training",
    "serving",
    "features/simulation",
    "training/effects",
    "serving/access",
    "serving/decisions",
    "serving/mentoring",
    "serving/rest",
)
READMES = ("README.md", "README.zh-CN.md", *(f"{floor}/README.md" for floor in FLOORS))


def doc(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_every_command_stands_in_the_readme(readme: str) -> None:
    assert [name for name in COMMANDS if f"`jingxing {name}" not in doc(readme)] == []
    assert all(f"make {target}" in doc(readme) for target in ("demo", "test", "bench", "accept"))


EVERYWHERE = {"--home", "--json", "--db", "--lang", "--by"}
"""Options that many commands share; the README tells them once."""


def options(command: str) -> set[str]:
    module, attribute, _ = COMMANDS[command]
    params = getattr(importlib.import_module(module), attribute).params
    return {name for each in params if isinstance(each, click.Option) for name in each.opts if name.startswith("--")}


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
@pytest.mark.parametrize("command", COMMANDS)
def test_the_readmes_table_names_every_option_of_a_command_and_no_other(readme: str, command: str) -> None:
    rows = [line for line in doc(readme).splitlines() if line.startswith("| `jingxing ")]
    told = " ".join(re.findall(rf"`jingxing {command}\b[^`]*`", " ".join(rows)))
    named, real = set(re.findall(r"--[a-z][a-z-]*", told)), options(command)
    assert named - real == set(), "no such option"
    assert real - named - EVERYWHERE == set(), "not told"


PRACTICES = ("S1", "S2", "S3", "A", "B", "C1", "C2", "D1", "D2", "D3", "D4", "E, F3", "F1", "F2", "G")


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_each_practice_has_a_row_with_a_command_and_a_page_that_are_there(readme: str, client: TestClient) -> None:
    paths = [context.path for context in iter_route_contexts(client.app.routes)]
    routes = [re.compile(re.sub(r"\{[^}]*\}", "[^/]+", path)) for path in paths]
    rows = [line.split(" | ") for line in doc(readme).replace("、", ", ").splitlines() if line.endswith("|")]
    told = {row[0].removeprefix("| "): row for row in rows if len(row) == 4}
    for practice in PRACTICES:
        row = next(row for name, row in told.items() if name.startswith(practice + " "))
        assert row[2].removeprefix("`jingxing ").split()[0].strip("`") in COMMANDS, practice
        for page in re.findall(r"`(/[^`]*)`", row[3]):
            assert any(route.fullmatch(page) for route in routes), (practice, page)


def test_every_measure_rate_sequence_and_post_of_gongan_stands_in_the_features_readme() -> None:
    profile = load_profile("gongan")
    keys = [*profile.measures, *profile.settings.rates, *profile.settings.sequences, *profile.posts]
    assert [key for key in keys if f"| `{key}` |" not in doc("features/README.md")] == []


def test_the_features_readme_tells_each_measure_as_the_profile_does() -> None:
    profile, text = load_profile("gongan"), doc("features/README.md")
    for key, measure in profile.measures.items():
        assert measure.label is not None
        row = next(line for line in text.splitlines() if line.startswith(f"| `{key}` |"))
        assert f"| {measure.label.zh} | {measure.label.en} |" in row
        assert f"| {measure.dimension} | {measure.aggregate} |" in row
        assert ("health data" in row) == measure.sensitive, key


def test_every_permission_stands_in_the_serving_readme() -> None:
    assert [each.value for each in Permission if each.value not in doc("serving/access/README.md")] == []


@pytest.mark.parametrize("readme", READMES)
def test_every_link_and_picture_of_a_readme_leads_somewhere(readme: str) -> None:
    folder = (ROOT / readme).parent
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", doc(readme))
    assert [target for target in targets if "://" not in target and not (folder / target).exists()] == []


def test_no_file_names_a_registrys_address_or_holds_a_pickle() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    address = re.compile(rb"files\.python" + rb"hosted|pypi\.(?:org|python)|registry\.npm" + rb"js|deb\.debian")
    assert [name for name in listed if (ROOT / name).is_file() and address.search((ROOT / name).read_bytes())] == []
    assert [name for name in listed if name.endswith((".pkl", ".pickle", ".joblib", "uv.lock"))] == []


def test_each_dependency_says_what_it_is_for() -> None:
    text = doc("pyproject.toml")
    block = text[text.index("dependencies = [") : text.index("[project.scripts]")]
    rows = [line for line in block.splitlines() if line.strip().startswith('"')]
    assert len(rows) > 20
    assert [row for row in rows if "#" not in row] == []

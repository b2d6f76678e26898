"""Profiles: what is silent has a default, what is wrong is refused with file and key."""

from pathlib import Path

import pytest

from features.errors import Refusal
from features.profile import defaults, load_profile

MEASURES = """
night_shift: {dimension: workload}
complaint: {dimension: satisfaction, better: down}
"""
RISKS = "trouble: {outcome: {measure: complaint}, horizon_months: 6}\n"


def profile_folder(folder: Path, **files: str) -> Path:
    texts = {"measures": MEASURES, "risks": RISKS, **files}
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def test_what_is_silent_has_the_contracts_default(tmp_path: Path) -> None:
    profile = load_profile(profile_folder(tmp_path))
    assert profile.settings.windows_months == (1, 3, 6, 12, 36)
    assert profile.settings.min_tenure_months == 6
    assert profile.settings.sensitive_basis == "organisation"
    assert profile.risks["trouble"].maturity_months == 0
    assert profile.risks["trouble"].outcome.at_least == 1
    assert profile.measures["complaint"].aggregate == "sum"
    assert profile.posts == {}
    assert profile.actions == {}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"measures": "x: {dimension: nowhere}"}, ["measures.yaml", "x.dimension"]),
        ({"measures": "x: {dimension: workload, colour: red}"}, ["measures.yaml", "x.colour", "unknown key"]),
        ({"measures": "x: {dimension: workload}\nx: {dimension: quality}"}, ["measures.yaml", "duplicate"]),
        ({"measures": "x: [1, 2"}, ["measures.yaml"]),
        ({"measures": "- a\n- b"}, ["measures.yaml", "table"]),
        ({"measures": ""}, ["measures.yaml", "no measure"]),
        ({"measures": "Bad Key: {dimension: workload}"}, ["measures.yaml", "Bad Key"]),
        ({"measures": "a__b: {dimension: workload}"}, ["measures.yaml", "a__b"]),
        ({"measures": MEASURES + "y: {dimension: workload, raises: [boredom]}"}, ["measures.yaml", "y", "boredom"]),
        ({"risks": "r: {outcome: {measure: ghost}, horizon_months: 6}"}, ["risks.yaml", "r.outcome", "ghost"]),
        ({"risks": "r: {outcome: {measure: complaint}}"}, ["risks.yaml", "r.horizon_months", "missing"]),
        (
            {"risks": "r: {outcome: {measure: complaint, index: efficiency}, horizon_months: 6}"},
            ["risks.yaml", "either"],
        ),
        ({"risks": "r: {outcome: {measure: complaint}, horizon_months: 0}"}, ["risks.yaml", "horizon_months"]),
        ({"posts": "p: {indicators: {quality: {ghost: 1}}}"}, ["posts.yaml", "p.indicators.quality", "ghost"]),
        ({"posts": "p: {indicators: {quality: {complaint: -1}}}"}, ["posts.yaml", "complaint"]),
        ({"posts": "p: {indicators: {quality: {complaint: .inf}}}"}, ["posts.yaml", "complaint"]),
        ({"posts": "p: {indicators: {wellbeing: {complaint: 1}}}"}, ["posts.yaml", "wellbeing"]),
        ({"profile": "windows_months: []"}, ["profile.yaml", "windows_months"]),
        ({"profile": "rates: {r: {of: complaint, per: ghost}}"}, ["profile.yaml", "rates.r", "ghost"]),
        (
            {"profile": "rates: {r: {of: s, per: complaint}, s: {of: r, per: complaint}}"},
            ["profile.yaml", "rates.r", "cycle"],
        ),
        ({"profile": "sensitive_basis: nobody"}, ["profile.yaml", "sensitive_basis"]),
        ({"actions": "a: {kind: rest}"}, ["actions.yaml", "a.label", "missing"]),
        ({"extra": "x: 1"}, ["extra.yaml", "not a file of a profile"]),
    ],
)
def test_what_is_wrong_is_refused_with_file_and_key(tmp_path: Path, files: dict[str, str], words: list[str]) -> None:
    with pytest.raises(Refusal) as refused:
        load_profile(profile_folder(tmp_path, **files))
    for word in words:
        assert word in str(refused.value)
    assert "Traceback" not in str(refused.value)


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refused:
        load_profile(profile_folder(tmp_path, measures="x: {dimension: nowhere}", profile="colour: red"))
    assert len(refused.value.problems) == 2


def test_an_unknown_profile_is_refused_with_the_built_in_names() -> None:
    with pytest.raises(Refusal, match="gongan"):
        load_profile("nowhere")


@pytest.mark.parametrize("part", ["bonus: {strain: 1}", "in_hand: [strain]"])
def test_a_sensitive_measure_lifts_no_index(tmp_path: Path, part: str) -> None:
    secret = MEASURES + "strain: {dimension: wellbeing, sensitive: true}\n"
    posts = f"desk: {{label: {{zh: 内勤, en: Desk}}, {part}}}\n"
    with pytest.raises(Refusal, match="sensitive"):
        load_profile(profile_folder(tmp_path, measures=secret, posts=posts))


def test_a_sensitive_measure_can_not_be_an_indicator(tmp_path: Path) -> None:
    secret = MEASURES + "strain: {dimension: wellbeing, sensitive: true}\n"
    with pytest.raises(Refusal, match="sensitive"):
        load_profile(profile_folder(tmp_path, measures=secret, posts="p: {indicators: {quality: {strain: 1}}}"))


def test_every_optional_key_stands_in_the_table_of_defaults_of_the_docs() -> None:
    text = (Path(__file__).parents[1] / "features" / "README.md").read_text(encoding="utf-8")
    missing = [f"{row.file} {row.key}" for row in defaults() if f"| `{row.key}` |" not in text]
    assert missing == []

"""The history of the registry: a chain that tells any change, and aliases that follow it, killed at any write."""

import datetime as dt
import json
import multiprocessing
import os
import shutil
import signal
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner

from features.errors import Refusal
from serving.models.champions import Champions
from tests.training_force import small_force
from training.dataset import training_set
from training.fitting import fit
from training.models.risk_model import RiskModel
from training.recipe import STANDARD
from training.registry.chain import append as chained
from training.registry.chain import verify
from training.registry.commands import impact as impact_command
from training.registry.commands import promote as promote_command
from training.registry.commands import rollback as rollback_command
from training.registry.commands import verify as verify_command
from training.registry.history import Act, append, entries, on_day
from training.registry.registry import Registry

WHY = "the tests serve a model that nobody judged"
ACT = Act("Lin", "promoted", "collapse", "1", None, "it is better", {"auc": [0.7, 0.6, 0.8]})


@pytest.fixture(scope="module")
def model():
    rows = training_set(small_force(officers=60, months=20).histories(), "collapse")
    fitted = fit(rows, small_force(officers=2, months=1).histories().profile, recipe=STANDARD.single())
    model = RiskModel("collapse", fitted.names, fitted.boosters, fitted.calibration, {})
    return replace(model, card={"figures": {}, "settings": {}, "trees": 1, "until": "2021-08"})


@pytest.fixture(scope="module")
def made(model, tmp_path_factory):
    """A home with three versions, of which the first two were promoted by force: only read it."""
    home = tmp_path_factory.mktemp("made") / "home"
    registry = Registry(home)
    for _ in range(3):
        registry.register(model)
    for version in ("1", "2"):
        registry.promote("collapse", version, by="Lin", reason=WHY, force=True)
    return home


@pytest.fixture
def home(made, tmp_path):
    return shutil.copytree(made, tmp_path / "home")


@pytest.fixture
def chain(tmp_path):
    path = tmp_path / "history.jsonl"
    for version in "12345":
        append(path, replace(ACT, version=version))
    return path


def run(command, home, *words):
    return CliRunner().invoke(command, ["--home", str(home), *words])


def test_rows_hold_who_when_which_version_and_which_figures_and_the_hash_before(chain):
    rows = entries(chain)
    assert [row.number for row in rows] == [1, 2, 3, 4, 5]
    assert [row.before for row in rows[1:]] == [row.hash for row in rows[:-1]]
    assert (rows[0].who, rows[0].figures, rows[0].when[-1]) == ("Lin", {"auc": [0.7, 0.6, 0.8]}, "Z")
    assert verify(chain).head == f"5:{rows[-1].hash}"
    assert verify(chain, heads=[row.head for row in rows]).fault is None


def test_any_changed_byte_is_told_with_its_row(chain):
    content, heads = chain.read_bytes(), [entries(chain)[-1].head]
    starts = [0, *(place + 1 for place, byte in enumerate(content) if byte == ord("\n"))]
    for place in range(len(content)):
        row = sum(start <= place for start in starts)
        chain.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        fault = verify(chain, heads=heads).fault
        assert fault is not None, place
        assert fault.row == row, (place, fault)


@pytest.mark.parametrize(
    ("kept", "row", "word"),
    [
        ([1, 3, 4, 5], 2, "row 3 stands in its place"),
        ([1, 2, 4, 3, 5], 3, "row 4 stands in its place"),
        ([2, 3, 4, 5], 1, "row 2 stands in its place"),
        ([1, 2, 3], 5, "it is missing: the registry noted 5 rows, the file holds 3"),
        ([], 5, "it is missing"),
        ([1, 2, 3, 4, 5, 5], 6, "row 5 stands in its place"),
    ],
)
def test_removed_moved_added_and_cut_off_rows_are_told(chain, kept, row, word):
    lines, heads = chain.read_bytes().splitlines(keepends=True), [entries(chain)[-1].head]
    chain.write_bytes(b"".join(lines[number - 1] for number in kept))
    fault = verify(chain, heads=heads).fault
    assert (fault.row, word in fault.what) == (row, True), fault


def test_a_history_written_anew_as_a_whole_is_told_by_the_noted_head(chain, tmp_path):
    head = entries(chain)[-1].head
    for version in "12345":
        append(tmp_path / "other.jsonl", replace(ACT, version=version, who="Wang"))
    assert verify(tmp_path / "other.jsonl").fault is None
    fault = verify(tmp_path / "other.jsonl", heads=[head]).fault
    assert (fault.row, fault.what) == (5, "it is not the row that the registry noted")


def test_a_torn_last_line_is_an_action_that_did_not_happen(chain):
    whole, head = chain.read_bytes(), entries(chain)[-1].head
    for cut in (1, 40, 200):
        chain.write_bytes(whole + whole[:cut])
        found = verify(chain, heads=[head])
        assert (found.rows, found.unfinished, found.fault) == (5, True, None)
        assert len(entries(chain)) == 5
    assert append(chain, ACT, heads=[head]).number == 6
    assert verify(chain).unfinished is False
    assert chain.read_bytes().startswith(whole)


def test_nothing_is_added_to_a_history_that_was_changed(chain):
    chain.write_bytes(chain.read_bytes().replace(b"Lin", b"Lim", 1))
    before = chain.read_bytes()
    with pytest.raises(Refusal, match="row 1: its content is not what was written"):
        append(chain, ACT)
    assert chain.read_bytes() == before


def test_a_days_versions_are_those_that_began_before_it_and_on_it(chain, monkeypatch):
    rows = [
        replace(row, when=f"2026-0{month}-1{day}T04:00:00Z")
        for row, (month, day) in zip(entries(chain), [(1, 0), (2, 0), (2, 0), (3, 0), (4, 0)], strict=True)
    ]
    rows[3] = replace(rows[3], action="refused")

    def served(day):
        return [one.version for one in on_day(rows, "collapse", dt.date.fromisoformat(day))]

    assert served("2026-01-09") == []
    assert served("2026-01-10") == ["1"]
    assert served("2026-02-10") == ["1", "2", "3"]
    assert served("2026-03-31") == ["3"]
    assert served("2026-04-11") == ["5"]


def test_promotions_rollbacks_and_refusals_are_rows_and_rollback_goes_back_step_by_step(home):
    registry = Registry(home)
    with pytest.raises(Refusal, match="not promoted"):
        registry.promote("collapse", "3", by="Lin", reason="newer")
    registry.promote("collapse", "3", by="Lin", reason=WHY, force=True)
    assert registry.rollback("collapse", by="Wang", reason="it is slower").version == "2"
    assert registry.champion("collapse").version == "2"
    assert registry.rollback("collapse", by="Wang", reason="that one too").version == "1"
    with pytest.raises(Refusal, match="no champion before"):
        registry.rollback("collapse", by="Wang", reason="once more")
    told = [(row.action, row.version, row.previous, row.forced) for row in registry.history("collapse")]
    assert told[3:] == [
        ("promoted", "1", None, True),
        ("promoted", "2", "1", True),
        ("refused", "3", "2", False),
        ("promoted", "3", "2", True),
        ("rolled back", "2", "3", False),
        ("rolled back", "1", "2", False),
    ]
    assert told[:3] == [("refused", version, None, False) for version in "123"]
    assert all(row.objections for row in registry.history() if row.action != "rolled back")
    assert registry.verify().fault is None


def test_what_serves_says_by_whose_word_and_in_spite_of_what(home):
    found = Registry(home).in_production("collapse")
    assert (found.version, found.by, found.reason, found.forced) == ("2", "Lin", WHY, True)
    assert {each["key"] for each in found.objections} >= {"rule", "calibration", "fairness", "leak", "impact"}
    assert all(each["zh"] for each in found.objections)
    Registry(home).rollback("collapse", by="Wang", reason="it is slower")
    back = Registry(home).in_production("collapse")
    assert (back.version, back.by, back.forced) == ("1", "Wang", True)


def test_a_forced_promotion_needs_a_reason_of_some_length(home):
    before = (home / "mlruns" / "history.jsonl").read_bytes()
    for by, reason in (("Lin", "because"), ("", WHY), ("Lin", " " * 40)):
        with pytest.raises(Refusal, match="a name and a written reason"):
            Registry(home).promote("collapse", "3", by=by, reason=reason, force=True)
    assert (home / "mlruns" / "history.jsonl").read_bytes() == before


def test_promoting_the_version_that_serves_is_a_row_and_rollback_still_goes_to_the_one_before(home):
    registry = Registry(home)
    with pytest.raises(Refusal, match="serves already; the gate has this against affirming it"):
        registry.promote("collapse", "2", by="Wang", reason="again")
    assert (registry.history()[-1].action, registry.history()[-1].who) == ("refused", "Wang")
    assert registry.champion("collapse").version == "2"
    words = ("--risk", "collapse", "--version", "2", "--by", "Wang", "--reason", WHY + ", again", "--force")
    assert "serves on, affirmed (row 7" in run(promote_command, home, *words).stdout
    assert (registry.in_production("collapse").by, registry.in_production("collapse").reason) == (
        "Wang",
        WHY + ", again",
    )
    assert registry.rollback("collapse", by="Wang", reason="slower").version == "1"
    assert registry.verify().fault is None


def test_who_asks_for_an_unknown_risk_or_rolls_back_the_first_champion_is_told_what_there_is(home):
    registry = Registry(home)
    with pytest.raises(Refusal, match="There is no model of 'boredom'") as refusal:
        registry.promote("boredom", "latest", by="Lin", reason=WHY)
    assert "collapse" in refusal.value.message()
    with pytest.raises(Refusal, match="There is no model of 'boredom'"):
        registry.rollback("boredom", by="Lin", reason="slower")
    registry.rollback("collapse", by="Lin", reason="slower")
    with pytest.raises(Refusal, match="Version 1 is the first champion of 'collapse': it had no champion before"):
        registry.rollback("collapse", by="Lin", reason="slower")


def test_the_commands_promote_roll_back_and_verify(home):
    refused = run(promote_command, home, "--risk", "collapse", "--version", "3", "--reason", "newer")
    assert refused.exit_code == 1
    assert "Version 3 of 'collapse' is not promoted" in refused.stderr
    forced = run(promote_command, home, "--risk", "collapse", "--version", "3", "--reason", WHY, "--force", "--by", "Z")
    assert "In spite of the gate" in forced.stdout
    assert "serves in place of version 2" in forced.stdout
    back = run(rollback_command, home, "--risk", "collapse", "--reason", "slower", "--json")
    assert json.loads(back.stdout)["version"] == "2"
    assert run(promote_command, home, "--risk", "collapse").exit_code == 2
    assert run(rollback_command, home, "--risk", "collapse", "--reason", " ").exit_code == 2
    assert "is whole: 8 rows" in run(verify_command, home).stdout


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_promotion_without_a_reason_is_wrong_usage_and_leaves_no_row(home, reason):
    rows = len(Registry(home).history())
    done = run(promote_command, home, "--risk", "collapse", "--version", "3", "--reason", reason)
    assert (done.exit_code, "it is empty" in done.stderr) == (2, True)
    assert len(Registry(home).history()) == rows


def test_verify_names_the_changed_row_and_exits_with_one(home):
    path = home / "mlruns" / "history.jsonl"
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"version":"2"', b'"version":"1"', 1))
    done = run(verify_command, home)
    assert done.exit_code == 1
    assert "row 2: its content is not what was written" in done.stderr
    path.write_bytes(b"".join(content.splitlines(keepends=True)[:-1]))
    done = run(verify_command, home)
    assert done.exit_code == 1
    assert "row 5: it is missing: the registry noted 5 rows, the file holds 4" in done.stderr
    assert run(rollback_command, home, "--risk", "collapse", "--reason", "slower").exit_code == 1
    assert Registry(home).champion("collapse").version == "2"


WRITES = ("truncate", "write", "flush", "fsync", "commit")
"""What a process calls to write to the disk: the file's methods, the system's, the database's."""


def _promote_and_die(home, *, at):
    """Promote version 3, and be killed right before a write to the disk, counted from the first to the history."""
    seen = 0

    def count(_frame, event, argument):
        nonlocal seen
        seen += event == "c_call" and argument.__name__ in WRITES
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def begin(event, arguments):
        if event == "open" and str(arguments[0]).endswith("history.jsonl") and arguments[1] == "a":
            sys.setprofile(count)

    sys.addaudithook(begin)
    Registry(home).promote("collapse", "3", by="Lin", reason=WHY, force=True)


MOMENTS = (1, 2, 3, 4, 5, 6, 8, 10, 13, 999)
"""Before each write of the row, then before some of the database's; before the last number it has ended."""


def _die_at_writes(made, folder):
    """In a process that has imported everything: one child for each moment, each with a home of its own."""
    for moment in MOMENTS:
        home = shutil.copytree(made, folder / f"{moment:03}")
        child = os.fork()
        if child == 0:
            _promote_and_die(home, at=moment)
            os._exit(0)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if ended != (0 if moment == MOMENTS[-1] else -signal.SIGKILL):
            sys.exit(f"at write {moment} the promotion ended with {ended}")


@pytest.mark.skipif(sys.platform == "win32", reason="kills processes by signal")
def test_killed_at_a_write_of_a_promotion_a_champion_serves_and_rerunning_completes(made, tmp_path):
    child = multiprocessing.get_context("spawn").Process(target=_die_at_writes, args=(made, tmp_path))
    child.start()
    child.join()
    assert child.exitcode == 0
    homes, served = sorted(tmp_path.iterdir()), []
    for home in homes:
        registry = Registry(home)
        assert registry.verify().fault is None
        served.append(registry.champion("collapse").version)
        registry.promote("collapse", "3", by="Lin", reason=WHY, force=True)
        assert registry.in_production("collapse").version == "3"
        assert [row.version for row in registry.history() if row.action == "promoted"] == ["1", "2", "3"]
        assert registry.verify().fault is None
    assert len(homes) == len(MOMENTS)
    assert served == sorted(served)
    assert (served[0], served[-1]) == ("2", "3")


def test_an_alias_that_was_moved_by_other_means_follows_the_history(home):
    registry = Registry(home)
    registry._shelf.name("collapse", "champion", "3")
    assert registry.champion("collapse").version == "2"


def test_an_alias_moved_in_the_database_is_told_by_verify_with_the_row_that_says_otherwise(home):
    Registry(home)._shelf.name("collapse", "champion", "3")
    done = run(verify_command, home)
    assert done.exit_code == 1
    assert "row 5: by it version 2 of collapse serves, but the registry's alias names 3" in done.stderr
    assert Registry(home).champion("collapse").version == "2"
    assert run(verify_command, home).exit_code == 0


def test_a_history_removed_together_with_what_was_noted_of_it_is_told_by_versions_that_serve_without_a_row(home):
    (home / "mlruns" / "history.jsonl").unlink()
    registry = Registry(home)
    registry._shelf._client.delete_registered_model_tag("collapse", "history")
    done = run(verify_command, home)
    assert done.exit_code == 1
    assert "collapse version 1 was judged or serves, and no row tells of it" in done.stderr
    for version in "123":
        registry._shelf._client.delete_model_version_tag("collapse", version, "gate")
    assert "collapse version 2 was judged or serves" in run(verify_command, home).stderr


def test_a_running_service_serves_what_the_history_says_after_a_promotion_that_was_cut_short(home, monkeypatch):
    """Killed right after the row was written: no other process has used the registry since."""
    service = Champions(home)
    assert service.champion("collapse").version == "2"
    monkeypatch.setattr(Registry, "_settle", lambda *_: None)
    Registry(home).promote("collapse", "3", by="Lin", reason=WHY, force=True)
    assert Registry(home)._shelf.alias("collapse", "champion") == "2"
    monkeypatch.undo()
    assert Registry(home).verify().fault is None
    assert service.champion("collapse").version == "3"


def test_impact_assessments_are_a_chain_and_a_changed_or_cut_row_is_told(home):
    path = home / "mlruns" / "impact-assessments.jsonl"
    told = {"risk": "collapse", "purpose": "wellness", "sensitive": [], "basis": "x", "by": "nobody", "reason": "",
            "created": "2026-01-01T00:00:00Z", "state": "draft", "document": {"en": "draft", "zh": "草稿"}}  # fmt: skip
    for number in (1, 2):
        chained(path, {**told, "id": f"collapse-12345678-{number}"})
    run(impact_command, home, "withdraw", "collapse-12345678-1", "--by", "Zhao", "--reason", "out of date")
    assert "The impact assessments are whole: 3 rows" in run(verify_command, home).stdout
    content = path.read_bytes()
    path.write_bytes(content.replace(b"wellness", b"Wellness", 1))
    assert "assessments was changed: row 1: its content is not what was written" in run(verify_command, home).stderr
    assert run(impact_command, home, "sign", "collapse-12345678-2").exit_code == 1
    path.write_bytes(b"".join(content.splitlines(keepends=True)[:-1]))  # the withdrawal was cut off
    assert "row 3: it is missing" in run(verify_command, home).stderr
    with pytest.raises(Refusal, match="impact assessments can't be relied on: row 3"):
        Registry(home).promote("collapse", "3", by="Lin", reason=WHY, force=True)


def test_impact_assessments_are_signed_and_withdrawn_by_a_name(tmp_path):
    from_line = {"id": "collapse-12345678-1", "risk": "collapse", "purpose": "wellness", "sensitive": [], "basis": "x",
                 "created": "2026-01-01T00:00:00Z", "state": "draft", "by": "nobody", "reason": "",
                 "document": {"en": "draft", "zh": "草稿"}}  # fmt: skip
    assert Registry(tmp_path).risks() == []
    chained(tmp_path / "mlruns" / "impact-assessments.jsonl", from_line)
    assert "draft" in run(impact_command, tmp_path).stdout
    assert run(impact_command, tmp_path, "sign", "collapse-12345678-1", "--by", " ").exit_code == 1
    assert "signed" in run(impact_command, tmp_path, "sign", "collapse-12345678-1", "--by", "Zhao").stdout
    assert run(impact_command, tmp_path, "withdraw", "collapse-12345678-1", "--by", "Zhao").exit_code == 1
    done = run(impact_command, tmp_path, "withdraw", "collapse-12345678-1", "--by", "Zhao", "--reason", "out of date")
    assert "withdrawn" in done.stdout
    assert "out of date" in done.stdout
    assert run(impact_command, tmp_path, "sign", "collapse-12345678-1", "--by", "Zhao").exit_code == 1
    assert run(impact_command, tmp_path, "sign").exit_code == 2
    assert "草稿" in run(impact_command, tmp_path, "show", "collapse-12345678-1").stdout


def test_a_card_or_model_file_that_was_edited_is_named_and_neither_loads_nor_is_promoted(home):
    registry = Registry(home)
    held = registry.versions("collapse")[2]
    card = registry.folder("collapse", held.run_id).parent / "report.json"
    card.write_text(card.read_text().replace('"trees": 1', '"trees": 2'), encoding="utf-8")
    assert "version 3" in registry.verify().fault.what
    with pytest.raises(Refusal, match="not those that were registered"):
        registry.promote("collapse", "3", by="Lin", reason=WHY, force=True)
    with pytest.raises(Refusal, match="not those that were registered"):
        registry.version("collapse", "3")
    assert registry.champion("collapse").version == "2"
    assert run(verify_command, home).exit_code == 1


def test_what_served_on_a_day_is_not_told_from_a_history_that_was_changed(home):
    path = home / "mlruns" / "history.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Lin", b"Lan"))
    with pytest.raises(Refusal, match="can't be relied on"):
        Registry(home).on_day(dt.date.today())

"""Past lists are rebuilt to the bit, or it is said why not; a change of lists is the sum of its causes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import func, select, update

from features.cohort import cohort
from features.errors import Refusal
from features.histories.ingest import ingest
from features.histories.store import load_histories
from features.histories.versions import VERSIONS_KEPT, keep_version, known_digest, under
from features.months import NO_DAY, last_day, month_end, month_of_day, month_text, parse_month
from serving.access.audit import Actor
from serving.access.sight import WHOLE
from serving.cli import main
from serving.database import open_database, transaction
from serving.decisions.publishing import publish
from serving.months.replay import change_between, past_list, replay
from serving.scored import lists, queries
from serving.scored.lists import RUNS_KEPT, store_list
from serving.scored.scoring import score_into_store
from serving.tables import Batch, ProfileRow, Score, SupersededList
from tests.forces import random_force
from tests.store_fixtures import postgres_address, store, store_url
from tests.test_serving_store import _list
from tests.training_force import MEASURES, RISKS, SETTINGS, small_force
from training.dataset import training_set
from training.fitting import fit
from training.judging.metrics import MODEL, RULE
from training.recipe import STANDARD
from training.registry.registry import Registry

__all__ = ["postgres_address", "store", "store_url"]

AS_OF = parse_month("2021-10")
JUNE = parse_month("2024-06")
RISK = "collapse"


def _write_profile(folder: Path, **changed) -> Path:
    """The small profile as files; JSON is YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    risks = {RISK: {**RISKS[RISK], **changed}}
    measures = {key: {**part, "raises": [RISK] if part.get("raises") else []} for key, part in MEASURES.items()}
    for name, content in (("profile", SETTINGS), ("measures", measures), ("risks", risks)):
        (folder / f"{name}.yaml").write_text(json.dumps(content), encoding="utf-8")
    return folder


def _take_in(home: Path, folder: Path, *, roster, events, profile=None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    roster.to_csv(folder / "roster.csv", index=False)
    events.to_csv(folder / "events.csv", index=False)
    ingest(folder, home=home, profile=profile, strict=True)


@pytest.fixture(scope="module")
def force():
    made = small_force(officers=120, months=24, seed=9)
    return replace(made, events=made.events.drop(columns=["began_on", "event_id"]))


@pytest.fixture(scope="module")
def made(force, tmp_path_factory):
    """A home with two model versions, the second a weaker one."""
    home = tmp_path_factory.mktemp("replay")
    _take_in(home, home / "export", roster=force.roster, events=force.events, profile=_write_profile(home / "profile"))
    given = load_histories(home)
    rows = training_set(given, RISK, until=AS_OF - 6)
    for leaves in (4, 2):
        model = fit(rows, given.profile, recipe=STANDARD.with_settings(num_leaves=leaves)).model(RISK, _card())
        Registry(home).register(model)
    return home


def _card():
    figures = {MODEL: {"average_precision": [0.5, 0.4, 0.6]}, RULE: {"average_precision": [0.1, 0.1, 0.1]}}
    return {"figures": figures, "settings": {}, "trees": 60, "until": "2021-04"}


@pytest.fixture
def home(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "home"))


def _score(home, engine, version, *months):
    given = load_histories(home)
    model = Registry(home).version(RISK, version)
    score_into_store(given, [model], months or [AS_OF], engine, advance=lambda _: None, home=home)


def _past(engine, as_of=AS_OF, run=None):
    with transaction(engine) as session:
        return past_list(session, RISK, as_of, run=run)


def _later(force, day):
    """Rows that became known on a day: nights of everyone a month before."""
    rows = force.events[force.events["measure"] == "night"].drop_duplicates("officer_id")
    return rows.assign(occurred_on="2021-09-20", recorded_on=day, value=31.0)


def test_a_stored_list_is_rebuilt_to_the_bit_on_both_databases(home, store):
    _score(home, store, "1", AS_OF - 1, AS_OF)
    for month in (AS_OF - 1, AS_OF):
        assert replay(home, _past(store, month)).equal


def test_what_is_learned_later_and_who_comes_later_change_no_rebuilt_list(home, store, force, tmp_path):
    _score(home, store, "1")
    newcomer = force.roster.head(1).assign(officer_id="A0000", valid_from="2021-11-15", unit="a new unit")
    roster = force.roster.assign(valid_to=np.where(force.roster.index == 3, "2021-12-31", None))
    later = {"roster": np_concat(roster, newcomer), "events": _later(force, "2021-11-05")}
    _take_in(home, tmp_path / "later", **later)
    shutil.rmtree(home / "var" / "replay")
    assert len(load_histories(home).officers) == 121
    assert replay(home, _past(store)).equal


def np_concat(first, second):
    """Two tables, one after the other."""
    return type(first)({name: [*first[name], *second.get(name, [None] * len(second))] for name in first})


def test_after_a_change_backwards_the_kept_version_still_rebuilds_the_list(home, store, force, tmp_path):
    _score(home, store, "1")
    _take_in(home, tmp_path / "dated", roster=force.roster, events=_later(force, "2021-10-02"))
    past = _past(store)
    assert known_digest(load_histories(home), AS_OF) != past.known_digest
    assert replay(home, past).equal
    shutil.rmtree(home / "var" / "replay")
    with pytest.raises(Refusal, match="no longer there"):
        replay(home, past)


def test_a_value_changed_by_hand_is_named(home, store):
    _score(home, store, "1")
    with transaction(store) as session:
        batch = queries.batch_of(session, WHOLE, RISK)
        first = session.scalar(select(Score).where(Score.batch_id == batch.id, Score.rank == 1))
        first.probability = np.nextafter(first.probability, 1.0).item()
    found = replay(home, _past(store))
    assert [(each.what, each.persons) for each in found.differences] == [("probability", 1)]
    assert found.differences[0].largest < 1e-15


def test_an_earlier_scoring_is_kept_and_rebuilt_and_the_pages_show_the_newest(home, store):
    _score(home, store, "1")
    first = _past(store)
    _score(home, store, "2")
    assert (_past(store).run, _past(store).model_version) == (2, "2")
    assert _past(store, run=1) == first
    assert all(replay(home, _past(store, run=run)).equal for run in (1, 2))
    with transaction(store) as session:
        assert session.scalar(select(func.count()).select_from(Batch)) == 1
        assert session.scalar(select(func.count()).select_from(ProfileRow)) == 1
    with pytest.raises(Refusal, match="no run 7"):
        _past(store, run=7)


def test_the_same_data_model_and_profile_leave_one_run(home, store):
    _score(home, store, "1")
    _score(home, store, "1")
    with transaction(store) as session:
        assert session.scalar(select(func.count()).select_from(SupersededList)) == 0
    assert _past(store).run == 1


def test_only_so_many_earlier_scorings_are_kept(store):
    for version in range(RUNS_KEPT + 3):
        with transaction(store) as session:
            store_list(session, _list(version=str(version)))
    with transaction(store) as session:
        kept = sorted(session.scalars(select(SupersededList.run)))
        assert queries.batch_of(session, WHOLE, "burnout").run == RUNS_KEPT + 3
    assert kept == list(range(3, RUNS_KEPT + 3))


def test_a_list_from_before_lists_kept_what_replay_needs_is_refused_in_words(store, tmp_path):
    with transaction(store) as session:
        store_list(session, _list())
        past = past_list(session, "burnout", JUNE)
    with pytest.raises(Refusal, match="before lists kept"):
        replay(tmp_path, past)


def test_a_change_is_the_sum_of_data_model_and_policy(home, store, force, tmp_path):
    _score(home, store, "1", AS_OF - 3)
    profile = _write_profile(tmp_path / "wider", capacity_percent=20.0)
    _take_in(home, tmp_path / "again", roster=force.roster, events=force.events, profile=profile)
    _score(home, store, "2")
    older, newer = _past(store, AS_OF - 3), _past(store)
    assert (older.capacity, newer.capacity) == (10, 24)
    change = change_between(home, older, newer)
    assert [step.cause for step in change.steps] == ["data", "model", "policy"]
    members = older.listed
    for step in change.steps:
        assert not step.came & members
        assert step.left <= members
        members = (members | step.came) - step.left
    assert members == newer.listed
    assert len(change.steps[-1].came) == 14
    assert not change.steps[-1].left
    assert change.came == newer.listed - older.listed


def test_what_did_not_change_has_no_part_in_the_change(home, store):
    _score(home, store, "1")
    _score(home, store, "2")
    data, model, policy = change_between(home, _past(store, run=1), _past(store)).steps
    assert data.came | data.left | policy.came | policy.left == frozenset()
    assert model.came == _past(store).listed - _past(store, run=1).listed
    _score(home, store, "2", AS_OF + 1)
    data, model, policy = change_between(home, _past(store), _past(store, AS_OF + 1)).steps
    assert data.came == _past(store, AS_OF + 1).listed - _past(store).listed
    assert model.came | model.left | policy.came | policy.left == frozenset()


def test_the_command_says_equal_or_what_differs_and_splits_a_change(home, tmp_path):
    engine = open_database(home)
    _score(home, engine, "1", AS_OF - 1, AS_OF)
    words = ["--home", str(home), "--json", "replay", "--risk", RISK, "--as-of", month_text(AS_OF)]
    told = json.loads(CliRunner().invoke(main, words).stdout)
    assert (told["equal"], told["run"]) == (True, 1)
    change = json.loads(CliRunner().invoke(main, [*words, "--against", month_text(AS_OF - 1)]).stdout)
    assert [step["cause"] for step in change["steps"]] == ["data", "model", "policy"]
    assert change["older"]["as_of"] == month_text(AS_OF - 1)
    prose = [word for word in words if word != "--json"]
    for language, says in (("zh", "逐位相等"), ("en", "equal to the bit")):
        assert says in CliRunner().invoke(main, [*prose, "--lang", language]).stdout
    with transaction(engine) as session:
        session.execute(update(Score).where(Score.rank == 2).values(low=0.0))
    answer = CliRunner().invoke(main, words)
    assert (answer.exit_code, "low: 1 persons" in answer.stderr) == (1, True)
    engine.dispose()


@pytest.mark.parametrize("seed", range(3))
def test_the_digest_knows_what_was_known_and_nothing_else(seed):
    given = random_force(seed)
    as_of = int(month_of_day(given.last_recorded)) - 6
    before = known_digest(given, as_of)
    assert known_digest(given.until(as_of), as_of) == before
    last = int(np.argmax(given.events.recorded))
    later = given.events.value.copy()
    later[last] = 77.0
    assert known_digest(replace(given, events=replace(given.events, value=later)), as_of) == before
    known = int(np.flatnonzero(given.events.recorded <= given.until(as_of).last_recorded)[0])
    earlier = given.events.value.copy()
    earlier[known] = 77.0
    assert known_digest(replace(given, events=replace(given.events, value=earlier)), as_of) != before
    assert known_digest(given, as_of + 1) != before


def test_the_digest_does_not_depend_on_the_order_of_measures():
    given = random_force(4)
    as_of = int(month_of_day(given.last_recorded))
    turned = dict(reversed(list(given.profile.measures.items())))
    profile = given.profile.model_validate({**given.profile.model_dump(), "measures": turned})
    assert profile.measure_keys == given.profile.measure_keys[::-1]
    assert known_digest(under(given, profile), as_of) == known_digest(given, as_of)


def test_what_a_later_posting_says_of_hiring_was_not_known_before():
    """The roster gains a posting after the as-of with another day of hiring: the list of then is still rebuilt."""
    given = random_force(2)
    as_of = int(month_of_day(given.last_recorded)) - 6
    before, postings = known_digest(given, as_of), given.postings
    place = int(np.flatnonzero(postings.first <= last_day(as_of))[-1])
    added = {name: np.insert(getattr(postings, name), place + 1, getattr(postings, name)[place]) for name in
             ("officer", "post", "unit", "last")}  # fmt: skip
    first = np.insert(postings.first, place + 1, last_day(as_of) + 20).astype(np.int32)
    for told in (NO_DAY, postings.first[0] - 900):
        hired = np.insert(postings.hired, place + 1, told).astype(np.int32)
        people = given.people.iloc[[*range(place + 1), *range(place, len(given.people))]].reset_index(drop=True)
        later = replace(given, postings=replace(postings, **added, first=first, hired=hired), people=people)
        assert known_digest(later, as_of) == before
        assert np.array_equal(cohort(later, as_of).tenure, cohort(given, as_of).tenure, equal_nan=True)


def test_versions_of_published_lists_are_kept_for_ever(home):
    kept = home / "var" / "replay"
    for number in range(VERSIONS_KEPT + 3):
        (kept / f"u{number:06d}").mkdir(parents=True)
    keep_version(home, needed={"u000001"})
    assert (kept / "u000001").is_dir()
    assert not (kept / "u000000").exists()
    assert len(list(kept.iterdir())) == VERSIONS_KEPT + 1


def test_scoring_keeps_the_versions_that_published_lists_need(home):
    engine, kept = open_database(home), home / "var" / "replay"
    _score(home, engine, "1")
    with transaction(engine) as session:
        batch = queries.batch_of(session, WHOLE, RISK)
        publish(session, Actor("somebody", "wellness"), batch)
    for number in range(VERSIONS_KEPT + 1):
        (kept / f"w{number:06d}").mkdir()  # newer than the one that was published
    _score(home, engine, "1", AS_OF - 1)
    assert (kept / batch.histories_version).is_dir()
    assert not (kept / "w000000").exists()
    engine.dispose()


@pytest.mark.parametrize("served", [None, {"since": "2024-01-01", "by": "a", "reason": "why", "forced": True}])
def test_a_superseded_list_still_says_by_whose_word_its_model_served(store, served):
    for version in ("1", "2"):
        with transaction(store) as session:
            store_list(session, replace(_list(version=version), served=served if version == "1" else None))
    with transaction(store) as session:
        assert past_list(session, "burnout", JUNE, run=1).served == served
        assert past_list(session, "burnout", JUNE).served is None


@pytest.mark.parametrize(
    ("risk", "month", "run", "says"),
    [
        ("burnout", JUNE, 2, "Run 2 of the list of 'burnout' at 2024-06 is no longer kept: the newest 12"),
        ("burnout", JUNE, 99, "no run 99"),
        ("burnout", JUNE - 1, None, "was ever made at 2024-05"),
        ("nothing", JUNE, None, "No list of a risk 'nothing' was ever made.\nThere are lists of: burnout."),
    ],
)
def test_a_list_that_is_not_there_is_refused_with_what_is(store, risk, month, run, says):
    for version in range(RUNS_KEPT + 3):
        with transaction(store) as session:
            store_list(session, _list(version=str(version)))
    with transaction(store) as session, pytest.raises(Refusal) as refused:
        past_list(session, risk, month, run=run)
    assert says in refused.value.message()


def test_kept_versions_take_no_room_and_only_so_many_are_kept(home):
    name = keep_version(home)
    kept, stored = home / "var" / "replay" / name, home / "var" / "histories" / name
    assert (kept / "events.parquet").samefile(stored / "events.parquet")
    for number in range(VERSIONS_KEPT + 3):
        (kept.parent / f"u{number:06d}").mkdir()
    assert keep_version(home) == name
    assert len(list(kept.parent.iterdir())) == VERSIONS_KEPT
    assert lists.RUNS_KEPT == RUNS_KEPT
    assert month_end(AS_OF).isoformat() == "2021-10-31"

"""Scoring into the store and into files: the contract's columns, reasons that add up, what is refused."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from features.errors import Refusal
from features.months import month_text
from serving.access.roles import Role
from serving.access.sight import WHOLE, Sight
from serving.cli import main
from serving.commands import chosen_models
from serving.database import open_database, transaction
from serving.scored import queries
from serving.scored.scoring import check_month, score_into_store
from serving.tables import Batch, Score
from tests.serving_fixtures import last_month
from training.models.scoring import score_cohort
from training.registry.registry import Registry

COLUMNS = [
    "officer_id", "as_of", "risk", "probability", "low", "high", "rank", "model_version", "base_value", "reasons",
    "evidence",
]  # fmt: skip


def _run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_file_has_the_contracts_columns_and_its_reasons_add_up(own_home, given, tmp_path):
    month, out = month_text(last_month(given)), tmp_path / "scores.parquet"
    answer = _run("--home", own_home, "--json", "score", "--as-of", month, "--out", out)
    assert answer.exit_code == 0, answer.output
    table = pd.read_parquet(out)
    assert list(table.columns) == COLUMNS
    assert table["as_of"].dtype.kind == "M"
    assert set(table["as_of"].dt.strftime("%Y-%m-%d")) == {"2024-12-31"}
    assert set(table["risk"]) == {"burnout", "efficiency_decline"}
    for row in pq.read_table(out).to_pylist():
        margin = row["base_value"] + sum(reason["contribution"] for reason in row["reasons"])
        assert 1 / (1 + np.exp(-margin)) == pytest.approx(row["probability"], abs=1e-9)
        assert {"measure", "value", "usual", "peers", "window", "sentence_zh", "sentence_en"} <= set(row["reasons"][0])
    told = json.loads(answer.stdout)
    assert told["stored"] is True
    assert {each["risk"] for each in told["lists"]} == {"burnout", "efficiency_decline"}


def test_the_stored_list_equals_the_scored_cohort(made_home, given, engine):
    month = last_month(given)
    cohort = score_cohort(given, Registry(made_home).champion("burnout"), month)
    with transaction(engine) as session:
        batch = queries.batch_of(session, WHOLE, "burnout")
        rows = {row.officer_id: row for row in session.scalars(select(Score).where(Score.batch_id == batch.id))}
        assert len(rows) == len(cohort) == batch.cohort
        for place, officer in enumerate(cohort.officer_id):
            row = rows[str(officer)]
            assert (row.probability, row.low, row.high) == (
                cohort.probability[place], cohort.low[place], cohort.high[place],
            )  # fmt: skip
            assert (row.rank or 0) == cohort.rank[place]
            assert row.evidence == cohort.evidence[place]


def test_kept_words_are_the_strongest_reasons_of_the_whole(made_home, given, engine):
    month = last_month(given)
    cohort = score_cohort(given, Registry(made_home).champion("burnout"), month)
    place = int(cohort.order()[0])
    with transaction(engine) as session:
        (view, *_) = queries.person_risks(
            session, WHOLE, str(cohort.officer_id[place]), queries.batch_of(session, WHOLE, "burnout").as_of
        )
        assert view.batch.risk == "burnout"
        expected = [reason.sentence_zh for reason in cohort.reasons[place]][: len(view.reasons.strongest)]
        assert [reason["sentence_zh"] for reason in view.reasons.strongest] == expected
        assert view.margin == pytest.approx(float(cohort.margin[place]), abs=1e-9)


def test_scoring_twice_gives_the_same_list_once(own_home, given):
    database = open_database(own_home)
    models = chosen_models(Registry(own_home), given, risk=None)
    before = _snapshot(database)
    score_into_store(given, models, [last_month(given)], database, advance=lambda _: None)
    assert _snapshot(database) == before
    database.dispose()


def _snapshot(database):
    with transaction(database) as session:
        rows = session.execute(
            select(Batch.risk, Batch.as_of, Score.officer_id, Score.probability, Score.rank, Score.previous_rank)
            .join(Score, Score.batch_id == Batch.id)
            .order_by(Batch.risk, Batch.as_of, Score.rank)
        )
        return [tuple(row) for row in rows]


def test_a_version_scored_for_evaluation_goes_into_the_file_only(own_home, given, tmp_path):
    month, out = month_text(last_month(given) - 3), tmp_path / "latest.parquet"
    answer = _run("--home", own_home, "score", "--as-of", month, "--risk", "burnout", "--model", "latest", "--out", out)
    assert answer.exit_code == 0, answer.output
    assert len(pd.read_parquet(out)) > 50
    with transaction(open_database(own_home)) as session:
        assert session.scalar(select(func.count()).select_from(Batch)) == 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--as-of", "2024-12", "--model", "latest"], "--out"),
        (["--as-of", "2030-01"], "lies outside the store"),
        (["--as-of", "1999-01"], "lies outside the store"),
        (["--as-of", "2024-13"], "is not a month"),
        (["--as-of", "2024-12", "--risk", "boredom"], "has no risk 'boredom'"),
        (["--as-of", "2024-12", "--risk", "burnout", "--model", "99", "--out", "x.parquet"], "no version 99"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_words(made_home, arguments, says):
    answer = _run("--home", made_home, "score", *arguments)
    assert answer.exit_code == (2 if says in ("--out", "is not a month") else 1)
    assert says in answer.stderr
    assert "Traceback" not in answer.output


def test_scoring_without_histories_or_champion_names_the_next_command(tmp_path, own_home):
    answer = _run("--home", tmp_path, "score", "--as-of", "2024-12")
    assert (answer.exit_code, "jingxing ingest" in answer.stderr) == (1, True)
    (own_home / "mlruns").rename(own_home / "elsewhere")
    for arguments in (["--risk", "burnout"], []):
        answer = _run("--home", own_home, "score", "--as-of", "2024-12", *arguments)
        assert (answer.exit_code, "jingxing train" in answer.stderr) == (1, True)


def test_an_empty_cohort_is_refused(given):
    first = int(np.min(given.events.occurred)) // 31 + 1970 * 12
    nobody = given.officers_at(np.zeros(len(given.officers), dtype=bool))
    with pytest.raises(Refusal, match="holds no events"):
        check_month(nobody, first)


def test_explain_tells_the_same_as_the_list(made_home, given):
    month = last_month(given)
    cohort = score_cohort(given, Registry(made_home).champion("burnout"), month)
    officer = str(cohort.officer_id[cohort.order()[0]])
    arguments = ["explain", officer, "--as-of", month_text(month), "--risk", "burnout"]
    answer = _run("--home", made_home, "--json", *arguments)
    told = json.loads(answer.stdout)
    assert told["base_value"] + sum(r["contribution"] for r in told["reasons"]) == pytest.approx(told["margin"])
    assert told["rank"] == 1
    in_words = _run("--home", made_home, *arguments, "--lang", "zh")
    own = cohort.reasons[int(cohort.order()[0])]
    assert [reason.sentence_zh in in_words.stdout for reason in own] == [reason.stable for reason in own]
    assert "其他影响" in in_words.stdout
    nobody = _run("--home", made_home, "explain", "nobody", "--as-of", month_text(month), "--risk", "burnout")
    assert (nobody.exit_code, "not in the cohort" in nobody.stderr) == (1, True)


def test_nobody_on_the_list_has_no_mean_risk_there(made_home, engine):
    with transaction(engine, writes=False) as session:
        batch = queries.batch_of(session, WHOLE, "burnout")
        elsewhere = Sight(Role.COMMANDER, units=("no such unit",))
        assert queries.mean_within_capacity(session, elsewhere, batch) is None
        assert 0 < queries.mean_within_capacity(session, WHOLE, batch) < 1

"""The monthly run and its publication: drafts until published, then never changed; notices tell no person."""

import dataclasses
import email.policy
import hashlib
import hmac
import http.server
import json
import shutil
import socketserver
import threading
from contextlib import contextmanager

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError

from features.console import Console
from features.errors import Refusal
from features.months import month_end, month_text, parse_month
from serving.access.accounts import NewAccount, account_named, add_account
from serving.access.audit import SYSTEM, Actor, faults
from serving.access.roles import Role
from serving.access.tables import AuditRow
from serving.answers.problems import Kind, Problem
from serving.assessed.tables import AssessmentHead
from serving.cli import main
from serving.database import open_database, transaction
from serving.decisions.publishing import altered, beside, list_of, missing, publish, published_of
from serving.decisions.sealed import digest_of
from serving.decisions.tables import Delivery, Flag, Published
from serving.demo import newest_month
from serving.effects.tables import EffectRow
from serving.mentoring.tables import MentoringRound, Mentorship, Offer
from serving.models.monitored import HOLD, MonitoredMonth, store_month
from serving.months.month_commands import month as month_command
from serving.months.notices import SIGNATURE, deliveries_of, mark_seen, notice_settings, send_notices, unseen
from serving.months.replay import past_list, replay
from serving.months.steps import STEPS
from serving.rest.tables import RestPlan
from serving.scored.lists import (
    PersonFacts,
    Recommendation,
    ScoredList,
    ScoredPerson,
    store_facts,
    store_list,
    store_recommendations,
)
from serving.tables import Facts, MonitorRun, RecommendationRow, Score, SupersededList
from serving.words import CHINESE
from tests.serving_fixtures import last_month

JUNE = parse_month("2024-06")
LI = Actor("zhao-li", "wellness")


def scored(month=JUNE, *, people="abc", version="1", known="k1", risk="burnout"):
    persons = [
        ScoredPerson(name, "patrol", "U1", 0.5, 0.4, 0.6, rank, [0.1], []) for rank, name in enumerate(people, 1)
    ]
    return ScoredList(
        risk=risk, as_of=month, model_version=version, capacity=2, horizon_months=6, purpose="wellness",
        recorded_until=month_end(month), profile_digest="0" * 64, base_value=-2.0, groups=["night"],
        labels={"risk": {"zh": "倦怠风险", "en": "Burnout risk"}, "posts": {}, "measures": {}}, people=persons,
        known_digest=known,
    )  # fmt: skip


def written(store, *lists):
    with transaction(store) as session:
        return [store_list(session, each).id for each in lists]


def published(store, month=JUNE, risk="burnout"):
    with transaction(store) as session:
        return publish(session, LI, list_of(session, risk, month_end(month))).id


def ranks(store, month=JUNE):
    with transaction(store, writes=False) as session:
        batch = list_of(session, "burnout", month_end(month))
        rows = session.scalars(select(Score).where(Score.batch_id == batch.id).order_by(Score.rank))
        return [(row.officer_id, row.rank, row.previous_rank) for row in rows]


def test_a_published_list_is_not_touched_by_a_rescoring_which_is_kept_beside_it(store):
    written(store, scored())
    published(store)
    before = ranks(store)
    written(store, scored(people="cab", version="2"), scored(people="cab", version="2"))
    written(store, scored(people="bca", version="3"))
    assert ranks(store) == before
    with transaction(store) as session:
        batch = list_of(session, "burnout", month_end(JUNE))
        assert (batch.run, batch.model_version) == (1, "1")
        assert altered(session) == []
        newer = beside(session, batch)
        assert [(one.run, one.model_version, one.came, one.left) for one in newer] == [
            (3, "3", {"c"}, {"a"}), (2, "2", {"c"}, {"b"}),
        ]  # fmt: skip
        assert past_list(session, "burnout", JUNE).run == 1
        assert past_list(session, "burnout", JUNE, run=3).listed == {"b", "c"}


def test_what_a_published_list_offers_and_says_stays_too(store):
    words = {"zh": "调休", "en": "Leave"}
    offer = Recommendation("a", "leave", "rest", words, words, words, "commander", "wellness")
    written(store, scored())
    with transaction(store) as session:
        store_facts(session, JUNE, [PersonFacts("a", "patrol", "U1", 12)])
        store_recommendations(session, JUNE, [offer])
    published(store)
    with transaction(store) as session:
        store_facts(session, JUNE, [PersonFacts("a", "patrol", "U1", 99)])
        store_recommendations(session, JUNE, [dataclasses.replace(offer, action="talk")])
        assert [row.tenure_months for row in session.scalars(select(Facts))] == [12]
        assert [row.action for row in session.scalars(select(RecommendationRow))] == ["leave"]


def test_ranks_before_of_a_published_list_do_not_move_when_an_earlier_month_is_scored_later(store):
    written(store, scored(JUNE + 1))
    published(store, JUNE + 1)
    written(store, scored(JUNE, people="cba"))
    assert ranks(store, JUNE + 1) == [("a", 1, None), ("b", 2, None), ("c", 3, None)]


def test_the_database_itself_refuses_to_change_a_published_list(store):
    written(store, scored(), scored(JUNE + 1))
    published(store)
    for change in (
        "UPDATE scores SET probability = 0.1", "DELETE FROM scores", "DELETE FROM reasons",
        "UPDATE batches SET capacity = 9", "DELETE FROM batches",
    ):  # fmt: skip
        with pytest.raises(IntegrityError), transaction(store) as session:
            session.execute(text(f"{change} WHERE {'id' if 'batches' in change else 'batch_id'} = 1"))
    with transaction(store) as session:
        later = list_of(session, "burnout", month_end(JUNE + 1))
        session.execute(update(Score).where(Score.batch_id == later.id).values(probability=0.3))
        assert altered(session) == []


def test_a_list_changed_behind_the_guards_is_found(store):
    written(store, scored())
    published(store)
    with store.begin() as connection:
        if store.dialect.name == "sqlite":
            connection.exec_driver_sql("DROP TRIGGER published_scores_update")
        else:
            connection.exec_driver_sql("ALTER TABLE scores DISABLE TRIGGER published_scores")
        connection.exec_driver_sql("UPDATE scores SET probability = 0.49 WHERE officer_id = 'b'")
    with transaction(store) as session:
        assert [row.risk for row in altered(session)] == ["burnout"]


@pytest.mark.parametrize("change", [
    "DELETE FROM published", "UPDATE published SET digest = 'x'", "UPDATE published SET batch_id = 2",
    "INSERT INTO reasons SELECT 1, officer_id || 'x', contributions, strongest, history FROM reasons",
    "UPDATE scores SET batch_id = 1, officer_id = 'z' WHERE batch_id = 2 AND officer_id = 'a'",
])  # fmt: skip
def test_the_database_itself_keeps_a_publication_and_takes_nothing_into_a_published_list(store, change):
    written(store, scored(), scored(JUNE + 1))
    published(store)
    with pytest.raises(IntegrityError, match="never change"), transaction(store) as session:
        session.execute(text(change))


def test_a_published_row_is_not_replaced_by_an_insert_of_the_embedded_database(tmp_path):
    engine = open_database(tmp_path)
    written(engine, scored())
    published(engine)
    for table in ("scores", "published", "batches"):
        with pytest.raises(IntegrityError, match="never change"), transaction(engine) as session:
            session.execute(text(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}"))
    engine.dispose()


def test_a_publication_taken_away_behind_the_guards_is_missed_by_the_log(store, store_url, made_home):
    written(store, scored())
    published(store)
    with store.begin() as connection:
        if store.dialect.name == "sqlite":
            connection.exec_driver_sql("DROP TRIGGER published_published_delete")
        else:
            connection.exec_driver_sql("ALTER TABLE published DISABLE TRIGGER USER")
        connection.exec_driver_sql("DELETE FROM published")
    with transaction(store, writes=False) as session:
        assert altered(session) == []
        assert missing(session) == [("burnout", str(month_end(JUNE)))]
    told = CliRunner().invoke(main, ["--home", str(made_home), "verify", "--db", store_url])
    assert told.exit_code == 1
    assert "the list of burnout, 2024-06, that the log says was published" in told.output


def test_a_list_is_published_once_and_the_second_is_told_by_whom(store):
    written(store, scored())
    published(store)
    with pytest.raises(Problem) as problem, transaction(store) as session:
        publish(session, Actor("wu", "wellness"), list_of(session, "burnout", month_end(JUNE)))
    assert problem.value.kind is Kind.DECIDED_MEANWHILE
    assert "zhao-li" in problem.value.detail
    with transaction(store) as session:
        assert session.scalar(select(func.count()).select_from(Published)) == 1
        rows = session.scalars(select(AuditRow).where(AuditRow.action == "list published")).all()
        assert [(row.actor, row.details["run"]) for row in rows] == [("zhao-li", 1)]
        assert faults(session) == []


def test_the_digest_tells_the_least_change(store):
    written(store, scored(), scored(JUNE + 1), scored(JUNE + 2, people="acb"))
    with transaction(store) as session:
        digests = [digest_of(session, list_of(session, "burnout", month_end(JUNE + i))) for i in range(3)]
    assert len(set(digests)) == 3
    assert {len(digest) for digest in digests} == {64}


def test_what_the_monitor_holds_back_is_published_with_a_written_reason_only(store):
    written(store, scored())
    words = {"zh": "暂不发布", "en": "Hold"}
    with transaction(store) as session:
        store_month(session, MonitoredMonth(JUNE, "", HOLD, words, [], {}))
    with pytest.raises(Problem, match="hold"):
        published(store)
    with transaction(store) as session:
        batch = list_of(session, "burnout", month_end(JUNE))
        publish(session, LI, batch, despite="the source was checked by hand")
        row = session.scalars(select(AuditRow).where(AuditRow.action == "list published")).one()
        assert row.details["despite"] == "the source was checked by hand"


class Mailbox(socketserver.ThreadingTCPServer):
    """A mail server of a few lines: it takes whatever comes and keeps it."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        self.letters = []
        super().__init__(("127.0.0.1", 0), MailTalk)


class MailTalk(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                letter = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    letter += part
                self.server.letters.append(letter)
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")


class Called(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append((dict(self.headers), body))
        self.send_response(self.server.answers)
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def running(server):
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def mailbox():
    with running(Mailbox()) as server:
        yield server


@pytest.fixture
def hook():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Called)
    server.calls, server.answers = [], 200
    with running(server):
        yield server


def configured(home, *, mailbox=None, hook=None, address="https://jingxing.bureau"):
    lines = [f'address = "{address}"']
    if mailbox:
        lines += ["[smtp]", 'host = "127.0.0.1"', f"port = {mailbox.server_address[1]}", 'security = "none"',
                  'sender = "jingxing@bureau.cn"', 'to = ["wellness@bureau.cn"]']  # fmt: skip
    if hook:
        lines += ["[webhook]", f'url = "http://127.0.0.1:{hook.server_address[1]}/out"']
    (home / "var").mkdir(exist_ok=True)
    (home / "var" / "notices.toml").write_text("\n".join(lines), encoding="utf-8")


def test_a_notice_goes_out_by_mail_and_webhook_and_holds_no_person(store, tmp_path, mailbox, hook, monkeypatch):
    written(store, scored(people=["P-0007", "P-0008", "P-0009"]))
    number = published(store)
    configured(tmp_path, mailbox=mailbox, hook=hook)
    monkeypatch.setenv("JINGXING_WEBHOOK_SECRET", "a secret of the bureau")
    assert send_notices(store, tmp_path, number) == {"smtp": "sent", "webhook": "sent"}
    letter, (headers, body) = mailbox.letters[0], hook.calls[0]
    expected = "sha256=" + hmac.new(b"a secret of the bureau", body, hashlib.sha256).hexdigest()
    assert headers[SIGNATURE] == expected
    told = json.loads(body)
    assert told["event"] == "list_published"
    assert (told["risk"], told["as_of"]) == ("burnout", "2024-06-30")
    assert told["address"] == "https://jingxing.bureau/lists/burnout?as_of=2024-06"
    mail = email.message_from_bytes(letter, policy=email.policy.default)
    said = f"{mail['Subject']} {mail.get_content()} {body.decode()}"
    assert "倦怠风险名单已发布" in said
    assert [word for word in ("P-0007", "P-0008", "U1", "patrol", "0.5", "50%", "zhao-li") if word in said] == []
    assert send_notices(store, tmp_path, number) == {}
    assert len(mailbox.letters) == len(hook.calls) == 1


def test_a_failed_notice_leaves_the_list_published_and_can_be_sent_again(store, tmp_path, hook):
    written(store, scored())
    number = published(store)
    configured(tmp_path, hook=hook)
    hook.answers = 500
    assert send_notices(store, tmp_path, number) == {"webhook": "failed"}
    with transaction(store) as session:
        assert [(row.state, row.told) for row in deliveries_of(session, number)] == [("failed", "HTTPStatusError")]
        assert published_of(session, "burnout", month_end(JUNE)) is not None
    hook.answers = 204
    assert send_notices(store, tmp_path, number) == {"webhook": "sent"}
    with transaction(store) as session:
        assert [row.state for row in session.scalars(select(Delivery))] == ["sent"]
        assert session.scalars(select(AuditRow.action).where(AuditRow.action.startswith("notice"))).all() == [
            "notice failed", "notice sent",
        ]  # fmt: skip


def test_a_mail_server_that_is_not_there_is_a_failed_notice_not_an_error(store, tmp_path):
    written(store, scored())
    number = published(store)
    with running(Mailbox()) as gone:
        configured(tmp_path, mailbox=gone)
    assert send_notices(store, tmp_path, number) == {"smtp": "failed"}


def test_a_channel_for_another_purpose_is_not_told(store, tmp_path, hook):
    written(store, scored())
    number = published(store)
    configured(tmp_path, hook=hook)
    path = tmp_path / "var" / "notices.toml"
    path.write_text(path.read_text() + '\npurposes = ["development"]\n')
    assert send_notices(store, tmp_path, number) == {}
    assert hook.calls == []


@pytest.mark.parametrize(
    ("content", "told"),
    [("[smtp]\nhost='h'", "smtp.sender"), ("[webhook]\nurl='ftp://h'", "webhook.url"), ("[mail]\n", "mail"),
     ("nothing", "can't be read")],
)  # fmt: skip
def test_mistakes_in_the_notices_file_are_named(tmp_path, content, told):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "notices.toml").write_text(content)
    with pytest.raises(Refusal) as refusal:
        notice_settings(tmp_path)
    assert told in refusal.value.message()


def test_the_page_says_that_a_list_is_out_until_the_account_has_seen_it(store):
    written(store, scored(), scored(JUNE + 1))
    old, new = published(store), published(store, JUNE + 1)
    with transaction(store) as session:
        add_account(session, SYSTEM, NewAccount("wu", Role.WELLNESS))
        me = account_named(session, "wu").id
        assert [row.id for row, _ in unseen(session, me, ("wellness",))] == [new]
        assert unseen(session, me, ("development",)) == []
        mark_seen(session, me, new)
        mark_seen(session, me, new)
        session.flush()
        assert unseen(session, me, ("wellness",)) == []
        assert old != new


def ran(home, *words):
    done = CliRunner().invoke(month_command, ["--home", str(home), "--json", *words])
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def month_home(made_home, tmp_path_factory):
    """A copy of the served home whose newest month is run and published by the command."""
    return shutil.copytree(made_home, tmp_path_factory.mktemp("month") / "home")


def test_the_month_in_one_drafts_then_published_lists_that_replay_to_the_bit(month_home, given):
    newest = last_month(given)
    name = month_text(newest)
    code, output = ran(month_home, name)
    assert code == 0, output
    told = json.loads(output)
    assert {one["state"] for one in told["lists"]} == {"draft"}
    code, output = ran(month_home, name, "--publish", "--by", "wu", "--despite", "the demo shows the way")
    assert code == 0, output
    told = json.loads(output)
    assert {one["state"] for one in told["lists"]} == {"published"}
    assert told["published"] == sorted(one["risk"] for one in told["lists"])
    code, output = ran(month_home, name, "--publish")
    assert code == 0, output
    assert json.loads(output)["published"] == []
    database = open_database(month_home)
    with transaction(database) as session:
        assert altered(session) == []
        assert faults(session) == []
        out = session.scalars(select(Published)).all()
        assert {row.by for row in out} == {"wu"}
        assert session.scalar(select(func.count()).select_from(SupersededList)) == 0
        assert session.scalar(select(func.count()).select_from(Flag)) > 0
        past = past_list(session, "burnout", newest)
    assert replay(month_home, past).equal
    database.dispose()


def test_the_month_tells_effects_first_so_that_offers_and_rest_hold_what_help_brings():
    names = [step.name for step in STEPS]
    assert names == ["effects", "lists", "assessment", "offers", "monitor", "match", "rest"]
    assert {step.name for step in STEPS if not step.must} == {"effects", "match", "rest"}


def kept(home):
    """Of everything that people act on: the ids, and how many rows the log has."""
    database = open_database(home)
    with transaction(database, writes=False) as session:
        found = {table.__tablename__: session.scalars(select(table.id).order_by(table.id)).all()
                 for table in (EffectRow, MentoringRound, Mentorship, Offer, RestPlan)}  # fmt: skip
        found["log"] = session.scalar(select(func.count()).select_from(AuditRow))
    database.dispose()
    return found


def test_the_month_fills_every_page_and_run_again_changes_nothing_that_people_have_before_them(month_home, given):
    name = month_text(last_month(given))
    assert ran(month_home, name)[0] == 0
    first = kept(month_home)
    assert all(first.values()), first
    code, output = ran(month_home, name)
    assert code == 0, output
    steps = {step["name"]: step["told"]["en"] for step in json.loads(output)["steps"]}
    assert kept(month_home) == {**first, "log": first["log"] + 4}  # tracked, scored, assessed, monitored again
    assert "told before stand" in steps["effects"]
    assert "proposed before, unchanged" in steps["match"]
    assert "stands unchanged" in steps["rest"]
    assert steps["offers"] == "0 new, 0 renewed, 0 lapsed"


def test_an_earlier_month_run_later_leaves_the_proposals_of_the_newest_alone(month_home, given):
    assert ran(month_home, month_text(last_month(given)))[0] == 0
    first = kept(month_home)
    code, output = ran(month_home, month_text(last_month(given) - 1), "--without", "effects")
    assert code == 0, output
    told = json.loads(output)["steps"]
    assert "effects" not in {step["name"] for step in told}
    assert all("of a later month" in step["told"]["en"] for step in told if step["name"] in ("match", "rest"))
    after = kept(month_home)
    assert [after[name] == first[name] for name in ("mentoring_rounds", "mentorships", "rest_plans")] == [True] * 3


def test_a_step_that_the_histories_do_not_allow_is_told_and_does_not_fail_the_month(own_home, given):
    code, output = ran(own_home, month_text(last_month(given) - 15))
    assert code == 0, output
    told = json.loads(output)
    effects = next(step for step in told["steps"] if step["name"] == "effects")
    assert not effects["had"]
    assert "whole horizon after it" in effects["told"]["en"]
    assert len(told["lists"]) == 2


def test_the_lines_of_a_month_are_in_one_language(own_home, given):
    done = CliRunner().invoke(
        month_command,
        ["--home", str(own_home), month_text(last_month(given)), "--lang", "zh", *["--without", "effects"]],
    )
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stdout.splitlines() if " s]" in line]
    assert len(lines) == 6
    assert all(CHINESE.search(line) for line in lines)


def test_the_demo_leaves_a_draft_a_published_month_and_something_on_every_page(own_home, given):
    done = newest_month(Console(own_home, json=True), given, language="en")
    database = open_database(own_home)
    with transaction(database, writes=False) as session:
        before, newest = month_end(done.as_of - 1), month_end(done.as_of)
        assert {row.as_of for row in session.scalars(select(Published))} == {before}
        assert published_of(session, "burnout", newest) is None
        assert session.scalars(select(EffectRow.action).distinct()).all() == ["compensatory_leave"]
        assert {row.figures["every"] for row in session.scalars(select(EffectRow))} == {2}  # the page says so
        for table in (MentoringRound, Offer, RestPlan, MonitorRun, AssessmentHead):
            assert session.scalars(select(table.as_of).distinct()).all() == [newest], table
        named = {row.action: row.actor for row in session.scalars(select(AuditRow))}
        assert named["list published"] == named["rest plan made"] == named["mentorships proposed"] == "jingxing demo"
        assert faults(session) == []
    database.dispose()


def test_a_month_outside_the_store_is_refused_before_anything_is_written(made_home):
    code, output = ran(made_home, "1999-01")
    assert code == 1
    assert "lies outside the store" in output

"""The door through the web: sign-in, first password, sign-out, foreign forms, accounts and tokens, first start."""

import asyncio
import json
import logging
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from sqlalchemy import select

from features.console import Console
from serving.access import accounts, signing_in
from serving.access.audit import SYSTEM
from serving.access.caller import COOKIE
from serving.access.first import MARK, first_accounts
from serving.access.roles import Role
from serving.access.tables import Account, AuditRow, SignedIn
from serving.answers.headers import AtHome
from serving.answers.logs import JsonLines
from serving.app import create_app
from serving.cli import main
from serving.database import open_database, transaction
from serving.pages.door import local
from serving.running import tell_first
from serving.settings import Settings
from tests.serving_fixtures import HERE, sign_in, signed_in_client

PASSWORD = "a longer one of mine"
PAGE = {"accept": "text/html"}


@pytest.fixture
def home(tmp_path):
    engine = open_database(tmp_path)
    yield engine, create_app(tmp_path, engine)
    engine.dispose()


def browser(app, **options):
    return TestClient(app, base_url="http://localhost", follow_redirects=False, client=HERE, headers=PAGE, **options)


def added(engine, name="zhang", role=Role.ADMIN, **scope):
    with transaction(engine) as session:
        return accounts.add_account(session, SYSTEM, accounts.NewAccount(name, role, **scope))


def csrf_of(page):
    return re.search(r'name="csrf" value="(\w+)"', page.text)[1]


def entered(app, password, name="zhang", **options):
    calls = browser(app, **options)
    return calls, calls.post("/sign-in", data={"name": name, "password": password, "next": "/accounts"})


def changed(calls, old, new=PASSWORD):
    form = {"csrf": csrf_of(calls.get("/password")), "old": old, "new": new, "again": new}
    return calls.post("/password", data=form)


def written(engine, action):
    with transaction(engine, writes=False) as session:
        return list(session.scalars(select(AuditRow).where(AuditRow.action == action)))


def test_who_is_not_signed_in_is_led_to_the_sign_in_and_a_program_gets_a_problem(home):
    _, app = home
    calls = browser(app)
    led = calls.get("/accounts?lang=en")
    assert (led.status_code, led.headers["location"]) == (303, "/sign-in?next=%2Faccounts%3Flang%3Den")
    told = calls.get("/api/v1/risk-lists/burnout")
    assert (told.status_code, told.headers["content-type"]) == (401, "application/problem+json")
    assert told.headers["www-authenticate"] == "Bearer"
    assert calls.get("/").headers["location"] == "/sign-in"


def test_the_first_password_must_be_changed_before_anything_else(home):
    engine, app = home
    first = added(engine)
    calls, answer = entered(app, first)
    assert (answer.status_code, answer.headers["location"]) == (303, "/password")
    assert calls.get("/accounts").headers["location"] == "/password"
    assert calls.get("/accounts", headers={"accept": "application/json"}).status_code == 403
    assert calls.get("/").headers["location"] == "/password"
    assert changed(calls, first).headers["location"] == "/"
    assert calls.get("/accounts").status_code == 200
    assert calls.get("/").headers["location"].startswith("/")


def test_a_wrong_password_is_not_told_from_a_wrong_name_and_both_are_written(home):
    engine, app = home
    added(engine)
    pages = [entered(app, "wrong wrong wrong", name)[1] for name in ("zhang", "nobody")]
    assert [page.status_code for page in pages] == [401, 401]
    assert pages[0].text.replace("zhang", "") == pages[1].text.replace("nobody", "")
    assert [row.actor for row in written(engine, "sign-in failed")] == ["zhang", "unknown"]


def test_too_many_failures_make_even_the_right_password_wait(home):
    engine, app = home
    first = added(engine)
    for _ in range(5):
        entered(app, "wrong wrong wrong")
    answer = entered(app, first)[1]
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


def test_too_many_guesses_at_the_present_password_make_the_right_one_wait(home):
    engine, app = home
    first = added(engine)
    calls, _ = entered(app, first)
    assert [changed(calls, "wrong wrong wrong").status_code for _ in range(5)] == [422] * 5
    answer = changed(calls, first)
    assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (429, True)
    assert "请稍后再试" in answer.text
    assert len(written(engine, "sign-in failed")) == 5


def test_the_cookie_is_out_of_reach_of_scripts_other_sites_and_the_store(home):
    engine, app = home
    first = added(engine)
    calls, answer = entered(app, first)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie  # by http on the own machine
    with transaction(engine) as session:
        assert calls.cookies[COOKIE] not in [row.digest for row in session.scalars(select(SignedIn))]
    over_tls = TestClient(app, base_url="https://localhost", follow_redirects=False, client=HERE)
    sent = over_tls.post("/sign-in", data={"name": "zhang", "password": first})
    assert "Secure" in sent.headers["set-cookie"]
    assert "max-age" in sent.headers["strict-transport-security"]


def test_a_sign_in_takes_a_new_secret_each_time_and_sign_out_ends_it(home):
    engine, app = home
    first = added(engine)
    calls, _ = entered(app, first)
    changed(calls, first)
    secret = calls.cookies[COOKIE]
    assert entered(app, PASSWORD)[0].cookies[COOKIE] != secret
    calls.post("/sign-out", data={"csrf": csrf_of(calls.get("/accounts"))})
    calls.cookies.set(COOKIE, secret)
    assert calls.get("/accounts").headers["location"].startswith("/sign-in")


def test_a_new_password_ends_every_other_sign_in(home):
    engine, app = home
    first = added(engine)
    here, there = entered(app, first)[0], entered(app, first)[0]
    changed(here, first)
    assert here.get("/accounts").status_code == 200
    assert there.get("/accounts").headers["location"].startswith("/sign-in")


@pytest.mark.parametrize(
    "sent",
    [{"csrf": ""}, {"csrf": "0" * 64}, {}],
    ids=["empty", "wrong", "none"],
)
def test_a_form_without_the_browsers_own_secret_changes_nothing(home, sent):
    engine, app = home
    calls = signed_in_client(app, engine, "admin")
    del calls.headers["x-csrf-token"]
    answer = calls.post("/accounts", data={"name": "li", "role": "hr", **sent})
    assert answer.status_code == 403
    with transaction(engine) as session:
        assert session.scalar(select(Account).where(Account.name == "li")) is None


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"origin": "http://evil.example"}])
def test_what_another_site_sends_is_refused_also_at_the_sign_in(home, headers):
    engine, app = home
    first = added(engine)
    assert browser(app).post("/sign-in", data={"name": "zhang", "password": first}, headers=headers).status_code == 403
    calls = signed_in_client(app, engine, "admin")
    assert calls.post("/accounts", data={"name": "li", "role": "hr"}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil", "javascript:alert(1)", "x", "/a\nb"],
)
def test_after_the_sign_in_nobody_is_led_to_another_site(wanted):
    assert local(wanted) == "/"
    assert local("/lists/burnout?unit=A") == "/lists/burnout?unit=A"


def test_the_administrator_adds_closes_and_resets_and_sees_each_secret_once(home):
    engine, app = home
    calls = signed_in_client(app, engine, "admin")
    page = calls.post("/accounts", data={"name": "wang", "role": "commander", "units": "U1\n U2 \n"})
    secret = re.search(r'class="secret">([^<]+)<', page.text)[1]
    assert secret not in calls.get("/accounts").text
    _, answer = entered(app, secret, "wang")
    assert answer.headers["location"] == "/password"
    with transaction(engine) as session:
        wang = accounts.account_named(session, "wang")
        assert (wang.role, wang.units) == ("commander", ["U1", "U2"])
    again = calls.post(f"/accounts/{wang.id}/password")
    assert re.search(r'class="secret">([^<]+)<', again.text)[1] != secret
    assert entered(app, secret, "wang")[1].status_code == 401
    assert calls.post(f"/accounts/{wang.id}/close").status_code == 200
    assert [row.subject for row in written(engine, "account disabled")] == ["wang"]
    assert calls.post("/accounts/999/close").status_code == 404


@pytest.mark.parametrize(
    "form", [{"name": "", "role": "hr"}, {"name": "x", "role": "commander"}, {"name": "the admin", "role": "hr"}]
)
def test_an_account_that_is_none_is_refused_on_the_page(home, form):
    engine, app = home
    calls = signed_in_client(app, engine, "admin")
    assert calls.post("/accounts", data=form).status_code == 422


def test_an_administrator_does_not_lock_the_own_door(home):
    engine, app = home
    calls = signed_in_client(app, engine, "admin")
    with transaction(engine) as session:
        own = accounts.account_named(session, "the admin").id
    assert calls.post(f"/accounts/{own}/close").status_code == 422
    assert calls.get("/accounts").status_code == 200


def test_a_token_made_on_the_page_opens_what_it_was_made_for_until_it_is_revoked(home):
    engine, app = home
    calls = signed_in_client(app, engine, "admin")
    added(engine, "robot", Role.WELLNESS)
    with transaction(engine) as session:
        robot = accounts.account_named(session, "robot").id
    form = {"label": "export", "days": "30", "permission": ["see_monitor"]}
    page = calls.post(f"/accounts/{robot}/tokens", data=form)
    token = re.search(r'class="secret">([^<]+)<', page.text)[1]
    assert "export" in calls.get("/accounts").text
    assert token not in calls.get("/accounts").text
    program = TestClient(app, base_url="http://localhost", client=HERE, headers={"authorization": f"Bearer {token}"})
    assert program.get("/monitor").status_code == 200
    refused = program.get("/api/v1/risk-lists/burnout")
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:jingxing:problem:forbidden")
    calls.post("/accounts/tokens/1/revoke")
    assert program.get("/monitor").status_code == 401


def test_the_first_start_makes_an_administrator_and_tells_the_password_once(tmp_path, capsys):
    engine = open_database(tmp_path)
    (only,) = tell_first(Console(home=tmp_path, json=False), tmp_path, engine)
    assert only.role is Role.ADMIN
    assert capsys.readouterr().out.count(only.password) == 1
    assert first_accounts(tmp_path, engine) == []
    assert signing_in.sign_in(engine, "admin", only.password, address="x").account.must_change
    engine.dispose()


def test_two_homes_share_no_password_and_no_secret(tmp_path):
    found = []
    for name in ("one", "other"):
        engine = open_database(tmp_path / name)
        found.append((first_accounts(tmp_path / name, engine)[0].password, create_app(tmp_path, engine).state.salt))
        assert create_app(tmp_path, engine).state.salt == found[-1][1]
        engine.dispose()
    assert not set(found[0]) & set(found[1])
    assert all(len(secret) >= 23 for pair in found for secret in pair)


def test_a_demo_gets_one_account_of_each_role(own_home):
    (own_home / "var" / MARK).write_text("{}")
    engine = open_database(own_home)
    made = first_accounts(own_home, engine)
    assert {one.role for one in made} == set(Role)
    scopes = {one.role: one.scope for one in made if one.scope}
    assert set(scopes) == {Role.COMMANDER, Role.OFFICER}
    officer = signed_in_client(create_app(own_home, engine), engine, "commander", units=(scopes[Role.COMMANDER],))
    assert officer.get(f"/officers/{scopes[Role.OFFICER]}").status_code == 200
    engine.dispose()


@pytest.mark.parametrize("words", [["user", "list"], ["backup", "{home}/../all.tar"]])
def test_a_mistyped_home_is_refused_and_stays_away(tmp_path, words):
    home = tmp_path / "typo"
    done = CliRunner().invoke(main, ["--home", str(home), *(word.format(home=home) for word in words)])
    assert done.exit_code == 1
    assert "nothing of Jingxing" in done.stderr
    assert not home.exists()
    assert not (tmp_path / "all.tar").exists()


def test_an_account_is_bound_to_what_the_roster_knows(own_home, given):
    def added(name, *scope):
        return CliRunner().invoke(main, ["--home", str(own_home), "user", "add", name, *scope])

    for name, scope in {
        "a": ("--role", "commander", "--unit", "没有"),
        "b": ("--role", "officer", "--officer", "P9"),
    }.items():
        refused = added(name, *scope)
        assert (refused.exit_code, scope[-1] in refused.stderr) == (1, True)
    assert added("c", "--role", "commander", "--unit", given.units[0]).exit_code == 0
    assert added("d", "--role", "officer", "--officer", str(given.officers[0])).exit_code == 0


def test_the_command_adds_lists_closes_and_gives_tokens(tmp_path):
    def ran(*words):
        done = CliRunner().invoke(main, ["--home", str(tmp_path), "--json", "user", *words])
        return done.exit_code, json.loads(done.stdout) if done.exit_code == 0 else done.stderr

    code, added_one = ran("add", "li", "--role", "commander", "--unit", "U1")
    assert (code, added_one["role"]) == (0, "commander")
    assert ran("add", "li", "--role", "hr")[0] == 1
    assert ran("add", "wu", "--role", "officer")[0] == 1
    _, token = ran("token", "li", "--permission", "see_person", "--days", "7")
    assert token["token"].startswith("jx_")
    assert ran("token", "li", "--permission", "manage_accounts")[0] == 1
    (one,) = ran("list")[1]["accounts"]
    assert (one["name"], one["units"], len(one["tokens"])) == ("li", ["U1"], 1)
    assert ran("revoke", "1")[0] == 0
    assert ran("password", "li")[1]["first_password"] != added_one["first_password"]
    assert ran("disable", "li")[0] == 0
    assert ran("list")[1]["accounts"][0]["disabled"]


def test_probes_answer_this_machine_and_others_only_where_it_was_started_so(tmp_path):
    engine = open_database(tmp_path)
    for settings, expected in ((Settings(), 403), (Settings(open_probes=True), 200)):
        app = create_app(tmp_path, engine, settings)
        far = TestClient(app, base_url="http://localhost", client=("10.0.0.7", 1))
        near = TestClient(app, base_url="http://localhost", client=HERE)
        for path in ("/healthz", "/metrics"):
            assert near.get(path).status_code == 200
            assert far.get(path).status_code == expected
            assert near.get(path, headers={"x-forwarded-for": "10.0.0.7"}).status_code == expected
    engine.dispose()


def test_a_large_body_of_a_stranger_is_refused_unread(home):
    engine, app = home
    much = b"x" * 300_000
    for headers in ({}, {"cookie": f"{COOKIE}=made-up"}, {"authorization": "Bearer jx_made-up"}):
        assert browser(app).post("/sign-in", content=much, headers=headers).status_code == 401
    known = signed_in_client(app, engine, "admin")
    assert known.post("/accounts", data={"name": "x" * 300_000, "role": "hr"}).status_code == 422


@pytest.mark.parametrize(("role", "status"), [("hr", 403), ("auditor", 403), ("", 401), ("admin", 0)])
def test_a_large_export_is_read_only_from_who_may_send_it(home, role, status):
    """The permission is asked before the body; nobody else's is read at all."""
    engine, app = home
    cookie = f"{COOKIE}={sign_in(engine, role)}" if role else ""
    headers = {"host": "localhost", "cookie": cookie, "content-length": str(2**30),
               "content-type": "multipart/form-data; boundary=b"}  # fmt: skip
    told, scope = [], {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/arrivals", "raw_path": b"/arrivals",
        "query_string": b"", "scheme": "http", "server": ("localhost", 80), "client": HERE,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    read = []

    async def receive():
        read.append(True)
        return {"type": "http.disconnect"}

    async def send(message):
        told.append(message.get("status"))

    asyncio.run(app(scope, receive, send))
    assert bool(read) is (role == "admin")
    assert status in (0, told[0])
    assert len(written(engine, "refused")) == (status == 403)


def test_only_trusted_host_names_are_answered(tmp_path):
    engine = open_database(tmp_path)
    calls = browser(create_app(tmp_path, engine, Settings(trusted_hosts=("Jingxing.bureau",))))
    assert calls.get("/notice", headers={"host": "jingxing.bureau:8443"}).status_code == 200
    assert calls.get("/notice", headers={"host": "other.bureau"}).status_code == 421
    assert AtHome(None).hosts == {"localhost", "127.0.0.1", "::1"}
    engine.dispose()


def test_a_request_leaves_one_line_without_its_address(client, caplog):
    person = client.get("/api/v1/risk-lists/burnout?limit=1").json()["entries"][0]
    with caplog.at_level(logging.INFO, logger="serving"):
        client.get(f"/officers/{person['officer_id']}?unit={person['unit']}")
    (line,) = [record for record in caplog.records if record.name == "serving.answers.headers"]
    assert line.told["route"] == "/officers/{officer_id}"
    assert (line.told["status"], line.told["role"]) == (200, "wellness")
    text = JsonLines().format(line)
    assert json.loads(text)["event"] == "answered"
    assert person["officer_id"] not in text
    assert person["unit"] not in text


def test_no_planted_name_reaches_a_line_of_the_log():
    formatter, name = JsonLines(), "甲乙丙丁"
    others = logging.LogRecord("sqlalchemy.pool", logging.ERROR, "", 1, "lost %s", (name,), None)
    assert name not in formatter.format(others)
    try:
        raise ValueError(name)
    except ValueError:
        failed = logging.LogRecord("serving.x", logging.ERROR, "", 1, "failed", (), sys.exc_info())
    line = json.loads(formatter.format(failed))
    assert (line["error"], name in json.dumps(line, ensure_ascii=False)) == ("ValueError", False)
    assert line["frames"]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_sign_in_speaks_both_languages(home, language):
    _, app = home
    calls = browser(app)
    page = calls.get(f"/sign-in?lang={language}")
    assert ("登录" if language == "zh" else "Sign in") in page.text
    assert ("en" if language == "en" else "zh-CN") in page.text


def test_nothing_of_the_source_holds_a_default_password():
    named = r"(password|secret|salt) *= *[\"'][^\"'/ ]{6,}"
    shown = subprocess.run(
        ["git", "grep", "-nIiE", named, "--", "serving", "training", "features"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert shown.stdout == ""

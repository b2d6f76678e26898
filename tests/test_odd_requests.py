"""What no reader of ours would send: answered by a refusal, never by a fault of ours, on both databases."""

import base64

import pytest
from annotated_types import Le
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from serving.access.caller import COOKIE
from serving.app import create_app
from serving.sessions import LARGEST_NUMBER
from tests.serving_fixtures import HERE, signed_in_client

HTML = {"accept": "text/html"}
HUGE = "9" * 30
FORM = {"name": "zhang", "password": "a password that is long"}
HALF = "\\ud800"
"""Half a character, as JSON and as Python's own codings write it."""
NO_ADDRESSES = ["//[", "http://[x", "/\\[", "//℀/", "/\t/["]


@pytest.fixture(scope="module")
def quiet(made_home, engine):
    """A client of a role to which a fault of ours is an answer (500), as it is to a browser."""
    app = create_app(made_home, engine)
    return lambda role: signed_in_client(app, engine, role, quiet=True)


@pytest.fixture(scope="module")
def anybody(made_home, engine):
    app = create_app(made_home, engine)
    return TestClient(app, base_url="http://localhost", follow_redirects=False, client=HERE,
                      raise_server_exceptions=False)  # fmt: skip


@pytest.fixture
def empty(made_home, store):
    """A service over an empty store, on both databases."""
    return create_app(made_home, store)


def addresses(app, odd, kind=object):
    """Every address of a GET with what is odd in the place of each parameter (of a kind), one at a time."""
    for context in iter_route_contexts(app.routes):
        if "GET" not in (context.original_route.methods or ()):
            continue
        told, path = context.dependant, context.path.replace(":path", "")
        plain = {each.name: "burnout" if each.name == "risk" else "1" for each in told.path_params}
        yield from (path.format(**{**plain, each.name: odd}) for each in told.path_params if _is(each, kind))
        yield from (f"{path.format(**plain)}?{each.alias}={odd}" for each in _queries(told) if _is(each, kind))


def _queries(told):
    yield from told.query_params
    for each in told.dependencies:
        yield from _queries(each)


def _is(parameter, kind):
    return kind is object or parameter.field_info.annotation in (kind, kind | None)


def test_nul_in_an_address_is_refused_by_every_page_and_call_on_both_databases(empty, store):
    asked = list(addresses(empty, "%00"))
    assert len(asked) > 150
    with signed_in_client(empty, store, "wellness", quiet=True) as calls:
        assert [address for address in asked if calls.get(address).status_code != 422] == []


def test_no_page_or_call_fails_on_a_number_that_no_table_holds(empty, store):
    asked = [address for odd in (HUGE, "-1", str(2**40)) for address in addresses(empty, odd, int)]
    assert len(asked) > 30
    for role in ("wellness", "hr", "officer", "auditor"):
        with signed_in_client(empty, store, role, quiet=True) as calls:
            assert [address for address in asked if calls.get(address, headers=HTML).status_code == 500] == []


def test_every_whole_number_that_a_route_takes_has_a_largest(empty):
    without = []
    for context in iter_route_contexts(empty.routes):
        told = context.dependant
        for each in (*told.path_params, *told.query_params, *told.body_params):
            bounds = [rule.le for rule in each.field_info.metadata if isinstance(rule, Le)]
            if each.field_info.annotation in (int, int | None) and not bounds:
                without.append(f"{context.path} {each.name}")
    assert without == []


@pytest.mark.parametrize("rank", [HUGE, "-1", f"-{HUGE}", str(2**31)])
def test_a_cursor_that_we_never_gave_is_refused(quiet, rank):
    calls = quiet("wellness")
    given = calls.get("/api/v1/risk-lists/burnout?limit=2").json()["next_cursor"]
    told = base64.urlsafe_b64decode(given + "==").decode().split(".")
    made = base64.urlsafe_b64encode(".".join([*told[:-1], rank]).encode()).decode().rstrip("=")
    assert calls.get(f"/api/v1/risk-lists/burnout?cursor={made}").status_code == 422


@pytest.mark.parametrize("odd", NO_ADDRESSES)
def test_what_is_no_address_leads_nobody_anywhere(quiet, anybody, odd):
    """As the place to go on to, as the page that a form stood on, as the origin and as the referer."""
    assert anybody.get("/sign-in", params={"next": odd}).status_code == 200
    assert anybody.post("/sign-in", data={**FORM, "next": odd}, headers=HTML).status_code in (401, 429)
    wellness = quiet("wellness")
    wrong = {"flag_id": "1", "version": "x", "decision": "act", "page": odd, "back": odd}
    assert wellness.post("/flags/decision", data=wrong, headers=HTML).status_code == 422
    if odd.isascii() and odd.isprintable():
        assert wellness.post("/flags/decision", data=wrong, headers={**HTML, "referer": odd}).status_code == 422
        assert anybody.post("/sign-in", data=FORM, headers={**HTML, "origin": odd}).status_code == 403
    assert wellness.post("http://localhost//%5B/x", data=wrong, headers=HTML).status_code in (404, 405)


@pytest.mark.parametrize("origin", ["null", "", "http://localhost.evil.example", "http://["])
def test_a_sign_in_from_an_origin_that_is_not_ours_is_refused_also_where_the_browser_says_no_more(anybody, origin):
    assert anybody.post("/sign-in", data=FORM, headers={"origin": origin}).status_code == 403
    ours = anybody.post("/sign-in", data=FORM, headers={"origin": "http://localhost"})
    assert ours.status_code in (401, 429)


@pytest.mark.parametrize("coding", ["unicode_escape", "raw_unicode_escape", "utf-7", "utf-16", "punycode"])
@pytest.mark.parametrize("field", ["csrf", "name", "reason"])
def test_a_form_in_another_coding_is_refused_before_it_is_read(quiet, anybody, coding, field):
    part = f'--X\r\ncontent-disposition: form-data; name="{field}"\r\n\r\nlong enough to be shown {HALF}\r\n--X--\r\n'
    headers = {**HTML, "content-type": f"multipart/form-data; boundary=X; charset={coding}"}
    wellness = quiet("wellness")
    wellness.headers.pop("x-csrf-token")
    assert wellness.cookies[COOKIE]
    for calls, path in ((wellness, "/flags/decision"), (anybody, "/sign-in")):
        assert calls.post(path, content=part.encode(), headers=headers).status_code == 400
        good = {**headers, "content-type": 'multipart/form-data; boundary=X; charset="UTF-8"'}
        assert calls.post(path, content=part.encode(), headers=good).status_code in (403, 422)


@pytest.mark.parametrize(
    ("role", "path", "sent", "status"),
    [
        ("wellness", "/officers/P000001/what-if", f'{{"less": {{"{HALF}": 1}}}}', 422),
        ("wellness", "/officers/P000001/what-if", f'{{"{HALF}": 1}}', 422),
        ("wellness", "/rest-plans", f'{{"as_of": "2024-12", "places": {{"{HALF}": 1}}}}', 422),
        ("wellness", "/reviews", f'{{"flag_id": 1, "version": 0, "decision": "dismiss", "reason": "{HALF}"}}', 422),
        (
            "data_scientist",
            "/predictions",
            f'{{"as_of": "{HALF}", "roster": [], "events": []}}',
            400,
        ),  # its parser takes it for no JSON
        ("officer", "/objections", f'{{"against": "{HALF}", "told": "abcde{HALF}"}}', 422),
    ],
)
def test_half_a_character_in_json_is_refused_in_json(quiet, role, path, sent, status):
    headers = {"content-type": "application/json"}
    answer = quiet(role).post(f"/api/v1{path}", content=sent.encode(), headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["problems"]


PICTURES = {
    "wellness": ["/officers/{officer}/risk.svg?risk=burnout", "/officers/{officer}/history.svg?risk=burnout",
                 "/officers/{officer}/timeline.svg"],
    "officer": ["/my-record/risk.svg?risk=burnout"],
    "admin": ["/arrivals/picture.svg"],
}  # fmt: skip


@pytest.mark.parametrize("role", PICTURES)
def test_no_picture_stays_in_a_browser_for_whoever_signs_in_after(quiet, role):
    calls = quiet(role)
    officer = quiet("wellness").get("/api/v1/risk-lists/burnout?limit=1").json()["entries"][0]["officer_id"]
    for picture in PICTURES[role]:
        answer = calls.get(picture.format(officer=officer))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml"), picture
        assert answer.headers["cache-control"] == "no-store"


def test_nothing_but_files_without_persons_may_be_kept_without_asking_again(empty):
    """Whatever sets the header for an answer of a route: only the static files do."""
    kept = {
        part.__name__
        for context in iter_route_contexts(empty.routes)
        for part in [context.original_route.endpoint]
        if "max-age" in "".join(str(each) for each in part.__code__.co_consts)
    }
    assert kept == {"static"}
    assert LARGEST_NUMBER == 2**31 - 1

"""Sign-in at an OpenID Connect provider: a real one on this machine, honest or not."""

import base64
import threading
import time
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import uvicorn
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from serving.access import accounts
from serving.access.audit import SYSTEM
from serving.access.caller import COOKIE
from serving.access.roles import Role
from serving.access.tables import ProviderAttempt
from serving.app import create_app
from serving.database import open_database, transaction
from serving.running import bind
from serving.settings import Provider, Settings
from tests.serving_fixtures import HERE

CLIENT, SECRET = "jingxing", "a secret of the test's provider"


class Bureau:
    """A provider that signs with one key; ``lies`` changes what its ID token claims."""

    def __init__(self):
        self.key, self.codes, self.lies, self.wrong_key = RSAKey.generate_key(2048, {"kid": "one"}), {}, {}, False
        self.user = "zhang"
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.addresses),
                Route("/jwks", self.keys),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
            ]
        )

    async def addresses(self, request: Request):
        return JSONResponse(
            {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/jwks",
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
            }
        )

    async def keys(self, request: Request):
        return JSONResponse(KeySet([self.key]).as_dict(private=False))

    async def authorize(self, request: Request):
        asked = request.query_params
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        self.codes[code] = dict(asked)
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    async def token(self, request: Request):
        given = await request.form()
        asked = self.codes.pop(str(given.get("code")), None)
        basic = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET.replace(' ', '+')}".encode()).decode()
        plain = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        proven = asked and create_s256_code_challenge(str(given["code_verifier"])) == asked["code_challenge"]
        if not proven or request.headers.get("authorization") not in (basic, plain):
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 300, "nonce": asked["nonce"],
                  "preferred_username": self.user, "role": "admin", **self.lies}  # fmt: skip
        key = RSAKey.generate_key(2048, {"kid": "one"}) if self.wrong_key else self.key
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "id_token": signed})


@pytest.fixture(scope="module")
def bureau():
    provider, bound = Bureau(), bind("127.0.0.1", 0)
    provider.issuer = f"http://127.0.0.1:{bound.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(provider.app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    yield provider
    server.should_exit = True
    thread.join()


@pytest.fixture
def door(bureau, tmp_path):
    bureau.lies, bureau.wrong_key, bureau.user = {}, False, "zhang"
    engine = open_database(tmp_path)
    with transaction(engine) as session:
        accounts.add_account(session, SYSTEM, accounts.NewAccount("zhang", Role.AUDITOR))
    app = create_app(tmp_path, engine, Settings(provider=Provider(bureau.issuer, CLIENT, SECRET)))
    yield engine, app
    engine.dispose()


def calls_of(app):
    return TestClient(app, base_url="http://localhost", follow_redirects=False, client=HERE)


def there(calls, wanted="/monitor"):
    """Go to the provider and return the address to which it sends the browser back."""
    gone = calls.get(f"/sign-in/provider?next={wanted}")
    assert gone.status_code == 303
    provider = urlsplit(gone.headers["location"])
    with TestClient(app=Elsewhere.app, base_url=f"{provider.scheme}://{provider.netloc}") as browser:
        sent = browser.get(f"{provider.path}?{provider.query}", follow_redirects=False)
    back = urlsplit(sent.headers["location"])
    return f"{back.path}?{back.query}"


class Elsewhere:
    """The provider as the browser sees it."""

    app = None


@pytest.fixture(autouse=True)
def _browser_reaches_the_provider(bureau):
    Elsewhere.app = bureau.app


def test_who_the_provider_vouches_for_is_signed_in_with_the_role_of_the_account(door):
    engine, app = door
    calls = calls_of(app)
    assert "/sign-in/provider" in calls.get("/sign-in").text
    answer = calls.get(there(calls))
    assert (answer.status_code, answer.headers["location"]) == (303, "/monitor")
    assert calls.get("/monitor").status_code == 200
    assert calls.get("/accounts").status_code == 403  # the provider's claim of a role gives none
    with transaction(engine) as session:
        account = accounts.account_named(session, "zhang")
        assert (account.must_change, account.password, account.role) == (False, None, "auditor")
        assert session.query(ProviderAttempt).count() == 0


def test_no_account_is_made_for_who_has_none(door, bureau):
    engine, app = door
    bureau.user = "stranger"
    calls = calls_of(app)
    answer = calls.get(there(calls))
    assert answer.status_code == 403
    assert COOKIE not in calls.cookies
    with transaction(engine) as session:
        assert accounts.how_many(session) == 1


def test_a_closed_account_stays_closed(door):
    engine, app = door
    with transaction(engine) as session:
        accounts.disable(session, SYSTEM, "zhang")
    calls = calls_of(app)
    assert calls.get(there(calls)).status_code == 403


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "another"},
        {"aud": "another"},
        {"iss": "http://another"},
        {"exp": 1_000_000},
        {"preferred_username": ""},
        {"preferred_username": ["zhang"]},
    ],
    ids=lambda lie: next(iter(lie)) + str(next(iter(lie.values()))),
)
def test_a_token_that_was_not_made_for_this_sign_in_is_refused(door, bureau, lie):
    _, app = door
    bureau.lies = lie
    calls = calls_of(app)
    assert calls.get(there(calls)).status_code == 403
    assert COOKIE not in calls.cookies


def test_a_token_signed_by_somebody_else_is_refused(door, bureau):
    _, app = door
    bureau.wrong_key = True
    calls = calls_of(app)
    assert calls.get(there(calls)).status_code == 403


def test_the_answer_counts_once_for_the_browser_that_asked(door):
    _, app = door
    mine, other = calls_of(app), calls_of(app)
    back = there(mine)
    assert other.get(back).status_code == 403
    assert mine.get(back).status_code == 303
    assert mine.get(back).status_code == 403
    assert mine.get("/sign-in/provider/back?state=made-up&code=x").status_code == 403


def test_a_code_without_the_verifier_is_worth_nothing(door, bureau):
    _, app = door
    calls = calls_of(app)
    back = there(calls)
    code = parse_qs(urlsplit(back).query)["code"][0]
    bureau.codes[code]["code_challenge"] = "another"
    assert calls.get(back).status_code == 502


def test_a_provider_that_is_away_is_told_and_passwords_still_work(tmp_path):
    engine = open_database(tmp_path)
    away = Provider("http://127.0.0.1:9", CLIENT, SECRET)
    calls = calls_of(create_app(tmp_path, engine, Settings(provider=away)))
    assert calls.get("/sign-in/provider").status_code == 502
    assert calls.get("/sign-in").status_code == 200
    engine.dispose()


def test_without_a_provider_there_is_no_such_door(tmp_path):
    engine = open_database(tmp_path)
    calls = calls_of(create_app(tmp_path, engine))
    assert calls.get("/sign-in/provider").status_code == 404
    assert "/sign-in/provider" not in calls.get("/sign-in").text
    engine.dispose()

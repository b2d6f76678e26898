"""Sign-in at the bureau's own OpenID Connect provider: authorization code with PKCE, state, nonce, signed ID token.

OpenID Connect Core 1.0 section 3.1; RFC 7636. The provider says who it is; what they may do is the account's.
"""

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass
from threading import Lock
from typing import Any

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import delete
from sqlalchemy.orm import Session

from serving.access.tables import ProviderAttempt
from serving.answers.problems import Kind, Problem
from serving.settings import Provider

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
GOOD_FOR = dt.timedelta(minutes=10)
LEEWAY = 60
SECONDS = 10.0
AWAY = "The provider doesn't answer as it should. 统一认证服务未正常应答。"
NOT_OURS = "This sign-in was not begun here, or too long ago: begin again. 登录请求无效或已过期，请重新登录。"


@dataclass(frozen=True)
class Begun:
    """Where the browser goes, and the secret of the cookie that it must come back with."""

    address: str
    browser: str


class OwnProvider:
    """The provider's discovered addresses and keys, asked for once and again when a key is unknown."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._lock = Lock()
        self._found: dict[str, Any] = {}
        self._keys: KeySet | None = None

    def begin(self, session: Session, back: str, wanted: str) -> Begun:
        """Keep an attempt and return where to send the browser; ``back`` is our address that it returns to."""
        state, nonce, verifier, browser = (secrets.token_urlsafe(32) for _ in range(4))
        now = dt.datetime.now(dt.UTC)
        session.execute(delete(ProviderAttempt).where(ProviderAttempt.at < now - GOOD_FOR))
        session.add(
            ProviderAttempt(
                state=_digest(state), browser=_digest(browser), nonce=nonce, verifier=verifier, wanted=wanted, at=now
            )
        )
        begins_at = self._addresses()["authorization_endpoint"]
        with self._client(back) as client:
            address, _ = client.create_authorization_url(begins_at, state=state, nonce=nonce, code_verifier=verifier)
        return Begun(address, browser)

    def finish(self, session: Session, *, back: str, state: str, code: str, browser: str) -> tuple[str, str]:
        """Return the name that the provider vouches for, and the page that was wanted; a Problem where it does not."""
        attempt = session.get(ProviderAttempt, _digest(state))
        if (
            attempt is None
            or attempt.browser != _digest(browser)
            or _aware(attempt.at) + GOOD_FOR < dt.datetime.now(dt.UTC)
        ):
            raise Problem(Kind.FOREIGN_FORM, NOT_OURS)
        session.delete(attempt)
        claims = self._claims(self._id_token(back, code, attempt.verifier), attempt.nonce)
        name = claims.get(self.provider.claim)
        if not isinstance(name, str) or not name:
            raise Problem(Kind.FORBIDDEN, f"The provider tells no '{self.provider.claim}'. 统一认证未提供账号名。")
        return name, attempt.wanted

    def _id_token(self, back: str, code: str, verifier: str) -> str:
        address = self._addresses()["token_endpoint"]
        try:
            with self._client(back) as client:
                told = client.fetch_token(address, code=code, code_verifier=verifier, grant_type="authorization_code")
        except (AuthlibBaseError, httpx.HTTPError, ValueError):
            raise Problem(Kind.AWAY, AWAY) from None
        token = told.get("id_token")
        if not isinstance(token, str):
            raise Problem(Kind.AWAY, AWAY)
        return token

    def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token that the provider signed for us, for this attempt, and that is not over."""
        checks = jwt.JWTClaimsRegistry(
            leeway=LEEWAY,
            iss={"essential": True, "value": self.provider.issuer},
            aud={"essential": True, "value": self.provider.client_id},
            nonce={"essential": True, "value": nonce},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
        )
        for anew in (False, True):
            try:
                found = jwt.decode(token, self._key_set(anew=anew), algorithms=list(ALGORITHMS))
                checks.validate(found.claims)
            except (JoseError, ValueError):
                continue
            return dict(found.claims)
        raise Problem(Kind.FORBIDDEN, "The provider's answer is not signed as it should be. 统一认证的签名无效。")

    def _client(self, back: str) -> OAuth2Client:
        return OAuth2Client(
            self.provider.client_id,
            self.provider.client_secret,
            scope="openid profile",
            redirect_uri=back,
            code_challenge_method="S256",
            timeout=SECONDS,
        )

    def _addresses(self) -> dict[str, Any]:
        with self._lock:
            if not self._found:
                found = self._asked(f"{self.provider.issuer}/.well-known/openid-configuration")
                if found.get("issuer") != self.provider.issuer:
                    raise Problem(Kind.AWAY, AWAY)
                self._found = found
            return self._found

    def _key_set(self, *, anew: bool) -> KeySet:
        address = self._addresses()["jwks_uri"]
        with self._lock:
            if self._keys is None or anew:
                self._keys = KeySet.import_key_set(self._asked(address))  # type: ignore[arg-type]
            return self._keys

    def _asked(self, address: str) -> dict[str, Any]:
        try:
            answer = httpx.get(address, timeout=SECONDS).raise_for_status().json()
        except (httpx.HTTPError, ValueError):
            raise Problem(Kind.AWAY, AWAY) from None
        return dict(answer)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _aware(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)

"""Passwords: Argon2 hashes, what a good one is, and the check that takes as long for who does not exist."""

import functools
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from features.errors import Refusal

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 200
LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
"""No letter that is mistaken for another one when a first password is copied by hand."""

_hasher = PasswordHasher()


class WrongPassword(Refusal):
    """The present password was not given rightly."""


def hashed(password: str) -> str:
    """Return the Argon2id hash of a password; it takes tens of milliseconds, on purpose."""
    return _hasher.hash(password)


def right(kept: str | None, password: str) -> bool:
    """Return whether a password fits a hash; without a hash none does, and that takes as long."""
    try:
        matches = _hasher.verify(kept or _nobody(), password[: LONGEST_PASSWORD * 4])
    except (VerificationError, InvalidHashError):
        return False
    return matches and kept is not None


def outdated(kept: str) -> bool:
    """Return whether a hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(kept)


def check_new(new: str, *, old: str, name: str) -> None:
    """Refuse a new password that is too short or long, the old one, or holds the account's name."""
    if not SHORTEST_PASSWORD <= len(new) <= LONGEST_PASSWORD:
        raise Refusal(
            f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters. "
            f"密码须为 {SHORTEST_PASSWORD} 至 {LONGEST_PASSWORD} 个字符。"
        )
    if new == old or name.lower() in new.lower():
        raise Refusal("Choose one that is new and does not hold the account's name. 新密码不得与旧密码相同或含账号名。")


def first_password() -> str:
    """Return a password of twenty letters in groups of five (about 100 bits)."""
    groups = ("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(4))
    return "-".join(groups)


@functools.cache
def _nobody() -> str:
    """A hash that no password fits."""
    return _hasher.hash(secrets.token_urlsafe(16))

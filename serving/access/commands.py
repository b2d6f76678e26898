"""The command of this folder: user."""

from typing import Any

import click
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from features.console import Console, check_home, command
from features.errors import WrongUsage
from serving.access import accounts, credentials
from serving.access.audit import Actor
from serving.access.roles import PERMISSIONS_OF, Permission, Role
from serving.access.rostered import check_rostered
from serving.access.tables import Account, Token
from serving.database import open_database, transaction

BY = Actor("command line", "admin")
ACTIONS = ("add", "list", "disable", "password", "token", "revoke")


@click.argument("action", type=click.Choice(ACTIONS))
@click.argument("name", required=False)
@click.option("--role", type=click.Choice([role.value for role in Role]), default=None, help="add: what it may do.")
@click.option("--unit", "units", multiple=True, help="add: a commander's unit; more than once for more.")
@click.option("--officer", default=None, metavar="OFFICER_ID", help="add: whose own record it is.")
@click.option("--label", default="", help="token: what it is for.")
@click.option("--days", type=int, default=90, show_default=True, help="token: how long it is good.")
@click.option(
    "--permission",
    "permissions",
    multiple=True,
    type=click.Choice([each.value for each in Permission]),
    help="token: only this; more than once for more.",
)
@click.option(
    "--db", envvar="JINGXING_DB", default=None, metavar="URL", help="The store (default: SQLite in HOME/var)."
)
def _user(console: Console, *, action: str, name: str | None, db: str | None, **given: Any) -> dict[str, Any]:
    """Add, list and close accounts; give new passwords and tokens (a token's number is NAME for revoke).

    A first password and a token are printed once and kept as hashes only.
    """
    if action == "list":
        if name:
            raise WrongUsage("jingxing user list takes no name: it lists all accounts.")
        check_home(console.home)
        return _listed(console, open_database(console.home, db))
    if not name:
        raise WrongUsage(f"Whom? jingxing user {action} NAME")
    if action == "add":
        check_rostered(console.home, given["units"], given["officer"])
    with transaction(open_database(console.home, db)) as session:
        done = _DOES[action](session, name, given)
    for key, value in done.items():
        console.say(f"{key.replace('_', ' ')}: {value}")
    return done


user = command("user")(_user)


def _add(session: Session, name: str, given: dict[str, Any]) -> dict[str, Any]:
    if given["role"] is None:
        raise WrongUsage("Which role?", hint=f"--role with one of: {', '.join(Role)}")
    new = accounts.NewAccount(name, Role(given["role"]), tuple(given["units"]), given["officer"])
    return {"account": name, "role": new.role.value, "first_password": accounts.add_account(session, BY, new)}


def _disable(session: Session, name: str, _given: dict[str, Any]) -> dict[str, Any]:
    accounts.disable(session, BY, name)
    return {"closed": name}


def _password(session: Session, name: str, _given: dict[str, Any]) -> dict[str, Any]:
    return {"account": name, "first_password": accounts.reset_password(session, BY, name)}


def _token(session: Session, name: str, given: dict[str, Any]) -> dict[str, Any]:
    wanted = [Permission(each) for each in given["permissions"]]
    secret = credentials.add_token(session, BY, name, label=given["label"], days=given["days"], permissions=wanted)
    return {"account": name, "token": secret, "days": given["days"]}


def _revoke(session: Session, name: str, _given: dict[str, Any]) -> dict[str, Any]:
    if not name.isdecimal():
        raise WrongUsage("Give the token's number.", hint="See: jingxing user list")
    credentials.revoke(session, BY, int(name))
    return {"revoked": int(name)}


_DOES = {"add": _add, "disable": _disable, "password": _password, "token": _token, "revoke": _revoke}


def _listed(console: Console, engine: Engine) -> dict[str, Any]:
    with transaction(engine, writes=False) as session:
        tokens: dict[int, list[Token]] = {}
        for token in session.scalars(select(Token).order_by(Token.id)):
            tokens.setdefault(token.account_id, []).append(token)
        found = [_told(account, tokens.get(account.id, [])) for account in accounts.accounts(session)]
    for one in found:
        scope = ", ".join(one["units"]) or one["officer_id"] or ""
        closed = "  (closed)" if one["disabled"] else ""
        console.say(f"{one['name']:24} {one['role']:15} {scope}{closed}")
        for token in one["tokens"]:
            console.say(f"    token {token['id']}: {token['label'] or '–'}, until {token['until']}")
    if not found:
        console.say("No account yet: jingxing user add NAME --role admin")
    return {"accounts": found}


def _told(account: Account, tokens: list[Token]) -> dict[str, Any]:
    return {
        "name": account.name,
        "role": account.role,
        "units": account.units,
        "officer_id": account.officer_id,
        "disabled": account.disabled_at is not None,
        "permissions": sorted(PERMISSIONS_OF[Role(account.role)]),
        "tokens": [_token_told(token) for token in tokens],
    }


def _token_told(token: Token) -> dict[str, Any]:
    revoked = token.revoked_at is not None
    return {"id": token.id, "label": token.label, "until": str(token.ends_at.date()), "revoked": revoked}

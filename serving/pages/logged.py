"""A row of the log in words: what it was about, its details as name and value, looks of one page told once.

The rows themselves stay as they were written; they stand under each line.
"""

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving import words
from serving.access.looking import LOOKED
from serving.access.roles import Role
from serving.access.tables import AuditRow
from serving.access.trail import details_shown
from serving.pages.codes import DONE

Named = Callable[[str], str]
"""Says a key of the profile (a risk, a measure, an action) in the reader's language."""
KINDS = ("unit", "flag", "request", "officer", "officers", "objection", "feedback", "offer", "model", "mentorship",
         "mentoring round", "rest plan")  # fmt: skip
PICTURE = re.compile(r"/\w+\.svg$")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
OF_THE_PROFILE = frozenset({"risk", "risks", "measure", "action", "kind", "versions", "less"})


@dataclass(frozen=True)
class Line:
    """One line of the log: a row, or the looks of one account at one page of one person within a minute."""

    rows: Sequence[AuditRow]
    at: str
    actor: str
    role: str
    did: str
    subject: str
    details: Sequence[tuple[str, str]]
    withheld: Sequence[str]

    @property
    def numbers(self) -> str:
        """Return the numbers of the rows: 7, or 7–10, or 7, 9."""
        found = sorted(row.number for row in self.rows)
        if len(found) > 1 and found[-1] - found[0] == len(found) - 1:
            return f"{found[0]}–{found[-1]}"
        return ", ".join(map(str, found))

    @property
    def written(self) -> Sequence[tuple[int, str]]:
        """Return each row's number and what it holds as it was written, withheld details left out."""
        return [(row.number, _raw(row)) for row in self.rows]


def lines(rows: Sequence[AuditRow], language: str, named: Named) -> list[Line]:
    """Return the lines of some rows in their order; looks of one page are one line, where the newest of them stands."""
    together: dict[object, list[AuditRow]] = {}
    for row in rows:
        together.setdefault(_same_look(row) or row.number, []).append(row)
    return [_line(each, language, named) for each in together.values()]


def _same_look(row: AuditRow) -> tuple[str, ...] | None:
    """What looks have in common that are one to a reader: account, person, page without its pictures, minute."""
    if row.action != LOOKED:
        return None
    return row.actor, row.role, row.subject, _page(str(row.details.get("at", ""))), row.at[:16]


def _line(rows: Sequence[AuditRow], language: str, named: Named) -> Line:
    row = rows[-1]
    shown, withheld = details_shown(row)
    return Line(
        rows=rows,
        at=row.at[:19].replace("T", " "),
        actor=row.actor,
        role=_role(row.role, language),
        did=_did(row, language),
        subject=subject(row.subject, language, named),
        details=[(detail(name, language), _value(name, value, language, named))
                 for name, value in shown.items() if value not in (None, "", [], {})],
        withheld=[detail(name, language) for name in withheld],
    )  # fmt: skip


def _did(row: AuditRow, language: str) -> str:
    if row.action == LOOKED:
        return words.say("did_looked_unit" if kind_of(row.subject) == "unit" else "did_looked_officer", language)
    return words.say(DONE[row.action], language) if row.action in DONE else row.action


def detail(name: str, language: str) -> str:
    """Return what a detail is called; its own name where it is none of ours."""
    return _said(f"detail_{name}", language, name)


def subject(text: str, language: str, named: Named) -> str:
    """Return what a row is about: "flag 12" in words, a risk by its label, anything else as it is."""
    kind = kind_of(text)
    if kind:
        which = text.removeprefix(f"{kind} ")
        key = f"log_of_{kind.replace(' ', '_')}"
        return words.say("log_subject_of", language, kind=words.say(key, language), id=named(which))
    return named(text)


def kind_of(text: str) -> str:
    """Return what kind of thing a row is about; empty where its subject is a person or a key alone."""
    return next((kind for kind in KINDS if text.startswith(f"{kind} ")), "")


def _value(name: str, value: Any, language: str, named: Named) -> str:
    if isinstance(value, bool):
        return words.say("detail_is_yes" if value else "detail_is_no", language)
    if isinstance(value, Mapping):
        told = [f"{named(str(key))} {_value('', each, language, named)}" for key, each in value.items()]
        return words.joined(told, language)
    if isinstance(value, list):
        return words.joined([_value(name, each, language, named) for each in value], language)
    if isinstance(value, int | float):
        return words.number(value) if name != "seed" else str(value)
    return _text(name, str(value), language, named)


def _text(name: str, text: str, language: str, named: Named) -> str:
    if name == "at":
        return _place(text, language)
    if name == "role":
        return _role(text, language)
    if DAY.fullmatch(text):
        return words.day_name(dt.date.fromisoformat(text), language)
    return named(text) if name in OF_THE_PROFILE else _said(f"detail_is_{text}", language, text)


def _place(route: str, language: str) -> str:
    """The page that was looked at, by its route; the route itself where it is none of ours."""
    page = _page(route)
    last = page.rsplit("/", 1)[-1]
    place = next((name for name in ("objections", "units", "flags") if f"/{name}" in page), None)
    key = f"log_at_{place or ('person' if last.startswith('{') else last)}"
    told = _said(key, language, page)
    return words.say("log_at_api", language, page=told) if page.startswith("/api/") else told


def _page(route: str) -> str:
    """A picture's page: /officers/{officer_id} of its risk.svg, and that of cockpit.svg is the cockpit."""
    return route.removesuffix(".svg") if route.endswith("/cockpit.svg") else PICTURE.sub("", route)


def _role(role: str, language: str) -> str:
    return words.say(f"role_{role.replace(' ', '_')}", language) if role in {*Role, "system", "command line"} else role


def _said(key: str, language: str, otherwise: str) -> str:
    return words.say(key, language) if key in words.WORDS else otherwise


def _raw(row: AuditRow) -> str:
    shown, _ = details_shown(row)
    return json.dumps({"action": row.action, "subject": row.subject, "details": shown}, ensure_ascii=False)

"""Screenshots of every page in both languages at both widths: ``python -m tests.screenshots [--home DIR] [--out DIR]``.

The pages are those of the service itself, so that none can be forgotten; what stands in braces in an address is filled
with what the home holds. Without ``--home`` the demo's home is made, and the first stories are lived in it.
"""

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from playwright.sync_api import Browser
from rich.console import Console
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from serving.access import credentials
from serving.access.caller import COOKIE, Needs
from serving.access.roles import PERMISSIONS_OF, Permission, Role
from serving.access.secrets import salt_of
from serving.access.sight import Sight
from serving.access.tables import Account
from serving.app import create_app
from serving.assessed.tables import AssessedPerson, AssessmentHead
from serving.database import transaction
from serving.decisions.tables import Objection
from serving.effects.tables import EffectRow
from serving.rest.tables import RestPlan
from serving.tables import Batch, Score
from tests.browsing import WIDTHS, Served, chromium, service
from tests.serving_fixtures import sign_in
from tests.stories import hr, lived, officer, wellness
from tests.story_home import RISK, demo_home, furnished

LANGUAGES = ("zh", "en")
NOT_PAGES = {
    "/": "leads to the first page of the role",
    "/lists": "leads to the newest list",
    "/healthz": "for programs",
    "/readyz": "for programs",
    "/metrics": "for programs",
    "/openapi.json": "for programs",
    "/static/{name}": "style and script",
    "/sign-in/provider": "leads to the bureau's provider",
    "/sign-in/provider/back": "comes from the bureau's provider",
    "/lists/{risk}/export.{form}": "a file",
    "/models/{risk}/{version}/card": "a file",
}
"""What answers a GET outside the API and is no page, and why; so are pictures (.svg)."""
ROLES = (Role.WELLNESS, Role.OFFICER, Role.HR, Role.ADMIN, Role.DATA_SCIENTIST, Role.AUDITOR, Role.COMMANDER)
"""Who is shown a page: the first of these who may see it ..."""
RATHER = {"/stars": Role.HR, "/mentorships": Role.HR, "/offers": Role.HR, "/sign-in": None}
"""... but for these; None: somebody who is not signed in."""
ASKED = {"/my-record/records": "?measure=night_shift"}
"""What an address must ask for."""
ERROR = "/officers/nobody"
"""What an error looks like."""
MORE = (
    ("/cockpit?unit={unit}", Role.HR),
    ("/lists/efficiency_decline", Role.COMMANDER),
    ("/officers/{officer_id}", Role.DATA_SCIENTIST),
    (ERROR, Role.WELLNESS),
)
"""Pages that look another way to another role, or asked otherwise."""


@dataclass(frozen=True)
class Shot:
    """A page to photograph: its address with braces, and the role that is shown it."""

    path: str
    role: Role | None

    @property
    def name(self) -> str:
        """The beginning of the file's name."""
        return "-".join(
            [*re.findall(r"\w+", self.path), *([self.role.value] if (self.path, self.role) in MORE else [])]
        )


def main(words: list[str]) -> int:
    """Make the screenshots and tell where they lie; 1 where a page had to be left out."""
    parser = argparse.ArgumentParser(description="Screenshots of every page, in both languages at both widths.")
    parser.add_argument("--home", type=Path, help="photograph a copy of this home as it is")
    parser.add_argument("--out", type=Path, default=Path("screenshots"))
    asked, console = parser.parse_args(words), Console()
    with tempfile.TemporaryDirectory(prefix="jingxing-screenshots-") as folder, chromium() as browser:
        home = Path(folder) / "home"
        if asked.home:
            shutil.copytree(asked.home, home)
        else:
            make_lived_in(home, browser, console)
        made, left = photograph_all(home, browser, asked.out)
    for shot in left:
        console.print(f"Left out: {shot.path}: the home holds nothing to show there.")
    console.print(f"{made} screenshots in {asked.out.resolve()}")
    return 1 if left else 0


def make_lived_in(home: Path, browser: Browser, console: Console) -> None:
    """Make the demo's home and let an officer, the wellness officer and HR do their work in it."""
    console.print("The demo's home is made ...")
    demo_home(home)
    passwords = furnished(home)
    with service(home) as served:
        for story in (officer, wellness, hr):
            console.print(f"The story of {story.__name__} ...")
            lived(browser, served, passwords, story, language="zh", width=WIDTHS["wide"])


def photograph_all(home: Path, browser: Browser, out: Path) -> tuple[int, list[Shot]]:
    """Photograph every page; return how many pictures were made, and the pages for which the home holds nothing."""
    made, left = 0, []
    out.mkdir(parents=True, exist_ok=True)
    with service(home) as served:
        for shot in shots(create_app(home, served.engine)):
            address = filled(served.engine, shot)
            pictures = photograph(browser, served, address, shot=shot, out=out) if address else 0
            made += pictures
            left += [] if pictures else [shot]
    return made, left


def shots(app: FastAPI) -> list[Shot]:
    """Return every page of the service, found from its routes, with the role that is shown it."""
    return [
        *(Shot(path, RATHER[path] if path in RATHER else first_of(needed)) for path, needed in pages(app).items()),
        *(Shot(path, role) for path, role in MORE),
    ]


def pages(app: FastAPI) -> dict[str, Permission]:
    """Return the address of every page of the service, and the permission that it needs."""
    found = {}
    for context in iter_route_contexts(app.routes):
        path = str(context.path)
        other = path.startswith("/api/") or path.endswith(".svg") or path in NOT_PAGES
        if "GET" in context.original_route.methods and not other:
            needed = [each.call for each in context.dependant.dependencies if isinstance(each.call, Needs)]
            found[path] = needed[0].permission
    return found


def first_of(needed: Permission) -> Role:
    """Return the first role that has a permission."""
    return next(role for role in ROLES if needed in PERMISSIONS_OF[role])


def filled(engine: Engine, shot: Shot) -> str | None:
    """Return the address of a page of something that there is; None where there is none."""
    found = {}
    with transaction(engine, writes=False) as session:
        for name in re.findall(r"{(\w+)", shot.path):
            found[name] = EXAMPLES[name](session, shot)
    if None in found.values():
        return None
    path = re.sub(r"{(\w+)(:path)?}", lambda blank: quote(str(found[blank[1]]), safe=""), shot.path)
    return path + ASKED.get(shot.path, "")


def photograph(browser: Browser, served: Served, address: str, *, shot: Shot, out: Path) -> int:
    """Make four pictures of a page, with JavaScript as most have it; return how many: none where there is no page."""
    cookies = [{"name": COOKIE, "value": signed_in(served.engine, shot.role), "url": served}] if shot.role else []
    for width in WIDTHS.values():
        context = browser.new_context(viewport={"width": width, "height": 900})
        context.add_cookies(cookies)
        page = context.new_page()
        for language in LANGUAGES:
            answer = page.goto(f"{served}{address}{'&' if '?' in address else '?'}lang={language}")
            if answer is None or (answer.status != 200 and shot.path != ERROR):
                context.close()
                return 0
            for picture in page.locator("img[loading=lazy]").all():
                picture.scroll_into_view_if_needed()
            page.wait_for_load_state("networkidle")
            page.screenshot(path=out / f"{shot.name}-{language}-{width}.png", full_page=True)
        context.close()
    return len(WIDTHS) * len(LANGUAGES)


def signed_in(engine: Engine, role: Role) -> str:
    """Return the secret of a cookie for the role's first account; one is made where there is none."""
    with transaction(engine) as session:
        account = session.scalar(select(Account).where(Account.role == role.value).order_by(Account.id).limit(1))
        if account is not None:
            account.must_change = False
            return credentials.begin(session, account)
    return sign_in(engine, role.value)


def an_officer(session: Session, shot: Shot) -> str | None:
    """Return somebody who has what the page shows: honours where it is of the assessment, else a place on the list."""
    if shot.role is Role.HR:
        head = session.scalars(select(AssessmentHead).order_by(AssessmentHead.as_of.desc()).limit(1)).one()
        place = head.columns["letters"].index("agreed")
        people = session.scalars(select(AssessedPerson).where(AssessedPerson.assessment_id == head.id))
        agreed = (each for each in people if any(row[place] for row in each.tables.get("letters", ())))
        return next((each.officer_id for each in agreed), None)
    first = session.scalar(_newest(Score.officer_id))
    return first and _as_known(session, shot.role, first)


EXAMPLES: dict[str, Callable[[Session, Shot], object]] = {
    "officer_id": an_officer,
    "risk": lambda _session, _shot: RISK,
    "unit": lambda session, _: session.scalar(_newest(Score.unit)),
    "version": lambda session, _: session.scalar(_newest(Batch.model_version)),
    "number": lambda session, _: session.scalar(select(EffectRow.id).order_by(EffectRow.estimable.desc()).limit(1)),
    "objection_id": lambda session, _: session.scalar(select(Objection.id).order_by(Objection.id).limit(1)),
    "plan_id": lambda session, _: session.scalar(select(RestPlan.id).order_by(RestPlan.id.desc()).limit(1)),
}
"""What fills the braces of an address."""


def _as_known(session: Session, role: Role | None, officer_id: str) -> str:
    """The number of an officer, or the pseudonym where a role knows no numbers."""
    engine = session.get_bind()
    assert isinstance(engine, Engine)
    sight = Sight(role, salt=salt_of(engine)) if role else None
    return sight.pseudonym(officer_id) if sight and sight.pseudonymous else officer_id


def _newest(column: Any) -> Any:
    """Select a column of the newest list of a risk, or of the first on it."""
    newest = select(Batch.id).where(Batch.risk == RISK).order_by(Batch.as_of.desc()).limit(1).scalar_subquery()
    return select(column).join_from(Batch, Score).where(Batch.id == newest, Score.rank == 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

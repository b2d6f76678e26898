"""Part "stories" of the acceptance: every role's story, both languages, both widths, on the demo's home."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser
from playwright.sync_api import Error as Stuck

from serving.access.roles import Role
from tests.browsing import WIDTHS, chromium, service
from tests.stories import OWN, ROLE_OF, lived
from tests.story_home import demo_home, furnished

LANGUAGES = ("zh", "en")
GOAL = "done, read back; no serious fault of axe-core, no other host, nothing sideways or untranslated"


def told(home: Path) -> Iterator[tuple[str, str, str, bool]]:
    """One line a role, language and width: the pages that were opened, or what went wrong on which."""
    made = demo_home(home / "made")
    first = furnished(made)
    with chromium() as browser:
        for language in LANGUAGES:
            for width in WIDTHS.values():
                own = home / f"{language}-{width}"
                shutil.copytree(made, own)
                yield from _day(browser, own, dict(first), language=language, width=width)


def _day(
    browser: Browser, home: Path, passwords: dict[Role, str], *, language: str, width: int
) -> Iterator[tuple[str, str, str, bool]]:
    """All stories in their order; each role's pages are looked at by axe anew, since it may see other parts."""
    with service(home) as served:
        for story in ROLE_OF:
            what = f"stories: {story.__name__}, {language}, {width} pixels"
            try:
                pages = lived(browser, served, passwords, story, language=language, width=width)
            except (AssertionError, Stuck) as fault:
                yield what, str(fault).splitlines()[0], GOAL, False
                passwords[ROLE_OF[story]] = OWN
            else:
                yield what, f"{pages} pages", GOAL, True

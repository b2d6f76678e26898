"""A service and Chromium for tests, and a walker who uses its pages as a person would: by roles, labels and names.

The walker reads and decides with JavaScript off. What it sees is given, byte by byte, to a second page with
JavaScript on, where axe-core looks for barriers: axe needs promises, which a page without JavaScript has not.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, Request, Route, sync_playwright
from sqlalchemy import Engine, select

from features.histories.store import load_histories
from serving import words
from serving.access.caller import COOKIE
from serving.app import create_app
from serving.database import open_database, transaction
from serving.running import bind
from serving.tables import Batch
from tests.serving_fixtures import in_ci, sign_in

CHROMIUM = next((path for path in map(Path, ("/usr/bin/chromium", "/usr/bin/chromium-browser")) if path.exists()), None)
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
HOW = "No Chromium on this machine. Debian and Ubuntu: apt-get install chromium fonts-noto-cjk"
WIDTHS = {"wide": 1440, "narrow": 390}
SERIOUS = ("serious", "critical")
UNFOLD = "document.querySelectorAll('details').forEach(each => each.open = true)"
SIDEWAYS = "document.documentElement.scrollWidth"
CHINESE = re.compile(r"[\u3400-\u9fff]+")
ENGLISH = re.compile(r"[A-Za-z]{2,}(?: [A-Za-z]{2,}){2,}")
"""Three English words in a row: a sentence that was left untranslated, and no name of a model or a command."""


class Served(str):
    """The address of a running service, with its home, its database and perhaps the cookie of somebody signed in."""

    home: Path
    engine: Engine
    cookie: dict[str, str]

    def __new__(cls, address: str, home: Path, engine: Engine, role: str | None = None) -> "Served":
        """Return the address; ``role``: somebody of that role is signed in there."""
        served = super().__new__(cls, address)
        served.home, served.engine = home, engine
        served.cookie = {"name": COOKIE, "value": sign_in(engine, role), "url": address} if role else {}
        return served


@contextmanager
def service(home: Path, role: str | None = None) -> Iterator[Served]:
    """The service over a home, on a port of its own, until the block ends."""
    engine, bound = open_database(home), bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(create_app(home, engine), log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{bound.getsockname()[1]}", home, engine, role)
    finally:
        server.should_exit = True
        thread.join()
        engine.dispose()


def follow(locator: Locator) -> int | None:
    """Click what leads to another page and return its status once all of it has come; none within the same page.

    A click alone comes back when the page begins to arrive, and what is counted then may not be there yet.
    """
    with locator.page.expect_navigation() as moved:
        locator.click()
    return moved.value.status if moved.value else None


@contextmanager
def chromium() -> Iterator[Browser]:
    """Headless Chromium, until the block ends."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium; where there is none the test is left out, in CI it fails."""
    if CHROMIUM is None:
        (pytest.fail if in_ci() else pytest.skip)(HOW)
    with chromium() as found:
        yield found


def serious_faults(page: Page) -> list[tuple[str, str]]:
    """Return the serious and critical faults that axe-core finds on a page, folded parts opened: rule and element."""
    page.evaluate(UNFOLD)
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in SERIOUS]


def opened(browser: Browser, served: Served, width: int, *, javascript: bool = False) -> Page:
    """Return an empty page of somebody signed in; ``asked``: what it asked for, ``broken``: was refused."""
    context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=javascript)
    context.add_cookies([served.cookie])
    page: Any = context.new_page()
    page.asked, page.broken = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("response", lambda answer: page.broken.append(answer.url) if answer.status >= 400 else None)
    return page


def fits(page: Page, width: int) -> None:
    """Nothing sticks out to the right: no sideways scrolling of the page."""
    assert page.evaluate(SIDEWAYS) <= width
    for selector in ("main", "h1", ".panel >> nth=0", "footer"):
        box = page.locator(selector).first.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width + 1, selector


class Walker:
    """Somebody at a browser without JavaScript who reads one language; every page that opens is checked.

    ``checked`` holds the kinds of pages that axe has seen already, perhaps on other walks.
    """

    def __init__(
        self,
        browser: Browser,
        served: Served,
        *,
        language: str,
        width: int,
        checked: set[str] | None = None,
    ) -> None:
        self.served, self.language, self.width = served, language, width
        self.checked = set() if checked is None else checked
        self.asked: list[str] = []
        self.faults: list[str] = []
        self.pages = self.status = 0
        self.names = sorted({words.say("other_language", language), *_names(served)}, key=len, reverse=True)
        view: dict[str, Any] = {"viewport": {"width": width, "height": 900}}
        self.contexts = [browser.new_context(**view, java_script_enabled=script) for script in (False, True)]
        self.page, self.twin = (self._page(each) for each in self.contexts)
        self.twin.route("**/*", self._same)

    def close(self) -> None:
        """Leave the browser."""
        for each in self.contexts:
            each.close()

    def say(self, key: str, **blanks: object) -> str:
        """Return a text of the pages in the walker's language."""
        return words.say(key, self.language, **blanks)

    def open(self, path: str, *, status: int = 200) -> None:
        """Open an address of the service, in the walker's language."""
        answer = self.page.goto(f"{self.served}{path}")
        self._opened(answer.status if answer else 0, status)

    def follow(self, name: str | re.Pattern[str], *, within: Locator | None = None) -> None:
        """Follow the first link of that name."""
        self._go(self._one("link", name, within), 200)

    def follow_first(self, selector: str) -> None:
        """Follow the first link that a CSS selector finds."""
        self._go(self.main.locator(selector).first, 200)

    def press(self, name: str, *, within: Locator | None = None, status: int = 200) -> None:
        """Press the first button of that name, which sends its form."""
        self._go(self._one("button", name, within), status)

    def unfold(self, name: str, *, within: Locator | None = None) -> Locator:
        """Open the first folded part of that name and return it."""
        part = (within or self.main).locator("details").filter(has=self.page.locator("summary", has_text=name)).first
        if part.get_attribute("open") is None:
            part.locator("summary").first.click()
        return part

    def fill(self, name: str, value: str, *, within: Locator | None = None) -> None:
        """Write into the field of that label."""
        self._field(name, within).fill(value)

    def pick(self, name: str, value: str, *, within: Locator | None = None) -> None:
        """Choose from the list of that label."""
        self._field(name, within).select_option(value)

    def tick(self, name: str | re.Pattern[str], *, within: Locator | None = None) -> None:
        """Tick the box, or take the choice, of that label."""
        self._field(name, within).check()

    def fetch(self, name: str, *, within: Locator | None = None) -> Path:
        """Follow a link that hands out a file and return where it lies."""
        with self.page.expect_download() as told:
            self._one("link", name, within).click()
        return Path(told.value.path())

    def part(self, heading: str) -> Locator:
        """Return the innermost part of the page that has a heading."""
        return self.main.locator("section, article").filter(has=self.page.get_by_role("heading", name=heading)).last

    def sees(self, text: str, *, within: Locator | None = None) -> None:
        """A text stands on the page, unfolded or not."""
        assert text in (within or self.main).text_content(), f"'{text}' does not stand on {self._where()}"

    @property
    def main(self) -> Locator:
        """The page without its head and foot."""
        return self.page.locator("main")

    def _one(self, role: Any, name: str | re.Pattern[str], within: Locator | None) -> Locator:
        exact = (within or self.main).get_by_role(role, name=name, exact=True)
        return (exact if exact.count() else (within or self.main).get_by_role(role, name=name)).first

    def _field(self, name: str | re.Pattern[str], within: Locator | None) -> Locator:
        exact = (within or self.main).get_by_label(name, exact=True)
        return (exact if exact.count() else (within or self.main).get_by_label(name)).first

    def _go(self, locator: Locator, status: int) -> None:
        found = follow(locator)
        self._opened(self.status if found is None else found, status)

    def _opened(self, found: int, expected: int) -> None:
        """Check the page that just opened: what anybody would expect of any page."""
        self.pages, self.status = self.pages + 1, found
        where = self._where()
        assert found == expected, f"{found} instead of {expected} on {where}: {self.main.inner_text()[:300]}"
        assert self.page.locator("html").get_attribute("lang") == {"zh": "zh-CN", "en": "en"}[self.language], where
        assert self.page.get_by_role("heading", level=1).count() == 1, where
        assert self.page.evaluate(SIDEWAYS) <= self.width, f"sticks out: {where}"
        assert self.untranslated() == [], f"{self.untranslated()} on {where}"
        kind = f"{found} {kind_of(self.page.url)}"
        if kind not in self.checked:
            self.checked.add(kind)
            self.contexts[1].add_cookies(self.contexts[0].cookies())
            self.twin.goto(self.page.url)
            assert serious_faults(self.twin) == [], where
        assert {urlsplit(url).netloc for url in self.asked} == {urlsplit(self.served).netloc}, where
        assert self.faults == [], where

    def untranslated(self) -> list[str]:
        """Return what stands in the other language on the page; names of units and what people typed may."""
        text = self.page.evaluate(
            "[...document.querySelectorAll('body *:not(code):not(script)')].flatMap(each => [...each.childNodes])"
            ".filter(each => each.nodeType === 3).map(each => each.textContent).join('\\n')"
        )
        for name in self.names:
            text = text.replace(name, "")
        return sorted(set((CHINESE if self.language == "en" else ENGLISH).findall(text)))

    def _page(self, context: Any) -> Page:
        page: Page = context.new_page()
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda told: self.faults.append(told.text) if _fault(told) else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("response", lambda answer: self.faults.append(answer.url) if _missing(answer) else None)
        return page

    def _same(self, route: Route) -> None:
        """Give the page with JavaScript the very page that stands in the one without; the rest comes from the host."""
        if route.request.is_navigation_request():
            route.fulfill(body=self.page.content(), content_type="text/html; charset=utf-8")
        else:
            route.continue_()

    def _where(self) -> str:
        return f"{urlsplit(self.page.url).path} ({self.language}, {self.width} pixels)"


def kind_of(url: str) -> str:
    """Return an address without what names one thing among many: officers, units, numbers, months."""
    path = re.sub(r"/(officers|units/[^/]+)/[^/]+", r"/\1/*", urlsplit(url).path)
    return re.sub(r"/\d+", "/*", path)


def _fault(told: Any) -> bool:
    return told.type == "error" and not told.text.startswith("Failed to load resource")


def _missing(answer: Any) -> bool:
    request: Request = answer.request
    return answer.status >= 400 and not request.is_navigation_request()


def _names(served: Served) -> set[str]:
    """What stands on pages in one language only: names of units, ranks, persons, and what people wrote of a model."""
    given = load_histories(served.home)
    told = {*given.units, *given.people["rank"].dropna(), *given.people["name"].dropna()}
    with transaction(served.engine, writes=False) as session:
        reasons = {(batch.served or {}).get("reason", "") for batch in session.scalars(select(Batch))}
    return {str(text) for text in told | reasons} - {""}

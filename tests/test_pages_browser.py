"""The story in a real browser: list to person, in Chinese and in English, wide and narrow, without JavaScript."""

import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from serving.access.caller import COOKIE
from serving.app import create_app
from serving.running import bind
from tests.serving_fixtures import in_ci, sign_in

pytestmark = pytest.mark.browser

CHROMIUM = next((path for path in map(Path, ("/usr/bin/chromium", "/usr/bin/chromium-browser")) if path.exists()), None)
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
HOW = "No Chromium on this machine. Debian and Ubuntu: apt-get install chromium fonts-noto-cjk"
WIDTHS = {"wide": 1440, "narrow": 390}
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def address(made_home, engine):
    bound = bind("127.0.0.1", 0)
    config = uvicorn.Config(create_app(made_home, engine), log_level="error", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    yield Served(f"http://127.0.0.1:{bound.getsockname()[1]}", sign_in(engine, "wellness"))
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        (pytest.fail if in_ci() else pytest.skip)(HOW)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield found
        found.close()


class Served(str):
    """The address of a running service, with the cookie of somebody who is signed in."""

    def __new__(cls, address, secret):
        served = super().__new__(cls, address)
        served.cookie = {"name": COOKIE, "value": secret, "url": address}
        return served


def _opened(browser, address, width, *, javascript=False):
    context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=javascript)
    context.add_cookies([address.cookie])
    page = context.new_page()
    page.asked, page.broken = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("response", lambda answer: page.broken.append(answer.url) if answer.status >= 400 else None)
    return page


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
@pytest.mark.parametrize("language", ["zh", "en"])
def test_from_the_list_to_a_person_without_javascript_and_without_leaving_the_host(browser, address, width, language):
    page = _opened(browser, address, width)
    page.goto(f"{address}/?lang={language}")
    assert "/lists/" in page.url
    assert page.locator("html").get_attribute("lang") == ("zh-CN" if language == "zh" else "en")
    assert page.locator(".people tbody tr:not(.line)").count() >= 10
    _fits(page, width)
    link = page.locator(".people tbody .officer a").first
    officer = link.inner_text().split()[-1]
    link.click()
    assert officer in page.locator("h1").inner_text()
    assert page.locator(".reasons .edge").count() >= 2
    assert page.locator("article.offer").count() >= 1
    _fits(page, width)
    _drawn(page)
    page.get_by_role("link", name="English" if language == "zh" else "中文").click()
    assert page.locator("html").get_attribute("lang") == ("en" if language == "zh" else "zh-CN")
    assert officer in page.locator("h1").inner_text()
    assert {urlsplit(url).netloc for url in page.asked} == {urlsplit(address).netloc}
    assert page.broken == []
    page.context.close()


def _fits(page, width):
    """Nothing sticks out to the right: no sideways scrolling of the page."""
    outer = page.locator("body").bounding_box()
    assert outer["width"] <= width
    for selector in ("main", "h1", ".panel >> nth=0", "footer"):
        box = page.locator(selector).first.bounding_box()
        assert box["x"] + box["width"] <= width + 1, selector


def _drawn(page):
    """Every picture was loaded and takes room."""
    for picture in page.locator("img.chart").all():
        picture.scroll_into_view_if_needed()
        assert picture.bounding_box()["height"] > 40


def test_filters_work_without_javascript(browser, address):
    page = _opened(browser, address, WIDTHS["wide"])
    page.goto(f"{address}/lists/burnout?lang=zh")
    unit = page.locator("select[name=unit] option").nth(1).inner_text()
    page.locator("select[name=unit]").select_option(unit)
    page.locator("form.filters button").click()
    assert "unit=" in page.url
    places = page.locator(".people tbody .officer .small").all_inner_texts()
    assert places
    assert all(text.startswith(unit) for text in places)
    page.context.close()


def test_the_keyboard_reaches_the_content_and_the_first_person(browser, address):
    page = _opened(browser, address, WIDTHS["wide"])
    page.goto(f"{address}/lists/burnout?lang=zh")
    page.keyboard.press("Tab")
    assert page.locator(".skip:focus").count() == 1
    page.keyboard.press("Enter")
    assert page.url.endswith("#content")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.locator(".officer a:focus").count():
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/officers/**")
    page.context.close()


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
@pytest.mark.parametrize("language", ["zh", "en"])
def test_axe_finds_no_serious_barrier(browser, address, width, language):
    page = _opened(browser, address, width, javascript=True)
    page.goto(f"{address}/lists/burnout?lang={language}")
    person = page.locator(".people tbody .officer a").first.get_attribute("href")
    for path in ("/lists/burnout", person, "/notice"):
        page.goto(address + path)
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        found = Axe().run(page).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in SERIOUS] == []
    page.context.close()

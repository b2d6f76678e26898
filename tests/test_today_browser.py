"""The list in a real browser: row to row by keyboard, and deciding, publishing and feedback without JavaScript."""

import shutil

import pytest

from tests.browsing import WIDTHS, browser, follow, service

pytestmark = pytest.mark.browser

__all__ = ["browser"]


@pytest.fixture(scope="module")
def desk(made_home, tmp_path_factory):
    """The address of a service over a copy of the served home, where the wellness officer is signed in."""
    home = shutil.copytree(made_home, tmp_path_factory.mktemp("desk") / "home")
    with service(home, "wellness") as served:
        yield served


@pytest.fixture
def opened(browser, desk):
    """Open a page of the service at a width, with or without JavaScript."""
    contexts = []

    def _open(path, width=WIDTHS["wide"], *, javascript):
        context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=javascript)
        contexts.append(context)
        context.add_cookies([desk.cookie])
        page = context.new_page()
        page.goto(desk + path)
        return page

    yield _open
    for each in contexts:
        each.close()


def test_the_keyboard_goes_from_row_to_row_and_opens_the_decision(opened):
    page = opened("/lists/burnout?lang=zh", javascript=True)
    assert page.locator("[data-script]").is_visible()
    links = page.locator(".people .officer a")
    focused = "document.activeElement.textContent"
    page.keyboard.press("j")
    assert page.evaluate(focused) == links.nth(0).inner_text()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.evaluate(focused) == links.nth(1).inner_text()
    page.keyboard.press("d")
    row = page.locator(".people tbody tr").nth(1)
    assert row.locator("details.decide").get_attribute("open") is not None
    assert page.evaluate("document.activeElement.name") == "decision"
    row.locator("input[name=reason]").fill("jk d")  # letters in a field are letters
    assert row.locator("input[name=reason]").input_value() == "jk d"


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
@pytest.mark.parametrize(("language", "kept"), [("zh", "已安排"), ("en", "acted on")])
def test_a_decision_is_made_from_the_list_without_javascript(opened, language, kept, width):
    page = opened(f"/lists/burnout?lang={language}&status=open", width, javascript=False)
    assert not page.locator("[data-script]").is_visible()
    row = page.locator(".people tbody tr:has(details.decide)").first
    officer = row.locator(".officer a").inner_text()
    row.locator("details.decide summary").click()
    row.locator("input[value=act]").check()
    follow(row.locator("details.decide button"))
    assert "status=open" in page.url
    assert officer not in page.locator(".people").inner_text()
    page.goto(page.url.replace("status=open", "status=acted"))
    assert kept in page.locator(f".people tbody tr:has-text('{officer}') .status").inner_text()


def test_feedback_is_given_and_a_list_published_without_javascript(opened):
    page = opened("/lists/efficiency_decline?lang=en", javascript=False)
    follow(page.locator(".people .officer a").first)
    page.locator("details.asked-of summary").first.click()
    follow(page.locator("details.asked-of button[value=wrong]").first)
    assert "1 given so far" in page.locator("details.asked-of summary").first.inner_text()
    page.goto(page.url.split("/officers/")[0] + "/months?lang=en")
    before = page.locator("form[action='/months/publish']").count()
    follow(page.locator("form[action='/months/publish'] button").first)
    assert page.locator("form[action='/months/publish']").count() == before - 1

"""The rest plan in a real browser, without JavaScript: made, struck, solved again; fits a phone; no barrier."""

import shutil

import pytest

from tests.browsing import SIDEWAYS, WIDTHS, browser, follow, opened, serious_faults, service

__all__ = ["browser"]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(made_home, tmp_path_factory):
    home = shutil.copytree(made_home, tmp_path_factory.mktemp("rest-browser") / "home")
    with service(home, "wellness") as served:
        yield served


def test_a_plan_is_made_an_entry_struck_and_solved_again_without_javascript(browser, address):
    page = opened(browser, address, WIDTHS["wide"])
    page.goto(f"{address}/rest?lang=zh")
    page.locator("input[name=quota]").fill("6")
    follow(page.get_by_role("button", name="制订计划"))
    assert "/rest/" in page.url
    entry = page.locator("td.rest-recuperation a, td.rest-roster_relief a, td.rest-compensatory_leave a").first
    officer = entry.locator("xpath=ancestor::tr/th").inner_text()
    follow(entry)
    assert officer in page.locator("#change-h").inner_text()
    follow(page.get_by_role("button", name="删去", exact=True))
    follow(page.get_by_role("button", name="重新求解"))
    assert officer in page.locator("#out ~ ul").inner_text()
    follow(page.get_by_role("button", name="确认计划"))
    assert "已确认" in page.locator("h1").inner_text()
    assert page.broken == []
    page.context.close()


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_plan_fits_and_has_no_serious_barrier(browser, address, width, language):
    page = opened(browser, address, width, javascript=True)
    for path in ("/rest", "/rest/1"):
        page.goto(f"{address}{path}?lang={language}")
        assert page.evaluate(SIDEWAYS) <= width
        assert serious_faults(page) == []
    page.context.close()

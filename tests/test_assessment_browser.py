"""The pages of the assessment in a real browser: no barrier, nothing sticks out, whole on paper."""

import pytest

from features.assessment.assess import assess
from serving.assessed.storing import store_assessment
from serving.database import open_database
from tests.assessment_force import NOW, force, work
from tests.browsing import SIDEWAYS, WIDTHS, browser, follow, serious_faults, service

__all__ = ["browser"]
pytestmark = pytest.mark.browser
PAGES = ("/cockpit", "/cockpit?unit=U0", "/officers/P07/cockpit", "/officers/P07/letter", "/stars", "/warnings",
         "/assessment")  # fmt: skip


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    home = tmp_path_factory.mktemp("assessed")
    engine = open_database(home)
    rows = [*work(skill={"P07": 5.0}), ("P00", "complaint", "2021-11-05", 1)]
    store_assessment(assess(force(rows), NOW, consents=["P07"]), engine)
    engine.dispose()
    with service(home, "hr") as served:
        yield served


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_page_has_a_serious_barrier_or_sticks_out(browser, address, width, language):
    context = browser.new_context(viewport={"width": width, "height": 900})
    context.add_cookies([address.cookie])
    page = context.new_page()
    for path in PAGES:
        page.goto(f"{address}{path}{'&' if '?' in path else '?'}lang={language}")
        assert page.evaluate(SIDEWAYS) <= width, path
        assert serious_faults(page) == [], path
    context.close()


def test_a_person_is_reached_from_the_force_without_javascript(browser, address):
    context = browser.new_context(viewport={"width": WIDTHS["narrow"], "height": 900}, java_script_enabled=False)
    context.add_cookies([address.cookie])
    page = context.new_page()
    page.goto(f"{address}/cockpit?lang=zh")
    follow(page.get_by_role("link", name="U0").first)
    follow(page.get_by_role("link", name="P00").first)
    assert "P00" in page.locator("h1").inner_text()
    picture = page.locator("img.chart")
    picture.scroll_into_view_if_needed()
    assert picture.bounding_box()["height"] > 40
    context.close()


def test_paper_shows_what_is_folded_and_no_controls(browser, address):
    context = browser.new_context(viewport={"width": 800, "height": 1100})
    context.add_cookies([address.cookie])
    page = context.new_page()
    page.goto(f"{address}/officers/P07/cockpit?lang=zh")
    page.emulate_media(media="print")
    assert page.locator("details table").first.is_visible()
    assert not page.locator(".top nav").is_visible()
    page.goto(f"{address}/officers/P07/letter?lang=zh")
    assert not page.locator("footer").is_visible()
    assert page.locator("article.letter").count() == 2
    context.close()

"""List to person in a real browser: pictures drawn, the other language at a click, by keyboard."""

from urllib.parse import urlsplit

import pytest

from tests.browsing import WIDTHS, browser, fits, follow, opened, service

pytestmark = pytest.mark.browser

__all__ = ["browser"]


@pytest.fixture(scope="module")
def address(made_home):
    with service(made_home, "wellness") as served:
        yield served


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
@pytest.mark.parametrize("language", ["zh", "en"])
def test_from_the_list_to_a_person_without_javascript_and_without_leaving_the_host(browser, address, width, language):
    page = opened(browser, address, width)
    page.goto(f"{address}/?lang={language}")
    assert "/lists/" in page.url
    assert page.locator("html").get_attribute("lang") == ("zh-CN" if language == "zh" else "en")
    assert page.locator(".people tbody tr:not(.line)").count() >= 10
    fits(page, width)
    link = page.locator(".people tbody .officer a").first
    officer = link.inner_text().split()[-1]
    follow(link)
    assert officer in page.locator("h1").inner_text()
    assert page.locator(".reasons .edge").count() >= 2
    assert page.locator("article.offer").count() >= 1
    fits(page, width)
    _drawn(page)
    follow(page.get_by_role("link", name="English" if language == "zh" else "中文"))
    assert page.locator("html").get_attribute("lang") == ("en" if language == "zh" else "zh-CN")
    assert officer in page.locator("h1").inner_text()
    assert {urlsplit(url).netloc for url in page.asked} == {urlsplit(address).netloc}
    assert page.broken == []
    page.context.close()


def _drawn(page):
    """Every picture was loaded and takes room."""
    for picture in page.locator("img.chart").all():
        picture.scroll_into_view_if_needed()
        assert picture.bounding_box()["height"] > 40


def test_the_keyboard_reaches_the_content_and_the_first_person(browser, address):
    page = opened(browser, address, WIDTHS["wide"])
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

"""Every role's story in a real browser without JavaScript: in Chinese on a phone, in English on a desk."""

import re
import shutil
from pathlib import Path

import pytest
from fastapi.routing import iter_route_contexts

from features.histories import checking
from serving.app import create_app
from serving.arrivals.reasons import reason_told
from tests.browsing import WIDTHS, browser, service
from tests.screenshots import EXAMPLES, NOT_PAGES, shots
from tests.serving_fixtures import untouched_home
from tests.stories import ROLE_OF, lived
from tests.story_home import furnished

__all__ = ["browser"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The served force with work for every role, and the first passwords."""
    home = untouched_home(tmp_path_factory.mktemp("stories") / "home")
    return home, furnished(home)


@pytest.fixture(scope="module")
def checked():
    """The kinds of pages that axe has seen: each is looked at on one walk here, on every walk in the acceptance."""
    return set()


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", WIDTHS["narrow"]), ("en", WIDTHS["wide"])])
def test_every_role_does_what_it_came_for(browser, prepared, checked, tmp_path, language, width):
    home, first = prepared
    passwords = dict(first)
    with service(shutil.copytree(home, tmp_path / "home")) as served:
        for story in ROLE_OF:
            assert lived(browser, served, passwords, story, language=language, width=width, checked=checked)


def test_every_page_of_the_service_is_photographed(made_home, engine):
    app = create_app(made_home, engine)
    routes = {
        (context.path, method)
        for context in iter_route_contexts(app.routes)
        for method in context.original_route.methods
    }
    answered = {path for path, method in routes if method == "GET" and not path.startswith("/api/")}
    taken = {shot.path for shot in shots(app)}
    pictures = {path for path in answered if path.endswith(".svg")}
    assert answered - taken == set(NOT_PAGES) | pictures
    assert {name for path in taken for name in re.findall(r"{(\w+)", path)} <= set(EXAMPLES)
    assert len({shot.name for shot in shots(app)}) == len(shots(app))


def test_what_is_called_no_page_is_none(as_role):
    client, html = as_role("wellness"), []
    for path in NOT_PAGES:
        answer = client.get(path.replace("{name}", "style.css").replace("{risk}", "burnout").replace("{form}", "csv"))
        if answer.status_code == 200 and answer.headers["content-type"].startswith("text/html"):
            html.append(path)
    assert html == []


def test_every_reason_of_the_quarantine_is_told_in_chinese():
    known = r'(?:faults\.mark\(.*|_mark\(.*), f?"(.+)"\)$'
    source = Path(checking.__file__).read_text(encoding="utf-8")
    reasons = [re.sub(r"{.*?}", "2000", each) for each in re.findall(known, source, re.MULTILINE)]
    assert len(reasons) >= 10
    assert [each for each in reasons if reason_told(each, "zh") == each] == []
    assert reason_told("not a number from -10^12 to 10^12", "en") == "not a number from -10^12 to 10^12"
    assert reason_told("not a number from -10^12 to 10^12", "zh") == "不是 −10^12 至 10^12 之间的数"

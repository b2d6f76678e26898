"""The pages: both languages whole, nothing inline or from elsewhere, filters in the address."""

import datetime as dt
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

import serving
from features.months import month_text
from serving.access.roles import Role
from serving.words import WORDS, month_name, number, percent, points, pushless
from tests.serving_fixtures import last_month

SOURCES = [path for path in Path(serving.__file__).parent.rglob("*") if path.suffix in (".py", ".html")]


class _Page(HTMLParser):
    """Collects tags with their attributes and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag, name):
        return [attrs[name] for found, attrs in self.tags if found == tag and name in attrs]


def _page(client, path):
    answer = client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return _Page(answer.text)


def _first(client, risk="burnout"):
    return client.get(f"/api/v1/risk-lists/{risk}").json()["entries"][0]


def _pages(client):
    officer = _first(client)["officer_id"]
    return ("/lists/burnout", "/lists/efficiency_decline", f"/officers/{officer}", "/notice")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_pages_carry_no_script_no_inline_style_and_nothing_from_elsewhere(client, language):
    for path in _pages(client):
        page = _page(client, f"{path}?lang={language}")
        assert not [tag for tag, _ in page.tags if tag in ("style", "iframe", "object")]
        assert [attrs for tag, attrs in page.tags if tag == "script" and attrs.get("src") != "/static/page.js"] == []
        assert not [attrs for _, attrs in page.tags if "style" in attrs or any(name.startswith("on") for name in attrs)]
        links = page.all("a", "href") + page.all("link", "href") + page.all("img", "src")
        assert all(link.startswith(("/", "#")) and not link.startswith("//") for link in links)


def test_every_answer_forbids_everything_from_elsewhere(client):
    for path in (*_pages(client), "/static/style.css", "/healthz", "/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


def test_chinese_is_first_and_english_stays_once_chosen(client):
    client.cookies.delete("lang")
    assert _page(client, "/notice").all("html", "lang") == ["zh-CN"]
    assert _page(client, "/notice?lang=en").all("html", "lang") == ["en"]
    assert _page(client, "/notice").all("html", "lang") == ["en"]
    client.cookies.delete("lang")


def test_english_pages_hold_no_chinese_but_names_of_units(client, given):
    for path in _pages(client):
        text = _page(client, f"{path}?lang=en").text
        for unit in given.units:
            text = text.replace(unit, "")
        left = re.findall(r"[\u4e00-\u9fff]+", text.replace("中文", ""))
        assert not left
    client.cookies.delete("lang")


def test_every_text_exists_in_both_languages_with_the_same_blanks_and_is_used():
    used = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    built = tuple(re.findall(r"""[("']([a-z]+_(?:[a-z_]+_)?)(?:\{|["'])""", used))  # say(f"effects_why_{code}", ...)
    assert "monitor_figure_" in built
    for key, texts in WORDS.items():
        assert set(texts) == {"zh", "en"}
        blanks = [sorted(re.findall(r"{(\w+)}", text)) for text in texts.values()]
        assert blanks[0] == blanks[1], key
        stem = re.sub(r"^notice_(\w+?)(_text)?$", "notice_", key)
        role = key in ("wellness", "hr", "commander") or key.removeprefix("role_") in list(Role)
        assert role or key.startswith(built) or f'"{key}"' in used or f"'{key}'" in used or f'"{stem}"' in used, (
            f"{key} is used nowhere"
        )


@pytest.mark.parametrize("path", ["/lists/burnout", "/officers/{id}"])
def test_the_mean_beside_a_score_is_called_what_it_is(as_role, path):
    for role, told, other in (("wellness", "本岗位平均", "全体平均"), ("data_scientist", "全体平均", "本岗位平均")):
        reader = as_role(role)
        text = _page(reader, path.format(id=_first(reader)["officer_id"])).text
        assert re.search(rf"[，；]{told} \d", text)
        assert not re.search(rf"[，；]{other} \d", text)


def test_the_list_says_who_is_within_capacity_and_how_sure(client):
    page = _page(client, "/lists/burnout")
    first = _first(client)
    assert first["officer_id"] in page.text
    assert "人在本月可跟进范围内" in page.text
    assert percent(first["low"]) in page.text
    assert "本岗位平均" in page.text
    reason = next(reason for reason in first["reasons"] if reason["stable"])
    way = "▲ 推高" if reason["contribution"] > 0 else "▼ 降低"
    assert f"{way} {pushless(reason['sentence']['zh'])}" in page.text
    assert reason["sentence"]["zh"] not in page.text  # the arrow and its word say the push, once
    assert "先看单位，再看个人" in page.text


def test_filters_stand_in_the_address_and_narrow_the_list(client, given):
    first = _first(client)
    month = month_text(last_month(given) - 1)
    page = _page(client, f"/lists/burnout?as_of={month}&unit={first['unit']}")
    others = [unit for unit in given.units if unit != first["unit"]]
    rows = page.text.split("建议", 1)[1]
    assert first["unit"] in rows
    assert not [unit for unit in others if unit in rows]


def test_bars_of_a_person_add_up_to_the_risk_shown(client):
    officer = _first(client)["officer_id"]
    page = _page(client, f"/officers/{officer}?risk=burnout")
    begins = re.search(r"平均起点 ([\d.]+)%", page.text)
    told = page.text[begins.end() :].split("合计风险", 1)
    start = float(begins[1])
    total = float(re.match(r" ([\d.]+)%", told[1])[1])
    moved = sum(float(text.replace("−", "-")) for text in re.findall(r"([+−±][\d.]+) 点", told[0].replace("±", "+")))
    assert start + moved == pytest.approx(total, abs=1.5)  # what is shown is rounded


def test_the_person_page_says_what_to_say_and_who_decides(client):
    officer = _first(client)["officer_id"]
    text = _page(client, f"/officers/{officer}").text
    assert "第一句话可以这样说" in text
    assert "决定" in text
    assert "预期效果尚不可估计" in text
    assert "不得作为考核、处分" in text


@pytest.mark.parametrize("size", ["wide", "narrow"])
@pytest.mark.parametrize("picture", ["risk.svg", "history.svg"])
def test_pictures_are_svg_that_fetches_nothing(client, picture, size):
    officer = _first(client)["officer_id"]
    answer = client.get(f"/officers/{officer}/{picture}", params={"risk": "burnout", "size": size})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    root = ElementTree.fromstring(answer.content)
    assert root.tag.endswith("svg")
    assert not [
        value
        for element in root.iter()
        for name, value in element.attrib.items()
        if name.endswith("href") or "url(http" in value
    ]


def test_errors_are_pages_for_people_and_documents_for_programs(client):
    page = client.get("/officers/nobody", headers={"accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "没有找到" in page.text
    assert client.get("/officers/nobody").headers["content-type"] == "application/problem+json"


def test_what_a_visitor_types_is_never_markup(client):
    page = client.get("/lists/burnout", params={"unit": "<b onload=x>"}, headers={"accept": "text/html"}).text
    assert "<b onload" not in page


def test_numbers_and_dates_are_said_as_people_say_them(given):
    assert [percent(0.4149), percent(0.0042), percent(0.0)] == ["41%", "0.4%", "0%"]
    assert [points(0.1149), points(-0.04), points(0.0)] == ["+11.5", "−4.0", "±0.0"]
    assert [number(14.0), number(0.256), number(None), number(12345.6), number(-2.5)] == [
        "14", "0.26", "—", "12,346", "−2.5",
    ]  # fmt: skip
    june = dt.date(2024, 6, 30)
    assert [month_name(june, "zh"), month_name(june, "en")] == ["2024年6月", "June 2024"]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_model_that_serves_against_the_gate_is_told_with_its_reason_and_the_objections(client, language):
    why = "the tests serve a model that was never judged on folds"
    listed = client.get(f"/lists/burnout?lang={language}").text
    person = client.get("/api/v1/risk-lists/burnout?limit=1").json()
    assert WORDS["forced_title"][language] in listed
    assert why in listed
    assert listed.index('class="figures"') < listed.index('id="forced"')  # first how many and how sure
    assert ("its card does not tell" if language == "en" else "模型卡未载明") in listed
    assert person["forced"] == why
    page = client.get(f"/officers/{person['entries'][0]['officer_id']}?lang={language}").text
    assert WORDS["forced_title"][language] in page

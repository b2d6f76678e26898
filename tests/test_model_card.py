"""The model card: complete, offline, readable by all, and silent about single persons."""

import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from tests.browsing import ARGUMENTS, CHROMIUM, HOW, SERIOUS, WIDTHS
from tests.serving_fixtures import in_ci
from tests.training_force import small_force, small_profile
from training.cards.model_card import LIMITS, NOT_FOR, document, model_card
from training.cards.pictures import short
from training.cards.portrait import LENGTHS, calibration_curve, overall_reasons, precision_by_length
from training.dataset import training_set
from training.judging.metrics import MODEL, RULE, calibration_error
from training.registry.registry import MODEL_CARD_JSON, MODEL_CARD_PAGE, Registry
from training.train import train


@pytest.fixture(scope="module")
def trained():
    return train(small_force().histories(), "collapse")


@pytest.fixture(scope="module")
def made(trained):
    """A page and its JSON, refused by the gate."""
    verdict = [{"en": "it is <worse> than the rule", "zh": "不如规则"}]
    return model_card(trained.model.card, risk="collapse", version="7", verdict=verdict)


class _Page(HTMLParser):
    """The tags of a page and its attributes; headings in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.headings = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))


def test_the_page_opens_offline_without_script_or_remote_address(made):
    page = _Page(made[0])
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe", "img", "object", "base")]
    assert not re.search(r"(?:https?:|//)[\w.]+|@import|url\(", made[0])
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_each_picture_has_words_for_those_who_cannot_see_it_and_its_numbers_behind_it(made):
    page = _Page(made[0])
    drawn = [attributes for tag, attributes in page.tags if attributes.get("role") == "img" and tag == "div"]
    assert len(drawn) == sum(tag == "figure" for tag, _ in page.tags) >= 7
    assert all(len(attributes["aria-label"]) > 40 for attributes in drawn)
    assert sum(tag == "svg" for tag, _ in page.tags) == len(drawn)
    assert sum(tag == "caption" for tag, _ in page.tags) == sum(tag == "table" for tag, _ in page.tags) > len(drawn)


def test_headings_go_down_one_step_at_a_time_and_stand_in_both_languages(made):
    levels = _Page(made[0]).headings
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
    for words in (
        "What it is for",
        "用途",
        "Limits",
        "局限",
        "Fairness",
        "公平",
        "Persistence",
        "延续",
        "Onset",
        "新发",
    ):
        assert words in made[0]


def test_it_says_what_it_is_not_for_and_why_the_gate_refused(made):
    page, plain = made
    assert NOT_FOR.en in page
    assert NOT_FOR.zh in page
    assert all(limit.zh in page for limit in LIMITS)
    assert "it is &lt;worse&gt; than the rule" in page, "what others wrote is never markup"
    assert plain["gate"]["passed"] is False
    assert "Never for discipline" in plain["not_for"]["en"]


def test_the_json_is_complete_and_stands_alone(trained, made):
    plain = json.loads(json.dumps(made[1], allow_nan=False))
    told = {*plain, *plain["data"], *plain["made"], *plain["audits"]}
    assert set(trained.model.card) <= told
    assert plain["figures"][MODEL]["average_precision"] == trained.model.card["figures"][MODEL]["average_precision"]
    assert plain["subject"]["outcome"]["en"].startswith("the sum of 'collapse' in the next 3 months reaches 1")
    assert plain["version"] == "7"


def test_nothing_in_either_tells_of_one_person(trained, made):
    text = made[0] + json.dumps(made[1], ensure_ascii=False)
    assert not re.search(r"\bP\d{4}\b", text)
    assert "Planted Name" not in text
    assert {"officer", "officers", "officer_id"}.isdisjoint(_keys(made[1]))


def test_groups_too_small_for_figures_do_not_even_have_counts(trained):
    card = json.loads(json.dumps(dict(trained.model.card)))
    card["fairness"]["groups"][0] |= {"state": "too few persons", "persons": 3, "positives": 1, "group": "Alone"}
    page, plain = model_card(card, risk="collapse")
    group = next(each for each in plain["fairness"]["groups"] if each["group"] == "Alone")
    assert (group["persons"], group["positives"], group["rows"], group["rate"]) == (None, None, None, None)
    row = re.search(r"<td>Alone</td>(.*?)</tr>", page)
    assert row is not None
    assert re.findall(r"<td>(.*?)</td>", row[1]) == ["–"] * 5 + ["too few persons"]


def test_a_card_that_lacks_everything_but_figures_still_has_a_page(trained):
    card = {"figures": {MODEL: {"average_precision": [0.5, 0.4, 0.6]}, RULE: {"average_precision": [0.1, None, None]}}}
    page, plain = model_card(card, risk="collapse")
    assert "0.500" in page
    assert plain["gate"] is None
    assert "<figure>" not in page


def test_an_audit_that_the_page_does_not_know_is_told_all_the_same(trained):
    card = {**trained.model.card, "new_audit": {"share_found": 0.25, "told": "as it should be"}}
    page, plain = model_card(card, risk="collapse")
    assert "share found" in page
    assert "as it should be" in page
    assert plain["audits"]["new_audit"]["share_found"] == 0.25


def test_the_same_card_gives_the_same_bytes(trained, made):
    assert model_card(trained.model.card, risk="collapse")[0] == model_card(trained.model.card, risk="collapse")[0]


def test_bins_of_the_calibration_curve_hold_all_rows_and_their_rates(trained):
    bins = calibration_curve(trained.found)
    assert sum(one["rows"] for one in bins) == len(trained.found)
    rate = sum(one["rows"] * one["share"] for one in bins) / len(trained.found)
    assert rate == pytest.approx(float(trained.found.label.mean()), abs=1e-5)
    assert all(one["low"] <= one["share"] <= one["high"] for one in bins)
    off = np.average([abs(one["mean"] - one["share"]) for one in bins], weights=[one["rows"] for one in bins])
    assert off == pytest.approx(calibration_error(trained.found.label, trained.found.probability), abs=3e-3)


def test_precision_by_length_is_counted_by_hand(trained):
    found, percent = trained.found, 10.0
    by_hand = []
    for month in np.unique(found.as_of):
        rows = np.flatnonzero(found.as_of == month)
        first = rows[np.argsort(-found.probability[rows], kind="stable")][: round(len(rows) * percent / 100)]
        by_hand.append(found.label[first].mean())
    curves = precision_by_length(found)
    place = LENGTHS.index(percent)
    assert curves["contenders"][MODEL][place] == pytest.approx(float(np.mean(by_hand)), abs=0.01)
    low, high = curves["interval"][place]
    assert low <= curves["contenders"][MODEL][place] <= high
    assert set(curves["contenders"]) == {MODEL, *found.rivals}


def test_reasons_overall_are_of_many_persons_or_not_told(trained):
    rows = train_rows(trained)
    told = overall_reasons(rows, small_profile(), trained.model)
    sizes = [group["mean_absolute"] for group in told["groups"]]
    assert sizes == sorted(sizes, reverse=True)
    assert {group["group"] for group in told["groups"]} <= set(trained.model.groups)
    assert all(group["low"] <= group["median"] <= group["high"] for group in told["groups"])
    few = rows.take(np.isin(rows.officer, np.unique(rows.officer)[:10]))
    assert overall_reasons(few, small_profile(), trained.model)["groups"] == []


def test_a_long_label_is_cut_by_columns_of_print():
    assert short({"zh": "夜班", "en": "Night shifts"}) == "夜班 Night shifts"
    cut = short({"zh": "荣誉与关爱措施", "en": "Honours and offers of help"}, 20)
    assert cut.endswith("…")
    assert len(cut) < 20


def test_the_registry_logs_both_files_with_the_verdict(trained, tmp_path):
    registry = Registry(tmp_path)
    registered = registry.register(trained.model)
    version = registry.versions("collapse")[0]
    folder = registry.folder("collapse", version.run_id).parent
    plain = json.loads((folder / MODEL_CARD_JSON).read_text(encoding="utf-8"))
    assert plain["version"] == registered.version
    assert plain["gate"]["passed"] is (not registered.objections)
    assert "模型卡" in (folder / MODEL_CARD_PAGE).read_text(encoding="utf-8")


@pytest.mark.browser
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
def test_in_a_browser_it_fits_asks_for_nothing_and_axe_finds_no_barrier(made, tmp_path, width):
    if CHROMIUM is None:
        (pytest.fail if in_ci() else pytest.skip)(HOW)
    file = tmp_path / "model-card.html"
    # axe is a script: let it in, for the test alone
    file.write_text(re.sub(r"<meta http-equiv[^>]*>", "", made[0]), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": width, "height": 900})
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(Path(file).as_uri())
        assert asked == [file.as_uri()]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        barriers = Axe().run(page).response["violations"]
        browser.close()
    assert [each["id"] for each in barriers if each["impact"] in SERIOUS] == []


def train_rows(trained):
    """The rows that the model was trained on."""
    return training_set(small_force().histories(), trained.model.risk)


def _keys(value):
    if isinstance(value, dict):
        return set(value) | set().union(*(_keys(inner) for inner in value.values()), set())
    return set().union(*(_keys(inner) for inner in value), set()) if isinstance(value, list) else set()


def test_document_and_page_hold_the_same_json(trained, made):
    assert document(trained.model.card, risk="collapse", version="7", verdict=made[1]["gate"]["objections"]) == made[1]

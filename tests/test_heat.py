"""The picture of what arrives: a hole is seen in it with any colour vision; what never comes monthly is none."""

import re
from itertools import pairwise

import pytest

from serving.heat import STEPS, Row, against_usual, heat_map
from serving.words import say

MONTHS = [f"2024-{month:02}" for month in range(1, 13)]
STEADY = [40, 41, 39, 40, 42, 40, 38, 40, 41, 40, 40, 40]


def fills(svg):
    """The colour of each month of the rows: months of one colour side by side are one stripe."""
    stripes = re.findall(r'class="cells" x="[\d.]+" y="\d+" width="([\d.]+)" height="15" fill="(#\w+)"', svg.decode())
    month = sum(float(width) for width, _ in stripes) / 12
    return [colour for width, colour in stripes for _ in range(round(float(width) / month))]


def brightness(colour):
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5)) if len(colour) == 7 else (255,) * 3
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_month_without_anything_is_the_darkest_square_among_pale_ones():
    counts = [*STEADY[:-2], 0, 40]
    squares = fills(heat_map([Row("值班", against_usual(counts), frozenset({10}))], MONTHS, "zh", "wide"))
    assert len(squares) == 12
    usual = {colour for place, colour in enumerate(squares) if place != 10}
    assert len(usual) == 1
    assert brightness(usual.pop()) - brightness(squares[10]) > 150


def test_fewer_is_told_from_usual_and_more_by_brightness_or_hue_and_each_step_is_in_the_legend():
    shares = [brightness(colour) for _, colour, _ in STEPS[:4]]
    assert shares == sorted(shares)
    assert min(later - earlier for earlier, later in pairwise(shares)) > 30
    for language in ("zh", "en"):
        picture = heat_map([Row("a", [1.0] * 12)], MONTHS, language, "narrow").decode()
        for _, _, key in STEPS:
            assert say(key, language) in picture


def test_only_holes_are_crossed():
    picture = heat_map([Row("a", [1.0] * 12, frozenset({3})), Row("b", [0.0] * 12)], MONTHS, "en", "wide").decode()
    assert re.findall(r'class="hole"[^>]*>×<title>([^<]+)', picture) == ["2024-04"]


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ([0, 0, 9, 0, 0, 9, 0, 0, 9, 0, 0, 9], "blank"),  # quarterly
        ([1, 0, 2, 0, 1, 0, 1, 2, 0, 1, 1, 0], "blank"),  # seldom
        ([0, 0, 0, 40, 41, 40, 40, 39, 40, 40, 41, 40], "blank"),  # begun later
        ([*STEADY[:5], 0, *STEADY[6:]], "nothing"),
    ],
)
def test_no_records_are_news_only_where_they_come_every_month(counts, told):
    shares = [share for share, count in zip(against_usual(counts), counts, strict=True) if count == 0]
    assert set(shares) == ({None} if told == "blank" else {0.0})


def test_a_month_that_may_not_be_told_is_blank_and_counts_for_nothing():
    assert against_usual([40, 40, 40, -1, -1, -1, -1]) == [1.0, 1.0, 1.0, None, None, None, None]
    assert against_usual([40, 40, 0, -1]) == [1.0, 1.0, 0.0, None]


def test_names_are_text_and_never_markup_and_long_ones_keep_their_whole_name():
    name = "<b>Residents' sense of safety after a very long name</b>"
    picture = heat_map([Row(name, [1.0] * 12)], MONTHS, "en", "narrow").decode()
    assert "<b>" not in picture
    assert "&lt;b&gt;Residents&#x27; sense of safety after a very long name&lt;/b&gt;</title>" in picture
    assert "…" in picture

"""The picture of what arrives, written as SVG: a row a series, a column a month, darkest where something is missing.

Written by hand and not by Vega: thousands of squares in a few milliseconds. Steps of brown, grey and blue are told
apart with any colour vision and in print; holes have a cross besides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

import numpy as np

from serving.charts import FONT, INK, LINE, MUTED
from serving.words import say

HEIGHT, TOP, BELOW = 16, 4, 76
"""Of a row, above and below the rows: a picture of n rows is 16 n + 80 high."""
SIZES = {"wide": (880, 200), "narrow": (340, 124)}
"""Width of the picture and of the names."""
STEPS = ((0.0, "#6b2a0b", "heat_none"), (0.25, "#c05a1c", "heat_little"), (2 / 3, "#eeb682", "heat_less"),
         (1.5, "#dfe8ec", "heat_usual"), (float("inf"), "#7fb0c8", "heat_more"))  # fmt: skip
"""Up to which share of the usual month, its colour, and the text of it."""
BLANK = "#f8fafb"
"""Nothing came, as is usual; or it is not told."""
REGULAR = 5
"""Nothing in a month is worth telling where a middle month has so many records."""


@dataclass(frozen=True)
class Row:
    """A series of the picture: each month's share of the usual (None: nothing came, as often), and where a hole is."""

    name: str
    shares: Sequence[float | None]
    holes: frozenset[int] = frozenset()


def against_usual(counts: Sequence[int]) -> list[float | None]:
    """Return each month's records as a share of the median month that had any; below 0 records are not told.

    None for these, and for months without any where that is no news: before the first, or where a middle month has few.
    """
    some = [value for value in counts if value > 0]
    if not some:
        return [None] * len(counts)
    usual, first = float(np.median(some)), next(place for place, value in enumerate(counts) if value > 0)
    told = float(np.median([value for value in counts[first:] if value >= 0])) >= REGULAR
    return [
        value / usual if value > 0 or (value == 0 and told and place > first) else None
        for place, value in enumerate(counts)
    ]


def heat_map(rows: Sequence[Row], months: Sequence[str], language: str, size: str) -> bytes:
    """Return the picture as SVG, the rows in the order given; ``months`` are the names of its columns."""
    width, left = SIZES[size]
    step = (width - left - 8) / max(1, len(months))
    bottom = TOP + HEIGHT * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{bottom + BELOW}" '
        f'viewBox="0 0 {width} {bottom + BELOW}" font-family="{FONT}" font-size="12" fill="{MUTED}">'
    ]
    for place, row in enumerate(rows):
        parts += _row(row, TOP + HEIGHT * place, left=left, step=step)
    parts.append(_grid(len(months), left=left, step=step, bottom=bottom))
    for place, row in enumerate(rows):
        parts += _holes(row, TOP + HEIGHT * place, left=left, step=step, months=months)
    parts += _months(months, bottom + 15, left=left, step=step)
    parts += _legend(_told(rows, language), bottom + 30, left if size == "wide" else 4, width)
    return "".join([*parts, "</svg>"]).encode()


def _row(row: Row, y: int, *, left: int, step: float) -> list[str]:
    """A row's name and its months, those of one colour side by side as one stripe: the grid parts them."""
    name = escape(_cut(row.name, left - 10))
    found = [f'<text x="{left - 6}" y="{y + 12}" text-anchor="end">{name}<title>{escape(row.name)}</title></text>']
    place = 0
    for colour, group in groupby(row.shares, _colour):
        months = len(list(group))
        x, wide = left + step * place, step * months
        found.append(
            f'<rect class="cells" x="{x:.1f}" y="{y}" width="{wide:.1f}" height="{HEIGHT - 1}" fill="{colour}"/>'
        )
        place += months
    return found


def _grid(months: int, *, left: int, step: float, bottom: int) -> str:
    lines = "".join(f"M{left + step * place:.1f} {TOP}V{bottom}" for place in range(1, months))
    return f'<path d="{lines}" stroke="#fff"/>' if lines else ""


def _holes(row: Row, y: int, *, left: int, step: float, months: Sequence[str]) -> list[str]:
    found = []
    for place in sorted(row.holes):
        share = row.shares[place]
        ink = "#fff" if share is not None and share < 0.25 else INK
        found.append(
            f'<text class="hole" x="{left + step * (place + 0.5):.1f}" y="{y + 13}" text-anchor="middle" '
            f'font-size="15" font-weight="700" fill="{ink}">×<title>{escape(months[place])}</title></text>'
        )
    return found


def _colour(share: float | None) -> str:
    return BLANK if share is None else next(colour for most, colour, _ in STEPS if share <= most)


def _months(months: Sequence[str], y: float, *, left: int, step: float) -> list[str]:
    """The first, the middle and the last month, each below its column; two where there is little room."""
    last = len(months) - 1
    shown = {0: "start", last // 2: "middle", last: "end"} if step * len(months) > 400 else {0: "start", last: "end"}
    at = {"start": 0.0, "middle": 0.5, "end": 1.0}
    return [
        f'<text x="{round(left + step * (place + at[anchor]), 1)}" y="{y}" text-anchor="{anchor}">'
        f"{escape(months[place])}</text>"
        for place, anchor in shown.items()
    ]


def _told(rows: Sequence[Row], language: str) -> list[tuple[str, str, str]]:
    """What stands in the legend: colour, mark and text; of blanks and holes only where there are any."""
    told = [(colour, "", say(key, language)) for _, colour, key in STEPS]
    if any(share is None for row in rows for share in row.shares):
        told.append((BLANK, "", say("heat_blank", language)))
    if any(row.holes for row in rows):
        told.append(("#fff", "×", say("heat_hole", language)))
    return told


def _legend(told: Sequence[tuple[str, str, str]], y: float, x: float, width: int) -> list[str]:
    """What each colour means, in as many lines as it takes."""
    found, begin = [], x
    for colour, mark, text in told:
        takes = 17 + _width(text) + 12
        if x + takes > width and x > begin:
            x, y = begin, y + 17
        found.append(f'<rect x="{x:.1f}" y="{y}" width="12" height="12" fill="{colour}" stroke="{LINE}"/>')
        if mark:
            found.append(f'<text x="{x + 6:.1f}" y="{y + 11}" text-anchor="middle" font-weight="700">{mark}</text>')
        found.append(f'<text x="{x + 17:.1f}" y="{y + 10.5}">{escape(text)}</text>')
        x += takes
    return found


def _width(text: str) -> float:
    """About how wide a text is at 12 pixels: Chinese signs are square."""
    return sum(12.0 if sign > "\u2e80" else 6.7 for sign in text)


def _cut(text: str, room: float) -> str:
    if _width(text) <= room:
        return text
    while _width(text) > room - 10:
        text = text[:-1]
    return f"{text.rstrip()}…"

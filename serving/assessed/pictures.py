"""The cockpit's pictures: index and three dimensions over twelve months, each against the peers' middle."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from features.late import Late
from serving.assessed.reading import Record
from serving.charts import ACCENT, FONT, MUTED, WIDTHS, _months, _svg, kept_picture
from serving.words import month_name, say

if TYPE_CHECKING:
    import altair as alt
else:
    alt = Late("altair")

Side = Literal["left", "right"]
WIDE, HIGH = 4, 0.4
"""So many months, and so much of half the picture's height, the word at the zero line covers."""
SCORES = ("index", "workload", "quality", "satisfaction")


def months_chart(rows: Sequence[Record], language: str, size: str = "wide") -> bytes:
    """Return four small pictures as SVG, of rows with ``month`` and SCORES; a month without a figure is a gap."""
    return _drawn([[row[key] for key in ("month", *SCORES)] for row in rows], language, size)


@kept_picture
def force_chart(rows: Sequence[Record], names: Mapping[str, str], language: str, size: str = "wide") -> bytes:
    """Return a small picture for each indicator of a post as SVG: twelve months of its mean, in its own unit.

    ``rows`` have ``indicator``, ``month`` and ``value``; ``names`` says the indicators.
    """
    width = 250 if size == "wide" else WIDTHS["narrow"]
    pictures = []
    for indicator in dict.fromkeys(row["indicator"] for row in rows):
        months = [row for row in rows if row["indicator"] == indicator]
        said = [month_name(pd.Timestamp(row["month"]).date(), language) for row in months]
        values = pd.Series([row["value"] for row in months], dtype="float64")
        table = pd.DataFrame({"month": said, "value": values})
        pictures.append(_level(table, said, title=names.get(indicator, indicator)).properties(width=width, height=90))
    return _svg(alt.concat(*pictures, columns=3 if size == "wide" else 1, spacing=22))


def _level(table: pd.DataFrame, names: list[str], *, title: str) -> Any:
    axis, scale = alt.Axis(tickCount=3), alt.Scale(zero=False, nice=True)
    return (
        alt.Chart(table, title=_title(title))
        .mark_line(strokeWidth=2.5, color=ACCENT, point=alt.OverlayMarkDef(color=ACCENT, size=30))
        .encode(x=_months(names, "month", "narrow"), y=alt.Y("value:Q", title=None, axis=axis, scale=scale))
    )


def _title(text: str) -> Any:
    return alt.TitleParams(text, anchor="start", fontSize=13, fontWeight=600)


@kept_picture
def _drawn(cells: Sequence[Sequence[Any]], language: str, size: str) -> bytes:
    rows = [dict(zip(("month", *SCORES), row, strict=True)) for row in cells]
    names = [month_name(pd.Timestamp(row["month"]).date(), language) for row in rows]
    reach = max((abs(row[score]) for row in rows for score in SCORES if row[score] is not None), default=1.0)
    width = 250 if size == "wide" else WIDTHS["narrow"]
    pictures = [
        _one(names, [row[score] for row in rows], title=say(f"score_{score}", language), reach=max(reach, 1.0),
             width=width, language=language)
        for score in SCORES
    ]  # fmt: skip
    return _svg(alt.concat(*pictures, columns=2 if size == "wide" else 1, spacing=22))


def _one(
    names: list[str], values: Sequence[float | None], *, title: str, reach: float, width: int, language: str
) -> Any:
    table = pd.DataFrame({"month": names, "value": values}).astype({"value": "float64"})
    x, scale = _months(names, "month", "narrow"), alt.Scale(domain=[-reach, reach])
    axis = alt.Axis(tickCount=3, format="+.1f")
    middle = alt.Chart(pd.DataFrame({"y": [0.0]})).mark_rule(color=MUTED, strokeDash=[4, 3]).encode(y="y:Q")
    align, above = freest(values, reach)
    note = (
        alt.Chart(pd.DataFrame({"y": [0.0], "text": [say("peers_line", language)]}))
        .mark_text(align=align, dy=-7 if above else 9, color=MUTED, fontSize=11, font=FONT)
        .encode(x=alt.value(width if align == "right" else 0), y="y:Q", text="text:N")
    )
    line = (
        alt.Chart(table, title=_title(title))
        .mark_line(strokeWidth=2.5, color=ACCENT, point=alt.OverlayMarkDef(color=ACCENT, size=30))
        .encode(x=x, y=alt.Y("value:Q", title=None, axis=axis, scale=scale))
    )
    return (line + middle + note).properties(width=width, height=100)


def freest(values: Sequence[float | None], reach: float) -> tuple[Side, bool]:
    """Return where beside the zero line a word covers least of a line: ``left`` or ``right``, and whether above it."""
    height = HIGH * reach

    def room(place: tuple[Side, bool]) -> float:
        near = values[-WIDE:] if place[0] == "right" else values[:WIDE]
        own = [value if place[1] else -value for value in near if value is not None]
        return min((max(-value, value - height) for value in own), default=height)

    places: list[tuple[Side, bool]] = [("right", False), ("right", True), ("left", False), ("left", True)]
    return max(places, key=room)

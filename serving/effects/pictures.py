"""The pictures of the effects page: estimates beside naive figures, an event study, figures followed over time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from features.late import Late
from serving.charts import ACCENT, DOWN, FONT, LINE, MUTED, UP, WIDTHS, _months, _svg, kept_picture
from serving.words import month_name, say

if TYPE_CHECKING:
    import altair as alt
else:
    alt = Late("altair")

BAND = "#cfe3e8"
HEIGHT = 46
"""Of one row of the overview."""


@dataclass(frozen=True)
class Estimate:
    """One row of the overview, in persons of a hundred; ``value`` is None where not estimable."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    naive: float | None


@kept_picture
def overview_chart(rows: Sequence[Estimate], language: str, size: str = "wide") -> bytes:
    """Return estimates with intervals as dots and lines, naive differences as hollow diamonds, as SVG."""
    table = pd.DataFrame([(row.label, row.value, row.low, row.high, row.naive) for row in rows],
                         columns=["label", "value", "low", "high", "naive"]).astype(
                             dict.fromkeys(("value", "low", "high", "naive"), "float64"))  # fmt: skip
    order, names = [row.label for row in rows], (say("effects_estimate", language), say("effects_naive", language))
    y = alt.Y("label:N", sort=order, title=None, axis=alt.Axis(labelLimit=300 if size == "wide" else 130, grid=False),
              scale=alt.Scale(domain=order))  # fmt: skip
    title = say("effects_axis", language)
    known = alt.Chart(table).transform_filter("isValid(datum.value)").encode(y=y)
    line = known.mark_rule(color=ACCENT, strokeWidth=2.5).encode(x=alt.X("low:Q", title=title), x2="high:Q")
    marks = pd.concat([table.assign(x=table["value"], kind=names[0]), table.assign(x=table["naive"], kind=names[1])])
    legend = alt.Legend(title=None, orient="bottom", labelLimit=300)
    dots = (
        alt.Chart(marks.dropna(subset=["x"]))
        .mark_point(size=90, strokeWidth=2, opacity=1)
        .encode(
            x=alt.X("x:Q", title=title, axis=alt.Axis(format="+.0f", tickCount=6)),
            y=y,
            shape=alt.Shape("kind:N", scale=alt.Scale(domain=list(names), range=["circle", "diamond"]), legend=legend),
            fill=alt.Fill("kind:N", scale=alt.Scale(domain=list(names), range=[ACCENT, "#ffffff"]), legend=legend),
            stroke=alt.Stroke("kind:N", scale=alt.Scale(domain=list(names), range=[ACCENT, UP]), legend=legend),
        )
    )
    zero = alt.Chart(pd.DataFrame({"x": [0.0]})).mark_rule(color=MUTED, strokeDash=[4, 3]).encode(x="x:Q")
    width = 470 if size == "wide" else 190
    return _svg((zero + line + dots).properties(width=width, height=max(60, HEIGHT * len(rows) // 2 + 20)))


@kept_picture
def study_chart(study: Mapping[str, Any], language: str, size: str = "wide") -> bytes:
    """Return an event study as SVG: change against those not yet reached, month by month, with its band."""
    index = study["outcome"] == "efficiency"
    scale = 1.0 if index else 100.0
    rows = [
        (point["month"], *(scale * point["effect"][key] for key in ("value", "low", "high")))
        for point in study["points"]
    ]
    table = pd.DataFrame(rows, columns=["month", "value", "low", "high"])
    title = say("effects_study_axis_index" if index else "effects_study_axis_events", language)
    base = alt.Chart(table).encode(x=alt.X("month:Q", title=None, axis=alt.Axis(format="+d", tickCount=7, grid=False)))
    band = base.mark_area(color=BAND).encode(y=alt.Y("low:Q", title=title), y2="high:Q")
    line = base.mark_line(color=ACCENT, strokeWidth=2.5, point=alt.OverlayMarkDef(color=ACCENT, size=30)).encode(
        y=alt.Y("value:Q", title=title, axis=alt.Axis(tickCount=5, format="+.1f"))
    )
    zero = alt.Chart(pd.DataFrame({"y": [0.0]})).mark_rule(color=MUTED, strokeDash=[4, 3]).encode(y="y:Q")
    start = alt.Chart(pd.DataFrame({"x": [-0.5]})).mark_rule(color=DOWN, strokeWidth=1.5).encode(x="x:Q")
    return _svg((band + zero + start + line).properties(width=WIDTHS[size], height=200))


@kept_picture
def tracked_chart(
    series: Sequence[tuple[str, Sequence[Any], Sequence[float | None]]], language: str, size: str
) -> bytes:
    """Return small pictures, one a figure: label, months, share; months withheld are gaps."""
    width = 270 if size == "wide" else WIDTHS["narrow"]
    pictures = [_one(label, months, shares, language=language, width=width) for label, months, shares in series]
    return _svg(alt.concat(*pictures, columns=2 if size == "wide" else 1, spacing=26))


def _one(label: str, months: Sequence[Any], shares: Sequence[float | None], *, language: str, width: int) -> Any:
    names = [month_name(month, language) for month in months]
    table = pd.DataFrame({"month": names, "share": shares}).astype({"share": "float64"})
    title = alt.TitleParams(_in_lines(label, 42 if language == "en" else 21), anchor="start", fontSize=13,
                            fontWeight=600, font=FONT)  # fmt: skip
    return (
        alt.Chart(table, title=title)
        .mark_line(color=ACCENT, strokeWidth=2, point=alt.OverlayMarkDef(color=ACCENT, size=16))
        .encode(
            x=_months(names, "month", "narrow"),
            y=alt.Y(
                "share:Q",
                title=None,
                axis=alt.Axis(format=".1%", tickCount=3, gridColor=LINE),
                scale=alt.Scale(domainMin=0),
            ),
        )
        .properties(width=width, height=100)
    )


def _in_lines(text: str, length: int) -> list[str]:
    """Break a long label where a word ends, or anywhere in Chinese."""
    if len(text) <= length:
        return [text]
    cut = text.rfind(" ", 0, length) if " " in text[:length] else length
    return [text[:cut], *_in_lines(text[cut:].strip(), length)]

"""The picture of what arrived: a row a series, a column a month, dark where it is as usual, a cross where a hole is."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.late import Late
from features.months import month_end, parse_month
from serving.arrivals.arrived import Counts, Hole
from serving.charts import ACCENT, FONT, LINE, UP, _svg
from serving.words import month_name, say

if TYPE_CHECKING:
    import altair as alt
else:
    alt = Late("altair")

MONTHS = {"wide": 36, "narrow": 12}
MOST = {"wide": 60, "narrow": 30}
SIZES = {"wide": (640, 16), "narrow": (180, 16)}


def arrived_chart(
    series: Sequence[tuple[str, Counts]],
    months: Sequence[str],
    *,
    holes: Sequence[Hole],
    labels: Mapping[str, str],
    language: str,
    size: str,
) -> bytes:
    """Return the heat map as SVG, the series in the order given, as many as are drawn."""
    shown = list(months)[-MONTHS[size] :]
    names = {month: month_name(month_end(parse_month(month)), language) for month in shown}
    order = [labels.get(key, key) for key, _ in series[: MOST[size]]]
    cells = pd.DataFrame(_cells(series[: MOST[size]], names, labels), columns=["series", "month", "share"])
    marked = {labels.get(key, key) for key, _ in series[: MOST[size]]}
    crosses = [(labels.get(hole.measure, hole.measure), names[hole.month]) for hole in holes if hole.month in names]
    crossed = pd.DataFrame([row for row in crosses if row[0] in marked], columns=["series", "month"], dtype=str)
    width, height = SIZES[size]
    written = [names[shown[place]] for place in sorted({0, (len(shown) - 1) // 2, len(shown) - 1})]
    axis = alt.Axis(
        values=written if size == "wide" else written[::2], labelAngle=0, title=None, labelFlush=True, labelBound=True
    )
    limit = 180 if size == "wide" else 104
    x = alt.X("month:N", sort=list(names.values()), axis=axis, scale=alt.Scale(domain=list(names.values())))
    y = alt.Y("series:N", sort=order, title=None, axis=alt.Axis(labelLimit=limit), scale=alt.Scale(domain=order))
    colours = alt.Scale(domain=[0, 1, 1.5], range=["#e8f0f2", ACCENT, "#062e38"], clamp=True)
    legend = alt.Legend(title=say("arrivals_scale", language), format=".0%", values=[0.1, 0.5, 1, 1.5], titleFont=FONT,
                        orient="bottom", type="symbol", symbolType="square")  # fmt: skip
    ground = alt.Chart(cells).mark_rect(stroke=LINE, strokeWidth=0.5)
    heat = ground.encode(x=x, y=y, color=alt.Color("share:Q", scale=colours, legend=legend))
    mark = alt.Chart(crossed).mark_text(text="×", color=UP, fontSize=15, fontWeight=700).encode(x=x, y=y)
    return _svg((heat + mark).properties(width=width, height=height * max(1, len(order))))


def _cells(
    series: Sequence[tuple[str, Counts]], names: Mapping[str, str], labels: Mapping[str, str]
) -> list[tuple[str, str, float]]:
    cells = []
    for key, rows in series:
        some = rows[rows > 0]
        usual = float(np.median(some)) if len(some) else 1.0
        last = rows[-len(names) :]
        cells += [
            (labels.get(key, key), month, min(value / usual, 1.5))
            for month, value in zip(names.values(), last.tolist(), strict=True)
            if value
        ]
    return cells

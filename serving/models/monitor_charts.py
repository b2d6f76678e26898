"""The monitor's picture: what arrived of each measure, month by month, against what is usual for it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from features.late import Late
from features.months import month_end, parse_month
from serving.charts import ACCENT, FONT, LINE, _svg
from serving.words import month_name, say

if TYPE_CHECKING:
    import altair as alt
else:
    alt = Late("altair")

MOST = {"wide": 40, "narrow": 24}
MONTHS = {"wide": 24, "narrow": 9}
SIZES = {"wide": (620, 17), "narrow": (170, 17)}


def arrivals_chart(
    arrivals: Sequence[Mapping[str, Any]], months: Sequence[str], labels: Mapping[str, Any], language: str, size: str
) -> bytes:
    """Return a heatmap as SVG: a row a measure, in the order given, a column a month; empty where nothing came."""
    shown = list(months)[-MONTHS[size] :]
    names = [month_name(month_end(parse_month(month)), language) for month in shown]
    cells = []
    for row in list(arrivals)[: MOST[size]]:
        share = against_usual(row["rows"])[-len(shown) :]
        label = labels.get(row["measure"], {}).get(language, row["measure"])
        cells += [(label, name, min(value, 1.5)) for name, value in zip(names, share, strict=True) if value > 0]
    table = pd.DataFrame(cells, columns=["measure", "month", "share"])
    width, height = SIZES[size]
    order = list(dict.fromkeys(table["measure"]))
    written = [names[i] for i in sorted({0, (len(names) - 1) // 2 if size == "wide" else 0, len(names) - 1})]
    colours = alt.Scale(domain=[0, 1, 1.5], range=["#e8f0f2", ACCENT, "#062e38"])
    legend = alt.Legend(title=say("monitor_arrivals_scale", language), format=".0%", values=[0.25, 0.5, 1, 1.5],
                        titleFont=FONT, orient="bottom", type="symbol", symbolType="square")  # fmt: skip
    axis = alt.Axis(values=written, labelAngle=0, title=None, labelFlush=True, labelBound=True)
    chart = (
        alt.Chart(table)
        .mark_rect(stroke=LINE, strokeWidth=0.5)
        .encode(
            x=alt.X("month:N", sort=names, axis=axis, scale=alt.Scale(domain=names)),
            y=alt.Y("measure:N", sort=order, title=None, axis=alt.Axis(labelLimit=170 if size == "wide" else 110)),
            color=alt.Color("share:Q", scale=colours, legend=legend),
        )
        .properties(width=width, height=height * max(1, len(order)))
    )
    return _svg(chart)


def against_usual(rows: Sequence[int]) -> list[float]:
    """Return each month's rows as a share of the median month that had any."""
    some = [value for value in rows if value > 0]
    usual = float(np.median(some)) if some else 1.0
    return [value / usual for value in rows]

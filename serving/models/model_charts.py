"""The picture of a model's page: what was predicted against what came, in bins of equal counts."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from features.late import Late
from serving.charts import ACCENT, MUTED, WIDTHS, _svg, kept_picture
from serving.words import say

if TYPE_CHECKING:
    import altair as alt
else:
    alt = Late("altair")


@kept_picture
def calibration_chart(bins: Sequence[Mapping[str, Any]], language: str, size: str = "wide") -> bytes:
    """Return mean probability against the share with the outcome as SVG, each bin with its 90 % interval."""
    table = pd.DataFrame([{key: one[key] for key in ("mean", "share", "low", "high")} for one in bins])
    most = float(max(table["mean"].max(), table["high"].fillna(table["share"]).max())) * 1.05
    scale = alt.Scale(domain=[0, most], nice=False)
    axis, came = alt.Axis(format=".0%", tickCount=5), say("model_came", language)
    right = alt.Chart(pd.DataFrame({"x": [0.0, most], "y": [0.0, most]})).mark_line(color=MUTED, strokeDash=[5, 4])
    base = alt.Chart(table).encode(
        x=alt.X("mean:Q", title=say("model_predicted", language), scale=scale, axis=axis),
        y=alt.Y("share:Q", title=came, scale=scale, axis=axis),
    )
    spread = base.mark_rule(color=ACCENT, strokeWidth=1.5).encode(
        y=alt.Y("low:Q", title=came, scale=scale, axis=axis), y2="high:Q"
    )
    points = base.mark_point(color=ACCENT, filled=True, size=55)
    diagonal = right.encode(x=alt.X("x:Q", scale=scale), y=alt.Y("y:Q", title=came, scale=scale))
    width = min(420, WIDTHS[size])
    return _svg((diagonal + spread + points).properties(width=width, height=0.75 * width))

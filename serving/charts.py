"""Pictures as SVG, made on the server and offline with Altair and vl-convert."""

import datetime as dt
import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from features.late import Late
from serving.scored.kept import Newest
from serving.words import month_name, say

if TYPE_CHECKING:
    import altair as alt
    import vl_convert
else:
    alt = Late("altair")
    vl_convert = Late("vl_convert")

INK, MUTED, LINE, ACCENT, UP, UP_SOFT, DOWN = (
    "#1b2430", "#4f5a68", "#dfe4ea", "#0f5c6e", "#a8402c", "#f0d3cb", "#2f6f4f"
)  # fmt: skip
FONT = "Noto Sans CJK SC, Noto Sans SC, Microsoft YaHei, PingFang SC, sans-serif"
WIDTHS = {"wide": 560, "narrow": 280}
KEPT = 512
"""So many pictures are kept, each some 5 to 100 kB: making one takes 60 to 400 ms."""
_pictures: Newest[bytes] = Newest(KEPT)


@dataclass(frozen=True)
class RiskPoint:
    """A risk at a month, with its interval."""

    as_of: Any
    probability: float
    low: float
    high: float
    mean: float
    whose: str
    """Whose mean it is, as a key of words."""


@dataclass(frozen=True)
class Series:
    """A measure month by month: the person's values and the post's median, None where unknown."""

    label: str
    months: Sequence[Any]
    values: Sequence[float | None]
    medians: Sequence[float | None]


@dataclass(frozen=True)
class Event:
    """Something that happened on a day, in a lane of the picture."""

    day: dt.date
    lane: str
    label: str


def kept_picture(draw: Callable[..., bytes]) -> Callable[..., bytes]:
    """Keep the last pictures of a function by all that it is given (plain values and frozen dataclasses)."""

    @functools.wraps(draw)
    def kept(*given: Any, **named: Any) -> bytes:
        key = draw.__module__, draw.__qualname__, json.dumps([given, named], default=repr)
        return _pictures.of(key, lambda: draw(*given, **named))

    return kept


@kept_picture
def risk_chart(points: Sequence[RiskPoint], language: str, size: str = "wide") -> bytes:
    """Return the risk over the scored months with its interval and the average beside it, as SVG."""
    rows = [
        (i, month_name(point.as_of, language), point.probability, point.low, point.high, point.mean)
        for i, point in enumerate(points)
    ]
    table = pd.DataFrame(rows, columns=["order", "month", "p", "low", "high", "mean"])
    base = alt.Chart(table).encode(x=_months(list(table["month"]), "month", size))
    y = alt.Y("p:Q", title=None, axis=alt.Axis(format=".0%", tickCount=4), scale=alt.Scale(domainMin=0))
    band = base.mark_area(color=UP_SOFT, opacity=0.9).encode(y=alt.Y("low:Q", title=None), y2="high:Q")
    line = base.mark_line(color=UP, strokeWidth=2.5, point=alt.OverlayMarkDef(color=UP, size=36)).encode(y=y)
    mean = base.mark_line(color=DOWN, strokeDash=[5, 4], strokeWidth=1.5).encode(y="mean:Q")
    last = table.tail(1)
    words = f"{say(points[-1].whose, language)} {last['mean'].iloc[0]:.0%}"
    note = (
        alt.Chart(last.assign(text=words))
        .mark_text(align="right", dy=-8, color=DOWN, fontSize=12, font=FONT)
        .encode(x=alt.X("month:N", sort=None), y="mean:Q", text="text:N")
    )
    return _svg((band + line + mean + note).properties(width=WIDTHS[size], height=150))


@kept_picture
def history_chart(series: Sequence[Series], language: str, size: str = "wide") -> bytes:
    """Return small pictures, one a measure: the person against the post's median, as SVG."""
    columns = 3 if size == "wide" else 1
    width = 260 if size == "wide" else WIDTHS["narrow"]
    pictures = [_one_history(each, language, width) for each in series]
    return _svg(alt.concat(*pictures, columns=columns, spacing=22))


@kept_picture
def timeline_chart(
    events: Sequence[Event], order: Sequence[str], span: tuple[dt.date, dt.date], size: str = "wide"
) -> bytes:
    """Return events as marks on a line of time, one lane a kind, as SVG; ``span`` is the first and last day drawn."""
    table = pd.DataFrame(
        [(pd.Timestamp(event.day), event.lane, event.label) for event in events], columns=["day", "lane", "label"]
    )
    days = [alt.DateTime(year=day.year, month=day.month, date=day.day) for day in span]
    axis = alt.Axis(format="%Y-%m", tickCount=6 if size == "wide" else 3, title=None, labelAngle=0, labelFlush=True)
    lanes = alt.Axis(title=None, labelFontSize=12, labelLimit=110)
    chart = (
        alt.Chart(table)
        .mark_point(filled=True, size=70, opacity=0.55, color=ACCENT)
        .encode(
            x=alt.X("day:T", axis=axis, scale=alt.Scale(domain=days)),
            y=alt.Y("lane:N", sort=list(order), axis=lanes),
            tooltip=["label:N"],
        )
        .properties(width=WIDTHS[size] + (120 if size == "wide" else -40), height=28 * len(order))
    )
    return _svg(chart)


def _one_history(series: Series, language: str, width: int) -> Any:
    names = [month_name(month, language) for month in series.months]
    own, middle = say("own", language), say("peers", language)
    rows = [(name, own, value) for name, value in zip(names, series.values, strict=True)]
    rows += [(name, middle, value) for name, value in zip(names, series.medians, strict=True)]
    table = pd.DataFrame(rows, columns=["month", "who", "value"])
    colours = alt.Scale(domain=[own, middle], range=[ACCENT, MUTED])
    dashes = alt.Scale(domain=[own, middle], range=[[1, 0], [4, 3]])
    legend = alt.Legend(title=None, orient="bottom", symbolType="stroke", labelFontSize=12)
    return (
        alt.Chart(table, title=alt.TitleParams(series.label, anchor="start", fontSize=13, fontWeight=600))
        .mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=16))
        .encode(
            x=_months(names, "month", "narrow"),
            y=alt.Y("value:Q", title=None, axis=alt.Axis(tickCount=3), scale=alt.Scale(zero=True)),
            color=alt.Color("who:N", scale=colours, legend=legend),
            strokeDash=alt.StrokeDash("who:N", scale=dashes, legend=legend),
        )
        .properties(width=width, height=90)
    )


def _months(names: list[str], field: str, size: str) -> Any:
    """The months from left to right; only the first, the middle and the last are written."""
    shown = sorted({0, len(names) - 1} | ({(len(names) - 1) // 2} if size == "wide" else set()))
    axis = alt.Axis(
        values=[names[i] for i in shown], labelAngle=0, title=None, labelBound=True, labelFlush=True, offset=6
    )
    return alt.X(f"{field}:N", sort=names, axis=axis, scale=alt.Scale(type="point", padding=0.1))


def _svg(chart: Any) -> bytes:
    text = {"labelFont": FONT, "titleFont": FONT, "labelFontSize": 12, "labelColor": MUTED, "titleColor": INK}
    styled = chart.configure(font=FONT, background="transparent").configure_view(strokeWidth=0)
    styled = styled.configure_axis(**text, gridColor=LINE, domain=False, ticks=False, labelPadding=6)
    styled = styled.configure_legend(labelFont=FONT, labelColor=MUTED).configure_title(font=FONT, color=INK)
    # Vega fetches nothing: no base URL is allowed
    picture: str = vl_convert.vegalite_to_svg(styled.to_json(indent=None), allowed_base_urls=[])
    return picture.encode()

"""The pictures of a model card as SVG text, drawn offline with Altair and vl-convert from a card's plain values."""

import functools
import itertools
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from features.late import Late
from training.judging.metrics import MODEL

if TYPE_CHECKING:
    import altair as alt
    import vl_convert
else:
    alt = Late("altair")
    vl_convert = Late("vl_convert")

Card = Mapping[str, Any]

INK, MUTED, LINE, ACCENT, SOFT, WARM = "#1b2430", "#4f5a68", "#dfe4ea", "#0f5c6e", "#bcd6db", "#a8402c"
RIVALS = ("#a8402c", "#7a5600", "#2f6f4f", "#6b4c9a", "#4f5a68", "#a3457f")
DASHES = ([6, 3], [2, 3], [8, 3, 2, 3], [4, 4], [1, 2], [10, 4])
FONT = "Noto Sans CJK SC, Noto Sans SC, Microsoft YaHei, PingFang SC, sans-serif"
WIDTH = 330
ROW = 20
NAMES = {
    "lightgbm": "模型 model",
    "rule": "规则 rule",
    "count_12m": "12 个月计数 count",
    "count_36m": "36 个月计数 count",
    "slope_6m": "6 个月趋势 slope",
    "logistic_regression": "逻辑回归 logistic",
    "random_forest": "随机森林 forest",
}


def folds_picture(folds: Sequence[Card]) -> str:
    """Return the folds in time: training months, the embargo, and the test months."""
    bars, tests = [], []
    for number, fold in enumerate(folds, 1):
        row = f"第 {number} 折 fold {number}"
        first, last = (pd.Timestamp(f"{fold[key]}-01") for key in ("train_from", "train_to"))
        bars += [
            (row, first, _after(last), "训练 training"),
            (row, _after(last), _month(fold["test"][0]), "间隔 embargo"),
        ]
        tests += [(row, _month(month) + pd.Timedelta(days=14), "测试 test") for month in fold["test"]]
    kinds = ["训练 training", "间隔 embargo", "测试 test"]
    colour = alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=[ACCENT, LINE, WARM]), legend=_legend("square"))
    y = alt.Y("row:N", title=None, sort=None)
    held = alt.Chart(pd.DataFrame(bars, columns=["row", "from", "to", "kind"]))
    time = alt.X("from:T", title=None, axis=alt.Axis(format="%Y-%m", tickCount=4, labelFlush=True))
    spans = held.mark_bar(height=14).encode(x=time, x2="to:T", y=y, color=colour)
    judged = alt.Chart(pd.DataFrame(tests, columns=["row", "from", "kind"]))
    points = judged.mark_point(filled=True, size=70, shape="diamond", opacity=1).encode(x="from:T", y=y, color=colour)
    return _svg((spans + points).properties(width=WIDTH - 40, height=30 * len(folds)))


def calibration_picture(bins: Sequence[Card]) -> str:
    """Return mean probability against the share with the outcome, bin by bin, with intervals and the diagonal."""
    table = pd.DataFrame(bins)
    most = 1.05 * float(table[["mean", "share", "high"]].max().max()) or 1.0
    scale = alt.Scale(domain=[0, most], nice=False)
    x = alt.X("mean:Q", title="模型概率 probability by the model", scale=scale, axis=_percent())
    y = alt.Y("share:Q", title="实际比例 share with the outcome", scale=scale, axis=_percent())
    even = alt.Chart(pd.DataFrame({"mean": [0, most], "share": [0, most]})).mark_line(color=MUTED, strokeDash=[4, 4])
    base = alt.Chart(table)
    bars = base.mark_rule(color=ACCENT, strokeWidth=2.5, opacity=0.45).encode(
        x=x, y=alt.Y("low:Q", scale=scale), y2="high:Q"
    )
    points = base.mark_point(filled=True, size=60, color=ACCENT, opacity=1).encode(x=x, y=y)
    return _svg((even.encode(x=x, y=y) + bars + points).properties(width=WIDTH, height=250))


def length_picture(curves: Card) -> str:
    """Return precision by length of the list for every contender; the model's with its interval."""
    percent = curves["percent"]
    rows = [
        (NAMES.get(name, name), length, value)
        for name, values in curves["contenders"].items()
        for length, value in zip(percent, values, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["who", "length", "value"])
    band = pd.DataFrame(
        {
            "length": percent,
            "low": [low for low, _ in curves["interval"]],
            "high": [high for _, high in curves["interval"]],
        }
    )
    x = alt.X(
        "length:Q",
        title="名单长度（占在岗人数） length of the list, % of the cohort",
        scale=alt.Scale(domain=[0, percent[-1]]),
    )
    y = alt.Y("value:Q", title="精度 precision", axis=_percent(), scale=alt.Scale(domainMin=0))
    area = alt.Chart(band).mark_area(color=SOFT, opacity=0.6).encode(x=x, y=alt.Y("low:Q"), y2="high:Q")
    lines = alt.Chart(table).mark_line(strokeWidth=2).encode(x=x, y=y, **_contenders(curves["contenders"]))
    place = alt.Chart(pd.DataFrame({"length": [curves["capacity_percent"]], "text": ["名单 list"]}))
    capacity = place.mark_rule(color=INK, strokeDash=[3, 3]).encode(x="length:Q")
    note = place.mark_text(align="left", dx=4, y=8, color=INK, font=FONT, fontSize=12).encode(
        x="length:Q", text="text:N"
    )
    return _svg((area + lines + capacity + note).properties(width=WIDTH, height=230))


def months_picture(months: Card) -> str:
    """Return every contender's average precision at each test month."""
    rows = [(NAMES.get(name, name), month, value) for name, row in months.items() for month, value in row.items()]
    table = pd.DataFrame(rows, columns=["who", "month", "value"])
    labels = sorted(set(table["month"]))
    shown = labels if len(labels) <= 4 else [labels[0], labels[len(labels) // 2], labels[-1]]
    axis = alt.Axis(values=shown, labelAngle=0, title=None, labelOverlap=False)
    x = alt.X("month:N", sort=labels, axis=axis, scale=alt.Scale(type="point", padding=0.3))
    y = alt.Y("value:Q", title="平均精度 average precision", scale=alt.Scale(domainMin=0))
    lines = alt.Chart(table).mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=22))
    return _svg(lines.encode(x=x, y=y, **_contenders(months)).properties(width=WIDTH, height=230))


def reasons_picture(groups: Sequence[Card]) -> str:
    """Return the mean absolute contribution of each group as a bar, and where most persons' contributions lie."""
    table = pd.DataFrame([{**group, "name": short(group["label"])} for group in groups])
    y = alt.Y("name:N", sort=list(table["name"]), title=None, axis=_wide())
    x = alt.X("mean_absolute:Q", title="对数几率 log-odds", axis=alt.Axis(tickCount=5))
    base = alt.Chart(table)
    bars = base.mark_bar(color=SOFT, height=12).encode(x=x, y=y)
    spread = base.mark_rule(color=ACCENT, strokeWidth=2).encode(x=alt.X("low:Q"), x2="high:Q", y=y)
    middle = base.mark_tick(color=ACCENT, thickness=3, height=10).encode(x=alt.X("median:Q"), y=y)
    return _svg((_zero() + bars + spread + middle).properties(width=WIDTH - 90, height=ROW * len(table)))


def interval_picture(rows: Sequence[tuple[str, float, float, float]], title: str, *, percent: bool = False) -> str:
    """Return a point with its interval for each row (name, value, low, high); a line at zero unless ``percent``."""
    table = pd.DataFrame(rows, columns=["name", "value", "low", "high"])
    y = alt.Y("name:N", sort=list(table["name"]), title=None, axis=_wide())
    base = alt.Chart(table)
    axis = alt.Axis(tickCount=5, format=".0%" if percent else "+.2f")
    bars = base.mark_rule(color=ACCENT, strokeWidth=2, opacity=0.6).encode(
        x=alt.X("low:Q", title=title, axis=axis), x2="high:Q", y=y
    )
    points = base.mark_point(filled=True, size=55, color=ACCENT, opacity=1).encode(x=alt.X("value:Q"), y=y)
    drawn = bars + points if percent else _zero() + bars + points
    return _svg(drawn.properties(width=WIDTH - 90, height=ROW * len(table)))


def _contenders(held: Mapping[str, Any]) -> dict[str, Any]:
    """Colour and dash of the contenders: the model is the one unbroken line."""
    names = [NAMES.get(name, name) for name in held]
    colours = [ACCENT if name == MODEL else RIVALS[number % len(RIVALS)] for number, name in enumerate(held)]
    dashes = [[1, 0] if name == MODEL else list(DASHES[number % len(DASHES)]) for number, name in enumerate(held)]
    legend = _legend()
    return {
        "color": alt.Color("who:N", scale=alt.Scale(domain=names, range=colours), legend=legend),
        "strokeDash": alt.StrokeDash("who:N", scale=alt.Scale(domain=names, range=dashes), legend=legend),
    }


def _legend(symbol: str = "stroke") -> Any:
    return alt.Legend(
        title=None, orient="bottom", columns=3, symbolType=symbol, symbolStrokeWidth=2, labelFontSize=11, labelLimit=120
    )


def _percent() -> Any:
    return alt.Axis(format=".0%", tickCount=5)


def _wide() -> Any:
    return alt.Axis(labelLimit=0, labelFontSize=11)


def _zero() -> Any:
    return alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=MUTED).encode(x=alt.X("zero:Q"))


def short(label: Mapping[str, str], columns: int = 30) -> str:
    """Return a label in both languages, cut to so many columns of print: Vega's own cutting takes half a second."""
    text = label["zh"] if label["zh"] == label["en"] else f"{label['zh']} {label['en']}"
    widths = itertools.accumulate(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)
    kept = sum(width < columns for width in widths)
    return text if kept >= len(text) - 1 else f"{text[:kept].rstrip()}…"


def _month(text: str) -> pd.Timestamp:
    return pd.Timestamp(f"{text}-01")


def _after(month: pd.Timestamp) -> pd.Timestamp:
    return month + pd.DateOffset(months=1)


def _svg(chart: Any) -> str:
    text = {"labelFont": FONT, "titleFont": FONT, "labelColor": MUTED, "titleColor": MUTED, "titleFontWeight": "normal"}
    styled = chart.configure(font=FONT, background="transparent", padding=2).configure_view(strokeWidth=0)
    styled = styled.configure_axis(**text, titleFontSize=11, gridColor=LINE, domain=False, ticks=False, labelPadding=5)
    return _rendered(styled.configure_legend(labelFont=FONT, labelColor=INK).to_json(indent=None, validate=False))


@functools.lru_cache(maxsize=64)
def _rendered(specification: str) -> str:
    """Drawing takes some 50 ms, so the last pictures are kept; Vega fetches nothing (no base URL allowed).

    The size is taken off, so that a picture fits its column.
    """
    drawn: str = vl_convert.vegalite_to_svg(specification, allowed_base_urls=[])
    head, body = drawn.split(">", 1)
    width, height = re.findall(r'(?:width|height)="([\d.]+)"', head)
    return (
        f'<svg viewBox="0 0 {width} {height}" style="max-width:{float(width) * 1.25:.0f}px" aria-hidden="true">{body}'
    )

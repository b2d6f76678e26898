"""The pictures of a model card with their words: what each shows, what to see in it, the numbers behind it."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from features.texts import Text
from training.cards.pictures import (
    NAMES,
    calibration_picture,
    folds_picture,
    interval_picture,
    length_picture,
    months_picture,
    reasons_picture,
    short,
)
from training.judging.groups import LABELS
from training.judging.metrics import MODEL, RULE

Card = Mapping[str, Any]

MOST_DRAWN = 24
"""Groups beyond so many are told in the table alone, units first."""


@dataclass(frozen=True)
class Picture:
    """A picture with its words: what it shows, what to see in it, and the numbers behind it."""

    title: Text
    told: Text
    svg: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def captioned(card: Card) -> Iterator[tuple[str, Picture]]:
    """Return the pictures for which the card holds something, by the name that the page calls them."""
    curves = card.get("curves", {})
    parts: dict[str, tuple[Any, Callable[[Any], Picture]]] = {
        "folds": (card.get("folds"), _folds),
        "length": (curves.get("precision_by_length"), _length),
        "months": (card.get("average_precision_by_month"), _months),
        "calibration": (curves.get("calibration"), _calibration),
        "reasons": ((card.get("reasons_overall") or {}).get("groups"), _reasons),
        "ablation": (card.get("ablation"), _ablation),
        "fairness_calibration": (_judged(card, "calibration"), functools.partial(_fair_calibration, card)),
        "fairness_missed": (_judged(card, "missed"), functools.partial(_fair_missed, card)),
    }
    yield from ((key, draw(given)) for key, (given, draw) in parts.items() if given)


def _folds(folds: Sequence[Card]) -> Picture:
    keys = ("train_from", "train_to", "embargo_months", "train_rows", "test_rows", "test_positives")
    return Picture(
        Text(zh="时间折", en="Folds in time"),
        Text(
            zh="每一折只用更早的月份训练，隔开整个预测期，再用之后的月份检验。",
            en=f"{len(folds)} folds: each is trained on earlier months only and tested on later ones, with an embargo "
            f"of {folds[0]['embargo_months']} months between.",
        ),
        folds_picture(folds),
        ("fold", "trained from", "to", "embargo, months", "training rows", "test rows", "with the outcome", "tested"),
        tuple((f"{n}", *(f"{fold[key]}" for key in keys), ", ".join(fold["test"])) for n, fold in enumerate(folds, 1)),
    )


def _length(curves: Card) -> Picture:
    contenders, percent = curves["contenders"], curves["percent"]
    at = min(range(len(percent)), key=lambda place: abs(percent[place] - curves["capacity_percent"]))
    mine = contenders[MODEL][at]
    others = ", ".join(f"{NAMES.get(name, name)} {row[at]:.0%}" for name, row in contenders.items() if name != MODEL)
    return Picture(
        Text(zh="名单越长，精度如何变化", en="Precision by length of the list, against rivals"),
        Text(
            zh=f"名单长度为 {percent[at]:g}% 时，模型精度 {mine:.0%}，基础发生率 {curves['base_rate']:.1%}。",
            en=f"On a list of {percent[at]:g} % of the cohort {mine:.0%} had the outcome ({others}); among everyone "
            f"{curves['base_rate']:.1%}. The band is the model's 90 % interval.",
        ),
        length_picture(curves),
        ("list, %", *(NAMES.get(name, name) for name in contenders), "model, 90 % interval"),
        tuple(
            (
                f"{length:g}",
                *(f"{row[place]:.3f}" for row in contenders.values()),
                interval_text(curves["interval"][place]),
            )
            for place, length in enumerate(percent)
        ),
    )


def _months(months: Card) -> Picture:
    mine = {month: value for month, value in months.get(MODEL, {}).items() if value is not None}
    labels = sorted({month for row in months.values() for month in row})
    ahead = sum(value > months.get(RULE, {}).get(month, math.inf) for month, value in mine.items())
    return Picture(
        Text(zh="各月平均精度", en="Average precision by month"),
        Text(
            zh=f"{len(mine)} 个检验月份中，模型有 {ahead} 个月高于规则。",
            en=f"The model is above the rule in {ahead} of {len(mine)} test months.",
        ),
        months_picture(months),
        ("month", *(NAMES.get(name, name) for name in months)),
        tuple((month, *(number_text(row.get(month)) for row in months.values())) for month in labels),
    )


def _calibration(bins: Sequence[Card]) -> Picture:
    inside = sum(one["low"] <= one["mean"] <= one["high"] for one in bins)
    return Picture(
        Text(zh="校准曲线", en="Calibration curve"),
        Text(
            zh=f"按概率分成 {len(bins)} 组，{inside} 组的平均概率落在实际比例的 90% 区间内；虚线表示完全相符。",
            en=f"In {inside} of {len(bins)} bins of equal counts the mean probability lies inside the 90 % interval of "
            "the share that had the outcome; on the dashed line both agree.",
        ),
        calibration_picture(bins),
        ("mean probability", "share with the outcome", "90 % interval", "rows"),
        tuple(
            (f"{one['mean']:.3f}", f"{one['share']:.3f}", interval_text((one["low"], one["high"])), f"{one['rows']:,}")
            for one in bins
        ),
    )


def _reasons(groups: Sequence[Card]) -> Picture:
    first = groups[0]["label"]
    return Picture(
        Text(zh="总体理由", en="Reasons overall"),
        Text(
            zh=f"平均影响最大的是“{first['zh']}”。条为平均绝对值，线为八成的人所在范围，竖标为中位数；因人而异。",
            en=f"'{first['en']}' moves scores most. The bar is the mean size over persons, the line holds 80 % of "
            "them, the tick is the median: the same measure raises the risk of some and lowers that of others.",
        ),
        reasons_picture(groups),
        ("measure", "mean size", "10 % point", "median", "90 % point", "raised for"),
        tuple(
            (
                short(group["label"], 60),
                *(f"{group[key]:+.3f}" for key in ("mean_absolute", "low", "median", "high")),
                f"{group['share_raised']:.0%}",
            )
            for group in groups
        ),
    )


def _ablation(found: Card) -> Picture:
    previous = [found["previous"]] if found["previous"] else []
    parts = [*found["parts"].values(), *previous]
    rows = [(short(part["label"]), *part["brings"]) for part in parts]
    return Picture(
        Text(zh="各方面带来什么", en="What each part of the inputs brings"),
        Text(
            zh="去掉该部分重新训练后损失的平均精度；跨过零线的区间表示看不出差别。最后一行：不用既往结果、健康数据和问卷。",
            en=f"Average precision {found['whole'][0]:.3f} with all inputs, less that of a refit without the part; an "
            "interval across zero shows no difference. Intervals (90 %, paired over officers) do not cover the chance "
            "of fitting. Last: without the previous outcome, health data and surveys.",
        ),
        interval_picture(rows, "损失的平均精度 average precision lost without it"),
        ("part", "inputs", "brings", "90 % interval"),
        tuple(
            (
                short(part["label"], 60),
                f"{part['inputs']}",
                signed_text(part["brings"][0]),
                interval_text(part["brings"][1:], signed=True),
            )
            for part in parts
        ),
    )


def _judged(card: Card, figure: str) -> list[Card]:
    """The groups with enough persons and outcomes to be judged; of units only while they are few."""
    groups = [each for each in (card.get("fairness") or {}).get("groups", []) if each["state"] == "judged"]
    groups = [each for each in groups if each[figure][0] is not None]
    return (
        groups if len(groups) <= MOST_DRAWN else [each for each in groups if each["dimension"] != "unit"][:MOST_DRAWN]
    )


def _fair_calibration(card: Card, groups: Sequence[Card]) -> Picture:
    told = Text(
        zh="平均概率减去实际比例：零线右侧为高估，左侧为低估。",
        en="Mean probability less the share with the outcome, by group: right of zero its risk is overstated.",
    )
    return _fair(_named(card, groups), "calibration", (Text(zh="分组校准", en="Calibration by group"), told))


def _fair_missed(card: Card, groups: Sequence[Card]) -> Picture:
    told = Text(
        zh="出现该结果却不在名单上的比例；名单短，所以各组都高，要看的是组间差别。",
        en="Share of persons with the outcome who were not on the list (false-negative rate), by group. A list is "
        "short, so it is high everywhere: what matters is how groups differ.",
    )
    return _fair(_named(card, groups), "missed", (Text(zh="分组漏报率", en="Missed, by group"), told))


def _named(card: Card, groups: Sequence[Card]) -> list[tuple[str, Card]]:
    return [(f"{dimension_label(each)} · {group_name(card, each)}", each) for each in groups]


def _fair(groups: Sequence[tuple[str, Card]], figure: str, words: tuple[Text, Text]) -> Picture:
    rows = [(name, *each[figure]) for name, each in groups]
    signed, said = figure == "calibration", signed_text if figure == "calibration" else number_text
    return Picture(
        *words,
        interval_picture(rows, f"{words[0].zh} {words[0].en.lower()}", percent=not signed),
        ("group", "value", "90 % interval"),
        tuple((name, said(value), interval_text((low, high), signed=signed)) for name, value, low, high in rows),
    )


def dimension_label(each: Card) -> str:
    """Return the dimension of a group in both languages."""
    label = LABELS.get(each["dimension"])
    return str(each["dimension"]) if label is None else f"{label.zh} {label.en}"


def group_name(card: Card, each: Card) -> str:
    """Return a group's name: a post by its label, anything else as it is."""
    posts = (card.get("subject") or {}).get("posts", {})
    known = each["dimension"] == "post" and each["group"] in posts
    return short(posts[each["group"]], 60) if known else str(each["group"])


def figure_text(found: Sequence[float | None] | None) -> str:
    """Return a figure with its interval."""
    if not found or found[0] is None:
        return "–"
    return f"{found[0]:.3f} ({interval_text(found[1:])})"


def interval_text(pair: Sequence[float | None], *, signed: bool = False) -> str:
    """Return the two ends of an interval."""
    low, high = (signed_text(part) if signed else number_text(part) for part in pair)
    return f"{low} to {high}" if signed else f"{low}–{high}"


def number_text(value: float | None) -> str:
    """Return a number, a dash where there is none."""
    return "–" if value is None else f"{value:.3f}"


def signed_text(value: float | None) -> str:
    """Return a number with its sign."""
    return "–" if value is None else f"{value:+.3f}"

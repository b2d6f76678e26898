"""Audits of a card as rows of words for the model card: known ones first, whatever else a card holds after them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from features.texts import Text

AUDITS = {
    "best_rival": Text(zh="与最好的对照方法比较", en="Against the best rival"),
    "held_out": Text(zh="搜索未用的最新一折", en="The newest fold, which the search did not see"),
    "comparison": Text(zh="与现任冠军模型比较", en="Against the present champion"),
    "reliability": Text(zh="概率总体可靠性", en="Reliability as a whole"),
    "intervals": Text(zh="区间覆盖", en="Coverage of the intervals"),
    "evidence": Text(zh="证据不足者", en="Insufficient evidence"),
    "reasons": Text(zh="理由的稳定性", en="Stability of reasons"),
    "treated": Text(zh="得到帮助后的时段", en="Spells changed by help"),
    "search": Text(zh="参数搜索", en="The search for a recipe"),
    "leak_test": Text(zh="泄漏检验", en="Leak test"),
    "impact_assessment": Text(zh="影响评估", en="Impact assessment"),
}
FIELDS = {
    "best rival rival": Text(zh="对照方法", en="rival"),
    "best rival difference": Text(zh="平均精度之差（模型减对照）", en="average precision, model less rival"),
    "best rival rival leads": Text(zh="对照方法领先", en="the rival leads"),
    "best rival told": Text(zh="说明", en="in a sentence"),
    "best rival told zh": Text(zh="说明（中文）", en="the same in Chinese"),
    "held out test": Text(zh="检验月份", en="test months"),
    "comparison difference": Text(zh="平均精度之差", en="difference in average precision"),
    "reliability rate": Text(zh="实际发生率", en="share with the outcome"),
    "reliability ratio": Text(zh="预期与实际之比", en="outcomes expected to seen"),
    "reliability slope": Text(zh="对数几率斜率", en="slope of the log-odds"),
    "intervals groups": Text(zh="按概率分组数", en="groups by probability"),
    "intervals inside": Text(zh="实际比例落在平均区间内", en="rate inside the mean interval"),
    "intervals fits": Text(zh="与平均区间相容", en="rate fits the mean interval"),
    "intervals width": Text(zh="平均宽度", en="mean width"),
    "evidence rows": Text(zh="检验行数", en="test rows"),
    "evidence shares": Text(zh="不参与排名的比例", en="share not ranked"),
    "evidence log loss": Text(zh="对数损失", en="log loss"),
    "evidence expected to seen": Text(zh="预期与实际之比", en="outcomes expected to seen"),
    "evidence worse": Text(zh="对数损失高出", en="log loss higher by"),
    "reasons persons": Text(zh="人数", en="persons"),
    "reasons voices": Text(zh="参与判断的模型数", en="boosters asked"),
    "reasons passed": Text(zh="全部理由中稳定者", en="stable, of all reasons"),
    "reasons passed first": Text(zh="前三条中稳定者", en="stable, of the first three"),
    "reasons none": Text(zh="没有可显示理由的人", en="persons with no stable reason"),
    "reasons own first": Text(zh="前三条与总体不同的人", en="persons whose first three differ from the overall order"),
    "reasons likeness": Text(zh="两人理由的相关", en="correlation of two persons' reasons"),
    "treated measures": Text(zh="帮助措施", en="measures of help"),
    "treated share treated": Text(zh="预测期内得到帮助的行", en="rows with help in the horizon"),
    "treated weighed": Text(zh="是否加权", en="weights used"),
    "treated why not": Text(zh="未加权的原因", en="why not"),
    "leak test passed": Text(zh="是否通过", en="passed"),
    "leak test told": Text(zh="说明", en="what was done"),
    "leak test told zh": Text(zh="说明（中文）", en="the same in Chinese"),
}
MAKING = {
    "until": Text(zh="使用截至该月已登记的记录", en="known by"),
    "rows": Text(zh="行数", en="rows"),
    "positives": Text(zh="出现该结果的行", en="rows with the outcome"),
    "as ofs": Text(zh="月份", en="months"),
    "every months": Text(zh="每隔几个月取一次", en="one as-of in so many months"),
    "features": Text(zh="可用特征数", en="features to choose from"),
    "trained on": Text(zh="训练月份", en="trained on"),
    "profile": Text(zh="配置", en="profile"),
    "recipe · settings": Text(zh="参数", en="settings"),
    "recipe · digest": Text(zh="方案摘要", en="recipe"),
    "trees": Text(zh="树的棵数", en="trees"),
    "trials": Text(zh="搜索次数", en="trials of the search"),
    "calibrated on": Text(zh="校准月份", en="calibrated on"),
    "refit": Text(zh="最后拟合", en="final fit"),
    "versions": Text(zh="软件版本", en="versions"),
}
LEFT_OUT = {"reasons overall", "reliability meaning"}
MOST_TOLD = 40
YES_NO = {True: "yes 是", False: "no 否"}

Row = tuple[Text, str]


def audit_rows(audits: Mapping[str, Any]) -> list[tuple[Text, list[Row]]]:
    """Return each audit's title and its rows (what, value), at most 40; an audit that says nothing is left out."""
    order = [*(key for key in AUDITS if key in audits), *(key for key in audits if key not in AUDITS)]
    found = [(AUDITS.get(key, _text(key)), list(_told(key, audits[key]))[:MOST_TOLD]) for key in order]
    return [(title, rows) for title, rows in found if rows]


def making_rows(card: Mapping[str, Any]) -> list[Row]:
    """Return how a model was made, as rows (what, value)."""
    return [(MAKING.get(path, _text(path)), words) for path, words in flat_rows(card)]


def flat_rows(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (path, text) for whatever plain value: tables of plain values on one line, what is unknown left out."""
    if isinstance(value, Mapping) and path and value and not any(_nested(inner) for inner in value.values()):
        yield path, ", ".join(f"{key.replace('_', ' ')} {plain_text(inner)}" for key, inner in value.items())
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            words = str(key).replace("_", " ")
            yield from flat_rows(inner, f"{path} · {words}" if path else words)
    elif isinstance(value, list | tuple) and any(_nested(one) for one in value):
        for number, inner in enumerate(value, 1):
            yield from flat_rows(inner, f"{path} · {number}" if path else str(number))
    elif not _unknown(value):
        yield path, plain_text(value)


def plain_text(value: Any) -> str:
    """Return a value as words; three ascending-looking numbers as a figure with its interval."""
    if _is_figure(value):
        return f"{value[0]:.3f} ({value[1]:.3f} to {value[2]:.3f})"
    if isinstance(value, list | tuple):
        return ", ".join(plain_text(one) for one in value)
    if isinstance(value, bool):
        return YES_NO[value]
    return f"{value:.4g}" if isinstance(value, float) else "–" if value is None else str(value)


def _told(key: str, value: Any) -> Iterator[Row]:
    for path, words in flat_rows(value):
        name = f"{key.replace('_', ' ')} {path}"
        if name not in LEFT_OUT:
            yield FIELDS.get(name, _text(path)), words


def _text(words: str) -> Text:
    return Text(zh=words, en=words)


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list | tuple) and not _is_figure(value))


def _is_figure(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 3 and all(isinstance(part, float) for part in value)


def _unknown(value: Any) -> bool:
    return value is None or (
        isinstance(value, Sequence) and not isinstance(value, str) and not any(part is not None for part in value)
    )

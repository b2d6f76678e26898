"""The model card: one HTML file that opens offline and one JSON, from the card stored with a model. Fits nothing."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from features.texts import Text
from training.cards.audit_rows import audit_rows, making_rows
from training.cards.captions import captioned, dimension_label, figure_text, group_name
from training.cards.pictures import NAMES

Card = Mapping[str, Any]

FORMAT = "jingxing model card 1"
USE = Text(
    zh="供负责关爱与帮扶的人提前发现谁可能需要帮助，并提供休整、师徒帮带、培训、岗位调整或关爱。模型只提供参考，由人决定；"
    "当事人有权知道理由并提出异议。",
    en="For those who offer help: to see early who may need it, and to offer rest, mentoring, training, a change of "
    "post or care. The model advises, a person decides; whoever is listed may know the reasons and object.",
)
NOT_FOR = Text(
    zh="不得用于处分、考核、晋升、调离或任何对当事人不利的决定，也不得用于排名公示。",
    en="Never for discipline, appraisal, promotion, removal or any decision against the person; never for a public "
    "ranking.",
)
LIMITS = (
    Text(
        zh="概率说的是得分相近的人群，不是某一个人的命运；名单上总有不会出现该结果的人，名单外也总有会出现的人。",
        en="A probability speaks of persons with a like score, not of one person's fate: some on the list will not "
        "have the outcome, and some off it will.",
    ),
    Text(
        zh="模型只看到已登记的记录：未登记的、登记不全的单位和措施会使其失准；记录方式改变后须重新训练和审核。",
        en="It sees what was recorded, no more: where units record less, or recording changes, it is wrong in ways "
        "that these figures cannot show. Train and audit it again then.",
    ),
    Text(
        zh="理由说明模型为何给出该得分，不是原因；去掉某项后的差异只说明信息量，不说明效果。",
        en="Reasons tell why the model gives a score, not what causes the outcome; what a part brings is information, "
        "not an effect.",
    ),
    Text(
        zh="各项数字来自本单位过去的月份，对其他单位和以后的变化不作保证。",
        en="Its figures are from past months of this force; they promise nothing for another force or another time.",
    ),
)
METRICS = {
    "average_precision": Text(zh="平均精度", en="average precision"),
    "precision_capacity": Text(zh="名单精度", en="precision on the list"),
    "lift_capacity": Text(zh="名单提升倍数", en="lift on the list"),
    "auc": Text(zh="AUC", en="AUC"),
    "brier": Text(zh="Brier 分数", en="Brier score"),
    "calibration_error": Text(zh="校准误差", en="calibration error"),
}
TOO_FEW = "too few persons"
DATA = ("until", "rows", "positives", "as_ofs", "every_months", "features", "trained_on", "profile")
MADE = ("recipe", "settings", "trees", "trials", "calibrated_on", "refit", "versions")
DRAWN = (
    "subject",
    "folds",
    "figures",
    "average_precision_by_month",
    "curves",
    "reasons_overall",
    "ablation",
    "fairness",
)
STRATUM_NAMES = {
    "model": "全部输入 all inputs",
    "without_previous": "不用既往与自评 without previous",
    "rule": "规则 rule",
}


def model_card(
    card: Card, *, risk: str, version: str = "", verdict: Sequence[Mapping[str, str]] | None = None
) -> tuple[str, dict[str, Any]]:
    """Return a model's card as one HTML page without script or remote address, and as plain values for a JSON file.

    ``card`` is what training stored with the model; what it lacks is left out. ``verdict`` holds the gate's
    objections (``en``, ``zh``), nothing in it when the gate passed, None where it was not asked.
    """
    plain = document(card, risk=risk, version=version, verdict=verdict)
    pictures = dict(captioned(card))
    page = _template().render(
        card=plain, pictures=pictures, audits=audit_rows(plain["audits"]), metrics=METRICS, tables=_tables(card)
    )
    return page, plain


def document(
    card: Card, *, risk: str, version: str = "", verdict: Sequence[Mapping[str, str]] | None = None
) -> dict[str, Any]:
    """Return the JSON of a model card: everything that the stored card holds, by subject, with use and limits."""
    known = {*DATA, *MADE, *DRAWN}
    asked = None if verdict is None else {"passed": not verdict, "objections": [dict(one) for one in verdict]}
    return {
        "format": FORMAT,
        "version": version,
        "subject": card.get("subject") or {"risk": risk, "label": {"zh": risk, "en": risk}},
        "intended_use": USE.model_dump(),
        "not_for": NOT_FOR.model_dump(),
        "limits": [limit.model_dump() for limit in LIMITS],
        "gate": asked,
        "data": {key: card[key] for key in DATA if key in card},
        **{key: card[key] for key in DRAWN[1:] if key in card},
        **({"fairness": _withheld(card["fairness"])} if card.get("fairness") else {}),
        "made": {key: card[key] for key in MADE if key in card},
        "audits": {key: value for key, value in card.items() if key not in known},
    }


def _withheld(fairness: Card) -> dict[str, Any]:
    """The audit of fairness; of groups too small for figures not even the counts."""
    counts = dict.fromkeys(("persons", "positives", "rows", "rate"))
    groups = [{**each, **(counts if each["state"] == TOO_FEW else {})} for each in fairness["groups"]]
    return {**fairness, "groups": groups}


def _tables(card: Card) -> dict[str, Any]:
    """The numbers of the page's own tables, as text."""
    fairness, figures = card.get("fairness") or {}, card.get("figures", {})
    making = {key: card[key] for key in (*DATA, *MADE) if key in card and key != "settings"}
    return {
        "metrics": ["", *(f"{text.en} {text.zh}" if text.zh != text.en else text.en for text in METRICS.values())],
        "figures": [
            (NAMES.get(name, name), *(figure_text(row.get(key)) for key in METRICS)) for name, row in figures.items()
        ],
        "groups": [
            (dimension_label(each), group_name(card, each), *_told_group(each)) for each in fairness.get("groups", [])
        ],
        "strata": list(_strata(card.get("ablation") or {})),
        "made": making_rows(making),
    }


def _told_group(each: Card) -> tuple[str, ...]:
    if each["state"] == TOO_FEW:
        return ("–", "–", "–", "–", "–", each["state"])
    return (
        f"{each['persons']:,}",
        *(figure_text(each[key]) for key in ("selection", "precision", "missed", "calibration")),
        each["state"],
    )


def _strata(found: Card) -> Iterator[tuple[Text, str, list[tuple[str, str, str]]]]:
    words = {
        "persistence": Text(zh="已有者（延续）", en="Persistence: persons who had it already"),
        "onset": Text(zh="此前没有者（新发）", en="Onset: persons who had not"),
    }
    for key, title in words.items():
        row = found.get(key)
        if row:
            counted = (
                "too few to judge" if row["positives"] is None else f"{row['positives']:,} of {row['rows']:,} rows"
            )
            figures = [
                (STRATUM_NAMES.get(name, name), figure_text(each["average_precision"]), figure_text(each["auc"]))
                for name, each in row["figures"].items()
            ]
            yield title, counted, figures


def _template() -> jinja2.Template:
    place = jinja2.FileSystemLoader(Path(__file__).parent)
    settings = jinja2.Environment(
        loader=place, autoescape=True, undefined=jinja2.ChainableUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return settings.get_template("model_card.html")

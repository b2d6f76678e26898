"""The gate: what a new version must show before it becomes champion. Pure; the registry acts on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from features.policy import Policy
from training.judging.groups import GroupFigures, unfair
from training.judging.metrics import MODEL, RULE
from training.registry.impact import Assessment

METRIC, AT_CAPACITY = "average_precision", "precision_capacity"
COMPARE = "jingxing train --risk {risk}"
"""The command that compares with the present champion: training does, on the same folds."""
MOST_GROUPS = 5

Card = Mapping[str, Any]


@dataclass(frozen=True)
class Objection:
    """One reason why a version may not become champion, in both languages."""

    key: str
    en: str
    zh: str

    def __str__(self) -> str:
        return self.en

    def as_json(self) -> dict[str, str]:
        """Return what the history keeps."""
        return {"key": self.key, "en": self.en, "zh": self.zh}


@dataclass(frozen=True)
class Signature:
    """Who promotes, and why."""

    by: str
    reason: str


@dataclass(frozen=True)
class Place:
    """What a version meets in the registry: the risk, the present champion's version, the assessment on file."""

    risk: str
    champion: str | None = None
    assessment: Assessment | None = None


def objections(card: Card, place: Place, *, policy: Policy, signature: Signature) -> list[Objection]:
    """Return why a version may not become champion; nothing when it may.

    Needed are: average precision over the whole list, and precision at the list's capacity, above the rule's; not
    below the champion's on the same folds (paired bootstrap over officers); calibration and fairness within the
    policy's bounds; a leak test that passed; an impact assessment on file; a signed reason. What a card does not
    tell counts as not shown.
    """
    return [
        *_against_rule(card),
        *_against_champion(card, place),
        *_calibration(card, policy),
        *_fairness(card, policy),
        *_leaks(card),
        *_assessment(card, place, policy),
        *_signature(signature),
    ]


def evidence(card: Card) -> dict[str, Any]:
    """Return the figures that a row of the history keeps."""
    figures = card.get("figures", {})
    names = (METRIC, AT_CAPACITY, "calibration_error")
    shown = {who: {name: figures[who][name] for name in names if name in figures[who]}
             for who in (MODEL, RULE) if who in figures}  # fmt: skip
    return {
        **shown,
        "comparison": card.get("comparison"),
        "reliability": {key: card.get("reliability", {}).get(key) for key in ("rate", "ratio", "slope")},
        "unfair": len((card.get("fairness") or {}).get("unfair", [])),
        "leak_test": (card.get("leak_test") or {}).get("passed"),
        "impact_assessment": card.get("impact_assessment"),
        "until": card.get("until"),
    }


def _against_rule(card: Card) -> list[Objection]:
    found = []
    for metric, en, zh in (
        (METRIC, "average precision over the folds", "各折平均精度"),
        (AT_CAPACITY, "precision at the list's capacity", "名单容量内的精度"),
    ):
        mine, rule = _figure(card, MODEL, metric), _figure(card, RULE, metric)
        if mine is None or rule is None:
            found.append(_untold("rule", en, zh))
        elif not mine[0] > rule[0]:
            found.append(
                Objection(
                    "rule",
                    f"its {en}, {mine[0]:.3f}, is not above the rule's {rule[0]:.3f}",
                    f"{zh} {mine[0]:.3f} 不高于规则的 {rule[0]:.3f}",
                )
            )
    return found


def _against_champion(card: Card, place: Place) -> list[Objection]:
    if place.champion is None:
        return []
    found = card.get("comparison")
    if not found or str(found.get("version")) != place.champion or found.get("high") is None:
        command = COMPARE.format(risk=place.risk)
        return [
            Objection(
                "not_compared",
                f"it was not compared with the present champion, version {place.champion}: compare first, by {command}",
                f"尚未与现任冠军模型（版本 {place.champion}）比较：请先运行 {command}",
            )
        ]
    if found["high"] >= 0:
        return []
    low, high, by = found["low"], found["high"], found["difference"]
    return [
        Objection(
            "champion",
            f"its average precision is below the present champion's (version {place.champion}) on the same folds: "
            f"{by:+.3f}, 90 % interval {low:+.3f} to {high:+.3f}, paired over officers",
            f"在相同各折上平均精度低于现任冠军模型（版本 {place.champion}）：{by:+.3f}，"
            f"90% 区间 {low:+.3f} 至 {high:+.3f}",
        )
    ]


def _calibration(card: Card, policy: Policy) -> list[Objection]:
    error, told = _figure(card, MODEL, "calibration_error"), card.get("reliability") or {}
    if error is None or told.get("rate") is None or not told.get("ratio"):
        return [_untold("calibration", "calibration", "校准情况")]
    found = []
    bound = max(policy.calibration_error, policy.calibration_share * told["rate"])
    least = 2 * error[0] - error[2]  # the basic bootstrap's low end: noise alone makes the error, and its draws, larger
    if least > bound:
        found.append(
            Objection(
                "calibration",
                f"its calibration error {error[0]:.3f} (at least {least:.3f}) is above the bound {bound:.3f} for a "
                f"base rate of {told['rate']:.3f}",
                f"校准误差 {error[0]:.3f}（至少 {least:.3f}）超过界限 {bound:.3f}（基础发生率 {told['rate']:.3f}）",
            )
        )
    return [*found, *_level(told["ratio"], policy), *_steepness(told.get("slope"), policy)]


def _level(ratio: list[float | None], policy: Policy) -> list[Objection]:
    value, low, high = ratio
    most = policy.calibration_ratio
    if value is None or low is None or high is None or (low <= most and high >= 1 / most):
        return []
    return [
        Objection(
            "calibration",
            f"it expects {value:.2f} outcomes for each that was seen (90 % interval {low:.2f} to {high:.2f}); the "
            f"bound is {1 / most:.2f} to {most:.2f}",
            f"每发生 1 例，模型预期 {value:.2f} 例（90% 区间 {low:.2f} 至 {high:.2f}），"
            f"界限为 {1 / most:.2f} 至 {most:.2f}",
        )
    ]


def _steepness(slope: list[float | None] | None, policy: Policy) -> list[Objection]:
    value, low, high = slope or (None, None, None)
    most = policy.calibration_slope
    if value is None or low is None or high is None or (low <= most and high >= 1 / most):
        return []
    return [
        Objection(
            "calibration",
            f"the slope of its log-odds is {value:.2f} (90 % interval {low:.2f} to {high:.2f}); the bound is "
            f"{1 / most:.2f} to {most:.2f}",
            f"对数几率斜率 {value:.2f}（90% 区间 {low:.2f} 至 {high:.2f}），界限为 {1 / most:.2f} 至 {most:.2f}",
        )
    ]


def _fairness(card: Card, policy: Policy) -> list[Objection]:
    told = card.get("fairness")
    if not told or "groups" not in told:
        return [_untold("fairness", "fairness by group", "各群体公平性")]
    found = unfair([GroupFigures.of_json(each) for each in told["groups"]], policy)
    shown = [Objection("fairness", f"unfair to {each.en}", f"对以下群体不公：{each.zh}") for each in found]
    if len(found) > MOST_GROUPS:
        more = len(found) - MOST_GROUPS
        shown[MOST_GROUPS:] = [Objection("fairness", f"unfair to {more} more groups", f"另有 {more} 个群体不公")]
    return shown


def _leaks(card: Card) -> list[Objection]:
    told = card.get("leak_test")
    if not told:
        return [_untold("leak", "a leak test", "泄漏检验")]
    if told["passed"]:
        return []
    said = told["told"], told.get("told_zh", told["told"])
    return [Objection("leak", f"its leak test failed: {said[0]}", f"泄漏检验未通过：{said[1]}")]


def _assessment(card: Card, place: Place, policy: Policy) -> list[Objection]:
    named, found = card.get("impact_assessment"), place.assessment
    if not named:
        en = "it names no impact assessment: train it again, which files a draft"
        return [Objection("impact", en, "没有影响评估编号：请重新训练，训练时会生成草稿")]
    if found is None or not found.is_about(named):
        return [
            Objection(
                "impact",
                f"its impact assessment {named} is not on file for what '{place.risk}' is now: train it again",
                f"影响评估 {named} 不在档，或与“{place.risk}”的现行定义不符：请重新训练",
            )
        ]
    if found.state == "withdrawn":
        return [
            Objection(
                "impact",
                f"its impact assessment {found.id} was withdrawn by {found.by} ({found.reason}); file a new one: "
                f"jingxing impact draft {place.risk}",
                f"影响评估 {found.id} 已由 {found.by} 撤回（{found.reason}）；"
                f"请重新备案：jingxing impact draft {place.risk}",
            )
        ]
    if policy.impact_assessment == "signed" and found.state != "signed":
        return [
            Objection(
                "impact",
                f"its impact assessment {found.id} is a draft that nobody has signed: jingxing impact sign {found.id}",
                f"影响评估 {found.id} 仍是无人签署的草稿：jingxing impact sign {found.id}",
            )
        ]
    return []


def _signature(signature: Signature) -> list[Objection]:
    if signature.by.strip() and signature.reason.strip():
        return []
    return [Objection("signature", "nobody has signed a reason for its promotion", "没有人签署晋升理由")]


def _untold(key: str, en: str, zh: str) -> Objection:
    return Objection(key, f"its card does not tell {en}: train it again", f"模型卡未载明{zh}：请重新训练")


def _figure(card: Card, contender: str, metric: str) -> tuple[float, float, float] | None:
    told = card.get("figures", {}).get(contender, {}).get(metric)
    if not told or any(part is None for part in told):
        return None
    value, low, high = (float(part) for part in told)
    return value, low, high

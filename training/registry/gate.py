"""The gate: what a new version must show before it becomes champion. Pure; the registry acts on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from features.policy import Policy
from training.judging.groups import GroupFigures, unfair
from training.judging.metrics import MODEL, RULE
from training.registry.impact import Assessment

METRIC, AT_CAPACITY = "average_precision", "precision_capacity"
COMPARE = "jingxing train --risk {risk}"
"""The command that compares with the present champion: training does, on the same folds."""
MOST_GROUPS = 5
IMPACT = "impact"
"""The key of objections that tell of the impact assessment."""
AGAINST_RULE, AGAINST_RIVALS, CALIBRATION = "rule", "rival", "calibration"
LOW_END = (
    "judged by the low end of the interval: chance alone makes this figure larger than it is",
    "按区间下限判定：仅因偶然，此数值就会偏大",
)
REACHES = ("met where the interval reaches the bounds", "区间触及界限即为达标")
NOT_BELOW = ("met unless the whole interval lies below", "区间未整体低于 0 即为达标")
NOTHING, PASSED, FAILED = "–", "✓", "✗"

Interval = tuple[float, float, float]

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
class Criterion:
    """One bound of the gate: its name in both languages, the version's figure, the bound, and what is objected."""

    key: str
    en: str
    zh: str
    figure: str
    bound: str
    objections: tuple[Objection, ...] = ()
    how: tuple[str, str] = ("", "")
    """How figure and bound are judged, in English and Chinese, where it is not plainly one against the other."""

    def with_objection(self, en: str, zh: str) -> "Criterion":
        """Return the criterion with an objection in both languages."""
        return replace(self, objections=(*self.objections, Objection(self.key, en, zh)))

    @property
    def met(self) -> bool:
        """Whether nothing is objected."""
        return not self.objections


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

    Needed are: average precision over the whole list, and precision at the list's capacity, above the rule's (after a
    search also on the newest fold, which it did not see); no plain rival better beyond chance, and not below the
    champion's on the same folds (paired bootstrap over officers, both); calibration and fairness within the policy's
    bounds; a leak test that passed; an impact assessment on file; a signed reason. What a card does not tell counts as
    not shown.
    """
    found = [*criteria(card, place, policy=policy), _signature(signature)]
    return [each for one in found for each in one.objections]


def criteria(card: Card, place: Place, *, policy: Policy) -> list[Criterion]:
    """Return every criterion but the signature, met or not, with its figure and its bound."""
    return [
        *_against_rule(card),
        *_held_out(card),
        *_against_best_rival(card),
        *_against_champion(card, place),
        *_calibration(card, policy),
        _fairness(card, policy),
        _leaks(card),
        _assessment(card, place, policy),
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


def _against_rule(card: Card) -> list[Criterion]:
    return [
        _above_rule(card, METRIC, ("average precision over the folds", "各折平均精度")),
        _above_rule(card, AT_CAPACITY, ("precision at the list's capacity", "名单容量内的精度")),
    ]


def _above_rule(card: Card, metric: str, names: tuple[str, str]) -> Criterion:
    en, zh = names
    mine, rule = _figure(card, MODEL, metric), _figure(card, RULE, metric)
    shown = Criterion(AGAINST_RULE, en, zh, _shown(mine), f"> {rule[0]:.3f}" if rule else NOTHING)
    if mine is None or rule is None:
        return shown.with_objection(*_untold(en, zh))
    if mine[0] > rule[0]:
        return shown
    return shown.with_objection(
        f"its {en}, {mine[0]:.3f}, is not above the rule's {rule[0]:.3f}",
        f"{zh} {mine[0]:.3f} 不高于规则的 {rule[0]:.3f}",
    )


def _held_out(card: Card) -> list[Criterion]:
    """After a search the newest fold counts alone, too: on the others a recipe was picked."""
    told = card.get("held_out")
    if told is None:
        return []
    mine, rule = (_figure(told, contender, METRIC) for contender in (MODEL, RULE))
    en, zh = "average precision on the newest fold, which its search did not see", "搜索未用的最新一折的平均精度"
    shown = Criterion(AGAINST_RULE, en, zh, _shown(mine), f"> {rule[0]:.3f}" if rule else NOTHING)
    if mine is None or rule is None:
        return [shown.with_objection(*_untold(en, zh))]
    if mine[0] > rule[0]:
        return [shown]
    return [
        shown.with_objection(
            f"on the newest fold, which its search did not see, its average precision {mine[0]:.3f} is not above the "
            f"rule's {rule[0]:.3f}",
            f"在搜索未用的最新一折上，平均精度 {mine[0]:.3f} 不高于规则的 {rule[0]:.3f}",
        )
    ]


def _against_best_rival(card: Card) -> list[Criterion]:
    """A count or a plain model that does better beyond chance should serve in its place; older cards don't tell."""
    found = card.get("best_rival") or {}
    by, low, high = found.get("difference") or (None, None, None)
    if by is None or low is None or high is None:
        return []
    rival = found["rival"]
    en = f"average precision less the best rival's ({rival}), paired over officers"
    zh = f"平均精度减最好的对照方法（{rival}），按人配对"
    shown = Criterion(AGAINST_RIVALS, en, zh, f"{by:+.3f} ({low:+.3f}–{high:+.3f})", "≥ 0", how=NOT_BELOW)
    if high >= 0:
        return [shown]
    return [
        shown.with_objection(
            f"a plain rival, {rival}, is better beyond chance: the model's average precision is {by:+.3f} beside it, "
            f"90 % interval {low:+.3f} to {high:+.3f}, paired over officers",
            f"简单的对照方法 {rival} 明显更好（超出偶然）：本模型平均精度相差 {by:+.3f}，"
            f"90% 区间 {low:+.3f} 至 {high:+.3f}，按人配对",
        )
    ]


def _against_champion(card: Card, place: Place) -> list[Criterion]:
    if place.champion is None:
        return []
    found = card.get("comparison") or {}
    en = f"average precision less the present champion's (version {place.champion}), paired over officers"
    zh = f"平均精度减现任冠军模型（版本 {place.champion}），按人配对"
    if str(found.get("version")) != place.champion or found.get("high") is None:
        command = COMPARE.format(risk=place.risk)
        return [
            Criterion("not_compared", en, zh, NOTHING, "≥ 0").with_objection(
                f"it was not compared with the present champion, version {place.champion}: compare first, by {command}",
                f"尚未与现任冠军模型（版本 {place.champion}）比较：请先运行 {command}",
            )
        ]
    low, high, by = found["low"], found["high"], found["difference"]
    shown = Criterion("champion", en, zh, f"{by:+.3f} ({low:+.3f}–{high:+.3f})", "≥ 0", how=NOT_BELOW)
    if high >= 0:
        return [shown]
    return [
        shown.with_objection(
            f"its average precision is below the present champion's (version {place.champion}) on the same folds: "
            f"{by:+.3f}, 90 % interval {low:+.3f} to {high:+.3f}, paired over officers",
            f"在相同各折上平均精度低于现任冠军模型（版本 {place.champion}）：{by:+.3f}，"
            f"90% 区间 {low:+.3f} 至 {high:+.3f}",
        )
    ]


def _calibration(card: Card, policy: Policy) -> list[Criterion]:
    error, told = _figure(card, MODEL, "calibration_error"), card.get("reliability") or {}
    if error is None or told.get("rate") is None or not told.get("ratio"):
        shown = Criterion(CALIBRATION, "calibration", "校准情况", NOTHING, NOTHING)
        return [shown.with_objection(*_untold("calibration", "校准情况"))]
    slope = told.get("slope") or (None, None, None)
    return [_distance(error, told["rate"], policy), _level(told["ratio"], policy), _steepness(slope, policy)]


def _distance(error: Interval, rate: float, policy: Policy) -> Criterion:
    bound = max(policy.calibration_error, policy.calibration_share * rate)
    least = error[1]  # of the basic bootstrap: noise alone makes the error larger than it is
    shown = Criterion(CALIBRATION, "calibration error", "校准误差", _shown(error), f"≤ {bound:.3f}", how=LOW_END)
    if least <= bound:
        return shown
    return shown.with_objection(
        f"its calibration error {error[0]:.3f} (at least {least:.3f}) is above the bound {bound:.3f} for a "
        f"base rate of {rate:.3f}",
        f"校准误差 {error[0]:.3f}（至少 {least:.3f}）超过界限 {bound:.3f}（基础发生率 {rate:.3f}）",
    )


def _level(ratio: Sequence[float | None], policy: Policy) -> Criterion:
    value, low, high = ratio
    most = policy.calibration_ratio
    en, zh, bound = "outcomes expected for each that was seen", "每发生 1 例的预期例数", f"{1 / most:.2f}–{most:.2f}"
    if value is None or low is None or high is None:
        return Criterion(CALIBRATION, en, zh, NOTHING, bound)
    shown = Criterion(CALIBRATION, en, zh, f"{value:.2f} ({low:.2f}–{high:.2f})", bound, how=REACHES)
    if low <= most and high >= 1 / most:
        return shown
    return shown.with_objection(
        f"it expects {value:.2f} outcomes for each that was seen (90 % interval {low:.2f} to {high:.2f}); the "
        f"bound is {1 / most:.2f} to {most:.2f}",
        f"每发生 1 例，模型预期 {value:.2f} 例（90% 区间 {low:.2f} 至 {high:.2f}），"
        f"界限为 {1 / most:.2f} 至 {most:.2f}",
    )


def _steepness(slope: Sequence[float | None], policy: Policy) -> Criterion:
    value, low, high = slope
    most = policy.calibration_slope
    en, zh, bound = "slope of its log-odds", "对数几率斜率", f"{1 / most:.2f}–{most:.2f}"
    if value is None or low is None or high is None:
        return Criterion(CALIBRATION, en, zh, NOTHING, bound)
    shown = Criterion(CALIBRATION, en, zh, f"{value:.2f} ({low:.2f}–{high:.2f})", bound, how=REACHES)
    if low <= most and high >= 1 / most:
        return shown
    return shown.with_objection(
        f"the slope of its log-odds is {value:.2f} (90 % interval {low:.2f} to {high:.2f}); the bound is "
        f"{1 / most:.2f} to {most:.2f}",
        f"对数几率斜率 {value:.2f}（90% 区间 {low:.2f} 至 {high:.2f}），界限为 {1 / most:.2f} 至 {most:.2f}",
    )


def _fairness(card: Card, policy: Policy) -> Criterion:
    told = card.get("fairness")
    en, zh = "groups beyond the bounds of fairness", "超出公平界限的群体"
    if not told or "groups" not in told:
        return Criterion("fairness", en, zh, NOTHING, "0").with_objection(*_untold("fairness by group", "各群体公平性"))
    found = unfair([GroupFigures.of_json(each) for each in told["groups"]], policy)
    texts = [(f"unfair to {each.en}", f"对以下群体不公：{each.zh}") for each in found]
    if len(found) > MOST_GROUPS:
        more = len(found) - MOST_GROUPS
        texts[MOST_GROUPS:] = [(f"unfair to {more} more groups", f"另有 {more} 个群体不公")]
    shown = tuple(Objection("fairness", *each) for each in texts)
    return Criterion("fairness", en, zh, f"{len(found)} / {len(told['groups'])}", "0", shown)


def _leaks(card: Card) -> Criterion:
    told = card.get("leak_test")
    en, zh = "leak test", "泄漏检验"
    if not told:
        return Criterion("leak", en, zh, NOTHING, PASSED).with_objection(*_untold("a leak test", "泄漏检验"))
    if told["passed"]:
        return Criterion("leak", en, zh, PASSED, PASSED)
    said = told["told"], told.get("told_zh", told["told"])
    objection = f"its leak test failed: {said[0]}", f"泄漏检验未通过：{said[1]}"
    return Criterion("leak", en, zh, FAILED, PASSED).with_objection(*objection)


def _assessment(card: Card, place: Place, policy: Policy) -> Criterion:
    named, found = card.get("impact_assessment"), place.assessment
    state = f"{found.id}: {found.state}" if found is not None else str(named or NOTHING)
    asked = "signed" if policy.impact_assessment == "signed" else "draft, signed"
    shown = Criterion(IMPACT, "impact assessment on file", "在档的影响评估", state, asked)
    if not named:
        en = "it names no impact assessment: train it again, which files a draft"
        return shown.with_objection(en, "没有影响评估编号：请重新训练，训练时会生成草稿")
    if found is None or not found.is_about(named):
        return shown.with_objection(
            f"its impact assessment {named} is not on file for what '{place.risk}' is now: train it again",
            f"影响评估 {named} 不在档，或与“{place.risk}”的现行定义不符：请重新训练",
        )
    if found.state == "withdrawn":
        return shown.with_objection(
            f"its impact assessment {found.id} was withdrawn by {found.by} ({found.reason}); file a new one: "
            f"jingxing impact draft {place.risk}",
            f"影响评估 {found.id} 已由 {found.by} 撤回（{found.reason}）；"
            f"请重新备案：jingxing impact draft {place.risk}",
        )
    if policy.impact_assessment == "signed" and found.state != "signed":
        return shown.with_objection(
            f"its impact assessment {found.id} is a draft that nobody has signed: jingxing impact sign {found.id}",
            f"影响评估 {found.id} 仍是无人签署的草稿：jingxing impact sign {found.id}",
        )
    return shown


def _signature(signature: Signature) -> Criterion:
    shown = Criterion("signature", "signed reason", "签署的理由", signature.reason.strip() or NOTHING, "by, reason")
    if signature.by.strip() and signature.reason.strip():
        return shown
    return shown.with_objection("nobody has signed a reason for its promotion", "没有人签署晋升理由")


def _untold(en: str, zh: str) -> tuple[str, str]:
    return f"its card does not tell {en}: train it again", f"模型卡未载明{zh}：请重新训练"


def _shown(figure: Interval | None) -> str:
    return NOTHING if figure is None else f"{figure[0]:.3f} ({figure[1]:.3f}–{figure[2]:.3f})"


def _figure(card: Card, contender: str, metric: str) -> Interval | None:
    told = card.get("figures", {}).get(contender, {}).get(metric)
    if not told or any(part is None for part in told):
        return None
    value, low, high = (float(part) for part in told)
    return value, low, high

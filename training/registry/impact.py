"""Impact assessments on file: what a risk's model processes, for what, with which safeguards; draft, signed, withdrawn.

HOME/mlruns/impact-assessments.jsonl is a hash chain that only grows; the last row of an id counts.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from features.errors import Refusal
from features.policy import Policy
from features.profile import Profile
from features.profile_rows import EventOutcome, Risk
from training.models.risk_model import RiskModel
from training.registry.chain import LINKS, append, canonical, read
from training.registry.history import now

FILE, LOCK = "impact-assessments.jsonl", "impact-assessments.lock"
State = Literal["draft", "signed", "withdrawn"]
DRAFT, SIGNED, WITHDRAWN = "draft", "signed", "withdrawn"
NOBODY = "(nobody: drafted by the program)"


@dataclass(frozen=True)
class Assessment:
    """One record. Its id is the risk, eight digits of what is assessed, and a number; ``document`` is {en, zh}."""

    id: str
    risk: str
    purpose: str
    sensitive: tuple[str, ...]
    basis: str
    created: str
    state: State
    by: str
    reason: str
    document: Mapping[str, str]

    @property
    def subject(self) -> str:
        """The id without its number: the same while the risk and the sensitive measures are."""
        return self.id.rpartition("-")[0]

    def is_about(self, other: str) -> bool:
        """Return whether the assessment of an id is about the same risk, defined alike, and the same measures."""
        return other.rpartition("-")[0] == self.subject

    def as_json(self) -> dict[str, Any]:
        """Return plain values, without the document."""
        return {key: part for key, part in asdict(self).items() if key != "document"}


def lacking(policy: Policy) -> tuple[str, ...]:
    """Return the states in which an assessment is not enough for a model to serve."""
    return (WITHDRAWN, DRAFT) if policy.impact_assessment == SIGNED else (WITHDRAWN,)


def on_file(home: Path, risk: str, profile: Profile) -> Assessment | None:
    """Return the assessment that covers a risk as the profile defines it now: the newest not withdrawn, else withdrawn.

    None where nothing was filed since the risk's definition or the sensitive measures changed.
    """
    if risk not in profile.risks:
        return None
    subject = _subject(profile, risk)
    found = [one for one in assessments(home) if one.subject == subject]
    standing = [one for one in found if one.state != "withdrawn"]
    newest = (standing or found)[-1:]
    return newest[0] if newest else None


def draft(home: Path, profile: Profile, risk: str, *, anew: bool = False) -> Assessment:
    """Return the assessment on file; file a generated draft where there is none (``anew``: or it was withdrawn).

    A draft is a document that nobody has signed; the policy says whether that is enough for a model to serve.
    """
    if risk not in profile.risks:
        raise Refusal(f"The profile has no risk '{risk}'.", hint=f"It has: {', '.join(profile.risks)}.")
    with _lock(home):
        found = on_file(home, risk, profile)
        if found is not None and not (anew and found.state == "withdrawn"):
            return found
        subject = _subject(profile, risk)
        number = 1 + sum(one.subject == subject for one in assessments(home))
        made = _generated(profile, risk, f"{subject}-{number}")
        append(home / "mlruns" / FILE, asdict(made))
        return made


def assessed(home: Path, profile: Profile, model: RiskModel) -> RiskModel:
    """Return the model with the id of its assessment in its card; a draft is filed where none is there."""
    return replace(model, card={**model.card, "impact_assessment": draft(home, profile, model.risk).id})


def sign(home: Path, identity: str, *, by: str) -> Assessment:
    """Record a person's signature; a Refusal for an unknown or withdrawn assessment, or no name."""
    return _changed(home, identity, state="signed", by=by, reason="")


def withdraw(home: Path, identity: str, *, by: str, reason: str) -> Assessment:
    """Record that an assessment no longer holds, and why; models then need a new one."""
    if not reason.strip():
        raise Refusal("A withdrawal needs a reason.", hint="Give it: --reason TEXT")
    return _changed(home, identity, state="withdrawn", by=by, reason=reason)


def assessments(home: Path) -> list[Assessment]:
    """Return all assessments in their present state, in the order in which they were filed."""
    found: dict[str, Assessment] = {}
    path = home / "mlruns" / FILE
    try:
        for row in read(path):
            told = {key: part for key, part in row.items() if key not in LINKS}
            found[row["id"]] = Assessment(**{**told, "sensitive": tuple(row["sensitive"])})
    except (TypeError, KeyError) as error:
        raise Refusal(f"The impact assessments can't be read ({type(error).__name__}): {path}") from None
    return list(found.values())


def _changed(home: Path, identity: str, *, state: State, by: str, reason: str) -> Assessment:
    if not by.strip():
        raise Refusal("Nobody has signed.", hint="Give a name: --by NAME")
    with _lock(home):
        known = {one.id: one for one in assessments(home)}
        if identity not in known:
            there = ", ".join(known) or "none"
            raise Refusal(f"There is no impact assessment '{identity}'.", hint=f"There are: {there}.")
        if known[identity].state == "withdrawn":
            hint = f"File a new one: jingxing impact draft {known[identity].risk}"
            raise Refusal(f"The impact assessment '{identity}' was withdrawn.", hint=hint)
        made = replace(known[identity], state=state, by=by.strip(), reason=reason.strip())
        append(home / "mlruns" / FILE, asdict(made))
        return made


def _lock(home: Path) -> FileLock:
    (home / "mlruns").mkdir(parents=True, exist_ok=True)
    return FileLock(home / "mlruns" / LOCK)


def _subject(profile: Profile, risk: str) -> str:
    content = {
        "risk": risk,
        "definition": profile.risks[risk].model_dump(mode="json"),
        "sensitive": {key: profile.measures[key].model_dump(mode="json") for key in _sensitive(profile, risk)},
        "basis": profile.settings.sensitive_basis,
    }
    return f"{risk}-{hashlib.sha256(canonical(content)).hexdigest()[:8]}"


def _sensitive(profile: Profile, risk: str) -> tuple[str, ...]:
    """The sensitive measures that the model sees, and the outcome's where it is one."""
    rule = profile.risks[risk]
    outcome = {rule.outcome.measure} if isinstance(rule.outcome, EventOutcome) else set()
    return tuple(
        key
        for key, measure in profile.measures.items()
        if measure.sensitive and (rule.purpose == "wellness" or key in outcome)
    )


def _generated(profile: Profile, risk: str, identity: str) -> Assessment:
    rule, sensitive = profile.risks[risk], _sensitive(profile, risk)
    return Assessment(
        id=identity,
        risk=risk,
        purpose=rule.purpose,
        sensitive=sensitive,
        basis=profile.settings.sensitive_basis,
        created=now(),
        state="draft",
        by=NOBODY,
        reason="",
        document={"en": _english(profile, risk, (rule, sensitive)), "zh": _chinese(profile, risk, (rule, sensitive))},
    )


def _english(profile: Profile, risk: str, what: tuple[Risk, tuple[str, ...]]) -> str:
    rule, sensitive = what
    health = ", ".join(profile.label(key, "en") for key in sensitive) or "none"
    basis = {
        "organisation": "the organisation's register of processing covers everyone",
        "person": "only persons with a basis that is valid on the day",
    }[profile.settings.sensitive_basis]
    others = len(profile.measures) - len(sensitive)
    return f"""# Impact assessment: {profile.label(risk, "en")} ({risk})

DRAFT, generated from the profile; it binds nobody until a person has read, completed and signed it.

## What is processed
Histories of the officers of the force: {others} measures that are not sensitive, post, unit, tenure.
Sensitive measures: {health}. Never used by a model: name, birth year, sex; the latter two only to audit fairness.
Predicted: {_outcome(profile, rule, "en")} within {rule.horizon_months} months.

## For what
{_PURPOSE[rule.purpose][0]} The list holds {rule.capacity_percent:g} % of the cohort (at least 10 persons).

## On what basis
{basis[0].upper()}{basis[1:]} (sensitive_basis: {profile.settings.sensitive_basis}).

## Safeguards
- Probabilities with intervals and reasons; no action is taken without a person's decision.
- A model serves only through the gate: skill, calibration, fairness by group, leak test, this assessment, a signature.
- Sensitive measures enter models of purpose wellness only; pages show them to those with the permission.
- Everything stays on the force's machine; every promotion is in a hash-chained history.

## What is not known
- Whether offers that follow a flag help: it is measured after they began.
- Whether being flagged changes how a person is treated by others.
- What events were never recorded, and whether units record alike.
- Groups with fewer than {profile.settings.policy.fairness_min_persons} persons are not judged.

## To be completed by a person
Necessity and alternatives; who was consulted; retention; who answers objections.
"""


def _chinese(profile: Profile, risk: str, what: tuple[Risk, tuple[str, ...]]) -> str:
    rule, sensitive = what
    health = "、".join(profile.label(key, "zh") for key in sensitive) or "无"
    basis = {"organisation": "单位的处理登记覆盖全员", "person": "仅限当日具有有效依据的人员"}[
        profile.settings.sensitive_basis
    ]
    others = len(profile.measures) - len(sensitive)
    return f"""# 影响评估：{profile.label(risk, "zh")}（{risk}）

草稿，由配置自动生成；在有人阅读、补充并签署之前，对任何人均无约束力。

## 处理什么
全体民警的履历记录：{others} 项非敏感指标，以及岗位、单位、工龄。
敏感指标：{health}。模型从不使用姓名、出生年份、性别；后两项仅用于公平性审计。
预测内容：{rule.horizon_months} 个月内{_outcome(profile, rule, "zh")}。

## 为了什么
{_PURPOSE[rule.purpose][1]}名单容量为在册人数的 {rule.capacity_percent:g}%（至少 10 人）。

## 依据
{basis}（sensitive_basis: {profile.settings.sensitive_basis}）。

## 保障措施
- 概率附区间和理由；没有人的决定，不采取任何行动。
- 模型须通过关口方可上线：效能、校准、分群公平、泄漏检验、本评估、签署的理由。
- 敏感指标只进入健康护航目的的模型；页面只向有权限者显示。
- 一切留在本单位的机器上；每次晋升都记入哈希链历史。

## 尚不清楚
- 提示之后的帮助是否有效：只能在开始之后测量。
- 被提示是否会改变他人对待本人的方式。
- 哪些事件从未登记，各单位登记是否一致。
- 少于 {profile.settings.policy.fairness_min_persons} 人的群体不作判断。

## 须由人补充
必要性与替代办法；征求了谁的意见；保存期限；由谁答复异议。
"""


_PURPOSE = {
    "wellness": (
        "To offer help early: rest, care, mentoring; never to assess or punish.",
        "及早提供帮助：休整、关爱、结对帮带；绝不用于考核或处罚。",
    ),
    "development": (
        "To offer training, rotation or mentoring early; never to punish.",
        "及早提供培训、轮岗或结对帮带；绝不用于处罚。",
    ),
}


def _outcome(profile: Profile, rule: Risk, language: str) -> str:
    if isinstance(rule.outcome, EventOutcome):
        what, least = profile.label(rule.outcome.measure, language), rule.outcome.at_least
        return f"{what}达到 {least:g}" if language == "zh" else f"{what} reaches {least:g}"
    outcome = rule.outcome
    if language == "zh":
        return f"效能指数较自身 {outcome.baseline_months} 个月基线下降 {outcome.falls_by:g} 个标准差"
    return f"the efficiency index falls {outcome.falls_by:g} deviations below the own {outcome.baseline_months} months"

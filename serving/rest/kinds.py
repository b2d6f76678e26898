"""The kinds of rest of a plan, as the profile has them when the plan is made, and as they are kept with it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from features.errors import Refusal
from features.profile import Profile
from features.rest_rules import RestRules
from serving.rest.solver.problem import RestKind

DAYS_A_MONTH = 30.4375


@dataclass(frozen=True)
class KindOfRest:
    """One kind: its rules, length, places in this plan (None: no bound), the risk it answers (None: rights only)."""

    key: str
    label: dict[str, str]
    rules: RestRules
    length_days: float
    measure: str | None
    risk: str | None
    places: int | None
    given: bool = False
    """The places were given for this plan; else they are the profile's."""

    @property
    def days(self) -> int:
        """Whole days that it takes; part of a day counts as one."""
        return max(1, math.ceil(self.length_days))

    @property
    def weeks(self) -> int:
        """Weeks of the plan that it touches."""
        return math.ceil(self.days / 7)

    def as_rest_kind(self) -> RestKind:
        """Return it as the programme sees it."""
        rules = self.rules
        return RestKind(self.key, self.weeks, rules.takes, self.places, rules.unit_present, rules.post_present)

    def as_json(self) -> dict[str, Any]:
        """Return it as it is kept with a plan."""
        return {**vars(self), "rules": self.rules.model_dump(mode="json")}

    @staticmethod
    def of_json(kept: Mapping[str, Any]) -> "KindOfRest":
        """Return a kind that was kept with a plan."""
        return KindOfRest(**{**kept, "rules": RestRules.model_validate(kept["rules"])})


def kinds_of(profile: Profile, *, people: int, weeks: int, places: Mapping[str, int]) -> tuple[KindOfRest, ...]:
    """Return the kinds of rest of a profile with their places in a plan of so many weeks.

    Places are those given for this plan, else the profile's ``quota_per_1000`` a month for so many people and weeks,
    rounded up. A Refusal names unknown kinds, kinds longer than the plan, and a profile without any.
    """
    rests = {key: action for key, action in profile.actions.items() if action.kind == "rest"}
    if not rests:
        raise Refusal(
            "The profile has no kind of rest. 方案中没有休整项目。", hint="Add actions of kind rest to actions.yaml."
        )
    unknown = sorted(set(places) - set(rests))
    if unknown:
        raise Refusal(
            "These are no kinds of rest of the profile: 方案中没有这些休整项目：",
            unknown,
            hint=f"It has: {', '.join(rests)}.",
        )
    found = []
    for key, action in rests.items():
        usual = action.quota_per_1000
        share = None if usual is None else math.ceil(usual * people / 1000 * weeks * 7 / DAYS_A_MONTH)
        risk = next((name for name in action.risks if profile.risks[name].purpose == "wellness"), None)
        found.append(
            KindOfRest(
                key=key, label=action.label.model_dump(), rules=action.rest, length_days=action.length_days or 1.0,
                measure=action.recorded_as, risk=risk or next(iter(action.risks), None), places=places.get(key, share),
                given=key in places,
            )
        )  # fmt: skip
    long = [each.key for each in found if each.weeks > weeks]
    if long:
        raise Refusal(
            f"A plan of {weeks} weeks has no room for: {', '.join(long)}. 计划仅 {weeks} 周，排不下所选项目。",
            hint="Plan for more weeks. 请增加周数。",
        )
    return tuple(found)

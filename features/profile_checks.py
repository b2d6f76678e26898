"""Whether the parts of a profile hold together: every name exists, nothing refers to itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from features.profile_rows import Post, PostVersion, Rate, Rows


def inconsistencies(profile: Rows) -> list[str]:
    """Return every fault of a profile as a sentence with its file and key."""
    known = profile.measures
    problems: list[str] = []

    def check(where: str, names: Any) -> None:
        problems.extend(f"{where}: unknown measure '{name}'" for name in names if name not in known)

    if not known:
        problems.append("measures.yaml: no measure at all")
    for key, measure in known.items():
        both = (*measure.raises, *measure.lowers)
        problems.extend(f"measures.yaml: {key}: unknown risk '{name}'" for name in both if name not in profile.risks)
        problems.extend(
            f"measures.yaml: {key}: both raises and lowers '{name}'"
            for name in measure.raises
            if name in measure.lowers
        )
    for key, post in profile.posts.items():
        for where, rules in _versions(f"posts.yaml: {key}", post):
            problems.extend(_post_problems(profile, where, rules))
    for key, risk in profile.risks.items():
        check(f"risks.yaml: {key}.outcome", [name for name in (getattr(risk.outcome, "measure", None),) if name])
        check(f"risks.yaml: {key}.acted_on", [name for name in (risk.acted_on,) if name])
    problems.extend(_setting_problems(profile))
    problems.extend(_assessment_problems(profile))
    problems.extend(_help_problems(profile))
    for key, action in profile.actions.items():
        check(f"actions.yaml: {key}", [name for name in (action.recorded_as,) if name])
        check(f"actions.yaml: {key}.reasons", action.reasons)
        check(f"actions.yaml: {key}.after", action.after)
        if action.kind != "rest" and action.rest != type(action.rest)():
            problems.append(f"actions.yaml: {key}.rest: only what is of kind rest has such rules")
        if action.rest.discreet and (action.length_days or 1) > 1:
            problems.append(f"actions.yaml: {key}.rest.discreet: a rest of more than a day can't be told as any rest")
        problems.extend(
            f"actions.yaml: {key}.risks: unknown risk '{name}'" for name in action.risks if name not in profile.risks
        )
    return problems


def _versions(where: str, post: Post) -> Iterator[tuple[str, Post | PostVersion]]:
    yield where, post
    for number, version in enumerate(post.versions):
        yield f"{where}.versions.{number}", version


def _post_problems(profile: Rows, where: str, rules: Post | PostVersion) -> list[str]:
    rates, known = profile.settings.rates, profile.measures
    problems = []
    for dimension, weights in (rules.indicators or {}).items():
        place = f"{where}.indicators.{dimension}"
        for name in weights:
            parts = (rates[name].of, rates[name].per) if name in rates else (name,)
            problems += [f"{place}: unknown measure '{part}'" for part in parts if part not in known and name == part]
            if any(part in known and known[part].sensitive for part in parts):
                problems.append(f"{place}: '{name}' is sensitive and can't be assessed")
    for part, names in (("bonus", rules.bonus), ("in_hand", rules.in_hand)):
        problems += [f"{where}.{part}: unknown measure '{name}'" for name in names or () if name not in known]
        barred = [name for name in names or () if name in known and known[name].sensitive]
        problems += [f"{where}.{part}: '{name}' is sensitive and can't be assessed" for name in barred]
    return problems


def _assessment_problems(profile: Rows) -> list[str]:
    """What the assessment reads exists and is no health data."""
    rules, known = profile.settings.assessment, profile.measures
    lists = {"technical": rules.technical, "leading": rules.leading, "hidden": rules.hidden, "honours": rules.honours}
    lists["letter_consent"] = (rules.letter_consent,) if rules.letter_consent else ()
    problems = []
    for part, names in lists.items():
        where = f"profile.yaml: assessment.{part}"
        problems += [f"{where}: unknown measure '{name}'" for name in names if name not in known]
        problems += [
            f"{where}: '{name}' is sensitive and can't be assessed"
            for name in names
            if name in known and known[name].sensitive
        ]
    return problems


def _help_problems(profile: Rows) -> list[str]:
    """What mentoring and levers read exists; nothing of it is health data, and a lever is a sum that can fall."""
    rules, levers, known = profile.settings.mentoring, profile.settings.what_if.levers, profile.measures
    named = {f"mentoring.shift_measures: {name}": name for name in rules.shift_measures}
    named |= {f"mentoring.mentor_limits: {name}": name for name in rules.mentor_limits}
    named |= {"mentoring.given_as": rules.given_as} if rules.given_as else {}
    named |= {f"what_if.levers.{key}: {name}": name for key, lever in levers.items() for name in (key, *lever.also)}
    problems = [
        f"profile.yaml: {where}: unknown measure '{name}'" for where, name in named.items() if name not in known
    ]
    for where, name in named.items():
        if name in known and known[name].sensitive:
            problems.append(f"profile.yaml: {where}: '{name}' is health data")
    not_sums = [key for key in levers if key in known and known[key].aggregate != "sum"]
    problems += [f"profile.yaml: what_if.levers.{key}: a lever is a measure that is summed" for key in not_sums]
    if rules.tenure_gap_months[0] > rules.tenure_gap_months[1]:
        problems.append("profile.yaml: mentoring.tenure_gap_months: the smaller number stands first")
    if not any(vars(rules.weights).values()):
        problems.append("profile.yaml: mentoring.weights: at least one must be above 0")
    return problems


def _setting_problems(profile: Rows) -> list[str]:
    """Rates may name rates, but never in a circle; each derived key is new."""
    problems: list[str] = []
    rates, known = profile.settings.rates, profile.measures
    for key, rate in rates.items():
        if key in known:
            problems.append(f"profile.yaml: rates.{key}: there is a measure of that name")
        problems.extend(
            f"profile.yaml: rates.{key}: unknown measure '{name}'"
            for name in (rate.of, rate.per)
            if name not in known and name not in rates
        )
        if _in_circle(key, rates):
            problems.append(f"profile.yaml: rates.{key}: refers to itself (a cycle)")
        elif any(name in rates for name in (rate.of, rate.per)):
            problems.append(f"profile.yaml: rates.{key}: a rate of a rate; name measures instead")
    for key, sequence in profile.settings.sequences.items():
        if key in known or key in rates:
            problems.append(f"profile.yaml: sequences.{key}: there is a measure or rate of that name")
        for name in (sequence.first, sequence.then):
            if name not in known:
                problems.append(f"profile.yaml: sequences.{key}: unknown measure '{name}'")
    return problems


def _in_circle(start: str, rates: Mapping[str, Rate]) -> bool:
    seen: set[str] = set()
    ahead = [rates[start].of, rates[start].per]
    while ahead:
        name = ahead.pop()
        if name == start:
            return True
        if name in rates and name not in seen:
            seen.add(name)
            ahead += [rates[name].of, rates[name].per]
    return False

"""How texts and numbers are said in Chinese and English; the texts themselves stand in words*.toml."""

import datetime as dt
import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

LANGUAGES = ("zh", "en")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December")  # fmt: skip

FILES = sorted(Path(__file__).parent.glob("words*.toml"))
"""words.toml, and words_<subject>.toml for what is said in one place only."""
CHINESE = re.compile("[\u4e00-\u9fff]")
COUNTED = re.compile(r"\{(\w+)\}((?: [^\s\[\]|{}]+)*) \[([^\[\]|]+)\|([^\[\]|]+)\]")
"""In an English text, "{n} new [row|rows]": the first word after one, the second after any other number."""
PUSH = re.compile(r"(?:; pushes the risk (?:up|down)|，(?:推高|降低)风险)$")
"""How a reason's sentence ends; where an arrow stands before it, it is not said twice."""

WORDS: dict[str, dict[str, str]] = {
    key: texts for file in FILES for key, texts in tomllib.loads(file.read_text(encoding="utf-8")).items()
}
"""Key -> {zh: ..., en: ...}."""


def say(key: str, language: str, **values: Any) -> str:
    """Return a text of the table in a language, its placeholders filled and words after numbers in their right form."""
    text = WORDS[key][language]
    if "[" in text:
        text = COUNTED.sub(lambda found: _counted(found, values), text)
    return text.format(**values)


def _counted(found: re.Match[str], values: Mapping[str, Any]) -> str:
    return f"{{{found[1]}}}{found[2]} {found[3 if str(values[found[1]]) == '1' else 4]}"


def pushless(sentence: str) -> str:
    """Return a reason's sentence without its ending "pushes the risk up": an arrow beside it says that."""
    return PUSH.sub("", sentence)


def both(key: str, values: Callable[[str], Mapping[str, Any]]) -> dict[str, str]:
    """Return a text in both languages; ``values`` gives the placeholders for each."""
    return {language: say(key, language, **values(language)) for language in LANGUAGES}


def same(key: str, **values: Any) -> dict[str, str]:
    """Return a text in both languages whose placeholders don't depend on the language."""
    return {language: say(key, language, **values) for language in LANGUAGES}


def one_language(text: str, language: str) -> str:
    """Return one half of a message that says all twice, "A sentence. 一句话。"; a plain one is English, empty in zh."""
    halves = re.fullmatch(r"(.*?[.:!?)])\s*([^\x00-\x7f].*[。：！？）])", text, re.DOTALL)
    if halves:
        return halves[1] if language == "en" else halves[2]
    return text if language == "en" or CHINESE.search(text) else ""


def joined(parts: Sequence[str], language: str) -> str:
    """Return names in a row."""
    return ("、" if language == "zh" else ", ").join(parts)


def percent(probability: float) -> str:
    """Return a probability as people read it: 41%, 0.4% below one percent."""
    value = probability * 100
    text = f"{value:.0f}" if value >= 0.95 or value == 0 else f"{value:.1f}"
    return f"{text}%"


def points(change: float) -> str:
    """Return a change of probability in percentage points, always with its sign."""
    value = round(change * 100, 1)
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    return f"{sign}{abs(value):.1f}"


def odds(push: float) -> str:
    """Return by what factor log-odds change the odds: 1.3, 0.85."""
    return f"{math.exp(push):.2f}"


def number(value: float | None) -> str:
    """Return a measured number: whole ones whole, others with up to two digits; a dash where unknown."""
    if value is None:
        return "—"
    text = (
        f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:,.2f}".rstrip("0").rstrip(".")
    )
    return text.replace("-", "−")


def month_name(day: dt.date, language: str) -> str:
    """Return 2024年6月, or June 2024."""
    return f"{day.year}年{day.month}月" if language == "zh" else f"{MONTHS[day.month - 1]} {day.year}"


def day_name(day: dt.date, language: str) -> str:
    """Return 2024年6月30日, or 30 June 2024."""
    if language == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def tenure(months: int, language: str) -> str:
    """Return a time in service in years and months."""
    if months < 12:
        return say("only_months", language, months=months)
    return say("years", language, years=months // 12, months=months % 12)

"""What the pages of the assessment share: words of codes, signed levels, days, and the month's head."""

import datetime as dt
from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from features.assessment.export import WORDS
from serving.assessed import reading
from serving.assessed.tables import AssessmentHead
from serving.pages.frame import page
from serving.words import day_name, month_name

SCORES = ("index", "workload", "quality", "satisfaction")
KINDS = {"index": "score_index", "workload": "score_workload", "quality": "score_quality",
         "satisfaction": "score_satisfaction"}  # fmt: skip
REACH = 2.5
"""Bands of levels are drawn between minus and plus so many standard deviations."""


def assessed_page(
    request: Request, template: str, language: str, *, database: Session, head: AssessmentHead, **values: Any
) -> HTMLResponse:
    """Return a page of the assessment with what all of them need."""
    return page(
        request,
        template,
        language,
        head=head,
        month=head.as_of.strftime("%Y-%m"),
        months=reading.months_assessed(database),
        **told_by(head, language),
        **values,
    )


def told_by(head: AssessmentHead, language: str) -> dict[str, Any]:
    """Return what templates tell an assessment with."""
    return {
        "scores": SCORES,
        "score_words": KINDS,
        "said": saying(head, language),
        "signed": signed,
        "across": across,
        "money": money,
        "on_day": lambda text: day_name(dt.date.fromisoformat(text), language) if text else "—",
        "in_month": lambda text: month_name(dt.date.fromisoformat(text), language),
    }


def empty_page(request: Request, language: str) -> HTMLResponse:
    """Return the page that says there is no assessment yet."""
    return page(request, "unassessed.html", language)


def saying(head: AssessmentHead, language: str) -> Callable[[str], str]:
    """Return what says a key of the profile or a code of the assessment in words."""
    codes, columns = WORDS["codes"], WORDS["columns"]

    def said(key: str) -> str:
        texts = head.labels.get(key) or codes.get(key) or columns.get(key)
        return str(texts[language]) if texts else key

    return said


def signed(level: float | None, places: int = 1) -> str:
    """Return a level with its sign, a dash where it is not known."""
    if level is None:
        return "—"
    text = f"{level:+.{places}f}"
    return text.replace("-", "−") if float(text) else text.replace("+", "±").replace("-", "±")


def across(level: float) -> float:
    """Return where a level stands on a line from 0 to 200."""
    return round(100 + 100 * max(-1.0, min(1.0, level / REACH)), 2)


def money(cents: int) -> str:
    """Return points to the cent, always with two decimals."""
    return f"{cents / 100:,.2f}".replace("-", "−")

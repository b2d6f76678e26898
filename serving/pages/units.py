"""A unit's page: first whether its roster is the cause, with what carries it and what can be changed; then people."""

import datetime as dt
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from serving.access.caller import TheCaller, looked, needs
from serving.access.roles import Permission
from serving.access.sight import Sight
from serving.answers.problems import Kind, Problem
from serving.pages.frame import Reader, page
from serving.scored import queries, units
from serving.scored.kept import unchanged_of
from serving.sessions import AsOf, Database
from serving.tables import Batch, UnitShareRow
from serving.words import joined, percent, say

NAMED = 3

router = APIRouter(include_in_schema=False)


@router.get("/units/{risk}/{unit:path}", dependencies=[needs(Permission.SEE_UNITS)])
def unit_page(
    request: Request, risk: str, unit: str, caller: TheCaller, database: Database, language: Reader, as_of: AsOf
) -> Response:
    """Show a unit of a list: the roster before the persons."""
    sight = caller.sight
    asked = ("unit", risk, unit, as_of, sight)
    try:
        told = unchanged_of(request).value(
            database, asked, lambda session: _told(session, sight, risk, unit, as_of=as_of)
        )
    except Problem:
        looked(request, caller, f"unit {unit}", found=False)
        raise
    looked(request, caller, f"unit {unit}", found=True)
    batch, share = told["batch"], told["share"]
    return page(
        request,
        "unit.html",
        language,
        unit=unit,
        verdict=share.verdict if share else "",
        carried=_carried(batch, share, language),
        named=_named(batch, share, language),
        **told,
    )


def _told(session: Session, sight: Sight, risk: str, unit: str, *, as_of: dt.date | None) -> dict[str, Any]:
    """All that stands in the store of a unit, as far as the caller sees it."""
    batch = queries.batch_of(session, sight, risk, as_of)
    members = units.people(session, sight, batch, unit) if batch else []
    unranked = queries.unranked(session, sight, batch, unit=unit) if batch else []
    if batch is None or not (members or unranked):
        raise Problem(
            Kind.NOT_FOUND, "There is nobody of this unit on a list of this risk and month. 没有这一单位的名单。"
        )
    splits = {entry.score.officer_id: units.parts_of(entry.score, batch.base_value) for entry in members}
    return {
        "batch": batch,
        "months": queries.months_scored(session, sight, risk),
        "members": members,
        "unranked": unranked,
        "means": units.means(session, sight, batch, unit),
        "share": units.unit_share(session, sight, batch, unit),
        "splits": splits,
        "split_scale": max((split.reach for split in splits.values() if split), default=0.0),
    }


def _carried(batch: Batch, share: UnitShareRow | None, language: str) -> list[dict[str, Any]]:
    """The measures that carry it, with labels and units in the reader's language."""
    found = []
    for each in share.carried if share else []:
        label = batch.labels["measures"].get(each["measure"], {})
        told = {"label": label.get(language, each["measure"]), "unit": label.get(f"unit_{language}", "")}
        found.append({**each, **told})
    return found


def _named(batch: Batch, share: UnitShareRow | None, language: str) -> str:
    """The first measures that carry it, each with its portion of what is shared, and the portion of all else."""
    rows = _carried(batch, share, language)
    if share is None or not rows:
        return ""
    found = units.portions(share)
    told = [f"{row['label']} {percent(part)}" for row, part in zip(rows[:NAMED], found, strict=False)]
    others = sum(found[len(told) :])
    return joined(
        [*told, *([say("unit_rest_portion", language, part=percent(others))] if others > 0 else [])], language
    )

"""A unit's page: first whether its roster is the cause, with what carries it and what can be changed; then people."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving.access.caller import TheCaller, needs
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem
from serving.pages.frame import Reader, page
from serving.scored import queries, units
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
    batch = queries.batch_of(database, sight, risk, as_of)
    members = units.people(database, sight, batch, unit) if batch else []
    unranked = queries.unranked(database, sight, batch, unit=unit) if batch else []
    if batch is None or not (members or unranked):
        raise Problem(
            Kind.NOT_FOUND, "There is nobody of this unit on a list of this risk and month. 没有这一单位的名单。"
        )
    share = units.unit_share(database, sight, batch, unit)
    splits = {entry.score.officer_id: units.parts_of(entry.score, batch.base_value) for entry in members}
    return page(
        request,
        "unit.html",
        language,
        batch=batch,
        unit=unit,
        months=queries.months_scored(database, sight, risk),
        members=members,
        unranked=unranked,
        means=units.means(database, sight, batch, unit),
        share=share,
        verdict=share.verdict if share else "",
        carried=_carried(batch, share, language),
        named=_named(batch, share, language),
        splits=splits,
        split_scale=max((split.reach for split in splits.values() if split), default=0.0),
    )


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

"""A list as a file: CSV or Excel, only what the caller may see. Nothing a spreadsheet would run is left in a cell."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from features.late import Late
from serving.decisions.seen import STATUS_WORDS
from serving.decisions.tables import Flag
from serving.scored.queries import Entry
from serving.scored.told import gated
from serving.tables import Batch
from serving.words import joined, say

if TYPE_CHECKING:
    import openpyxl
else:
    openpyxl = Late("openpyxl")

Cell = str | int | float | None
CORRECTED = ("export_corrected_on", "export_corrected_risk")
COLUMNS = ("export_rank", "export_previous", "export_officer", "unit", "post", "risk", "export_low", "export_high",
           *CORRECTED, "export_status", "export_reasons", "export_offers")  # fmt: skip
RUNS = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so would be a formula."""
NOT_IN_A_CELL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
NOT_IN_A_TITLE = re.compile(r"[\x00-\x1f/\\:*?\[\]]")
"""Characters that a workbook refuses in a cell, and in the name of a sheet."""


def table(
    batch: Batch, entries: Sequence[Entry], flags: dict[str, Flag] | None, language: str
) -> tuple[list[str], list[list[Cell]]]:
    """Return the headings and the rows; columns that the caller may not see are not there at all.

    ``flags`` by the officers as shown; None where the caller may not know the reviews.
    """
    hidden = set()
    if any(entry.score.unit is None for entry in entries):
        hidden |= {"unit", "post"}
    if flags is None:
        hidden |= {"export_status"}
    if not any(entry.offers for entry in entries):
        hidden |= {"export_offers"}
    if not any(entry.correction for entry in entries):
        hidden |= set(CORRECTED)
    kept = [name for name in COLUMNS if name not in hidden]
    rows = [_row(batch, entry, (flags or {}).get(entry.score.officer_id), language) for entry in entries]
    return [say(name, language) for name in kept], [[row[name] for name in kept] for row in rows]


def as_csv(heading: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """Return UTF-8 with a byte order mark, as Excel reads it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(heading)
    writer.writerows([_plain(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def as_xlsx(title: str, heading: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """Return a workbook of one sheet, its heading frozen."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(NOT_IN_A_TITLE.sub(" ", title).strip(" '")[:31] or "1")
    sheet.freeze_panes = "A2"
    for row in (heading, *rows):
        sheet.append([_clean(_plain(cell)) for cell in row])
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _row(batch: Batch, entry: Entry, flag: Flag | None, language: str) -> dict[str, Cell]:
    score = entry.score
    post: dict[str, Any] = batch.labels["posts"].get(score.post or "", {})
    reasons = [reason[f"sentence_{language}"] for reason in entry.strongest if gated(reason)][:3]
    reasons += [say("reasons_withheld", language)] if entry.withheld else []
    return {
        "export_rank": score.rank,
        "export_previous": score.previous_rank,
        "export_officer": score.officer_id,
        "unit": score.unit,
        "post": post.get(language, score.post),
        "risk": round(score.probability, 4),
        "export_low": round(score.low, 4),
        "export_high": round(score.high, 4),
        "export_corrected_on": str(entry.correction.on) if entry.correction else None,
        "export_corrected_risk": round(entry.correction.probability, 4) if entry.correction else None,
        "export_status": say(STATUS_WORDS[flag.status], language) if flag else "",
        "export_reasons": joined(reasons, language),
        "export_offers": joined([offer.label[language] for offer in entry.offers], language),
    }


def _plain(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(RUNS) else cell


def _clean(cell: Cell) -> Cell:
    return NOT_IN_A_CELL.sub(" ", cell) if isinstance(cell, str) else cell

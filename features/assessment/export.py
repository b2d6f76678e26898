"""The assessment as a file: Excel with a sheet for each table, JSON of all of them, Parquet of the persons' report."""

import json
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.assessment.assess import TABLES, Assessment
from features.errors import Refusal, WrongUsage
from features.late import Late
from features.months import month_text

if TYPE_CHECKING:
    import openpyxl
    from openpyxl import cell, styles, utils
else:
    openpyxl, cell, styles, utils = (Late(f"openpyxl{part}") for part in ("", ".cell", ".styles", ".utils"))

SHEETS: dict[str, str] = {
    "people": "三维报告 people",
    "indicators": "指标 indicators",
    "reasons": "变化原因 reasons",
    "history": "近12月 history",
    "weeks": "周考评 weeks",
    "units": "单位 units",
    "unit_months": "单位近12月 unit_months",
    "force_months": "全局指标 force_months",
    "warnings": "负面清单 warnings",
    "stars": "季度警星 stars",
    "honours": "警徽荣耀 honours",
    "letters": "荣誉家书 letters",
    "ladders": "双序列 ladders",
    "points": "积分 points",
    "offers": "积分兑换 offers",
    "leaders": "连续领先 leaders",
    "declines": "连续下滑 declines",
    "blind_spots": "评价盲区 blind_spots",
    "lint": "权重检查 lint",
    "gaming": "刷分监测 gaming",
    "hidden": "隐性绩效 hidden",
}
"""The name of each table's sheet, in both languages."""
WORDS: dict[str, dict[str, dict[str, str]]] = tomllib.loads(
    (Path(__file__).parent / "words.toml").read_text(encoding="utf-8")
)
"""Heads of columns and words of codes, in both languages."""
CODED = frozenset(
    {"post", "review", "status", "dimension", "indicator", "measure", "measures", "state", "barred", "ladder",
     "recommended", "scope", "score", "kind", "purchase", "change"}
)  # fmt: skip
"""Columns whose cells hold keys of the profile or codes, which Excel says in words."""
CENTS = "_cents"
LONG = frozenset({"history", "indicators", "reasons"})
"""Tables with many rows for each person: left out of Excel where they would not fit."""
MOST_ROWS = 200_000
WIDTH = 16
ABOUT = (
    "以当月末所知为准；之后的记录、更正和规则不改变本表。",
    "As known at the end of the month: nothing recorded, corrected or ruled later changes it.",
    "供人参考，不自动作出任何决定；不含健康数据和风险分。",
    "For people to decide; there is no health data and no risk score in it.",
    "分值以同岗位标准差计；少于 5 人的单元格不显示。",
    "Levels are standard deviations of the same post; cells of fewer than 5 persons are not shown.",
)
SUFFIXES = (".xlsx", ".json", ".parquet")


def write_assessment(assessment: Assessment, out: Path) -> list[str]:
    """Write an assessment to a file by its suffix; return the names of the tables that are in it.

    The file appears whole or not at all. WrongUsage for another suffix, Refusal where its folder does not exist.
    """
    check_out(out)
    part = out.with_name(out.name + ".part")
    names = WRITERS[out.suffix.lower()](assessment, part)
    part.replace(out)
    return names


def check_out(out: Path) -> None:
    """Raise WrongUsage for a suffix that is not written, Refusal where the folder does not exist."""
    if out.suffix.lower() not in SUFFIXES:
        raise WrongUsage(f"{out} can't be written.", hint=f"Name a file that ends with {', '.join(SUFFIXES)}.")
    if not out.parent.is_dir():
        raise Refusal(f"The folder {out.parent} does not exist.", hint="Make it first, or choose another --out.")


def as_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows for JSON: dates as YYYY-MM-DD, whole numbers whole, missing figures null."""
    columns = {str(name): [_plain(value) for value in _listed(table[name])] for name in table.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _listed(column: pd.Series) -> list[Any]:
    if pd.api.types.is_datetime64_any_dtype(column):
        return list(column.dt.strftime("%Y-%m-%d").where(column.notna(), None))
    return list(column.astype(object))


def _plain(value: Any) -> Any:
    if isinstance(value, list | dict | str) or value is None:
        return value
    if value is pd.NA or (isinstance(value, float | np.floating) and math.isnan(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _as_json(assessment: Assessment, out: Path) -> list[str]:
    tables = {name: as_records(table) for name, table in assessment.tables.items()}
    head = {"as_of": month_text(assessment.as_of), "profile": assessment.profile, "labels": assessment.labels}
    whole = {**head, "tables": tables}
    out.write_text(json.dumps(whole, ensure_ascii=False, allow_nan=False), encoding="utf-8")
    return list(tables)


def _as_parquet(assessment: Assessment, out: Path) -> list[str]:
    pq.write_table(pa.Table.from_pandas(assessment.tables["people"], preserve_index=False), out, compression="zstd")
    return ["people"]


def _as_excel(assessment: Assessment, out: Path) -> list[str]:
    book, written = openpyxl.Workbook(write_only=True), []
    _cover(book, assessment)
    for name in TABLES:
        table = assessment.tables[name]
        if name in LONG and len(table) > MOST_ROWS:
            continue
        _sheet(book, SHEETS[name], _in_words(table, assessment.labels))
        written.append(name)
    book.save(out)
    return written


def _cover(book: Any, assessment: Assessment) -> None:
    sheet = book.create_sheet("说明 about")
    sheet.column_dimensions["A"].width = 100
    month = month_text(assessment.as_of)
    sheet.append([_text(sheet, f"警醒 Jingxing · 考核 assessment · {assessment.profile} · {month}")])
    for line in ABOUT:
        sheet.append([_text(sheet, line)])


def _sheet(book: Any, title: str, table: pd.DataFrame) -> None:
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "B2"
    for place in range(1, len(table.columns) + 1):
        sheet.column_dimensions[utils.get_column_letter(place)].width = WIDTH
    heads = [_text(sheet, head_of(str(name))) for name in table.columns]
    for head in heads:
        head.font = styles.Font(bold=True)
    sheet.append(heads)
    for row in _excel_rows(sheet, table):
        sheet.append(row)


def head_of(column: str) -> str:
    """Return what a column is called in both languages; ``<score>_<part>`` is put together of its parts."""
    words = WORDS["columns"]
    score, _, part = column.partition("_")
    known = [words[column]] if column in words else [words[score], words[part]]
    return "".join(each["zh"] for each in known) + " " + ": ".join(each["en"] for each in known)


def _in_words(table: pd.DataFrame, labels: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Return a table whose codes are words in both languages."""
    words = {**WORDS["codes"], **labels}

    def said(value: Any) -> Any:
        if isinstance(value, list):
            return "、".join(str(said(each)) for each in value)
        return f"{words[value]['zh']} {words[value]['en']}" if value in words else value

    return table.assign(**{str(name): table[name].map(said) for name in table.columns if name in CODED and len(table)})


def _excel_rows(sheet: Any, table: pd.DataFrame) -> Iterator[list[Any]]:
    columns = [_excel_column(sheet, str(name), table[name]) for name in table.columns]
    return (list(row) for row in zip(*columns, strict=True))


def _excel_column(sheet: Any, name: str, column: pd.Series) -> list[Any]:
    """Cents become points with two decimals; a text is a text, never a formula, whatever it begins with."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return [None if value is pd.NaT else value.date() for value in column]
    values = [_plain(value) for value in column.astype(object)]
    if name.endswith(CENTS):
        return [value / 100 for value in values]
    return [_excel_cell(sheet, value) for value in values]


def _excel_cell(sheet: Any, value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, list | dict):
        return _text(sheet, "；".join(_listed_item(each) for each in value)) if value else None
    if isinstance(value, str):
        return _text(sheet, value) if value[:1] in "=+-@\t\r" or not value.isprintable() else value
    return value


def _listed_item(value: Any) -> str:
    """Say one item of a list: a figure, a text, or a pair of equal ranks."""
    if isinstance(value, dict):
        return " = ".join(f"{side['zh']} {side['en']}" for side in value.values())
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _text(sheet: Any, value: str) -> "cell.WriteOnlyCell":
    made = cell.WriteOnlyCell(sheet, value=cell.cell.ILLEGAL_CHARACTERS_RE.sub("", value))
    made.data_type = "s"
    return made


WRITERS: dict[str, Callable[[Assessment, Path], list[str]]] = {
    ".xlsx": _as_excel,
    ".json": _as_json,
    ".parquet": _as_parquet,
}

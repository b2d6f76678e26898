"""Why an upload was not taken in, in the reader's language: what is wrong with the files sent, and what to do with it.

The door tells whoever works at the server, with folders and commands; an uploader knows only the files.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from features.errors import SHOWN, Refusal
from serving.arrivals.reasons import reason_told
from serving.words import say

WHOLE: Mapping[str, str] = {
    r"No file was sent\.": "refused_none",
    r"'(?P<name>.*)' is no part of an export\.": "refused_stranger",
    r"'(?P<name>.*)' is no name of a file\.": "refused_name",
    r"(?P<name>.*) can't be unpacked \(\w+\)\.": "refused_zip",
    r"There are two files '(?P<name>.*)'\.": "refused_twice",
    r"More than (?P<gb>\d+) GB unpacked\.": "refused_large",
    r"Another (upload is being taken in|ingest is running into this home)\.": "refused_busy",
    r"The export .* cannot be read; nothing was changed:": "refused_unreadable",
    r"(?P<name>.*) cannot be read to its end; .*": "refused_damaged",
    r"(?P<name>.*) holds a header and no rows; .*": "refused_no_rows",
    r"(?P<rows>[\d,]+) of (?P<whole>[\d,]+) rows of the (?P<table>\w+) have a (?P<column>\w+) that the profile "
    r"'(?P<profile>.*)' \(.*": "refused_misfit",
    r"(?P<rows>\d+) bad rows in .*": "refused_strict",
}
"""A refusal's headline as a pattern -> the text that tells it."""
SINGLE: Mapping[str, str] = {
    r"(?P<table>\w+)\.csv or \w+\.parquet is missing; .*": "refused_missing",
    r"(?P<one>.*) and (the folder )?(?P<other>.*) are both there; .*": "refused_both",
    r"(?P<name>.*) is there as CSV and as Parquet; .*": "refused_twice",
    r"(?P<name>.*) is empty; .*": "refused_empty",
    r"(?P<name>.*) cannot be opened \(.*": "refused_damaged",
    r"(?P<name>.*) has no column (?P<missing>.*) \(it has: (?P<has>.*)\); .*": "refused_columns",
    r"(?P<name>.*) has the column (?P<column>.*) twice; .*": "refused_column_twice",
    r"(?P<name>.*) has column (?P<column>.*) as (?P<given>.*); write it as (?P<wanted>.*) or text": "refused_type",
    r"(?P<name>.*) (is neither UTF-8 nor|is UTF-16 text or|has a header that is neither) .*": "refused_encoding",
    r"(?P<name>.*) is a Parquet file by its content; .*": "refused_is_parquet",
}
"""One of a refusal's problems as a pattern -> the text that tells it."""
TYPES = {"a date": "type_date", "a number": "type_number", "a whole number": "type_whole"}
ROW = re.compile(r"(?P<file>.*) line (?P<line>\d+): ((?P<column>\w+): )?(?P<reason>.*)")


@dataclass(frozen=True)
class Refused:
    """What is told of a refused upload: what is wrong and what to do, the mistakes one by one, how many more."""

    what: str
    problems: Sequence[str]
    more: int


def refusal_told(refusal: Refusal, language: str) -> Refused:
    """Return a refusal as an uploader reads it; of one that no text is written for, only what to do."""
    key = next((key for pattern, key in WHOLE.items() if re.fullmatch(pattern, refusal.what, re.DOTALL)), None)
    if key is None:
        return Refused(say("refused_other", language), (), 0)
    told = [_problem(key, problem, language) for problem in refusal.problems[:SHOWN]]
    known = [each for each in told if each is not None]
    if key == "refused_unreadable" and not known:
        return Refused(say("refused_other", language), (), 0)
    what = _said(WHOLE, refusal.what, language) or ""
    return Refused(what, known, _all_of(key, refusal) - len(known))


def _problem(key: str, problem: str, language: str) -> str | None:
    if key == "refused_strict":
        return _row(problem, language)
    return problem if key == "refused_misfit" else _said(SINGLE, problem, language)


def _row(problem: str, language: str) -> str | None:
    found = ROW.fullmatch(problem)
    if found is None:
        return None
    where = found["column"] + (" 列，" if language == "zh" else ": ") if found["column"] else ""
    reason = reason_told(found["reason"], language)
    return say("refused_row", language, file=found["file"], line=found["line"], where=where, reason=reason)


def _said(texts: Mapping[str, str], message: str, language: str) -> str | None:
    for pattern, key in texts.items():
        found = re.fullmatch(pattern, message, re.DOTALL)
        if found:
            values = found.groupdict()
            if values.get("wanted") in TYPES:
                values["wanted"] = say(TYPES[values["wanted"]], language)
            return say(key, language, **values)
    return None


def _all_of(key: str, refusal: Refusal) -> int:
    """How many mistakes there are: a strict refusal names the first of them only."""
    if key == "refused_strict":
        return int(refusal.what.split(" ", 1)[0])
    return len(refusal.problems)

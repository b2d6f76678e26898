"""What stands beside the history must agree with it: model files, aliases, a row for every version that was judged."""

from collections.abc import Sequence

from training.registry.chain import Fault
from training.registry.history import PROMOTED, ROLLED_BACK, Entry, champions
from training.registry.shelf import CHAMPION, HEAD, HISTORY_FILE, Shelf


def beside(shelf: Shelf, rows: Sequence[Entry]) -> Fault | None:
    """Return what beside a whole history contradicts it: files, aliases, versions without a row; None where nothing."""
    for one in shelf.versions():
        row = first_row(rows, one.risk, one.version)
        if row is not None and row.figures["files"] != shelf.digest(one.risk, one.run_id):
            what = f"the files of {one.risk} version {one.version} are not those that were registered"
            return Fault(row.number, what, "Train it again, or restore mlruns/artifacts from a backup.")
        if row is None and (one.verdict is not None or CHAMPION in one.aliases):
            what = f"{one.risk} version {one.version} was judged or serves, and no row tells of it: rows are gone"
            return Fault(len(rows) + 1, what, f"Restore mlruns/{HISTORY_FILE} from a backup.")
    there = {(one.risk, one.version) for one in shelf.versions()}
    for risk in {row.risk for row in rows}:
        serving = champions(rows, risk)[-1:]
        if serving and (risk, serving[0]) not in there:
            what = f"version {serving[0]} of {risk} serves by it, and the registry has no such version"
            return Fault(len(rows), what, "Restore mlruns from a backup.")
    return next((fault for risk in shelf.risks() if (fault := _moved(shelf, rows, risk)) is not None), None)


def _moved(shelf: Shelf, rows: Sequence[Entry], risk: str) -> Fault | None:
    """An alias moved by another hand; one that does not yet follow a row that was cut short is none."""
    mine, stack = [row for row in rows if row.risk == risk], champions(rows, risk)
    alias = shelf.alias(risk, CHAMPION)
    if not stack or alias == stack[-1] or row_number(shelf.noted(HEAD).get(risk)) < mine[-1].number:
        return None
    decided = next(row for row in reversed(mine) if row.action in (PROMOTED, ROLLED_BACK))
    what = f"by it version {stack[-1]} of {risk} serves, but the registry's alias names {alias or 'none'}"
    hint = "The alias was moved by other means. The next use of the registry sets it back; find out who moved it."
    return Fault(decided.number, what, hint)


def first_row(rows: Sequence[Entry], risk: str, version: str) -> Entry | None:
    """Return the row that first told of a version, with the digest of its files."""
    mine = (row for row in rows if (row.risk, row.version) == (risk, version) and "files" in row.figures)
    return next(mine, None)


def row_number(head: str | None) -> int:
    """Return the number of a row that was noted; 0 where none was."""
    return int(head.partition(":")[0]) if head else 0

"""One officer's stored histories, and what is told of the stored roster: read once for each version of the store.

Whoever opens a person mostly opens a second page and pictures of the same person. A version's files never change;
where others take their place (an ingest, a restore), the marks of its files tell. What is kept is never written to.
"""

from pathlib import Path

from features.histories.store import current_version, load_officer, load_roster
from features.histories.tables import Histories
from serving.scored.kept import Newest

OFFICERS = 64
"""So many persons' histories are kept: each some 50 kB a year of service that is stored."""
FILES = ("events.parquet", "moved.parquet", "quarantine.parquet", "roster.parquet")

Own = tuple[Histories, list[str | None]]
Mark = tuple[str, tuple[tuple[int, int, int], ...]]

_officers: Newest[Own] = Newest(OFFICERS)
_rosters: Newest[Histories] = Newest(1)


def mark_of(home: Path) -> Mark:
    """Return what tells the stored histories from any others; a Refusal when nothing was ingested."""
    version = current_version(home)
    told = [path.stat() for name in FILES if (path := version / name).exists()]
    return str(version), tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in told)


def own_histories(home: Path, officer_id: str) -> Own:
    """Return the stored histories of one officer and each row's event_id, as features.histories.store.load_officer.

    A Refusal for someone who is not on the roster, or when nothing was ingested.
    """
    return _officers.of((mark_of(home), officer_id), lambda: load_officer(home, officer_id))


def stored_roster(home: Path) -> Histories:
    """Return the roster without events; a Refusal when nothing was ingested."""
    return _rosters.of(mark_of(home), lambda: load_roster(home))

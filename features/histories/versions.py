"""What was known at an as-of, told by a digest, and the versions of the store that replaying a past list may need."""

import hashlib
import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from features.histories.bases import load_bases
from features.histories.store import current_version, load_version
from features.histories.tables import Events, Histories
from features.months import NO_DAY, last_day
from features.profile import Profile

VERSIONS_KEPT = 24
"""So many of the newest versions of which a list was made are kept, and all that ``needed`` names; the store itself
keeps the last two."""


def known_digest(given: Histories, as_of: int) -> str:
    """Return the SHA-256 of everything that features at ``as_of`` may depend on, but the profile.

    That is the rows recorded by its last day and the postings begun by then, as content: neither what came later nor
    the numbering of officers, units or measures changes it. Equal digests under one profile give equal features.
    """
    digest, known = hashlib.sha256(), given.until(as_of)
    _add_roster(digest, known, int(last_day(as_of)))
    _add_events(digest, known)
    _add_exceptions(digest, known, as_of)
    return digest.hexdigest()


def under(given: Histories, profile: Profile) -> Histories:
    """Return the same histories read by another profile; rows of measures that it does not know are left out."""
    measure = np.asarray([profile.measure_number.get(key, -1) for key in given.profile.measure_keys], dtype=np.int32)
    events = replace(given.events, measure=measure[given.events.measure]) if len(given.events) else given.events
    posts = tuple(profile.posts) or given.posts
    place = np.asarray([posts.index(post) if post in posts else -1 for post in given.posts], dtype=np.int32)
    postings = replace(given.postings, post=place[given.postings.post])
    return replace(given, profile=profile, posts=posts, postings=postings, events=events.take(events.measure >= 0))


def keep_version(home: Path, *, needed: Collection[str] = ()) -> str:
    """Keep the store's present version for replay (hard links: no room until it is replaced); return its name.

    Beyond VERSIONS_KEPT the oldest are let go, but those that ``needed`` names.
    """
    version, kept = current_version(home), _kept(home)
    target = kept / version.name
    if not target.exists():
        unfinished = kept / f"{version.name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(version, unfinished, copy_function=_linked)
        unfinished.rename(target)
    free = sorted(path for path in kept.iterdir() if path.suffix == "" and path.name not in needed)
    for old in free[:-VERSIONS_KEPT]:
        shutil.rmtree(old)
    return version.name


def stored_versions(home: Path, name: str | None) -> Iterator[Histories]:
    """Yield the stored histories, then those kept under a version's name, each loaded when asked for."""
    present, bases = current_version(home), load_bases(home)
    yield replace(load_version(present), bases=bases)
    if name and name != present.name and (_kept(home) / name).is_dir():
        yield replace(load_version(_kept(home) / name), bases=bases)


def _kept(home: Path) -> Path:
    return home / "var" / "replay"


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def _add_roster(digest: "hashlib._Hash", given: Histories, day: int) -> None:
    postings = given.postings
    begun = postings.first <= day
    present = np.zeros(len(given.officers), dtype=bool)
    present[postings.officer[begun]] = True
    hired = np.full(len(given.officers), NO_DAY, dtype=np.int32)
    told = begun & (postings.hired != NO_DAY)  # as features.cohort reads it: what a later posting says came later
    hired[postings.officer[told]] = postings.hired[told]
    _add_text(digest, given.officers[present].tolist())
    _add(digest, hired[present])
    _add(digest, (np.cumsum(present) - 1)[postings.officer[begun]])
    _add(digest, postings.first[begun])
    _add(digest, np.where(postings.last[begun] > day, NO_DAY, postings.last[begun]))
    for codes, names in ((postings.post[begun], given.posts), (postings.unit[begun], given.units)):
        _add_text(digest, np.asarray(names)[codes].tolist())


def _add_events(digest: "hashlib._Hash", given: Histories) -> None:
    events, keys = given.events, np.asarray(given.profile.measure_keys)
    used = np.unique(events.measure)
    by_name = used[np.argsort(keys[used], kind="stable")]
    number = np.zeros(len(keys), dtype=np.int32)
    number[by_name] = np.arange(len(by_name))
    _add_text(digest, keys[by_name].tolist())
    who = np.unique(events.officer)
    _add_text(digest, given.officers[who].tolist())
    measure, officer = number[events.measure], np.searchsorted(who, events.officer).astype(np.int32)
    ordered = _ordered(replace(events, measure=measure, officer=officer))
    for column in ("officer", "measure", "occurred", "recorded", "began", "value", "event"):
        _add(digest, getattr(ordered, column))


def _add_exceptions(digest: "hashlib._Hash", given: Histories, as_of: int) -> None:
    """Whose health data is treated otherwise than the profile says for everyone; nothing where nobody's is."""
    register = given.profile.settings.sensitive_basis == "organisation"
    apart = given.officers[given.covered(as_of) != register]
    if len(apart):
        _add_text(digest, apart.tolist())


def _ordered(events: Events) -> Events:
    """The rows by officer and measure; those of both in the order given."""
    cell = events.officer.astype(np.int64) * (int(events.measure.max(initial=0)) + 1) + events.measure
    return events.take(np.argsort(cell, kind="stable"))  # one key: a sixth of lexsort's time


def _add(digest: "hashlib._Hash", column: npt.NDArray[Any]) -> None:
    kind = "<f8" if column.dtype.kind == "f" else "<i8"
    digest.update(np.ascontiguousarray(column, dtype=kind).data)


def _add_text(digest: "hashlib._Hash", names: list[str]) -> None:
    digest.update("\x00".join([str(len(names)), *names, ""]).encode())

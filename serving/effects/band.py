"""The draw by lot at the edge of capacity, among equals only: off by default, and every draw in the log.

Where the last places fall between persons whose expected benefit is alike, a lot is fairer than a trifle, and later
tells what the help does: within the band the chance of being helped is known.
"""

import datetime as dt
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from serving.access.audit import Actor, record
from serving.effects.tables import BandDraw


@dataclass(frozen=True)
class Band:
    """Who is chosen outright, and who lies so near the last place that a lot decides over the ``places`` left."""

    outright: tuple[str, ...]
    equals: tuple[str, ...]
    places: int

    @property
    def chance(self) -> float:
        """The chance of each in the band."""
        return self.places / len(self.equals) if self.equals else 0.0


def at_the_edge(benefit: Mapping[str, float], places: int, *, width: float) -> Band:
    """Return the band of a ranking: those within ``width`` of the last who would get a place, on either side.

    Ties of the ranking itself go by the officer's key. With a width of 0, or where the places suffice for everyone,
    or would for everyone in the band, nothing is left to a lot.
    """
    ranked = sorted(benefit, key=lambda officer: (-benefit[officer], officer))
    if width <= 0 or not 0 < places < len(ranked):
        return Band(tuple(ranked[: max(0, places)]), (), 0)
    edge = benefit[ranked[places - 1]]
    equals = tuple(officer for officer in ranked if abs(benefit[officer] - edge) <= width)
    outright = tuple(officer for officer in ranked[:places] if officer not in set(equals))
    left = places - len(outright)
    return Band(outright, equals, left) if left < len(equals) else Band(tuple(ranked[:places]), (), 0)


def drawn(
    session: Session, actor: Actor, as_of: dt.date, action: str, *, band: Band, seed: str | None = None
) -> tuple[str, ...]:
    """Return all who get a place; the lot is drawn, stored and written to the log in the caller's transaction.

    A band that was drawn stays drawn: asked again for the same month and action, the first draw is answered, so that
    nobody can draw until the lot pleases. ``seed`` (of 128 random bits where not given) makes the draw repeatable.
    """
    before = session.scalars(select(BandDraw).where(BandDraw.as_of == as_of, BandDraw.action == action)).all()
    if before:
        return tuple(sorted({*band.outright, *(row.officer_id for row in before if row.drawn)}))
    if not band.equals:
        return band.outright
    seed = seed or secrets.token_hex(16)
    chosen = lot(band, seed)
    told = {"seed": seed, "places": band.places, "among": len(band.equals), "band": digest(band.equals),
            "drawn": digest(chosen)}  # fmt: skip
    row = record(session, actor, "drew_by_lot", f"{action} {as_of:%Y-%m}", **told)
    for officer in band.equals:
        session.add(
            BandDraw(
                as_of=as_of, action=action, officer_id=officer, chance=band.chance, drawn=officer in chosen, seed=seed,
                audit_number=row.number,
            )
        )  # fmt: skip
    return tuple(sorted({*band.outright, *chosen}))


def lot(band: Band, seed: str) -> frozenset[str]:
    """Return whom a seed draws from a band: the same for everyone who draws again."""
    numbers = np.random.default_rng(int(hashlib.sha256(seed.encode()).hexdigest(), 16))
    order = numbers.permutation(len(band.equals))[: band.places]
    equals = sorted(band.equals)
    return frozenset(equals[place] for place in order)


def digest(officers: tuple[str, ...] | frozenset[str]) -> str:
    """Return the SHA-256 of some officers in order: the log proves who took part without naming them."""
    return hashlib.sha256("\n".join(sorted(officers)).encode()).hexdigest()

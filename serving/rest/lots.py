"""Where the profile wants it, a lot decides at the edge of a plan's places, among those whose benefit is alike."""

from dataclasses import replace

import numpy as np
from sqlalchemy import Engine

from serving.access.audit import Actor
from serving.database import transaction
from serving.effects.band import Band, at_the_edge, drawn
from serving.rest.asking import Asked, PlanRequest
from serving.rest.solver.problem import Flags, Ints


def with_lots(engine: Engine, actor: Actor, request: PlanRequest, *, asked: Asked, width: float) -> Asked:
    """Return what is asked, less the wishes of those whom a lot left out; each draw is stored and in the log.

    A kind of rest whose own places bound it draws among those whose expected benefit (probability) lies within
    ``width`` of the last who would get a place. Rights and pins take part in no lot. Where the quota of the plan bounds
    several kinds together, the chance of each would be unknown: then none is drawn.
    """
    out = np.zeros(len(asked.wishes), dtype=bool)
    if width > 0:
        with transaction(engine) as session:
            for number, places in _bounds(asked).items():
                mine = _gaining(asked) & (asked.wishes.kind == number)
                band = at_the_edge(_benefits(asked, np.flatnonzero(mine)), places, width=width)
                chosen = drawn(session, actor, request.as_of, asked.kinds[number].key, band=band)
                out |= mine & _left_out(asked, band, chosen)
    return replace(asked, wishes=asked.wishes.only(~out), pin=asked.pin[~out])


def _gaining(asked: Asked) -> Flags:
    wishes = asked.wishes
    return np.asarray((wishes.due == "") & (wishes.benefit > 0) & (asked.pin < 0))


def _bounds(asked: Asked) -> dict[int, int]:
    """Places by kind, of those kinds whose places are known before the plan is solved."""
    kinds = np.unique(asked.wishes.kind[_gaining(asked)]).tolist()
    if len(kinds) == 1:
        own = asked.kinds[kinds[0]].places
        return {kinds[0]: asked.quota if own is None else min(own, asked.quota)}
    own_places = {kind: places for kind in kinds if (places := asked.kinds[kind].places) is not None}
    return own_places if len(own_places) == len(kinds) and sum(own_places.values()) <= asked.quota else {}


def _benefits(asked: Asked, wishes: Ints) -> dict[str, float]:
    officers = asked.staff.officer_id[asked.wishes.officer[wishes]].tolist()
    return dict(zip(officers, asked.wishes.benefit[wishes].tolist(), strict=True))


def _left_out(asked: Asked, band: Band, chosen: tuple[str, ...]) -> Flags:
    officers = asked.staff.officer_id[asked.wishes.officer]
    return np.asarray(np.isin(officers, sorted(set(band.equals) - set(chosen))))

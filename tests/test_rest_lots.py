"""A lot at the edge of a rest plan: off by default, among equals only, in the log, and drawn once."""

from dataclasses import replace

import numpy as np
from sqlalchemy import select

from serving.access.audit import faults
from serving.access.tables import AuditRow
from serving.database import transaction
from serving.effects.tables import BandDraw
from serving.rest.lots import with_lots
from tests.test_rest_lifecycle import CHECK_UP, LEAVE, LI, asking


def leaves(asked):
    kind = [kind.key for kind in asked.kinds].index(LEAVE)
    return set(asked.staff.officer_id[asked.wishes.officer[asked.wishes.kind == kind]].tolist())


def test_without_a_band_nobody_draws(store):
    request, asked = asking()
    same = with_lots(store, LI, request, asked=asked, width=0.0)
    assert len(same.wishes) == len(asked.wishes)
    with transaction(store, writes=False) as session:
        assert not session.scalars(select(BandDraw)).all()


def test_only_equals_at_the_last_place_draw_and_the_rest_keep_what_they_had(store):
    request, asked = asking(quota=4)
    left = with_lots(store, LI, request, asked=asked, width=0.0065)
    # benefits fall by 0.0042 a person: the last of four places is P03; within 0.0065 lie P02, P03, P04
    assert leaves(asked) - leaves(left) < {"P02", "P03", "P04"}
    assert len(leaves(asked) - leaves(left)) == 1
    assert {"P00", "P01", "P05"} <= leaves(left)
    rights = [kind.key for kind in left.kinds].index(CHECK_UP)
    assert int((left.wishes.kind == rights).sum()) == 2
    with transaction(store, writes=False) as session:
        drawn = session.scalars(select(BandDraw)).all()
        assert {row.officer_id: row.chance for row in drawn} == dict.fromkeys(("P02", "P03", "P04"), 2 / 3)
        assert session.scalars(select(AuditRow).where(AuditRow.action == "drew_by_lot")).one()
        assert not list(faults(session))


def test_a_plan_asked_for_again_draws_nobody_anew(store):
    request, asked = asking(quota=4)
    first = with_lots(store, LI, request, asked=asked, width=0.0065)
    for _ in range(5):
        assert leaves(with_lots(store, LI, request, asked=asked, width=0.0065)) == leaves(first)


def test_where_the_quota_bounds_several_kinds_together_no_lot_is_drawn(store):
    request, asked = asking(quota=4)
    others = np.where(np.arange(len(asked.wishes)) % 2, asked.wishes.kind, asked.wishes.kind[-1])
    mixed = replace(asked, wishes=replace(asked.wishes, kind=others))
    assert len(with_lots(store, LI, request, asked=mixed, width=0.1).wishes) == len(asked.wishes)

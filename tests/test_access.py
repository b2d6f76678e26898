"""Accounts, sign-in, tokens and the audit chain, on both databases."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import IntegrityError

from features.errors import Refusal
from serving.access import accounts, credentials, signing_in
from serving.access.audit import SYSTEM, faults, record
from serving.access.passwords import WrongPassword
from serving.access.roles import MAY_SEE, PERMISSIONS, PERMISSIONS_OF, SCOPE_OF, Field, Permission, Role
from serving.access.sight import Sight
from serving.access.tables import Account, AuditRow, Failure
from serving.database import transaction

NOW = dt.datetime(2026, 1, 5, 9, 0, tzinfo=dt.UTC)


def chain(store, rows=6):
    for number in range(rows):
        with transaction(store) as session:
            record(session, SYSTEM, "tested", f"thing {number}", count=number)


def found_faults(store):
    with transaction(store, writes=False) as session:
        return faults(session)


def test_a_chain_that_nobody_touched_is_whole(store):
    chain(store)
    assert found_faults(store) == []


@pytest.mark.parametrize(
    "change",
    [
        update(AuditRow).where(AuditRow.number == 3).values(subject="another"),
        update(AuditRow).where(AuditRow.number == 3).values(details={"count": 99}),
        update(AuditRow).where(AuditRow.number == 3).values(at="2020-01-01T00:00:00.000000+00:00"),
        update(AuditRow).where(AuditRow.number == 3).values(actor="nobody"),
        update(AuditRow).where(AuditRow.number == 3).values(hash="f" * 64),
        delete(AuditRow).where(AuditRow.number == 3),
    ],
    ids=["subject", "details", "time", "actor", "hash", "deleted"],
)
def test_a_row_that_was_edited_or_deleted_is_found_and_named(store, change):
    chain(store)
    with store.begin() as connection:
        connection.execute(change)
    found = found_faults(store)
    assert found
    assert found[0].number == 3
    assert "3" in found[0].what_zh
    assert "3" in found[0].what_en


def test_rows_that_changed_places_are_found(store):
    chain(store)
    with store.begin() as connection:
        for old, new in ((2, 99), (3, 2), (99, 3)):
            connection.execute(update(AuditRow).where(AuditRow.number == old).values(number=new))
    assert {fault.number for fault in found_faults(store)} >= {2, 3}


def test_a_tail_that_was_cut_off_is_found(store):
    chain(store)
    with store.begin() as connection:
        connection.execute(delete(AuditRow).where(AuditRow.number >= 5))
    assert [fault.number for fault in found_faults(store)] == [5]


def test_a_change_and_its_audit_row_stand_or_fall_together(store):
    def broken():
        with transaction(store) as session:
            accounts.add_account(session, SYSTEM, accounts.NewAccount("zhang", Role.WELLNESS))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    with transaction(store) as session:
        assert accounts.how_many(session) == 0
        assert session.scalar(select(func.count()).select_from(AuditRow)) == 0


def test_a_failing_audit_insert_changes_nothing(store):
    chain(store, rows=1)
    with store.begin() as connection:  # the next number is taken: the insert must fail
        connection.execute(text("UPDATE audit_head SET number = 0"))
    with pytest.raises(IntegrityError), transaction(store) as session:
        accounts.add_account(session, SYSTEM, accounts.NewAccount("zhang", Role.WELLNESS))
    with transaction(store) as session:
        assert accounts.how_many(session) == 0


def added(store, name="zhang", role=Role.WELLNESS, **scope):
    with transaction(store) as session:
        return accounts.add_account(session, SYSTEM, accounts.NewAccount(name, role, **scope))


def tried(store, password, *, name="zhang", address="10.0.0.1", now=NOW):
    return signing_in.sign_in(store, name, password, address=address, now=now)


def changed(store, old, new, *, address="10.0.0.1", now=NOW):
    return signing_in.change_password(store, "zhang", old=old, new=new, address=address, now=now)


def test_the_first_password_signs_in_and_must_be_changed(store):
    first = added(store)
    found = tried(store, first).account
    assert found is not None
    assert found.must_change
    assert first not in (found.password or "")


def test_a_changed_password_ends_every_other_sign_in(store):
    first = added(store)
    with transaction(store) as session:
        account = accounts.account_named(session, "zhang")
        secret = credentials.begin(session, account)
    changed(store, first, "a longer one of mine")
    with transaction(store) as session:
        assert credentials.holder(session, secret) is None
    assert tried(store, first).account is None
    assert tried(store, "a longer one of mine").account is not None


@pytest.mark.parametrize("bad", ["short", "zhang-is-my-name", "x" * 300])
def test_a_poor_password_is_refused(store, bad):
    first = added(store)
    with pytest.raises(Refusal):
        changed(store, first, bad)


def test_failures_are_throttled_and_the_right_password_waits_too(store):
    first = added(store)
    waits = [tried(store, "wrong").wait_seconds for _ in range(5)]
    assert waits[:4] == [0, 0, 0, 0]
    assert waits[4] > 0
    assert tried(store, first).account is None
    assert tried(store, first, now=NOW + dt.timedelta(seconds=waits[4])).account is not None
    assert tried(store, "wrong", now=NOW + dt.timedelta(minutes=1)).wait_seconds == 0  # success forgot the failures


def test_guesses_at_the_present_password_are_throttled_and_written_as_those_at_the_sign_in(store):
    first = added(store)
    for _ in range(5):
        with pytest.raises(WrongPassword):
            changed(store, "wrong", "a longer one of mine")
    with transaction(store) as session:
        told = session.execute(select(AuditRow.actor, AuditRow.subject).where(AuditRow.action == "sign-in failed"))
        assert [tuple(row) for row in told] == [("zhang", "password")] * 5
    waiting = changed(store, first, "a longer one of mine")
    assert (waiting.account, waiting.wait_seconds > 0) == (None, True)
    assert tried(store, first).wait_seconds > 0  # nor is the sign-in open to more guesses
    later = NOW + dt.timedelta(seconds=waiting.wait_seconds)
    assert changed(store, first, "a longer one of mine", now=later).account is not None
    assert tried(store, "a longer one of mine", now=later).account is not None  # success forgot the failures


def test_a_new_password_that_is_refused_counts_as_no_guess(store):
    first = added(store)
    for _ in range(7):
        with pytest.raises(Refusal):
            changed(store, first, "short")
    assert changed(store, first, "a longer one of mine").account is not None


def test_of_many_wrong_passwords_at_once_no_more_are_looked_at_than_one_after_another(store):
    added(store)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: tried(store, "wrong"), range(16)))
    with transaction(store) as session:
        looked_at = session.scalar(select(func.count()).where(AuditRow.action == "sign-in failed"))
        assert looked_at == 5
        assert set(session.scalars(select(Failure.failures))) == {5}  # none was lost, by name, address and both


def test_nobody_waits_to_write_while_a_password_is_looked_at(store, monkeypatch):
    first, looked = added(store), signing_in.right

    def while_others_write(kept, password):
        with transaction(store) as session:  # SQLite lets one write at a time
            record(session, SYSTEM, "tested")
        return looked(kept, password)

    monkeypatch.setattr(signing_in, "right", while_others_write)
    assert tried(store, first).account is not None
    assert changed(store, first, "a longer one of mine").account is not None


def test_a_password_that_was_changed_meanwhile_signs_nobody_in(store, monkeypatch):
    first, looked = added(store), signing_in.right

    def while_it_is_reset(kept, password):
        with transaction(store) as session:
            accounts.reset_password(session, SYSTEM, "zhang")
        return looked(kept, password)

    monkeypatch.setattr(signing_in, "right", while_it_is_reset)
    assert tried(store, first).account is None


def test_another_address_is_not_locked_out_by_failures_elsewhere(store):
    first = added(store)
    for _ in range(8):
        tried(store, "wrong", address="10.0.0.9")
    assert tried(store, first, address="10.0.0.1").account is not None


def test_an_unknown_name_is_not_told_from_a_wrong_password(store):
    added(store)
    assert tried(store, "wrong") == tried(store, "wrong", name="nobody")


def test_a_closed_account_neither_signs_in_nor_stays_signed_in(store):
    first = added(store)
    with transaction(store) as session:
        secret = credentials.begin(session, accounts.account_named(session, "zhang"))
        token = credentials.add_token(session, SYSTEM, "zhang", label="export")
    with transaction(store) as session:
        accounts.disable(session, SYSTEM, "zhang")
    with transaction(store) as session:
        assert credentials.holder(session, secret) is None
        assert credentials.bearer(session, token) is None
    assert tried(store, first).account is None


def test_a_sign_in_ends_when_idle_and_after_a_day_of_work(store):
    added(store)
    with transaction(store) as session:
        secret = credentials.begin(session, accounts.account_named(session, "zhang"), now=NOW)
    with transaction(store) as session:
        assert credentials.holder(session, secret, now=NOW + dt.timedelta(minutes=30)) is not None
        assert credentials.holder(session, secret, now=NOW + dt.timedelta(hours=3)) is None
        assert credentials.holder(session, "another", now=NOW) is None


def test_a_token_is_kept_as_a_digest_and_ends(store):
    added(store)
    with transaction(store) as session:
        secret = credentials.add_token(session, SYSTEM, "zhang", label="export", days=1)
        stored = session.execute(text("SELECT * FROM tokens")).one()
    assert not any(secret in str(part) for part in stored)
    with transaction(store) as session:
        assert credentials.bearer(session, secret) is not None
        assert credentials.bearer(session, secret, now=dt.datetime.now(dt.UTC) + dt.timedelta(days=2)) is None


def test_a_token_asks_for_no_more_than_its_account_may(store):
    added(store)
    with transaction(store) as session, pytest.raises(Refusal, match="wellness"):
        credentials.add_token(session, SYSTEM, "zhang", label="x", permissions=[Permission.PROMOTE])


def test_a_commander_needs_units_and_an_officer_a_record():
    with pytest.raises(Refusal, match="units"):
        accounts.NewAccount("li", Role.COMMANDER)
    with pytest.raises(Refusal, match="record"):
        accounts.NewAccount("wang", Role.OFFICER)


def test_no_account_is_there_before_somebody_adds_one(store):
    with transaction(store) as session:
        assert session.scalar(select(func.count()).select_from(Account)) == 0


def test_every_permission_is_told_and_every_role_has_a_row_in_each_table():
    assert set(PERMISSIONS) == set(Permission)
    assert set(PERMISSIONS_OF) == set(MAY_SEE) == set(SCOPE_OF) == set(Role)


def test_nobody_but_wellness_the_person_and_the_pseudonymous_sees_health():
    seeing = {role for role in Role for fields in MAY_SEE[role].values() if Field.HEALTH in fields}
    assert seeing == {Role.WELLNESS, Role.OFFICER, Role.DATA_SCIENTIST}
    assert Field.OFFICER_ID not in MAY_SEE[Role.DATA_SCIENTIST]["wellness"]
    assert MAY_SEE[Role.HR]["wellness"] == MAY_SEE[Role.COMMANDER]["wellness"] == frozenset()


def test_a_pseudonym_differs_between_homes_and_does_not_hold_the_number():
    one, other = Sight(Role.DATA_SCIENTIST, salt="a"), Sight(Role.DATA_SCIENTIST, salt="b")
    assert one.shown_id("021457", "wellness") != other.shown_id("021457", "wellness")
    assert "021457" not in one.shown_id("021457", "wellness")
    assert Sight(Role.WELLNESS).shown_id("021457", "wellness") == "021457"

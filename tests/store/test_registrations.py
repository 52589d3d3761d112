"""Registrations: started before the call, completed with the account, its referrer and its opening balance."""

from decimal import Decimal

import sqlalchemy as sa

from notifier.domain.account import Ownership, Referrer
from notifier.domain.event import AccountKey, BalanceReport
from notifier.domain.money import POINTS
from notifier.store import accounts, ledger, rate_limits
from notifier.store.engine.database import Database
from notifier.store.people import account_list, registrations
from notifier.store.people.registrations import RegisteredAccount
from notifier.store.schema.tables import notices

APP, NOW = "cli_x", 1_700_000_000_000
KEYS = {"f1", "f2"}


def registered(points: int, *, at: int = NOW, tenant: str = "", is_active: bool = True) -> RegisteredAccount:
    key = AccountKey(tenant_key=tenant, app_id=APP, account_id="7")
    return RegisteredAccount(
        report=BalanceReport(account=key, modified_at=at, reported_at=at, amounts={POINTS: Decimal(points)}),
        ownership=Ownership(referrer=Referrer(open_id="ou_a", name_zh="甲"), looked_up_at=at),
        is_active=is_active,
    )


def event(points: int, at: int) -> tuple[int, BalanceReport]:
    key = AccountKey(tenant_key="tk", app_id=APP, account_id="7")
    amounts = {POINTS: Decimal(points)}
    return 1, BalanceReport(account=key, modified_at=at, reported_at=at, amounts=amounts)


def test_a_registration_is_known_from_its_start_and_keeps_the_time_of_the_first_call(
    database: Database,
) -> None:
    start = database.write(lambda c: registrations.start_registration(c, APP, KEYS, now=NOW)).result()
    again = database.write(lambda c: registrations.start_registration(c, APP, KEYS, now=NOW + 9)).result()
    database.write(
        lambda c: registrations.refuse_registration(c, APP, KEYS, code=1002551, now=NOW + 10)
    ).result()
    refused = database.write(lambda c: registrations.load_registrations(c, APP, KEYS)).result()
    after = database.write(lambda c: registrations.start_registration(c, APP, KEYS, now=NOW + 20)).result()

    assert (NOW, NOW, NOW + 20) == (start, again, after)
    assert {1002551} == {each.code for each in refused.values()}
    assert {} == database.write(lambda c: registrations.load_registrations(c, "other", KEYS)).result()


def test_an_account_is_stored_silently_and_an_event_shows_the_change_and_names_the_tenant(
    database: Database,
) -> None:
    database.write(lambda c: registrations.start_registration(c, APP, KEYS, now=NOW)).result()
    assert database.write(lambda c: registrations.save_account(c, KEYS, registered(120), now=NOW)).result()

    [applied] = database.write(lambda c: ledger.apply_reports(c, [event(150, NOW + 5)])).result()

    assert applied.rewrite is not None
    assert applied.rewrite.changes_to_notify is not None
    [change] = applied.rewrite.changes_to_notify
    assert (Decimal(120), Decimal(150), False) == (change.before, change.after, applied.rewrite.is_opening)
    with database.read() as connection:
        [listed] = account_list.list_accounts(connection, APP, limit=9)
        key = accounts.get_account_key(connection, listed.account_ref)
        assert 0 == connection.execute(sa.select(sa.func.count()).select_from(notices)).scalar()
        assert [] == ledger.find_imbalances(connection)
        stored = registrations.load_registrations(connection, APP, KEYS)
    assert ("tk", NOW + 5, "甲") == (key.tenant_key, listed.last_event_at, listed.name_zh)
    assert {"7"} == {each.account_id for each in stored.values()}


def test_an_event_that_was_faster_keeps_its_balance(database: Database) -> None:
    database.write(lambda c: ledger.apply_reports(c, [event(150, NOW + 5)])).result()

    is_new = database.write(
        lambda c: registrations.save_account(c, KEYS, registered(120), now=NOW + 9)
    ).result()

    assert not is_new
    with database.read() as connection:
        [listed] = account_list.list_accounts(connection, APP, limit=9)
        history = ledger.load_history(connection, accounts.get_account_key(connection, listed.account_ref))
    assert {POINTS: Decimal(150)} == listed.amounts
    assert 1 == len(history)


def test_a_look_up_that_a_delivery_waits_for_still_takes_place(database: Database) -> None:
    """It addresses the delivery; the registration would only take the wait away."""
    database.write(lambda c: ledger.apply_reports(c, [event(150, NOW)])).result()
    [ref] = database.write(lambda c: accounts.find_account_refs(c, "7")).result()
    database.write(lambda c: accounts.request_lookups(c, [ref], now=NOW)).result()

    database.write(lambda c: registrations.save_account(c, KEYS, registered(120), now=NOW)).result()

    due = database.write(lambda c: accounts.claim_lookups(c, now=NOW, limit=9)).result()
    assert [ref] == [each.account_ref for each in due]


def test_a_deactivated_account_is_listed_as_such_until_it_is_registered_as_active(database: Database) -> None:
    def save(*, is_active: bool) -> list[str]:
        account = registered(0, tenant="tk", is_active=is_active)
        database.write(lambda c: registrations.save_account(c, KEYS, account, now=NOW)).result()
        with database.read() as connection:
            return [
                each.account_id
                for each in account_list.list_accounts(connection, APP, states=["deactivated"], limit=9)
            ]

    assert (["7"], []) == (save(is_active=False), save(is_active=True))
    with database.read() as connection:
        assert "tk" == registrations.find_tenant_key(connection, APP)
        assert {"ou_a"} == set(registrations.find_accounts_of(connection, APP, {"ou_a", "ou_b"}))


def test_the_limiter_of_registrations_has_its_own_name() -> None:
    names = [rate_limits.SENDING, rate_limits.LOOKUPS, rate_limits.WITHDRAWALS, rate_limits.REGISTRATIONS]

    assert len(names) == len(set(names))

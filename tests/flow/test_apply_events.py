"""Record: inbox entries become balance changes, notices and deliveries, in one transaction or not at all."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.domain.account import Ownership, Referrer
from notifier.domain.event import AccountKey, BalanceReport, Event
from notifier.domain.ledger import BalanceChange
from notifier.domain.notice import Direction
from notifier.domain.route import AddressBook, Condition, Route
from notifier.feishu.wire import read_balance_report, read_event
from notifier.flow.events.apply_events import BATCH, ApplyDeps, apply_events
from notifier.flow.events.receive import Receiver
from notifier.flow.notices import NoticeWriter
from notifier.store import accounts, inbox, ledger
from notifier.store.engine.database import Database
from notifier.store.schema.tables import deliveries, notices
from support.builders import ACCOUNT, CNY, MODIFIED_AT, balance_event
from support.clock import FakeClock

HOUR_MS = 3_600_000
TO_REFERRER = Route(name="to the referrer", when=Condition(), targets=("referrer",))
BOOK = AddressBook(groups={"hr": "oc_hr", "fallback": "oc_fallback"}, fallback="fallback")
LIN = Referrer(open_id="ou_lin", name_zh="林小满")


@pytest.fixture
def deps(clock: FakeClock) -> ApplyDeps:
    return ApplyDeps(
        read=read_balance_report,
        routes=(TO_REFERRER,),
        notices=NoticeWriter(address_book=BOOK, max_age_ms=24 * HOUR_MS),
        clock=clock,
    )


async def receive(database: Database, clock: FakeClock, *events: Event) -> None:
    receiver = Receiver(database, clock, wake=lambda: None)
    for stored in [receiver.accept(event) for event in events]:
        stored.result(10)


def rows(database: Database, table: sa.Table) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(sa.select(table).order_by(table.c.id)))


def inbox_states(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return inbox.count_by_state(connection)


def parked(database: Database) -> list[str]:
    with database.read() as connection:
        return [entry.reason for entry in inbox.list_quarantined(connection, limit=10)]


def steps(database: Database, account: AccountKey = ACCOUNT) -> list[tuple[BalanceChange, ...]]:
    with database.read() as connection:
        assert [] == ledger.find_imbalances(connection)
        return [changes for _, changes in ledger.load_history(connection, account)]


def cash_event(number: int, amount: float, **values: Any) -> Event:
    values = {"event_id": f"ev-{number}", "modify_time": str(MODIFIED_AT + number), "points": 0} | values
    return balance_event(cash=[{"currency_type": "CNY", "amount": amount}], **values)


async def test_an_event_becomes_a_change_a_notice_and_a_delivery(
    database: Database, clock: FakeClock, deps: ApplyDeps
) -> None:
    await receive(database, clock, cash_event(1, 350.5))
    worked_on = await apply_events(database, deps)

    assert 1 == worked_on
    assert {"done": 1} == inbox_states(database)
    assert [(BalanceChange(asset=CNY, before=Decimal(0), after=Decimal("350.5")),)] == steps(database)
    assert ["opening"] == [row.reason for row in rows(database, notices)]
    assert [("waiting", "referrer")] == [(row.state, row.target) for row in rows(database, deliveries)]


async def test_with_nothing_new_there_is_nothing_to_do(database: Database, deps: ApplyDeps) -> None:
    assert 0 == await apply_events(database, deps)


async def test_a_second_copy_of_an_event_changes_nothing(
    database: Database, clock: FakeClock, deps: ApplyDeps
) -> None:
    event = cash_event(1, 350.5)
    await receive(database, clock, event, event)
    await apply_events(database, deps)
    await receive(database, clock, event)

    assert 0 == await apply_events(database, deps)
    assert 1 == len(rows(database, notices))


async def test_the_same_news_in_another_event_is_told_once(
    database: Database, clock: FakeClock, deps: ApplyDeps
) -> None:
    twin = cash_event(1, 350.5, event_id="ev-copy")
    await receive(database, clock, cash_event(1, 350.5), twin)
    await apply_events(database, deps)

    assert {"done": 2} == inbox_states(database)
    assert 1 == len(rows(database, notices))


async def test_news_that_overtook_others_is_told_and_the_late_ones_only_entered(
    database: Database, clock: FakeClock, deps: ApplyDeps
) -> None:
    await receive(database, clock, cash_event(1, 100), cash_event(3, 300), cash_event(2, 200))
    await apply_events(database, deps)

    assert ["opening", "change"] == [row.reason for row in rows(database, notices)]
    assert [100, 200, 300] == [changes[0].after for changes in steps(database)]


async def test_changes_of_one_account_share_a_delivery_that_still_waits(
    database: Database, clock: FakeClock, deps: ApplyDeps
) -> None:
    await receive(database, clock, cash_event(1, 100), cash_event(2, 200))
    await apply_events(database, deps)

    assert (2, 1) == (len(rows(database, notices)), len(rows(database, deliveries)))


async def test_a_referrer_known_for_sure_is_addressed_without_asking(
    database: Database, clock: FakeClock, deps: ApplyDeps
) -> None:
    await receive(database, clock, cash_event(1, 100))
    await apply_events(database, deps)
    know(database, looked_up_at=clock.millis)
    await receive(database, clock, cash_event(2, 200))
    await apply_events(database, replace(deps, routes=(replace(TO_REFERRER, targets=("hr",)),)))

    assert [("waiting", ""), ("ready", "oc_hr")] == [
        (row.state, row.receive_id) for row in rows(database, deliveries)
    ]


async def test_a_look_up_that_grew_old_is_asked_again(
    database: Database, clock: FakeClock, deps: ApplyDeps
) -> None:
    await receive(database, clock, cash_event(1, 100))
    await apply_events(database, deps)
    know(database, looked_up_at=clock.millis - 24 * HOUR_MS)
    await receive(database, clock, cash_event(2, 200))
    await apply_events(database, replace(deps, routes=(replace(TO_REFERRER, targets=("hr",)),)))

    assert ["waiting", "waiting"] == [row.state for row in rows(database, deliveries)]


def know(database: Database, *, looked_up_at: int) -> None:
    """Feishu has told whose account it is."""
    answer = Ownership(referrer=LIN, looked_up_at=looked_up_at)
    database.write(lambda c: accounts.save_ownership(c, 1, answer)).result()


async def test_each_target_of_the_routes_gets_a_delivery(
    database: Database, clock: FakeClock, deps: ApplyDeps
) -> None:
    routes = (
        replace(TO_REFERRER, keep_going=True),
        Route(name="hr", when=Condition(least_amount=Decimal(300)), targets=("hr",)),
    )
    await receive(database, clock, cash_event(1, 350.5))
    await apply_events(database, replace(deps, routes=routes))

    assert ["referrer", "hr"] == [row.target for row in rows(database, deliveries)]


async def test_news_that_no_route_wants_is_entered_and_told_to_nobody(
    database: Database, clock: FakeClock, deps: ApplyDeps
) -> None:
    only_less = replace(TO_REFERRER, when=Condition(directions=frozenset({Direction.DECREASE})))
    await receive(database, clock, cash_event(1, 350.5))
    await apply_events(database, replace(deps, routes=(only_less,)))

    assert 1 == len(steps(database))
    assert [] == rows(database, deliveries)


async def test_an_event_of_another_kind_is_put_aside(
    database: Database, clock: FakeClock, deps: ApplyDeps
) -> None:
    payload = json.dumps({"header": {"event_id": "ev-1", "event_type": "im.message.receive_v1"}}).encode()
    await receive(database, clock, read_event(payload, app_id="cli_x"))
    await apply_events(database, deps)

    assert {"ignored": 1} == inbox_states(database)


@pytest.mark.parametrize(
    "event, reason",
    [
        (read_event(b"not json", app_id="cli_x"), "no JSON object with a header"),
        (read_event(b"\xff\xfe", app_id="cli_x"), "no JSON object with a header"),
        (balance_event(account_id=None), "event.account_id is missing"),
        (balance_event(modify_time="soon"), "event.modify_time is 'soon'"),
        (balance_event(points=1.5), "not a whole number of points"),
        (balance_event(cash=[{"currency_type": "CNY", "amount": "x"}]), "is not a number"),
        (balance_event(cash=[{"currency_type": "", "amount": 1}]), "the currency is empty"),
    ],
)
async def test_a_bad_event_waits_for_a_person_with_its_reason_and_the_others_go_on(
    database: Database, clock: FakeClock, deps: ApplyDeps, event: Event, reason: str
) -> None:
    await receive(database, clock, replace(event, key="bad"), cash_event(2, 200))
    await apply_events(database, deps)

    assert {"quarantined": 1, "done": 1} == inbox_states(database)
    assert reason in parked(database)[0]
    assert 1 == len(rows(database, notices))


async def test_news_from_far_ahead_waits_for_a_person_and_does_not_silence_the_account(
    database: Database, clock: FakeClock, deps: ApplyDeps
) -> None:
    ahead = str(clock.millis + 30 * 24 * HOUR_MS)
    await receive(database, clock, cash_event(1, 100, modify_time=ahead), cash_event(2, 200))
    await apply_events(database, deps)

    assert ["event.modify_time lies 30 days ahead of this machine's clock"] == parked(database)
    assert [200] == [changes[0].after for changes in steps(database)]


def poisoned(event: Event) -> BalanceReport:
    """A reading that breaks on one event in a way that nobody foresaw."""
    if event.key == "ev-2":
        raise ZeroDivisionError("unforeseen")
    return read_balance_report(event)


async def test_one_poisoned_entry_does_not_stop_the_batch(
    database: Database, clock: FakeClock, deps: ApplyDeps
) -> None:
    await receive(database, clock, *(cash_event(number, 100 * number) for number in (1, 2, 3)))
    await apply_events(database, replace(deps, read=poisoned))

    assert {"quarantined": 1, "done": 2} == inbox_states(database)
    assert ["internal error: ZeroDivisionError: unforeseen"] == parked(database)
    assert [100, 300] == [changes[0].after for changes in steps(database)]


async def test_a_database_in_trouble_is_no_fault_of_the_entries(
    database: Database, clock: FakeClock, deps: ApplyDeps
) -> None:
    """A full disk: the step is tried again later, and nothing was half done."""
    await receive(
        database, clock, *(cash_event(number, number, account_id=f"{number}") for number in range(1, BATCH))
    )
    pages = database.write(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar()).result()
    database.write(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count = {pages}")).result()
    with pytest.raises(sa.exc.OperationalError, match="full"):
        await apply_events(database, deps)

    assert {"new": BATCH - 1} == inbox_states(database)
    assert [] == rows(database, notices)
    database.write(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 1073741823")).result()
    assert BATCH - 1 == await apply_events(database, deps)
    assert {"done": BATCH - 1} == inbox_states(database)


async def test_more_than_a_batch_is_worked_on_batch_by_batch(
    database: Database, clock: FakeClock, deps: ApplyDeps
) -> None:
    await receive(database, clock, *(cash_event(number, number) for number in range(1, BATCH + 6)))

    assert [BATCH, 5, 0] == [await apply_events(database, deps) for _ in range(3)]
    assert BATCH + 5 == len(steps(database))


async def test_the_same_account_in_two_tenants_is_kept_apart(
    database: Database, clock: FakeClock, deps: ApplyDeps
) -> None:
    event = cash_event(1, 100)
    await receive(database, clock, event, replace(event, key="ev-2", tenant_key="another"))
    await apply_events(database, deps)

    assert ["opening", "opening"] == [row.reason for row in rows(database, notices)]

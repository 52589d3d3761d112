"""Missed events: which changes prove that events do not reach us, and which do not."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from notifier.domain.event import BALANCE_MISSED
from notifier.domain.reconciliation import READ_LATE_BY_MS, RECONNECT_WITHIN_MS
from notifier.store import accounts as account_rows
from notifier.store import reconciliations
from notifier.store.engine.database import Database
from notifier.store.schema.tables import deliveries, inbox
from support.builders import CNY
from support.clock import FakeClock
from support.reconciling import GRACE, HOUR, LIN, ReconcileScene, reconcile_scene

ACTIVE, DEACTIVATED = 1, 2


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))


@pytest.fixture
async def scene(database: Database, clock: FakeClock) -> AsyncIterator[ReconcileScene]:
    """Every account was read and confirmed while we were connected."""
    async with reconcile_scene(database, clock) as scene:
        await scene.reconcile()
        yield scene


async def lose_a_change(scene: ReconcileScene) -> None:
    scene.box.change_balance(LIN, cash={"CNY": "+500.00"})
    scene.clock.advance(seconds=HOUR)
    await scene.reconcile()
    await scene.after_grace()


def assert_recovered_without_proof(scene: ReconcileScene) -> None:
    assert 1 == len(scene.recovered())
    assert [] == scene.not_receiving
    assert 0 == scene.newest().missed


async def test_a_missed_change_while_we_were_connected_raises_the_alarm(scene: ReconcileScene) -> None:
    await lose_a_change(scene)

    kinds = [row.event_type for row in scene.rows(inbox)]
    assert [1] == scene.not_receiving
    assert 1 == scene.newest().missed
    assert 1 == kinds.count(BALANCE_MISSED)
    assert 1 == len([row for row in scene.rows(deliveries) if row.target == "hr"])


@pytest.mark.parametrize("reconnect_seconds", [None, 0, 2])
async def test_every_missed_change_counts_although_the_first_one_causes_a_reconnect(
    scene: ReconcileScene, reconnect_seconds: float | None
) -> None:
    """None: the connection stays, as with webhooks."""
    reconnect_at: list[float] = []

    def disconnect() -> None:
        scene.not_receiving.append(1)
        if reconnect_seconds is not None:
            reconnect_at.append(scene.clock.millis + reconnect_seconds * 1000)
            scene.connected_since = None

    def connect() -> None:
        if reconnect_at and reconnect_at[0] <= scene.clock.millis:
            reconnect_at.clear()
            scene.connected_since = scene.clock.millis
            scene.reconciler.request_run()

    scene.on_not_receiving = disconnect
    for each in scene.box.accounts()[:4]:
        scene.box.change_balance(each["account_id"], cash={"CNY": "+5.00"})
    scene.clock.advance(seconds=HOUR)
    scene.reconciler.request_run()
    for _ in range(120):
        scene.clock.advance(seconds=0.5)
        connect()
        await scene.run_once()
        await scene.apply_events()

    kinds = [row.event_type for row in scene.rows(inbox)]
    assert (4, 4) == (scene.sum_column("recovered"), scene.sum_column("missed"))
    assert [1] == scene.not_receiving, "one alarm is enough to reconnect"
    assert 1 == kinds.count(BALANCE_MISSED), (
        "the alarm group is notified of the first; the others are counted"
    )


async def test_the_alarm_is_raised_once_in_a_run_however_long_it_takes(scene: ReconcileScene) -> None:
    first, second = (each["account_id"] for each in scene.box.accounts()[:2])
    scene.box.change_balance(first, points=1)
    await scene.reconcile()
    await scene.after_grace()
    await scene.pass_time(RECONNECT_WITHIN_MS / 1000)
    scene.box.change_balance(second, points=1)
    scene.database.write(
        lambda c: reconciliations.schedule_rechecks(c, [scene.account(second).id], at=0)
    ).result()
    await scene.pass_time(GRACE + 5)

    assert (2, [1]) == (scene.newest().missed, scene.not_receiving)


async def test_the_alarm_is_raised_once_for_a_connection_although_another_run_begins(
    scene: ReconcileScene,
) -> None:
    """The listener is already reconnecting: a second alarm would close the new connection."""
    for each in scene.box.accounts()[:4]:
        scene.box.change_balance(each["account_id"], points=1)
    await scene.reconcile()
    scene.clock.advance(seconds=GRACE - 8)
    for _ in range(60):
        scene.clock.advance(seconds=0.5)
        await scene.run_once()
        await scene.apply_events()
        if scene.not_receiving and scene.newest().id == 2:
            scene.reconciler.request_run()

    assert 4 == scene.sum_column("missed")
    assert [1] == scene.not_receiving


@pytest.mark.parametrize("since", [None, 10**15])
async def test_a_change_while_we_were_not_connected_is_no_proof(
    scene: ReconcileScene, since: int | None
) -> None:
    scene.connected_since = since
    await lose_a_change(scene)

    assert_recovered_without_proof(scene)


async def test_a_deactivated_account_is_no_proof(scene: ReconcileScene) -> None:
    scene.box.set_account(LIN, status=DEACTIVATED)
    await lose_a_change(scene)

    assert_recovered_without_proof(scene)


async def test_an_account_that_was_deactivated_between_two_reads_is_no_proof(scene: ReconcileScene) -> None:
    scene.box.change_balance(LIN, cash={"CNY": "+500.00"})
    await scene.reconcile()
    scene.box.set_account(LIN, status=DEACTIVATED)
    await scene.after_grace()

    assert_recovered_without_proof(scene)


async def test_an_account_that_was_enabled_again_between_two_reads_is_no_proof(scene: ReconcileScene) -> None:
    scene.box.set_account(LIN, status=DEACTIVATED)
    scene.box.change_balance(LIN, cash={"CNY": "+500.00"})
    await scene.reconcile()
    scene.box.set_account(LIN, status=ACTIVE)
    await scene.after_grace()

    assert_recovered_without_proof(scene)


async def test_a_change_before_an_account_was_enabled_again_is_no_proof(scene: ReconcileScene) -> None:
    scene.box.set_account(LIN, status=DEACTIVATED)
    scene.clock.advance(seconds=HOUR)
    await scene.reconcile()
    scene.box.change_balance(LIN, cash={"CNY": "+500.00"})
    scene.box.set_account(LIN, status=ACTIVE)
    scene.clock.advance(seconds=HOUR)
    await scene.reconcile()
    await scene.after_grace()

    assert_recovered_without_proof(scene)


async def test_an_account_that_a_withdrawal_found_deactivated_is_no_proof(scene: ReconcileScene) -> None:
    ref = scene.account(LIN).id
    scene.database.write(
        lambda c: account_rows.save_is_active(c, ref, is_active=False, now=scene.clock.millis)
    ).result()
    await lose_a_change(scene)

    assert_recovered_without_proof(scene)


async def test_an_event_that_was_received_before_a_recovered_reading_is_no_proof(
    scene: ReconcileScene,
) -> None:
    """It is older than the ledger, so it creates no notice; the next reading differs because of it."""
    scene.connected_since = None
    await lose_a_change(scene)
    await scene.reconcile()
    scene.connected_since = 0
    [event] = scene.box.change_balance(LIN, cash={"CNY": "+2.00"})
    scene.receive(event, modified_at=scene.account(LIN).modified_at - 1)
    await scene.apply_events()
    await scene.pass_time(GRACE + 5)

    assert 2 == len(scene.recovered())
    assert [] == scene.not_receiving


async def test_after_a_recovery_a_confirmed_read_is_needed_for_a_proof(scene: ReconcileScene) -> None:
    """The event of the recovered change may still come."""
    scene.connected_since = None
    await lose_a_change(scene)
    scene.connected_since = 0
    scene.box.change_balance(LIN, cash={"CNY": "+2.00"})
    await scene.reconcile()
    await scene.after_grace()

    assert 2 == len(scene.recovered())
    assert [] == scene.not_receiving


async def test_after_an_event_a_confirmed_read_is_needed_for_a_proof(
    scene: ReconcileScene,
) -> None:
    [event] = scene.box.change_balance(LIN, cash={"CNY": "+1.00"})
    scene.receive(event)
    await scene.apply_events()
    await lose_a_change(scene)
    assert_recovered_without_proof(scene)
    await scene.reconcile()
    scene.box.change_balance(LIN, cash={"CNY": "+500.00"})
    await scene.reconcile()
    await scene.after_grace()

    assert [1] == scene.not_receiving, "a read confirmed the ledger in between"


@pytest.mark.parametrize("modified_at", [None, "soon"])
async def test_an_event_that_is_waiting_or_quarantined_is_no_proof(
    scene: ReconcileScene, modified_at: str | None
) -> None:
    """None: it waits in the inbox. soon: it is quarantined."""
    [event] = scene.box.change_balance(LIN, cash={"CNY": "+500.00"})
    scene.receive(event, modified_at=modified_at)
    if modified_at is not None:
        await scene.apply_events()
    scene.reconciler.request_run()
    await scene.run_times(80)

    assert 1 == scene.sum_column("recovered")
    assert [] == scene.not_receiving


async def test_a_waiting_event_of_another_account_hides_no_proof(scene: ReconcileScene) -> None:
    other = scene.box.accounts()[1]["account_id"]
    [event] = scene.box.change_balance(other, points=1)
    scene.receive(event, modified_at="soon")
    await lose_a_change(scene)

    assert 1 == len(scene.not_receiving)


async def test_late_events_of_the_second_in_which_a_balance_was_read_create_no_notice(
    scene: ReconcileScene,
) -> None:
    """Feishu rounds the time of a read down to the second, so a change within it looks newer."""
    scene.box.change_balance(LIN, cash={"CNY": "+100.00"})
    await scene.reconcile()
    late = [
        event for cash in ("+50.00", "+30.00") for event in scene.box.change_balance(LIN, cash={"CNY": cash})
    ]
    await scene.after_grace()
    assert ["360.5000", "540.5000"] == scene.notified_cash()[-1]
    before = len(scene.notified_cash())
    dated = scene.account(LIN).modified_at - READ_LATE_BY_MS
    for number, event in enumerate(late):
        scene.receive(event, modified_at=dated + 300 + 1200 * number)
        await scene.apply_events()
    await scene.pass_time(2 * GRACE)

    assert before == len(scene.notified_cash())
    assert Decimal("540.50") == scene.balance(LIN)[CNY]


async def test_a_change_just_after_a_recovered_reading_is_found_by_the_next_one(
    scene: ReconcileScene,
) -> None:
    scene.box.change_balance(LIN, cash={"CNY": "+100.00"})
    await scene.reconcile()
    await scene.after_grace()
    [event] = scene.box.change_balance(LIN, cash={"CNY": "+5.00"})
    scene.receive(event, modified_at=scene.account(LIN).modified_at - READ_LATE_BY_MS + 900)
    await scene.apply_events()
    assert ["360.5000", "460.5000"] == scene.notified_cash()[-1], "which of the two is newer is not known yet"
    await scene.pass_time(2 * GRACE)

    assert ["460.5000", "465.5000"] == scene.notified_cash()[-1]
    assert Decimal("465.50") == scene.balance(LIN)[CNY]

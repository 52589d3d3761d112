"""Unheard: what proves that events do not reach us, and what only looks like it."""

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

USABLE, DEACTIVATED = 1, 2


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))


@pytest.fixture
async def scene(database: Database, clock: FakeClock) -> AsyncIterator[ReconcileScene]:
    """Every account was read, and agreed, while we were connected."""
    async with reconcile_scene(database, clock) as made:
        await made.reconcile()
        yield made


async def lose_a_change(scene: ReconcileScene) -> None:
    scene.box.change_balance(LIN, cash={"CNY": "+500.00"})
    scene.clock.advance(seconds=HOUR)
    await scene.reconcile()
    await scene.after_grace()


def assert_recovered_without_proof(scene: ReconcileScene) -> None:
    assert 1 == len(scene.recovered())
    assert [] == scene.not_receiving
    assert 0 == scene.newest().missed


async def test_a_change_while_we_were_connected_is_the_proof_of_deafness(scene: ReconcileScene) -> None:
    await lose_a_change(scene)

    kinds = [row.event_type for row in scene.rows(inbox)]
    assert [1] == scene.not_receiving
    assert 1 == scene.newest().missed
    assert 1 == kinds.count(BALANCE_MISSED)
    assert 1 == len([row for row in scene.rows(deliveries) if row.target == "hr"])


@pytest.mark.parametrize("seconds_to_renew", [None, 0, 2])
async def test_all_that_went_unheard_counts_though_the_first_makes_the_connection_anew(
    scene: ReconcileScene, seconds_to_renew: float | None
) -> None:
    """None: it stays as it is, as where Feishu posts the events."""
    next_claim_at: list[float] = []

    def give_up() -> None:
        scene.not_receiving.append(1)
        if seconds_to_renew is not None:
            next_claim_at.append(scene.clock.millis + seconds_to_renew * 1000)
            scene.connected_since = None

    def connect() -> None:
        if next_claim_at and next_claim_at[0] <= scene.clock.millis:
            next_claim_at.clear()
            scene.connected_since = scene.clock.millis
            scene.reconciler.request_run()

    scene.on_not_receiving = give_up
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
    assert [1] == scene.not_receiving, "one is enough to make the connection anew"
    assert 1 == kinds.count(BALANCE_MISSED), "the alarm group hears of the first; the others are counted"


async def test_the_alarm_is_given_once_in_a_round_however_long_it_takes(scene: ReconcileScene) -> None:
    first, second = (each["account_id"] for each in scene.box.accounts()[:2])
    scene.box.change_balance(first, points=1)
    await scene.reconcile()
    await scene.after_grace()
    await scene.pass_time(RECONNECT_WITHIN_MS / 1000)
    scene.box.change_balance(second, points=1)
    scene.database.write(
        lambda c: reconciliations.schedule_recheck(c, scene.account(second).id, at=0)
    ).result()
    await scene.pass_time(GRACE + 5)

    assert (2, [1]) == (scene.newest().missed, scene.not_receiving)


async def test_the_alarm_is_given_once_for_a_connection_though_another_round_begins(
    scene: ReconcileScene,
) -> None:
    """The connection is about to be made anew: nothing is gained by cutting its successor, too."""
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
async def test_a_change_while_we_were_away_is_no_proof(scene: ReconcileScene, since: int | None) -> None:
    scene.connected_since = since
    await lose_a_change(scene)

    assert_recovered_without_proof(scene)


async def test_a_deactivated_account_is_silent_and_no_proof(scene: ReconcileScene) -> None:
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
    scene.box.set_account(LIN, status=USABLE)
    await scene.after_grace()

    assert_recovered_without_proof(scene)


async def test_what_changed_before_an_account_was_enabled_again_is_no_proof(scene: ReconcileScene) -> None:
    scene.box.set_account(LIN, status=DEACTIVATED)
    scene.clock.advance(seconds=HOUR)
    await scene.reconcile()
    scene.box.change_balance(LIN, cash={"CNY": "+500.00"})
    scene.box.set_account(LIN, status=USABLE)
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


async def test_an_event_that_was_heard_before_a_recovered_read_is_no_proof(scene: ReconcileScene) -> None:
    """It was placed in silence, and the read that shows it finds a difference."""
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


async def test_a_recovery_counts_from_the_next_read_that_agrees(scene: ReconcileScene) -> None:
    """Its event may still come, and then the two changes are one story."""
    scene.connected_since = None
    await lose_a_change(scene)
    scene.connected_since = 0
    scene.box.change_balance(LIN, cash={"CNY": "+2.00"})
    await scene.reconcile()
    await scene.after_grace()

    assert 2 == len(scene.recovered())
    assert [] == scene.not_receiving


async def test_a_change_after_one_that_was_heard_is_no_proof_before_a_read_agreed(
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

    assert [1] == scene.not_receiving, "now one did"


@pytest.mark.parametrize("modified_at", [None, "soon"])
async def test_an_event_that_nobody_has_worked_on_or_could_is_no_proof(
    scene: ReconcileScene, modified_at: str | None
) -> None:
    """None: it waits in the inbox. soon: it was parked."""
    [event] = scene.box.change_balance(LIN, cash={"CNY": "+500.00"})
    scene.receive(event, modified_at=modified_at)
    if modified_at is not None:
        await scene.apply_events()
    scene.reconciler.request_run()
    await scene.run_times(80)

    assert 1 == scene.sum_column("recovered")
    assert [] == scene.not_receiving


async def test_an_event_of_somebody_else_that_waits_hides_no_proof(scene: ReconcileScene) -> None:
    other = scene.box.accounts()[1]["account_id"]
    [event] = scene.box.change_balance(other, points=1)
    scene.receive(event, modified_at="soon")
    await lose_a_change(scene)

    assert 1 == len(scene.not_receiving)


async def test_late_events_of_the_second_in_which_a_balance_was_read_tell_nothing(
    scene: ReconcileScene,
) -> None:
    """Feishu dates a read by its whole second, so a change of that second looks newer."""
    scene.box.change_balance(LIN, cash={"CNY": "+100.00"})
    await scene.reconcile()
    late = [
        event for cash in ("+50.00", "+30.00") for event in scene.box.change_balance(LIN, cash={"CNY": cash})
    ]
    await scene.after_grace()
    assert ["360.5000", "540.5000"] == scene.notified_cash()[-1]
    told = len(scene.notified_cash())
    dated = scene.account(LIN).modified_at - READ_LATE_BY_MS
    for number, event in enumerate(late):
        scene.receive(event, modified_at=dated + 300 + 1200 * number)
        await scene.apply_events()
    await scene.pass_time(2 * GRACE)

    assert told == len(scene.notified_cash())
    assert Decimal("540.50") == scene.balance(LIN)[CNY]


async def test_a_change_just_after_a_recovered_read_is_told_by_the_next_one(scene: ReconcileScene) -> None:
    scene.box.change_balance(LIN, cash={"CNY": "+100.00"})
    await scene.reconcile()
    await scene.after_grace()
    [event] = scene.box.change_balance(LIN, cash={"CNY": "+5.00"})
    scene.receive(event, modified_at=scene.account(LIN).modified_at - READ_LATE_BY_MS + 900)
    await scene.apply_events()
    assert ["360.5000", "460.5000"] == scene.notified_cash()[-1], (
        "which of the two is newer, nobody knows yet"
    )
    await scene.pass_time(2 * GRACE)

    assert ["460.5000", "465.5000"] == scene.notified_cash()[-1]
    assert Decimal("465.50") == scene.balance(LIN)[CNY]

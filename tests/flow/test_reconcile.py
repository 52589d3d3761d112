"""Reconcile: a change without an event is found by reading, and people are notified once."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from notifier.domain.money import POINTS
from notifier.store.engine.database import Database
from notifier.store.schema.tables import accounts, notices
from support.builders import CNY
from support.clock import FakeClock
from support.reconciling import GRACE, HOUR, LIN, ReconcileScene, reconcile_scene


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))


@pytest.fixture
async def scene(database: Database, clock: FakeClock) -> AsyncIterator[ReconcileScene]:
    async with reconcile_scene(database, clock) as scene:
        yield scene


async def test_a_reading_that_equals_the_ledger_changes_nothing(scene: ReconcileScene) -> None:
    before = len(scene.rows(notices))
    await scene.reconcile()

    assert (16, 0, 0) == (scene.newest().read, scene.newest().failed, scene.newest().recovered)
    assert before == len(scene.rows(notices))
    assert all(row.confirmed_at is not None for row in scene.rows(accounts))


async def test_a_change_without_an_event_is_recovered_once_and_is_marked(scene: ReconcileScene) -> None:
    scene.box.change_balance(LIN, cash={"CNY": "+500.00"})
    await scene.reconcile()
    assert [] == scene.recovered(), "an event may still be on its way"
    await scene.after_grace()
    first = scene.newest().id
    assert 1 == scene.newest().recovered
    await scene.reconcile()
    await scene.after_grace()

    assert ["360.5", "860.5"] == [each.rstrip("0") for each in scene.notified_cash()[-1]]
    assert 1 == len(scene.recovered())
    assert Decimal("860.50") == scene.balance(LIN)[CNY]
    assert (first + 1, 0) == (scene.newest().id, scene.newest().recovered)


async def test_an_event_that_comes_within_the_grace_period_is_the_only_notice(scene: ReconcileScene) -> None:
    scene.box.change_balance(LIN, cash={"CNY": "+500.00"})
    await scene.reconcile()
    scene.receive_all()
    await scene.apply_events()
    await scene.after_grace()

    assert [] == scene.recovered()
    assert Decimal("860.50") == scene.balance(LIN)[CNY]


async def test_another_change_within_the_grace_period_gets_its_own(scene: ReconcileScene) -> None:
    """Its event may be on its way as well; the event of the first change came meanwhile."""
    scene.box.change_balance(LIN, cash={"CNY": "+500.00"})
    await scene.reconcile()
    scene.receive_all()
    await scene.apply_events()
    scene.box.change_balance(LIN, cash={"CNY": "+1.00"})
    await scene.after_grace()
    assert [] == scene.recovered()
    await scene.after_grace()

    assert 1 == len(scene.recovered())
    assert Decimal("861.50") == scene.balance(LIN)[CNY]


async def test_an_event_that_comes_after_the_recovery_creates_no_notice(scene: ReconcileScene) -> None:
    scene.box.change_balance(LIN, cash={"CNY": "+500.00"})
    scene.box.change_balance(LIN, cash={"CNY": "+7.00"})
    await scene.reconcile()
    scene.box.advance(2)  # Feishu dates its answers in whole seconds
    await scene.after_grace()
    before = len(scene.rows(notices))
    scene.receive_all()
    await scene.apply_events()

    assert before == len(scene.rows(notices))
    assert Decimal("867.50") == scene.balance(LIN)[CNY]
    assert 1 == len(scene.recovered())


async def test_a_late_event_that_seems_older_than_a_reading_causes_another_read(
    scene: ReconcileScene,
) -> None:
    """Clocks that differ can date a newer balance before the reading; the next read corrects it."""
    scene.box.change_balance(LIN, cash={"CNY": "+500.00"})
    await scene.reconcile()
    await scene.after_grace()
    [event] = scene.box.change_balance(LIN, cash={"CNY": "+2.00"})
    scene.receive(event, modified_at=scene.account(LIN).modified_at - HOUR * 1000)
    await scene.apply_events()
    assert Decimal("860.50") == scene.balance(LIN)[CNY]
    scene.clock.advance(seconds=1)
    await scene.run_once()
    await scene.after_grace()

    assert Decimal("862.50") == scene.balance(LIN)[CNY]


async def test_newest_accounts_come_first_and_a_restart_continues_at_the_cursor(
    scene: ReconcileScene,
) -> None:
    scene.box.change_balance(LIN, cash={"CNY": "+1.00"})
    scene.receive_all()
    await scene.apply_events()
    scene.reconciler.request_run()
    await scene.run_once()
    assert [LIN] == [row.account_id for row in scene.rows(accounts) if row.confirmed_at is not None]
    scene.clock.advance(seconds=0.5)
    await scene.run_once()
    scene.restart()
    await scene.reconcile(connected=False)

    assert 16 == scene.reads(), "no account was read twice"
    assert (1, 16) == (scene.newest().id, scene.newest().read)


async def test_a_run_starts_on_schedule_and_only_one_at_a_time(scene: ReconcileScene) -> None:
    scene.deps = replace(scene.deps, every_ms=6 * HOUR * 1000, on_connect=False)
    scene.restart()
    await scene.reconcile(connected=False)
    first = scene.newest().id
    await scene.run_once()
    assert first == scene.newest().id
    scene.clock.advance(seconds=6 * HOUR)
    await scene.reconcile(connected=False)

    assert first + 1 == scene.newest().id


async def test_a_clock_that_was_set_back_does_not_stop_the_schedule(scene: ReconcileScene) -> None:
    scene.deps = replace(scene.deps, every_ms=6 * HOUR * 1000, on_connect=False)
    scene.restart()
    await scene.reconcile(connected=False)
    first = scene.newest().id
    scene.clock.advance(seconds=-30 * 24 * HOUR)
    await scene.run_once()

    assert first + 1 == scene.newest().id


async def test_a_mismatch_is_read_again_before_the_run_continues(scene: ReconcileScene) -> None:
    """A run over many accounts takes hours: a recovered balance does not wait for its end."""
    scene.box.change_balance(scene.newest_account(), cash={"CNY": "+500.00"})
    scene.reconciler.request_run()
    await scene.run_once()
    scene.clock.advance(seconds=GRACE + 1)
    await scene.run_once()

    assert 1 == scene.newest().recovered
    assert (2, True) == (scene.reads(), scene.running() is not None)


async def test_points_are_read_too(scene: ReconcileScene) -> None:
    scene.box.change_balance(LIN, points=30)
    await scene.reconcile()
    await scene.after_grace()

    assert Decimal(151) == scene.balance(LIN)[POINTS]


def test_the_next_accounts_are_found_by_their_index(database: Database) -> None:
    with database.read() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT * FROM accounts WHERE modified_at IS NOT NULL AND (modified_at, id) < (5, 5)"
            " AND app_id = 'a' ORDER BY modified_at DESC, id DESC LIMIT 8"
        ).all()

    assert "ix_accounts_modified" in str(plan)
    assert "TEMP B-TREE" not in str(plan)

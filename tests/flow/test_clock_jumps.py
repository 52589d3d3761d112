"""Clock steps: what waited by the old clock waits as long by the new one, and a call is not repeated for longer."""

import pytest
import sqlalchemy as sa

from notifier.domain.delivery import DeliveryState
from notifier.domain.reconciliation import proves_missed_events
from notifier.flow.upkeep.clock_jumps import ClockJumpWatcher
from notifier.runtime.leader import take_over
from notifier.store import reconciliations
from notifier.store.engine.database import Database
from notifier.store.processes import workers
from notifier.store.processes.workers import NewWorker
from notifier.store.schema.tables import accounts
from support.clock import FakeClock
from support.delivery_rows import (
    LIN,
    account_ref,
    claim,
    claimed_ids,
    create_delivery,
    finish_failed,
    read_delivery,
    retry_outcome,
)

HOUR = 3600


@pytest.fixture
def watch(database: Database, clock: FakeClock) -> ClockJumpWatcher:
    return ClockJumpWatcher(database, clock, set_back=lambda _now: None)


async def test_a_retry_that_was_due_soon_is_still_due_soon(
    database: Database, clock: FakeClock, watch: ClockJumpWatcher
) -> None:
    one = create_delivery(database, LIN, "one", now=clock.millis)
    [claimed] = claim(database, now=clock.millis).deliveries
    finish_failed(
        database, claimed, retry_outcome(clock.millis + 30_000, unknown_since=clock.millis), now=clock.millis
    )
    before = read_delivery(database, one)
    await watch.run_once()

    clock.advance(seconds=-HOUR)
    await watch.run_once()

    after = read_delivery(database, one)
    assert (before.due_at - HOUR * 1000, before.unknown_since - HOUR * 1000) == (
        after.due_at,
        after.unknown_since,
    )
    assert [one] == claimed_ids(database, now=clock.millis + 30_000)


async def test_a_step_back_while_we_were_off_is_met_once(
    database: Database, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    now = clock.millis
    database.write(lambda c: workers.register_worker(c, NewWorker(worker_id="before us"), now=now)).result()
    one = create_delivery(database, LIN, "one", now=now)
    clock.advance(seconds=-HOUR)

    await ClockJumpWatcher(database, clock, set_back=lambda _now: None).run_once()
    assert clock.millis == read_delivery(database, one).due_at
    await ClockJumpWatcher(database, clock, set_back=lambda _now: None).run_once()

    assert clock.millis == read_delivery(database, one).due_at
    assert ["clock.jump_detected"] == [apply_events.message for apply_events in caplog.records]


async def test_an_account_that_was_to_be_read_again_soon_still_is(
    database: Database, clock: FakeClock, watch: ClockJumpWatcher
) -> None:
    ref, soon = account_ref(database), clock.millis + 20_000
    database.write(lambda c: reconciliations.mark_mismatches(c, {ref: 1}, recheck_at=soon)).result()
    await watch.run_once()

    clock.advance(seconds=-HOUR)
    await watch.run_once()

    with database.read() as connection:
        due = connection.execute(sa.select(accounts.c.recheck_at)).scalar_one()
    assert clock.millis + 20_000 == due


async def test_that_an_account_agreed_by_the_old_clock_proves_nothing_of_a_connection_made_by_the_new_one(
    database: Database, clock: FakeClock, watch: ClockJumpWatcher
) -> None:
    ref = account_ref(database)
    lease = clock.millis + 1000
    database.write(lambda c: reconciliations.schedule_rechecks(c, [ref], at=lease)).result()
    database.write(
        lambda c: reconciliations.mark_confirmed(
            c, [reconciliations.ConfirmedReading(account_ref=ref, at=clock.millis, claimed_until=lease)]
        )
    ).result()
    await watch.run_once()

    clock.advance(seconds=-HOUR)
    await watch.run_once()
    clock.advance(seconds=60)

    with database.read() as connection:
        books = reconciliations.load_known_balances(connection, [ref])[ref]
    assert not proves_missed_events(books, connected_since=clock.millis, is_active=True)


@pytest.mark.parametrize("back_seconds, state", [(HOUR, DeliveryState.UNKNOWN), (1, DeliveryState.SENDING)])
async def test_a_call_of_unknown_outcome_is_not_repeated_if_the_clock_was_set_back_while_we_were_off(
    database: Database, clock: FakeClock, back_seconds: int, state: DeliveryState
) -> None:
    """For how long we were off cannot be told then, and so not whether Feishu still remembers it."""
    now = clock.millis
    database.write(lambda c: workers.register_worker(c, NewWorker(worker_id="before us"), now=now)).result()
    one = create_delivery(database, LIN, "one", now=now - 10_000)
    [claimed] = claim(database, now=now - 10_000).deliveries
    finish_failed(database, claimed, retry_outcome(now - 5_000, unknown_since=now - 10_000), now=now - 10_000)
    clock.advance(seconds=-back_seconds)

    database.write(lambda c: take_over(c, now=clock.millis, submits_payouts=False)).result()
    await ClockJumpWatcher(database, clock, set_back=lambda _now: None).run_once()
    claim(database, now=clock.millis)

    assert state == read_delivery(database, one).state


async def test_a_clock_that_is_slewed_or_steps_ahead_changes_nothing(
    database: Database, clock: FakeClock, watch: ClockJumpWatcher
) -> None:
    one = create_delivery(database, LIN, "one", now=clock.millis + 30_000)
    before = read_delivery(database, one)

    for seconds in (0, -1, 1, HOUR):
        clock.advance(seconds=seconds)
        await watch.run_once()

    assert before == read_delivery(database, one)

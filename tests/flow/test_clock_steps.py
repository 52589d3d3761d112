"""Clock steps: what waited by the old clock waits as long by the new one, and a call is not repeated for longer."""

import pytest

from notifier.flow.clock_steps import ClockWatch
from notifier.store import desk
from notifier.store.database import Database
from support.clock import FakeClock
from support.outbox import LIN, claim, claimed_ids, delivery, failed, later, row

HOUR = 3600


@pytest.fixture
def watch(database: Database, clock: FakeClock) -> ClockWatch:
    return ClockWatch(database, clock)


async def test_a_retry_that_was_due_soon_is_still_due_soon(
    database: Database, clock: FakeClock, watch: ClockWatch
) -> None:
    one = delivery(database, LIN, "one", now=clock.millis)
    [claimed] = claim(database, now=clock.millis).deliveries
    failed(database, claimed, later(clock.millis + 30_000, unknown_since=clock.millis), now=clock.millis)
    before = row(database, one)
    await watch.turn()

    clock.advance(seconds=-HOUR)
    await watch.turn()

    after = row(database, one)
    assert (before.due_at - HOUR * 1000, before.unknown_since - HOUR * 1000) == (
        after.due_at,
        after.unknown_since,
    )
    assert [one] == claimed_ids(database, now=clock.millis + 30_000)


async def test_a_step_back_while_we_were_off_is_met_once(
    database: Database, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    now = clock.millis
    database.write(lambda c: desk.enrol_worker(c, "before us", now=now)).result()
    one = delivery(database, LIN, "one", now=now)
    clock.advance(seconds=-HOUR)

    await ClockWatch(database, clock).turn()
    assert clock.millis == row(database, one).due_at
    await ClockWatch(database, clock).turn()

    assert clock.millis == row(database, one).due_at
    assert ["clock.set_back"] == [record.message for record in caplog.records]


async def test_a_clock_that_is_slewed_or_steps_ahead_changes_nothing(
    database: Database, clock: FakeClock, watch: ClockWatch
) -> None:
    one = delivery(database, LIN, "one", now=clock.millis + 30_000)
    before = row(database, one)

    for seconds in (0, -1, 1, HOUR):
        clock.advance(seconds=seconds)
        await watch.turn()

    assert before == row(database, one)

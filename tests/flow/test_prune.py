"""Prune: page by page, out of the way of events, and the file levels off."""

import itertools
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.domain.event import Event
from notifier.flow.upkeep.prune import PAGE, PAUSE_SECONDS, ROUND_SECONDS, PruneDeps, Pruner
from notifier.store.engine.database import Database
from notifier.store.inbox import EventInserter
from notifier.store.schema.tables import deliveries, delivery_notices, inbox, notices
from support.clock import FakeClock
from support.delivery_rows import account_ref

DAY = 86_400
BODY = "x" * 4_000


def pruner(database: Database, clock: FakeClock, *, busy: Callable[[], bool] = lambda: False) -> Pruner:
    return Pruner(database, PruneDeps(events_days=30, deliveries_days=90, clock=clock, busy=busy))


async def a_round(one: Pruner) -> int:
    """How many pages it had."""
    pages = 1
    while await one.run_once() != ROUND_SECONDS:
        pages += 1
    return pages


def traffic(database: Database, clock: FakeClock, day: int, *, events: int = 20) -> None:
    """A day's events, worked on, each with a card that was sent."""
    ref = account_ref(database)
    now = clock.millis
    names = [f"{day} {number}" for number in range(events)]

    def write(connection: sa.Connection) -> None:
        connection.execute(
            sa.insert(inbox),
            [
                {
                    "app_id": "a",
                    "event_key": name,
                    "event_type": "t",
                    "tenant_key": "t",
                    "created_at": now,
                    "received_at": now,
                    "payload": b"p" * 1000,
                    "state": "done",
                }
                for name in names
            ],
        )
        for name in names:
            notice = connection.execute(
                sa.insert(notices)
                .values(
                    notice_key=name,
                    account_ref=ref,
                    reason="change",
                    occurred_at=now,
                    created_at=now,
                    changes="[]",
                )
                .returning(notices.c.id)
            ).scalar_one()
            delivery = connection.execute(
                sa.insert(deliveries)
                .values(
                    delivery_key=name,
                    account_ref=ref,
                    target="referrer",
                    state="sent",
                    variant="full",
                    body=BODY,
                    due_at=now,
                    created_at=now,
                    updated_at=now,
                )
                .returning(deliveries.c.id)
            ).scalar_one()
            connection.execute(sa.insert(delivery_notices).values(delivery_id=delivery, notice_id=notice))

    database.write(write).result(30)


def count(database: Database, table: sa.Table) -> int:
    with database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


async def test_eight_months_of_traffic_leave_a_file_that_levels_off(
    database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    one, sizes = pruner(database, clock), []
    for day in range(240):
        traffic(database, clock, day)
        clock.advance(seconds=DAY)
        await a_round(one)
        if day % 30 == 29:
            emptied = sqlite3.connect(tmp_path / "notifier.db")
            emptied.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            emptied.close()
            sizes.append((tmp_path / "notifier.db").stat().st_size)

    assert (30 * 20, 90 * 20) == (count(database, inbox), count(database, deliveries))
    assert sizes[0] < sizes[2]
    assert max(sizes[3:]) <= sizes[3] * 1.05, sizes


async def test_acknowledging_goes_on_while_much_is_pruned(database: Database, clock: FakeClock) -> None:
    """Between any two pages an event gets in: it never waits for the whole."""
    traffic(database, clock, 0, events=10 * PAGE)
    clock.advance(seconds=365 * DAY)
    one, accept = pruner(database, clock), EventInserter(clock)
    pages, left = 0, []
    waits = 0.0
    while waits != ROUND_SECONDS:
        event = Event(
            key=f"new {pages}", event_type="t", tenant_key="t", app_id="a", created_at=1, payload=b"{}"
        )
        stored: Future[Any] = database.write_many(accept, event)
        waits = await one.run_once()
        stored.result(10)
        pages += 1
        left.append(count(database, inbox))

    assert pages > 20
    assert pages == count(database, inbox)
    assert PAGE >= max(before - after for before, after in itertools.pairwise(left))


async def test_it_steps_back_while_events_rush_in(database: Database, clock: FakeClock) -> None:
    traffic(database, clock, 0)
    clock.advance(seconds=365 * DAY)
    burst = threading.Event()
    burst.set()
    one = pruner(database, clock, busy=burst.is_set)

    assert PAUSE_SECONDS == await one.run_once()
    assert 20 == count(database, inbox)
    burst.clear()
    await a_round(one)
    assert 0 == count(database, inbox)


async def test_what_went_is_said_once_a_round_and_nothing_when_nothing_went(
    database: Database, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    traffic(database, clock, 0, events=3)
    one = pruner(database, clock)
    caplog.set_level("INFO", logger="notifier.flow.upkeep.prune")
    await a_round(one)
    assert [] == caplog.messages
    clock.advance(seconds=91 * DAY)

    await a_round(one)

    [apply_events] = caplog.records
    assert "retention.pruned" == apply_events.getMessage()
    assert (3, 3, 3) == tuple(getattr(apply_events, name) for name in ("events", "deliveries", "notices"))


async def test_a_page_that_failed_is_taken_again(database: Database, clock: FakeClock) -> None:
    traffic(database, clock, 0)
    clock.advance(seconds=365 * DAY)
    one = pruner(database, clock)
    database.write(lambda c: c.exec_driver_sql("ALTER TABLE inbox RENAME TO away")).result(10)
    with pytest.raises(sa.exc.OperationalError):
        await one.run_once()
    database.write(lambda c: c.exec_driver_sql("ALTER TABLE away RENAME TO inbox")).result(10)

    await a_round(one)

    assert 0 == count(database, inbox)


async def test_while_the_clock_is_doubted_nothing_is_deleted(database: Database) -> None:
    clock = FakeClock()
    traffic(database, clock, 1)
    clock.advance(seconds=200 * DAY)
    deps = PruneDeps(
        events_days=30,
        deliveries_days=90,
        clock=clock,
        busy=lambda: False,
        is_clock_doubtful=lambda: True,
    )
    one = Pruner(database, deps)
    for _ in range(20):
        await one.run_once()

    with database.read() as connection:
        assert 20 == connection.execute(sa.select(sa.func.count()).select_from(inbox)).scalar_one()

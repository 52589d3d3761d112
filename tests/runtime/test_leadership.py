"""Leadership in one process: one term after another, whatever fails in between."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.errors import LeadershipLost, TemporaryFailure
from notifier.runtime import leadership as module
from notifier.runtime.leadership import CALL_MARGIN_SECONDS, LEASE_SECONDS, Leadership, Term
from notifier.store.engine.database import Database
from notifier.store.processes import leadership as store
from notifier.store.schema.tables import leadership as table
from support.waiting import wait_until

pytestmark = pytest.mark.postgresql


class Terms:
    """The leader's components: they note their terms, and may fail."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.terms: asyncio.Queue[Term] = asyncio.Queue()
        self.error: BaseException | None = None
        self.has_open_calls = False

    @asynccontextmanager
    async def lead(self, term: Term) -> AsyncIterator[None]:
        self.numbers.append(term.number)
        if self.error is not None:
            raise self.error
        self.terms.put_nowait(term)
        yield
        term.has_open_calls = self.has_open_calls


@pytest.fixture
def terms() -> Terms:
    return Terms()


@pytest.fixture
async def leading(database: Database, terms: Terms) -> AsyncIterator[Leadership]:
    leading = Leadership(database, "we", terms.lead)
    await leading.start()
    yield leading
    await leading.stop()


def expire(database: Database) -> None:
    database.write(lambda c: c.execute(sa.update(table).values(expires_at=1)).close()).result()


def take(database: Database, worker_id: str = "other") -> int | None:
    return database.write(lambda c: store.acquire(c, worker_id, ttl_ms=60_000)).result()


def remaining_ms(database: Database) -> int:
    with database.read() as connection:
        lease = store.load_lease(connection)
    assert lease is not None
    return lease.remaining_ms


async def test_a_leader_whose_components_do_not_start_tries_again_with_pauses(
    database: Database, terms: Terms, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own notification that the lease is free must not end the pauses, and others can lead meanwhile."""
    terms.error = RuntimeError("no start")
    leading = Leadership(database, "we", terms.lead)
    pauses: list[float] = []

    async def pause(event: asyncio.Event, seconds: float) -> None:
        if event is leading._stop:
            pauses.append(seconds)
            assert 0 >= remaining_ms(database)
            leading.look_now()

    monkeypatch.setattr(leading, "_pause", pause)
    await leading.start()
    await asyncio.to_thread(wait_until, lambda: len(pauses) >= 4, "tried often")
    await leading.stop()

    assert [2.0, 4.0, 8.0, 16.0] == pauses[:4]
    assert "leadership.failed" in caplog.messages


async def test_a_cancelled_loop_is_started_again(
    database: Database, terms: Terms, leading: Leadership
) -> None:
    term = await asyncio.wait_for(terms.terms.get(), 20)
    assert leading._task is not None
    leading._task.cancel()
    again = await asyncio.wait_for(terms.terms.get(), 30)

    assert term.number < again.number
    assert database.is_shared


async def test_a_late_write_of_an_earlier_term_does_not_end_the_present_one(
    database: Database, terms: Terms, leading: Leadership
) -> None:
    first = await asyncio.wait_for(terms.terms.get(), 20)
    expire(database)
    assert 2 == take(database)
    with pytest.raises(LeadershipLost):
        await asyncio.wrap_future(first.database.write(lambda _connection: None))
    expire(database)
    second = await asyncio.wait_for(terms.terms.get(), 20)
    with pytest.raises(LeadershipLost):
        await asyncio.wrap_future(first.database.write(lambda _connection: None))
    await asyncio.wrap_future(second.database.write(lambda _connection: None))

    assert leading.term is second
    assert [1, 3] == terms.numbers


@pytest.mark.parametrize("has_open_calls", [False, True])
async def test_the_lease_is_released_unless_calls_were_cut_off(
    database: Database,
    terms: Terms,
    has_open_calls: bool,  # noqa: FBT001
) -> None:
    terms.has_open_calls = has_open_calls
    leading = Leadership(database, "we", terms.lead)
    await leading.start()
    await asyncio.wait_for(terms.terms.get(), 20)
    await leading.stop()

    assert has_open_calls is (remaining_ms(database) > 0)
    assert has_open_calls is (take(database) is None)


async def test_a_call_ends_before_the_lease_or_does_not_begin(database: Database, terms: Terms) -> None:
    elapsed = 0.0
    leading = Leadership(database, "we", terms.lead, elapsed_seconds=lambda: elapsed)
    await leading.start()
    term = await asyncio.wait_for(terms.terms.get(), 20)

    assert 10 == term.limit_call_seconds(10)
    assert LEASE_SECONDS - CALL_MARGIN_SECONDS == term.limit_call_seconds(60)
    elapsed = 10
    assert 8 == term.limit_call_seconds(10)
    elapsed = 13.5
    with pytest.raises(TemporaryFailure, match="another process may lead"):
        term.limit_call_seconds(10)
    await leading.stop()


async def test_a_lease_that_comes_too_late_is_given_back(
    database: Database, terms: Terms, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that hangs answers later: without this nobody would lead until the lease ends."""
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.3)
    with held_row(database) as free:
        leading = Leadership(database, "we", terms.lead)
        await leading.start()
        await asyncio.to_thread(wait_until, lambda: "leadership.delayed" in caplog.messages, "given up")
        await leading.stop()
        free()
    await asyncio.to_thread(wait_until, lambda: take(database), "nobody holds it")

    assert [] == terms.numbers


@contextlib.contextmanager
def held_row(database: Database) -> Iterator[Callable[[], None]]:
    """Somebody has locked the row of the lease."""
    take(database, "before")
    expire(database)
    locked, gate = threading.Event(), threading.Event()

    def hold(connection: Any) -> None:
        connection.execute(sa.select(table).with_for_update()).close()
        locked.set()
        gate.wait(8)

    held = database.write(hold)
    assert locked.wait(20)
    yield gate.set
    gate.set()
    held.result(20)

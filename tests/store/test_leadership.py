"""Leadership: one process at a time, and nothing is stored by one that no longer leads."""

import functools
import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from notifier.errors import LeadershipLost
from notifier.store.engine.database import Database
from notifier.store.engine.postgresql.connection import IDLE_IN_TRANSACTION_MS
from notifier.store.processes import leadership
from notifier.store.schema.tables import leadership as leadership_table
from notifier.store.schema.tables import rate_limits

TTL_MS = 60_000


def acquire(database: Database, worker_id: str) -> int | None:
    return database.write(lambda c: leadership.acquire(c, worker_id, ttl_ms=TTL_MS)).result()


def expire(database: Database) -> None:
    database.write(lambda c: c.execute(sa.update(leadership_table).values(expires_at=1)).close()).result()


def fence(worker_id: str, term: int) -> Callable[[sa.Connection], None]:
    return lambda c: leadership.require_term(c, worker_id, term)


def mark(name: str) -> Callable[[sa.Connection], None]:
    return lambda c: c.execute(sa.insert(rate_limits).values(name=name, due_at_ms=0, blocked_until=0)).close()


def marks(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(sa.select(rate_limits.c.name)).scalars())


def test_one_leads_until_the_lease_ends_and_the_term_grows(database: Database) -> None:
    assert 1 == acquire(database, "a")
    assert acquire(database, "b") is None
    assert database.write(lambda c: leadership.renew(c, "a", 1, ttl_ms=TTL_MS)).result()
    expire(database)
    assert 2 == acquire(database, "b")

    assert not database.write(lambda c: leadership.renew(c, "a", 1, ttl_ms=TTL_MS)).result()
    with database.read() as connection:
        lease = leadership.load_lease(connection)
    assert lease is not None
    assert ("b", 2) == (lease.worker_id, lease.term)
    assert 0 < lease.remaining_ms <= TTL_MS


def test_a_released_lease_is_free_at_once_and_nobody_releases_that_of_another(database: Database) -> None:
    acquire(database, "a")
    database.write(lambda c: leadership.release(c, "b", 1)).result()
    assert acquire(database, "b") is None
    database.write(lambda c: leadership.release(c, "a", 1)).result()

    assert 2 == acquire(database, "b")


def test_a_former_leader_stores_nothing_and_harms_no_other_write(database: Database) -> None:
    acquire(database, "a")
    fenced = database.fenced(fence("a", 1))
    fenced.write(mark("first")).result()
    expire(database)
    fenced.write(mark("nobody took over")).result()
    acquire(database, "b")
    gate = threading.Event()
    held = database.write(lambda _connection: gate.wait(20))
    late = fenced.write(mark("late"))
    batch = fenced.write_many(lambda c, items: [mark(each)(c) for each in items], "late batch")
    other = database.write(mark("other"))
    gate.set()

    held.result()
    other.result()
    for each in (late, batch):
        with pytest.raises(LeadershipLost):
            each.result()
    assert {"first", "nobody took over", "other"} <= marks(database)
    assert {"late", "late batch"}.isdisjoint(marks(database))


@pytest.mark.postgresql
def test_a_take_over_waits_for_a_transaction_of_the_leader_but_a_renewal_does_not(
    database: Database, store_url: str
) -> None:
    acquire(database, "a")
    begun, gate = threading.Event(), threading.Event()

    def work(connection: sa.Connection) -> None:
        mark("in time")(connection)
        begun.set()
        gate.wait(20)

    written = database.fenced(fence("a", 1)).write(work)
    assert begun.wait(20)
    other = Database.open(store_url)
    try:
        assert other.write(lambda c: leadership.renew(c, "a", 1, ttl_ms=TTL_MS)).result(5)
        expire(other)
        taken = other.write(lambda c: leadership.acquire(c, "b", ttl_ms=TTL_MS))
        with pytest.raises(TimeoutError):
            taken.result(0.3)
        gate.set()
        assert 2 == taken.result(20)
    finally:
        gate.set()
        other.close()

    written.result()
    assert "in time" in marks(database)


@pytest.mark.postgresql
@pytest.mark.usefixtures("database")
def test_of_several_that_try_together_one_leads(store_url: str) -> None:
    others = [Database.open(store_url) for _ in range(4)]
    tries = [
        each.write(functools.partial(leadership.acquire, worker_id=f"w{number}", ttl_ms=TTL_MS))
        for number, each in enumerate(others)
    ]
    terms = [each.result(20) for each in tries]
    for each in others:
        each.close()

    assert [1] == [each for each in terms if each is not None]


@pytest.mark.postgresql
def test_a_leader_that_is_suspended_in_a_transaction_does_not_keep_the_others_from_leading(
    database: Database, store_url: str
) -> None:
    """The server ends its transaction after IDLE_IN_TRANSACTION_MS."""
    acquire(database, "a")
    begun, gate = threading.Event(), threading.Event()

    def work(connection: sa.Connection) -> None:
        mark("by the former leader")(connection)
        begun.set()
        gate.wait(60)

    written = database.fenced(fence("a", 1)).write(work)
    assert begun.wait(20)
    other = Database.open(store_url)
    try:
        expire(other)
        taken = other.write(lambda c: leadership.acquire(c, "b", ttl_ms=TTL_MS))
        assert 2 == taken.result(2 * IDLE_IN_TRANSACTION_MS / 1000)
    finally:
        gate.set()
        other.close()

    with pytest.raises(sa.exc.DBAPIError):
        written.result(20)
    assert "by the former leader" not in marks(database)

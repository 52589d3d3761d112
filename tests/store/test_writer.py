"""Writer: whoever waits is committed together, only the guilty one fails, and nobody is told before the commit."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

import pytest
import sqlalchemy as sa

from notifier.store.engine.database import Database
from notifier.store.engine.sql import insert_or_ignore
from notifier.store.engine.writer import MAX_JOBS_PER_COMMIT, WriterClosed
from notifier.store.rate_limits import block
from notifier.store.schema.tables import rate_limits


class Stall:
    """Work that keeps the writer busy until let go, so that what comes after must wait together."""

    def __init__(self, database: Database) -> None:
        self._began = threading.Event()
        self._let_go = threading.Event()
        self._done = database.write(self._work)
        assert self._began.wait(10)

    def _work(self, _connection: sa.Connection) -> None:
        self._began.set()
        assert self._let_go.wait(10)

    def end(self) -> None:
        self._let_go.set()
        self._done.result(10)


@pytest.fixture
def commits(database: Database) -> Iterator[list[int]]:
    """One entry per COMMIT that the writer made."""
    seen: list[int] = []

    def count(_connection: sa.Connection) -> None:
        seen.append(1)

    sa.event.listen(database.engine, "commit", count)
    yield seen
    sa.event.remove(database.engine, "commit", count)


def names(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(sa.select(rate_limits.c.name)).scalars())


def put(name: str) -> Callable[[sa.Connection], None]:
    return lambda connection: block(connection, name, until=1, reason="test")


def put_many(connection: sa.Connection, items: Sequence[str]) -> Sequence[int]:
    """Refuses the item `bad`. Gives to each how many came together."""
    if "bad" in items:
        raise ValueError("bad one")
    insert_or_ignore(
        connection, rate_limits, [{"name": item, "due_at_ms": 0.0, "blocked_until": 0} for item in items]
    )
    return [len(items)] * len(items)


def test_all_who_wait_are_committed_together(database: Database, commits: list[int]) -> None:
    stall = Stall(database)
    waiting = [database.write(put(f"job {number}")) for number in range(20)]
    stall.end()
    for each in waiting:
        each.result(10)

    assert 2 == len(commits)  # the stall's, and one for all twenty
    assert {f"job {number}" for number in range(20)} == names(database)


def test_a_faulty_item_costs_the_others_one_more_commit(database: Database, commits: list[int]) -> None:
    stall = Stall(database)
    waiting = [database.write_many(put_many, f"item {number}") for number in range(50)]
    bad = database.write_many(put_many, "bad")
    stall.end()
    for each in waiting:
        assert 1 == each.result(10)
    with pytest.raises(ValueError, match="bad one"):
        bad.result(10)

    assert 2 == len(commits)  # the stall's, and one for all that are not faulty


def test_urgent_work_is_committed_before_the_others_that_wait(database: Database) -> None:
    stall = Stall(database)
    seen: list[tuple[str, bool]] = []

    def look(connection: sa.Connection, items: Sequence[str]) -> Sequence[None]:
        is_first_there = connection.execute(sa.select(rate_limits.c.name)).first() is not None
        seen.extend((item, is_first_there) for item in items)
        return [None] * len(items)

    slow = database.write(put("job"))
    urgent = database.write_many(look, "click", is_urgent=True)
    later = database.write_many(look, "result")
    stall.end()
    for each in (slow, urgent, later):
        each.result(10)

    assert [("click", False), ("result", True)] == seen


def test_items_for_the_same_work_are_handed_over_together(database: Database) -> None:
    stall = Stall(database)
    waiting = [database.write_many(put_many, f"item {number}") for number in range(20)]
    stall.end()

    assert [20] * 20 == [each.result(10) for each in waiting]


def test_a_batch_has_an_upper_bound(database: Database) -> None:
    stall = Stall(database)
    waiting = [database.write_many(put_many, f"item {number}") for number in range(MAX_JOBS_PER_COMMIT + 1)]
    stall.end()

    assert [MAX_JOBS_PER_COMMIT] * MAX_JOBS_PER_COMMIT + [1] == [each.result(10) for each in waiting]


def test_one_failing_job_does_not_undo_the_others(database: Database) -> None:
    def fail(connection: sa.Connection) -> None:
        put("half done")(connection)
        raise ValueError("bad one")

    stall = Stall(database)
    before, guilty, after = (database.write(work) for work in (put("before"), fail, put("after")))
    stall.end()
    before.result(10)
    after.result(10)

    with pytest.raises(ValueError, match="bad one"):
        guilty.result(10)
    assert {"before", "after"} == names(database)


def test_one_failing_item_does_not_undo_those_handed_over_with_it(database: Database) -> None:
    stall = Stall(database)
    good, guilty, also_good = (database.write_many(put_many, item) for item in ("a", "bad", "b"))
    stall.end()

    assert [1, 1] == [good.result(10), also_good.result(10)]
    with pytest.raises(ValueError, match="bad one"):
        guilty.result(10)
    assert {"a", "b"} == names(database)


@pytest.mark.sqlite
def test_everybody_is_told_when_the_commit_fails(database: Database) -> None:
    """A foreign key that is checked at the end of the transaction breaks the commit itself."""

    def break_commit(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        connection.exec_driver_sql(
            "INSERT INTO balances (account_ref, kind, currency, amount) VALUES (99, 'cash', 'CNY', 1)"
        )

    stall = Stall(database)
    innocent, guilty = database.write(put("innocent")), database.write(break_commit)
    stall.end()

    for each in (innocent, guilty):
        with pytest.raises(sa.exc.IntegrityError):
            each.result(10)
    assert set() == names(database)


@pytest.mark.sqlite
def test_a_full_disk_fails_the_work_and_the_writer_goes_on_once_there_is_room(database: Database) -> None:
    pages = database.write(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar()).result(10)
    database.write(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count = {pages}")).result(10)
    full = database.write(lambda c: block(c, "x" * 100_000, until=1, reason="test"))
    with pytest.raises(sa.exc.OperationalError, match="full"):
        full.result(10)
    database.write(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 1073741823")).result(10)
    database.write(put("room again")).result(10)

    assert {"room again"} == names(database)


@pytest.mark.sqlite
def test_nobody_is_told_done_when_a_full_disk_undid_the_whole_transaction(database: Database) -> None:
    """SQLite ends the transaction by itself then, and with it what was done before in the same batch."""
    pages = database.write(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar()).result(10)
    database.write(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count = {pages}")).result(10)
    stall = Stall(database)
    before = database.write(put("before"))
    full = database.write(lambda c: block(c, "x" * 100_000, until=1, reason="test"))
    after = database.write(put("after"))
    stall.end()

    for each in (before, full, after):
        with pytest.raises(sa.exc.OperationalError, match="full"):
            each.result(10)
    assert set() == names(database)


def test_work_that_was_cancelled_while_it_waited_is_not_done(database: Database) -> None:
    stall = Stall(database)
    cancelled = database.write(put("cancelled"))
    assert cancelled.cancel()
    stall.end()
    database.write(put("other")).result(10)

    assert {"other"} == names(database)


def test_closing_finishes_what_was_handed_in(database: Database) -> None:
    stall = Stall(database)
    waiting: list[Future[None]] = [database.write(put(f"job {number}")) for number in range(5)]
    closing = threading.Thread(target=database.close)
    closing.start()
    stall.end()
    closing.join(10)

    assert [None] * 5 == [each.result(0) for each in waiting]


def test_closing_twice_is_harmless(database: Database) -> None:
    database.close()
    database.close()

    with pytest.raises(WriterClosed):
        database.write(lambda connection: connection)


def test_handing_in_work_after_closing_raises(database: Database) -> None:
    database.close()

    with pytest.raises(WriterClosed):
        database.write(put("late"))

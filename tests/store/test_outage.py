"""Trouble: said once when it begins and once when it is over, and only where it is the store's."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from notifier.store.engine.database import Database
from notifier.store.engine.sqlite import connection as sqlite_connection
from notifier.store.engine.writer import Writer
from notifier.store.schema.tables import rate_limits


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock of somebody else is waited for as in production, but not for 10 s."""
    monkeypatch.setattr(sqlite_connection, "LOCK_WAIT_MS", 200)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Engine]:
    """A connection to a file that may be read only."""
    path = tmp_path / "notifier.db"
    Database.open(f"sqlite:///{path}").close()
    keeping = sqlite3.connect(path)  # its -wal and -shm stay
    keeping.execute("SELECT count(*) FROM rate_limits").fetchone()
    engine = sa.create_engine(
        f"sqlite:///file:{path}?mode=ro&uri=true", connect_args={"check_same_thread": False}
    )
    yield engine
    engine.dispose()
    keeping.close()


def write(name: str) -> sa.Insert:
    return sa.insert(rate_limits).values(name=name, due_at_ms=0, blocked_until=0)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records]


def test_a_read_only_file_is_said_once_with_what_to_do(
    read_only: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Writer(read_only)
    for name in ("one", "two"):
        with pytest.raises(sa.exc.OperationalError):
            writer.submit(lambda c, name=name: c.execute(write(name))).result()  # type: ignore[misc]
    writer.close()

    [record] = caplog.records
    assert "store.failed" == record.message
    assert "Make the file and its folder writable" in vars(record)["do"]


@pytest.mark.sqlite
def test_the_end_of_an_outage_is_said_once_something_was_written(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    locker = sqlite3.connect(tmp_path / "notifier.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    with pytest.raises(sa.exc.OperationalError):
        database.write(lambda c: c.execute(write("one"))).result()
    locker.execute("ROLLBACK")
    locker.close()
    database.write(lambda c: c.execute(sa.select(rate_limits)).all()).result()

    assert ["store.failed"] == told(caplog)
    assert "by itself" not in vars(caplog.records[0])["do"]  # a start ends with it

    for name in ("two", "three"):
        database.write(lambda c, name=name: c.execute(write(name))).result()  # type: ignore[misc]
    assert ["store.failed", "store.recovered"] == told(caplog)


@pytest.mark.sqlite
def test_once_something_was_written_the_end_of_a_lock_is_waited_for_and_it_says_so(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database.write(lambda c: c.execute(write("one"))).result()
    locker = sqlite3.connect(tmp_path / "notifier.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    with pytest.raises(sa.exc.OperationalError):
        database.write(lambda c: c.execute(write("two"))).result()
    locker.execute("ROLLBACK")
    locker.close()

    [record] = caplog.records
    assert "Stop it; the notifier then recovers automatically" in vars(record)["do"]


def test_work_that_fails_by_itself_is_no_outage(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(write("one"))
        connection.execute(write("one"))

    with pytest.raises(sa.exc.IntegrityError):
        database.write(fail).result()

    assert [] == told(caplog)

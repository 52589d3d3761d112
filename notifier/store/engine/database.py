"""Database: where rows live, how a transaction begins, and the one thread that writes."""

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url

from notifier.errors import ConfigError
from notifier.store.engine import init_marker, integrity
from notifier.store.engine.outage import (
    REPLACE_DATABASE_HINT,
    StorageOutage,
    get_next_step,
    is_damage,
    to_store_error,
)
from notifier.store.engine.writer import Writer
from notifier.store.schema import upgrade
from notifier.store.schema.tables import workers

if TYPE_CHECKING:
    from concurrent.futures import Future

R = TypeVar("R")
T = TypeVar("T")

LOCK_WAIT_MS = 10_000
WAL_LIMIT_BYTES = 16 * 1024 * 1024
"""Of the -wal file, where a long look at the data has let it grow: it is cut back to this."""


class Database:
    """One database, opened and at the right schema. close() when done.

    write and write_many run on the writer thread; read runs where it is called.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._outage = StorageOutage(engine)
        self._writer = Writer(engine, self._outage)

    @classmethod
    def open(cls, url: str, *, must_exist: bool = False) -> "Database":
        """Raises ConfigError for an address that cannot be used, StoreOutdated when it is newer than we are.

        must_exist: for commands that look at what a running notifier wrote; they make no database of their own.
        """
        _parse(url)
        if must_exist:
            _require_existing(url)
        engine = make_engine(url)
        integrity.check_not_lost(url)
        integrity.check_wal(url)
        file = init_marker.get_database_path(url)
        try:
            if file is not None:
                init_marker.create_marker(file)
            upgrade.ensure_schema(engine)
            if file is not None:
                init_marker.remove_marker(file)
        except sa.exc.OperationalError as error:
            raise ConfigError(
                f"store.url: the database cannot be opened. {to_store_error(error, engine.url.database or '')}"
            ) from error
        except sa.exc.DatabaseError as error:
            step = f" Nothing in it was changed. {REPLACE_DATABASE_HINT}" if is_damage(error) else ""
            raise ConfigError(
                f"store.url: {redact_url(url)} is not a usable database: {error.orig}.{step}"
            ) from error
        return cls(engine)

    def write(self, work: Callable[[Connection], R]) -> "Future[R]":
        return self._writer.submit(work)

    def write_many(self, work: Callable[[Connection, Sequence[T]], Sequence[R]], item: T) -> "Future[R]":
        """All items that wait for the same work are handed to it together."""
        return self._writer.submit_many(work, item)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        try:
            with self.engine.connect().execution_options(read_only=True) as connection, connection.begin():
                yield connection
        except sa.exc.DBAPIError as error:
            self._outage.record_error(error)
            raise

    def find_write_problem(self) -> str | None:
        """What keeps us from writing, with the next step; None for nothing. It writes a row as it was."""
        try:
            with self.engine.begin() as connection:
                connection.execute(sa.update(workers).values(heartbeat_at=workers.c.heartbeat_at))
        except sa.exc.DBAPIError as error:
            return get_next_step(error) or str(error.orig)
        return None

    def close(self, seconds: float | None = None) -> None:
        """seconds: how long to wait for what is still being written; None for as long as it takes."""
        self._writer.close(seconds)
        self.engine.dispose()


def _require_existing(url: str) -> None:
    path = init_marker.get_database_path(url)
    if path is not None and (not path.exists() or init_marker.is_initializing(path)):
        raise ConfigError(
            f"store.url: there is no database at {make_url(url).database} (seen from {Path.cwd()}). "
            "Has `notifier run` been started with this configuration? "
            "A relative path is meant from the folder where you start."
        )


def make_engine(url: str) -> Engine:
    parsed = _parse(url)
    file = init_marker.get_database_path(url)
    if file is not None:
        _create_folder(file)
    engine = sa.create_engine(
        parsed, connect_args={"timeout": LOCK_WAIT_MS / 1000, "check_same_thread": False}
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError as error:
        raise ConfigError(
            "store.url: this is no database address. Use sqlite:///path/to/notifier.db (relative to where you "
            "start) or sqlite:////absolute/path/notifier.db."
        ) from error
    if parsed.get_backend_name() != "sqlite":
        raise ConfigError(f"store.url: {parsed.get_backend_name()} is not supported yet. Use sqlite:///….")
    if parsed.query:
        raise ConfigError("store.url: options behind a ? are not supported. Name the file alone.")
    try:
        Path(f"{parsed.database or ''}.lock").stat()
    except ValueError as error:
        raise ConfigError(f"store.url: no file can have this name: {error}. Name another.") from error
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise ConfigError(
                f"store.url: no file can have this name: {error.strerror}. Name another."
            ) from error
    return parsed


def _create_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"store.url: the folder of {path} cannot be made: {error.strerror}. Name another."
        ) from error


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own connection
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={LOCK_WAIT_MS}",
        f"journal_size_limit={WAL_LIMIT_BYTES}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes the lock at once: a transaction that reads first and writes later could be refused halfway."""
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def redact_url(url: str) -> str:
    return make_url(url).render_as_string(hide_password=True)

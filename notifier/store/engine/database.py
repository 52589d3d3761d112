"""Database: opens SQLite, starts transactions, and gives all writes to one writer thread."""

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
"""SQLite truncates the -wal file to this size after a long read let it grow."""


CACHE_KIB = 16 * 1024
"""Pages that each connection keeps in memory. SQLite's 2 MB are too few for the indexes of 100,000 deliveries."""


class Database:
    """An open database with the current schema. Call close() at the end.

    write and write_many run on the writer thread; read runs on the calling thread.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._outage = StorageOutage(engine)
        self._writer = Writer(engine, self._outage)

    @classmethod
    def open(cls, url: str, *, must_exist: bool = False) -> "Database":
        """Open the database and migrate its schema.

        must_exist: do not create a database; for commands that only read what `notifier run` stored.
        Raises ConfigError for an invalid address or a damaged file, and StoreOutdated if the schema is newer.
        """
        parse_url(url)
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
            next_step = f" Nothing in it was changed. {REPLACE_DATABASE_HINT}" if is_damage(error) else ""
            raise ConfigError(
                f"store.url: {redact_url(url)} is not a usable database: {error.orig}.{next_step}"
            ) from error
        return cls(engine)

    def write(self, work: Callable[[Connection], R]) -> "Future[R]":
        """Run `work` in a transaction on the writer thread. The future resolves after the commit."""
        return self._writer.submit(work)

    def write_many(self, work: Callable[[Connection, Sequence[T]], Sequence[R]], item: T) -> "Future[R]":
        """Run `work` with this item and all other queued items of the same work, in one call."""
        return self._writer.submit_many(work, item)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only transaction on the calling thread."""
        try:
            with self.engine.connect().execution_options(read_only=True) as connection, connection.begin():
                yield connection
        except sa.exc.DBAPIError as error:
            self._outage.record_error(error)
            raise

    def find_write_problem(self) -> str | None:
        """Try a write without effect. Returns the problem with the next step; None if the write succeeds."""
        try:
            with self.engine.begin() as connection:
                connection.execute(sa.update(workers).values(heartbeat_at=workers.c.heartbeat_at))
        except sa.exc.DBAPIError as error:
            return get_next_step(error) or str(error.orig)
        return None

    def close(self, seconds: float | None = None) -> None:
        """Finish queued writes and close. seconds: maximum wait; None: no limit."""
        self._writer.close(seconds)
        self.engine.dispose()


def _require_existing(url: str) -> None:
    path = init_marker.get_database_path(url)
    if path is not None and (not path.exists() or init_marker.is_initializing(path)):
        raise ConfigError(
            f"store.url: there is no database at {make_url(url).database} (seen from {Path.cwd()}). "
            "Start `notifier run` with this configuration first. "
            "A relative path starts at the current folder."
        )


def make_engine(url: str) -> Engine:
    """An SQLAlchemy engine with our SQLite settings. Raises ConfigError for an invalid address."""
    parsed = parse_url(url)
    file = init_marker.get_database_path(url)
    if file is not None:
        create_folder(file)
    engine = sa.create_engine(
        parsed, connect_args={"timeout": LOCK_WAIT_MS / 1000, "check_same_thread": False}
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def parse_url(url: str) -> URL:
    """Parse store.url. Raises ConfigError if it is not an SQLite file that can exist."""
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError as error:
        raise ConfigError(
            "store.url: this is not a database address. Use sqlite:///path/to/notifier.db (relative to the current "
            "folder) or sqlite:////absolute/path/notifier.db."
        ) from error
    if parsed.get_backend_name() != "sqlite":
        raise ConfigError(f"store.url: {parsed.get_backend_name()} is not supported yet. Use sqlite:///….")
    if parsed.query:
        raise ConfigError("store.url: options after a ? are not supported. Remove them.")
    try:
        Path(f"{parsed.database or ''}.lock").stat()
    except ValueError as error:
        raise ConfigError(f"store.url: this is not a valid file name: {error}. Use another name.") from error
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise ConfigError(
                f"store.url: this is not a valid file name: {error.strerror}. Use another name."
            ) from error
    return parsed


def create_folder(path: Path) -> None:
    """Create the folder of this file. Raises ConfigError if it cannot be created."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"store.url: the folder of {path} cannot be created: {error.strerror}. Use another folder."
        ) from error


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own connection
    connection.isolation_level = None  # _begin_sqlite sends BEGIN, so the driver must not
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={LOCK_WAIT_MS}",
        f"journal_size_limit={WAL_LIMIT_BYTES}",
        f"cache_size=-{CACHE_KIB}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """A writer locks at once. A transaction that reads first and writes later can fail with SQLITE_BUSY."""
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def redact_url(url: str) -> str:
    """The address with its password hidden."""
    return make_url(url).render_as_string(hide_password=True)

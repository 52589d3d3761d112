"""Database: where rows live, how a transaction begins, and the one thread that writes."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from filelock import FileLock, Timeout
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine, make_url

from notifier.errors import ConfigError, StoreBusy
from notifier.store.engine import init_marker, integrity
from notifier.store.engine.outage import BEGIN_ANEW, Outage, failing, is_damage, next_step
from notifier.store.engine.writer import Writer
from notifier.store.schema import upgrade
from notifier.store.schema.tables import workers

if TYPE_CHECKING:
    from concurrent.futures import Future

R = TypeVar("R")
T = TypeVar("T")

LOCK_WAIT_MS = 10_000
LOOK_SECONDS = 1.0
"""`status` may hold the right to run on a file for a moment, to see whether somebody does; a start waits for that."""
LOG_FILE_BYTES = 16 * 1024 * 1024
"""Of the -wal file, where a long look at the data has let it grow: it is cut back to this."""


class Database:
    """One database, opened and at the right schema. close() when done.

    write and write_many run on the writer thread; read runs where it is called.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._outage = Outage(engine)
        self._writer = Writer(engine, self._outage)

    @classmethod
    def open(cls, url: str, *, must_exist: bool = False) -> "Database":
        """Raises ConfigError for an address that cannot be used, StoreOutdated when it is newer than we are.

        must_exist: for commands that look at what a running notifier wrote; they make no database of their own.
        """
        _parse(url)
        if must_exist:
            _look_for(url)
        engine = make_engine(url)
        integrity.refuse_lost(url)
        integrity.refuse_damaged_log(url)
        file = init_marker.file_of(url)
        try:
            if file is not None:
                init_marker.begin(file)
            upgrade.bring_up(engine)
            if file is not None:
                init_marker.over(file)
        except sa.exc.OperationalError as error:
            raise ConfigError(
                f"store.url: the database cannot be opened. {failing(error, engine.url.database or '')}"
            ) from error
        except sa.exc.DatabaseError as error:
            step = f" Nothing in it was changed. {BEGIN_ANEW}" if is_damage(error) else ""
            raise ConfigError(
                f"store.url: {show_url(url)} is not a usable database: {error.orig}.{step}"
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
            self._outage.met(error)
            raise

    def ails(self) -> str | None:
        """What keeps us from writing, with the next step; None for nothing. It writes a row as it was."""
        try:
            with self.engine.begin() as connection:
                connection.execute(sa.update(workers).values(beat_at=workers.c.beat_at))
        except sa.exc.DBAPIError as error:
            return next_step(error) or str(error.orig)
        return None

    def close(self, seconds: float | None = None) -> None:
        """seconds: how long to wait for what is still being written; None for as long as it takes."""
        self._writer.close(seconds)
        self.engine.dispose()


def _look_for(url: str) -> None:
    path = init_marker.file_of(url)
    if path is not None and (not path.exists() or init_marker.is_under_way(path)):
        raise ConfigError(
            f"store.url: there is no database at {make_url(url).database} (seen from {Path.cwd()}). "
            "Has `notifier run` been started with this configuration? "
            "A relative path is meant from the folder where you start."
        )


def make_engine(url: str) -> Engine:
    parsed = _parse(url)
    file = init_marker.file_of(url)
    if file is not None:
        _make_folder(file)
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


def _make_folder(path: Path) -> None:
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
        f"journal_size_limit={LOG_FILE_BYTES}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes the lock at once: a transaction that reads first and writes later could be refused halfway."""
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def insert_ignoring(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert what is not there yet, by any unique key; what is there stays as it is."""
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    if rows:
        connection.execute(dialect.insert(table).on_conflict_do_nothing(), list(rows))


def insert_returning(
    connection: Connection, table: sa.Table, row: Mapping[str, object]
) -> sa.Row[*tuple[Any, ...]] | None:
    """The row as it is kept; None where a unique key stands against it, which leaves everything as it was."""
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(**row).on_conflict_do_nothing().returning(table)
    found: sa.Row[*tuple[Any, ...]] | None = connection.execute(statement).first()
    return found


def upsert(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert, or where the primary key exists, set the other columns given."""
    if not rows:
        return
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    keys = [column.name for column in table.primary_key]
    statement = dialect.insert(table)
    others = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=others), list(rows))


def show_url(url: str) -> str:
    return make_url(url).render_as_string(hide_password=True)


@contextmanager
def sole_process(url: str) -> Iterator[Callable[[], None]]:
    """Holds the right to run on this SQLite file; the operating system takes it back when we die.

    It gives what is to be called once the file has been made. Raises StoreBusy when another process holds the right,
    ConfigError for an address that cannot be used.
    """
    with _lock_beside(url, wait_seconds=LOOK_SECONDS) as path:
        if path is None:
            yield lambda: None
            return
        file = _HeldFile(path)
        try:
            file.hold()
            yield file.hold
        finally:
            file.release()


@contextmanager
def _lock_beside(url: str, *, wait_seconds: float) -> Iterator[Path | None]:
    """The file's true path; None where there is none. Raises as sole_process."""
    _parse(url)
    path = init_marker.file_of(url)
    if path is None:
        yield None
        return
    _make_folder(path)
    lock = FileLock(f"{path}.lock", timeout=wait_seconds)
    try:
        lock.acquire()
    except Timeout as error:
        raise _busy(path) from error
    except OSError as error:
        raise ConfigError(
            f"store.url: {path}.lock cannot be made: {error.strerror}. Make the folder writable for the notifier."
        ) from error
    try:
        yield path
    finally:
        lock.release()


class _HeldFile:
    """The database's file itself, as it may have other names and the lock beside it may be deleted: two processes that
    come to it by two names would each have a -wal of their own.

    SQLite's locks are of another kind and do not meet this one, but they go with any descriptor of the file that is
    closed in this process: so this is kept until the database is closed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def hold(self) -> None:
        """Raises StoreBusy. Does nothing where there is no file yet, or it is held."""
        if self._descriptor is not None or not self._path.is_file():
            return
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY)
        except OSError:
            return  # SQLite will say why
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.release()
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise _busy(self._path) from error

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _busy(path: Path) -> StoreBusy:
    return StoreBusy(
        f"Another notifier is already running on {path}. Stop it first, or give this one its own store.url."
    )


def is_running(url: str) -> bool:
    """Whether a process holds the right to run on this file. The file itself is not touched: it may be open here."""
    try:
        with _lock_beside(url, wait_seconds=0):
            return False
    except StoreBusy:
        return True
    except ConfigError:
        return False

"""Database: opens the store, starts transactions, and gives all writes to one writer thread."""

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from notifier.clock import Clock, MeasuredClock, SystemClock
from notifier.store.engine.backends import find_backend, get_backend
from notifier.store.engine.outage import StorageOutage, get_next_step
from notifier.store.engine.sql import read_database_time
from notifier.store.engine.writer import Writer
from notifier.store.schema import upgrade
from notifier.store.schema.tables import workers

if TYPE_CHECKING:
    from concurrent.futures import Future

R = TypeVar("R")
T = TypeVar("T")


class Database:
    """An open database with the current schema. Call close() at the end.

    write and write_many run on the writer thread; read runs on the calling thread.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._backend = get_backend(engine)
        self._outage = StorageOutage(engine)
        self._writer = Writer(engine, self._outage)
        self._fence: Callable[[Connection], None] | None = None
        self._fenced: dict[Callable[..., Any], Callable[..., Any]] = {}
        """Fenced batch work by the work itself: equal work runs together."""

    @property
    def is_shared(self) -> bool:
        """Whether several notifier processes may use this database at the same time."""
        return self._backend.is_shared

    def fenced(self, check: Callable[[Connection], None]) -> "Database":
        """The same database, for one term of a leader: its writes call `check` first, and fail if it raises.

        It needs no close().
        """
        fenced = copy.copy(self)
        fenced._fence, fenced._fenced = check, {}  # noqa: SLF001 - of this class
        return fenced

    @classmethod
    def open(cls, url: str, *, must_exist: bool = False) -> "Database":
        """Open the database and migrate its schema.

        must_exist: do not create a database; for commands that only read what `notifier run` stored.
        Raises ConfigError for an invalid address or a damaged file, and StoreOutdated if the schema is newer.
        """
        backend = find_backend(url)
        backend.parse_url(url)
        if must_exist:
            backend.require_existing(url)
        engine = backend.make_engine(url)
        try:
            with backend.prepare(engine):
                upgrade.ensure_schema(engine, backend.begin_migration, may_create=not must_exist)
        except BaseException as error:
            engine.dispose()
            if isinstance(error, sa.exc.DBAPIError):
                raise backend.to_open_error(error, engine.url) from error
            raise
        return cls(engine)

    def make_clock(self) -> Clock:
        """The clock of the machine, or of a database that several machines share: their clocks may differ."""
        if not self.is_shared:
            return SystemClock()
        clock = MeasuredClock()
        with self.read() as connection:
            clock.measure(lambda: read_database_time(connection))
        return clock

    def write(self, work: Callable[[Connection], R]) -> "Future[R]":
        """Run `work` in a transaction on the writer thread. The future resolves after the commit."""
        if self._fence is not None:
            work = functools.partial(_check_and_run, self._fence, work)
        return self._writer.submit(work)

    def write_many(
        self, work: Callable[[Connection, Sequence[T]], Sequence[R]], item: T, *, is_urgent: bool = False
    ) -> "Future[R]":
        """Run `work` with this item and all other queued items of the same work, in one call.

        is_urgent: a person waits, so it is committed before the other writes that wait.
        """
        if self._fence is not None:
            fenced = functools.partial(_check_and_run, self._fence, work)
            work = self._fenced.setdefault(work, fenced)
        return self._writer.submit_many(work, item, is_urgent=is_urgent)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only transaction on the calling thread."""
        try:
            with (
                self.engine.connect().execution_options(**self._backend.read_options) as connection,
                connection.begin(),
            ):
                yield connection
        except sa.exc.DBAPIError as error:
            self._outage.record_error(error)
            raise

    @contextmanager
    def read_snapshot(self) -> Iterator[Connection]:
        """A read-only transaction that sees one moment, however long it takes and pauses."""
        options = {**self._backend.read_options, **self._backend.snapshot_options}
        with self.engine.connect().execution_options(**options) as connection, connection.begin():
            self._backend.allow_pauses(connection)
            yield connection

    @contextmanager
    def begin_long(self) -> Iterator[Connection]:
        """A transaction that may pause between its statements. It does not use the writer thread."""
        with self.engine.begin() as connection:
            self._backend.allow_pauses(connection)
            yield connection

    def find_write_problem(self) -> str | None:
        """Try a write without effect. Returns the problem with the next step; None if the write succeeds."""
        try:
            with self.engine.begin() as connection:
                connection.execute(sa.update(workers).values(heartbeat_at=workers.c.heartbeat_at))
        except sa.exc.DBAPIError as error:
            step = get_next_step(error)
            return str(error.orig) if step is None else step.en
        return None

    def is_running(self) -> bool:
        """Whether a notifier runs on this database."""
        return self._backend.is_running(self.engine.url.render_as_string(hide_password=False))

    def hold_export_lock(self, seconds: float) -> AbstractContextManager[None]:
        """Hold the lock of payout exports. seconds: maximum wait. Raises ConfigError if another export holds it."""
        return self._backend.hold_export_lock(self.engine, seconds)

    def notify(self, connection: Connection, *topics: str) -> None:
        """Tell all processes on this database that there is work, once the transaction commits. See `listen`."""
        self._backend.notify(connection, topics)

    def listen(self, on_topic: Callable[[str], None]) -> AbstractAsyncContextManager[None]:
        """Call `on_topic` with each topic that any process notifies, in the event loop.

        It is a hint that can get lost: who listens must also look regularly.
        """
        return self._backend.listen(self.engine, on_topic)

    def close(self, seconds: float | None = None) -> None:
        """Finish queued writes and close. seconds: maximum wait; None: no limit."""
        self._writer.close(seconds)
        self.engine.dispose()


_CHECKED = "checked_fence"


def _check_and_run(
    fence: Callable[[Connection], None], work: Callable[..., R], connection: Connection, *items: Sequence[Any]
) -> R:
    """Run fenced work. The fence is checked once in each transaction and each savepoint, whose end frees its lock."""
    now = (fence, connection.get_nested_transaction() or connection.get_transaction())
    if connection.info.get(_CHECKED) != now:
        fence(connection)
        connection.info[_CHECKED] = now
    return work(connection, *items)

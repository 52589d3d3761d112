"""PostgreSQL as a backend of the store."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from notifier.domain.card import Bilingual
from notifier.errors import ConfigError
from notifier.store.engine.backend import get_reason
from notifier.store.engine.postgresql import connection as settings
from notifier.store.engine.postgresql import errors, locks, notifications

_HAS_WRITTEN = sa.text("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")


class PostgresqlBackend:
    """Implements Backend. The server owns its files, so that the checks of files do nothing."""

    is_shared = True
    read_options: Mapping[str, Any] = {"postgresql_readonly": True}
    snapshot_options: Mapping[str, Any] = {"isolation_level": "REPEATABLE READ"}

    def parse_url(self, url: str) -> URL:
        """Parse store.url. Raises ConfigError for an address that cannot be used."""
        return settings.parse_url(url)

    def describe(self, url: URL) -> str:
        """The address without password and options."""
        return settings.describe(url)

    def get_file(self, url: str) -> Path | None:
        """None: the server keeps the data."""

    def make_engine(self, url: str) -> Engine:
        """An engine with a pool of connections. It does not connect."""
        return settings.make_pooled_engine(url)

    def require_existing(self, url: str) -> None:
        """Nothing: only the server knows its databases."""

    def check_integrity(self, url: str) -> None:
        """Nothing: the server checks its own files."""

    @contextmanager
    def prepare(self, engine: Engine) -> Iterator[None]:
        """Check the version and the settings of the server."""
        with engine.connect() as connection:
            settings.check_server(connection)
        yield

    @contextmanager
    def begin_migration(self, engine: Engine) -> Iterator[Connection]:
        """A transaction that holds the advisory lock of migrations."""
        with engine.begin() as connection:
            locks.lock_migration(connection)
            yield connection

    def to_open_error(self, error: DBAPIError, url: URL) -> ConfigError:
        """The error of a start whose database cannot be opened."""
        if self.is_outage(error):
            cause = self.explain(error, url)
            return ConfigError(
                f"store.url: the database cannot be opened. {cause.en}",
                zh=f"store.url：无法打开数据库。{cause.zh}",
            )
        place, reason = self.describe(url), get_reason(error)
        return ConfigError(
            f"store.url: {place} is not a usable database: {reason}.",
            zh=f"store.url：{place} 不是可用的数据库（“{reason}”）。",
        )

    @contextmanager
    def hold_process_lock(self, url: str) -> Iterator[Callable[[], None]]:
        """Check that nobody excludes processes. Several may run; `listen` then shows that this one does."""
        with self._reporting_open_errors(url):
            locks.require_not_excluded(url)
        yield lambda: None

    @contextmanager
    def exclude_processes(self, url: str) -> Iterator[None]:
        """Hold the lock of all processes alone, on a connection of its own."""
        with ExitStack() as stack:
            with self._reporting_open_errors(url):
                stack.enter_context(locks.exclude_processes(url))
            yield

    def allow_pauses(self, connection: Connection) -> None:
        """Switch off the timeout of an idle transaction."""
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")

    @contextmanager
    def _reporting_open_errors(self, url: str) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self.to_open_error(error, self.parse_url(url)) from error

    def is_running(self, url: str) -> bool:
        """Whether a process holds the process lock."""
        return locks.is_running(url)

    def hold_export_lock(self, engine: Engine, seconds: float) -> AbstractContextManager[None]:
        """Hold an advisory lock on a connection of the pool."""
        return locks.hold_export_lock(engine, seconds)

    def count_changes(self, connection: Connection) -> int:
        """1 after the first write of the transaction."""
        return int(connection.execute(_HAS_WRITTEN).scalar_one())

    def passes_check(self, connection: Connection) -> bool:  # noqa: ARG002 - no error is a damage
        """True."""
        return True

    def get_next_step(self, error: BaseException) -> Bilingual | None:
        """The problem and the next step for operators; None if it is not a storage error of PostgreSQL."""
        return errors.get_next_step(error)

    def explain(self, error: BaseException, url: URL) -> Bilingual:
        """A sentence with the database, the problem, the next step and the reason."""
        return errors.explain(error, self.describe(url))

    def find_cause(self, error: BaseException, url: URL) -> Bilingual | None:
        """None: the next steps say everything."""

    def is_outage(self, error: BaseException) -> bool:
        """Whether the database failed, and not the data of one row."""
        return errors.is_outage(error)

    def is_conflict(self, error: BaseException) -> bool:
        """Whether it is a deadlock or a serialization failure."""
        return errors.is_conflict(error)

    def notify(self, connection: Connection, topics: Sequence[str]) -> None:
        """NOTIFY on one channel of this schema. Equal topics of a transaction arrive once."""
        notifications.notify(connection, topics)

    def listen(self, engine: Engine, on_topic: Callable[[str], None]) -> AbstractAsyncContextManager[None]:
        """LISTEN on a connection of its own, which is made again when it breaks."""
        return notifications.listen(engine, on_topic)

    def is_damage(self, error: BaseException) -> bool:  # noqa: ARG002 - no error does
        """False: the server reports damaged pages one by one, and refuses only what it cannot read."""
        return False

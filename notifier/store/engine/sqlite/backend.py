"""SQLite as a backend of the store: one file, one process."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from notifier.domain.card import Bilingual
from notifier.errors import ConfigError, StoreOutdated
from notifier.store.engine.sqlite import connection as settings
from notifier.store.engine.sqlite import errors, init_marker, integrity, process_lock


class SqliteBackend:
    """Implements Backend."""

    is_shared = False
    read_options: Mapping[str, Any] = {"read_only": True}
    snapshot_options: Mapping[str, Any] = {}

    def allow_pauses(self, connection: Connection) -> None:
        """Nothing: SQLite does not mind."""

    def exclude_processes(self, url: str) -> AbstractContextManager[None]:  # noqa: ARG002 - see below
        """Nothing: the process lock excludes them."""
        return nullcontext()

    def parse_url(self, url: str) -> URL:
        """Parse store.url. Raises ConfigError if it is not a file that can exist."""
        return settings.parse_url(url)

    def describe(self, url: URL) -> str:
        """The path as configured."""
        return url.database or ""

    def get_file(self, url: str) -> Path | None:
        """The path as configured, seen from the current folder."""
        path = make_url(url).database
        return Path(path).absolute() if path and path != ":memory:" else None

    def make_engine(self, url: str) -> Engine:
        """An engine with our pragmas. Creates the folder of the file."""
        return settings.make_engine(url)

    def require_existing(self, url: str) -> None:
        """Raises ConfigError if there is no file, or only an unfinished first start."""
        path = init_marker.get_database_path(url)
        if path is not None and (not path.exists() or init_marker.is_initializing(path)):
            place = make_url(url).database
            raise ConfigError(
                f"store.url: there is no database at {place} (seen from {Path.cwd()}). "
                "Start `notifier run` with this configuration first. "
                "A relative path starts at the current folder.",
                zh=f"store.url：{place} 没有数据库（当前目录为 {Path.cwd()}）。请先用此配置运行 `notifier run`。"
                "相对路径从当前目录算起。",
            )

    def check_integrity(self, url: str) -> None:
        """Raises ConfigError if the file or its -wal file is damaged, as far as the checks show."""
        integrity.check_integrity(url)

    @contextmanager
    def prepare(self, engine: Engine) -> Iterator[None]:
        """Check the files, and mark a first start until its schema is written."""
        url = str(engine.url)
        integrity.check_not_lost(url)
        integrity.check_wal(url)
        file = init_marker.get_database_path(url)
        if file is not None:
            init_marker.create_marker(file)
        yield
        if file is not None:
            init_marker.remove_marker(file)

    @contextmanager
    def begin_migration(self, engine: Engine) -> Iterator[Connection]:
        """A transaction without foreign keys, because SQLite changes a column by recreating its table.

        References are checked before the commit.
        """
        with engine.connect() as connection, _foreign_keys_disabled(connection), connection.begin():
            yield connection
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            if broken is not None:
                raise StoreOutdated(
                    f"The migration failed: a row of {broken[0]} references a missing row. Nothing was changed.",
                    zh=f"升级数据库结构失败：{broken[0]} 中有一行引用了不存在的行。没有做任何修改。",
                )

    def to_open_error(self, error: DBAPIError, url: URL) -> ConfigError:
        """The error of a start whose file cannot be opened, or is not a database."""
        if isinstance(error, OperationalError):
            reason = self.explain(error, url)
            return ConfigError(
                f"store.url: the database cannot be opened. {reason.en}",
                zh=f"store.url：无法打开数据库。{reason.zh}",
            )
        step, step_zh = "", ""
        if self.is_damage(error):
            hint = errors.REPLACE_DATABASE_HINT
            step, step_zh = f" Nothing in it was changed. {hint.en}", f"没有做任何修改。{hint.zh}"
        return ConfigError(
            f"store.url: {url} is not a usable database: {error.orig}.{step}",
            zh=f"store.url：{url} 不是可用的数据库（“{error.orig}”）。{step_zh}",
        )

    def hold_process_lock(self, url: str) -> AbstractContextManager[Callable[[], None]]:
        """Lock the file for this process."""
        return process_lock.hold_process_lock(url)

    def is_running(self, url: str) -> bool:
        """Whether a process holds the lock. It does not open the database file."""
        return process_lock.is_running(url)

    def hold_export_lock(self, engine: Engine, seconds: float) -> AbstractContextManager[None]:
        """Lock the file `.export-lock` next to the database."""
        return process_lock.hold_export_lock(self.get_file(str(engine.url)), seconds)

    def count_changes(self, connection: Connection) -> int:
        """Rows written so far by this connection."""
        return int(getattr(connection.connection.driver_connection, "total_changes", 0))

    def passes_check(self, connection: Connection) -> bool:
        """Whether SQLite finds no error in the file."""
        return bool(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar() == "ok")

    def get_next_step(self, error: BaseException) -> Bilingual | None:
        """The problem and the next step for operators; None if it is not a storage error of SQLite."""
        return errors.get_next_step(error)

    def explain(self, error: BaseException, url: URL) -> Bilingual:
        """A sentence with the file, the problem, the next step and the reason."""
        return errors.explain(error, self.describe(url))

    def find_cause(self, error: BaseException, url: URL) -> Bilingual | None:
        """A sentence on the file that belongs to somebody else, if this can be the reason."""
        return errors.find_foreign_file(error, self.describe(url))

    def is_outage(self, error: BaseException) -> bool:
        """Whether the database failed, and not the data of one row."""
        return errors.is_outage(error)

    def is_conflict(self, error: BaseException) -> bool:  # noqa: ARG002 - one process writes
        """False: only one process writes."""
        return False

    def notify(self, connection: Connection, topics: Sequence[str]) -> None:
        """Nothing: there is no other process."""

    def listen(
        self,
        engine: Engine,  # noqa: ARG002 - as above
        on_topic: Callable[[str], None],  # noqa: ARG002
    ) -> AbstractAsyncContextManager[None]:
        """Nothing: there is no other process."""
        return nullcontext()

    def is_damage(self, error: BaseException) -> bool:
        """Whether the file is damaged."""
        return errors.is_damage(error)


@contextmanager
def _foreign_keys_disabled(connection: Connection) -> Iterator[None]:
    driver = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")  # type: ignore[union-attr]

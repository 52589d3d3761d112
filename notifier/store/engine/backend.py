"""Backend: what the store needs of a database system. `sqlite` and `postgresql` implement it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from notifier.domain.card import Bilingual
from notifier.errors import ConfigError

RECOVERS_AUTOMATICALLY = Bilingual(zh="，之后服务会自动恢复", en="; the notifier then recovers automatically")
"""End of a next step whose outage ends without a restart."""


NO_ANSWER = Bilingual(zh="数据库没有响应", en="the database does not answer")


def recovering(zh: str, en: str) -> Bilingual:
    """A next step whose outage ends without a restart."""
    return Bilingual(zh=f"{zh}{RECOVERS_AUTOMATICALLY.zh}", en=f"{en}{RECOVERS_AUTOMATICALLY.en}")


def without_promise(step: Bilingual) -> Bilingual:
    """The next step without the promise of an automatic recovery."""
    return Bilingual(
        zh=step.zh.removesuffix(RECOVERS_AUTOMATICALLY.zh), en=step.en.removesuffix(RECOVERS_AUTOMATICALLY.en)
    )


def get_reason(error: BaseException) -> str:
    """The driver's message in one line."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return " ".join(str(cause).split())


class Backend(Protocol):
    """One database system. It holds no state; `url` is store.url as configured."""

    @property
    def read_options(self) -> Mapping[str, Any]:
        """SQLAlchemy's execution options of a transaction that only reads."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether several notifier processes may use one database at the same time."""
        ...

    @property
    def snapshot_options(self) -> Mapping[str, Any]:
        """SQLAlchemy's execution options of a transaction that sees one moment."""
        ...

    def allow_pauses(self, connection: Connection) -> None:
        """Let this transaction pause between its statements for as long as it likes."""
        ...

    def exclude_processes(self, url: str) -> AbstractContextManager[None]:
        """Keep notifiers from starting on a shared database. Raises StoreBusy if one runs."""
        ...

    def parse_url(self, url: str) -> URL:
        """Parse store.url. Raises ConfigError for an address that cannot be used."""
        ...

    def describe(self, url: URL) -> str:
        """The database for messages and logs, without password and options."""
        ...

    def get_file(self, url: str) -> Path | None:
        """The absolute path of the database file. None: a server or the memory keeps the data."""
        ...

    def make_engine(self, url: str) -> Engine:
        """An engine with our connection settings. It does not connect. Raises ConfigError for an invalid address."""
        ...

    def require_existing(self, url: str) -> None:
        """Raises ConfigError if it is known without a connection that there is no database."""
        ...

    def check_integrity(self, url: str) -> None:
        """The thorough check before `notifier run`. Raises ConfigError for a damaged database."""
        ...

    def prepare(self, engine: Engine) -> AbstractContextManager[None]:
        """Quick checks before the schema is read, around the code that creates or migrates it.

        Raises ConfigError for a database that cannot be used.
        """
        ...

    def begin_migration(self, engine: Engine) -> AbstractContextManager[Connection]:
        """A transaction for migrations, in one process at a time. Raises StoreOutdated if its result is invalid."""
        ...

    def to_open_error(self, error: DBAPIError, url: URL) -> ConfigError:
        """The error of a start whose database cannot be opened, with the next step."""
        ...

    def hold_process_lock(self, url: str) -> AbstractContextManager[Callable[[], None]]:
        """Hold the lock that shows that a notifier runs on this database; the only one, unless it is shared.

        Yields a function that the caller runs after the database is open. Raises StoreBusy if another process holds
        a lock that is not shared, and ConfigError if the database cannot be used.
        """
        ...

    def is_running(self, url: str) -> bool:
        """Whether a process holds the process lock."""
        ...

    def hold_export_lock(self, engine: Engine, seconds: float) -> AbstractContextManager[None]:
        """Hold the lock of payout exports. seconds: maximum wait. Raises ConfigError if another export holds it."""
        ...

    def count_changes(self, connection: Connection) -> int:
        """A number that grows when this transaction writes."""
        ...

    def passes_check(self, connection: Connection) -> bool:
        """Whether a database that was damaged is whole again."""
        ...

    def get_next_step(self, error: BaseException) -> Bilingual | None:
        """The problem and the next step for operators; None if it is not a storage error of this system."""
        ...

    def explain(self, error: BaseException, url: URL) -> Bilingual:
        """A sentence with the database, the problem, the next step and the reason, without a promise of recovery."""
        ...

    def find_cause(self, error: BaseException, url: URL) -> Bilingual | None:
        """A sentence that explains the error better than its next step; None if there is none."""
        ...

    def is_outage(self, error: BaseException) -> bool:
        """Whether the database failed, and not the data of one row: the same work can succeed later."""
        ...

    def is_conflict(self, error: BaseException) -> bool:
        """Whether the database ended the transaction because of another one, so that the same work can be repeated."""
        ...

    def notify(self, connection: Connection, topics: Sequence[str]) -> None:
        """Tell other processes of these topics, once the transaction commits."""
        ...

    def listen(self, engine: Engine, on_topic: Callable[[str], None]) -> AbstractAsyncContextManager[None]:
        """Call `on_topic` with each topic, in the event loop. It may miss some."""
        ...

    def is_damage(self, error: BaseException) -> bool:
        """Whether the error shows that the database is damaged, so that commits are not reliable."""
        ...

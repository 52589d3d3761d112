"""Storage errors: recognizes them, gives the next step for operators, and logs an outage once."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from notifier.errors import StoreFailing
from notifier.store.engine import ownership

log = logging.getLogger(__name__)

DAMAGE_RECHECK_SECONDS = 30.0
RESTORE_HINT = (
    "put the newest backup in its place, or start without a file: Feishu repeats the events of the last 7 hours, and "
    "the notifier reads all balances."
)
REPLACE_DATABASE_HINT = (
    "Stop the notifier and move the database file away together with its -wal and -shm files, because a "
    f"remaining -wal file would be applied to the new database. Then {RESTORE_HINT}"
)

RECOVERS_AUTOMATICALLY = "; the notifier then recovers automatically"
_NO_SHM = f"the disk is full or fails. Make room, or look at the system's log{RECOVERS_AUTOMATICALLY}"

_NEXT_STEPS = {
    sqlite3.SQLITE_IOERR_SHMOPEN: _NO_SHM,
    sqlite3.SQLITE_IOERR_SHMSIZE: _NO_SHM,
    sqlite3.SQLITE_FULL: f"the disk is full. Make room{RECOVERS_AUTOMATICALLY}",
    sqlite3.SQLITE_BUSY: f"another program keeps the database locked. Stop it{RECOVERS_AUTOMATICALLY}",
    sqlite3.SQLITE_READONLY: "the database cannot be written to. Make the file and its folder writable for the "
    f"notifier{RECOVERS_AUTOMATICALLY}",
    sqlite3.SQLITE_IOERR: f"the disk fails. Look at the system's log and repair the disk{RECOVERS_AUTOMATICALLY}",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened. Check that its folder exists and is writable, and that "
    "the process does not have too many open files",
    sqlite3.SQLITE_PERM: "the operating system denies access to the database. Make the file and its folder writable",
    sqlite3.SQLITE_CORRUPT: f"the database is damaged. {REPLACE_DATABASE_HINT}",
    sqlite3.SQLITE_NOTADB: f"the database is damaged. {REPLACE_DATABASE_HINT}",
}
_NO_ACCESS = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _sqlite_code(error: BaseException) -> int | None:
    """SQLite's extended result code. Its last byte is the primary code."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code: int | None = getattr(cause, "sqlite_errorcode", None)
    return code


def get_next_step(error: BaseException) -> str | None:
    """The problem and the next step for operators; None if it is not a storage error."""
    if isinstance(error, StoreFailing):
        return str(error)
    code = _sqlite_code(error)
    return None if code is None else _NEXT_STEPS.get(code) or _NEXT_STEPS.get(code & 0xFF)


def is_damage(error: BaseException) -> bool:
    """Whether the error shows that the database file is damaged."""
    code = _sqlite_code(error)
    return code is not None and code & 0xFF in _DAMAGE


def _find_foreign_file(error: BaseException, path: str) -> str | None:
    """A sentence on the file that belongs to somebody else, if this can be the reason of the error."""
    code = _sqlite_code(error)
    may_be = path and code is not None and code & 0xFF in _NO_ACCESS
    return ownership.find_foreign_file(Path(path).absolute()) if may_be else None


def to_store_error(error: BaseException, path: str) -> StoreFailing:
    """The error for a caller that stops, without the promise of an automatic recovery."""
    reason = error.orig if isinstance(error, DBAPIError) else error
    if foreign := _find_foreign_file(error, path):
        return StoreFailing(f"{foreign.removesuffix('.')} ({reason}).")
    step = (get_next_step(error) or "the database does not answer").removesuffix(RECOVERS_AUTOMATICALLY)
    return StoreFailing(f"{path}: {step} ({reason}).")


class StorageOutage:
    """Logs the start and the end of a storage outage once each. Thread-safe.

    A damaged file gets no more writes until a check of the whole file finds no error, because a commit would not be
    reliable. After all other errors, each write is attempted as usual.

    The log promises an automatic recovery only after the first successful write, because before it a storage error
    ends the start.
    """

    def __init__(self, engine: Engine, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._path = engine.url.database or ""
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._since: float | None = None
        self._logged_step: str | None = None
        self._has_written = False
        self._damage: StoreFailing | None = None
        self._recheck_at = 0.0

    def raise_if_damaged(self) -> None:
        """Raises StoreFailing while the file is known to be damaged."""
        if self._damage is None:
            return
        if self._monotonic() < self._recheck_at or not self._passes_check():
            raise StoreFailing(str(self._damage))
        self._damage = None

    def record_error(self, error: BaseException) -> None:
        """Record an error. Errors that are not storage errors are ignored."""
        step = get_next_step(error)
        if step is None or isinstance(error, StoreFailing):
            return
        step = _find_foreign_file(error, self._path) or step
        with self._lock:
            self._since = self._monotonic() if self._since is None else self._since
            step = step if self._has_written else step.removesuffix(RECOVERS_AUTOMATICALLY)
            if is_damage(error):
                self._damage = to_store_error(error, self._path)
                self._recheck_at = self._monotonic() + DAMAGE_RECHECK_SECONDS
            if step == self._logged_step:
                return
            self._logged_step = step
        reason = error.orig if isinstance(error, DBAPIError) else error
        log.error("store.failed", extra={"file": self._path, "reason": str(reason), "do": step})

    def record_success(self) -> None:
        """Record a successful write."""
        with self._lock:
            self._has_written = True
            if self._since is None:
                return
            seconds, self._since, self._logged_step = round(self._monotonic() - self._since), None, None
        log.warning("store.recovered", extra={"file": self._path, "after_s": seconds})

    def _passes_check(self) -> bool:
        try:
            with self._engine.connect().execution_options(read_only=True) as connection:
                found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        except DBAPIError:
            found = None
        self._recheck_at = self._monotonic() + DAMAGE_RECHECK_SECONDS
        return bool(found == "ok")

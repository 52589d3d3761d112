"""Trouble: what ails the store itself, as a sentence with the next step; what ails a piece of work is not."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable

from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from notifier.errors import StoreFailing

log = logging.getLogger(__name__)

DAMAGE_RECHECK_SECONDS = 30.0
RESTORE_HINT = (
    "put your newest backup in its place, or nothing to begin anew: Feishu sends the events of the last 7 hours again, "
    "and balances are read again."
)
REPLACE_DATABASE_HINT = (
    "Stop the notifier and move the database file away together with its -wal and -shm files, as a -wal that stays is "
    f"mixed into whatever takes the file's place. Then {RESTORE_HINT}"
)

RECOVERS_AUTOMATICALLY = "; the rest happens by itself"
_NO_SHM = f"the disk is full, or fails. Make room, or look at the system's log{RECOVERS_AUTOMATICALLY}"

_NEXT_STEPS = {
    sqlite3.SQLITE_IOERR_SHMOPEN: _NO_SHM,
    sqlite3.SQLITE_IOERR_SHMSIZE: _NO_SHM,
    sqlite3.SQLITE_FULL: f"the disk is full. Make room{RECOVERS_AUTOMATICALLY}",
    sqlite3.SQLITE_BUSY: f"another program keeps the database locked. Let it end{RECOVERS_AUTOMATICALLY}",
    sqlite3.SQLITE_READONLY: "the database cannot be written to. Make the file and its folder writable for the "
    f"notifier{RECOVERS_AUTOMATICALLY}",
    sqlite3.SQLITE_IOERR: f"the disk fails. Look at the system's log, and mend it{RECOVERS_AUTOMATICALLY}",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened. Is its folder there, and open to the notifier? Are too "
    "many files open?",
    sqlite3.SQLITE_PERM: "the system forbids the access to the database. Make the file and its folder writable",
    sqlite3.SQLITE_CORRUPT: f"the database is damaged. {REPLACE_DATABASE_HINT}",
    sqlite3.SQLITE_NOTADB: f"the database is damaged. {REPLACE_DATABASE_HINT}",
}
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _sqlite_code(error: BaseException) -> int | None:
    """SQLite's extended result code; the primary one is its last byte."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code: int | None = getattr(cause, "sqlite_errorcode", None)
    return code


def get_next_step(error: BaseException) -> str | None:
    """What a person should do; None where the error is not the store's."""
    if isinstance(error, StoreFailing):
        return str(error)
    code = _sqlite_code(error)
    return None if code is None else _NEXT_STEPS.get(code) or _NEXT_STEPS.get(code & 0xFF)


def is_damage(error: BaseException) -> bool:
    code = _sqlite_code(error)
    return code is not None and code & 0xFF in _DAMAGE


def to_store_error(error: BaseException, path: str) -> StoreFailing:
    """The error as a person should read it who has to come back: nothing goes on by itself."""
    reason = error.orig if isinstance(error, DBAPIError) else error
    step = (get_next_step(error) or "the database does not answer").removesuffix(RECOVERS_AUTOMATICALLY)
    return StoreFailing(f"{path}: {step} ({reason}).")


class StorageOutage:
    """Says once that the store fails, and once that it is well again. May be used from any thread.

    A damaged file is left alone: nothing more is written to it, so nothing more is promised, until a look over all of
    it finds nothing. Whatever else the trouble is, every try is a real one.

    That the rest happens by itself is promised once something was written: before that, trouble ends a start.
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
        """Any failure; those that are not the store's are nothing to it."""
        step = get_next_step(error)
        if step is None or isinstance(error, StoreFailing):
            return
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
        """Something was written."""
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

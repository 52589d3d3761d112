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

LOOK_AGAIN_SECONDS = 30.0
BACKUP_OR_NOTHING = (
    "put your newest backup in its place, or nothing to begin anew: Feishu sends the events of the last 7 hours again, "
    "and balances are read again."
)
BEGIN_ANEW = (
    "Stop the notifier and move the database file away together with its -wal and -shm files, as a -wal that stays is "
    f"mixed into whatever takes the file's place. Then {BACKUP_OR_NOTHING}"
)

BY_ITSELF = "; the rest happens by itself"
_NO_SHM = f"the disk is full, or fails. Make room, or look at the system's log{BY_ITSELF}"

_NEXT_STEPS = {
    sqlite3.SQLITE_IOERR_SHMOPEN: _NO_SHM,
    sqlite3.SQLITE_IOERR_SHMSIZE: _NO_SHM,
    sqlite3.SQLITE_FULL: f"the disk is full. Make room{BY_ITSELF}",
    sqlite3.SQLITE_BUSY: f"another program keeps the database locked. Let it end{BY_ITSELF}",
    sqlite3.SQLITE_READONLY: "the database cannot be written to. Make the file and its folder writable for the "
    f"notifier{BY_ITSELF}",
    sqlite3.SQLITE_IOERR: f"the disk fails. Look at the system's log, and mend it{BY_ITSELF}",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened. Is its folder there, and open to the notifier? Are too "
    "many files open?",
    sqlite3.SQLITE_PERM: "the system forbids the access to the database. Make the file and its folder writable",
    sqlite3.SQLITE_CORRUPT: f"the database is damaged. {BEGIN_ANEW}",
    sqlite3.SQLITE_NOTADB: f"the database is damaged. {BEGIN_ANEW}",
}
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _code(error: BaseException) -> int | None:
    """SQLite's extended result code; the primary one is its last byte."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code: int | None = getattr(cause, "sqlite_errorcode", None)
    return code


def next_step(error: BaseException) -> str | None:
    """What a person should do; None where the error is not the store's."""
    if isinstance(error, StoreFailing):
        return str(error)
    code = _code(error)
    return None if code is None else _NEXT_STEPS.get(code) or _NEXT_STEPS.get(code & 0xFF)


def is_damage(error: BaseException) -> bool:
    code = _code(error)
    return code is not None and code & 0xFF in _DAMAGE


def failing(error: BaseException, path: str) -> StoreFailing:
    """The error as a person should read it who has to come back: nothing goes on by itself."""
    reason = error.orig if isinstance(error, DBAPIError) else error
    step = (next_step(error) or "the database does not answer").removesuffix(BY_ITSELF)
    return StoreFailing(f"{path}: {step} ({reason}).")


class Outage:
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
        self._told: str | None = None
        self._has_written = False
        self._damage: StoreFailing | None = None
        self._look_again_at = 0.0

    def let_pass(self) -> None:
        """Raises StoreFailing while the file is known to be damaged."""
        if self._damage is None:
            return
        if self._monotonic() < self._look_again_at or not self._is_sound():
            raise StoreFailing(str(self._damage))
        self._damage = None

    def met(self, error: BaseException) -> None:
        """Any failure; those that are not the store's are nothing to it."""
        step = next_step(error)
        if step is None or isinstance(error, StoreFailing):
            return
        with self._lock:
            self._since = self._monotonic() if self._since is None else self._since
            step = step if self._has_written else step.removesuffix(BY_ITSELF)
            if is_damage(error):
                self._damage = failing(error, self._path)
                self._look_again_at = self._monotonic() + LOOK_AGAIN_SECONDS
            if step == self._told:
                return
            self._told = step
        reason = error.orig if isinstance(error, DBAPIError) else error
        log.error("store.failing", extra={"file": self._path, "reason": str(reason), "do": step})

    def over(self) -> None:
        """Something was written."""
        with self._lock:
            self._has_written = True
            if self._since is None:
                return
            seconds, self._since, self._told = round(self._monotonic() - self._since), None, None
        log.warning("store.well_again", extra={"file": self._path, "after_s": seconds})

    def _is_sound(self) -> bool:
        try:
            with self._engine.connect().execution_options(read_only=True) as connection:
                found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        except DBAPIError:
            found = None
        self._look_again_at = self._monotonic() + LOOK_AGAIN_SECONDS
        return bool(found == "ok")

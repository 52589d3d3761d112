"""Errors of SQLite: recognizes them and gives the next step for operators."""

import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from notifier.store.engine.backend import RECOVERS_AUTOMATICALLY, get_reason
from notifier.store.engine.sqlite import ownership

RESTORE_HINT = (
    "put the newest backup in its place, or start without a file: Feishu repeats the events of the last 7 hours, and "
    "the notifier reads all balances."
)
REPLACE_DATABASE_HINT = (
    "Stop the notifier and move the database file away together with its -wal and -shm files, because a "
    f"remaining -wal file would be applied to the new database. Then {RESTORE_HINT}"
)

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
    """The problem and the next step for operators; None if it is not a storage error of SQLite."""
    code = _sqlite_code(error)
    return None if code is None else _NEXT_STEPS.get(code) or _NEXT_STEPS.get(code & 0xFF)


def is_outage(error: BaseException) -> bool:
    """Whether the database failed, and not the data of one row."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, sqlite3.OperationalError) or get_next_step(error) is not None


def is_damage(error: BaseException) -> bool:
    """Whether the error shows that the database file is damaged."""
    code = _sqlite_code(error)
    return code is not None and code & 0xFF in _DAMAGE


def find_foreign_file(error: BaseException, path: str) -> str | None:
    """A sentence on the file that belongs to somebody else, if this can be the reason of the error."""
    code = _sqlite_code(error)
    may_be = path and code is not None and code & 0xFF in _NO_ACCESS
    return ownership.find_foreign_file(Path(path).absolute()) if may_be else None


def explain(error: BaseException, path: str) -> str:
    """A sentence with the file, the problem, the next step and the reason, without a promise of recovery."""
    reason = get_reason(error)
    if foreign := find_foreign_file(error, path):
        return f"{foreign.removesuffix('.')} ({reason})."
    step = (get_next_step(error) or "the database does not answer").removesuffix(RECOVERS_AUTOMATICALLY)
    return f"{path}: {step} ({reason})."

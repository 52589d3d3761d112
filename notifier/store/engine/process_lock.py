"""Process lock: one process per SQLite file."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from notifier.errors import ConfigError, StoreBusy
from notifier.store.engine import init_marker

if TYPE_CHECKING:
    pass
from notifier.store.engine.database import _create_folder, _parse

LOCK_PROBE_SECONDS = 1.0
"""`status` may hold the right to run on a file for a moment, to see whether somebody does; a start waits for that."""


@contextmanager
def hold_process_lock(url: str) -> Iterator[Callable[[], None]]:
    """Holds the right to run on this SQLite file; the operating system takes it back when we die.

    It gives what is to be called once the file has been made. Raises StoreBusy when another process holds the right,
    ConfigError for an address that cannot be used.
    """
    with _hold_lock_file(url, wait_seconds=LOCK_PROBE_SECONDS) as path:
        if path is None:
            yield lambda: None
            return
        file = _DatabaseFileLock(path)
        try:
            file.acquire()
            yield file.acquire
        finally:
            file.release()


@contextmanager
def _hold_lock_file(url: str, *, wait_seconds: float) -> Iterator[Path | None]:
    """The file's true path; None where there is none. Raises as sole_process."""
    _parse(url)
    path = init_marker.get_database_path(url)
    if path is None:
        yield None
        return
    _create_folder(path)
    lock = FileLock(f"{path}.lock", timeout=wait_seconds)
    try:
        lock.acquire()
    except Timeout as error:
        raise _busy_error(path) from error
    except OSError as error:
        raise ConfigError(
            f"store.url: {path}.lock cannot be made: {error.strerror}. Make the folder writable for the notifier."
        ) from error
    try:
        yield path
    finally:
        lock.release()


class _DatabaseFileLock:
    """The database's file itself, as it may have other names and the lock beside it may be deleted: two processes that
    come to it by two names would each have a -wal of their own.

    SQLite's locks are of another kind and do not meet this one, but they go with any descriptor of the file that is
    closed in this process: so this is kept until the database is closed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
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
                raise _busy_error(self._path) from error

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _busy_error(path: Path) -> StoreBusy:
    return StoreBusy(
        f"Another notifier is already running on {path}. Stop it first, or give this one its own store.url."
    )


def is_running(url: str) -> bool:
    """Whether a process holds the right to run on this file. The file itself is not touched: it may be open here."""
    try:
        with _hold_lock_file(url, wait_seconds=0):
            return False
    except StoreBusy:
        return True
    except ConfigError:
        return False

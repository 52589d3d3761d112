"""Process lock: at most one notifier process, and one export, per SQLite file."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from notifier.errors import ConfigError, StoreBusy
from notifier.store.engine.sqlite import init_marker, ownership
from notifier.store.engine.sqlite.connection import create_folder, parse_url

LOCK_PROBE_SECONDS = 1.0
"""How long a start waits for the lock. `status` may hold it for a moment to check for a running process."""


@contextmanager
def hold_process_lock(url: str) -> Iterator[Callable[[], None]]:
    """Hold the lock of this SQLite file. The operating system releases it when the process ends.

    Yields a function that the caller runs after the file exists, to lock the file itself. Raises StoreBusy if another
    process holds the lock, and ConfigError for an invalid address.
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
    """The resolved path of the file; None for a database in memory. Raises the same errors as hold_process_lock."""
    parse_url(url)
    path = init_marker.get_database_path(url)
    if path is None:
        yield None
        return
    create_folder(path)
    lock = FileLock(f"{path}.lock", timeout=wait_seconds)
    try:
        lock.acquire()
    except Timeout as error:
        raise _busy_error(path) from error
    except OSError as error:
        raise _lock_error(Path(f"{path}.lock"), error) from error
    ownership.give_to_database_owner(path)
    try:
        yield path
    finally:
        lock.release()


class _DatabaseFileLock:
    """A lock on the database file itself.

    The file can have several names (hard links), and the .lock file can be deleted. Two processes with different
    names would use two different -wal files.
    SQLite uses POSIX locks, which do not conflict with flock. But they end when the process closes any descriptor of
    the file. So this descriptor stays open until the database is closed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises StoreBusy. Does nothing if the file does not exist yet, or this process holds the lock."""
        if self._descriptor is not None or not self._path.is_file():
            return
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY)
        except OSError:
            return  # SQLite reports the reason when it opens the file
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
        f"Another notifier is already running on {path}. Stop it first, or give this one its own store.url.",
        zh=f"已有一个服务在使用 {path}。请先停止它，或为本服务设置另一个 store.url。",
    )


def _lock_error(path: Path, error: OSError) -> ConfigError:
    reason = ownership.explain(path, error)
    return ConfigError(f"store.url: {reason.en}", zh=f"store.url：{reason.zh}")


def is_running(url: str) -> bool:
    """Whether a process holds the lock. It does not open the database file, which may be open in this process."""
    try:
        with _hold_lock_file(url, wait_seconds=0):
            return False
    except StoreBusy:
        return True
    except ConfigError:
        return False


@contextmanager
def hold_export_lock(path: Path | None, seconds: float) -> Iterator[None]:
    """Hold the lock of payout exports. seconds: maximum wait. Raises ConfigError if another export holds it."""
    if path is None:
        yield
        return
    lock = FileLock(f"{path}.export-lock", timeout=seconds, mode=0o600)
    try:
        lock.acquire()
    except Timeout as error:
        raise ConfigError(
            "another export is running; wait until it ends.", zh="另一次导出正在进行，请等它结束。"
        ) from error
    except OSError as error:
        raise _lock_error(Path(f"{path}.export-lock"), error) from error
    ownership.give_to_database_owner(path)
    try:
        yield
    finally:
        lock.release()

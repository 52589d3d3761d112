"""The clock. Components get a `Clock` as an argument, so tests control the time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

Millis = int
"""Milliseconds since the Unix epoch, UTC: how times are stored and how Feishu sends them."""


class Clock(Protocol):
    """Provides the current time."""

    def now(self) -> datetime:
        """Returns the current time in UTC, with its time zone."""


class SystemClock:
    """The clock of the operating system."""

    def now(self) -> datetime:
        """Returns the current time in UTC, with its time zone."""
        return datetime.now(UTC)


class FileOffsetClock:
    """The system clock plus an offset from a file, in seconds. A notifier follows the sandbox's clock with it.

    The offset stays as it is if the file is missing or cannot be read. It is 0 before the first successful read.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read_at_ns = 0
        self._offset = timedelta()

    def now(self) -> datetime:
        """Returns the time with the file's current offset, in UTC."""
        try:
            changed_at_ns = self._file.stat().st_mtime_ns
            if changed_at_ns != self._read_at_ns:
                self._offset = timedelta(seconds=float(self._file.read_text(encoding="ascii")))
                self._read_at_ns = changed_at_ns
        except (OSError, ValueError, OverflowError):
            pass
        return datetime.now(UTC) + self._offset


def to_millis(moment: datetime) -> Millis:
    """Returns milliseconds since the Unix epoch. Raises ValueError for a time without a zone, which is a bug."""
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {moment!r}")
    return round(moment.timestamp() * 1000)


def from_millis(millis: Millis) -> datetime:
    """Returns the time in UTC, with its time zone."""
    return datetime.fromtimestamp(millis / 1000, UTC)

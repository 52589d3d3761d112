"""Time, handed in: whoever needs now() gets a Clock, so tests own it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

Millis = int
"""Milliseconds since the Unix epoch, UTC: how times are stored and how Feishu sends them."""


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class FileOffsetClock:
    """As far ahead of the system's as a file says, in seconds: how a notifier in the sandbox follows its clock. A file
    that is not there, or cannot be read, changes nothing.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read_at_ns = 0
        self._offset = timedelta()

    def now(self) -> datetime:
        try:
            changed_at_ns = self._file.stat().st_mtime_ns
            if changed_at_ns != self._read_at_ns:
                self._offset = timedelta(seconds=float(self._file.read_text(encoding="ascii")))
                self._read_at_ns = changed_at_ns
        except (OSError, ValueError, OverflowError):
            pass
        return datetime.now(UTC) + self._offset


def to_millis(moment: datetime) -> Millis:
    """Raises ValueError for a time without a zone: a naive time is a bug, not UTC."""
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {moment!r}")
    return round(moment.timestamp() * 1000)


def from_millis(millis: Millis) -> datetime:
    return datetime.fromtimestamp(millis / 1000, UTC)

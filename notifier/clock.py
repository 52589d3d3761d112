"""The clock. Components get a `Clock` as an argument, so tests control the time."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

CONFIRM_SECONDS = 600.0
"""How long a clock must stay ahead before it is believed."""
MAX_DRIFT_MS = 15 * MINUTE_MS
"""A clock may be corrected by this much at once without being doubted."""
LONGEST_DOWNTIME_MS = 7 * DAY_MS
"""After a longer downtime the clock at the start is doubted first."""

LONGEST_MEASUREMENT_SECONDS = 0.2
"""The clock of another system is known to half of this."""

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


def seconds_since_boot() -> float:
    """Returns the seconds since the machine started, including the time that it was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class MeasuredClock:
    """A clock of another system, such as the database, carried on by this machine's count of seconds.

    Processes on different machines then have the same time, whatever the clocks of the machines say.
    """

    def __init__(self, elapsed_seconds: Callable[[], float] = seconds_since_boot) -> None:
        self._elapsed_seconds = elapsed_seconds
        self._offset_seconds: float | None = None

    def measure(self, read: Callable[[], Millis]) -> None:
        """Read the other clock, and follow it from now on. A slow answer is too imprecise to replace an earlier one."""
        before = self._elapsed_seconds()
        at = read()
        after = self._elapsed_seconds()
        if self._offset_seconds is None or after - before < LONGEST_MEASUREMENT_SECONDS:
            self._offset_seconds = at / 1000 - (before + after) / 2

    def now(self) -> datetime:
        """Returns the time of the other clock in UTC, with its time zone. Raises ValueError before it was measured."""
        if self._offset_seconds is None:
            raise ValueError("the clock was not measured yet")
        return datetime.fromtimestamp(self._elapsed_seconds() + self._offset_seconds, UTC)


class JumpGuard:
    """Distrusts a clock that jumped ahead, until it has been ahead for CONFIRM_SECONDS.

    A clock that is wrong for a moment must not send the digests of the next month or delete what looks old. The
    operating system's count of seconds shows a jump. A clock that is set back is not doubted.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        last_seen: Millis | None = None,
        elapsed_seconds: Callable[[], float] = seconds_since_boot,
    ) -> None:
        """last_seen: last time of an earlier process whose clock was plausible, Unix milliseconds; None: unknown."""
        self._clock = clock
        self._elapsed_seconds = elapsed_seconds
        self._trusted_at = to_millis(clock.now())
        self._trusted_after = elapsed_seconds()
        self._doubted_after: float | None = None
        if last_seen is not None and self._trusted_at - last_seen > LONGEST_DOWNTIME_MS:
            self._trusted_at = last_seen

    def is_doubtful(self) -> bool:
        """Whether the clock is ahead of what the elapsed time explains, and not for CONFIRM_SECONDS yet."""
        now, after = to_millis(self._clock.now()), self._elapsed_seconds()
        expected = self._trusted_at + 1000 * (after - self._trusted_after)
        if now > expected + MAX_DRIFT_MS:
            self._doubted_after = after if self._doubted_after is None else self._doubted_after
            if after - self._doubted_after < CONFIRM_SECONDS:
                return True
        self._trusted_at, self._trusted_after, self._doubted_after = now, after, None
        return False


def to_millis(moment: datetime) -> Millis:
    """Returns milliseconds since the Unix epoch. Raises ValueError for a time without a zone, which is a bug."""
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {moment!r}")
    return round(moment.timestamp() * 1000)


def from_millis(millis: Millis) -> datetime:
    """Returns the time in UTC, with its time zone."""
    return datetime.fromtimestamp(millis / 1000, UTC)

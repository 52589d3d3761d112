"""Time, handed in: whoever needs now() gets a Clock, so tests own it."""

from datetime import UTC, datetime
from typing import Protocol

Millis = int
"""Milliseconds since the Unix epoch, UTC: how times are stored and how Feishu sends them."""


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def to_millis(moment: datetime) -> Millis:
    """Raises ValueError for a time without a zone: a naive time is a bug, not UTC."""
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {moment!r}")
    return round(moment.timestamp() * 1000)


def from_millis(millis: Millis) -> datetime:
    return datetime.fromtimestamp(millis / 1000, UTC)

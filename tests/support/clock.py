"""A clock that tests own."""

from datetime import UTC, datetime, timedelta

from notifier.clock import to_millis

START = datetime(2026, 1, 15, 8, 0, tzinfo=UTC)


class FakeClock:
    def __init__(self, start: datetime = START) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    @property
    def millis(self) -> int:
        return to_millis(self._now)

    def advance(self, *, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

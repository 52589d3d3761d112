"""Clock: the sandbox's own time, which a test may move forward."""

from collections.abc import Callable


class SandboxClock:
    def __init__(self, source: Callable[[], float]) -> None:
        self._source = source
        self._ahead_seconds = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return self._source() + self._ahead_seconds

    def now_ms(self) -> int:
        return round(self.now() * 1000)

    def advance(self, seconds: float) -> None:
        self._ahead_seconds += seconds

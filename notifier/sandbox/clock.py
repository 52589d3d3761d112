"""Clock: the sandbox's own time, which a person or a test may move forward."""

from collections.abc import Callable
from pathlib import Path


class SandboxClock:
    """file: where to write how many seconds it is ahead, for a process that follows it; "" for nowhere."""

    def __init__(self, source: Callable[[], float], file: str = "") -> None:
        self._source = source
        self._file = file
        self._ahead_seconds = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return self._source() + self._ahead_seconds

    def now_ms(self) -> int:
        return round(self.now() * 1000)

    def advance(self, seconds: float) -> None:
        self._ahead_seconds += seconds
        if self._file:
            written = Path(f"{self._file}.new")
            written.write_text(f"{self._ahead_seconds:.3f}", encoding="ascii")
            written.replace(self._file)  # whoever reads it sees the old or the new, never half of it

    @property
    def ahead_seconds(self) -> float:
        return self._ahead_seconds

"""Clock: the sandbox's own time, which a person or a test may move."""

from collections.abc import Callable
from pathlib import Path


class SandboxClock:
    """Two times. `now` is what stands in messages and events, and may step back; `elapsed` measures how long
    something lasts and when it is due, and only ever goes forward.

    file: where to write how many seconds `now` is ahead, for a process that follows it; "" for nowhere.
    """

    def __init__(self, source: Callable[[], float], file: str = "") -> None:
        self._source = source
        self._file = file
        self._ahead_seconds = 0.0
        self._skipped_seconds = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return self._source() + self._ahead_seconds

    def now_ms(self) -> int:
        return round(self.now() * 1000)

    def elapsed(self) -> float:
        """Seconds since nobody cares when. A step forward counts, a step back does not."""
        return self._source() + self._skipped_seconds

    def advance(self, seconds: float) -> None:
        """Moves it, also back when seconds is negative."""
        self._ahead_seconds += seconds
        self._skipped_seconds += max(0.0, seconds)
        if self._file:
            written = Path(f"{self._file}.new")
            written.write_text(f"{self._ahead_seconds:.3f}", encoding="ascii")
            written.replace(self._file)  # whoever reads it sees the old or the new, never half of it

    @property
    def ahead_seconds(self) -> float:
        return self._ahead_seconds

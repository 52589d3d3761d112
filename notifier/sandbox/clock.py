"""The clock of the sandbox. The page and tests can move it."""

from collections.abc import Callable
from pathlib import Path


class SandboxClock:
    """Two times. `now` is the time in messages and events and can move back. `elapsed` measures durations and due
    times and never moves back.

    source: gives seconds since 1970. file: gets the number of seconds that `now` is ahead, so that another process
    can follow the clock; "" for no file.
    """

    def __init__(self, source: Callable[[], float], file: str = "") -> None:
        self._source = source
        self._file = file
        self._ahead_seconds = 0.0
        self._skipped_seconds = 0.0
        self.on_move: list[Callable[[], None]] = []  # called after each move

    def now(self) -> float:
        """Seconds since 1970."""
        return self._source() + self._ahead_seconds

    def now_ms(self) -> int:
        """`now` in whole milliseconds."""
        return round(self.now() * 1000)

    def elapsed(self) -> float:
        """Seconds since an arbitrary moment. A move forward counts, a move back does not."""
        return self._source() + self._skipped_seconds

    def advance(self, seconds: float) -> None:
        """Moves the clock by `seconds`; a negative number moves it back."""
        self._ahead_seconds += seconds
        self._skipped_seconds += max(0.0, seconds)
        self._write_file()
        for call in list(self.on_move):
            call()

    def restore(self, *, ahead_seconds: float, skipped_seconds: float) -> None:
        """Continues with the offsets of an earlier run."""
        self._ahead_seconds, self._skipped_seconds = float(ahead_seconds), float(skipped_seconds)
        self._write_file()

    def _write_file(self) -> None:
        if self._file:
            written = Path(f"{self._file}.new")
            written.write_text(f"{self._ahead_seconds:.3f}", encoding="ascii")
            written.replace(self._file)  # atomic: a reader gets the old or the new value, never a part

    @property
    def ahead_seconds(self) -> float:
        """How many seconds `now` is ahead of the source; negative when it is behind."""
        return self._ahead_seconds

    @property
    def skipped_seconds(self) -> float:
        """How many seconds `elapsed` is ahead of the source."""
        return self._skipped_seconds

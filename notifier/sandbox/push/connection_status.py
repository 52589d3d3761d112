"""Whether a working long connection exists, since when none exists, and the number of reconnects."""

import time

from notifier.sandbox.clock import SandboxClock
from notifier.sandbox.error_codes import JsonObject


class ListeningStatus:
    """The status of all long connections together. A connection that is open but dead does not count."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._is_connected = False
        self._disconnected_at_ms: int | None = None  # of the sandbox clock, as all times that are shown
        self._disconnected_at = 0.0  # real time, on the scale of time.monotonic
        self._offline_seconds: float | None = None
        self._reconnects = 0

    def update(self, working_count: int) -> None:
        """Called after each change. working_count: connections that work now."""
        if bool(working_count) == self._is_connected:
            return
        self._is_connected = bool(working_count)
        if not working_count:
            self._disconnected_at_ms, self._disconnected_at = self._clock.now_ms(), time.monotonic()
        elif self._disconnected_at_ms is not None:
            self._offline_seconds = time.monotonic() - self._disconnected_at
            self._reconnects += 1

    def to_json(self) -> JsonObject:
        """The status as JSON.

        disconnected_at_ms: when the last working connection was lost, None before. offline_seconds: real time without
        a connection, so far or of the last interruption.
        """
        offline = self._offline_seconds
        if not self._is_connected and self._disconnected_at_ms is not None:
            offline = time.monotonic() - self._disconnected_at
        return {
            "is_connected": self._is_connected,
            "disconnected_at_ms": self._disconnected_at_ms,
            "offline_seconds": None if offline is None else round(offline, 1),
            "reconnects": self._reconnects,
        }

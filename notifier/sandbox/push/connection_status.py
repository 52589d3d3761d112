"""Presence: since when nobody has been listening, and how often somebody came back; what a person watches heal."""

import time

from notifier.sandbox.api.error_codes import JsonObject
from notifier.sandbox.clock import SandboxClock


class ConnectionStatus:
    """Told of every change; a connection that is open but dead counts as nobody."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._is_connected = False
        self._disconnected_at_ms: int | None = None  # of the sandbox's clock, as everything that is shown
        self._disconnected_at = 0.0  # of real time
        self._offline_seconds: float | None = None
        self._reconnects = 0

    def update(self, working_count: int) -> None:
        """listening: how many connections work now."""
        if bool(working_count) == self._is_connected:
            return
        self._is_connected = bool(working_count)
        if not working_count:
            self._disconnected_at_ms, self._disconnected_at = self._clock.now_ms(), time.monotonic()
        elif self._disconnected_at_ms is not None:
            self._offline_seconds = time.monotonic() - self._disconnected_at
            self._reconnects += 1

    def to_json(self) -> JsonObject:
        """disconnected_at_ms: the last time the last one went. offline_seconds: so far, or how long the last absence took."""
        away = self._offline_seconds
        if not self._is_connected and self._disconnected_at_ms is not None:
            away = time.monotonic() - self._disconnected_at
        return {
            "is_connected": self._is_connected,
            "disconnected_at_ms": self._disconnected_at_ms,
            "offline_seconds": None if away is None else round(away, 1),
            "reconnects": self._reconnects,
        }

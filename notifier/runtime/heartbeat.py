"""Pulse: what this process tells about itself: to its row in the database, and to whoever asks whether it is ready."""

import logging
import time
from dataclasses import dataclass, field

from notifier.feishu.long_connection.listener import ConnectionState, ConnectionStatus
from notifier.web.health import Readiness

STORE_STALE_SECONDS = 20.0

LOG_LEVELS = {
    ConnectionState.CONNECTING: logging.INFO,
    ConnectionState.CONNECTED: logging.INFO,
    ConnectionState.LISTENING: logging.INFO,
    ConnectionState.LOST: logging.WARNING,
    ConnectionState.REFUSED: logging.ERROR,
}


@dataclass(slots=True)
class Heartbeat:
    """What this process tells about itself; written by the listener's thread, read by the beat.

    frozen: whether the garbage collector has been told to leave alone what a start leaves behind. kept_at: when the
    database last took a write of ours, by the monotonic clock. was_connected: events could reach us once. ended_by: why
    Feishu refuses us, where that ends the process. swept_for: when an event was last refused and balances were read for
    it.
    """

    connection: ConnectionStatus
    connection_since: int
    is_gc_frozen: bool = False
    was_connected: bool = False
    exit_reason: str | None = None
    last_write_at: float = field(default_factory=time.monotonic)
    reconciled_for: int | None = None

    def readiness(self, refused: str | None = None) -> Readiness:
        """refused: why Feishu refuses our credentials, None while it does not."""
        problems = {} if refused is None else {"credentials": refused}
        if self.connected_since is None:
            detail = f": {self.connection.detail}" if self.connection.detail else ""
            problems["connection"] = f"{self.connection.state}{detail}"
        seconds_since_write = time.monotonic() - self.last_write_at
        if seconds_since_write > STORE_STALE_SECONDS:
            problems["store"] = f"the database has taken nothing for {seconds_since_write:.0f} s"
        facts = {"connection": self.connection.state, "connection_since": self.connection_since}
        return Readiness(problems=problems, facts=facts)

    def detail(self, refused: str | None) -> str | None:
        """What the row says of the connection. refused: as for readiness."""
        details = [
            self.connection.detail,
            f"Feishu takes nothing from this app: {refused}" if refused else "",
        ]
        return "; ".join(each for each in details if each) or None

    def has_new_refusal(self, refused_at: int | None) -> bool:
        """Whether an event was refused since this was last asked: Feishu may have tried for the last time."""
        is_new, self.reconciled_for = refused_at != self.reconciled_for, refused_at
        return is_new

    @property
    def connected_since(self) -> int | None:
        """Since when events can reach us; None while they cannot."""
        reachable = (ConnectionState.CONNECTED, ConnectionState.LISTENING)
        return self.connection_since if self.connection.state in reachable else None


def received_since(connected_since: int | None, refused_at: int | None) -> int | None:
    """Since when every event that came was stored, too: what we refused ourselves proves no deafness."""
    if connected_since is None or refused_at is None:
        return connected_since
    return max(connected_since, refused_at)

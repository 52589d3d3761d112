"""Pulse: what this process tells about itself: to its row in the database, and to whoever asks whether it is ready."""

import logging
import time
from dataclasses import dataclass, field

from notifier.feishu.long_connection.listener import Connection, ConnectionState
from notifier.web.health import Readiness

STORE_LATE_SECONDS = 20.0

LEVELS = {
    ConnectionState.CONNECTING: logging.INFO,
    ConnectionState.CONNECTED: logging.INFO,
    ConnectionState.LISTENING: logging.INFO,
    ConnectionState.LOST: logging.WARNING,
    ConnectionState.REFUSED: logging.ERROR,
}


@dataclass(slots=True)
class Pulse:
    """What this process tells about itself; written by the listener's thread, read by the beat.

    frozen: whether the garbage collector has been told to leave alone what a start leaves behind. kept_at: when the
    database last took a write of ours, by the monotonic clock. was_connected: events could reach us once. ended_by: why
    Feishu refuses us, where that ends the process. swept_for: when an event was last refused and balances were read for
    it.
    """

    connection: Connection
    since: int
    frozen: bool = False
    was_connected: bool = False
    ended_by: str | None = None
    kept_at: float = field(default_factory=time.monotonic)
    swept_for: int | None = None

    def readiness(self, refused: str | None = None) -> Readiness:
        """refused: why Feishu refuses our credentials, None while it does not."""
        troubles = {} if refused is None else {"credentials": refused}
        if self.connected_since is None:
            detail = f": {self.connection.detail}" if self.connection.detail else ""
            troubles["connection"] = f"{self.connection.state}{detail}"
        unkept_seconds = time.monotonic() - self.kept_at
        if unkept_seconds > STORE_LATE_SECONDS:
            troubles["store"] = f"the database has taken nothing for {unkept_seconds:.0f} s"
        facts = {"connection": self.connection.state, "connection_since": self.since}
        return Readiness(troubles=troubles, facts=facts)

    def detail(self, refused: str | None) -> str | None:
        """What the row says of the connection. refused: as for readiness."""
        said = [self.connection.detail, f"Feishu takes nothing from this app: {refused}" if refused else ""]
        return "; ".join(part for part in said if part) or None

    def is_news(self, refused_at: int | None) -> bool:
        """Whether an event was refused since this was last asked: Feishu may have tried for the last time."""
        news, self.swept_for = refused_at != self.swept_for, refused_at
        return news

    @property
    def connected_since(self) -> int | None:
        """Since when events can reach us; None while they cannot."""
        reachable = (ConnectionState.CONNECTED, ConnectionState.LISTENING)
        return self.since if self.connection.state in reachable else None


def heard_since(connected_since: int | None, refused_at: int | None) -> int | None:
    """Since when every event that came was stored, too: what we refused ourselves proves no deafness."""
    if connected_since is None or refused_at is None:
        return connected_since
    return max(connected_since, refused_at)

"""The connection to Feishu: its state, since when events arrive, and when a refusal ends the process."""

import asyncio
import logging
from collections.abc import Callable
from typing import Literal, Protocol

from notifier import metrics
from notifier.clock import Clock, Millis, to_millis
from notifier.feishu.api import AppStatus
from notifier.feishu.long_connection.listener import ConnectionState, ConnectionStatus

log = logging.getLogger(__name__)

LISTENER_CHECK_SECONDS = 5.0

REACHABLE_STATES = (ConnectionState.CONNECTED, ConnectionState.LISTENING)
"""The states in which events can arrive."""

_EVENTS = {
    ConnectionState.CONNECTING: "connection.started",
    ConnectionState.CONNECTED: "connection.connected",
    ConnectionState.LISTENING: "connection.opened",
    ConnectionState.LOST: "connection.lost",
    ConnectionState.REFUSED: "connection.refused",
}
"""Log events by the state of the connection."""
LOG_LEVELS = {
    ConnectionState.CONNECTING: logging.INFO,
    ConnectionState.CONNECTED: logging.INFO,
    ConnectionState.LISTENING: logging.INFO,
    ConnectionState.LOST: logging.WARNING,
    ConnectionState.REFUSED: logging.ERROR,
}

WhenRefused = Literal["exit_at_start", "exit", "retry"]
"""The setting `feishu.when_refused`."""


class EventIntake(Protocol):
    """What the connection watch needs of the receiver of events."""

    refused_at: Millis | None
    """When an event last could not be stored; None if that never happened."""

    def clock_set_back(self, now: Millis) -> None:
        """Corrects stored times that are later than `now`."""


class ConnectionWatch:
    """Knows the state of the connection, and reacts to its changes.

    - Each change is logged, and wakes the heartbeat.
    - Events may have been missed before a connect, or when an event could not be stored. Then every subscriber is
      called (see `subscribe`).
    - If Feishu rejects the app, the process stops where `feishu.when_refused` requires it. `exit_reason` is then set.

    `on_change` is called from the listener's thread, everything else in the event loop.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        intake: EventIntake,
        app_status: AppStatus,
        when_refused: WhenRefused,
        stop: asyncio.Event,
        wake_heartbeat: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._intake = intake
        self._app_status = app_status
        self._when_refused = when_refused
        self._stop = stop
        self._loop = asyncio.get_running_loop()
        self._wake_heartbeat = wake_heartbeat
        self._subscribers: list[Callable[[], None]] = []
        self._was_connected = False
        self._handled_refused_at: Millis | None = None
        self.status = ConnectionStatus(state=ConnectionState.CONNECTING)
        """The current state of the connection."""
        self.since: Millis = to_millis(clock.now())
        """When the current state began."""
        self.exit_reason: str | None = None
        """Why Feishu rejects the app, once that ends the process."""

    def subscribe(self, on_possibly_missed_events: Callable[[], None]) -> None:
        """Adds a function to call when events may have been missed. It must be callable from any thread."""
        self._subscribers.append(on_possibly_missed_events)

    @property
    def connected_since(self) -> Millis | None:
        """Since when events can arrive; None while they cannot."""
        return self.since if self.status.state in REACHABLE_STATES else None

    def is_connected(self) -> bool:
        """Whether the long connection is open."""
        return self.status.state is ConnectionState.CONNECTED

    def receiving_since(self) -> Millis | None:
        """Since when every event that arrived was stored; None while no event can arrive.

        An event that this process refused does not prove that the connection misses events.
        """
        connected_since, refused_at = self.connected_since, self._intake.refused_at
        if connected_since is None or refused_at is None:
            return connected_since
        return max(connected_since, refused_at)

    def on_change(self, status: ConnectionStatus) -> None:
        """Takes over a new state of the connection. Callable from any thread."""
        if status.state is not self.status.state:
            self.since = to_millis(self._clock.now())
        if status != self.status:
            log.log(
                LOG_LEVELS[status.state],
                _EVENTS[status.state],
                extra={"detail": status.detail or None},
            )
        self.status = status
        metrics.set_one_of(metrics.CONNECTION_STATE, status.state, ConnectionState)
        metrics.CONNECTED.set(status.state in REACHABLE_STATES)
        if status.state in REACHABLE_STATES:
            metrics.RECONNECTS.inc(self._was_connected)
            self._was_connected = True
            self._notify_subscribers()
        if status.state is ConnectionState.REFUSED:
            self._exit_if_required(status.detail)
        self._wake_heartbeat()

    def on_clock_jump(self, now: Millis) -> None:
        """Corrects the times of the connection after the clock was set back to `now`."""
        self.since = min(self.since, now)
        self._intake.clock_set_back(now)

    def check_refused_events(self) -> None:
        """Calls the subscribers if an event was refused since the last check: Feishu may not send it again."""
        refused_at = self._intake.refused_at
        if refused_at != self._handled_refused_at:
            self._handled_refused_at = refused_at
            self._notify_subscribers()

    def check_app_status(self) -> None:
        """Stops the process if Feishu rejects the app's calls and the configuration requires an exit."""
        if self._app_status.refusal_reason is not None:
            self._exit_if_required(self._app_status.refusal_reason)

    def _notify_subscribers(self) -> None:
        for notify in self._subscribers:
            notify()

    def _exit_if_required(self, reason: str) -> None:
        at_start = self._when_refused == "exit_at_start" and not self._was_connected
        if at_start or self._when_refused == "exit":
            self.exit_reason = reason
            self._loop.call_soon_threadsafe(self._stop.set)


class Watchable(Protocol):
    """The part of the listener that the check needs."""

    def watch(self) -> None:
        """Replaces a stalled listener thread."""


class ListenerCheck:
    """Checks the listener's thread and the app's state with Feishu, every few seconds."""

    def __init__(self, listener: Watchable, connection: ConnectionWatch) -> None:
        self._listener = listener
        self._connection = connection

    async def run_once(self) -> float:
        """Returns the seconds until the next check. Raises RuntimeError if no thread can be started now."""
        self._listener.watch()
        self._connection.check_app_status()
        return LISTENER_CHECK_SECONDS

"""What the processes on one database say of themselves: which of them are connected to Feishu, and since when."""

from collections.abc import Callable, Sequence

from notifier.clock import Millis
from notifier.runtime.connection_watch import ConnectionWatch
from notifier.store.processes.workers import WorkerRow


class Peers:
    """The other live processes, as their heartbeats said last. Without another process it is all about this one."""

    def __init__(self, connection: ConnectionWatch, own_worker_id: str) -> None:
        self._connection = connection
        self._own_worker_id = own_worker_id
        self._others: Sequence[WorkerRow] = ()
        self._updated_at: Millis = 0
        self._subscribers: list[Callable[[], None]] = []

    def subscribe(self, on_possibly_missed_events: Callable[[], None]) -> None:
        """Adds a function to call when events may have been missed because of another process."""
        self._subscribers.append(on_possibly_missed_events)

    def update(self, live: Sequence[WorkerRow], now: Millis) -> None:
        """Takes over the heartbeats of all live processes.

        Nothing was missed if one that is connected now already was so at the last update.
        """
        self._others = [each for each in live if each.worker_id != self._own_worker_id]
        since = self.receiving_since()
        if self._others and since is not None and since > self._updated_at > 0:
            for notify in self._subscribers:
                notify()
        self._updated_at = now

    def receiving_since(self) -> Millis | None:
        """Since when every event that arrived was stored by one of the processes; None while no event can arrive."""
        own = self._connection.receiving_since()
        connected = [each.connection_since for each in self._others if each.is_receiving]
        if own is not None:
            connected.append(own)
        if not connected:
            return None
        refused = [each.refused_event_at for each in self._others if each.refused_event_at is not None]
        return max(min(connected), *refused) if refused else min(connected)

    def is_any_connected(self) -> bool:
        """Whether the long connection of any process is open."""
        return self._connection.is_connected() or any(
            each.connection_state == "connected" for each in self._others
        )

    def count_connected(self) -> int:
        """The long connections that all processes together hold; at least 1."""
        others = sum(each.connection_state == "connected" for each in self._others)
        return max(1, others + self._connection.is_connected())

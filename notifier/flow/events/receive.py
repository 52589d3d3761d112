"""Receive: what Feishu sent is stored before it is acknowledged. The way's first step and only door."""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from notifier.clock import Clock, Millis, to_millis
from notifier.domain.event import Event
from notifier.store.engine.database import Database
from notifier.store.engine.writer import WriterClosed
from notifier.store.inbox import EventInserter


class IngestBurst:
    """Tells a burst: many arrivals within a moment. It ends by itself, also when they never stop."""

    MANY = 30
    WITHIN_SECONDS = 0.1
    LONGEST_SECONDS = 2.0

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._arrivals: deque[float] = deque(maxlen=self.MANY)
        self._began: float | None = None

    def arrived(self) -> None:
        with self._lock:
            self._arrivals.append(self._monotonic())

    def is_on(self) -> bool:
        with self._lock:
            now = self._monotonic()
            crowded = len(self._arrivals) == self.MANY and now - self._arrivals[0] < self.WITHIN_SECONDS
            if not crowded:
                self._began = None
                return False
            if self._began is None:
                self._began = now
            return now - self._began < self.LONGEST_SECONDS


class Receiver:
    """wake: told after each commit, so that the next step need not poll. Callable from any thread.

    rush: while it is on, other work should step back, as Feishu wants its answers within 3 seconds.
    """

    def __init__(self, database: Database, clock: Clock, *, wake: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._accept = EventInserter(clock)
        self._wake = wake
        self.burst = IngestBurst()
        self.last_event_at: Millis | None = None
        self.refused_at: Millis | None = None
        """When an event last could not be stored."""

    def accept(self, event: Event) -> "Future[None]":
        """Resolves once the event is committed, together with all that wait at that moment; a second copy of an
        event changes nothing. Fails when it could not be stored: then Feishu must send it again.
        """
        self.last_event_at = to_millis(self._clock.now())
        self.burst.arrived()
        try:
            stored = self._database.write_many(self._accept, event)
        except WriterClosed as error:
            stored = Future()
            stored.set_exception(error)
        stored.add_done_callback(self._wake_next)
        return stored

    def clock_set_back(self, now: Millis) -> None:
        """Nothing happened later than now."""
        if self.refused_at is not None:
            self.refused_at = min(self.refused_at, now)

    def _wake_next(self, stored: "Future[None]") -> None:
        if not stored.cancelled() and stored.exception() is None:
            self._wake()
        else:
            self.refused_at = to_millis(self._clock.now())

"""Stores events from Feishu in the inbox. An event is acknowledged only after it is committed."""

import functools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from sqlalchemy.engine import Connection

from notifier import metrics
from notifier.clock import Clock, Millis, to_millis
from notifier.domain.event import Event
from notifier.store.engine.database import Database
from notifier.store.engine.writer import WriterClosed
from notifier.store.inbox import EventInserter

log = logging.getLogger(__name__)


class IngestBurst:
    """Detects an ingest burst: many events within a moment.

    It ends when all events are stored and fewer arrive, and after two seconds in any case.
    """

    MANY = 30
    """Events that make a burst."""
    WITHIN_SECONDS = 0.1
    """The time within which they arrive."""
    QUIET_SECONDS = 0.2
    """A burst ends when MANY events took this long. Shorter gaps are common while both sides are busy."""
    LONGEST_SECONDS = 2.0
    """The longest duration of a burst. Other work continues after it."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._arrivals: deque[float] = deque(maxlen=self.MANY)
        self._waiting = 0
        self._began: float | None = None

    def arrived(self) -> None:
        """Counts an event. It may be called from any thread."""
        with self._lock:
            now = self._monotonic()
            self._arrivals.append(now)
            self._waiting += 1
            is_crowded = len(self._arrivals) == self.MANY and now - self._arrivals[0] < self.WITHIN_SECONDS
            if is_crowded and self._began is None:
                self._began = now

    def stored(self) -> None:
        """Counts an event that is committed or has failed. It may be called from any thread."""
        with self._lock:
            self._waiting -= 1

    def is_on(self) -> bool:
        """Returns whether a burst is in progress. It may be called from any thread."""
        with self._lock:
            if self._began is None:
                return False
            now = self._monotonic()
            if not self._waiting and now - self._arrivals[0] >= self.QUIET_SECONDS:
                self._began = None
                return False
            return now - self._began < self.LONGEST_SECONDS


class Receiver:
    """Stores received events in the inbox."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        wake: Callable[[], None],
        announce: Callable[[Connection], None] = lambda _connection: None,
    ) -> None:
        """wake: called after each commit, possibly from another thread. It wakes the worker that applies events.

        announce: called in each transaction, so that the database wakes that worker in another process.
        """
        self._database = database
        self._announce = announce
        self._clock = clock
        self._insert = EventInserter(clock)
        self._wake = wake
        self._last_in_batch: Event | None = None
        self.burst = IngestBurst()
        """During a burst other work pauses, because Feishu expects each acknowledgement within 3 seconds."""
        self.last_event_at: Millis | None = None
        """When the last event arrived, in Unix milliseconds. None: no event since the start."""
        self.refused_at: Millis | None = None
        """When an event last could not be stored, in Unix milliseconds. None: never since the start."""

    def accept(self, event: Event) -> "Future[None]":
        """Stores an event. The future resolves when the event is committed; a repeated event changes nothing.

        The future fails if the event could not be stored. Feishu must then send the event again.
        """
        self.last_event_at = to_millis(self._clock.now())
        self.burst.arrived()
        try:
            stored = self._database.write_many(self._store_batch, event)
        except WriterClosed as error:
            stored = Future()
            stored.set_exception(error)
        stored.add_done_callback(functools.partial(self._on_stored, event))
        return stored

    def clock_set_back(self, now: Millis) -> None:
        """Corrects `refused_at` after the clock was set back. now: the present time in Unix milliseconds."""
        if self.refused_at is not None:
            self.refused_at = min(self.refused_at, now)

    def _store_batch(self, connection: Connection, events: Sequence[Event]) -> Sequence[None]:
        results = self._insert(connection, events)
        self._announce(connection)
        self._last_in_batch = events[-1]
        return results

    def _on_stored(self, event: Event, stored: "Future[None]") -> None:
        self.burst.stored()
        is_last = event is self._last_in_batch  # both are written by the thread that commits
        if stored.cancelled() or stored.exception() is not None:
            self.refused_at = to_millis(self._clock.now())
            return
        log.info("event.stored", extra={"event_key": event.key, "event_type": event.event_type})
        if is_last:
            metrics.EVENTS_REPEATED.inc(self._insert.take_repeated())
            self._wake()

"""Receive: what Feishu sent is stored before it is acknowledged. The way's first step and only door."""

import logging
from collections.abc import Callable
from concurrent.futures import Future

from notifier.clock import Clock, Millis, to_millis
from notifier.domain.event import Event
from notifier.store.database import Database
from notifier.store.inbox import AcceptEvents

log = logging.getLogger(__name__)


class Receiver:
    """wake: told after each commit, so that the next step need not poll. Callable from any thread."""

    def __init__(self, database: Database, clock: Clock, *, wake: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._accept = AcceptEvents(clock)
        self._wake = wake
        self.last_event_at: Millis | None = None

    def accept(self, event: Event) -> "Future[None]":
        """Resolves once the event is committed, together with all that wait at that moment; a second copy of an
        event changes nothing. Fails when it could not be stored: then Feishu must send it again.
        """
        self.last_event_at = to_millis(self._clock.now())
        stored = self._database.write_many(self._accept, event)
        stored.add_done_callback(self._wake_next)
        return stored

    def _wake_next(self, stored: "Future[None]") -> None:
        if stored.exception() is None:
            self._wake()

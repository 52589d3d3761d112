"""Clock steps: notices that the machine's clock was set back, also while we were off. A step ahead needs nothing."""

import asyncio
import logging
from collections.abc import Callable

from notifier.clock import Clock, Millis, to_millis
from notifier.store import clock_jumps
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class ClockJumpWatcher:
    """Times in the database are the clock's of their day: set back, it would let them wait for as long again.

    set_back: told the time that it is now, for what is not in the database.
    """

    def __init__(self, database: Database, clock: Clock, *, set_back: Callable[[Millis], None]) -> None:
        self._database = database
        self._clock = clock
        self._set_back = set_back
        self._latest: Millis | None = None

    async def run_once(self) -> float:
        """Seconds until the next look."""
        if self._latest is None:
            with self._database.read() as connection:
                self._latest = clock_jumps.get_last_heartbeat(connection) or 0
        now = to_millis(self._clock.now())
        jump_ms = self._latest - now
        if jump_ms >= clock_jumps.MIN_JUMP_MS:
            await asyncio.wrap_future(
                self._database.write(lambda c: clock_jumps.shift_due_times(c, now=now, jump_ms=jump_ms))
            )
            self._set_back(now)
            log.warning("clock.jump_detected", extra={"jump_s": round(jump_ms / 1000)})
        self._latest = now
        return LOOK_SECONDS

"""Clock steps: notices that the machine's clock was set back, also while we were off. A step ahead needs nothing."""

import asyncio
import logging
from collections.abc import Callable

from notifier.clock import Clock, Millis, to_millis
from notifier.store import clock_jumps
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class ClockWatch:
    """Times in the database are the clock's of their day: set back, it would let them wait for as long again.

    set_back: told the time that it is now, for what is not in the database.
    """

    def __init__(self, database: Database, clock: Clock, *, set_back: Callable[[Millis], None]) -> None:
        self._database = database
        self._clock = clock
        self._set_back = set_back
        self._latest: Millis | None = None

    async def turn(self) -> float:
        """Seconds until the next look."""
        if self._latest is None:
            with self._database.read() as connection:
                self._latest = clock_jumps.last_beat(connection) or 0
        now = to_millis(self._clock.now())
        by = self._latest - now
        if by >= clock_jumps.LEAST_STEP_MS:
            await asyncio.wrap_future(self._database.write(lambda c: clock_jumps.set_back(c, now=now, by=by)))
            self._set_back(now)
            log.warning("clock.set_back", extra={"by_s": round(by / 1000)})
        self._latest = now
        return LOOK_SECONDS

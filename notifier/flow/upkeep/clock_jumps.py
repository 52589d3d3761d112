"""Detects that the system clock was set back, also while no process ran. A jump forward needs no correction."""

import asyncio
import logging
from collections.abc import Callable

from notifier.clock import Clock, Millis, to_millis
from notifier.store.engine.database import Database
from notifier.store.processes import clock_jumps

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""The pause between two checks."""


class ClockJumpWatcher:
    """Corrects the stored due times after the clock was set back. Otherwise due rows would wait for the difference."""

    def __init__(self, database: Database, clock: Clock, *, set_back: Callable[[Millis], None]) -> None:
        """set_back: called with the present time in Unix milliseconds, to correct times that are kept in memory."""
        self._database = database
        self._clock = clock
        self._set_back = set_back
        self._latest: Millis | None = None

    async def run_once(self) -> float:
        """Compares the clock with the last check. Returns the seconds until the next check."""
        if self._latest is None:
            found = await asyncio.wrap_future(self._database.write(clock_jumps.get_last_heartbeat))
            self._latest = found or 0
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

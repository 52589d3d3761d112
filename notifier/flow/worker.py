"""The one engine under all steps: work while there is work, wait for a wake-up or the clock, live through failures."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from notifier.store.engine.outage import get_next_step

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STORE_PAUSE_SECONDS = 5.0
"""At most, while the store fails: nobody else is troubled by asking it, and work should go on soon after."""


class Worker:
    """turn: does what is due and says how many seconds until there may be more (0: at once).

    wake() is callable from any thread; stop() lets the turn under way finish, for as long as it is given, and then
    cancels it: what it had claimed comes back by itself. Both are safe to call twice.
    """

    def __init__(self, name: str, run_once: Callable[[], Awaitable[float]]) -> None:
        self.name = name
        self._run_once = run_once
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._stop_asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._run())

    def wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    async def stop(self, *, seconds: float) -> None:
        self._stop_asked.set()
        self._woken.set()
        if self._task is None:
            return
        _, late = await asyncio.wait({self._task}, timeout=seconds)
        if late:
            log.warning("worker.cancelled", extra={"step": self.name})
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=seconds)

    async def _run(self) -> None:
        failures = 0
        while not self._stop_asked.is_set():
            self._woken.clear()
            try:
                wait = await self._run_once()
                failures = 0
            except Exception as error:  # the only broad catch: the step lives, its rows are as they were
                failures += 1
                wait = min(FIRST_PAUSE_SECONDS * 2 ** min(failures, 10), LONGEST_PAUSE_SECONDS)
                if get_next_step(error) is not None:  # the store has said so, once for all
                    wait = min(wait, STORE_PAUSE_SECONDS)
                else:
                    log.exception("worker.failed", extra={"step": self.name, "again_in_s": wait})
            if wait > 0 and not self._stop_asked.is_set():
                await self._rest(wait, on_not_receiving=failures > 0)

    async def _rest(self, seconds: float, *, on_not_receiving: bool) -> None:
        """deaf: after a failure new work is no reason to hurry; only a stop is."""
        awaited = self._stop_asked if on_not_receiving else self._woken
        try:
            await asyncio.wait_for(awaited.wait(), seconds)
        except TimeoutError:
            return

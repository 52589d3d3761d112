"""Paces calls at the moment when they start."""

import asyncio

from notifier.domain.rate_limit import RateLimit


class Pacer:
    """Lets calls start one after another, an interval of the rate limit apart. A late call delays only the next one.

    A claim counts calls against the stored limit before they start. If the process is busy meanwhile, several of them
    would start at once, and Feishu, which counts the calls of each second, would refuse some.
    """

    def __init__(self, limit: RateLimit) -> None:
        self._pause_seconds = limit.interval_ms / 1000
        self._turn = asyncio.Lock()
        self._next = float("-inf")
        """When the next call may start, in seconds of the event loop."""

    async def turn(self) -> None:
        """Waits for the turn of a call. Turns are given in the order of these calls."""
        async with self._turn:
            loop = asyncio.get_running_loop()
            wait = self._next - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            self._next = max(self._next, loop.time() - self._pause_seconds) + self._pause_seconds

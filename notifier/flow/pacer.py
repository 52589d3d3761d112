"""Paces calls at the moment when they start."""

import asyncio
from typing import Final

from notifier.domain.rate_limit import RateLimit

MAX_KEPT_RECIPIENTS: Final = 1_000
"""Above so many, recipients whose next call may start at once are forgotten."""


class Pacer:
    """Lets calls start one after another, an interval of the rate limit apart. A late call delays only the next one.

    A claim counts calls against the stored limits before they start. If the process is busy meanwhile, several of them
    would start at once, and Feishu, which counts the calls of each second, would refuse some. The calls for one
    recipient keep their own interval: a call that waited for its turn would otherwise come close to the next one.
    """

    def __init__(self, limit: RateLimit, recipient_limit: RateLimit) -> None:
        self._pause_seconds = limit.interval_ms / 1000
        self._recipient_pause_seconds = recipient_limit.interval_ms / 1000
        self._next_of: dict[str, float] = {}
        """When the next call for a recipient may start, in seconds of the event loop."""
        self._turn = asyncio.Lock()
        self._next = float("-inf")
        """When the next call may start, in seconds of the event loop."""

    async def turn(self, recipient: str) -> None:
        """Waits for the turn of a call. Turns are given in the order of these calls.

        recipient: the id of the person or group. At most one call waits for each.
        """
        loop = asyncio.get_running_loop()
        own_wait = self._next_of.get(recipient, 0.0) - loop.time()
        if own_wait > 0:
            await asyncio.sleep(own_wait)
        async with self._turn:
            wait = self._next - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            self._next = max(self._next, loop.time() - self._pause_seconds) + self._pause_seconds
            self._keep(recipient, loop.time())

    def _keep(self, recipient: str, started: float) -> None:
        if len(self._next_of) >= MAX_KEPT_RECIPIENTS:
            self._next_of = {each: at for each, at in self._next_of.items() if at > started}
        self._next_of[recipient] = started + self._recipient_pause_seconds

"""Calls within a rate limit that a command shares with the service, and pauses that end early."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.engine import Connection

from notifier.clock import Clock, Millis, to_millis
from notifier.domain.rate_limit import RateLimit
from notifier.errors import CallError
from notifier.store import rate_limits
from notifier.store.engine.database import Database

R = TypeVar("R")

POLL_SECONDS = 0.02


class CallPacer:
    """Waits until calls may start. The state of each limit is in the database, so several processes keep it together.

    is_over: whether the command ends, so that waiting is pointless.
    """

    def __init__(
        self, database: Database, clock: Clock, *, is_over: Callable[[], bool] = lambda: False
    ) -> None:
        self._database = database
        self._clock = clock
        self._is_over = is_over

    async def claim(
        self, limiter: str, limit: RateLimit, work: Callable[[Connection, Millis], R]
    ) -> R | None:
        """Wait for the next call of this limiter. Returns the result of `work`, which runs in the same transaction.

        work: gets the time in ms. Returns None if the command ends first.
        """
        while not self._is_over():
            now = self.now()

            def claim(connection: Connection, now: Millis = now) -> tuple[float | None, R | None]:
                state = rate_limits.load_limiter(connection, limiter).plausible(limit, now=now)
                if not state.allowed_calls(limit, now=now, wanted=1):
                    return state.allowed_at(limit), None
                rate_limits.save_limiters(connection, [state.after_one(limit, now=now)])
                return None, work(connection, now)

            wait_until, result = await asyncio.wrap_future(self._database.write(claim))
            if wait_until is None:
                return result
            await self._wait_until(wait_until)
        return None

    async def block(self, limiter: str, error: CallError) -> None:
        """Store that Feishu asked all calls of this limiter to wait."""
        until = self.now() + round(1000 * (error.retry_after_seconds or 1))
        await asyncio.wrap_future(
            self._database.write(
                lambda c: rate_limits.block(c, limiter, until=until, reason=f"code {error.code}")
            )
        )

    async def pause_after(self, error: CallError, *, tries: int) -> None:
        """Wait as long as Feishu asked for; at least a time that doubles with each try."""
        seconds = max(error.retry_after_seconds or 0, 2 ** (tries - 1))
        await self._wait_until(self.now() + 1000 * seconds)

    def now(self) -> Millis:
        """The present time in ms."""
        return to_millis(self._clock.now())

    async def _wait_until(self, at: float) -> None:
        """Wait until a time in ms. A clock that is set ahead ends the wait; one that is set back does not extend it."""
        longest = max(0.0, at - self.now()) / 1000
        ends_at = time.monotonic() + longest
        while not self._is_over() and time.monotonic() < ends_at and self.now() < at:  # noqa: ASYNC110 - a clock
            await asyncio.sleep(min(POLL_SECONDS, longest))

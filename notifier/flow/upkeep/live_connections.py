"""Presence: whether somebody else is connected as our app. Feishu gives each event to one random connection."""

import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

OURS = 1
OFTEN_SECONDS, SELDOM_SECONDS = 15.0, 60.0


class ConnectionCountWatcher:
    """ask: how many connections of the app are live, None where Feishu does not say. is_connected: whether ours is.
    seen: the newest count, for `status`.
    """

    def __init__(self, ask: Callable[[], Awaitable[int | None]], *, is_connected: Callable[[], bool]) -> None:
        self._ask = ask
        self._is_connected = is_connected
        self._before = OURS
        self._told = OURS
        self.seen: int | None = None

    async def run_once(self) -> float:
        """Seconds until it is worth asking again. More than ours is believed when it is seen twice, as a connection of
        ours that just broke may be counted for a while; of two numbers the smaller one.
        """
        if not self._is_connected():
            return OFTEN_SECONDS
        count = await self._ask()
        if count is None:
            self.seen = None
            return SELDOM_SECONDS
        before, self._before = self._before, count
        self.seen = min(before, count) if count > OURS else count
        self._tell(max(self.seen, OURS))
        return OFTEN_SECONDS if before <= OURS < count else SELDOM_SECONDS

    def _tell(self, count: int) -> None:
        if count != self._told:
            foreign = count - OURS
            level = logging.WARNING if foreign else logging.INFO
            log.log(level, "connection.foreign", extra={"live": count, "not_ours": foreign})
            self._told = count

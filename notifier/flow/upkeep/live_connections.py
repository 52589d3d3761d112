"""Live connections: detects foreign connections of our app. Feishu sends each event to one of them at random."""

import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

OWN_CONNECTIONS = 1
RECHECK_SECONDS, CHECK_SECONDS = 15.0, 60.0


class ConnectionCountWatcher:
    """Logs a warning while the app has more live connections than ours."""

    def __init__(self, ask: Callable[[], Awaitable[int | None]], *, is_connected: Callable[[], bool]) -> None:
        """ask: returns the number of live connections, or None if unknown. is_connected: whether ours is live."""
        self._ask = ask
        self._is_connected = is_connected
        self._previous = OWN_CONNECTIONS
        self._logged = OWN_CONNECTIONS
        self.seen: int | None = None
        """The newest count, for `status`; None: Feishu gives none."""

    async def run_once(self) -> float:
        """Counts the connections. Returns the seconds until the next count.

        A connection of ours that just broke may still be counted. So only the smaller one of two counts in a row is
        used if it exceeds ours.
        """
        if not self._is_connected():
            return RECHECK_SECONDS
        count = await self._ask()
        if count is None:
            self.seen = None
            return CHECK_SECONDS
        previous, self._previous = self._previous, count
        self.seen = min(previous, count) if count > OWN_CONNECTIONS else count
        self._log_change(max(self.seen, OWN_CONNECTIONS))
        return RECHECK_SECONDS if previous <= OWN_CONNECTIONS < count else CHECK_SECONDS

    def _log_change(self, count: int) -> None:
        if count != self._logged:
            foreign = count - OWN_CONNECTIONS
            level = logging.WARNING if foreign else logging.INFO
            log.log(level, "connection.foreign_detected", extra={"live": count, "not_ours": foreign})
            self._logged = count

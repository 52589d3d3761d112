"""Live connections: detects foreign connections of our app. Feishu sends each event to one of them at random."""

import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

RECHECK_SECONDS, CHECK_SECONDS = 15.0, 60.0


class ConnectionCountWatcher:
    """Logs a warning while the app has more live connections than ours."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[int | None]],
        *,
        is_connected: Callable[[], bool],
        count_ours: Callable[[], int] = lambda: 1,
    ) -> None:
        """ask: returns the number of live connections, or None if unknown. is_connected: whether ours is live.

        count_ours: the connections of this process and of the others on its database.
        """
        self._ask = ask
        self._is_connected = is_connected
        self._count_ours = count_ours
        self._previous_foreign = 0
        self._logged_foreign = 0
        self.foreign: int | None = None
        """Connections that are not ours, for `status`; None: not known."""

    async def run_once(self) -> float:
        """Counts the connections. Returns the seconds until the next count.

        A connection of ours that just broke may still be counted. So only the smaller one of two counts in a row is
        used if it exceeds ours.
        """
        if not self._is_connected():
            self.foreign = None
            return RECHECK_SECONDS
        count = await self._ask()
        if count is None:
            self.foreign = None
            return CHECK_SECONDS
        ours = self._count_ours()
        foreign = max(count - ours, 0)
        previous, self._previous_foreign = self._previous_foreign, foreign
        sure = min(previous, foreign)
        self.foreign = sure
        self._log_change(ours, sure)
        return RECHECK_SECONDS if not previous and foreign else CHECK_SECONDS

    def ask_with(self, ask: Callable[[], Awaitable[int | None]]) -> None:
        """Use this function from now on."""
        self._ask = ask

    def forget(self) -> None:
        """Forgets the count, as another process counts from now on."""
        self.foreign = None

    def _log_change(self, ours: int, foreign: int) -> None:
        if foreign != self._logged_foreign:
            level = logging.WARNING if foreign else logging.INFO
            log.log(level, "connection.foreign_detected", extra={"live": ours + foreign, "not_ours": foreign})
            self._logged_foreign = foreign

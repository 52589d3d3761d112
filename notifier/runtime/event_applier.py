"""Applies stored events to the ledger, and wakes the workers that continue with them."""

from collections.abc import Callable

from notifier.flow.events.apply_events import BATCH, ApplyDeps, apply_events
from notifier.store.engine.database import Database

IDLE_SECONDS = 1.0
BURST_PAUSE_SECONDS = 0.02


class EventApplier:
    """Applies the next batch of events in each run, except during an ingest burst.

    is_burst: whether many events arrive at this moment. Feishu expects each acknowledgement within 3 seconds, so the
    database serves the arrivals first. wake: called after a batch was applied.
    """

    def __init__(
        self,
        database: Database,
        deps: ApplyDeps,
        *,
        is_burst: Callable[[], bool],
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._deps = deps
        self._is_burst = is_burst
        self._wake = wake

    async def run_once(self) -> float:
        """Applies at most one batch. Returns the seconds until the next run; 0 if more events may wait."""
        if self._is_burst():
            return BURST_PAUSE_SECONDS
        applied_count = await apply_events(self._database, self._deps)
        if applied_count:
            self._wake()
        return 0 if applied_count == BATCH else IDLE_SECONDS

"""Deletes old finished rows from the database, one page per transaction."""

import asyncio
import functools
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from notifier.clock import DAY_MS, Clock, Millis, to_millis
from notifier.store import retention
from notifier.store.engine.database import Database
from notifier.store.retention import Cursor, PruneResult

log = logging.getLogger(__name__)

QUARANTINED_DAYS = 365
"""Days that quarantined events and the cards of unsettled withdrawals are kept. Operators can act until then."""
PAGE = 200
"""Rows read in one transaction. The acknowledgement of an event waits for it, so it must take few milliseconds."""
PAUSE_SECONDS = 0.05
"""The pause between two pages."""
DOUBT_SECONDS = 1.0
"""The pause between two checks of a clock that may be wrong."""
ROUND_SECONDS = 3600.0
"""The pause between two passes over all tables."""

PruneStep = Callable[[Connection, Cursor], PruneResult]
"""Deletes the old rows of one page that starts at the cursor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneDeps:
    """The dependencies and settings of a Pruner."""

    events_days: int
    """Days that a processed event is kept."""
    deliveries_days: int
    """Days that a finished delivery is kept."""
    clock: Clock
    """The source of the current time."""
    busy: Callable[[], bool]
    """Returns True while other work needs the database. Pruning waits meanwhile."""
    is_clock_doubtful: Callable[[], bool] = lambda: False
    """Whether the clock may be wrong. Nothing is deleted meanwhile."""


class Pruner:
    """Deletes old rows. A pass reads every table once; each call of `run_once` reads one page."""

    def __init__(self, database: Database, deps: PruneDeps) -> None:
        self._database = database
        self._deps = deps
        self._steps: Iterator[PruneStep] = iter(())
        self._step: PruneStep | None = None
        self._after = retention.FIRST_PAGE
        self._gone: Counter[str] = Counter()

    async def run_once(self) -> float:
        """Prunes one page. Returns the seconds until the next page or the next pass."""
        if self._deps.busy():
            return PAUSE_SECONDS
        if self._deps.is_clock_doubtful():
            return DOUBT_SECONDS
        if self._step is None:
            self._steps = iter(self._list_steps(to_millis(self._deps.clock.now())))
            self._step = next(self._steps)
        step, after = self._step, self._after
        pruned = await asyncio.wrap_future(self._database.write(lambda c: step(c, after)))
        self._gone.update(pruned.deleted)
        self._after = pruned.next_cursor or retention.FIRST_PAGE
        if pruned.next_cursor is None:
            self._step = next(self._steps, None)
        if self._step is not None:
            return PAUSE_SECONDS
        self._log_deleted()
        return ROUND_SECONDS

    def _list_steps(self, now: Millis) -> list[PruneStep]:
        events_before = now - self._deps.events_days * DAY_MS
        cards_before = now - self._deps.deliveries_days * DAY_MS
        year_ago = now - QUARANTINED_DAYS * DAY_MS
        cards = [
            functools.partial(
                retention.prune_deliveries,
                state=state,
                before=cards_before,
                unsettled_since=year_ago,
                limit=PAGE,
            )
            for state in reversed(retention.FINISHED_STATES)
        ]
        return [
            functools.partial(
                retention.prune_events, before=events_before, quarantined_before=year_ago, now=now, limit=PAGE
            ),
            *cards,
            functools.partial(retention.prune_orphaned_notices, before=cards_before, limit=PAGE),
            functools.partial(retention.prune_digest_contents, before=cards_before, limit=PAGE),
            functools.partial(retention.prune_questions, before=events_before, limit=PAGE),
            functools.partial(retention.prune_answers, before=cards_before, limit=PAGE),
            functools.partial(retention.prune_workers, before=cards_before),
        ]

    def _log_deleted(self) -> None:
        gone = {name: count for name, count in sorted(self._gone.items()) if count}
        self._gone.clear()
        if gone:
            log.info("retention.pruned", extra=gone)

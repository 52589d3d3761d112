"""Tracks calls in flight, each for one database row. Shared by the workers that call other systems."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import TypeVar

from notifier.errors import LeadershipLost
from notifier.store.engine.outage import get_next_step

log = logging.getLogger(__name__)

T = TypeVar("T")


async def await_write(writing: "Future[T]") -> T:
    """Waits for a write and returns its result. Cancelling the wait does not cancel the write.

    The write stores the result of a call, and this result cannot be obtained a second time.
    """
    return await asyncio.shield(asyncio.wrap_future(writing))


FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 600.0


class InFlight:
    """The calls in flight of one worker, and the rows that pause after an unforeseen error.

    An error that no code handles would repeat at full speed, against Feishu too, because its row is still due. So the
    row counts as in flight for a while; the pause doubles with each further error.
    """

    def __init__(
        self,
        *,
        on_finished: Callable[[], None],
        elapsed_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """on_finished: called when a call ends, whether it succeeded, failed or was cancelled."""
        self._on_finished = on_finished
        self._elapsed_seconds = elapsed_seconds
        self._rows: dict[asyncio.Task[None], int] = {}
        self._errors: Counter[int] = Counter()
        """Unforeseen errors in a row, by row id."""
        self._paused_until: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> frozenset[int]:
        """The ids of the rows whose calls are in flight, or that pause after an unforeseen error."""
        now = self._elapsed_seconds()
        self._paused_until = {row: until for row, until in self._paused_until.items() if until > now}
        return frozenset(self._rows.values()) | self._paused_until.keys()

    def start(self, row: int, call: Coroutine[None, None, None]) -> None:
        """Starts a call for the row with this id. An error of the call is logged."""
        task = asyncio.ensure_future(call)
        self._rows[task] = row
        task.add_done_callback(self._over)

    async def drain(self, seconds: float) -> bool:
        """Waits this many seconds for the calls, then cancels the rest. Rows of cancelled calls stay unchanged.

        Returns whether all calls ended in time.
        """
        if not self._rows:
            return True
        _, late = await asyncio.wait(list(self._rows), timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=seconds + 1)
        return not late

    def _over(self, task: "asyncio.Task[None]") -> None:
        row = self._rows.pop(task)
        if not task.cancelled():
            self._note_end(row, task.exception())
        self._on_finished()

    def _note_end(self, row: int, error: BaseException | None) -> None:
        if error is None:
            del self._errors[row]
            return
        if isinstance(error, LeadershipLost):
            return  # another process leads, and repeats the call
        known = get_next_step(error) is not None  # the storage layer has logged it, and its workers pause
        pause = 0.0
        if not known:
            pause = min(FIRST_PAUSE_SECONDS * 2 ** min(self._errors[row], 10), LONGEST_PAUSE_SECONDS)
            self._errors[row] += 1
            self._paused_until[row] = self._elapsed_seconds() + pause
        log.error(
            "call.failed",
            exc_info=None if known else error,
            extra={"row": row, "reason": type(error).__name__, "again_in_s": pause},
        )

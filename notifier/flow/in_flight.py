"""Tracks calls in flight, each for one database row. Shared by the workers that call other systems."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import TypeVar

from notifier.store.engine.outage import get_next_step

log = logging.getLogger(__name__)

T = TypeVar("T")


async def await_write(writing: "Future[T]") -> T:
    """Waits for a write and returns its result. Cancelling the wait does not cancel the write.

    The write stores the result of a call, and this result cannot be obtained a second time.
    """
    return await asyncio.shield(asyncio.wrap_future(writing))


class InFlight:
    """The calls in flight of one worker."""

    def __init__(self, *, on_finished: Callable[[], None]) -> None:
        """on_finished: called when a call ends, whether it succeeded, failed or was cancelled."""
        self._on_finished = on_finished
        self._rows: dict[asyncio.Task[None], int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> frozenset[int]:
        """The ids of the rows whose calls are in flight."""
        return frozenset(self._rows.values())

    def start(self, row: int, call: Coroutine[None, None, None]) -> None:
        """Starts a call for the row with this id. An error of the call is logged."""
        task = asyncio.ensure_future(call)
        self._rows[task] = row
        task.add_done_callback(self._over)

    async def drain(self, seconds: float) -> None:
        """Waits this many seconds for the calls, then cancels the rest. Rows of cancelled calls stay unchanged."""
        if self._rows:
            _, late = await asyncio.wait(list(self._rows), timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=seconds + 1)

    def _over(self, task: "asyncio.Task[None]") -> None:
        row = self._rows.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            known = get_next_step(error) is not None  # the storage layer has logged it
            log.error(
                "call.failed",
                exc_info=None if known else error,
                extra={"row": row, "reason": type(error).__name__},
            )
        self._on_finished()

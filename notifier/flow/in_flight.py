"""In flight: calls that were started and are not over, each for one row. Shared by the steps that ask Feishu."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import TypeVar

from notifier.store.engine.outage import get_next_step

log = logging.getLogger(__name__)

T = TypeVar("T")


async def await_write(writing: "Future[T]") -> T:
    """Waits for a write that must happen even if the waiting is cancelled: what Feishu said is known by then."""
    return await asyncio.shield(asyncio.wrap_future(writing))


class InFlight:
    """landed: told whenever a call is over, however it ended."""

    def __init__(self, *, on_finished: Callable[[], None]) -> None:
        self._on_finished = on_finished
        self._rows: dict[asyncio.Task[None], int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> frozenset[int]:
        return frozenset(self._rows.values())

    def start(self, row: int, call: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(call)
        self._rows[task] = row
        task.add_done_callback(self._over)

    async def drain(self, seconds: float) -> None:
        """Lets calls finish; those that do not are cancelled, and their rows left as they are."""
        if self._rows:
            _, late = await asyncio.wait(list(self._rows), timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=seconds + 1)

    def _over(self, task: "asyncio.Task[None]") -> None:
        row = self._rows.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            known = get_next_step(error) is not None  # the store has said what ails it
            log.error(
                "call.failed",
                exc_info=None if known else error,
                extra={"row": row, "reason": type(error).__name__},
            )
        self._on_finished()

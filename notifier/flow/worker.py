"""The loop that runs each component: it repeats `run_once`, waits between runs, and continues after failures."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from notifier import metrics
from notifier.errors import LeadershipLost
from notifier.store.engine.outage import get_next_step

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.5
"""Half of the pause after the first failure. The pause doubles with each further failure."""
LONGEST_PAUSE_SECONDS = 30.0
"""The longest pause after failures."""
STORE_PAUSE_SECONDS = 5.0
"""The longest pause while the database fails. Retries load no other system, so work resumes soon after an outage."""


MIN_INTERVAL_SECONDS = 0.02
"""From the start of one run to the next. Under load a run then finds several rows, which cost as much as one."""
TICK_SECONDS = 0.5
"""Longer pauses end at multiples of this, so that the checks of idle workers share one wake-up and one commit."""
RESTART_SECONDS = 1.0
"""The pause before a loop that ended is started again."""


class Worker:
    """Runs one component in a loop until it is stopped."""

    def __init__(self, name: str, run_once: Callable[[], Awaitable[float]]) -> None:
        """name: for logs. run_once: does the due work and returns the seconds until the next run; 0: at once.

        It must be created inside a running event loop.
        """
        self.name = name
        self._run_once = run_once
        self._loop = asyncio.get_running_loop()
        self._is_woken = False
        self._stop_asked = False
        self._pause: asyncio.Future[None] | None = None
        """Ends the current pause when it is done."""
        self._ends_with_wake = False
        """Whether a wake-up ends the current pause. After a failure only a stop does."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts the loop. If it ever ends without a stop, it is started again."""
        self._task = asyncio.ensure_future(self._run())
        self._task.add_done_callback(self._restart)

    def _restart(self, ended: "asyncio.Task[None]") -> None:
        """A library may raise CancelledError or another BaseException inside a run."""
        if self._stop_asked or self._loop.is_closed():
            return
        error = None if ended.cancelled() else ended.exception()
        log.error(
            "worker.restarted",
            exc_info=error,
            extra={"step": self.name, "reason": "cancelled" if error is None else type(error).__name__},
        )
        self._loop.call_later(RESTART_SECONDS, self._start_unless_stopped)

    def _start_unless_stopped(self) -> None:
        if not self._stop_asked:
            self.start()

    def wake(self) -> None:
        """Ends the pause between two runs. It may be called from any thread, any number of times."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note_wake)

    def _note_wake(self) -> None:
        self._is_woken = True
        if self._ends_with_wake:
            self._end_pause()

    def _end_pause(self) -> None:
        if self._pause is not None and not self._pause.done():
            self._pause.set_result(None)

    async def stop(self, *, seconds: float) -> None:
        """Waits this many seconds for the current run, then cancels it. It may be called more than once.

        Rows that a cancelled run claimed become due again automatically.
        """
        self._stop_asked = True
        self._end_pause()
        if self._task is None:
            return
        _, late = await asyncio.wait({self._task}, timeout=seconds)
        if late:
            log.warning("worker.cancelled", extra={"step": self.name})
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=seconds)

    async def _run(self) -> None:
        failures = 0
        while not self._stop_asked:
            self._is_woken = False
            started = self._loop.time()
            try:
                wait = await self._run_once()
                failures = 0
            except Exception as error:  # the worker must survive any failure; its transaction was rolled back
                failures += 1
                wait = min(FIRST_PAUSE_SECONDS * 2 ** min(failures, 10), LONGEST_PAUSE_SECONDS)
                if get_next_step(error) is not None:  # the storage layer logs an outage itself, once
                    wait = min(wait, STORE_PAUSE_SECONDS)
                elif isinstance(error, LeadershipLost):  # this worker is stopped in a moment
                    log.info("worker.leadership_lost", extra={"step": self.name})
                else:
                    metrics.WORKER_FAILURES.labels(self.name).inc()
                    log.exception("worker.failed", extra={"step": self.name, "again_in_s": wait})
            if wait > 0:
                await self._rest(wait, only_for_stop=failures > 0)
            early = started + MIN_INTERVAL_SECONDS - self._loop.time()
            if early > 0:
                await self._rest(early, only_for_stop=True)

    async def _rest(self, seconds: float, *, only_for_stop: bool) -> None:
        """only_for_stop: after a failure. A wake-up does not end the pause then; only a stop does."""
        if self._stop_asked or (self._is_woken and not only_for_stop):
            return
        if seconds >= TICK_SECONDS:
            seconds -= (self._loop.time() + seconds) % TICK_SECONDS
        self._pause = self._loop.create_future()
        self._ends_with_wake = not only_for_stop
        timer = self._loop.call_later(seconds, self._end_pause)
        try:
            await self._pause
        finally:
            timer.cancel()
            self._pause, self._ends_with_wake = None, False

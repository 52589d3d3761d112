"""Runs the leader's components in one process at a time, of all that use the database.

With SQLite this process is alone and always leads. With PostgreSQL it tries to get the lease, and leads until it loses
the lease or stops.
"""

import asyncio
import contextlib
import functools
import logging
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.engine import Connection

from notifier import metrics
from notifier.clock import seconds_since_boot
from notifier.errors import LeadershipLost, TemporaryFailure
from notifier.store.engine.database import Database
from notifier.store.engine.outage import get_next_step
from notifier.store.processes import leadership

log = logging.getLogger(__name__)

R = TypeVar("R")

LEASE_SECONDS = 20.0
RENEW_SECONDS = 5.0
LOOK_SECONDS = 1.0
"""The pause between two tries to lead, and to renew the lease after a failure."""
LONGEST_PAUSE_SECONDS = 30.0
"""The longest pause after failures to lead."""
CALL_MARGIN_SECONDS = 2.0
"""A call must end this long before the lease: the next leader may call right after its end."""
SHORTEST_CALL_SECONDS = 5.0
"""A call begins only if it may take at least this long."""
RELEASED = "leader"
"""Topic of the notification that the lease was released."""


@dataclass(slots=True, kw_only=True)
class Term:
    """The time in which this process leads."""

    number: int
    """Grows with every change of the leader. 0: this process is alone."""
    database: Database
    """The database for the leader's components: a transaction fails if another process leads."""
    limit_call_seconds: Callable[[float], float]
    """The time that a call to another system may take, of the wanted seconds. Raises TemporaryFailure if it may not
    begin, because the lease may end before the call.
    """
    has_open_calls: bool = False
    """Whether calls were cut off at its end. They may still be carried out, so the lease is not released."""


Lead = Callable[[Term], AbstractAsyncContextManager[None]]
"""Starts the leader's components for one term, and stops them at its end."""


class Leadership:
    """Tries to lead, and runs the components of the leader while it does."""

    def __init__(
        self,
        database: Database,
        worker_id: str,
        lead: Lead,
        *,
        elapsed_seconds: Callable[[], float] = seconds_since_boot,
    ) -> None:
        """elapsed_seconds: goes on while the machine is suspended."""
        self._database = database
        self._worker_id = worker_id
        self._lead = lead
        self._elapsed_seconds = elapsed_seconds
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._may_be_free = asyncio.Event()
        self._lost = asyncio.Event()
        self._lease_ends_at = 0.0
        """End of the lease by this machine's count of seconds, from before the renewal."""
        self._task: asyncio.Task[None] | None = None
        self.term: Term | None = None
        """The present term. None: another process leads."""

    async def start(self) -> None:
        """Start to lead, or to try. Returns when this process leads if it is alone, and at once otherwise."""
        if self._database.is_shared:
            self._start_trying()
            return
        started = asyncio.Event()
        self._task = asyncio.ensure_future(self._lead_alone(started))
        waiting = asyncio.ensure_future(started.wait())
        await asyncio.wait({self._task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._task.done():
            await self._task

    async def stop(self) -> None:
        """Stop the leader's components, and let another process lead at once."""
        self._stop.set()
        self._lost.set()
        self._may_be_free.set()
        if self._task is not None:
            await asyncio.wait({self._task})
            if not self._task.cancelled() and (error := self._task.exception()) is not None:
                raise error

    def _start_trying(self) -> None:
        self._task = asyncio.ensure_future(self._run())
        self._task.add_done_callback(self._restart)

    def _restart(self, ended: "asyncio.Task[None]") -> None:
        """A library may raise CancelledError or another BaseException inside."""
        if not self._stop.is_set() and not self._loop.is_closed():
            reason = "cancelled" if ended.cancelled() else type(ended.exception()).__name__
            log.error("leadership.restarted", extra={"reason": reason})
            self._loop.call_later(LOOK_SECONDS, self._start_trying)

    def look_now(self) -> None:
        """Try to lead without waiting: the lease may have been released."""
        self._may_be_free.set()

    async def _lead_alone(self, started: asyncio.Event) -> None:
        self.term = Term(number=0, database=self._database, limit_call_seconds=float)
        metrics.IS_LEADER.set(1)
        async with self._lead(self.term):
            started.set()
            await self._stop.wait()

    async def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                number = await self._try(self._acquire, undo=self._release)
                if number is not None:
                    await self._lead_until_lost(number)
                failures = 0
            except Exception as error:
                failures += 1
                if isinstance(error, TimeoutError):
                    log.warning("leadership.delayed", extra={"reason": "the database does not answer"})
                elif get_next_step(error) is None:  # the storage layer logs an outage itself
                    log.exception("leadership.failed")
            if failures:  # our own notification of the release must not end this pause
                await self._pause(
                    self._stop, min(LOOK_SECONDS * 2 ** min(failures, 5), LONGEST_PAUSE_SECONDS)
                )
            else:
                await self._pause(self._may_be_free, LOOK_SECONDS)
            self._may_be_free.clear()

    async def _lead_until_lost(self, number: int) -> None:
        self._lost.clear()
        if self._stop.is_set():
            self._lost.set()
        log.info("leadership.acquired", extra={"term": number})
        renewing = asyncio.ensure_future(self._renew_until_lost(number))
        term = self.term = Term(
            number=number,
            database=self._database.fenced(lambda c: self._require(c, number)),
            limit_call_seconds=self._limit_call_seconds,
        )
        metrics.IS_LEADER.set(1)
        try:
            async with self._lead(term):
                await self._lost.wait()
        finally:
            self.term = None
            metrics.IS_LEADER.set(0)
            self._lost.set()
            await renewing
            if not term.has_open_calls:
                with contextlib.suppress(Exception):
                    await self._try(lambda: self._release(number))
            log.info("leadership.ended", extra={"term": number})

    async def _renew_until_lost(self, number: int) -> None:
        """After a failed renewal it tries again, until the lease is over by the clock of this machine."""
        pause = RENEW_SECONDS
        while not self._lost.is_set():
            left = self._lease_ends_at - self._elapsed_seconds()
            await self._pause(self._lost, min(pause, max(left, 0.0)))
            if self._lost.is_set():
                return
            pause = LOOK_SECONDS
            if self._elapsed_seconds() >= self._lease_ends_at:
                log.error(
                    "leadership.lost", extra={"term": number, "reason": "the lease was not renewed in time"}
                )
                self._lost.set()
                return
            with contextlib.suppress(Exception):  # the database fails, which the storage layer logs
                before = self._elapsed_seconds()
                if not await self._try(lambda: self._renew(number)):
                    log.error("leadership.lost", extra={"term": number, "reason": "another process leads"})
                    self._lost.set()
                    return
                self._lease_ends_at, pause = before + LEASE_SECONDS, RENEW_SECONDS

    def _limit_call_seconds(self, wanted: float) -> float:
        allowed = self._lease_ends_at - self._elapsed_seconds() - CALL_MARGIN_SECONDS
        if allowed < min(wanted, SHORTEST_CALL_SECONDS):
            raise TemporaryFailure(
                "another process may lead before the call ends, so it was not made", affects_whole_app=True
            )
        return min(wanted, allowed)

    def _require(self, connection: Connection, number: int) -> None:
        try:
            leadership.require_term(connection, self._worker_id, number)
        except LeadershipLost:
            self._loop.call_soon_threadsafe(self._note_lost, number)
            raise

    def _note_lost(self, number: int) -> None:
        """A late write of an earlier term says nothing about the present one."""
        if self.term is not None and self.term.number == number:
            self._lost.set()

    def _acquire(self) -> int | None:
        before = self._elapsed_seconds()
        with self._database.engine.begin() as connection:
            number = leadership.acquire(connection, self._worker_id, ttl_ms=round(LEASE_SECONDS * 1000))
        if number is not None:
            self._lease_ends_at = before + LEASE_SECONDS
        return number

    def _renew(self, number: int) -> bool:
        with self._database.engine.begin() as connection:
            return leadership.renew(connection, self._worker_id, number, ttl_ms=round(LEASE_SECONDS * 1000))

    def _release(self, number: int) -> None:
        with self._database.engine.begin() as connection:
            leadership.release(connection, self._worker_id, number)
            self._database.notify(connection, RELEASED)

    async def _try(self, step: Callable[[], R], *, undo: Callable[[Any], None] | None = None) -> R:
        """Run a step in a thread that a stop does not wait for, as the database may not answer. Raises TimeoutError.

        undo: called in the thread with a result that came too late, unless it is None.
        """
        done: asyncio.Future[R] = self._loop.create_future()
        is_late = threading.Event()

        def run() -> None:
            try:
                result = step()
            except Exception as error:  # noqa: BLE001 - raised where the result is awaited
                self._report(functools.partial(_settle, done, None, error))
                return
            if is_late.is_set() and undo is not None and result is not None:
                with contextlib.suppress(Exception):
                    undo(result)
            self._report(functools.partial(_settle, done, result, None))

        threading.Thread(target=run, name="lease", daemon=True).start()
        try:
            return await asyncio.wait_for(asyncio.shield(done), RENEW_SECONDS)
        except BaseException:
            is_late.set()
            done.add_done_callback(_ignore)
            raise

    def _report(self, settle: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(settle)

    async def _pause(self, event: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)


def _settle(done: "asyncio.Future[Any]", result: object, error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)


def _ignore(done: "asyncio.Future[Any]") -> None:
    """Take the error of a step that nobody waits for any more."""
    if not done.cancelled():
        done.exception()

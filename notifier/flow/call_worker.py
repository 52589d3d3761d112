"""The base class of workers that claim due rows and make one call to another system for each row.

A run claims as many rows as free slots and the rate limit allow, and starts their calls. Each call gives its own
result, so a slow call does not delay the others. A worker whose calls are frequent stores the results of ended calls
together with the next claim, in one transaction.
"""

import asyncio
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy.engine import Connection

from notifier import metrics
from notifier.clock import Clock, Millis, to_millis
from notifier.domain.delivery import limiter_block_ms
from notifier.domain.rate_limit import RateLimit
from notifier.errors import CallError
from notifier.flow.in_flight import InFlight, await_write
from notifier.store import rate_limits
from notifier.store.engine.database import Database
from notifier.store.engine.outage import get_next_step

LONGEST_WAIT_SECONDS = 0.5
"""How long a result waits for the next claim."""

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedJobs(Generic[Job]):
    """The jobs of one claim, and the time of the next claim."""

    jobs: Sequence[Job] = ()
    """The jobs whose calls start now."""
    next_claim_at: float | None = None
    """When more jobs may be due, in Unix milliseconds. None: no due time is known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Result:
    """The result of a call that is not stored yet."""

    row: int
    """The row of the call."""
    value: Any
    """What `_save_results` stores."""
    stored: "asyncio.Future[Any]"
    """Done after the commit."""


def _pass_on(stored: "asyncio.Future[Any]", writing: "asyncio.Future[Any]") -> None:
    if writing.cancelled():
        stored.cancel()
    elif (error := writing.exception()) is not None:
        stored.set_exception(error)
    else:
        stored.set_result(writing.result())


class CallWorker(ABC, Generic[Job]):
    """Claims due rows and makes one call for each, at most `slots` at a time.

    A subclass claims the due jobs (`_claim`), names the row of a job (`_row_id`), makes the call and stores its result
    (`_call`). A result that goes through `_save_result` is stored by `_save_results`, with the next claim.
    """

    slots: ClassVar[int] = 8
    """The maximum number of calls in flight."""
    idle_ms: ClassVar[int] = 1_000
    """The longest pause between two claims, in milliseconds."""
    _stores_with_claim: ClassVar[bool] = False
    """Whether all results go through `_save_result`, whose wake-up replaces that of an ended call."""

    def __init__(self, database: Database, clock: Clock, *, wake: Callable[[], None]) -> None:
        """wake: called when a call ends and its slot is free."""
        self._database = database
        self._clock = clock
        self._wake = wake
        self._in_flight = InFlight(on_finished=self._note_end)
        self._results: list[_Result] = []
        """Results that the next run stores."""
        self._claims_on_end = True
        """Whether the end of a call may make more jobs claimable."""
        self._is_draining = False

    async def run_once(self) -> float:
        """Stores the results of ended calls, claims due jobs and starts their calls.

        Returns the seconds until the next run.
        """
        now, results = self._now(), tuple(self._results)
        free = self.slots - len(self._in_flight) + len(results)
        if free <= 0 and not results:
            return self.idle_ms / 1000
        in_flight_ids = self._in_flight.rows.difference(each.row for each in results)

        def save_and_claim(connection: Connection) -> tuple[Sequence[Any], ClaimedJobs[Job]]:
            values = [each.value for each in results]
            saved = self._save_results(connection, values) if values else ()
            if free <= 0:
                return saved, ClaimedJobs()
            return saved, self._claim(connection, now=now, free=free, in_flight_ids=in_flight_ids)

        writing = asyncio.wrap_future(self._database.write(save_and_claim))
        if results:
            self._results = []
            writing.add_done_callback(functools.partial(self._settle, results))
        try:
            _, claimed = await writing
        except Exception as error:
            if not results or get_next_step(error) is not None:
                raise
            return 0.0  # a result may be faulty: the next run claims without them
        self._claims_on_end = not self._stores_with_claim or len(claimed.jobs) >= free
        await self._start(claimed.jobs)
        if claimed.next_claim_at is None:
            return self.idle_ms / 1000
        return min(max(claimed.next_claim_at - now, 0.0), self.idle_ms) / 1000

    async def drain(self, seconds: float) -> bool:
        """Waits this many seconds for calls in flight, then cancels them. Their rows are claimed again later.

        Returns whether all calls ended in time.
        """
        self._is_draining = True  # no run follows that would store results
        self._store_alone(self._results)
        self._results = []
        return await self._in_flight.drain(seconds)

    async def _start(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._in_flight.start(self._row_id(job), self._call(job))

    @abstractmethod
    def _claim(
        self, connection: Connection, *, now: Millis, free: int, in_flight_ids: frozenset[int]
    ) -> ClaimedJobs[Job]:
        """Claims at most `free` jobs. in_flight_ids: rows whose calls are in flight in this process."""

    @abstractmethod
    def _row_id(self, job: Job) -> int:
        """Returns the id of the row that the job belongs to."""

    @abstractmethod
    async def _call(self, job: Job) -> None:
        """Makes the call and stores its result, whether it succeeds or fails."""

    def _save_results(self, connection: Connection, results: Sequence[Any]) -> Sequence[Any]:
        """Batch job: stores results. Returns what `_save_result` returns for each of them.

        A subclass that calls `_save_result` defines it.
        """
        raise NotImplementedError

    async def _save_result(self, row: int, result: object) -> Any:  # noqa: ANN401 - whatever `_save_results` returns
        """Stores the result of the call for this row, together with the next claim. Raises if it cannot be stored.

        Cancelling the wait does not cancel the write.
        """
        each = _Result(row=row, value=result, stored=asyncio.get_running_loop().create_future())
        if self._is_draining:
            self._store_alone([each])
        else:
            self._results.append(each)
            self._wake()
            asyncio.get_running_loop().call_later(LONGEST_WAIT_SECONDS, self._store_late, each)
        return await asyncio.shield(each.stored)

    def _settle(
        self, results: "Sequence[_Result]", writing: "asyncio.Future[tuple[Sequence[Any], Any]]"
    ) -> None:
        """After a cancelled run or a failed transaction each result is stored alone, and a faulty one fails alone."""
        if writing.cancelled() or writing.exception() is not None:
            self._store_alone(results)
            return
        for each, value in zip(results, writing.result()[0], strict=True):
            each.stored.set_result(value)

    def _store_alone(self, results: "Sequence[_Result]") -> None:
        for each in results:
            writing = asyncio.wrap_future(self._database.write_many(self._save_results, each.value))
            writing.add_done_callback(functools.partial(_pass_on, each.stored))

    def _store_late(self, each: "_Result") -> None:
        """Stores a result that waits for a run which does not come, for example in the pause after a failure."""
        if each in self._results:
            self._results.remove(each)
            self._store_alone([each])

    def _note_end(self) -> None:
        if self._claims_on_end:
            self._wake()

    async def _store(self, work: Callable[[Connection], Result]) -> Result:
        """Writes a call's result. The write completes even if the worker is cancelled meanwhile."""
        return await await_write(self._database.write(work))

    def _now(self) -> Millis:
        return to_millis(self._clock.now())


def claim_within_limit(
    connection: Connection,
    limiter: str,
    limit: RateLimit,
    *,
    now: Millis,
    wanted: int,
    claim: Callable[[int], Sequence[Job]],
) -> ClaimedJobs[Job]:
    """Claims at most as many jobs as the rate limit allows now, and counts them against it.

    wanted: the number of free slots. claim: claims at most the given number of jobs.
    """
    state = rate_limits.load_limiter(connection, limiter).plausible(limit, now=now)
    allowed = state.allowed_calls(limit, now=now, wanted=wanted)
    if not allowed:
        return ClaimedJobs(next_claim_at=state.allowed_at(limit))
    jobs = claim(allowed)
    if jobs:  # an idle worker writes nothing
        metrics.count_calls(limiter, len(jobs))
        rate_limits.save_limiters(connection, [state.after(len(jobs), limit, now=now)])
    return ClaimedJobs(jobs=jobs, next_claim_at=now if jobs else None)


def close_limiter(connection: Connection, limiter: str, error: CallError, *, now: Millis) -> None:
    """Blocks all calls of a rate limiter for as long as this failure requires. Most failures require no block."""
    closed_for = limiter_block_ms(error)
    if closed_for:
        rate_limits.block(connection, limiter, until=now + closed_for, reason=error.reason)

"""The base class of workers that claim due rows and make one call to another system for each row.

A run claims as many rows as free slots and the rate limit allow, and starts their calls. Each call stores its own
result, so a slow call does not delay the others.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from sqlalchemy.engine import Connection

from notifier.clock import Clock, Millis, to_millis
from notifier.domain.delivery import limiter_block_ms
from notifier.domain.rate_limit import RateLimit
from notifier.errors import CallError
from notifier.flow.in_flight import InFlight, await_write
from notifier.store import rate_limits
from notifier.store.engine.database import Database

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedJobs(Generic[Job]):
    """The jobs of one claim, and the time of the next claim."""

    jobs: Sequence[Job] = ()
    """The jobs whose calls start now."""
    next_claim_at: float | None = None
    """When more jobs may be due, in Unix milliseconds. None: no due time is known."""


class CallWorker(ABC, Generic[Job]):
    """Claims due rows and makes one call for each, at most `slots` at a time.

    A subclass claims the due jobs (`_claim`), names the row of a job (`_row_id`), makes the call and stores its result
    (`_call`).
    """

    slots: ClassVar[int] = 8
    """The maximum number of calls in flight."""
    idle_ms: ClassVar[int] = 1_000
    """The longest pause between two claims, in milliseconds."""

    def __init__(self, database: Database, clock: Clock, *, wake: Callable[[], None]) -> None:
        """wake: called when a call ends and its slot is free."""
        self._database = database
        self._clock = clock
        self._in_flight = InFlight(on_finished=wake)

    async def run_once(self) -> float:
        """Claims due jobs and starts their calls. Returns the seconds until the next run."""
        now = self._now()
        free = self.slots - len(self._in_flight)
        if free <= 0:
            return self.idle_ms / 1000
        in_flight_ids = self._in_flight.rows
        claimed = await asyncio.wrap_future(
            self._database.write(lambda c: self._claim(c, now=now, free=free, in_flight_ids=in_flight_ids))
        )
        await self._start(claimed.jobs)
        if claimed.next_claim_at is None:
            return self.idle_ms / 1000
        return min(max(claimed.next_claim_at - now, 0.0), self.idle_ms) / 1000

    async def drain(self, seconds: float) -> None:
        """Waits this many seconds for calls in flight, then cancels them. Their rows are claimed again later."""
        await self._in_flight.drain(seconds)

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
        rate_limits.save_limiters(connection, [state.after(len(jobs), limit, now=now)])
    return ClaimedJobs(jobs=jobs, next_claim_at=now if jobs else None)


def close_limiter(connection: Connection, limiter: str, error: CallError, *, now: Millis) -> None:
    """Blocks all calls of a rate limiter for as long as this failure requires. Most failures require no block."""
    closed_for = limiter_block_ms(error)
    if closed_for:
        rate_limits.block(connection, limiter, until=now + closed_for, reason=error.reason)

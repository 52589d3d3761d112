"""Results of calls: stored together with the next claim, and stored in any case."""

import asyncio
import threading
from collections.abc import Sequence
from typing import ClassVar

import pytest
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.flow.call_worker import CallWorker, ClaimedJobs
from notifier.store.engine.database import Database
from support.clock import FakeClock
from support.waiting import wait_until_async


class Caller(CallWorker[int]):
    """Calls nobody: each job ends when `answered` is set. What it stores is kept in lists."""

    slots: ClassVar[int] = 2
    _stores_with_claim: ClassVar[bool] = True

    def __init__(self, database: Database, clock: FakeClock, jobs: Sequence[int]) -> None:
        self.wakes = 0
        super().__init__(database, clock, wake=self._count_wake)
        self.waiting = list(jobs)
        self.answered = asyncio.Event()
        self.saved: list[tuple[Connection, list[int]]] = []
        self.claims: list[Connection] = []
        self.stored: list[int] = []
        self.failing_claims = 0
        self.faulty: set[int] = set()

    def _count_wake(self) -> None:
        self.wakes += 1

    def _claim(
        self, connection: Connection, *, now: Millis, free: int, in_flight_ids: frozenset[int]
    ) -> ClaimedJobs[int]:
        del now, in_flight_ids
        self.claims.append(connection)
        if self.failing_claims:
            self.failing_claims -= 1
            raise RuntimeError("the claim fails")
        jobs, self.waiting = self.waiting[:free], self.waiting[free:]
        return ClaimedJobs(jobs=jobs)

    def _row_id(self, job: int) -> int:
        return job

    def _save_results(self, connection: Connection, results: Sequence[int]) -> Sequence[int]:
        if self.faulty & set(results):
            raise ValueError("a faulty result")
        self.saved.append((connection, list(results)))
        return [10 * each for each in results]

    async def _call(self, job: int) -> None:
        await self.answered.wait()
        self.stored.append(await self._save_result(job, job))

    async def answer(self, count: int) -> None:
        """Ends all calls, and waits until so many results wait to be stored."""
        self.answered.set()
        await wait_until_async(lambda: len(self._results) >= count, "the calls end")


async def test_results_share_the_transaction_of_the_next_claim(database: Database, clock: FakeClock) -> None:
    caller = Caller(database, clock, [1, 2, 3])
    await caller.run_once()
    await caller.answer(2)
    assert caller.wakes >= 1
    await caller.run_once()
    await wait_until_async(lambda: sorted(caller.stored) == [10, 20], "both are stored")

    ((connection, results),) = caller.saved
    assert [1, 2] == sorted(results)
    assert connection is caller.claims[1]


async def test_results_are_stored_although_the_claim_fails(database: Database, clock: FakeClock) -> None:
    caller = Caller(database, clock, [1, 2])
    await caller.run_once()
    await caller.answer(2)
    caller.failing_claims = 2
    assert 0 == await caller.run_once()
    await wait_until_async(lambda: sorted(caller.stored) == [10, 20], "both are stored")

    with pytest.raises(RuntimeError, match="the claim fails"):
        await caller.run_once()


async def test_a_faulty_result_fails_alone_and_stops_no_claim(database: Database, clock: FakeClock) -> None:
    caller = Caller(database, clock, [1, 2, 3])
    caller.faulty = {1}
    await caller.run_once()
    await caller.answer(2)
    assert 0 == await caller.run_once()
    await wait_until_async(lambda: caller.stored == [20], "the other one is stored")
    await caller.run_once()

    assert [] == caller.waiting


async def test_a_result_does_not_wait_for_a_run_that_does_not_come(
    database: Database, clock: FakeClock
) -> None:
    caller = Caller(database, clock, [1])
    await caller.run_once()
    caller.answered.set()
    await wait_until_async(lambda: len(caller.stored) == 1, "it is stored without a run")

    assert [10] == caller.stored
    assert 1 == len(caller.claims)


async def test_results_are_stored_at_the_end_without_another_claim(
    database: Database, clock: FakeClock
) -> None:
    caller = Caller(database, clock, [1, 2])
    await caller.run_once()
    await caller.answer(2)
    await caller.drain(10)

    assert [10, 20] == sorted(caller.stored)
    assert 1 == len(caller.claims)


async def test_a_result_that_comes_while_a_run_waits_is_stored_once(
    database: Database, clock: FakeClock
) -> None:
    caller = Caller(database, clock, [1])
    await caller.run_once()
    began, go_on = threading.Event(), threading.Event()

    def stall(_: Connection) -> None:
        began.set()
        assert go_on.wait(10)

    stalled = database.write(stall)
    assert began.wait(10)
    run = asyncio.ensure_future(caller.run_once())
    await asyncio.sleep(0)  # its write waits behind the stalled one
    await caller.answer(1)
    go_on.set()
    stalled.result(10)
    await run
    await caller.run_once()
    await wait_until_async(lambda: len(caller.stored) == 1, "it is stored")

    assert [[1]] == [results for _, results in caller.saved]


async def test_a_cancelled_run_that_waits_claims_nothing_and_stores_its_results(
    database: Database, clock: FakeClock
) -> None:
    """A claimed job whose call never starts would stay claimed until the next start of the program."""
    caller = Caller(database, clock, [1, 2, 3])
    await caller.run_once()
    await caller.answer(2)
    began, go_on = threading.Event(), threading.Event()

    def stall(_: Connection) -> None:
        began.set()
        assert go_on.wait(10)

    stalled = database.write(stall)
    assert began.wait(10)
    run = asyncio.ensure_future(caller.run_once())
    await asyncio.sleep(0)  # its write waits behind the stalled one
    run.cancel()
    await asyncio.sleep(0)
    go_on.set()
    stalled.result(10)
    await wait_until_async(lambda: sorted(caller.stored) == [10, 20], "both are stored")

    assert 1 == len(caller.claims)
    assert [3] == caller.waiting

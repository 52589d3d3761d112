"""Worker pool: every worker exists from the beginning, and runs what was assigned to it."""

import asyncio

import pytest

from notifier.runtime.worker_pool import WorkerName, WorkerPool

PAUSE_SECONDS = 60.0


class Runs:
    """Counts the runs of every worker."""

    def __init__(self) -> None:
        self.names: list[WorkerName] = []
        self.changed = asyncio.Condition()

    def assign_all(self, pool: WorkerPool) -> None:
        for name in WorkerName:
            self.assign(pool, name)

    def assign(self, pool: WorkerPool, name: WorkerName) -> None:
        async def run_once() -> float:
            async with self.changed:
                self.names.append(name)
                self.changed.notify_all()
            return PAUSE_SECONDS

        pool.assign(name, run_once)

    async def wait_for(self, count: int) -> None:
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(lambda: len(self.names) >= count), 10)


async def test_workers_start_in_the_order_of_their_names() -> None:
    pool, runs = WorkerPool(), Runs()
    runs.assign_all(pool)
    pool.start()
    await runs.wait_for(len(WorkerName))
    await pool.stop(seconds=1)

    assert list(WorkerName) == runs.names


async def test_a_wake_function_wakes_its_workers_only() -> None:
    pool, runs = WorkerPool(), Runs()
    wake = pool.waker(WorkerName.DIGEST, WorkerName.PRUNE)  # before there is work: the order is free
    runs.assign_all(pool)
    pool.start()
    await runs.wait_for(len(WorkerName))
    await asyncio.to_thread(wake)
    await runs.wait_for(len(WorkerName) + 2)
    await pool.stop(seconds=1)

    assert [WorkerName.DIGEST, WorkerName.PRUNE] == runs.names[len(WorkerName) :]


async def test_a_wake_up_before_the_start_is_harmless() -> None:
    pool, runs = WorkerPool(), Runs()
    pool.waker(*WorkerName)()
    await asyncio.sleep(0)
    await pool.stop(seconds=1)

    assert [] == runs.names


async def test_a_worker_without_work_is_an_error() -> None:
    pool, runs = WorkerPool(), Runs()
    for name in WorkerName:
        if name is not WorkerName.PRUNE:
            runs.assign(pool, name)

    with pytest.raises(ValueError, match="workers without work: prune"):
        pool.start()


async def test_a_worker_gets_its_work_once() -> None:
    pool, runs = WorkerPool(), Runs()
    runs.assign(pool, WorkerName.PRUNE)

    with pytest.raises(ValueError, match="prune"):
        runs.assign(pool, WorkerName.PRUNE)

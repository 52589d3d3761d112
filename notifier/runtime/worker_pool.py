"""The workers of the program: created together, woken by name, started and stopped together."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable
from enum import StrEnum

from notifier import metrics
from notifier.flow.worker import Worker

RunOnce = Callable[[], Awaitable[float]]
"""Does the work that is due. The result is the time until the next run, in seconds; 0 means at once."""


class WorkerName(StrEnum):
    """Every worker of the program, in the order in which they start. The log shows the name as `step`."""

    HEARTBEAT = "heartbeat"
    DELIVER = "deliver"
    RELEASE_HELD = "release held"
    RESOLVE_RECIPIENTS = "resolve recipients"
    APPLY_EVENTS = "apply events"
    ANSWER_QUESTIONS = "answer questions"
    WITHDRAW = "withdraw"
    BATCH = "batch"
    UPDATE_CARDS = "update cards"
    SUBMIT_PAYOUTS = "submit payouts"
    DIGEST = "digest"
    RECONCILE = "reconcile"
    LIVE_CONNECTIONS = "live connections"
    LISTENER_CHECK = "listener check"
    APP_ACCESS_PROBE = "app access probe"
    PRUNE = "prune"
    CLOCK_JUMPS = "clock jumps"

    @property
    def is_leaders(self) -> bool:
        """Whether it runs in one process at a time. The others run in every process."""
        return self not in (WorkerName.HEARTBEAT, WorkerName.LISTENER_CHECK, WorkerName.APP_ACCESS_PROBE)


class WorkerPool:
    """Holds one worker for each of these names.

    All of them exist from the beginning, so a component can get the wake function of any worker. The work itself is
    assigned later, by `assign`. Create a pool inside a running event loop.
    """

    def __init__(self, names: Iterable[WorkerName] = WorkerName) -> None:
        names = tuple(names)
        for name in names:
            metrics.WORKER_FAILURES.labels(name)  # it begins at 0
        self._run_once: dict[WorkerName, RunOnce] = {}
        self._workers = {name: Worker(name, functools.partial(self._run, name)) for name in names}

    def assign(self, name: WorkerName, run_once: RunOnce) -> None:
        """Sets the work of a worker. Raises ValueError if the worker already has work."""
        if name in self._run_once:
            raise ValueError(f"the worker {name!r} already has work")
        self._run_once[name] = run_once

    def waker(self, *names: WorkerName) -> Callable[[], None]:
        """Returns a function that wakes these workers, in this order. The function is callable from any thread."""
        return functools.partial(_wake_all, tuple(self._workers[name] for name in names))

    def wake(self, *names: WorkerName) -> None:
        """Wakes these workers, in this order. Callable from any thread."""
        _wake_all(tuple(self._workers[name] for name in names))

    def start(self) -> None:
        """Starts every worker. Raises ValueError if a worker has no work."""
        missing = [name.value for name in self._workers if name not in self._run_once]
        if missing:
            raise ValueError(f"workers without work: {', '.join(missing)}")
        for worker in self._workers.values():
            worker.start()

    async def stop(self, *, seconds: float) -> None:
        """Stops all workers at the same time. A run that takes longer than `seconds` is cancelled."""
        await asyncio.gather(*(worker.stop(seconds=seconds) for worker in self._workers.values()))

    async def _run(self, name: WorkerName) -> float:
        return await self._run_once[name]()


def _wake_all(workers: tuple[Worker, ...]) -> None:
    for worker in workers:
        worker.wake()

"""Writer: one thread, group commit. Whoever waits is committed together, so a slow disk costs one sync for all."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from notifier.store.engine.outage import StorageOutage, get_next_step, is_damage, to_store_error

R = TypeVar("R")
T = TypeVar("T")

MAX_JOBS_PER_COMMIT = 500

BatchWork = Callable[[Connection, Sequence[Any]], Sequence[Any]]


class WriterClosed(RuntimeError):
    """Work was handed in after close()."""


@dataclass(slots=True)
class _Job:
    """Either work for this job alone, or many + item to be done together with its likes."""

    future: "Future[Any]"
    work: Callable[[Connection], Any] | None = None
    batch_work: BatchWork | None = None
    item: Any = None
    result: Any = None
    error: BaseException | None = field(default=None)


class Writer:
    """A job's future resolves only after the commit that holds it. One failing job does not undo the others."""

    def __init__(self, engine: Engine, outage: StorageOutage | None = None) -> None:
        self._engine = engine
        self._outage = outage or StorageOutage(engine)
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Connection], R]) -> "Future[R]":
        return self._put(_Job(future=Future(), work=work))

    def submit_many(self, work: Callable[[Connection, Sequence[T]], Sequence[R]], item: T) -> "Future[R]":
        """work: takes the items in order and gives one result each; it may be called with fewer after a failure."""
        return self._put(_Job(future=Future(), batch_work=work, item=item))

    def close(self, seconds: float | None = None) -> None:
        """Finishes what was handed in, then ends; waits for that, at most the seconds given. Safe to call twice."""
        if not self._closed.is_set():
            self._closed.set()
            self._queue.put(None)
        self._thread.join(seconds)

    def _put(self, job: _Job) -> "Future[Any]":
        if self._closed.is_set():
            raise WriterClosed("the database is closed")
        self._queue.put(job)
        return job.future

    def _run(self) -> None:
        open_ = True
        while open_:
            jobs = self._next_jobs()
            open_ = jobs[-1] is not None
            waiting = [job for job in jobs if job is not None and job.future.set_running_or_notify_cancel()]
            if waiting:
                self._commit(waiting)

    def _next_jobs(self) -> list[_Job | None]:
        """Waits for one, then takes all that are there. No timer: alone, a job waits for nobody."""
        jobs = [self._queue.get()]
        with contextlib.suppress(queue.Empty):
            while jobs[-1] is not None and len(jobs) < MAX_JOBS_PER_COMMIT:
                jobs.append(self._queue.get_nowait())
        return jobs

    def _commit(self, jobs: Sequence[_Job]) -> None:
        try:
            self._outage.raise_if_damaged()
            with self._engine.begin() as connection:
                before = _count_changes(connection)
                for group in _group_jobs(jobs):
                    _run_jobs(connection, group)
                wrote = _count_changes(connection) > before
        except BaseException as error:  # noqa: BLE001 - the thread must live; whoever waits is told
            self._outage.record_error(error)
            reported_error = (
                to_store_error(error, self._engine.url.database or "") if is_damage(error) else error
            )
            for job in jobs:
                job.future.set_exception(reported_error)
            return
        storage_errors = [job.error for job in jobs if job.error is not None and get_next_step(job.error)]
        for each in storage_errors:
            self._outage.record_error(each)
        if wrote and not storage_errors:
            self._outage.record_success()
        for job in jobs:
            if job.error is None:
                job.future.set_result(job.result)
            else:
                job.future.set_exception(job.error)


def _count_changes(connection: Connection) -> int:
    """Rows written so far; what only looks is no proof that the disk takes anything."""
    return int(getattr(connection.connection.driver_connection, "total_changes", 0))


def _group_jobs(jobs: Iterable[_Job]) -> list[list[_Job]]:
    """Jobs that can be done together stand together, where the first of them stood."""
    groups: list[list[_Job]] = []
    by_work: dict[BatchWork, list[_Job]] = {}
    for job in jobs:
        if job.batch_work is not None and job.batch_work in by_work:
            by_work[job.batch_work].append(job)
            continue
        groups.append([job])
        if job.batch_work is not None:
            by_work[job.batch_work] = groups[-1]
    return groups


def _run_jobs(connection: Connection, jobs: list[_Job]) -> None:
    """Inside a savepoint; if a group fails, one by one, so that only the guilty one fails.

    Raises where the savepoint is gone: on a full disk SQLite ends the whole transaction by itself, and everybody
    in it must hear so. So they must when the file is damaged: nothing is promised on it any more.
    """
    first = jobs[0]
    savepoint = connection.begin_nested()
    try:
        if first.work is not None:
            first.result = first.work(connection)
        elif first.batch_work is not None:
            for job, result in zip(
                jobs, first.batch_work(connection, [job.item for job in jobs]), strict=True
            ):
                job.result = result
    except Exception as error:
        try:
            savepoint.rollback()
        except DBAPIError:
            raise error from None
        if is_damage(error):
            raise
        if len(jobs) == 1:
            first.error = error
            return
        for job in jobs:
            _run_jobs(connection, [job])
    else:
        savepoint.commit()

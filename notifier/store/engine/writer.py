"""Writer: one thread with group commit. All queued jobs share one commit, and so one disk sync."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from notifier import metrics
from notifier.store.engine.backends import get_backend
from notifier.store.engine.outage import StorageOutage, get_next_step, is_damage, to_store_error

R = TypeVar("R")
T = TypeVar("T")

MAX_JOBS_PER_COMMIT = 500
MAX_CONFLICTS = 5
"""How often work is repeated that the database ended because of other transactions, such as for a deadlock."""

BatchWork = Callable[[Connection, Sequence[Any]], Sequence[Any]]


class WriterClosed(RuntimeError):
    """A job was submitted after close()."""


@dataclass(slots=True)
class _Job:
    """Either `work` for this job alone, or `batch_work` with an item that runs together with equal jobs."""

    future: "Future[Any]"
    """Gets the result after the commit."""
    work: Callable[[Connection], Any] | None = None
    """A single piece of work; None: batch work."""
    batch_work: BatchWork | None = None
    """Work that takes all queued items at once; None: single work."""
    item: Any = None
    """The item for batch work."""
    is_urgent: bool = False
    """Whether a person waits: it is committed before the others that wait."""
    result: Any = None
    """Set when the work has run."""
    error: BaseException | None = field(default=None)
    """Set when the work has failed."""


class Writer:
    """Runs jobs on one thread. A future resolves after the commit of its job. A failed job does not undo others."""

    def __init__(self, engine: Engine, outage: StorageOutage | None = None) -> None:
        self._engine = engine
        self._backend = get_backend(engine)
        self._outage = outage or StorageOutage(engine)
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Connection], R]) -> "Future[R]":
        """Queue a job. Its future resolves after the commit. Raises WriterClosed after close()."""
        return self._put(_Job(future=Future(), work=work))

    def submit_many(
        self, work: Callable[[Connection, Sequence[T]], Sequence[R]], item: T, *, is_urgent: bool = False
    ) -> "Future[R]":
        """Queue an item for `work`, which gets all queued items in order and returns one result for each.

        After a failure, `work` is called again with single items. is_urgent: commit it before the others that wait.
        """
        return self._put(_Job(future=Future(), batch_work=work, item=item, is_urgent=is_urgent))

    def close(self, seconds: float | None = None) -> None:
        """Finish queued jobs and stop. seconds: maximum wait; None: no limit. A second call has no effect."""
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
        is_open = True
        while is_open:
            jobs = self._next_jobs()
            is_open = jobs[-1] is not None
            waiting = [job for job in jobs if job is not None and job.future.set_running_or_notify_cancel()]
            for is_urgent in (True, False):
                if chosen := [job for job in waiting if job.is_urgent is is_urgent]:
                    self._commit(chosen)

    def _next_jobs(self) -> list[_Job | None]:
        """Wait for one job, then take all queued jobs. There is no timer, so that a single job starts at once."""
        jobs = [self._queue.get()]
        with contextlib.suppress(queue.Empty):
            while jobs[-1] is not None and len(jobs) < MAX_JOBS_PER_COMMIT:
                jobs.append(self._queue.get_nowait())
        return jobs

    def _commit(self, jobs: Sequence[_Job], *, is_retry: bool = False, conflicts: int = 0) -> None:
        """is_retry: one of the jobs is faulty, so each runs in a savepoint of its own.

        conflicts: failures so far because of other transactions.
        """
        groups = [[job] for job in jobs] if is_retry else _group_jobs(jobs)
        began = time.perf_counter()
        try:
            self._outage.raise_if_damaged()
            with self._engine.begin() as connection:
                needs_success = self._outage.needs_success
                before = self._backend.count_changes(connection) if needs_success else 0
                if len(groups) == 1 and not is_retry:
                    _run_group(connection, groups[0])
                else:
                    for group in groups:
                        _run_in_savepoint(connection, group)
                # a commit without a write does not prove that the disk accepts writes
                wrote = needs_success and self._backend.count_changes(connection) > before
        except BaseException as error:  # noqa: BLE001 - the thread must survive; the futures get the error
            if self._backend.is_conflict(error) and conflicts < MAX_CONFLICTS:
                metrics.DATABASE_ERRORS.labels("conflict").inc()
                self._commit(jobs, is_retry=is_retry, conflicts=conflicts + 1)
                return
            if len(groups) == 1 and len(jobs) > 1 and get_next_step(error) is None:
                self._commit(jobs, is_retry=True)  # the transaction of all was rolled back
                return
            metrics.DATABASE_ERRORS.labels("work" if get_next_step(error) is None else "outage").inc()
            self._outage.record_error(error)
            reported_error = to_store_error(error, self._engine.url) if is_damage(error) else error
            for job in jobs:
                job.future.set_exception(reported_error)
            return
        metrics.COMMIT_SECONDS.observe(time.perf_counter() - began)
        metrics.COMMIT_JOBS.observe(len(jobs))
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


def _group_jobs(jobs: Iterable[_Job]) -> list[list[_Job]]:
    """Group jobs with the same batch work, at the position of the first of them."""
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


def _run_group(connection: Connection, jobs: list[_Job]) -> None:
    """Run jobs with the same work, without a savepoint of their own."""
    first = jobs[0]
    if first.work is not None:
        first.result = first.work(connection)
    elif first.batch_work is not None:
        items = [job.item for job in jobs]
        for job, result in zip(jobs, first.batch_work(connection, items), strict=True):
            job.result = result


def _run_in_savepoint(connection: Connection, jobs: list[_Job]) -> None:
    """Run jobs in a savepoint. If a group fails, run its jobs one by one, so that only the faulty one fails.

    Raises if the savepoint no longer exists, so that all jobs of the transaction fail: SQLite rolls back the whole
    transaction on a full disk, and a connection can be lost. All jobs also fail if the file is damaged, because a
    commit would not be reliable.
    """
    savepoint = connection.begin_nested()
    try:
        _run_group(connection, jobs)
    except Exception as error:
        try:
            savepoint.rollback()
        except DBAPIError:
            raise error from None
        if connection.invalidated or is_damage(error) or get_backend(connection).is_conflict(error):
            raise
        if len(jobs) == 1:
            jobs[0].error = error
            return
        for job in jobs:
            _run_in_savepoint(connection, [job])
    else:
        savepoint.commit()

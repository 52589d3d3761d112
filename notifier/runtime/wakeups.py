"""Wakes the leader's workers, in this process or in another one."""

import functools
from collections.abc import Callable

from sqlalchemy.engine import Connection

from notifier.runtime.worker_pool import WorkerName, WorkerPool
from notifier.store.engine.database import Database


class Wakeups:
    """Passes wake-ups to the workers of the present leader. All methods are callable from any thread.

    If another process leads, a notification of the database wakes its workers. A notification can get lost, so each
    worker also looks without one, about once a second.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.pool: WorkerPool | None = None
        """The leader's workers. None: another process leads."""

    def waker(self, *names: WorkerName) -> Callable[[], None]:
        """Returns a function that wakes these workers, if this process leads."""
        return functools.partial(self._wake, names)

    def announce_to(self, *names: WorkerName) -> Callable[[Connection], None]:
        """Returns a function to call in the transaction that makes work for these workers.

        It wakes the workers of another process once the transaction commits.
        """
        return functools.partial(self._announce, names)

    def on_topic(self, topic: str) -> None:
        """Takes a notification: the name of a worker, or another topic, which is ignored."""
        if topic in LEADER_TOPICS:
            self._wake((WorkerName(topic),))

    def _wake(self, names: tuple[WorkerName, ...]) -> None:
        pool = self.pool
        if pool is not None:
            pool.wake(*names)

    def _announce(self, names: tuple[WorkerName, ...], connection: Connection) -> None:
        if self.pool is None:
            self._database.notify(connection, *names)


LEADER_TOPICS = frozenset(name.value for name in WorkerName if name.is_leaders)

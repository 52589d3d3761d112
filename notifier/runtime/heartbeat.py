"""The heartbeat: the state of this process, for its row in `workers` and for the readiness check."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Protocol

from sqlalchemy.engine import Connection

from notifier.clock import Clock, MeasuredClock, Millis, to_millis
from notifier.feishu.api import AppStatus
from notifier.runtime.connection_watch import ConnectionWatch
from notifier.store.engine.database import Database
from notifier.store.engine.sql import read_database_time
from notifier.store.processes import workers
from notifier.store.processes.workers import LONGEST_WAITS, WorkerRow
from notifier.web.health import Readiness

HEARTBEAT_SECONDS = 5.0
STORE_STALE_SECONDS = 20.0
"""Without a successful write for this long, the process is not ready."""


class EventArrivals(Protocol):
    """What the heartbeat needs of the receiver of events."""

    @property
    def last_event_at(self) -> Millis | None:
        """When the last event arrived; None before the first one."""

    @property
    def refused_at(self) -> Millis | None:
        """When an event last could not be stored; None if that never happened."""


class ConnectionCount(Protocol):
    """What the heartbeat needs of the count of live connections."""

    @property
    def foreign(self) -> int | None:
        """The app's connections at Feishu that are not ours; None if that is not known."""


class Heartbeat:
    """Writes the state of this process to its row every few seconds, and answers whether the process is ready."""

    def __init__(  # noqa: PLR0913 - it reports on each of them
        self,
        database: Database,
        clock: Clock,
        *,
        connection: ConnectionWatch,
        app_status: AppStatus,
        arrivals: EventArrivals,
        connection_count: ConnectionCount,
        worker_id: str,
        started_at: Millis,
        submits_payouts: bool = False,
        is_clock_doubtful: Callable[[], bool] = lambda: False,
        on_written: Callable[[Sequence[WorkerRow], Millis], None] = lambda _live, _now: None,
        reconnect: Callable[[], None] = lambda: None,
    ) -> None:
        """on_written: called with all live processes and the present time. reconnect: connects to Feishu again."""
        self._database = database
        self._clock = clock
        self._connection = connection
        self._app_status = app_status
        self._arrivals = arrivals
        self._connection_count = connection_count
        self._worker_id = worker_id
        self._started_at = started_at
        self._submits_payouts = submits_payouts
        self._is_clock_doubtful = is_clock_doubtful
        self._on_written = on_written
        self._reconnect = reconnect
        self._handled_reconnect_request: Millis | None = None
        self._last_write_at = monotonic()
        self._waiting_since: Mapping[str, Millis] = {}

    async def run_once(self) -> float:
        """Writes a heartbeat. Returns the seconds until the next one."""
        await self._write(stopped=False)
        return HEARTBEAT_SECONDS

    async def write_last(self) -> None:
        """Writes the final heartbeat, which marks the process as stopped."""
        await self._write(stopped=True)

    def readiness(self) -> Readiness:
        """Ready means: Feishu accepts the credentials, events can arrive, the database accepts writes, and no row has
        been ready for long.
        """
        problems = {}
        if self._app_status.refusal_reason is not None:
            problems["credentials"] = self._app_status.refusal_reason
        status = self._connection.status
        if self._connection.connected_since is None:
            problems["connection"] = (
                f"{status.state}: {status.detail}" if status.detail else str(status.state)
            )
        seconds_since_write = monotonic() - self._last_write_at
        if seconds_since_write > STORE_STALE_SECONDS:
            problems["store"] = (
                f"the last successful write to the database was {seconds_since_write:.0f} s ago"
            )
        now = to_millis(self._clock.now())
        for kind, since in self._waiting_since.items():
            if now - since > LONGEST_WAITS[kind]:
                problems[kind] = f"the oldest has been ready for {(now - since) // 1000} s"
        facts = {"connection": status.state, "connection_since": self._connection.since}
        return Readiness(problems=problems, facts=facts)

    async def _write(self, *, stopped: bool) -> None:
        now = to_millis(self._clock.now())
        row = WorkerRow(
            worker_id=self._worker_id,
            started_at=self._started_at,
            heartbeat_at=now,
            trusted_at=None if self._is_clock_doubtful() else now,
            stopped_at=now if stopped else None,
            connection_state=self._connection.status.state,
            connection_since=self._connection.since,
            connection_detail=self._connection_detail(),
            last_event_at=self._arrivals.last_event_at,
            foreign_connections=self._connection_count.foreign,
            refused_event_at=self._arrivals.refused_at,
        )
        self._waiting_since, live = await asyncio.wrap_future(
            self._database.write(lambda c: self._save(c, row, now))
        )
        self._last_write_at = monotonic()
        self._connection.check_refused_events()
        self._on_written(live, now)
        own = next((each for each in live if each.worker_id == self._worker_id), None)
        if own is not None and self._must_reconnect(own):
            self._reconnect()

    def _save(
        self, connection: Connection, row: WorkerRow, now: Millis
    ) -> tuple[dict[str, Millis], list[WorkerRow]]:
        if isinstance(self._clock, MeasuredClock):
            self._clock.measure(lambda: read_database_time(connection))
        workers.write_heartbeat(connection, row)
        waiting_since = workers.list_waiting_since(connection, now=now, submits_payouts=self._submits_payouts)
        return waiting_since, workers.list_live(connection, now=now)

    def _must_reconnect(self, own: WorkerRow) -> bool:
        """Whether the leader asked for a new connection after this one began. Each request counts once."""
        requested_at, since = own.reconnect_requested_at, self._connection.connected_since
        if requested_at is None or requested_at == self._handled_reconnect_request:
            return False
        self._handled_reconnect_request = requested_at
        return since is not None and since < requested_at

    def _connection_detail(self) -> str | None:
        refusal_reason = self._app_status.refusal_reason
        details = [
            self._connection.status.detail,
            f"Feishu rejects this app: {refusal_reason}" if refusal_reason else "",
        ]
        return "; ".join(detail for detail in details if detail) or None

"""The heartbeat: the state of this process, for its row in `workers` and for the readiness check."""

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Protocol

from sqlalchemy.engine import Connection

from notifier.clock import MINUTE_MS, Clock, Millis, to_millis
from notifier.feishu.api import AppStatus
from notifier.runtime.connection_watch import ConnectionWatch
from notifier.store import workers
from notifier.store.engine.database import Database
from notifier.store.workers import WorkerRow
from notifier.web.health import Readiness

HEARTBEAT_SECONDS = 5.0
LONGEST_WAITS: Mapping[str, Millis] = {
    "events": MINUTE_MS,
    "cards": 600_000,
    "withdrawals": 600_000,
    "payouts": 900_000,
}
"""If the oldest row has been ready for longer, something does not work although nothing else may show it; in ms."""
STORE_STALE_SECONDS = 20.0
"""Without a successful write for this long, the process is not ready."""


class EventArrivals(Protocol):
    """What the heartbeat needs of the receiver of events."""

    @property
    def last_event_at(self) -> Millis | None:
        """When the last event arrived; None before the first one."""


class ConnectionCount(Protocol):
    """What the heartbeat needs of the count of live connections."""

    @property
    def seen(self) -> int | None:
        """The app's live connections at Feishu; None if Feishu does not report them."""


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
        is_clock_doubtful: Callable[[], bool] = lambda: False,
    ) -> None:
        self._database = database
        self._clock = clock
        self._connection = connection
        self._app_status = app_status
        self._arrivals = arrivals
        self._connection_count = connection_count
        self._worker_id = worker_id
        self._started_at = started_at
        self._is_clock_doubtful = is_clock_doubtful
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
            live_connections=self._connection_count.seen,
        )
        self._waiting_since = await asyncio.wrap_future(
            self._database.write(lambda c: self._save(c, row, now))
        )
        self._last_write_at = monotonic()
        self._connection.check_refused_events()

    def _save(self, connection: Connection, row: WorkerRow, now: Millis) -> dict[str, Millis]:
        workers.write_heartbeat(connection, row)
        return workers.list_waiting_since(connection, now=now)

    def _connection_detail(self) -> str | None:
        refusal_reason = self._app_status.refusal_reason
        details = [
            self._connection.status.detail,
            f"Feishu rejects this app: {refusal_reason}" if refusal_reason else "",
        ]
        return "; ".join(detail for detail in details if detail) or None

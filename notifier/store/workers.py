"""Worker rows: the processes that ran on this database, with their heartbeat."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.store import clock_jumps
from notifier.store.schema.tables import workers


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """connection: connecting, connected, lost or refused. heartbeat_at: the process's last sign of life.
    live_connections: of the app, as Feishu counts them; None where it does not say.
    """

    worker_id: str
    started_at: Millis
    heartbeat_at: Millis
    stopped_at: Millis | None
    connection_state: str
    connection_since: Millis
    connection_detail: str | None
    last_event_at: Millis | None
    live_connections: int | None = None


def register_worker(connection: Connection, worker_id: str, *, now: Millis) -> None:
    """A process begins; what the one before it left behind has been taken back."""
    clock_jumps.expire_unknown_outcomes(connection, now=now)
    connection.execute(
        sa.insert(workers).values(
            worker_id=worker_id,
            started_at=now,
            heartbeat_at=now,
            connection_state="connecting",
            connection_since=now,
        )
    )


def mark_refused(connection: Connection, worker_id: str, reason: str, *, now: Millis) -> None:
    """Feishu refused this process, which ends."""
    connection.execute(
        sa.update(workers)
        .where(workers.c.worker_id == worker_id)
        .values(stopped_at=now, connection_state="refused", connection_since=now, connection_detail=reason)
    )


def write_heartbeat(connection: Connection, row: WorkerRow) -> None:
    connection.execute(
        sa.update(workers)
        .where(workers.c.worker_id == row.worker_id)
        .values(
            heartbeat_at=row.heartbeat_at,
            stopped_at=row.stopped_at,
            connection_state=row.connection_state,
            connection_since=row.connection_since,
            connection_detail=row.connection_detail,
            last_event_at=row.last_event_at,
            live_connections=row.live_connections,
        )
    )


def get_last_worker(connection: Connection) -> WorkerRow | None:
    row = connection.execute(sa.select(workers).order_by(workers.c.started_at.desc()).limit(1)).first()
    return WorkerRow(**row._mapping) if row else None  # noqa: SLF001 - see above

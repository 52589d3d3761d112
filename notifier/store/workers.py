"""Worker rows: the processes that ran on this database, with their heartbeat."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.store import clock_jumps
from notifier.store.schema.tables import workers


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """connection: connecting, connected, lost or refused. beat_at: the process's last sign of life.
    live_connections: of the app, as Feishu counts them; None where it does not say.
    """

    owner: str
    started_at: Millis
    beat_at: Millis
    stopped_at: Millis | None
    connection: str
    connection_since: Millis
    connection_detail: str | None
    last_event_at: Millis | None
    live_connections: int | None = None


def enrol_worker(connection: Connection, owner: str, *, now: Millis) -> None:
    """A process begins; what the one before it left behind has been taken back."""
    clock_jumps.doubt_ages(connection, now=now)
    connection.execute(
        sa.insert(workers).values(
            owner=owner, started_at=now, beat_at=now, connection="connecting", connection_since=now
        )
    )


def turn_away(connection: Connection, owner: str, why: str, *, now: Millis) -> None:
    """Feishu refused this process, which ends."""
    connection.execute(
        sa.update(workers)
        .where(workers.c.owner == owner)
        .values(stopped_at=now, connection="refused", connection_since=now, connection_detail=why)
    )


def beat(connection: Connection, row: WorkerRow) -> None:
    connection.execute(
        sa.update(workers)
        .where(workers.c.owner == row.owner)
        .values(
            beat_at=row.beat_at,
            stopped_at=row.stopped_at,
            connection=row.connection,
            connection_since=row.connection_since,
            connection_detail=row.connection_detail,
            last_event_at=row.last_event_at,
            live_connections=row.live_connections,
        )
    )


def last_worker(connection: Connection) -> WorkerRow | None:
    row = connection.execute(sa.select(workers).order_by(workers.c.started_at.desc()).limit(1)).first()
    return WorkerRow(**row._mapping) if row else None  # noqa: SLF001 - see above

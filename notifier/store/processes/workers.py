"""Workers: one row per process start, with its heartbeat and connection state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import MINUTE_MS, Millis
from notifier.domain.payout import PayoutState
from notifier.domain.withdrawal import WithdrawalState
from notifier.store import recipients
from notifier.store.schema.tables import inbox, payouts, withdrawals, workers

RECEIVING_STATES = ("connected", "listening")
"""Values of connection_state with which events can arrive."""
HEARTBEAT_STALE_MS = 20_000
"""Without a heartbeat for this long, a process counts as gone."""

LONGEST_WAITS: Mapping[str, Millis] = {
    "events": MINUTE_MS,
    "cards": 10 * MINUTE_MS,
    "withdrawals": 10 * MINUTE_MS,
    "payouts": 15 * MINUTE_MS,
}
"""If the oldest row has been ready for longer, something does not work although nothing else may show it; in ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """One process start."""

    worker_id: str
    """Random id of the process start."""
    started_at: Millis
    """Unix milliseconds."""
    heartbeat_at: Millis
    """Last heartbeat."""
    stopped_at: Millis | None
    """None: the process runs, or it crashed."""
    connection_state: str
    """connecting, connected, lost or refused."""
    connection_since: Millis
    """When connection_state last changed."""
    connection_detail: str | None
    """Reason of the state, such as the last connection error."""
    last_event_at: Millis | None
    """When the process last received an event; None if it received none."""
    trusted_at: Millis | None = None
    """Last heartbeat while the clock was plausible; None: none."""
    foreign_connections: int | None = None
    """Number of connections of the app at Feishu that are not ours; None: not known, or another process counts."""
    submits_payouts: bool = False
    """Whether the process submits payouts to payouts.url; otherwise an operator exports them."""
    name: str = ""
    """replica.name of its configuration."""
    version: str = ""
    """Version of the program."""
    config_fingerprint: str = ""
    """Hash of the settings that all replicas must share."""
    refused_event_at: Millis | None = None
    """When the process last could not store an event; None: never."""
    reconnect_requested_at: Millis | None = None
    """When the leader last asked it to open its connection again; None: never."""

    @property
    def is_receiving(self) -> bool:
        """Whether events can arrive at this process."""
        return self.connection_state in RECEIVING_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWorker:
    """A process that starts. The fields are as in `WorkerRow`."""

    worker_id: str
    """Random id of the process start."""
    name: str = ""
    """replica.name of its configuration."""
    version: str = ""
    """Version of the program."""
    config_fingerprint: str = ""
    """Hash of the settings that all replicas must share."""
    submits_payouts: bool = False
    """Whether the process submits payouts to payouts.url."""


def register_worker(connection: Connection, worker: NewWorker, *, now: Millis) -> None:
    """Add the row of a new process."""
    connection.execute(
        sa.insert(workers).values(
            worker_id=worker.worker_id,
            started_at=now,
            heartbeat_at=now,
            connection_state="connecting",
            connection_since=now,
            submits_payouts=int(worker.submits_payouts),
            name=worker.name,
            version=worker.version,
            config_fingerprint=worker.config_fingerprint,
        )
    )


def mark_refused(connection: Connection, worker_id: str, reason: str, *, now: Millis) -> None:
    """Record that Feishu rejected the connection and the process exits. reason: Feishu's text."""
    connection.execute(
        sa.update(workers)
        .where(workers.c.worker_id == worker_id)
        .values(stopped_at=now, connection_state="refused", connection_since=now, connection_detail=reason)
    )


def write_heartbeat(connection: Connection, row: WorkerRow) -> None:
    """Store the heartbeat and connection state of a process."""
    connection.execute(
        sa.update(workers)
        .where(workers.c.worker_id == row.worker_id)
        .values(
            heartbeat_at=row.heartbeat_at,
            trusted_at=sa.func.coalesce(row.trusted_at, workers.c.trusted_at),
            stopped_at=row.stopped_at,
            connection_state=row.connection_state,
            connection_since=row.connection_since,
            connection_detail=row.connection_detail,
            last_event_at=row.last_event_at,
            foreign_connections=row.foreign_connections,
            refused_event_at=row.refused_event_at,
        )
    )


def list_waiting_since(connection: Connection, *, now: Millis, submits_payouts: bool) -> dict[str, Millis]:
    """Since when the oldest row of each kind has been ready to be processed, in ms; absent if there is none.

    A delivery behind another one to the same recipient is not counted: it waits for that one. submits_payouts: whether
    this configuration submits payouts.
    """
    found = {
        "events": connection.execute(
            sa.select(sa.func.min(inbox.c.received_at)).where(inbox.c.state == "new")
        ).scalar(),
        "cards": recipients.get_waiting_since(connection, now=now),
        "withdrawals": connection.execute(
            sa.select(sa.func.min(withdrawals.c.due_at)).where(
                withdrawals.c.state == WithdrawalState.REQUESTED, withdrawals.c.due_at <= now
            )
        ).scalar(),
    }
    if submits_payouts:
        found["payouts"] = connection.execute(
            sa.select(sa.func.min(payouts.c.due_at)).where(
                payouts.c.state == PayoutState.PENDING, payouts.c.due_at <= now
            )
        ).scalar()
    return {kind: since for kind, since in found.items() if since is not None}


def get_last_worker(connection: Connection) -> WorkerRow | None:
    """The process that started last; None if there is none."""
    row = connection.execute(sa.select(workers).order_by(workers.c.id.desc()).limit(1)).first()
    return None if row is None else _to_worker(row)


_LOAD_LIVE = (
    sa.select(workers)
    .where(workers.c.stopped_at.is_(None), workers.c.heartbeat_at > sa.bindparam("since"))
    .order_by(workers.c.id)
)


def list_live(connection: Connection, *, now: Millis) -> list[WorkerRow]:
    """The processes that run, in the order of their start."""
    return [_to_worker(row) for row in connection.execute(_LOAD_LIVE, {"since": now - HEARTBEAT_STALE_MS})]


def get_last_received_at(connection: Connection, *, without: str) -> Millis | None:
    """The last heartbeat of a process that was connected, in ms; None: there is none. without: a worker_id."""
    query = sa.select(sa.func.max(workers.c.heartbeat_at)).where(
        workers.c.worker_id != without, workers.c.connection_state.in_(RECEIVING_STATES)
    )
    return connection.execute(query).scalar()


def request_reconnect(connection: Connection, *, now: Millis) -> None:
    """Ask all processes to open their connections to Feishu again, as events do not arrive."""
    connection.execute(
        sa.update(workers).where(workers.c.stopped_at.is_(None)).values(reconnect_requested_at=now)
    )


def _to_worker(row: sa.Row[*tuple[Any, ...]]) -> WorkerRow:
    values = {name: value for name, value in row._mapping.items() if name != "id"}  # noqa: SLF001 - SQLAlchemy's public name for it
    return WorkerRow(**values | {"submits_payouts": bool(row.submits_payouts)})

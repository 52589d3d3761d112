"""Workers: one row per process start, with its heartbeat and connection state."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.payout import PayoutState
from notifier.domain.withdrawal import WithdrawalState
from notifier.store import clock_jumps, recipients
from notifier.store.schema.tables import inbox, payouts, withdrawals, workers


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
    live_connections: int | None = None
    """Number of connections of the app that Feishu reports; None if it does not report it."""
    submits_payouts: bool = False
    """Whether the process submits payouts to payouts.url; otherwise an operator exports them."""


def register_worker(
    connection: Connection, worker_id: str, *, now: Millis, submits_payouts: bool = False
) -> None:
    """Add the row of a new process. Call it after the items of earlier processes are reclaimed."""
    clock_jumps.expire_unknown_outcomes(connection, now=now)
    connection.execute(
        sa.insert(workers).values(
            worker_id=worker_id,
            started_at=now,
            heartbeat_at=now,
            connection_state="connecting",
            connection_since=now,
            submits_payouts=int(submits_payouts),
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
            live_connections=row.live_connections,
        )
    )


def list_waiting_since(connection: Connection, *, now: Millis) -> dict[str, Millis]:
    """Since when the oldest row of each kind has been ready to be processed, in ms; absent if there is none.

    A delivery behind another one to the same recipient is not counted: it waits for that one.
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
    last = get_last_worker(connection)
    if last is not None and last.submits_payouts:
        found["payouts"] = connection.execute(
            sa.select(sa.func.min(payouts.c.due_at)).where(
                payouts.c.state == PayoutState.PENDING, payouts.c.due_at <= now
            )
        ).scalar()
    return {kind: since for kind, since in found.items() if since is not None}


def get_last_worker(connection: Connection) -> WorkerRow | None:
    """The process that started last; None if there is none."""
    row = connection.execute(sa.select(workers).order_by(workers.c.id.desc()).limit(1)).first()
    if row is None:
        return None
    values = {name: value for name, value in row._mapping.items() if name != "id"}  # noqa: SLF001 - SQLAlchemy's public name for it
    return WorkerRow(**values | {"submits_payouts": bool(row.submits_payouts)})

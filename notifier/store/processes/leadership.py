"""Leadership: which of several processes on one database does the work that only one may do.

The leader holds a lease with an end and a term. It renews the lease in time; after the end another process may lead, in
a new term. Every transaction of a leader checks its own term (`require_term`), so a former leader cannot commit.
All times are those of the database's clock.
"""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.errors import LeadershipLost
from notifier.store.engine.sql import database_time, insert_or_ignore
from notifier.store.schema.tables import leadership

_NAME = "leader"
_ROW = leadership.c.name == _NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who leads, or led last."""

    worker_id: str
    """The process start."""
    term: int
    """Grows with every change of the leader."""
    remaining_ms: Millis
    """Time until the end of the lease; negative or 0: it has ended."""


_LOAD = sa.select(
    leadership.c.worker_id,
    leadership.c.term,
    (leadership.c.expires_at - database_time()).label("remaining_ms"),
).where(_ROW)


def load_lease(connection: Connection) -> Lease | None:
    """The newest lease. None: no process ever led."""
    row = connection.execute(_LOAD).first()
    return None if row is None else Lease(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it


def acquire(connection: Connection, worker_id: str, *, ttl_ms: Millis) -> int | None:
    """Lead from now on, if no lease is valid. Returns the new term; None: another process leads.

    It waits for transactions of the former leader that have checked their term. ttl_ms: duration of the lease.
    """
    lease = load_lease(connection)
    if lease is None:
        row = {"name": _NAME, "worker_id": worker_id, "term": 0, "expires_at": 0}
        insert_or_ignore(connection, leadership, [row])
    elif lease.remaining_ms > 0:
        return None
    lease = Lease(**connection.execute(_LOAD.with_for_update()).one()._mapping)  # noqa: SLF001 - as above
    if lease.remaining_ms > 0:
        return None
    connection.execute(
        sa.update(leadership)
        .where(_ROW)
        .values(worker_id=worker_id, term=lease.term + 1, expires_at=database_time() + ttl_ms)
    )
    return lease.term + 1


def renew(connection: Connection, worker_id: str, term: int, *, ttl_ms: Millis) -> bool:
    """Prolong the lease to this time from now. False: another process leads, or the lease was released."""
    renewed = connection.execute(
        sa.update(leadership)
        .where(
            _ROW, leadership.c.worker_id == worker_id, leadership.c.term == term, leadership.c.expires_at > 0
        )
        .values(expires_at=database_time() + ttl_ms)
    )
    return renewed.rowcount > 0


def release(connection: Connection, worker_id: str, term: int) -> None:
    """End the lease, so that another process can lead at once. Nothing happens if another one leads."""
    connection.execute(
        sa.update(leadership)
        .where(_ROW, leadership.c.worker_id == worker_id, leadership.c.term == term)
        .values(expires_at=0)
    )


_REQUIRE = (
    sa.select(leadership.c.term)
    .where(
        _ROW, leadership.c.worker_id == sa.bindparam("worker"), leadership.c.term == sa.bindparam("its_term")
    )
    .with_for_update(read=True, key_share=True)
)
"""KEY SHARE: another process waits with its take-over until this transaction has ended, but a renewal does not wait."""


def require_term(connection: Connection, worker_id: str, term: int) -> None:
    """Keep the leadership until the end of this transaction. Raises LeadershipLost if another process leads."""
    if connection.execute(_REQUIRE, {"worker": worker_id, "its_term": term}).first() is None:
        raise LeadershipLost(f"this process no longer leads; its term was {term}")

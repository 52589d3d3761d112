"""Rate limiter states. They are stored so that a restart does not exceed a limit."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.rate_limit import LimiterState
from notifier.store.engine.sql import insert_or_ignore, upsert
from notifier.store.schema.tables import rate_limits

SENDING = "im.messages"
LOOKUPS = "hire.get_account_assets"
WITHDRAWALS = "hire.withdraw"
REGISTRATIONS = "hire.create"
UPDATES = "im.messages.patch"
RECONCILIATIONS = "hire.get_account_assets.sweep"


_LOAD = sa.select(rate_limits).where(rate_limits.c.name == sa.bindparam("limiter")).with_for_update()


def load_limiter(connection: Connection, name: str) -> LimiterState:
    """Load and lock a limiter; a new one if it is not stored."""
    row = connection.execute(_LOAD, {"limiter": name}).first()
    if row is None:
        return LimiterState(name=name)
    return LimiterState(name=name, due_at_ms=row.due_at_ms, blocked_until=row.blocked_until)


def save_limiters(connection: Connection, limiters: Iterable[LimiterState]) -> None:
    """Store limiter states."""
    upsert(
        connection,
        rate_limits,
        [
            {"name": limiter.name, "due_at_ms": limiter.due_at_ms, "blocked_until": limiter.blocked_until}
            for limiter in limiters
        ],
    )


def block(connection: Connection, name: str, *, until: Millis, reason: str) -> None:
    """Block all calls of a limiter until this time (ms). A longer existing block stays."""
    insert_or_ignore(connection, rate_limits, [{"name": name, "due_at_ms": 0.0, "blocked_until": 0}])
    connection.execute(
        sa.update(rate_limits)
        .where(rate_limits.c.name == name, rate_limits.c.blocked_until < until)
        .values(blocked_until=until, reason=reason)
    )


def list_blocked(connection: Connection, *, now: Millis) -> list[tuple[str, Millis, str]]:
    """(name, until in ms, reason) of the limiters that are blocked now."""
    rows = connection.execute(
        sa.select(rate_limits).where(rate_limits.c.blocked_until > now).order_by(rate_limits.c.name)
    )
    return [(row.name, row.blocked_until, row.reason or "") for row in rows]

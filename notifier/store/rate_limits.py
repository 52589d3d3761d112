"""Gates: how fast we may call, kept in the database so that a restart does not forget."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.rate_limit import Gate
from notifier.store.engine.sql import insert_ignoring, upsert
from notifier.store.schema.tables import gates

SENDING = "im.messages"
LOOKUPS = "hire.get_account_assets"
WITHDRAWALS = "hire.withdraw"
UPDATES = "im.messages.patch"
SWEEPS = "hire.get_account_assets.sweep"


def recipient_gate(receive_id: str) -> str:
    return f"to:{receive_id}"


def load(connection: Connection, name: str) -> Gate:
    row = connection.execute(sa.select(gates).where(gates.c.name == name).with_for_update()).first()
    if row is None:
        return Gate(name=name)
    return Gate(name=name, due_at_ms=row.due_at_ms, closed_until=row.closed_until)


def keep(connection: Connection, each: Iterable[Gate]) -> None:
    upsert(
        connection,
        gates,
        [
            {"name": gate.name, "due_at_ms": gate.due_at_ms, "closed_until": gate.closed_until}
            for gate in each
        ],
    )


def shut(connection: Connection, name: str, *, until: Millis, reason: str) -> None:
    """Nobody passes before `until`; a gate that is shut for longer stays so."""
    insert_ignoring(connection, gates, [{"name": name, "due_at_ms": 0.0, "closed_until": 0}])
    connection.execute(
        sa.update(gates)
        .where(gates.c.name == name, gates.c.closed_until < until)
        .values(closed_until=until, reason=reason)
    )


def shut_gates(connection: Connection, *, now: Millis) -> list[tuple[str, Millis, str]]:
    """(name, until, reason) of the gates that the platform keeps closed now."""
    rows = connection.execute(sa.select(gates).where(gates.c.closed_until > now).order_by(gates.c.name))
    return [(row.name, row.closed_until, row.reason or "") for row in rows]

"""Lines: deliveries stand in line for their recipient, oldest first, and only the first of a line may go."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import DeliveryState
from notifier.store.schema.tables import deliveries, gates

FAR_AHEAD_MS = 60_000


def heads(now: Millis) -> sa.Select[*tuple[Any, ...]]:
    """The first of each recipient's line, where it is due, nobody is being sent to and the gate is open."""
    return (
        sa.select(deliveries, gates.c.due_at_ms.label("line_due_at_ms"))
        .outerjoin(gates, gates.c.name == sa.literal("to:") + deliveries.c.receive_id)
        .where(
            deliveries.c.state == DeliveryState.READY,
            deliveries.c.due_at <= now,
            _line_opens_at(now) <= now,
            ~_somebody_ahead(),
        )
        .order_by(deliveries.c.id)
    )


def _somebody_ahead() -> sa.ColumnElement[bool]:
    """An older delivery to the same recipient is ready, or any is being sent."""
    other = deliveries.alias()
    return sa.exists().where(
        other.c.receive_id == deliveries.c.receive_id,
        sa.or_(
            sa.and_(other.c.state == DeliveryState.READY, other.c.id < deliveries.c.id),
            other.c.state == DeliveryState.SENDING,
        ),
    )


def any_ready(connection: Connection) -> bool:
    return (
        connection.execute(
            sa.select(deliveries.c.id).where(deliveries.c.state == DeliveryState.READY).limit(1)
        ).first()
        is not None
    )


def _line_opens_at(now: Millis) -> sa.ColumnElement[float]:
    """A moment far ahead can only come from a clock that was set back since: such a line is open."""
    sane = sa.and_(gates.c.due_at_ms.is_not(None), gates.c.due_at_ms <= now + FAR_AHEAD_MS)
    return sa.case((sane, gates.c.due_at_ms), else_=0.0)


def next_due(connection: Connection, *, now: Millis) -> float | None:
    """The earliest moment at which the first of a line may go, as far as its own line is concerned."""
    line_opens_at = _line_opens_at(now)
    earliest = sa.case((line_opens_at > deliveries.c.due_at, line_opens_at), else_=deliveries.c.due_at)
    return connection.execute(
        sa.select(sa.func.min(earliest))
        .select_from(deliveries.outerjoin(gates, gates.c.name == sa.literal("to:") + deliveries.c.receive_id))
        .where(deliveries.c.state == DeliveryState.READY, ~_somebody_ahead())
    ).scalar()

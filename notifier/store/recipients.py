"""Recipients: which delivery goes to each person or group next, and from when on.

There is one row per recipient, so that a claim costs the same whether ten deliveries wait or a hundred thousand. A
recipient gets one message at a time, oldest first. A function that changes the state or the due time of a delivery
calls `plan_next` for its recipient in the same transaction.
"""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import MINUTE_MS, Millis
from notifier.store.engine.sql import insert_or_ignore, literal, lock_rows
from notifier.store.schema.tables import deliveries, recipients

MAX_CLOCK_LEAD_MS = MINUTE_MS
"""A recipient whose next call lies further ahead than this was stored before the clock was set back."""

_is_sending = (
    sa.exists()
    .where(deliveries.c.receive_id == recipients.c.receive_id, deliveries.c.state == literal("sending"))
    .correlate(recipients)
)
_oldest_ready = (
    sa.select(sa.func.min(deliveries.c.id))
    .where(deliveries.c.receive_id == recipients.c.receive_id, deliveries.c.state == literal("ready"))
    .correlate(recipients)
    .scalar_subquery()
)
_now = sa.bindparam("planned_at", type_=sa.BigInteger)
_not_before = sa.case((recipients.c.not_before > _now + MAX_CLOCK_LEAD_MS, 0), else_=recipients.c.not_before)
_oldest_at = (
    sa.select(sa.case((deliveries.c.due_at > _not_before, deliveries.c.due_at), else_=_not_before))
    .where(deliveries.c.receive_id == recipients.c.receive_id, deliveries.c.state == literal("ready"))
    .order_by(deliveries.c.id)
    .limit(1)
    .correlate(recipients)
    .scalar_subquery()
)
_PLAN_ALL = sa.update(recipients).values(
    next_delivery_id=sa.case((_is_sending, sa.null()), else_=_oldest_ready),
    next_at=sa.case((_is_sending, sa.null()), else_=_oldest_at),
)
_CHOSEN = recipients.c.receive_id.in_(sa.bindparam("receive_ids", expanding=True))
_PLAN_CHOSEN = _PLAN_ALL.where(_CHOSEN)
_LIST_DUE = (
    sa.select(deliveries)
    .select_from(recipients.join(deliveries, deliveries.c.id == recipients.c.next_delivery_id))
    .where(recipients.c.next_at <= sa.bindparam("now"), deliveries.c.state == literal("ready"))
    .order_by(recipients.c.next_at, recipients.c.next_delivery_id)
    .limit(sa.bindparam("limit"))
    .with_for_update(key_share=True, of=deliveries)
)
_CLOSE = (
    sa.update(recipients)
    .where(_CHOSEN)
    .values(next_delivery_id=None, next_at=None, not_before=sa.bindparam("until"))
)
_NEXT_AT = sa.select(sa.func.min(recipients.c.next_at)).where(recipients.c.next_at.is_not(None))


def plan_next(connection: Connection, receive_ids: Collection[str], *, now: Millis) -> None:
    """Set the next delivery and its time for these recipients. Unaddressed deliveries ("") have no recipient."""
    chosen = sorted(set(receive_ids) - {""})
    if not chosen:
        return
    lock_rows(connection, recipients.c.receive_id, chosen)
    planned = connection.execute(_PLAN_CHOSEN, {"receive_ids": chosen, "planned_at": now})
    if planned.rowcount < len(chosen):
        insert_or_ignore(connection, recipients, [{"receive_id": each} for each in chosen])
        lock_rows(connection, recipients.c.receive_id, chosen)
        connection.execute(_PLAN_CHOSEN, {"receive_ids": chosen, "planned_at": now})


def plan_all(connection: Connection, *, now: Millis) -> None:
    """Set the next delivery and its time for all recipients: at start-up, and after the clock was set back."""
    addressed = sa.select(deliveries.c.receive_id).where(
        deliveries.c.state == literal("ready"), deliveries.c.receive_id != ""
    )
    missing = addressed.where(deliveries.c.receive_id.not_in(sa.select(recipients.c.receive_id))).distinct()
    connection.execute(sa.insert(recipients).from_select(["receive_id"], missing))
    connection.execute(_PLAN_ALL, {"planned_at": now})


def list_due(connection: Connection, *, now: Millis, limit: int) -> Sequence[sa.Row[*tuple[Any, ...]]]:
    """The next delivery of each recipient that is due, longest wait first; locked."""
    return connection.execute(_LIST_DUE, {"now": now, "limit": limit}).all()


def close(connection: Connection, receive_ids: Collection[str], *, until: Millis) -> None:
    """Plan nothing for these recipients, because a call to each starts. until: their rate limit allows no call
    before, Unix milliseconds.
    """
    connection.execute(_CLOSE, {"receive_ids": sorted(receive_ids), "until": until})


def get_next_at(connection: Connection) -> Millis | None:
    """When the next delivery of any recipient may be sent, in ms; None if none is ready."""
    return connection.execute(_NEXT_AT).scalar()


_WAITING_SINCE = sa.select(sa.func.min(recipients.c.next_at)).where(
    recipients.c.next_at <= sa.bindparam("now")
)


def get_waiting_since(connection: Connection, *, now: Millis) -> Millis | None:
    """Since when the longest waiting delivery could have been sent, in ms; None if none is due."""
    return connection.execute(_WAITING_SINCE, {"now": now}).scalar()

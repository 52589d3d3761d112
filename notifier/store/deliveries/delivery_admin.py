"""Delivery administration: queries for operators, and the manual retry and drop."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import NEEDS_ATTENTION, CardVariant, DeliveryState
from notifier.store import accounts as account_store
from notifier.store import recipients
from notifier.store.engine.sql import literal
from notifier.store.schema.tables import (
    accounts,
    attempts,
    deliveries,
    delivery_notices,
    is_ended,
    is_open,
    notices,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """One delivery in a list."""

    id: int
    """Row id."""
    state: str
    """DeliveryState."""
    target: str
    """`referrer` or a group name."""
    receive_id: str
    """open_id or chat_id; empty while not resolved."""
    account_id: str
    """Feishu's id of the account; empty if the card covers several accounts."""
    variant: str
    """CardVariant."""
    attempts: int
    """Number of attempts that have started."""
    created_at: Millis
    """Unix milliseconds."""
    updated_at: Millis
    """When the state last changed."""
    due_at: Millis
    """When the next attempt may start; for `held`: when the hold ends."""
    hold_reason: str | None
    """HoldReason of the newest hold; None: it was never held."""
    last_error: str | None
    """Reason of the last failure."""
    last_code: int | None
    """Feishu's error code of the last failure."""
    message_id: str | None
    """Feishu's id of the sent message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One attempt to send a delivery."""

    uuid: str
    """Feishu's deduplication key of the call."""
    started_at: Millis
    """Unix milliseconds."""
    ended_at: Millis | None
    """None while the attempt runs."""
    outcome: str | None
    """State of the delivery after the attempt; None while it runs."""
    reason: str | None
    """Why the attempt failed."""
    code: int | None
    """Feishu's error code."""
    log_id: str | None
    """X-Tt-Logid, for Feishu's support."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryDetails:
    """One delivery with its content and attempts."""

    row: DeliveryRow
    """The delivery."""
    key: str
    """Idempotency key."""
    reroute_reason: str | None
    """Why the fallback group receives the card; None if it is not rerouted."""
    rerouted_from: int | None
    """Id of the delivery that this one replaces."""
    corrects: int | None
    """Id of the delivery whose card this one corrects; None: it is no correction."""
    chat_id: str | None
    """Feishu's id of the chat that holds the message."""
    body: str | None
    """Message content; None before the first attempt."""
    degraded_reason: str | None
    """Why the variant is lower than `full`; None if it is not."""
    notices: int
    """Number of notices on the card."""
    attempts: tuple[AttemptRow, ...]
    """Oldest first."""


_DELIVERY_COLUMNS = (
    deliveries.c.id,
    deliveries.c.state,
    deliveries.c.target,
    deliveries.c.receive_id,
    sa.func.coalesce(accounts.c.account_id, "").label("account_id"),
    deliveries.c.variant,
    deliveries.c.attempts,
    deliveries.c.created_at,
    deliveries.c.updated_at,
    deliveries.c.due_at,
    deliveries.c.hold_reason,
    deliveries.c.last_error,
    deliveries.c.last_code,
    deliveries.c.message_id,
)


def list_deliveries(connection: Connection, *, states: Sequence[str], limit: int) -> list[DeliveryRow]:
    """Deliveries in these states (all states if empty), newest first."""
    query = sa.select(*_DELIVERY_COLUMNS).outerjoin(accounts, accounts.c.id == deliveries.c.account_ref)
    if states:
        query = query.where(deliveries.c.state.in_(states))
    rows = connection.execute(query.order_by(deliveries.c.id.desc()).limit(limit))
    return [DeliveryRow(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def show_delivery(connection: Connection, delivery_id: int) -> DeliveryDetails | None:
    """All details of one delivery; None if it does not exist."""
    found = connection.execute(
        sa.select(*_DELIVERY_COLUMNS)
        .outerjoin(accounts, accounts.c.id == deliveries.c.account_ref)
        .where(deliveries.c.id == delivery_id)
    ).first()
    if found is None:
        return None
    more = connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id)).one()
    notice_count = connection.execute(
        sa.select(sa.func.count())
        .select_from(delivery_notices.join(notices))
        .where(delivery_notices.c.delivery_id == delivery_id)
    ).scalar_one()
    attempt_rows = connection.execute(
        sa.select(
            attempts.c.uuid,
            attempts.c.started_at,
            attempts.c.ended_at,
            attempts.c.outcome,
            attempts.c.reason,
            attempts.c.code,
            attempts.c.log_id,
        )
        .where(attempts.c.delivery_id == delivery_id)
        .order_by(attempts.c.id)
    )
    return DeliveryDetails(
        row=DeliveryRow(**found._mapping),  # noqa: SLF001 - SQLAlchemy's public name for it
        key=more.delivery_key,
        reroute_reason=more.reroute_reason,
        rerouted_from=more.rerouted_from,
        corrects=more.corrects,
        chat_id=more.chat_id,
        body=more.body,
        degraded_reason=more.degraded_reason,
        notices=notice_count,
        attempts=tuple(AttemptRow(**row._mapping) for row in attempt_rows),  # noqa: SLF001 - see above
    )


def list_dead_ids(connection: Connection) -> list[int]:
    """Ids of dead deliveries, oldest first. Those with an unknown outcome are excluded: they may have arrived."""
    return list(
        connection.execute(
            sa.select(deliveries.c.id)
            .where(is_ended, deliveries.c.state == DeliveryState.DEAD)
            .order_by(deliveries.c.id)
        ).scalars()
    )


def retry(connection: Connection, delivery_id: int, *, now: Millis) -> bool:
    """Send a dead or unknown delivery again, with a new idempotency key. False if it is in another state.

    The recipient is looked up again, because it may have changed. A reroute, a correction and a card for several
    accounts keep their recipient.
    """
    row = connection.execute(
        sa.select(deliveries).where(deliveries.c.id == delivery_id, deliveries.c.state.in_(NEEDS_ATTENTION))
    ).first()
    if row is None:
        return False
    has_fixed_recipient = row.rerouted_from is not None or row.corrects is not None or row.account_ref is None
    keeps_recipient = has_fixed_recipient and row.receive_id
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery_id)
        .values(
            state=DeliveryState.READY if keeps_recipient else DeliveryState.WAITING,
            delivery_key=_next_key(row.delivery_key),
            variant=CardVariant.FULL,
            body=None,
            msg_type=None,
            degraded_reason=None,
            due_at=now,
            created_at=now,
            updated_at=now,
            attempts=0,
            first_tried_at=None,
            unknown_since=None,
            **({} if keeps_recipient else {"receive_id": "", "receive_id_type": "", "reroute_reason": None}),
        )
    )
    if keeps_recipient:
        recipients.plan_next(connection, [row.receive_id], now=now)
    elif row.account_ref is not None:
        account_store.request_lookups(connection, [row.account_ref], now=now)
    return True


def repeat_now(connection: Connection, delivery_id: int, *, now: Millis) -> None:
    """Make a delivery due whose outcome is unknown. Feishu answers a repeat with the message that it already has."""
    repeated = connection.execute(
        sa.update(deliveries)
        .where(
            deliveries.c.id == delivery_id,
            deliveries.c.state == DeliveryState.READY,
            deliveries.c.unknown_since.is_not(None),
            deliveries.c.due_at > now,
        )
        .values(due_at=now)
        .returning(deliveries.c.receive_id)
    ).scalars()
    recipients.plan_next(connection, list(repeated), now=now)


def _next_key(key: str) -> str:
    """`abc` -> `abc.1` -> `abc.2`: gives the same delivery a new uuid at Feishu."""
    stem, _, number = key.partition(".")
    return f"{stem}.{int(number or 0) + 1}"


def drop(connection: Connection, delivery_id: int, *, now: Millis) -> bool:
    """Mark a dead or unknown delivery as no longer needed. False if it is in another state."""
    changed = connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.state.in_(NEEDS_ATTENTION))
        .values(state=DeliveryState.DROPPED, updated_at=now)
    )
    return changed.rowcount == 1


def count_by_state(connection: Connection) -> dict[str, int]:
    """Number of deliveries per state."""
    counts = sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state)
    rows = [*connection.execute(counts.where(is_ended)), *connection.execute(counts.where(is_open))]
    return {state: count for state, count in rows}  # noqa: C416 - rows are not pairs to mypy


def get_oldest_open_at(connection: Connection) -> Millis | None:
    """When the oldest open delivery was created, in ms; None if there is none. Held ones are not included."""
    query = sa.select(sa.func.min(deliveries.c.created_at)).where(
        is_open, deliveries.c.state != literal("held")
    )
    return connection.execute(query).scalar()


def count_failure_reasons(connection: Connection, *, limit: int) -> list[tuple[str, int | None, str, int]]:
    """(state, code, reason, count) of deliveries that need attention, most frequent first."""
    count = sa.func.count().label("row_count")
    rows = connection.execute(
        sa.select(deliveries.c.state, deliveries.c.last_code, deliveries.c.last_error, count)
        .where(is_ended, deliveries.c.state.in_(NEEDS_ATTENTION))
        .group_by(deliveries.c.state, deliveries.c.last_code, deliveries.c.last_error)
        .order_by(count.desc())
        .limit(limit)
    )
    return [(row.state, row.last_code, row.last_error or "", row.row_count) for row in rows]


def count_reroute_reasons(connection: Connection, *, since: Millis, limit: int) -> list[tuple[str, int]]:
    """(reason, count) of deliveries that were rerouted since this time (ms), most frequent first."""
    count = sa.func.count().label("row_count")
    rows = connection.execute(
        sa.select(deliveries.c.last_error, count)
        .where(is_ended, deliveries.c.state == DeliveryState.REROUTED, deliveries.c.updated_at >= since)
        .group_by(deliveries.c.last_error)
        .order_by(count.desc())
        .limit(limit)
    )
    return [(row.last_error or "", row.row_count) for row in rows]


def count_degraded_cards(connection: Connection, *, since: Millis, limit: int) -> list[tuple[str, str, int]]:
    """(variant, reason, count) of degraded cards since this time (ms), most frequent first."""
    count = sa.func.count().label("row_count")
    rows = connection.execute(
        sa.select(deliveries.c.variant, deliveries.c.degraded_reason, count)
        .where(deliveries.c.degraded_reason.is_not(None), deliveries.c.updated_at >= since)
        .group_by(deliveries.c.variant, deliveries.c.degraded_reason)
        .order_by(count.desc())
        .limit(limit)
    )
    return [(row.variant, row.degraded_reason, row.row_count) for row in rows]

"""Card updates: posted cards that do not show the newest state yet.

A row counts update requests and holds no content. The card is rendered when the update is sent, so that many
requests become one update.
"""

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import OPEN_STATES, DeliveryState
from notifier.domain.route import REFERRER
from notifier.domain.withdrawal import CARD_LIVES_MS, WithdrawalState
from notifier.store.engine.sql import insert_into
from notifier.store.schema.tables import buttons, card_updates, deliveries, withdrawals

UPDATE_DELAY_MS = 700
"""Feishu reverts an update that arrives before the client shows the response to a press. 500 ms are recommended."""
OFFER_DELAY_MS = 3_000
"""After a change of the balance the cards that offer it wait this long: a newer card is usually on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardUpdate:
    """A due update. requested_version: the version that it applies. attempts: failed attempts for it."""

    delivery_id: int
    message_id: str
    requested_version: int
    attempts: int


def request_updates(connection: Connection, order_ids: Collection[str], *, now: Millis) -> None:
    """Request an update of all cards that offer or show one of these withdrawals and can still be updated.

    Feishu updates cards for 14 days (CARD_LIVES_MS). The update is due after UPDATE_DELAY_MS.
    """
    found = connection.execute(
        _SHOWING_ORDERS, {"order_ids": sorted(order_ids), "since": now - CARD_LIVES_MS}
    ).scalars()
    _request(connection, sorted(set(found)), due_at=now + UPDATE_DELAY_MS)


_can_be_updated = sa.or_(
    deliveries.c.state != DeliveryState.SENT, deliveries.c.updated_at > sa.bindparam("since")
)
_order_ids: sa.BindParameter[str] = sa.bindparam("order_ids", expanding=True)
_SHOWING_ORDERS = sa.union(
    sa.select(deliveries.c.id)
    .join(buttons, buttons.c.delivery_id == deliveries.c.id)
    .join(
        withdrawals,
        sa.and_(
            withdrawals.c.account_ref == buttons.c.account_ref,
            withdrawals.c.withdrawal_count == buttons.c.withdrawal_count,
        ),
    )
    .where(withdrawals.c.order_id.in_(_order_ids), _can_be_updated),
    sa.select(deliveries.c.id).where(deliveries.c.order_id.in_(_order_ids), _can_be_updated),
)


def request_offer_updates(connection: Connection, account_refs: Collection[int], *, now: Millis) -> None:
    """Request an update of the newest card in each chat that offers the balance of one of these accounts.

    A digest is left out: it lists the balances of its own moment, and a press is judged by those.
    """
    if not account_refs:
        return
    found = connection.execute(
        _NEWEST_OFFERS, {"refs": sorted(account_refs), "since": now - CARD_LIVES_MS}
    ).scalars()
    _request(connection, sorted(set(found)), due_at=now + OFFER_DELAY_MS)


_withdrawn = (
    sa.select(sa.func.count())
    .where(
        withdrawals.c.account_ref == buttons.c.account_ref,
        withdrawals.c.state == WithdrawalState.WITHDRAWN,
    )
    .correlate(buttons)
    .scalar_subquery()
)
_NEWEST_OFFERS = (
    sa.select(sa.func.max(deliveries.c.id))
    .select_from(buttons)
    .join(deliveries, deliveries.c.id == buttons.c.delivery_id)
    .where(
        buttons.c.account_ref.in_(sa.bindparam("refs", expanding=True)),
        buttons.c.withdrawal_count >= _withdrawn,
        deliveries.c.account_ref.is_not(None),
        deliveries.c.state == DeliveryState.SENT,
        deliveries.c.updated_at > sa.bindparam("since"),
    )
    .group_by(buttons.c.account_ref, deliveries.c.receive_id_type, deliveries.c.receive_id)
)


def request_card_updates(
    connection: Connection, delivery_ids: Sequence[int], *, now: Millis, delay_ms: int = UPDATE_DELAY_MS
) -> None:
    """Request an update of these cards, due after `delay_ms` milliseconds."""
    _request(connection, delivery_ids, due_at=now + delay_ms)


def _request(connection: Connection, delivery_ids: Sequence[int], *, due_at: Millis) -> None:
    if not delivery_ids:
        return
    rows = [{"delivery_id": each, "requested_version": 1, "due_at": due_at} for each in delivery_ids]
    connection.execute(_request_statement(connection.dialect.name), rows)


@functools.cache
def _request_statement(dialect: str) -> sa.Insert:
    """A pending update keeps its due time. Otherwise frequent requests would delay it without end."""
    stored, new = card_updates.c, insert_into(dialect, card_updates).excluded
    is_pending = sa.and_(stored.applied_version < stored.requested_version, stored.due_at < new.due_at)
    return insert_into(dialect, card_updates).on_conflict_do_update(
        index_elements=["delivery_id"],
        set_={
            "requested_version": stored.requested_version + 1,
            "attempts": 0,
            "due_at": sa.case((is_pending, stored.due_at), else_=new.due_at),
        },
    )


_is_pending = sa.and_(
    card_updates.c.applied_version < card_updates.c.requested_version,
    card_updates.c.abandoned_reason.is_(None),
)
"""Condition of a partial index."""
_LIST_DUE = (
    sa.select(
        card_updates.c.delivery_id,
        deliveries.c.message_id,
        card_updates.c.requested_version,
        card_updates.c.attempts,
    )
    .join(deliveries, deliveries.c.id == card_updates.c.delivery_id)
    .where(
        _is_pending,
        card_updates.c.due_at <= sa.bindparam("now"),
        card_updates.c.delivery_id.not_in(sa.bindparam("in_flight", expanding=True)),
        deliveries.c.message_id.is_not(None),
    )
    .order_by(card_updates.c.due_at, card_updates.c.delivery_id)
    .limit(sa.bindparam("limit"))
)


def list_expired_targets(
    connection: Connection, account_ref: int, *, withdrawal_count: int, order_id: str, now: Millis
) -> list[str]:
    """Groups whose cards about this withdrawal are all too old to update. They need a new message."""
    touched = sa.case((deliveries.c.state == DeliveryState.SENT, deliveries.c.updated_at), else_=now)
    return list(
        connection.execute(
            sa.select(deliveries.c.target)
            .where(
                _shows_withdrawal(account_ref, withdrawal_count, order_id),
                deliveries.c.target != REFERRER,
                deliveries.c.state.in_((*OPEN_STATES, DeliveryState.SENT)),
            )
            .group_by(deliveries.c.target)
            .having(sa.func.max(touched) <= now - CARD_LIVES_MS)
            .order_by(deliveries.c.target)
        ).scalars()
    )


def _shows_withdrawal(account_ref: int, withdrawal_count: int, order_id: str) -> sa.ColumnElement[bool]:
    offered = sa.select(buttons.c.delivery_id).where(
        buttons.c.account_ref == account_ref, buttons.c.withdrawal_count == withdrawal_count
    )
    return sa.or_(deliveries.c.id.in_(offered), deliveries.c.order_id == order_id)


_REPEAT = (
    sa.update(card_updates)
    .where(card_updates.c.delivery_id == sa.bindparam("shown_id"))
    .values(requested_version=card_updates.c.requested_version + 1, due_at=sa.bindparam("new_due_at"))
)


def request_repeats(connection: Connection, shown: Sequence[tuple[int, Millis]]) -> Sequence[None]:
    """Batch job: request the last update of these deliveries' cards again, because they were shown at these times.

    A card without an update request is not changed.
    """
    rows = [{"shown_id": delivery_id, "new_due_at": at + UPDATE_DELAY_MS} for delivery_id, at in shown]
    connection.execute(_REPEAT, rows)
    return [None] * len(shown)


def list_due(
    connection: Connection, *, now: Millis, limit: int, in_flight_ids: Collection[int]
) -> list[CardUpdate]:
    """Due updates of sent cards, longest wait first. in_flight_ids: deliveries whose update is running."""
    rows = connection.execute(
        _LIST_DUE, {"now": now, "limit": max(limit, 0), "in_flight": sorted(in_flight_ids)}
    )
    return [CardUpdate(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


_MARK_APPLIED = (
    sa.update(card_updates)
    .where(card_updates.c.delivery_id == sa.bindparam("updated_id"))
    .where(card_updates.c.applied_version < sa.bindparam("version"))
    .values(applied_version=sa.bindparam("version"), attempts=0, last_error=None)
)


def mark_applied(connection: Connection, updates: Sequence[CardUpdate]) -> Sequence[None]:
    """Batch job: store successful updates. A request that arrived during the call stays pending.

    The result of an older update changes nothing.
    """
    connection.execute(
        _MARK_APPLIED,
        [{"updated_id": each.delivery_id, "version": each.requested_version} for each in updates],
    )
    return [None] * len(updates)


def postpone(connection: Connection, update: CardUpdate, *, due_at: Millis, reason: str) -> None:
    """Store a failed attempt, unless this version was applied meanwhile. due_at: when to repeat it, in ms."""
    connection.execute(
        sa.update(card_updates)
        .where(
            card_updates.c.delivery_id == update.delivery_id,
            card_updates.c.applied_version < update.requested_version,
        )
        .values(due_at=due_at, attempts=card_updates.c.attempts + 1, last_error=reason)
    )


def abandon(connection: Connection, update: CardUpdate, *, reason: str) -> None:
    """Give up updates of this card, because its message is too old, recalled or from another app."""
    connection.execute(
        sa.update(card_updates)
        .where(
            card_updates.c.delivery_id == update.delivery_id,
            card_updates.c.applied_version < update.requested_version,
        )
        .values(abandoned_reason=reason)
    )


def count_pending(connection: Connection) -> int:
    """Number of sent cards with a pending update."""
    return connection.execute(
        sa.select(sa.func.count())
        .select_from(card_updates.join(deliveries, deliveries.c.id == card_updates.c.delivery_id))
        .where(
            card_updates.c.applied_version < card_updates.c.requested_version,
            card_updates.c.abandoned_reason.is_(None),
            deliveries.c.message_id.is_not(None),
        )
    ).scalar_one()

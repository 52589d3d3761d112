"""Superseded cards: of the cards in one chat, only the newest offers a balance or shows a withdrawal.

A card is newer if its delivery was created later and Feishu accepted it. A plain text does not count: it has no
button and cannot be updated. Neither does a card that Feishu no longer updates, such as a recalled one.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import CardVariant, DeliveryState
from notifier.store import card_updates
from notifier.store.schema.tables import buttons, deliveries, withdrawals
from notifier.store.schema.tables import card_updates as card_updates_table

SUPERSEDED_DELAY_MS = 3_000
"""An update of a superseded card waits this long, so that one update covers the new balance and the new card."""

_SqlRow = sa.Row[*tuple[Any, ...]]


def is_account_shown_later(
    connection: Connection, delivery: _SqlRow, withdrawal_count: int, *, order_id: str | None
) -> bool:
    """Whether a newer card in the chat of this delivery offers the balance, or shows the withdrawal `order_id`.

    withdrawal_count: of the newest button on the card. order_id: the withdrawal that the card shows; None: it offers
    the balance.
    """
    newer = _newer_cards(delivery)
    if order_id is None:
        return _any(connection, newer.where(deliveries.c.id.in_(_offering(delivery, withdrawal_count))))
    if _any(connection, newer.where(deliveries.c.order_id == order_id)):
        return True
    offers_more = deliveries.c.id.in_(_offering(delivery, withdrawal_count + 1))
    return _any(
        connection,
        newer.where(deliveries.c.id.in_(_offering(delivery, withdrawal_count)), sa.not_(offers_more)),
    )


def is_order_shown_later(connection: Connection, delivery: _SqlRow, order_id: str) -> bool:
    """Whether a newer message in the chat of this delivery is about the same order."""
    return _any(connection, _newer_cards(delivery).where(deliveries.c.order_id == order_id))


def list_accounts_shown_later(connection: Connection, delivery_id: int) -> frozenset[int]:
    """The accounts of a digest card that a newer card in the same chat offers, as accounts.id."""
    delivery = connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id)).one()
    own = sa.select(buttons.c.account_ref).where(buttons.c.delivery_id == delivery_id)
    query = (
        sa.select(buttons.c.account_ref)
        .join(deliveries, deliveries.c.id == buttons.c.delivery_id)
        .where(buttons.c.account_ref.in_(own), *_is_newer(delivery))
        .distinct()
    )
    return frozenset(connection.execute(query).scalars())


def request_updates_of_superseded(connection: Connection, delivery_id: int, *, now: Millis) -> None:
    """After a card was sent: request an update of the cards before it that it supersedes."""
    sent = connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id)).one()
    newest_before = sa.func.max(deliveries.c.id)
    is_before = (
        deliveries.c.receive_id == sent.receive_id,
        deliveries.c.receive_id_type == sent.receive_id_type,
        deliveries.c.id < sent.id,
        deliveries.c.state == DeliveryState.SENT,
    )
    with_button = (
        sa.select(newest_before)
        .join(buttons, buttons.c.delivery_id == deliveries.c.id)
        .where(*is_before)
        .group_by(buttons.c.account_ref)
    )
    if sent.order_id is None:
        own = sa.select(buttons.c.account_ref).where(buttons.c.delivery_id == sent.id)
        queries = [with_button.where(buttons.c.account_ref.in_(own))]
    else:
        order = connection.execute(
            sa.select(withdrawals.c.account_ref, withdrawals.c.withdrawal_count).where(
                withdrawals.c.order_id == sent.order_id
            )
        ).one()
        queries = [
            sa.select(newest_before).where(*is_before, deliveries.c.order_id == sent.order_id),
            with_button.where(
                buttons.c.account_ref == order.account_ref,
                buttons.c.withdrawal_count == order.withdrawal_count,
            ),
        ]
    found = {each for query in queries for each in connection.execute(query).scalars() if each is not None}
    for each in sorted(found):
        card_updates.request_update(connection, each, now=now, delay_ms=SUPERSEDED_DELAY_MS)


def _newer_cards(delivery: _SqlRow) -> sa.Select[*tuple[Any, ...]]:
    return sa.select(deliveries.c.id).where(*_is_newer(delivery))


def _is_newer(delivery: _SqlRow) -> tuple[sa.ColumnElement[bool], ...]:
    abandoned = sa.select(card_updates_table.c.delivery_id).where(
        card_updates_table.c.delivery_id == deliveries.c.id,
        card_updates_table.c.abandoned_reason.is_not(None),
    )
    return (
        deliveries.c.receive_id == delivery.receive_id,
        deliveries.c.receive_id_type == delivery.receive_id_type,
        deliveries.c.id > delivery.id,
        deliveries.c.state == DeliveryState.SENT,
        deliveries.c.variant != CardVariant.TEXT,
        ~abandoned.exists(),
    )


def _offering(delivery: _SqlRow, withdrawal_count: int) -> sa.Select[*tuple[Any, ...]]:
    """Cards with a button for the account, rendered after at least so many withdrawals."""
    return sa.select(buttons.c.delivery_id).where(
        buttons.c.account_ref == delivery.account_ref, buttons.c.withdrawal_count >= withdrawal_count
    )


def _any(connection: Connection, query: sa.Select[*tuple[Any, ...]]) -> bool:
    return connection.execute(query.limit(1)).first() is not None

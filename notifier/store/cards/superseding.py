"""Superseded cards: of the cards in one chat, only the newest offers a balance or shows a withdrawal.

A card is newer if its delivery was created later and Feishu accepted it. A plain text does not count: it has no
button and cannot be updated. Neither does a card that Feishu no longer updates, such as a recalled one.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import CardVariant, DeliveryState
from notifier.store import card_updates
from notifier.store.schema.tables import buttons, deliveries, withdrawals
from notifier.store.schema.tables import card_updates as card_updates_table

SUPERSEDED_DELAY_MS = 3_000
"""An update of a superseded card waits this long, so that one update covers the new balance and the new card."""


class ShownCard(NamedTuple):
    """What the withdrawal part of a card shows."""

    delivery_id: int
    withdrawal_count: int
    """Of the newest button on the card; -1: the card is a message about an order and has none."""
    order_id: str | None
    """The withdrawal that the card shows; None: it offers the balance."""


def find_superseded(connection: Connection, cards: Sequence[ShownCard]) -> set[int]:
    """Which of these cards a newer card in the same chat supersedes, by delivery.

    A newer card supersedes an offer if it offers the balance after as many withdrawals or more. It supersedes a card
    that shows a withdrawal if it is about the same order, or if it offered the balance that was withdrawn.
    """
    if not cards:
        return set()
    ids = [card.delivery_id for card in cards]
    counts: dict[int, list[int]] = {}
    for row in connection.execute(_NEWER_OFFERS, {"ids": ids}):
        counts.setdefault(row.id, []).append(row.withdrawal_count)
    order_ids = sorted({card.order_id for card in cards if card.order_id is not None})
    newer_orders: set[tuple[int, str | None]] = set()
    if order_ids:
        found = connection.execute(_NEWER_ORDERS, {"ids": ids, "order_ids": order_ids})
        newer_orders = {(row.id, row.order_id) for row in found}
    return {card.delivery_id for card in cards if _is_superseded(card, counts, newer_orders)}


def _is_superseded(
    card: ShownCard, counts: Mapping[int, Sequence[int]], newer_orders: Collection[tuple[int, str | None]]
) -> bool:
    """counts: of the newest button on each newer card about the account, by delivery. newer_orders: the orders of newer
    cards, with the delivery that they are newer than.
    """
    newer_counts = counts.get(card.delivery_id, ())
    if card.order_id is None:
        return any(count >= card.withdrawal_count for count in newer_counts)
    return (card.delivery_id, card.order_id) in newer_orders or card.withdrawal_count in newer_counts


def list_accounts_shown_later(connection: Connection, delivery_id: int) -> frozenset[int]:
    """The accounts of a digest card that a newer card in the same chat offers, as accounts.id."""
    return frozenset(connection.execute(_SHOWN_LATER, {"ids": [delivery_id]}).scalars())


_sent, _older, _button = deliveries.alias("sent"), deliveries.alias("older"), buttons.alias("older_button")
_own_button, _order = buttons.alias("own_button"), withdrawals.alias("order")
_is_older = (
    _older.c.receive_id == _sent.c.receive_id,
    _older.c.receive_id_type == _sent.c.receive_id_type,
    _older.c.id < _sent.c.id,
    _older.c.state == DeliveryState.SENT,
    _sent.c.id.in_(sa.bindparam("sent_ids", expanding=True)),
)
_newest_older = sa.func.max(_older.c.id)
_SUPERSEDED = sa.union(
    # The newest card before it that offers an account which it offers too.
    sa.select(_newest_older)
    .select_from(_sent)
    .join(_own_button, _own_button.c.delivery_id == _sent.c.id)
    .join(_button, _button.c.account_ref == _own_button.c.account_ref)
    .join(_older, _older.c.id == _button.c.delivery_id)
    .where(_sent.c.order_id.is_(None), *_is_older)
    .group_by(_sent.c.id, _own_button.c.account_ref),
    # The newest message before it about its withdrawal.
    sa.select(_newest_older)
    .select_from(_sent)
    .join(_older, _older.c.order_id == _sent.c.order_id)
    .where(_sent.c.order_id.is_not(None), *_is_older)
    .group_by(_sent.c.id),
    # The newest card before it that offered what was withdrawn.
    sa.select(_newest_older)
    .select_from(_sent)
    .join(_order, _order.c.order_id == _sent.c.order_id)
    .join(
        _button,
        sa.and_(
            _button.c.account_ref == _order.c.account_ref,
            _button.c.withdrawal_count == _order.c.withdrawal_count,
        ),
    )
    .join(_older, _older.c.id == _button.c.delivery_id)
    .where(*_is_older)
    .group_by(_sent.c.id),
)


def request_updates_of_superseded(
    connection: Connection, delivery_ids: Sequence[int], *, now: Millis
) -> None:
    """After cards were sent: request an update of the cards before them that they supersede."""
    if not delivery_ids:
        return
    found = connection.execute(_SUPERSEDED, {"sent_ids": delivery_ids}).scalars()
    card_updates.request_card_updates(connection, sorted(found), now=now, delay_ms=SUPERSEDED_DELAY_MS)


def _is_newer(newer: sa.FromClause, own: sa.FromClause) -> tuple[sa.ColumnElement[bool], ...]:
    abandoned = sa.select(card_updates_table.c.delivery_id).where(
        card_updates_table.c.delivery_id == newer.c.id,
        card_updates_table.c.abandoned_reason.is_not(None),
    )
    return (
        newer.c.receive_id == own.c.receive_id,
        newer.c.receive_id_type == own.c.receive_id_type,
        newer.c.id > own.c.id,
        newer.c.state == DeliveryState.SENT,
        newer.c.variant != CardVariant.TEXT,
        ~abandoned.exists(),
    )


_own, _newer = deliveries.alias("own"), deliveries.alias("newer")
_is_own = _own.c.id.in_(sa.bindparam("ids", expanding=True))
_NEWER_OFFERS = (
    sa.select(_own.c.id, sa.func.max(buttons.c.withdrawal_count).label("withdrawal_count"))
    .select_from(_own)
    .join(buttons, sa.and_(buttons.c.account_ref == _own.c.account_ref, buttons.c.delivery_id > _own.c.id))
    .join(_newer, _newer.c.id == buttons.c.delivery_id)
    .where(_is_own, *_is_newer(_newer, _own))
    .group_by(_own.c.id, _newer.c.id)
)
_NEWER_ORDERS = (
    sa.select(_own.c.id, _newer.c.order_id)
    .select_from(_own)
    .join(_newer, _newer.c.order_id.in_(sa.bindparam("order_ids", expanding=True)))
    .where(_is_own, *_is_newer(_newer, _own))
)
_panel_button = buttons.alias("panel_button")
_SHOWN_LATER = (
    sa.select(buttons.c.account_ref)
    .select_from(_own)
    .join(_panel_button, _panel_button.c.delivery_id == _own.c.id)
    .join(buttons, buttons.c.account_ref == _panel_button.c.account_ref)
    .join(_newer, _newer.c.id == buttons.c.delivery_id)
    .where(_is_own, *_is_newer(_newer, _own))
    .distinct()
)

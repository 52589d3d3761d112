"""Buttons: what the opaque id on a card stands for. One per card and epoch, however often the card is drawn."""

import secrets

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import DeliveryState
from notifier.domain.route import AddressBook
from notifier.domain.withdrawal import Button
from notifier.store import accounts
from notifier.store.database import insert_ignoring
from notifier.store.tables import accounts as accounts_table
from notifier.store.tables import buttons, deliveries

DEACTIVATED_FOR_MS = 5 * 60_000
"""For so long we take Feishu's word; then a click may ask again, as nobody tells us when it is enabled."""


def draw(connection: Connection, *, delivery_id: int, account_ref: int, epoch: int, now: Millis) -> str:
    """The id for this card's button at this epoch; the same one for every drawing."""
    insert_ignoring(
        connection,
        buttons,
        [
            {
                "ref": secrets.token_hex(16),
                "delivery_id": delivery_id,
                "account_ref": account_ref,
                "epoch": epoch,
                "drawn_at": now,
            }
        ],
    )
    return connection.execute(
        sa.select(buttons.c.ref).where(buttons.c.delivery_id == delivery_id, buttons.c.epoch == epoch)
    ).scalar_one()


def _lately(at: Millis | None, now: Millis) -> bool:
    return at is not None and now - at < DEACTIVATED_FOR_MS


def find(connection: Connection, ref: str, *, book: AddressBook, now: Millis) -> Button | None:
    """None when we never drew it."""
    row = connection.execute(
        sa.select(
            buttons,
            deliveries.c.message_id,
            deliveries.c.state,
            deliveries.c.updated_at,
            deliveries.c.receive_id_type,
            deliveries.c.receive_id,
            accounts_table.c.deactivated_at,
        )
        .join(deliveries, deliveries.c.id == buttons.c.delivery_id)
        .join(accounts_table, accounts_table.c.id == buttons.c.account_ref)
        .where(buttons.c.ref == ref)
    ).first()
    if row is None:
        return None
    return Button(
        ref=row.ref,
        delivery_id=row.delivery_id,
        account_ref=row.account_ref,
        account=accounts.key_of(connection, row.account_ref),
        epoch=row.epoch,
        hung_at=row.updated_at if row.state == DeliveryState.SENT else row.drawn_at,
        message_id=row.message_id,
        group=book.group_at(row.receive_id) if row.receive_id_type == "chat_id" else None,
        owner=accounts.ownership(connection, row.account_ref),
        active=False if _lately(row.deactivated_at, now) else None,
    )

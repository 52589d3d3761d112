"""Buttons: what the opaque id on a card stands for. One per card and epoch, however often the card is drawn."""

import secrets
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import CardVariant, DeliveryState
from notifier.domain.event import AccountKey
from notifier.domain.route import AddressBook
from notifier.domain.withdrawal import Button
from notifier.store import accounts
from notifier.store.engine.sql import insert_or_ignore
from notifier.store.schema.tables import accounts as accounts_table
from notifier.store.schema.tables import buttons, deliveries

DEACTIVATED_CACHE_MS = 5 * 60_000
"""For so long we take Feishu's word; then a click may ask again, as nobody tells us when it is enabled."""


def ensure_button(
    connection: Connection, *, delivery_id: int, account_ref: int, withdrawal_count: int, now: Millis
) -> str:
    """The id for this card's button at this epoch; the same one for every drawing."""
    insert_or_ignore(
        connection,
        buttons,
        [
            {
                "ref": secrets.token_hex(16),
                "delivery_id": delivery_id,
                "account_ref": account_ref,
                "withdrawal_count": withdrawal_count,
                "created_at": now,
            }
        ],
    )
    return connection.execute(
        sa.select(buttons.c.ref).where(
            buttons.c.delivery_id == delivery_id,
            buttons.c.account_ref == account_ref,
            buttons.c.withdrawal_count == withdrawal_count,
        )
    ).scalar_one()


def _is_recent(at: Millis | None, now: Millis) -> bool:
    return at is not None and now - at < DEACTIVATED_CACHE_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class PressedButton:
    """A button with the card it hangs on. reported_at: when Feishu stamped the newest balance we know. is_digest:
    the card is a digest's.
    """

    button: Button
    target: str
    variant: CardVariant
    reroute_reason: str | None
    reported_at: Millis | None
    is_digest: bool = False


def find_button(connection: Connection, ref: str, *, address_book: AddressBook, now: Millis) -> Button | None:
    """None when we never drew it."""
    found = load_pressed_button(connection, ref, address_book=address_book, now=now)
    return found.button if found else None


def load_pressed_button(
    connection: Connection, ref: str, *, address_book: AddressBook, now: Millis
) -> PressedButton | None:
    """In one look, as a person waits for it. None when we never drew it."""
    row = connection.execute(
        sa.select(
            buttons,
            deliveries.c.target,
            deliveries.c.variant,
            deliveries.c.run_id,
            deliveries.c.reroute_reason,
            deliveries.c.message_id,
            deliveries.c.state,
            deliveries.c.updated_at,
            deliveries.c.receive_id_type,
            deliveries.c.receive_id,
            *(column for column in accounts_table.c if column.name != "id"),
        )
        .join(deliveries, deliveries.c.id == buttons.c.delivery_id)
        .join(accounts_table, accounts_table.c.id == buttons.c.account_ref)
        .where(buttons.c.ref == ref)
    ).first()
    if row is None:
        return None
    button = Button(
        button_ref=row.ref,
        delivery_id=row.delivery_id,
        account_ref=row.account_ref,
        account=AccountKey(tenant_key=row.tenant_key, app_id=row.app_id, account_id=row.account_id),
        withdrawal_count=row.withdrawal_count,
        posted_at=row.updated_at if row.state == DeliveryState.SENT else row.created_at,
        message_id=row.message_id,
        group=address_book.group_at(row.receive_id) if row.receive_id_type == "chat_id" else None,
        ownership=accounts.parse_ownership(row),
        is_active=False if _is_recent(row.deactivated_at, now) else None,
    )
    return PressedButton(
        button=button,
        target=row.target,
        variant=CardVariant(row.variant),
        reroute_reason=row.reroute_reason,
        reported_at=row.modified_at,
        is_digest=row.run_id is not None,
    )

"""Withdraw buttons: opaque ids on cards. One per card, account, withdrawal count and offered amounts."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import MINUTE_MS, Millis
from notifier.domain.delivery import OPEN_STATES, CardVariant, DeliveryState
from notifier.domain.event import AccountKey
from notifier.domain.ledger import content_of, read_content
from notifier.domain.money import Amounts
from notifier.domain.preferences.choices import CardLanguage
from notifier.domain.route import AddressBook
from notifier.domain.withdrawal import Button
from notifier.store import accounts
from notifier.store.engine.sql import upsert_returning
from notifier.store.schema.tables import accounts as accounts_table
from notifier.store.schema.tables import buttons, deliveries, preferences

_KEY = ("delivery_id", "account_ref", "withdrawal_count", "amounts")

DEACTIVATED_CACHE_MS = 5 * MINUTE_MS
"""How long a deactivation is trusted. After it a press calls Feishu again: no event reports a reactivation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a button offers."""

    delivery_id: int
    """Delivery of the card."""
    account_ref: int
    """Row id of the account."""
    withdrawal_count: int
    """Number of completed withdrawals of the account."""
    amounts: Amounts
    """The amounts to withdraw."""


def ensure_buttons(connection: Connection, offers: Sequence[Offer], *, now: Millis) -> list[str]:
    """The refs of the buttons with these offers, in order. An offer that exists keeps its ref."""
    if not offers:
        return []
    keys = [
        (each.delivery_id, each.account_ref, each.withdrawal_count, content_of(each.amounts))
        for each in offers
    ]
    rows = [
        {"ref": secrets.token_hex(16), "offered_at": now, **dict(zip(_KEY, key, strict=True))} for key in keys
    ]
    stored = upsert_returning(connection, buttons, rows, key=_KEY, update=["offered_at"])
    refs = {(row.delivery_id, row.account_ref, row.withdrawal_count, row.amounts): row.ref for row in stored}
    return [refs[key] for key in keys]


def ensure_button(
    connection: Connection,
    *,
    delivery_id: int,
    account_ref: int,
    withdrawal_count: int,
    amounts: Amounts,
    now: Millis,
) -> str:
    """The ref of the card's button that offers these amounts. Every rendering with these amounts gets the same one."""
    offer = Offer(
        delivery_id=delivery_id, account_ref=account_ref, withdrawal_count=withdrawal_count, amounts=amounts
    )
    return ensure_buttons(connection, [offer], now=now)[0]


def _is_recent(at: Millis | None, now: Millis) -> bool:
    return at is not None and now - at < DEACTIVATED_CACHE_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class PressedButton:
    """A button with its card."""

    button: Button
    """The button."""
    target: str
    """`referrer` or a group name."""
    variant: CardVariant
    """Variant of the posted card."""
    reroute_reason: str | None
    """Why the fallback group received the card; None if it is not rerouted."""
    reported_at: Millis | None
    """modified_at of the newest snapshot of the account; None if there is none."""
    is_digest: bool = False
    """Whether the card is a digest."""
    is_in_list: bool = False
    """Whether the card is a digest that lists several accounts."""
    is_correction: bool = False
    """Whether the card replaces an earlier one."""
    language: CardLanguage = CardLanguage.FEISHU
    """The language that the reader of the card chose."""
    is_answer: bool = False
    """Whether the card answers a question."""
    was_held: bool = False
    """Whether the card waited because of its reader's preferences."""


_LOAD_PRESSED = (
    sa.select(
        buttons,
        deliveries.c.target,
        deliveries.c.variant,
        deliveries.c.run_id,
        deliveries.c.corrects,
        deliveries.c.answer_id,
        deliveries.c.hold_reason,
        deliveries.c.account_ref.label("card_account_ref"),
        deliveries.c.reroute_reason,
        deliveries.c.message_id,
        deliveries.c.state,
        deliveries.c.updated_at,
        deliveries.c.receive_id_type,
        deliveries.c.receive_id,
        preferences.c.language,
        *(column for column in accounts_table.c if column.name != "id"),
    )
    .join(deliveries, deliveries.c.id == buttons.c.delivery_id)
    .join(accounts_table, accounts_table.c.id == buttons.c.account_ref)
    .outerjoin(preferences, preferences.c.open_id == deliveries.c.receive_id)
    .where(buttons.c.ref.in_(sa.bindparam("refs", expanding=True)))
)


def load_pressed_button(
    connection: Connection, ref: str, *, address_book: AddressBook, now: Millis
) -> PressedButton | None:
    """The button with its card. None if it does not exist."""
    return load_pressed_buttons(connection, [ref], address_book=address_book, now=now).get(ref)


def load_pressed_buttons(
    connection: Connection, refs: Collection[str], *, address_book: AddressBook, now: Millis
) -> dict[str, PressedButton]:
    """The buttons that exist of these, with their cards, by ref. One query, because users wait."""
    rows = connection.execute(_LOAD_PRESSED, {"refs": sorted(refs)}) if refs else ()
    return {row.ref: _to_pressed_button(row, address_book, now) for row in rows}


def _to_pressed_button(
    row: sa.Row[*tuple[Any, ...]], address_book: AddressBook, now: Millis
) -> PressedButton:
    button = Button(
        button_ref=row.ref,
        delivery_id=row.delivery_id,
        account_ref=row.account_ref,
        account=AccountKey(tenant_key=row.tenant_key, app_id=row.app_id, account_id=row.account_id),
        withdrawal_count=row.withdrawal_count,
        amounts=read_content(row.amounts),
        posted_at=row.updated_at if row.state == DeliveryState.SENT else row.offered_at,
        message_id=row.message_id,
        group=address_book.group_at(row.receive_id) if row.receive_id_type == "chat_id" else None,
        ownership=accounts.parse_ownership(row),
        is_unconfirmed=row.message_id is None and row.state in OPEN_STATES,
        is_active=False if _is_recent(row.deactivated_at, now) else None,
    )
    return PressedButton(
        button=button,
        target=row.target,
        variant=CardVariant(row.variant),
        reroute_reason=row.reroute_reason,
        reported_at=row.modified_at,
        is_digest=row.run_id is not None,
        is_in_list=row.card_account_ref is None,
        is_correction=row.corrects is not None,
        language=CardLanguage(row.language or CardLanguage.FEISHU),
        is_answer=row.answer_id is not None,
        was_held=row.hold_reason is not None,
    )

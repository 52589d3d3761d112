"""Card states: all data that a card shows, for the first rendering and for every update."""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.account import Ownership
from notifier.domain.card_state import CardState, PostedCard
from notifier.domain.delivery import CardVariant
from notifier.domain.digest import Digest
from notifier.domain.digest_panel import DigestPanel
from notifier.domain.route import REFERRER, AddressBook
from notifier.domain.withdrawal import WithdrawalState, WithdrawOffer, withdrawable
from notifier.store import accounts, notices, payouts, withdrawals
from notifier.store.cards import buttons, digest_panels, superseding
from notifier.store.cards.buttons import PressedButton
from notifier.store.digests import digest_runs
from notifier.store.schema.tables import buttons as buttons_table
from notifier.store.schema.tables import deliveries


def create_card_state(
    connection: Connection,
    *,
    delivery_id: int,
    account_ref: int,
    audience: str | None,
    withdraw_offer: WithdrawOffer,
    now: Millis,
) -> CardState | None:
    """The state of a card with a withdraw button; None if the offer does not include this audience.

    audience: `referrer` or a group name; None if unknown.
    """
    if audience is None or not withdraw_offer.targets:
        return None
    holdings = withdrawals.get_holdings(connection, account_ref)
    unfinished = withdrawals.find_unfinished(connection, account_ref)
    if unfinished is None and not withdraw_offer.is_for(audience, holdings):
        return None
    if unfinished is not None and audience not in withdraw_offer.targets:
        return None
    withdrawal_count = withdrawals.count_withdrawn(connection, account_ref)
    button_ref = buttons.ensure_button(
        connection,
        delivery_id=delivery_id,
        account_ref=account_ref,
        withdrawal_count=withdrawal_count,
        amounts=withdrawable(holdings, withdraw_offer.kinds),
        now=now,
    )
    return CardState(button_ref=button_ref, holdings=holdings, withdrawal=unfinished)


def load_order_card_state(connection: Connection, order_id: str) -> CardState:
    """The state of a card about one withdrawal. Raises LookupError if the order does not exist."""
    withdrawal = withdrawals.find_by_order(connection, order_id)
    if withdrawal is None:
        raise LookupError(f"no withdrawal {order_id}")
    payout = payouts.find_by_order(connection, order_id)
    return CardState(button_ref="", holdings={}, withdrawal=withdrawal, payout=payout)


def get_audience(target: str, receive_id_type: str, receive_id: str, address_book: AddressBook) -> str | None:
    """Who reads the card: `referrer` or a group name; None if unknown. A reroute is read by its group."""
    if receive_id_type == "chat_id":
        return address_book.group_at(receive_id)
    return REFERRER if target == REFERRER else None


def to_posted_card(connection: Connection, pressed: PressedButton, card_state: CardState) -> PostedCard:
    """The card of a pressed button, from data that the press has already loaded."""
    button = pressed.button
    return PostedCard(
        delivery_id=button.delivery_id,
        account_ref=button.account_ref,
        target=pressed.target,
        reroute_reason=pressed.reroute_reason,
        variant=pressed.variant,
        message_id=button.message_id,
        ownership=button.ownership,
        notices=tuple(notices.list_notices(connection, button.delivery_id, button.account)),
        card_state=card_state,
    )


def load_posted_card(
    connection: Connection,
    delivery_id: int,
    *,
    withdraw_offer: WithdrawOffer,
    address_book: AddressBook,
    renew_button: bool,
    now: Millis,
) -> PostedCard | None:
    """The card with its newest state and today's balance. None if it shows no withdrawal and never had a button.

    renew_button: offer the balance again on a card that shows a completed withdrawal.
    """
    row = connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id)).one()
    if row.account_ref is None:
        return _load_digest_card(connection, row, now=now)
    if row.order_id is None:
        audience = get_audience(row.target, row.receive_id_type, row.receive_id, address_book)
        offer = withdraw_offer if audience is not None else WithdrawOffer()
        card_state = _load_offer_card_state(
            connection, row, offer, audience or "", renew_button=renew_button, now=now
        )
    else:
        card_state = replace(
            load_order_card_state(connection, row.order_id),
            is_superseded=superseding.is_order_shown_later(connection, row, row.order_id),
        )
    if card_state is None:
        return None
    account = accounts.get_account_key(connection, row.account_ref)
    ownership = accounts.get_ownership(connection, row.account_ref)
    return PostedCard(
        delivery_id=delivery_id,
        account_ref=row.account_ref,
        target=row.target,
        reroute_reason=row.reroute_reason,
        variant=CardVariant(row.variant),
        message_id=row.message_id,
        ownership=ownership,
        notices=tuple(notices.list_notices(connection, delivery_id, account)),
        card_state=card_state,
        account=account,
        digest=digest_runs.load_content(connection, row.run_id) if row.run_id is not None else None,
        has_other_referrer=row.order_id is None
        and row.receive_id_type == "open_id"
        and _has_other_referrer(row.receive_id, ownership),
    )


def _load_digest_card(
    connection: Connection, row: sa.Row[*tuple[Any, ...]], *, now: Millis
) -> PostedCard | None:
    """The digest card; None if the delivery is the file of a digest."""
    if row.run_id is None or row.file_id is not None:
        return None
    digest = digest_runs.load_content(connection, row.run_id)
    return PostedCard(
        delivery_id=row.id,
        account_ref=None,
        target=row.target,
        reroute_reason=row.reroute_reason,
        variant=CardVariant(row.variant),
        message_id=row.message_id,
        ownership=None,
        notices=(),
        card_state=None,
        digest=digest,
        panel=digest_panels.get_panel(connection, row.id, digest, now=now),
    )


def create_panel(
    connection: Connection,
    delivery_id: int,
    digest: Digest,
    *,
    audience: str | None,
    withdraw_offer: WithdrawOffer,
    now: Millis,
) -> DigestPanel:
    """The withdraw panel of a digest, with buttons for the accounts that this audience may withdraw."""
    if digest.offers_withdrawal and audience is not None:
        wanted = [each for each in digest.holders if withdraw_offer.is_for(audience, each.amounts)]
        digest_panels.create_buttons(connection, delivery_id, wanted, kinds=withdraw_offer.kinds, now=now)
    return digest_panels.get_panel(connection, delivery_id, digest, now=now)


def _has_other_referrer(open_id: str, ownership: Ownership | None) -> bool:
    return ownership is not None and ownership.referrer is not None and ownership.referrer.open_id != open_id


def _load_offer_card_state(
    connection: Connection,
    row: sa.Row[*tuple[Any, ...]],
    offer: WithdrawOffer,
    audience: str,
    *,
    renew_button: bool,
    now: Millis,
) -> CardState | None:
    """The withdrawal with the withdrawal count of the card's newest button, or else the offer of today's balance.

    row: the delivery. offer: as its audience gets it.
    """
    withdrawal_count = connection.execute(
        sa.select(sa.func.max(buttons_table.c.withdrawal_count)).where(buttons_table.c.delivery_id == row.id)
    ).scalar()
    if withdrawal_count is None:
        return None
    if renew_button:
        withdrawal_count = withdrawals.count_withdrawn(connection, row.account_ref)
    withdrawal = withdrawals.find_newest(connection, row.account_ref, withdrawal_count)
    is_withdrawn = withdrawal is not None and withdrawal.state is WithdrawalState.WITHDRAWN
    is_superseded = superseding.is_account_shown_later(
        connection, row, withdrawal_count, order_id=withdrawal.order_id if withdrawal else None
    )
    holdings = withdrawals.get_holdings(connection, row.account_ref)
    button_ref = ""
    if not is_withdrawn and not is_superseded and offer.is_for(audience, holdings):
        button_ref = buttons.ensure_button(
            connection,
            delivery_id=row.id,
            account_ref=row.account_ref,
            withdrawal_count=withdrawal_count,
            amounts=withdrawable(holdings, offer.kinds),
            now=now,
        )
    return CardState(
        button_ref=button_ref,
        holdings=holdings,
        withdrawal=withdrawal,
        payout=payouts.find_by_order(connection, withdrawal.order_id)
        if withdrawal and is_withdrawn
        else None,
        is_superseded=is_superseded,
    )

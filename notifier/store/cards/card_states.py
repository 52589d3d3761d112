"""Faces: all that one card needs to be drawn, for its first sending and for every change after it."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.account import Ownership
from notifier.domain.card_state import Face, HungCard
from notifier.domain.delivery import Rung
from notifier.domain.digest import Digest
from notifier.domain.digest_panel import Board
from notifier.domain.route import REFERRER, AddressBook
from notifier.domain.withdrawal import Offer, WithdrawalState
from notifier.store import accounts, notices, payouts, withdrawals
from notifier.store.cards import buttons, digest_panels
from notifier.store.cards.buttons import Pressed
from notifier.store.digests import digest_runs
from notifier.store.schema.tables import buttons as buttons_table
from notifier.store.schema.tables import deliveries


def first_face(
    connection: Connection,
    *,
    delivery_id: int,
    account_ref: int,
    seen_by: str | None,
    offer: Offer,
    now: Millis,
) -> Face | None:
    """With a button where the offer says so; None for a card without one. seen_by: referrer or a group's name."""
    if seen_by is None or not offer.targets:
        return None
    holdings = withdrawals.holdings(connection, account_ref)
    unfinished = withdrawals.unfinished(connection, account_ref)
    if unfinished is None and not offer.is_for(seen_by, holdings):
        return None
    if unfinished is not None and seen_by not in offer.targets:
        return None
    epoch = withdrawals.epoch_of(connection, account_ref)
    ref = buttons.draw(connection, delivery_id=delivery_id, account_ref=account_ref, epoch=epoch, now=now)
    return Face(ref=ref, holdings=holdings, withdrawal=unfinished)


def order_face(connection: Connection, order_id: str) -> Face:
    """For a card that tells of one withdrawal. Raises LookupError when there is no such order."""
    withdrawal = withdrawals.by_order(connection, order_id)
    if withdrawal is None:
        raise LookupError(f"no withdrawal {order_id}")
    payout = payouts.of_order(connection, order_id)
    return Face(ref="", holdings={}, withdrawal=withdrawal, payout=payout)


def seen_by(target: str, receive_id_type: str, receive_id: str, book: AddressBook) -> str | None:
    """Who really reads a delivery: a rerouted one is read by the group it went to."""
    if receive_id_type == "chat_id":
        return book.group_at(receive_id)
    return REFERRER if target == REFERRER else None


def pressed_card(connection: Connection, pressed: Pressed, face: Face) -> HungCard:
    """The card whose button was pressed, from what the press has read already."""
    button = pressed.button
    return HungCard(
        delivery_id=button.delivery_id,
        account_ref=button.account_ref,
        target=pressed.target,
        reroute_reason=pressed.reroute_reason,
        rung=pressed.rung,
        message_id=button.message_id,
        owner=button.owner,
        told=tuple(notices.told_by(connection, button.delivery_id, button.account)),
        face=face,
    )


def hung_card(connection: Connection, delivery_id: int, *, redraw: bool, now: Millis) -> HungCard | None:
    """The card as it should look now. redraw: with a button for the present epoch, where the old one is stale.

    None when it neither tells of a withdrawal nor ever had a button.
    """
    row = connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id)).one()
    if row.account_ref is None:
        return _digest_card(connection, row, now=now)
    face = (
        _offering_face(connection, delivery_id, row.account_ref, redraw=redraw, now=now)
        if row.order_id is None
        else order_face(connection, row.order_id)
    )
    if face is None:
        return None
    account = accounts.key_of(connection, row.account_ref)
    owner = accounts.ownership(connection, row.account_ref)
    return HungCard(
        delivery_id=delivery_id,
        account_ref=row.account_ref,
        target=row.target,
        reroute_reason=row.reroute_reason,
        rung=Rung(row.rung),
        message_id=row.message_id,
        owner=owner,
        told=tuple(notices.told_by(connection, delivery_id, account)),
        face=face,
        account=account,
        digest=digest_runs.content_of(connection, row.run_id) if row.run_id is not None else None,
        is_anothers=row.order_id is None
        and row.receive_id_type == "open_id"
        and _is_anothers(row.receive_id, owner),
    )


def _digest_card(connection: Connection, row: sa.Row[*tuple[Any, ...]], *, now: Millis) -> HungCard | None:
    """None for what is no card: a digest's file."""
    if row.run_id is None or row.file_id is not None:
        return None
    digest = digest_runs.content_of(connection, row.run_id)
    return HungCard(
        delivery_id=row.id,
        account_ref=None,
        target=row.target,
        reroute_reason=row.reroute_reason,
        rung=Rung(row.rung),
        message_id=row.message_id,
        owner=None,
        told=(),
        face=None,
        digest=digest,
        board=digest_panels.board(connection, row.id, digest, now=now),
    )


def first_board(
    connection: Connection,
    delivery_id: int,
    digest: Digest,
    *,
    seen_by: str | None,
    offer: Offer,
    now: Millis,
) -> Board:
    """With buttons for the accounts that this group may act for."""
    if digest.offers and seen_by is not None:
        wanted = [each for each in digest.holders if offer.is_for(seen_by, each.amounts)]
        digest_panels.hang(connection, delivery_id, wanted, now=now)
    return digest_panels.board(connection, delivery_id, digest, now=now)


def _is_anothers(open_id: str, owner: Ownership | None) -> bool:
    return owner is not None and owner.referrer is not None and owner.referrer.open_id != open_id


def _offering_face(
    connection: Connection, delivery_id: int, account_ref: int, *, redraw: bool, now: Millis
) -> Face | None:
    drawn_for = connection.execute(
        sa.select(sa.func.max(buttons_table.c.epoch)).where(buttons_table.c.delivery_id == delivery_id)
    ).scalar()
    if drawn_for is None:
        return None
    epoch = withdrawals.epoch_of(connection, account_ref) if redraw else drawn_for
    ref = buttons.draw(connection, delivery_id=delivery_id, account_ref=account_ref, epoch=epoch, now=now)
    withdrawal = withdrawals.newest_of_epoch(connection, account_ref, epoch)
    over = withdrawal is not None and withdrawal.state is WithdrawalState.WITHDRAWN
    return Face(
        ref="" if over else ref,
        holdings=withdrawals.holdings(connection, account_ref),
        withdrawal=withdrawal,
        payout=payouts.of_order(connection, withdrawal.order_id) if withdrawal and over else None,
    )

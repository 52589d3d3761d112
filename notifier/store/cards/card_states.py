"""Card states: all data that a card shows, for the first rendering and for every update."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.account import Ownership
from notifier.domain.card_state import CardState, PostedCard, ReleasedBalance
from notifier.domain.delivery import CardVariant
from notifier.domain.digest import Digest
from notifier.domain.digest_panel import DigestPanel
from notifier.domain.money import Amounts
from notifier.domain.notice import Notice
from notifier.domain.preferences.choices import CardLanguage
from notifier.domain.preferences.holding import HoldRules
from notifier.domain.route import REFERRER, AddressBook
from notifier.domain.withdrawal import Withdrawal, WithdrawalState, WithdrawOffer, withdrawable
from notifier.store import accounts, ledger, notices, payouts, withdrawal_history, withdrawals
from notifier.store.accounts import StoredAccount
from notifier.store.answers.answers import load_answers
from notifier.store.cards import buttons, digest_panels, settings_cards, superseding
from notifier.store.cards.buttons import PressedButton
from notifier.store.cards.released_balances import load_released_balance
from notifier.store.digests import digest_runs
from notifier.store.schema.tables import buttons as buttons_table
from notifier.store.schema.tables import deliveries, preferences
from notifier.store.withdrawal_history import WithdrawalHistory

_SqlRow = sa.Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCard:
    """A card about one account that gets its first state. audience: `referrer` or a group name."""

    delivery_id: int
    account_ref: int
    audience: str


def create_card_states(
    connection: Connection,
    cards: Sequence[NewCard],
    stored: Mapping[int, StoredAccount],
    *,
    withdraw_offer: WithdrawOffer,
    now: Millis,
) -> dict[int, CardState]:
    """The states of new cards with a withdraw button, by delivery. Cards outside the offer are missing.

    The card of a deactivated account has no button, and says why. stored: the accounts of the cards, by row id.
    """
    if not cards or not withdraw_offer.targets:
        return {}
    accounts.lock_accounts(connection, sorted({card.account_ref for card in cards}))
    states = plan_card_states(connection, cards, stored, withdraw_offer=withdraw_offer)
    without_button = {
        offer.delivery_id: replace(state, is_deactivated=True)
        for offer, state in states
        if state.withdrawal is None and stored[offer.account_ref].is_deactivated
    }
    offers = [offer for offer, _ in states if offer.delivery_id not in without_button]
    button_refs = buttons.ensure_buttons(connection, offers, now=now)
    by_delivery = {offer.delivery_id: state for offer, state in states}
    with_button = {
        offer.delivery_id: replace(by_delivery[offer.delivery_id], button_ref=ref)
        for offer, ref in zip(offers, button_refs, strict=True)
    }
    return with_button | without_button


def plan_card_states(
    connection: Connection,
    cards: Sequence[NewCard],
    stored: Mapping[int, StoredAccount],
    *,
    withdraw_offer: WithdrawOffer,
) -> list[tuple[buttons.Offer, CardState]]:
    """What the buttons of new cards offer, and their states without the button. Only reads, and locks nothing.

    Cards outside the offer are missing. stored: as for create_card_states.
    """
    if not cards or not withdraw_offer.targets:
        return []
    refs = sorted({card.account_ref for card in cards})
    histories = withdrawal_history.load_histories(connection, {ref: stored[ref].key for ref in refs})
    all_holdings = _load_holdings(connection, stored, histories)
    states: list[tuple[buttons.Offer, CardState]] = []
    for card in cards:
        history = histories[card.account_ref]
        holdings = all_holdings[card.account_ref]
        unfinished = history.unfinished
        if not _shows_offer(withdraw_offer, card.audience, holdings, unfinished):
            continue
        offer = buttons.Offer(
            delivery_id=card.delivery_id,
            account_ref=card.account_ref,
            withdrawal_count=history.withdrawal_count,
            amounts=withdrawable(holdings, withdraw_offer.kinds),
        )
        states.append((offer, CardState(button_ref="", holdings=holdings, withdrawal=unfinished)))
    return states


def _shows_offer(
    withdraw_offer: WithdrawOffer, audience: str, holdings: Amounts, unfinished: Withdrawal | None
) -> bool:
    if unfinished is None:
        return withdraw_offer.is_for(audience, holdings)
    return audience in withdraw_offer.targets


def load_order_card_states(connection: Connection, order_ids: Collection[str]) -> dict[str, CardState]:
    """The states of cards about one withdrawal each, by order. Unknown orders are missing."""
    found = withdrawals.load_by_order(connection, order_ids)
    payouts_by_order = payouts.load_by_order(connection, list(found))
    return {
        order_id: CardState(
            button_ref="", holdings={}, withdrawal=withdrawal, payout=payouts_by_order.get(order_id)
        )
        for order_id, withdrawal in found.items()
    }


def load_order_card_state(connection: Connection, order_id: str) -> CardState:
    """The state of a card about one withdrawal. Raises LookupError if the order does not exist."""
    return load_order_card_states(connection, [order_id])[order_id]


def get_audience(target: str, receive_id_type: str, receive_id: str, address_book: AddressBook) -> str | None:
    """Who reads the card: `referrer` or a group name; None if unknown. A reroute is read by its group."""
    if receive_id_type == "chat_id":
        return address_book.group_at(receive_id)
    return REFERRER if target == REFERRER else None


def to_posted_card(
    pressed: PressedButton, card_state: CardState, card_notices: tuple[Notice, ...]
) -> PostedCard:
    """The card of a pressed button, from data that the press has already loaded. card_notices: of its delivery."""
    button = pressed.button
    return PostedCard(
        delivery_id=button.delivery_id,
        account_ref=button.account_ref,
        target=pressed.target,
        reroute_reason=pressed.reroute_reason,
        variant=pressed.variant,
        message_id=button.message_id,
        ownership=button.ownership,
        notices=card_notices,
        card_state=card_state,
        is_correction=pressed.is_correction,
        language=pressed.language,
    )


_LOAD_DELIVERIES = (
    sa.select(deliveries, preferences.c.language)
    .outerjoin(preferences, preferences.c.open_id == deliveries.c.receive_id)
    .where(deliveries.c.id.in_(sa.bindparam("ids", expanding=True)))
)


def load_posted_cards(
    connection: Connection,
    delivery_ids: Sequence[int],
    *,
    withdraw_offer: WithdrawOffer,
    address_book: AddressBook,
    hold_rules: HoldRules | None = None,
    renew_button: bool,
    now: Millis,
) -> dict[int, PostedCard]:
    """The cards with their newest states and today's balances, by delivery.

    A card that shows no withdrawal and never had a button is missing. renew_button: offer the balance again on cards
    that show a completed withdrawal. hold_rules: for settings cards; None for the defaults.
    """
    if not delivery_ids:
        return {}
    rows = connection.execute(_LOAD_DELIVERIES, {"ids": delivery_ids}).all()
    found = {
        row.id: card
        for row in rows
        if row.account_ref is None and (card := _load_digest_card(connection, row, now=now)) is not None
    }
    found |= settings_cards.load_cards(connection, rows, hold_rules or HoldRules())
    about_accounts = [row for row in rows if row.account_ref is not None]
    stored = accounts.load_accounts(connection, [row.account_ref for row in about_accounts])
    states = _load_card_states(
        connection, about_accounts, stored, withdraw_offer, address_book, renew_button=renew_button, now=now
    )
    notices_by_delivery = notices.load_notices(connection, list(states))
    shown = [row for row in about_accounts if row.id in states]
    digests = digest_runs.load_contents(connection, [row.run_id for row in shown if row.run_id is not None])
    found_answers = load_answers(connection, [row.answer_id for row in shown if row.answer_id is not None])
    for row in shown:
        account = stored[row.account_ref]
        row_notices = notices_by_delivery.get(row.id, ())
        found[row.id] = PostedCard(
            delivery_id=row.id,
            account_ref=row.account_ref,
            target=row.target,
            reroute_reason=row.reroute_reason,
            variant=CardVariant(row.variant),
            message_id=row.message_id,
            ownership=account.ownership,
            notices=row_notices,
            card_state=states[row.id],
            account=account.key,
            digest=digests.get(row.run_id),
            answer=found_answers.get(row.answer_id),
            is_correction=row.corrects is not None,
            has_other_referrer=row.order_id is None
            and row.receive_id_type == "open_id"
            and _has_other_referrer(row.receive_id, account.ownership),
            language=CardLanguage(row.language or CardLanguage.FEISHU),
            released=_load_released(connection, row, row_notices, account.ownership),
        )
    return found


def _load_released(
    connection: Connection, row: _SqlRow, shown: tuple[Notice, ...], ownership: Ownership | None
) -> ReleasedBalance | None:
    """The balance that a card shows whose notices waited; None: they did not, or another person may see it."""
    if row.hold_reason is None or row.run_id is not None or _has_other_referrer(row.receive_id, ownership):
        return None
    return load_released_balance(connection, row.account_ref, shown, released_at=row.created_at)


def _load_digest_card(connection: Connection, row: _SqlRow, *, now: Millis) -> PostedCard | None:
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
        is_correction=row.corrects is not None,
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


_NEWEST_COUNTS = (
    sa.select(
        buttons_table.c.delivery_id, sa.func.max(buttons_table.c.withdrawal_count).label("withdrawal_count")
    )
    .where(buttons_table.c.delivery_id.in_(sa.bindparam("ids", expanding=True)))
    .group_by(buttons_table.c.delivery_id)
)


def _load_card_states(
    connection: Connection,
    rows: Sequence[_SqlRow],
    stored: Mapping[int, StoredAccount],
    withdraw_offer: WithdrawOffer,
    address_book: AddressBook,
    *,
    renew_button: bool,
    now: Millis,
) -> dict[int, CardState]:
    """The newest states of cards about one account each, by delivery.

    A card with a button shows the withdrawal with the withdrawal count of its newest button, or else offers today's
    balance. A card that never had a button has no state.
    """
    orders = {row.id: row.order_id for row in rows if row.order_id is not None}
    counts = {}
    if len(orders) < len(rows):
        found = connection.execute(_NEWEST_COUNTS, {"ids": [row.id for row in rows if row.id not in orders]})
        counts = {row.delivery_id: row.withdrawal_count for row in found}
    offering = [row for row in rows if row.id in counts]
    accounts.lock_accounts(connection, {row.account_ref for row in offering})
    histories = withdrawal_history.load_histories(
        connection, {row.account_ref: stored[row.account_ref].key for row in offering}
    )
    if renew_button:
        counts = {row.id: histories[row.account_ref].withdrawal_count for row in offering}
    shown = {row.id: histories[row.account_ref].newest_of(counts[row.id]) for row in offering}
    superseded = _find_superseded(connection, orders, counts, shown)
    states = {
        each: replace(state, is_superseded=each in superseded)
        for each, state in _states_by_order(connection, orders).items()
    }
    payouts_by_order = payouts.load_by_order(
        connection, [each.order_id for each in shown.values() if each is not None and _is_withdrawn(each)]
    )
    holdings = _load_holdings(connection, stored, histories)
    offers: list[buttons.Offer] = []
    for row in offering:
        withdrawal, held = shown[row.id], holdings[row.account_ref]
        audience = get_audience(row.target, row.receive_id_type, row.receive_id, address_book)
        is_over = _is_withdrawn(withdrawal) or row.id in superseded
        if not is_over and audience is not None and withdraw_offer.is_for(audience, held):
            offer = buttons.Offer(
                delivery_id=row.id,
                account_ref=row.account_ref,
                withdrawal_count=counts[row.id],
                amounts=withdrawable(held, withdraw_offer.kinds),
            )
            offers.append(offer)
        states[row.id] = CardState(
            button_ref="",
            holdings=held,
            withdrawal=withdrawal,
            payout=payouts_by_order.get(withdrawal.order_id) if withdrawal else None,
            is_superseded=row.id in superseded,
        )
    for offer, ref in zip(offers, buttons.ensure_buttons(connection, offers, now=now), strict=True):
        states[offer.delivery_id] = replace(states[offer.delivery_id], button_ref=ref)
    return states


def _load_holdings(
    connection: Connection,
    stored: Mapping[int, StoredAccount],
    histories: Mapping[int, WithdrawalHistory],
) -> dict[int, Amounts]:
    """The balances of these accounts, without withdrawals that no balance report includes yet."""
    balances = ledger.load_balances(connection, sorted(histories))
    return {
        ref: withdrawal_history.compute_holdings(
            balances.get(ref, {}), reported_at=stored[ref].modified_at, not_in_ledger=history.not_in_ledger
        )
        for ref, history in histories.items()
    }


def _find_superseded(
    connection: Connection,
    orders: Mapping[int, str],
    counts: Mapping[int, int],
    shown: Mapping[int, Withdrawal | None],
) -> set[int]:
    about_orders = [superseding.ShownCard(each, -1, order_id) for each, order_id in orders.items()]
    about_offers = [
        superseding.ShownCard(each, counts[each], withdrawal.order_id if withdrawal else None)
        for each, withdrawal in shown.items()
    ]
    return superseding.find_superseded(connection, [*about_orders, *about_offers])


def _states_by_order(connection: Connection, orders: Mapping[int, str]) -> dict[int, CardState]:
    by_order = load_order_card_states(connection, set(orders.values()))
    return {each: by_order[order_id] for each, order_id in orders.items()}


def _is_withdrawn(withdrawal: Withdrawal | None) -> bool:
    return withdrawal is not None and withdrawal.state is WithdrawalState.WITHDRAWN

"""Judges presses and places withdrawal orders. Single, selected and batch presses share it."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.money import Amounts, Kind
from notifier.domain.withdrawal import PressOutcome, Role, Withdrawal, judge_press, withdrawable
from notifier.store import accounts, ledger, withdrawal_history, withdrawals
from notifier.store.cards.buttons import Offer, PressedButton
from notifier.store.withdrawal_history import WithdrawalHistory
from notifier.store.withdrawals import WithdrawalOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedOrder:
    """The outcome of an authorised press."""

    outcome: PressOutcome
    """BEGIN if the order was placed."""
    withdrawal: Withdrawal | None
    """The order that was placed, or else the unfinished one of the account."""
    withdrawal_count: int
    """Withdrawals of the account that succeeded before."""
    holdings: Amounts
    """The balance that the press was judged by."""
    available: Amounts
    """What could be withdrawn of it."""

    def offer_on(self, delivery_id: int, account_ref: int) -> Offer:
        """What a new button of this card offers for the account."""
        return Offer(
            delivery_id=delivery_id,
            account_ref=account_ref,
            withdrawal_count=self.withdrawal_count,
            amounts=self.available,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorisedPress:
    """A press of a person who may withdraw."""

    pressed: PressedButton
    """The button with its card."""
    role: Role
    """The role in which the press is authorised."""
    requested_by: str
    """open_id of the person who pressed."""
    click_key: str
    """The idempotency key of the press."""


def judge_and_order(
    connection: Connection,
    presses: Sequence[AuthorisedPress],
    *,
    kinds: Collection[Kind],
    now: Millis,
    wait_ms: int = 0,
) -> list[PlacedOrder]:
    """Judges authorised presses by local state, and stores an order where there is a balance to withdraw.

    The number of statements does not depend on the number of presses. A later press for the same account is judged
    after the earlier ones. now: Unix milliseconds. wait_ms: the delay before the first call.
    """
    placed: dict[int, PlacedOrder] = {}
    waiting = list(enumerate(presses))
    while waiting:
        first_of_account: dict[int, tuple[int, AuthorisedPress]] = {}
        for index, press in waiting:
            first_of_account.setdefault(press.pressed.button.account_ref, (index, press))
        chosen = list(first_of_account.values())
        judged = _judge_accounts(connection, [press for _, press in chosen], kinds, now, wait_ms)
        placed.update({index: each for (index, _), each in zip(chosen, judged, strict=True)})
        waiting = [(index, press) for index, press in waiting if index not in placed]
    return [placed[index] for index in range(len(presses))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """A press with its outcome, before an order is stored."""

    press: AuthorisedPress
    """The press."""
    outcome: PressOutcome
    """BEGIN: an order is to be stored."""
    history: WithdrawalHistory
    """The withdrawals of the account."""
    holdings: Amounts
    """The balance that the press is judged by."""


def _judge_accounts(
    connection: Connection,
    presses: Sequence[AuthorisedPress],
    kinds: Collection[Kind],
    now: Millis,
    wait_ms: int,
) -> list[PlacedOrder]:
    """Judges one press for each account."""
    buttons = [press.pressed.button for press in presses]
    accounts.lock_accounts(connection, {button.account_ref for button in buttons})
    histories = withdrawal_history.load_histories(
        connection, {button.account_ref: button.account for button in buttons}
    )
    balances = ledger.load_balances(connection, [button.account_ref for button in buttons])
    judged = [
        _judge(press, histories[ref], balances.get(ref, {}), kinds)
        for press, ref in zip(presses, (button.account_ref for button in buttons), strict=True)
    ]
    orders = [
        _to_order(each.press, kinds, now, wait_ms) for each in judged if each.outcome is PressOutcome.BEGIN
    ]
    created = iter(withdrawals.create_orders(connection, orders))
    return [
        _to_placed(each, next(created) if each.outcome is PressOutcome.BEGIN else None, kinds)
        for each in judged
    ]


def _judge(
    press: AuthorisedPress, history: WithdrawalHistory, balances: Amounts, kinds: Collection[Kind]
) -> _Judged:
    holdings = withdrawal_history.compute_holdings(
        balances, reported_at=press.pressed.reported_at, not_in_ledger=history.not_in_ledger
    )
    outcome = judge_press(
        press.pressed.button,
        withdrawal_count=history.withdrawal_count,
        unfinished=history.unfinished is not None,
        holdings=holdings,
        kinds=kinds,
    )
    return _Judged(press=press, outcome=outcome, history=history, holdings=holdings)


def _to_order(press: AuthorisedPress, kinds: Collection[Kind], now: Millis, wait_ms: int) -> WithdrawalOrder:
    button = press.pressed.button
    return WithdrawalOrder(
        order_id=f"rn-{uuid.uuid4().hex}",
        button=button,
        kinds=tuple(kind for kind in kinds if any(asset.kind is kind for asset in button.amounts)),
        role=press.role,
        requested_by=press.requested_by,
        click_key=press.click_key,
        now=now,
        wait_ms=wait_ms,
    )


def _to_placed(judged: _Judged, created: Withdrawal | None, kinds: Collection[Kind]) -> PlacedOrder:
    """created: the order that was stored. None with the outcome BEGIN: a repeated callback, its order exists."""
    is_repeated = judged.outcome is PressOutcome.BEGIN and created is None
    return PlacedOrder(
        outcome=PressOutcome.BUSY if is_repeated else judged.outcome,
        withdrawal=created or judged.history.unfinished,
        withdrawal_count=judged.history.withdrawal_count,
        holdings=judged.holdings,
        available=withdrawable(judged.holdings, kinds),
    )

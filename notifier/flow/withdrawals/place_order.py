"""Judges one press for one account and places the withdrawal order. Single, selected and batch presses share it."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.money import Amounts, Kind
from notifier.domain.withdrawal import PressOutcome, Role, Withdrawal, judge_press, withdrawable
from notifier.store import ledger, withdrawal_history, withdrawals
from notifier.store.cards.buttons import PressedButton
from notifier.store.withdrawals import WithdrawalOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedOrder:
    """The outcome of a permitted press."""

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


def judge_and_order(
    connection: Connection,
    pressed: PressedButton,
    *,
    kinds: Collection[Kind],
    role: Role,
    requested_by: str,
    click_key: str,
    now: Millis,
    wait_ms: int = 0,
) -> PlacedOrder:
    """Judges an authorised press by local state, and stores an order if there is a balance to withdraw.

    role: the role in which the press is authorised. requested_by: open_id of the person who pressed.
    click_key: the idempotency key of the press. now: Unix milliseconds. wait_ms: the delay before the first call.
    """
    button = pressed.button
    ref = button.account_ref
    history = withdrawal_history.load_histories(connection, {ref: button.account})[ref]
    holdings = withdrawal_history.compute_holdings(
        ledger.load_balances(connection, [ref]).get(ref, {}),
        reported_at=pressed.reported_at,
        not_in_ledger=history.not_in_ledger,
    )
    withdrawal = history.unfinished
    outcome = judge_press(
        button,
        withdrawal_count=history.withdrawal_count,
        unfinished=withdrawal is not None,
        holdings=holdings,
        kinds=kinds,
    )
    if outcome is PressOutcome.BEGIN:
        order = WithdrawalOrder(
            order_id=f"rn-{uuid.uuid4().hex}",
            button=button,
            kinds=tuple(kind for kind in kinds if any(asset.kind is kind for asset in button.amounts)),
            role=role,
            requested_by=requested_by,
            click_key=click_key,
            now=now,
            wait_ms=wait_ms,
        )
        withdrawal = withdrawals.create_order(connection, order)
        if withdrawal is None:  # a repeated callback: its order exists
            outcome = PressOutcome.BUSY
    return PlacedOrder(
        outcome=outcome,
        withdrawal=withdrawal,
        withdrawal_count=history.withdrawal_count,
        holdings=holdings,
        available=withdrawable(holdings, kinds),
    )

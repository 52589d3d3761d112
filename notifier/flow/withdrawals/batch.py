"""The worker that places the withdrawal orders of a batch, with the same checks as for a single press.

Each account is judged when its order is placed, not when the button was pressed. The order and the progress of the
batch are stored in one transaction, so a restart continues with the next account.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from notifier.clock import Clock, to_millis
from notifier.domain.digest_panel import SkipReason
from notifier.domain.event import Click
from notifier.domain.money import describe_amounts
from notifier.domain.route import AddressBook
from notifier.domain.withdrawal import DenialReason, PressOutcome, WithdrawOffer, authorise
from notifier.flow.withdrawals.place_order import AuthorisedPress, PlacedOrder, judge_and_order
from notifier.store import audit
from notifier.store.audit import AuditAction
from notifier.store.cards import batches, buttons, digest_panels
from notifier.store.cards.batches import BatchItem
from notifier.store.cards.buttons import Offer, PressedButton
from notifier.store.engine.database import Database
from notifier.store.notices import make_delivery_key

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 50
"""Orders in one transaction. A click that arrives meanwhile waits until it ends."""

IDLE_SECONDS = 1.0
"""The pause while no batch runs."""
WATCH_SECONDS = 0.3
"""The pause while a batch runs and its orders are in progress."""

_SKIPPED = {
    PressOutcome.BUSY: SkipReason.BUSY,
    PressOutcome.STALE: SkipReason.CHANGED,
    PressOutcome.DONE: SkipReason.DONE,
    PressOutcome.EMPTY: SkipReason.EMPTY,
}
_DENIALS = {
    DenialReason.REFERRER_UNKNOWN: SkipReason.REFERRER_UNKNOWN,
    DenialReason.DEACTIVATED: SkipReason.DEACTIVATED,
    DenialReason.NOT_YOURS: SkipReason.NOT_ALLOWED,
    DenialReason.EXPIRED: SkipReason.EXPIRED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDeps:
    """The dependencies of a Batcher."""

    app_id: str
    """The configured app. Accounts of an app configured earlier cannot be withdrawn from."""
    withdraw_offer: WithdrawOffer
    """The kinds of balance to withdraw."""
    address_book: AddressBook
    """Names the group of a chat."""
    operators: Mapping[str, Collection[str]]
    """By group name, the open_ids that may act for the accounts shown in it."""
    clock: Clock
    """The source of the current time."""
    wake: Callable[[], None]
    """Called when orders were placed or cards must be updated."""


class Batcher:
    """Places the orders of running batches."""

    def __init__(self, database: Database, deps: BatchDeps) -> None:
        self._database = database
        self._deps = deps

    async def run_once(self) -> float:
        """Places some orders. Returns the seconds until the next run."""
        now = to_millis(self._deps.clock.now())
        ordered, over, running = await asyncio.wrap_future(self._database.write(lambda c: self._work(c, now)))
        for batch_id in over:
            log.info("batch.finished", extra={"batch_id": batch_id})
        if ordered or over:
            self._deps.wake()
        if ordered:
            return 0
        return WATCH_SECONDS if running else IDLE_SECONDS

    def _work(self, connection: Connection, now: int) -> tuple[int, list[int], bool]:
        if not batches.has_running_batch(connection):
            return 0, [], False
        items = batches.list_pending_items(connection, limit=MAX_IN_FLIGHT)
        self._order(connection, items, now)
        over = batches.finish_batches(connection, now=now) if not items else []
        return len(items), over, True

    def _order(self, connection: Connection, items: Sequence[BatchItem], now: int) -> None:
        """Orders or skips every item. The number of statements does not depend on their number."""
        pressed = buttons.load_pressed_buttons(
            connection, {item.button_ref for item in items}, address_book=self._deps.address_book, now=now
        )
        judged: list[_ItemResult] = []
        allowed: list[tuple[BatchItem, AuthorisedPress]] = []
        for item in items:
            if item.button_ref not in pressed:
                raise LookupError(f"no button {item.button_ref}")
            press = self._authorise(item, pressed[item.button_ref], now)
            if isinstance(press, AuthorisedPress):
                allowed.append((item, press))
            else:
                judged.append(press)
        placed = judge_and_order(
            connection, [press for _, press in allowed], kinds=self._deps.withdraw_offer.kinds, now=now
        )
        judged += [_judge(item, press, found) for (item, press), found in zip(allowed, placed, strict=True)]
        digest_panels.renew_buttons(
            connection, [each.new_offer for each in judged if each.new_offer is not None], now=now
        )
        batches.mark_ordered(
            connection, [(each.item, each.order_id) for each in judged if each.order_id is not None]
        )
        batches.skip_items(
            connection, [(each.item, each.skipped) for each in judged if each.skipped is not None], now=now
        )
        if judged:
            audit.add_entries(connection, *(_to_entry(each, now) for each in judged))

    def _authorise(
        self, item: BatchItem, pressed: PressedButton, now: int
    ) -> "AuthorisedPress | _ItemResult":
        """Returns the press, or why the item is denied."""
        authorization = authorise(
            _as_click(item, pressed), pressed.button, operators=self._deps.operators, now=now
        )
        if pressed.button.account.app_id != self._deps.app_id:
            return _ItemResult(item=item, outcome=DenialReason.FOREIGN.value, skipped=SkipReason.DENIED)
        if authorization.role is None:
            denial_reason = authorization.denial_reason or DenialReason.NOBODY
            skipped = _DENIALS.get(denial_reason, SkipReason.DENIED)
            return _ItemResult(item=item, outcome=denial_reason.value, skipped=skipped)
        return AuthorisedPress(
            pressed=pressed,
            role=authorization.role,
            requested_by=item.requested_by,
            click_key=make_delivery_key("batch", item.click_key, str(item.account_ref)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _ItemResult:
    """What becomes of an item: it has an order, or is skipped."""

    item: BatchItem
    """The item."""
    outcome: str
    """The outcome in words, for the audit log."""
    order_id: str | None = None
    """The order that was placed."""
    skipped: SkipReason | None = None
    """Why there is no order."""
    new_offer: Offer | None = None
    """The balance of today, if it is not the one that was agreed to."""


def _judge(item: BatchItem, press: AuthorisedPress, placed: PlacedOrder) -> _ItemResult:
    if placed.outcome is PressOutcome.BEGIN and placed.withdrawal is not None:
        agreed = describe_amounts(placed.withdrawal.agreed)
        outcome = f"requested as {press.role}: {agreed}, batch {item.batch_id}"
        return _ItemResult(item=item, outcome=outcome, order_id=placed.withdrawal.order_id)
    skipped = _SKIPPED.get(placed.outcome, SkipReason.BUSY)
    return _ItemResult(
        item=item,
        outcome=f"skipped: {skipped}",
        skipped=skipped,
        new_offer=placed.offer_on(item.delivery_id, item.account_ref)
        if placed.outcome is PressOutcome.STALE
        else None,
    )


def _to_entry(judged: _ItemResult, now: int) -> audit.AuditEntry:
    item = judged.item
    action = AuditAction.CLICK
    if judged.order_id is not None:
        action = AuditAction.ORDER
    elif judged.skipped is not None and judged.skipped.is_denial:
        action = AuditAction.DENIED
    return audit.AuditEntry(
        at=now,
        action=action,
        actor=item.requested_by,
        outcome=judged.outcome,
        account_ref=item.account_ref,
        order_id=judged.order_id,
        delivery_id=item.delivery_id,
        message_id=item.message_id,
    )


def _as_click(item: BatchItem, pressed: PressedButton) -> Click:
    """Returns a press of the account's own button. The origin of the batch's press was checked when it arrived."""
    account = pressed.button.account
    return Click(
        key=item.click_key,
        button_ref=item.button_ref,
        open_id=item.requested_by,
        operator_tenant=account.tenant_key,
        tenant_key=account.tenant_key,
        app_id=account.app_id,
        message_id=item.message_id or "",
        chat_id="",
    )

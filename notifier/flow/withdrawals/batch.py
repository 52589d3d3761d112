"""The worker that places the withdrawal orders of a batch, with the same checks as for a single press.

Each account is judged when its order is placed, not when the button was pressed. The order and the progress of the
batch are stored in one transaction, so a restart continues with the next account.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from notifier.clock import Clock, to_millis
from notifier.domain.digest_panel import SkipReason
from notifier.domain.event import Click
from notifier.domain.money import describe_amounts
from notifier.domain.route import AddressBook
from notifier.domain.withdrawal import DenialReason, PressOutcome, WithdrawOffer, authorise
from notifier.flow.withdrawals.place_order import judge_and_order
from notifier.store import audit
from notifier.store.audit import AuditAction
from notifier.store.cards import batches, buttons, digest_panels
from notifier.store.cards.batches import BatchItem
from notifier.store.cards.buttons import PressedButton
from notifier.store.engine.database import Database
from notifier.store.notices import make_delivery_key

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 10
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
        for item in items:
            self._order(connection, item, now)
        over = batches.finish_batches(connection, now=now) if not items else []
        return len(items), over, True

    def _order(self, connection: Connection, item: BatchItem, now: int) -> None:
        pressed = buttons.load_pressed_button(
            connection, item.button_ref, address_book=self._deps.address_book, now=now
        )
        if pressed is None:
            raise LookupError(f"no button {item.button_ref}")
        authorization = authorise(
            _as_click(item, pressed), pressed.button, operators=self._deps.operators, now=now
        )
        if pressed.button.account.app_id != self._deps.app_id:
            self._skip(connection, item, SkipReason.DENIED, DenialReason.FOREIGN.value, now)
            return
        if authorization.role is None:
            denial_reason = authorization.denial_reason or DenialReason.NOBODY
            skip_reason = _DENIALS.get(denial_reason, SkipReason.DENIED)
            self._skip(connection, item, skip_reason, denial_reason.value, now)
            return
        placed = judge_and_order(
            connection,
            pressed,
            kinds=self._deps.withdraw_offer.kinds,
            role=authorization.role,
            requested_by=item.requested_by,
            click_key=make_delivery_key("batch", item.click_key, str(item.account_ref)),
            now=now,
        )
        if placed.outcome is PressOutcome.BEGIN and placed.withdrawal is not None:
            order_id = placed.withdrawal.order_id
            batches.mark_ordered(connection, item, order_id)
            agreed = describe_amounts(placed.withdrawal.agreed)
            outcome = f"requested as {authorization.role}: {agreed}, batch {item.batch_id}"
            self._note(connection, item, AuditAction.ORDER, outcome, now, order_id=order_id)
        else:
            skipped = _SKIPPED.get(placed.outcome, SkipReason.BUSY)
            if placed.outcome is PressOutcome.STALE:
                digest_panels.renew_button(
                    connection,
                    item.delivery_id,
                    item.account_ref,
                    withdrawal_count=placed.withdrawal_count,
                    amounts=placed.available,
                    now=now,
                )
            self._skip(connection, item, skipped, f"skipped: {skipped}", now)

    def _skip(
        self, connection: Connection, item: BatchItem, skip_reason: SkipReason, outcome: str, now: int
    ) -> None:
        batches.skip_item(connection, item, skip_reason, now=now)
        self._note(
            connection, item, AuditAction.DENIED if skip_reason.is_denial else AuditAction.CLICK, outcome, now
        )

    def _note(
        self,
        connection: Connection,
        item: BatchItem,
        action: AuditAction,
        outcome: str,
        now: int,
        *,
        order_id: str | None = None,
    ) -> None:
        entry = audit.AuditEntry(
            at=now,
            action=action,
            actor=item.requested_by,
            outcome=outcome,
            account_ref=item.account_ref,
            order_id=order_id,
            delivery_id=item.delivery_id,
            message_id=item.message_id,
        )
        audit.add_entries(connection, entry)


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

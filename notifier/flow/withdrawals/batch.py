"""Batch: accounts of a batch -> the same authorisation, order id and audit entry as for a single press, one by one.

An account is judged when its turn comes, not when the button was pressed. Its order is made in one transaction with
the note that it was made, so a restart goes on with the next one.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from notifier.clock import Clock, to_millis
from notifier.domain.digest_panel import SkipReason
from notifier.domain.event import Click
from notifier.domain.route import AddressBook
from notifier.domain.withdrawal import DenialReason, PressOutcome, Role, WithdrawOffer, authorise, judge_press
from notifier.store import audit, withdrawals
from notifier.store.audit import AuditAction
from notifier.store.cards import batches, buttons
from notifier.store.cards.batches import BatchItem
from notifier.store.cards.buttons import PressedButton
from notifier.store.engine.database import Database
from notifier.store.notices import make_delivery_key
from notifier.store.withdrawals import WithdrawalHistory, WithdrawalOrder

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 10
"""Orders made in one transaction; a click that comes meanwhile waits no longer than these take."""

IDLE_SECONDS = 1.0
WATCH_SECONDS = 0.3

_SKIPPED = {
    PressOutcome.BUSY: SkipReason.BUSY,
    PressOutcome.STALE: SkipReason.DONE,
    PressOutcome.DONE: SkipReason.DONE,
    PressOutcome.EMPTY: SkipReason.EMPTY,
}
_DENIALS = {
    DenialReason.OWNER_UNKNOWN: SkipReason.OWNER_UNKNOWN,
    DenialReason.DEACTIVATED: SkipReason.DEACTIVATED,
    DenialReason.NOT_YOURS: SkipReason.NOT_ALLOWED,
    DenialReason.EXPIRED: SkipReason.EXPIRED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDeps:
    """operators: by group, the open_ids that may act. app_id: ours; an account of another app, from a time before, is
    nobody's to withdraw. wake: told when orders were born, and cards are to change.
    """

    app_id: str
    withdraw_offer: WithdrawOffer
    address_book: AddressBook
    operators: Mapping[str, Collection[str]]
    clock: Clock
    wake: Callable[[], None]


class Batcher:
    def __init__(self, database: Database, deps: BatchDeps) -> None:
        self._database = database
        self._deps = deps

    async def run_once(self) -> float:
        """Seconds until it makes sense to look again (or until woken)."""
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
        verdict = authorise(_as_click(item, pressed), pressed.button, operators=self._deps.operators, now=now)
        if pressed.button.account.app_id != self._deps.app_id:
            self._skip(connection, item, SkipReason.DENIED, DenialReason.FOREIGN.value, now)
            return
        if verdict.role is None:
            denial_reason = verdict.denial_reason or DenialReason.NOBODY
            why = _DENIALS.get(denial_reason, SkipReason.DENIED)
            self._skip(connection, item, why, denial_reason.value, now)
            return
        means = self._meaning(connection, pressed)
        order = self._order_for(item, pressed, verdict.role, now)
        if means is PressOutcome.BEGIN and withdrawals.create_order(connection, order) is not None:
            batches.mark_ordered(connection, item, order.order_id)
            outcome = f"requested as {verdict.role}, batch {item.batch_id}"
            self._note(connection, item, AuditAction.ORDER, outcome, now, order_id=order.order_id)
        else:
            skipped = _SKIPPED.get(means, SkipReason.BUSY)
            self._skip(connection, item, skipped, f"left out: {skipped}", now)

    def _meaning(self, connection: Connection, pressed: PressedButton) -> PressOutcome:
        button = pressed.button
        history = WithdrawalHistory(connection, button.account_ref, button.account)
        holdings = withdrawals.compute_holdings(
            connection,
            button.account_ref,
            reported_at=pressed.reported_at,
            not_in_ledger=history.not_in_ledger,
        )
        return judge_press(
            button_count=button.withdrawal_count,
            withdrawal_count=history.withdrawal_count,
            unfinished=history.unfinished is not None,
            holdings=holdings,
            kinds=self._deps.withdraw_offer.kinds,
        )

    def _order_for(self, item: BatchItem, pressed: PressedButton, role: Role, now: int) -> WithdrawalOrder:
        return WithdrawalOrder(
            order_id=f"rn-{uuid.uuid4().hex}",
            button=pressed.button,
            kinds=self._deps.withdraw_offer.kinds,
            role=role,
            requested_by=item.requested_by,
            click_key=make_delivery_key("batch", item.click_key, str(item.account_ref)),
            now=now,
        )

    def _skip(self, connection: Connection, item: BatchItem, why: SkipReason, outcome: str, now: int) -> None:
        batches.skip_item(connection, item, why, now=now)
        self._note(connection, item, AuditAction.DENIED if why.is_denial else AuditAction.CLICK, outcome, now)

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
    """As if this account's own button had been pressed. Where the press came from was judged when it came."""
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

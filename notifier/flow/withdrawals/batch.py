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
from notifier.domain.digest_panel import LeftOut
from notifier.domain.event import Click
from notifier.domain.route import AddressBook
from notifier.domain.withdrawal import Denied, Meaning, Offer, Role, authorise, meaning
from notifier.store import audit, withdrawals
from notifier.store.audit import What
from notifier.store.cards import batches, buttons
from notifier.store.cards.batches import Item
from notifier.store.cards.buttons import Pressed
from notifier.store.engine.database import Database
from notifier.store.notices import delivery_key
from notifier.store.withdrawals import History, Order

log = logging.getLogger(__name__)

TOGETHER = 10
"""Orders made in one transaction; a click that comes meanwhile waits no longer than these take."""

IDLE_SECONDS = 1.0
WATCH_SECONDS = 0.3

_LEFT_OUT = {
    Meaning.BUSY: LeftOut.BUSY,
    Meaning.STALE: LeftOut.DONE,
    Meaning.DONE: LeftOut.DONE,
    Meaning.EMPTY: LeftOut.EMPTY,
}
_DENIALS = {
    Denied.OWNER_UNKNOWN: LeftOut.OWNER_UNKNOWN,
    Denied.DEACTIVATED: LeftOut.DEACTIVATED,
    Denied.NOT_YOURS: LeftOut.NOT_ALLOWED,
    Denied.EXPIRED: LeftOut.EXPIRED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchParts:
    """operators: by group, the open_ids that may act. app_id: ours; an account of another app, from a time before, is
    nobody's to withdraw. wake: told when orders were born, and cards are to change.
    """

    app_id: str
    offer: Offer
    book: AddressBook
    operators: Mapping[str, Collection[str]]
    clock: Clock
    wake: Callable[[], None]


class Batcher:
    def __init__(self, database: Database, parts: BatchParts) -> None:
        self._database = database
        self._parts = parts

    async def turn(self) -> float:
        """Seconds until it makes sense to look again (or until woken)."""
        now = to_millis(self._parts.clock.now())
        ordered, over, running = await asyncio.wrap_future(self._database.write(lambda c: self._work(c, now)))
        for batch_id in over:
            log.info("batch.over", extra={"batch_id": batch_id})
        if ordered or over:
            self._parts.wake()
        if ordered:
            return 0
        return WATCH_SECONDS if running else IDLE_SECONDS

    def _work(self, connection: Connection, now: int) -> tuple[int, list[int], bool]:
        if not batches.any_running(connection):
            return 0, [], False
        items = batches.to_do(connection, limit=TOGETHER)
        for item in items:
            self._order(connection, item, now)
        over = batches.end_finished(connection, now=now) if not items else []
        return len(items), over, True

    def _order(self, connection: Connection, item: Item, now: int) -> None:
        pressed = buttons.pressed(connection, item.button, book=self._parts.book, now=now)
        if pressed is None:
            raise LookupError(f"no button {item.button}")
        verdict = authorise(
            _as_click(item, pressed), pressed.button, operators=self._parts.operators, now=now
        )
        if pressed.button.account.app_id != self._parts.app_id:
            self._leave_out(connection, item, LeftOut.DENIED, Denied.FOREIGN.value, now)
            return
        if verdict.role is None:
            denied = verdict.denied or Denied.NOBODY
            why = _DENIALS.get(denied, LeftOut.DENIED)
            self._leave_out(connection, item, why, denied.value, now)
            return
        means = self._meaning(connection, pressed)
        order = self._order_for(item, pressed, verdict.role, now)
        if means is Meaning.BEGIN and withdrawals.begin(connection, order) is not None:
            batches.ordered(connection, item, order.order_id)
            outcome = f"requested as {verdict.role}, batch {item.batch_id}"
            self._note(connection, item, What.ORDER, outcome, now, order_id=order.order_id)
        else:
            left_out = _LEFT_OUT.get(means, LeftOut.BUSY)
            self._leave_out(connection, item, left_out, f"left out: {left_out}", now)

    def _meaning(self, connection: Connection, pressed: Pressed) -> Meaning:
        button = pressed.button
        history = History(connection, button.account_ref, button.account)
        holdings = withdrawals.holdings_now(
            connection, button.account_ref, reported_at=pressed.reported_at, since=history.unseen
        )
        return meaning(
            button_epoch=button.epoch,
            epoch=history.epoch,
            unfinished=history.unfinished is not None,
            holdings=holdings,
            kinds=self._parts.offer.kinds,
        )

    def _order_for(self, item: Item, pressed: Pressed, role: Role, now: int) -> Order:
        return Order(
            order_id=f"rn-{uuid.uuid4().hex}",
            button=pressed.button,
            kinds=self._parts.offer.kinds,
            role=role,
            requested_by=item.requested_by,
            click_key=delivery_key("batch", item.click_key, str(item.account_ref)),
            now=now,
        )

    def _leave_out(self, connection: Connection, item: Item, why: LeftOut, outcome: str, now: int) -> None:
        batches.leave_out(connection, item, why, now=now)
        self._note(connection, item, What.DENIED if why.is_denial else What.CLICK, outcome, now)

    def _note(
        self,
        connection: Connection,
        item: Item,
        what: What,
        outcome: str,
        now: int,
        *,
        order_id: str | None = None,
    ) -> None:
        entry = audit.Entry(
            at=now,
            what=what,
            actor=item.requested_by,
            outcome=outcome,
            account_ref=item.account_ref,
            order_id=order_id,
            delivery_id=item.delivery_id,
            message_id=item.message_id,
        )
        audit.write(connection, entry)


def _as_click(item: Item, pressed: Pressed) -> Click:
    """As if this account's own button had been pressed. Where the press came from was judged when it came."""
    account = pressed.button.account
    return Click(
        key=item.click_key,
        ref=item.button,
        open_id=item.requested_by,
        operator_tenant=account.tenant_key,
        tenant_key=account.tenant_key,
        app_id=account.app_id,
        message_id=item.message_id or "",
        chat_id="",
    )

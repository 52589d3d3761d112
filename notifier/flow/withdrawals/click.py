"""Click: who pressed what -> may they? -> an order on disk -> toast and card, all from local state.

The click, the verdict, the order and the audit entry are one transaction; the answer leaves after its commit and
before anybody asks Feishu anything.
"""

import logging
import uuid
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.engine import Connection

from notifier.cards.render import Renderer
from notifier.cards.withdrawal_text import PressReply, denied_toast, meaning_toast, panel_toast
from notifier.clock import Clock, to_millis
from notifier.domain.card_state import CardState, PostedCard
from notifier.domain.digest_panel import Action, PanelButton
from notifier.domain.event import Click, Event
from notifier.domain.route import AddressBook
from notifier.domain.withdrawal import (
    Authorization,
    Button,
    DenialReason,
    PressOutcome,
    Role,
    Withdrawal,
    WithdrawOffer,
    authorise,
    judge_press,
)
from notifier.flow.withdrawals import panel_click
from notifier.store import audit, card_updates, inbox, withdrawals
from notifier.store.audit import AuditAction
from notifier.store.cards import batches, buttons, card_states, digest_panels
from notifier.store.cards.buttons import PressedButton
from notifier.store.engine.database import Database
from notifier.store.engine.writer import WriterClosed
from notifier.store.withdrawals import WithdrawalOrder

log = logging.getLogger(__name__)

Answer = Mapping[str, Any]

ANSWER_FIRST_MS = 300
"""The answer to the click leaves before anybody asks Feishu anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickDeps:
    """read: never raises. operators: by group, the open_ids that may act. wake: told when an order was born."""

    read: Callable[[Event], Click]
    withdraw_offer: WithdrawOffer
    address_book: AddressBook
    operators: Mapping[str, Collection[str]]
    renderer: Renderer
    clock: Clock
    wake: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """card: the one to be shown, None to leave it as it is. delivery_id: whose card was pressed, if it is ours."""

    toast: Answer
    card: PostedCard | None = None
    begun: bool = False
    delivery_id: int | None = None


class ClickHandler:
    """accept() may be called from any thread."""

    def __init__(self, database: Database, deps: ClickDeps) -> None:
        self._database = database
        self._deps = deps
        self._accept = inbox.EventInserter(deps.clock)
        self._drawing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="click")

    def accept(self, event: Event) -> "Future[Answer]":
        """Resolves, after the commit, to what Feishu shows the clicker. Fails when it could not be stored."""
        answer: Future[Answer] = Future()
        decided = self._database.write(lambda c: self._decide(c, event))
        decided.add_done_callback(lambda done: self._wake_and_answer(done, answer))
        return answer

    def close(self) -> None:
        self._drawing.shutdown(wait=False, cancel_futures=True)

    def _wake_and_answer(self, decided: "Future[Decision]", answer: "Future[Answer]") -> None:
        """Off the writer's thread: drawing a card takes milliseconds that others wait for."""
        error = decided.exception()
        if error is not None:
            answer.set_exception(error)
            return
        decision = decided.result()
        try:
            self._drawing.submit(self._answer, decision, answer)
        except RuntimeError:  # closed: the order is on disk, the card follows after the next start
            answer.set_result({"toast": dict(decision.toast)})

    def _answer(self, decision: Decision, answer: "Future[Answer]") -> None:
        """A card that cannot be drawn costs the picture, never the answer."""
        document: dict[str, Any] = {"toast": dict(decision.toast)}
        try:
            if decision.card is not None:
                card = self._deps.renderer.posted(decision.card)
                if card is not None:
                    document["card"] = {"type": "raw", "data": card}
        except Exception:
            log.exception("click.card_failed")
        answer.set_result(document)
        self._show_again(decision.delivery_id)
        if decision.begun:
            self._deps.wake()

    def _show_again(self, delivery_id: int | None) -> None:
        """A change that Feishu got while the click was unanswered is undone by it: make it once more."""
        if delivery_id is None:
            return
        now = to_millis(self._deps.clock.now())
        try:
            self._database.write(lambda c: card_updates.request_repeat(c, delivery_id, now=now))
        except WriterClosed:
            log.info("click.received_late")

    def _decide(self, connection: Connection, event: Event) -> Decision:
        now = to_millis(self._deps.clock.now())
        self._accept(connection, [event])
        click = self._deps.read(event)
        pressed = (
            buttons.load_pressed_button(
                connection, click.button_ref, address_book=self._deps.address_book, now=now
            )
            if click.button_ref
            else None
        )
        if pressed is None and (button := self._lever(connection, click)) is not None:
            return self._decide_on_board(connection, click, button, now)
        return self._decide_for(connection, click, pressed, now)

    def _decide_for(
        self, connection: Connection, click: Click, pressed: PressedButton | None, now: int
    ) -> Decision:
        """One account: whose button was pressed, or which was chosen on a board."""
        button = pressed.button if pressed else None
        verdict = authorise(click, button, operators=self._deps.operators, now=now)
        if pressed is None or verdict.role is None:
            return self._refuse(connection, click, button, verdict, now)
        button = pressed.button
        history = withdrawals.WithdrawalHistory(connection, button.account_ref, button.account)
        holdings = withdrawals.compute_holdings(
            connection,
            button.account_ref,
            reported_at=pressed.reported_at,
            not_in_ledger=history.not_in_ledger,
        )
        under_way = history.unfinished
        means = judge_press(
            button_count=button.withdrawal_count,
            withdrawal_count=history.withdrawal_count,
            unfinished=under_way is not None,
            holdings=holdings,
            kinds=self._deps.withdraw_offer.kinds,
        )
        if means is PressOutcome.BEGIN:
            under_way = withdrawals.create_order(connection, self._order(click, button, verdict.role, now))
            means = (
                PressOutcome.BEGIN if under_way else PressOutcome.BUSY
            )  # a replayed callback: its order exists
        audit.add_entries(connection, *self._entries(click, button, means, verdict.role, under_way, now))
        if (
            under_way is not None
            and button.withdrawal_count == history.withdrawal_count
            and not pressed.is_digest
        ):
            card_state = CardState(button_ref=button.button_ref, holdings=holdings, withdrawal=under_way)
            card: PostedCard | None = card_states.to_posted_card(connection, pressed, card_state)
        else:
            is_stale = means is PressOutcome.STALE
            card = card_states.load_posted_card(
                connection, button.delivery_id, renew_button=is_stale, now=now
            )
        return Decision(
            toast=meaning_toast(means),
            card=None if means is PressOutcome.EMPTY else card,
            begun=means is PressOutcome.BEGIN,
            delivery_id=button.delivery_id,
        )

    def _lever(self, connection: Connection, click: Click) -> PanelButton | None:
        return (
            digest_panels.find_panel_button(
                connection, click.button_ref, address_book=self._deps.address_book
            )
            if click.button_ref
            else None
        )

    def _decide_on_board(
        self, connection: Connection, click: Click, button: PanelButton, now: int
    ) -> Decision:
        if button.action is Action.ONE:
            return self._decide_chosen(connection, click, button, now)
        press = panel_click.press_panel_button(
            connection, click, button, operators=self._deps.operators, now=now
        )
        card = None
        if press.show:
            card = card_states.load_posted_card(connection, button.delivery_id, renew_button=True, now=now)
        return Decision(
            toast=press.toast,
            card=card,
            begun=press.begun,
            delivery_id=button.delivery_id,
        )

    def _decide_chosen(self, connection: Connection, click: Click, button: PanelButton, now: int) -> Decision:
        """The chosen account's own button decides, as if it had been pressed; it must hang on the same card."""
        if not click.option:
            return Decision(toast=panel_toast(PressReply.CHOOSE))
        chosen = buttons.load_pressed_button(
            connection, click.option, address_book=self._deps.address_book, now=now
        )
        if chosen is not None and chosen.button.delivery_id != button.delivery_id:
            chosen = None
        if chosen is not None and batches.is_batch_running(connection, button.delivery_id):
            return Decision(toast=panel_toast(PressReply.BUSY))
        return self._decide_for(connection, click, chosen, now)

    def _order(self, click: Click, button: Button, role: Role, now: int) -> WithdrawalOrder:
        return WithdrawalOrder(
            order_id=f"rn-{uuid.uuid4().hex}",
            button=button,
            kinds=self._deps.withdraw_offer.kinds,
            role=role,
            requested_by=click.open_id,
            click_key=click.key,
            now=now,
            wait_ms=ANSWER_FIRST_MS,
        )

    def _entries(
        self,
        click: Click,
        button: Button,
        means: PressOutcome,
        role: Role,
        begun: Withdrawal | None,
        now: int,
    ) -> list[audit.AuditEntry]:
        clicked = _entry(click, button, AuditAction.CLICK, means.value, now)
        if means is not PressOutcome.BEGIN or begun is None:
            return [clicked]
        ordered = replace(
            clicked, action=AuditAction.ORDER, outcome=f"requested as {role}", order_id=begun.order_id
        )
        return [ordered, clicked]

    def _refuse(
        self, connection: Connection, click: Click, button: Button | None, verdict: Authorization, now: int
    ) -> Decision:
        denial_reason = verdict.denial_reason or DenialReason.UNKNOWN_BUTTON
        audit.add_entries(connection, _entry(click, button, AuditAction.DENIED, denial_reason.value, now))
        log.warning("click.denied", extra={"why": denial_reason, "open_id": click.open_id or None})
        ours = button is not None and button.message_id == click.message_id
        return Decision(
            toast=denied_toast(denial_reason),
            delivery_id=button.delivery_id if button is not None and ours else None,
        )


def _entry(
    click: Click, button: Button | None, action: AuditAction, outcome: str, now: int
) -> audit.AuditEntry:
    return audit.AuditEntry(
        at=now,
        action=action,
        actor=click.open_id,
        outcome=outcome,
        account_ref=button.account_ref if button else None,
        delivery_id=button.delivery_id if button else None,
        message_id=click.message_id or None,
    )

"""Handles a press of a card button: authorises it, places the order, and answers with a toast and the card.

The click, the order and the audit entry are stored in one transaction. The answer is sent after the commit and before
any call to Feishu.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.engine import Connection

from notifier.cards.render import Renderer
from notifier.cards.withdrawal_text import PressReply, denied_toast, panel_toast, press_toast
from notifier.clock import Clock, to_millis
from notifier.domain.card_state import CardState, PostedCard
from notifier.domain.digest_panel import Action, PanelButton
from notifier.domain.event import Click, Event
from notifier.domain.money import describe_amounts
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
)
from notifier.flow.withdrawals import panel_click
from notifier.flow.withdrawals.place_order import judge_and_order
from notifier.store import audit, card_updates, inbox
from notifier.store.audit import AuditAction
from notifier.store.cards import batches, buttons, card_states, digest_panels
from notifier.store.cards.buttons import PressedButton
from notifier.store.deliveries import delivery_admin
from notifier.store.engine.database import Database
from notifier.store.engine.writer import WriterClosed

log = logging.getLogger(__name__)

Answer = Mapping[str, Any]

ANSWER_FIRST_MS = 300
"""The delay before the first withdrawal call, in milliseconds, so that the answer to the click is sent first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickDeps:
    """The dependencies of a ClickHandler."""

    read: Callable[[Event], Click]
    """Parses a callback. It never raises."""
    withdraw_offer: WithdrawOffer
    """Which cards offer a withdrawal, and the kinds of balance to withdraw."""
    address_book: AddressBook
    """Names the group of a chat."""
    operators: Mapping[str, Collection[str]]
    """By group name, the open_ids that may act for the accounts shown in it."""
    renderer: Renderer
    """Renders the card of the answer."""
    clock: Clock
    """The source of the current time."""
    wake: Callable[[], None]
    """Called when an order was placed, or a send is to be repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer to a press."""

    toast: Answer
    """The toast to show."""
    card: PostedCard | None = None
    """The card to show. None: the card does not change."""
    wakes: bool = False
    """Whether a worker has something to do: an order or a batch was placed, or a send is to be repeated."""
    delivery_id: int | None = None
    """The delivery of the pressed card. None: unknown."""


class ClickHandler:
    """Answers presses. `accept` may be called from any thread."""

    def __init__(self, database: Database, deps: ClickDeps) -> None:
        self._database = database
        self._deps = deps
        self._accept = inbox.EventInserter(deps.clock)
        self._render_pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="click")

    def accept(self, event: Event) -> "Future[Answer]":
        """Returns the answer for Feishu, available after the commit. It fails when the click could not be stored."""
        answer: Future[Answer] = Future()
        decided = self._database.write(lambda c: self._decide(c, event))
        decided.add_done_callback(lambda done: self._wake_and_answer(done, answer))
        return answer

    def close(self) -> None:
        """Stops rendering. Later answers contain the toast only."""
        self._render_pool.shutdown(wait=False, cancel_futures=True)

    def _wake_and_answer(self, decided: "Future[Decision]", answer: "Future[Answer]") -> None:
        """Renders in another thread, as other writes would wait for the milliseconds of rendering."""
        error = decided.exception()
        if error is not None:
            answer.set_exception(error)
            return
        decision = decided.result()
        try:
            self._render_pool.submit(self._answer, decision, answer)
        except RuntimeError:  # closed: the order is stored, the card is updated after the next start
            answer.set_result({"toast": dict(decision.toast)})

    def _answer(self, decision: Decision, answer: "Future[Answer]") -> None:
        """A card that cannot be rendered is left out of the answer."""
        document: dict[str, Any] = {"toast": dict(decision.toast)}
        try:
            if decision.card is not None:
                card = self._deps.renderer.posted(decision.card)
                if card is not None:
                    document["card"] = {"type": "raw", "data": card}
        except Exception:
            log.exception("click.card_failed")
        answer.set_result(document)
        self._request_repeat(decision.delivery_id)
        if decision.wakes:
            self._deps.wake()

    def _request_repeat(self, delivery_id: int | None) -> None:
        """Repeats the update of a card, as the answer to a click replaces an update that arrived shortly before."""
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
        if pressed is None and (button := self._find_panel_button(connection, click)) is not None:
            return self._decide_for_panel(connection, click, button, now)
        return self._decide_for(connection, click, pressed, now)

    def _decide_for(
        self, connection: Connection, click: Click, pressed: PressedButton | None, now: int
    ) -> Decision:
        """Decides for the account of the pressed button, or the account selected on a digest card."""
        button = pressed.button if pressed else None
        authorization = authorise(click, button, operators=self._deps.operators, now=now)
        if pressed is None or authorization.role is None:
            return self._refuse(connection, click, button, authorization, now)
        button = pressed.button
        placed = judge_and_order(
            connection,
            pressed,
            kinds=self._deps.withdraw_offer.kinds,
            role=authorization.role,
            requested_by=click.open_id,
            click_key=click.key,
            now=now,
            wait_ms=ANSWER_FIRST_MS,
        )
        outcome, withdrawal = placed.outcome, placed.withdrawal
        audit.add_entries(
            connection, *self._entries(click, button, outcome, authorization.role, withdrawal, now)
        )
        if (
            withdrawal is not None
            and button.withdrawal_count == placed.withdrawal_count
            and not pressed.is_digest
        ):
            card_state = CardState(
                button_ref=button.button_ref, holdings=placed.holdings, withdrawal=withdrawal
            )
            card: PostedCard | None = card_states.to_posted_card(connection, pressed, card_state)
        else:
            is_stale = outcome is PressOutcome.STALE
            if is_stale and pressed.is_in_list:
                digest_panels.renew_button(
                    connection,
                    button.delivery_id,
                    button.account_ref,
                    withdrawal_count=placed.withdrawal_count,
                    amounts=placed.available,
                    now=now,
                )
            card = self._load_card(connection, button.delivery_id, renew_button=is_stale, now=now)
        return Decision(
            toast=press_toast(outcome, offered=button.amounts, available=placed.available),
            card=card,
            wakes=outcome is PressOutcome.BEGIN,
            delivery_id=button.delivery_id,
        )

    def _load_card(
        self, connection: Connection, delivery_id: int, *, renew_button: bool, now: int
    ) -> PostedCard | None:
        return card_states.load_posted_card(
            connection,
            delivery_id,
            withdraw_offer=self._deps.withdraw_offer,
            address_book=self._deps.address_book,
            renew_button=renew_button,
            now=now,
        )

    def _find_panel_button(self, connection: Connection, click: Click) -> PanelButton | None:
        return (
            digest_panels.find_panel_button(
                connection, click.button_ref, address_book=self._deps.address_book
            )
            if click.button_ref
            else None
        )

    def _decide_for_panel(
        self, connection: Connection, click: Click, button: PanelButton, now: int
    ) -> Decision:
        if button.action is Action.ONE:
            return self._decide_chosen(connection, click, button, now)
        press = panel_click.press_panel_button(
            connection, click, button, operators=self._deps.operators, now=now
        )
        card = None
        if press.show:
            card = self._load_card(connection, button.delivery_id, renew_button=True, now=now)
        return Decision(
            toast=press.toast,
            card=card,
            wakes=press.wakes,
            delivery_id=button.delivery_id,
        )

    def _decide_chosen(self, connection: Connection, click: Click, button: PanelButton, now: int) -> Decision:
        """Decides as if the selected account's own button had been pressed. It must be on the same card."""
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

    def _entries(
        self,
        click: Click,
        button: Button,
        outcome: PressOutcome,
        role: Role,
        begun: Withdrawal | None,
        now: int,
    ) -> list[audit.AuditEntry]:
        clicked = _entry(click, button, AuditAction.CLICK, outcome.value, now)
        if outcome is not PressOutcome.BEGIN or begun is None:
            return [clicked]
        ordered = replace(
            clicked,
            action=AuditAction.ORDER,
            outcome=f"requested as {role}: {describe_amounts(begun.agreed)}",
            order_id=begun.order_id,
        )
        return [ordered, clicked]

    def _refuse(
        self,
        connection: Connection,
        click: Click,
        button: Button | None,
        authorization: Authorization,
        now: int,
    ) -> Decision:
        denial_reason = authorization.denial_reason or DenialReason.UNKNOWN_BUTTON
        audit.add_entries(connection, _entry(click, button, AuditAction.DENIED, denial_reason.value, now))
        log.warning("click.denied", extra={"reason": denial_reason, "open_id": click.open_id or None})
        ours = button is not None and button.message_id == click.message_id
        is_unconfirmed = button is not None and denial_reason is DenialReason.UNCONFIRMED
        if button is not None and is_unconfirmed:
            delivery_admin.repeat_now(connection, button.delivery_id, now=now)
        return Decision(
            toast=denied_toast(denial_reason),
            wakes=is_unconfirmed,
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

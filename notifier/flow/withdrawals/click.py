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
from notifier.cards.withdrawal_text import Said, board_toast, denied_toast, meaning_toast
from notifier.clock import Clock, to_millis
from notifier.domain.card_state import Face, HungCard
from notifier.domain.digest_panel import Action, Lever
from notifier.domain.event import Click, Event
from notifier.domain.route import AddressBook
from notifier.domain.withdrawal import (
    Button,
    Denied,
    Meaning,
    Offer,
    Role,
    Verdict,
    Withdrawal,
    authorise,
    meaning,
)
from notifier.flow.withdrawals import panel_click
from notifier.store import audit, card_updates, inbox, withdrawals
from notifier.store.audit import What
from notifier.store.cards import batches, buttons, card_states, digest_panels
from notifier.store.cards.buttons import Pressed
from notifier.store.engine.database import Database
from notifier.store.engine.writer import WriterClosed
from notifier.store.withdrawals import Order

log = logging.getLogger(__name__)

Answer = Mapping[str, Any]

ANSWER_FIRST_MS = 300
"""The answer to the click leaves before anybody asks Feishu anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickParts:
    """read: never raises. operators: by group, the open_ids that may act. wake: told when an order was born."""

    read: Callable[[Event], Click]
    offer: Offer
    book: AddressBook
    operators: Mapping[str, Collection[str]]
    renderer: Renderer
    clock: Clock
    wake: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """card: the one to be shown, None to leave it as it is. delivery_id: whose card was pressed, if it is ours."""

    toast: Answer
    card: HungCard | None = None
    begun: bool = False
    delivery_id: int | None = None


class Clicks:
    """accept() may be called from any thread."""

    def __init__(self, database: Database, parts: ClickParts) -> None:
        self._database = database
        self._parts = parts
        self._accept = inbox.AcceptEvents(parts.clock)
        self._drawing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="click")

    def accept(self, event: Event) -> "Future[Answer]":
        """Resolves, after the commit, to what Feishu shows the clicker. Fails when it could not be stored."""
        answer: Future[Answer] = Future()
        decided = self._database.write(lambda c: self._decide(c, event))
        decided.add_done_callback(lambda done: self._hand_over(done, answer))
        return answer

    def close(self) -> None:
        self._drawing.shutdown(wait=False, cancel_futures=True)

    def _hand_over(self, decided: "Future[Decision]", answer: "Future[Answer]") -> None:
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
                card = self._parts.renderer.hung(decision.card)
                if card is not None:
                    document["card"] = {"type": "raw", "data": card}
        except Exception:
            log.exception("click.card_failed")
        answer.set_result(document)
        self._show_again(decision.delivery_id)
        if decision.begun:
            self._parts.wake()

    def _show_again(self, delivery_id: int | None) -> None:
        """A change that Feishu got while the click was unanswered is undone by it: make it once more."""
        if delivery_id is None:
            return
        now = to_millis(self._parts.clock.now())
        try:
            self._database.write(lambda c: card_updates.again(c, delivery_id, now=now))
        except WriterClosed:
            log.info("click.after_the_end")

    def _decide(self, connection: Connection, event: Event) -> Decision:
        now = to_millis(self._parts.clock.now())
        self._accept(connection, [event])
        click = self._parts.read(event)
        pressed = (
            buttons.pressed(connection, click.ref, book=self._parts.book, now=now) if click.ref else None
        )
        if pressed is None and (lever := self._lever(connection, click)) is not None:
            return self._decide_on_board(connection, click, lever, now)
        return self._decide_for(connection, click, pressed, now)

    def _decide_for(
        self, connection: Connection, click: Click, pressed: Pressed | None, now: int
    ) -> Decision:
        """One account: whose button was pressed, or which was chosen on a board."""
        button = pressed.button if pressed else None
        verdict = authorise(click, button, operators=self._parts.operators, now=now)
        if pressed is None or verdict.role is None:
            return self._refuse(connection, click, button, verdict, now)
        button = pressed.button
        history = withdrawals.History(connection, button.account_ref, button.account)
        holdings = withdrawals.holdings_now(
            connection, button.account_ref, reported_at=pressed.reported_at, since=history.unseen
        )
        under_way = history.unfinished
        means = meaning(
            button_epoch=button.epoch,
            epoch=history.epoch,
            unfinished=under_way is not None,
            holdings=holdings,
            kinds=self._parts.offer.kinds,
        )
        if means is Meaning.BEGIN:
            under_way = withdrawals.begin(connection, self._order(click, button, verdict.role, now))
            means = Meaning.BEGIN if under_way else Meaning.BUSY  # a replayed callback: its order exists
        audit.write(connection, *self._entries(click, button, means, verdict.role, under_way, now))
        if under_way is not None and button.epoch == history.epoch and not pressed.tells_digest:
            face = Face(ref=button.ref, holdings=holdings, withdrawal=under_way)
            card: HungCard | None = card_states.pressed_card(connection, pressed, face)
        else:
            redraw = means is Meaning.STALE
            card = card_states.hung_card(connection, button.delivery_id, redraw=redraw, now=now)
        return Decision(
            toast=meaning_toast(means),
            card=None if means is Meaning.EMPTY else card,
            begun=means is Meaning.BEGIN,
            delivery_id=button.delivery_id,
        )

    def _lever(self, connection: Connection, click: Click) -> Lever | None:
        return digest_panels.pulled(connection, click.ref, book=self._parts.book) if click.ref else None

    def _decide_on_board(self, connection: Connection, click: Click, lever: Lever, now: int) -> Decision:
        if lever.action is Action.ONE:
            return self._decide_chosen(connection, click, lever, now)
        pull = panel_click.pull(connection, click, lever, operators=self._parts.operators, now=now)
        card = None
        if pull.show:
            card = card_states.hung_card(connection, lever.delivery_id, redraw=True, now=now)
        return Decision(toast=pull.toast, card=card, begun=pull.begun, delivery_id=lever.delivery_id)

    def _decide_chosen(self, connection: Connection, click: Click, lever: Lever, now: int) -> Decision:
        """The chosen account's own button decides, as if it had been pressed; it must hang on the same card."""
        if not click.option:
            return Decision(toast=board_toast(Said.CHOOSE))
        chosen = buttons.pressed(connection, click.option, book=self._parts.book, now=now)
        if chosen is not None and chosen.button.delivery_id != lever.delivery_id:
            chosen = None
        if chosen is not None and batches.runs_on(connection, lever.delivery_id):
            return Decision(toast=board_toast(Said.BUSY))
        return self._decide_for(connection, click, chosen, now)

    def _order(self, click: Click, button: Button, role: Role, now: int) -> Order:
        return Order(
            order_id=f"rn-{uuid.uuid4().hex}",
            button=button,
            kinds=self._parts.offer.kinds,
            role=role,
            requested_by=click.open_id,
            click_key=click.key,
            now=now,
            wait_ms=ANSWER_FIRST_MS,
        )

    def _entries(
        self, click: Click, button: Button, means: Meaning, role: Role, begun: Withdrawal | None, now: int
    ) -> list[audit.Entry]:
        clicked = _entry(click, button, What.CLICK, means.value, now)
        if means is not Meaning.BEGIN or begun is None:
            return [clicked]
        ordered = replace(clicked, what=What.ORDER, outcome=f"requested as {role}", order_id=begun.order_id)
        return [ordered, clicked]

    def _refuse(
        self, connection: Connection, click: Click, button: Button | None, verdict: Verdict, now: int
    ) -> Decision:
        denied = verdict.denied or Denied.UNKNOWN_BUTTON
        audit.write(connection, _entry(click, button, What.DENIED, denied.value, now))
        log.warning("click.denied", extra={"why": denied, "open_id": click.open_id or None})
        ours = button is not None and button.message_id == click.message_id
        return Decision(
            toast=denied_toast(denied),
            delivery_id=button.delivery_id if button is not None and ours else None,
        )


def _entry(click: Click, button: Button | None, what: What, outcome: str, now: int) -> audit.Entry:
    return audit.Entry(
        at=now,
        what=what,
        actor=click.open_id,
        outcome=outcome,
        account_ref=button.account_ref if button else None,
        delivery_id=button.delivery_id if button else None,
        message_id=click.message_id or None,
    )

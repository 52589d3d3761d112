"""Handles a press of a card button: authorises it, places the order, and answers with a toast and the card.

The click, the order and the audit entry are stored in one transaction. The answer is sent after the commit and before
any call to Feishu.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.engine import Connection

from notifier import metrics
from notifier.cards.doctor_card import CardTestPress, judge_test_press, make_test_toast
from notifier.cards.preferences.language import keep_toast_language
from notifier.cards.render import Renderer
from notifier.cards.templating.builder import is_reference
from notifier.cards.withdrawal_text import PressReply, denied_toast, panel_toast, press_toast
from notifier.clock import Clock, to_millis
from notifier.domain.card_state import CardState, PostedCard
from notifier.domain.digest_panel import Action, PanelButton
from notifier.domain.event import Click, Event
from notifier.domain.money import describe_amounts
from notifier.domain.notice import Notice
from notifier.domain.preferences.button import is_settings_ref
from notifier.domain.preferences.choices import CardLanguage, Preferences
from notifier.domain.preferences.holding import HoldRules
from notifier.domain.route import AddressBook
from notifier.domain.withdrawal import (
    Button,
    DenialReason,
    PressOutcome,
    WithdrawOffer,
    authorise,
)
from notifier.flow.decision import Answer, Decision
from notifier.flow.preferences.press_settings import press_settings
from notifier.flow.withdrawals import panel_click
from notifier.flow.withdrawals.place_order import AuthorisedPress, PlacedOrder, judge_and_order
from notifier.store import audit, card_updates, inbox, notices
from notifier.store.audit import AuditAction
from notifier.store.cards import batches, buttons, card_states, digest_panels
from notifier.store.cards.buttons import PressedButton
from notifier.store.deliveries import delivery_admin
from notifier.store.engine.database import Database
from notifier.store.engine.writer import WriterClosed
from notifier.store.people import preferences

log = logging.getLogger(__name__)

_Press = tuple[Click, PressedButton | None]
"""A press, and the account button that it means. None: there is no such button."""

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
    hold_rules: HoldRules = field(default_factory=HoldRules)
    """The settings of quiet hours and chosen digests."""
    announce: Callable[[Connection], None] = lambda _connection: None
    """Called for the same in the transaction, so that the database wakes another process."""


class ClickHandler:
    """Answers presses. `accept` may be called from any thread."""

    def __init__(self, database: Database, deps: ClickDeps) -> None:
        self._database = database
        self._deps = deps
        self._accept = inbox.EventInserter(deps.clock, inbox.InboxState.DONE)
        self._render_pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="click")

    def accept(self, event: Event) -> "Future[Answer]":
        """Returns the answer for Feishu, available after the commit. It fails when the click could not be stored."""
        answer: Future[Answer] = Future()
        decided = self._database.write_many(self._decide_all, event, is_urgent=True)
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
        metrics.CLICKS.labels(decision.result).inc()
        if decision.request is not None:
            log.info("withdrawal.requested", extra=decision.request)
        metrics.EVENTS_REPEATED.inc(self._accept.take_repeated())
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
                    document["card"] = card if is_reference(card) else {"type": "raw", "data": card}
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
            self._database.write_many(card_updates.request_repeats, (delivery_id, now))
        except WriterClosed:
            log.info("click.received_late")

    def _decide_all(self, connection: Connection, events: Sequence[Event]) -> Sequence[Decision]:
        """Batch job: decides clicks. If one of them fails, each is decided alone."""
        with self._deps.renderer.using_texts():
            return self._decide_in_order(connection, events)

    def _decide_in_order(self, connection: Connection, events: Sequence[Event]) -> Sequence[Decision]:
        now = to_millis(self._deps.clock.now())
        self._accept(connection, events)
        clicks = [self._deps.read(event) for event in events]
        refs = {click.button_ref for click in clicks if click.button_ref}
        book = self._deps.address_book
        pressed = buttons.load_pressed_buttons(connection, refs, address_book=book, now=now)
        panel_buttons = digest_panels.load_panel_buttons(connection, refs - set(pressed), address_book=book)
        decisions: list[Decision] = []
        together: list[_Press] = []
        """Presses of account buttons that follow each other."""
        for click in clicks:
            panel_button = panel_buttons.get(click.button_ref)
            if panel_button is None and not _is_of_no_account(click):
                together.append((click, pressed.get(click.button_ref)))
                continue
            decisions += self._decide_for_accounts(connection, together, now)
            together = []
            decisions.append(
                self._decide_for_panel(connection, click, panel_button, now)
                if panel_button is not None
                else self._decide_for_person(connection, click, now)
            )
        decisions += self._decide_for_accounts(connection, together, now)
        chosen = preferences.load_preferences(connection, {click.open_id for click in clicks})
        decisions = [
            _in_language_of(chosen.get(click.open_id), each)
            for click, each in zip(clicks, decisions, strict=True)
        ]
        if any(each.wakes for each in decisions):
            self._deps.announce(connection)
        return decisions

    def _decide_for_accounts(
        self, connection: Connection, presses: Sequence[_Press], now: int
    ) -> list[Decision]:
        """Decides presses of account buttons, or of accounts selected on a digest card."""
        authorizations = [
            authorise(click, pressed.button if pressed else None, operators=self._deps.operators, now=now)
            for click, pressed in presses
        ]
        authorised = {
            index: AuthorisedPress(
                pressed=pressed, role=found.role, requested_by=click.open_id, click_key=click.key
            )
            for index, ((click, pressed), found) in enumerate(zip(presses, authorizations, strict=True))
            if pressed is not None and found.role is not None
        }
        judged = judge_and_order(
            connection,
            list(authorised.values()),
            kinds=self._deps.withdraw_offer.kinds,
            now=now,
            wait_ms=ANSWER_FIRST_MS,
        )
        placed = dict(zip(authorised, judged, strict=True))
        cards = self._load_cards(
            connection, {index: (press, placed[index]) for index, press in authorised.items()}, now
        )
        entries: list[audit.AuditEntry] = []
        decisions = []
        for index, (click, pressed) in enumerate(presses):
            if index in authorised:
                press = authorised[index]
                entries += self._entries(click, press, placed[index], now)
                decisions.append(_answer_press(press, placed[index], cards.get(index)))
            else:
                button = pressed.button if pressed else None
                denial_reason = authorizations[index].denial_reason or DenialReason.UNKNOWN_BUTTON
                entries.append(_entry(click, button, AuditAction.DENIED, denial_reason.value, now))
                decisions.append(self._refuse(connection, click, button, denial_reason, now))
        if entries:
            audit.add_entries(connection, *entries)
        return decisions

    def _load_cards(
        self, connection: Connection, judged: Mapping[int, tuple[AuthorisedPress, PlacedOrder]], now: int
    ) -> dict[int, PostedCard]:
        """The cards of the answers, by the keys of judged. Most are built from what the press has already loaded."""
        own = {
            index: press for index, (press, placed) in judged.items() if _shows_own_withdrawal(press, placed)
        }
        shown = notices.load_notices(connection, [press.pressed.button.delivery_id for press in own.values()])
        stale = {index for index, (_, placed) in judged.items() if placed.outcome is PressOutcome.STALE}
        offers = {
            (press.pressed.button.delivery_id, press.pressed.button.account_ref): placed.offer_on(
                press.pressed.button.delivery_id, press.pressed.button.account_ref
            )
            for index, (press, placed) in judged.items()
            if index in stale and press.pressed.is_in_list
        }
        digest_panels.renew_buttons(connection, list(offers.values()), now=now)
        deliveries = {index: press.pressed.button.delivery_id for index, (press, _) in judged.items()}
        renewed, others = (
            self._load_posted_cards(
                connection,
                sorted(
                    {deliveries[index] for index in judged if index not in own and (index in stale) is renews}
                ),
                renew_button=renews,
                now=now,
            )
            for renews in (True, False)
        )
        cards: dict[int, PostedCard] = {}
        for index, (press, placed) in judged.items():
            if index in own:
                cards[index] = _to_card(press, placed, shown.get(deliveries[index], ()))
            elif (card := (renewed if index in stale else others).get(deliveries[index])) is not None:
                cards[index] = card
        return cards

    def _load_posted_cards(
        self, connection: Connection, delivery_ids: Sequence[int], *, renew_button: bool, now: int
    ) -> dict[int, PostedCard]:
        return card_states.load_posted_cards(
            connection,
            delivery_ids,
            withdraw_offer=self._deps.withdraw_offer,
            address_book=self._deps.address_book,
            hold_rules=self._deps.hold_rules,
            renew_button=renew_button,
            now=now,
        )

    def _decide_for_person(self, connection: Connection, click: Click, now: int) -> Decision:
        """Decides a press on a settings card or on the test card of `notifier doctor`."""
        if is_settings_ref(click.button_ref):
            return press_settings(connection, click, self._deps.hold_rules, now=now)
        test_press = judge_test_press(click.button_ref, click.open_id)
        return _answer_test(connection, click, test_press or CardTestPress.OTHER_PERSON, now)

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
            cards = self._load_posted_cards(connection, [button.delivery_id], renew_button=True, now=now)
            card = cards.get(button.delivery_id)
        return Decision(
            toast=press.toast,
            card=card,
            wakes=press.wakes,
            delivery_id=button.delivery_id,
            result=press.result,
        )

    def _decide_chosen(self, connection: Connection, click: Click, button: PanelButton, now: int) -> Decision:
        """Decides as if the selected account's own button had been pressed. It must be on the same card."""
        if not click.option:
            return Decision(toast=panel_toast(PressReply.CHOOSE), result=PressReply.CHOOSE.value)
        chosen = buttons.load_pressed_button(
            connection, click.option, address_book=self._deps.address_book, now=now
        )
        if chosen is not None and chosen.button.delivery_id != button.delivery_id:
            chosen = None
        if chosen is not None and batches.is_batch_running(connection, button.delivery_id):
            return Decision(toast=panel_toast(PressReply.BUSY), result=PressReply.BUSY.value)
        return self._decide_for_accounts(connection, [(click, chosen)], now)[0]

    def _entries(
        self,
        click: Click,
        press: AuthorisedPress,
        placed: PlacedOrder,
        now: int,
    ) -> list[audit.AuditEntry]:
        clicked = _entry(click, press.pressed.button, AuditAction.CLICK, placed.outcome.value, now)
        if placed.outcome is not PressOutcome.BEGIN or placed.withdrawal is None:
            return [clicked]
        ordered = replace(
            clicked,
            action=AuditAction.ORDER,
            outcome=f"requested as {press.role}: {describe_amounts(placed.withdrawal.agreed)}",
            order_id=placed.withdrawal.order_id,
        )
        return [ordered, clicked]

    def _refuse(
        self,
        connection: Connection,
        click: Click,
        button: Button | None,
        denial_reason: DenialReason,
        now: int,
    ) -> Decision:
        log.warning("click.denied", extra={"reason": denial_reason, "open_id": click.open_id or None})
        ours = button is not None and button.message_id == click.message_id
        is_unconfirmed = button is not None and denial_reason is DenialReason.UNCONFIRMED
        if button is not None and is_unconfirmed:
            delivery_admin.repeat_now(connection, button.delivery_id, now=now)
        return Decision(
            toast=denied_toast(denial_reason),
            wakes=is_unconfirmed,
            delivery_id=button.delivery_id if button is not None and ours else None,
            result=denial_reason.value,
        )


def _is_of_no_account(click: Click) -> bool:
    is_test = judge_test_press(click.button_ref, click.open_id) is not None
    return is_test or is_settings_ref(click.button_ref)


def _in_language_of(chosen: Preferences | None, decision: Decision) -> Decision:
    """The decision with the toast in the language that the person chose."""
    if chosen is None or chosen.language is CardLanguage.FEISHU:
        return decision
    return replace(decision, toast=keep_toast_language(decision.toast, chosen.language))


def _answer_test(connection: Connection, click: Click, press: CardTestPress, now: int) -> Decision:
    """`notifier doctor` waits for the audit entry, in another process."""
    if press is CardTestPress.EXPECTED:
        audit.add_entries(connection, _entry(click, None, AuditAction.TEST, click.button_ref, now))
    log.info("doctor.card_pressed", extra={"expected": press is CardTestPress.EXPECTED})
    return Decision(toast=make_test_toast(press), result="test")


def _shows_own_withdrawal(press: AuthorisedPress, placed: PlacedOrder) -> bool:
    """Whether the card shows the withdrawal of the press: then all its data is known."""
    return (
        placed.withdrawal is not None
        and press.pressed.button.withdrawal_count == placed.withdrawal_count
        and not press.pressed.is_digest
        and not (press.pressed.is_answer or press.pressed.was_held)
    )


def _to_card(press: AuthorisedPress, placed: PlacedOrder, card_notices: tuple[Notice, ...]) -> PostedCard:
    state = CardState(
        button_ref=press.pressed.button.button_ref, holdings=placed.holdings, withdrawal=placed.withdrawal
    )
    return card_states.to_posted_card(press.pressed, state, card_notices)


def _answer_press(press: AuthorisedPress, placed: PlacedOrder, card: PostedCard | None) -> Decision:
    button = press.pressed.button
    return Decision(
        toast=press_toast(placed.outcome, offered=button.amounts, available=placed.available),
        card=card,
        wakes=placed.outcome is PressOutcome.BEGIN,
        delivery_id=button.delivery_id,
        request=_describe_request(press, placed),
        result=placed.outcome.value,
    )


def _describe_request(press: AuthorisedPress, placed: PlacedOrder) -> dict[str, str] | None:
    if placed.outcome is not PressOutcome.BEGIN or placed.withdrawal is None:
        return None
    return {"event_key": press.click_key, "order_id": placed.withdrawal.order_id, "role": press.role}


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

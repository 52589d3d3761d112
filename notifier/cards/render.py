"""Rendering: notices become the content of a delivery. Fallback chain: full card, compact card, plain text."""

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Any, Protocol

from notifier import metrics
from notifier.cards.answers.answer_text import answer_card, answer_text, plain_answer
from notifier.cards.balance_text import account_id, balance_change_card
from notifier.cards.correction import CORRECTION, mark_correction
from notifier.cards.digest_text import digest_card
from notifier.cards.preferences.language import keep_language
from notifier.cards.preferences.settings_text import settings_card
from notifier.cards.templates import (
    ANSWER_TEMPLATES,
    BALANCE_TEMPLATES,
    DIGEST_TEMPLATES,
    PERSONAL_TEMPLATES,
    SETTINGS_TEMPLATES,
    WITHDRAWAL_TEMPLATES,
    CardTemplates,
)
from notifier.cards.templating.builder import is_reference
from notifier.cards.templating.texts import language_in_use, side_by_side, text
from notifier.cards.withdrawal_text import not_yours_any_more, panel, withdrawal_card
from notifier.clock import Clock, to_millis
from notifier.domain.account import Ownership
from notifier.domain.answers.answer import Answer
from notifier.domain.answers.answer_card import AnswerCard
from notifier.domain.card import BalanceChangeCard, Bilingual, WithdrawalCard, WithdrawalPanel
from notifier.domain.card_state import CardState, ClaimedDelivery, PostedCard, ReleasedBalance
from notifier.domain.delivery import CardVariant, Content
from notifier.domain.digest import Digest
from notifier.domain.digest_card import DigestCard
from notifier.domain.digest_panel import DigestPanel
from notifier.domain.notice import Notice
from notifier.domain.preferences.choices import CardLanguage
from notifier.domain.preferences.settings_card import SettingsCard
from notifier.domain.route import REFERRER
from notifier.domain.withdrawal import WithdrawOffer
from notifier.errors import TemplateBroken

log = logging.getLogger(__name__)


class Problem(Protocol):
    """One broken card rule, with the path of the element and a message for people."""

    @property
    def path(self) -> str:
        """Where the element is in the card."""

    @property
    def message(self) -> str:
        """What is wrong, for people."""


Check = Callable[[object, str], Sequence[Problem]]
"""Checks a card, given parsed and as compact JSON, against the known rules of Feishu. Empty: Feishu accepts it."""

Card = BalanceChangeCard | WithdrawalCard | DigestCard | AnswerCard | SettingsCard


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLines:
    """The operator's own texts on cards. None: empty."""

    contact: Bilingual | None = None
    """On reward and withdrawal cards: whom to ask."""
    payday: Bilingual | None = None
    """On the same cards: when payments are made."""
    payroll_contact: Bilingual | None = None
    """On HR's cards about a payout with a problem."""


class Renderer:
    """Renders cards and plain texts.

    zone: for times that Feishu cannot show in the reader's own time zone. per_minute: withdrawals per minute, to
    estimate the time of a batch. own_lines: the operator's own texts. has_settings: whether people may set preferences.
    """

    def __init__(
        self,
        templates: CardTemplates,
        *,
        check: Check,
        zone: tzinfo,
        clock: Clock,
        withdraw_offer: WithdrawOffer | None = None,
        per_minute: int = 90,
        own_lines: OwnLines | None = None,
        has_settings: bool = False,
    ) -> None:
        self._templates = templates
        self._per_minute = per_minute
        self._offer = withdraw_offer or WithdrawOffer()
        self._check = check
        self._zone = zone
        self._clock = clock
        self._own_lines = own_lines or OwnLines()
        self._has_settings = has_settings

    def using_texts(self) -> AbstractContextManager[None]:
        """Make toasts in the block with the company's texts."""
        return self._templates.using_texts()

    def content(self, claimed: ClaimedDelivery) -> Content:
        """Return the content in the delivery's variant, or the next lower one that can be rendered.

        Plain text can always be rendered.
        """
        with self._templates.using_texts(claimed.language):
            return self._content(claimed)

    def _content(self, claimed: ClaimedDelivery) -> Content:
        delivery = claimed.delivery
        if claimed.answer is not None and claimed.answer.kind.is_text:
            body = serialise({"text": answer_text(claimed.answer)})
            return Content(variant=delivery.variant, msg_type="text", body=body)
        card = self._shown(claimed, target=delivery.target, reroute=delivery.reroute_reason)
        is_correction = delivery.corrects is not None
        rendered, variant, fault = self._render_variant(
            card, delivery.variant, delivery_id=delivery.id, is_correction=is_correction
        )
        if rendered is None:
            shown = plain_text(card)
            body = serialise({"text": f"{side_by_side(CORRECTION)}\n{shown}" if is_correction else shown})
            return Content(variant=CardVariant.TEXT, msg_type="text", body=body, fault=fault)
        return Content(variant=variant, msg_type="interactive", body=rendered[1], fault=fault)

    def posted(self, posted: PostedCard) -> dict[str, Any] | None:
        """Return the current form of a posted card, in its variant or a lower one; None for plain text.

        A broken template is logged and the next lower variant is used, so it never raises TemplateBroken.
        """
        with self._templates.using_texts(posted.language):
            card = self._shown(posted, target=posted.target, reroute=posted.reroute_reason)
            if posted.has_other_referrer and not isinstance(card, SettingsCard):
                card = replace(card, withdrawal=not_yours_any_more())
            rendered = self._render_variant(
                card, posted.variant, delivery_id=posted.delivery_id, is_correction=posted.is_correction
            )[0]
        return None if rendered is None else rendered[0]

    def _shown(self, source: ClaimedDelivery | PostedCard, *, target: str, reroute: str | None) -> Card:
        if source.settings is not None:
            return settings_card(source.settings, now=to_millis(self._clock.now()))
        if source.answer is not None:
            return self.answer(source.answer, card_state=source.card_state)
        if source.digest is None:
            return self._card(
                source.notices,
                card_state=source.card_state,
                ownership=source.ownership,
                target=target,
                reroute=reroute,
                released=source.released,
            )
        return self.digest(
            source.digest,
            source.panel,
            card_state=source.card_state,
            ownership=source.ownership,
            account=account_id(source.account) if source.account else "",
            reroute=reroute,
        )

    def _render_variant(
        self, card: Card, start: CardVariant, *, delivery_id: int, is_correction: bool
    ) -> tuple[tuple[dict[str, Any], str] | None, CardVariant, str | None]:
        """The card with its JSON, and its variant, or None and TEXT; and the error of the higher variant, or None."""
        variant: CardVariant | None = start
        fault: str | None = None
        while variant is not None and variant is not CardVariant.TEXT:
            try:
                return self._checked(variant, card, is_correction=is_correction), variant, fault
            except TemplateBroken as error:
                metrics.CARDS_FAILED.inc()
                log.error(
                    "card.broken",
                    extra={"delivery_id": delivery_id, "variant": variant, "reason": str(error)},
                )
                fault, variant = str(error), variant.next_lower()
            except Exception as error:  # a template can hold anything; the next variant may still be right
                metrics.CARDS_FAILED.inc()
                log.exception("card.broken", extra={"delivery_id": delivery_id, "variant": variant})
                fault, variant = f"{type(error).__name__}: {error}", variant.next_lower()
        return None, CardVariant.TEXT, fault

    def _card(
        self,
        notices: Sequence[Notice],
        *,
        card_state: CardState | None,
        ownership: Ownership | None,
        target: str,
        reroute: str | None,
        released: ReleasedBalance | None = None,
    ) -> Card:
        audience = "referrer" if target == REFERRER and not reroute else "group"
        referrer = ownership.referrer if ownership else None
        panel = self._panel(card_state)
        if notices[-1].order_id is None or panel is None:
            card = balance_change_card(
                notices,
                audience=audience,
                referrer=referrer,
                zone=self._zone,
                reroute=reroute,
                released=released,
            )
            return replace(
                card, withdrawal=panel, contact=self._own_lines.contact, payday=self._own_lines.payday
            )
        shown = withdrawal_card(
            notices,
            now_shown=panel,
            audience=audience,
            referrer=referrer,
            reroute=reroute,
            asked_at=to_millis(self._clock.now()),
        )
        return replace(
            shown,
            contact=self._own_lines.contact,
            payday=self._own_lines.payday,
            payroll_contact=self._own_lines.payroll_contact,
        )

    def answer(self, answer: Answer, *, card_state: CardState | None = None) -> AnswerCard:
        """Return what the card of an answer shows. card_state: its withdrawal part now; None: it has none."""
        with self._templates.using_texts():
            card = answer_card(
                answer,
                withdrawal=self._panel(card_state),
                zone=self._zone,
                has_withdrawals=REFERRER in self._offer.targets,
                has_settings=self._has_settings,
            )
        return replace(card, contact=self._own_lines.contact, payday=self._own_lines.payday)

    def digest(
        self,
        digest: Digest,
        panel: DigestPanel | None = None,
        *,
        card_state: CardState | None = None,
        ownership: Ownership | None = None,
        account: str = "",
        reroute: str | None = None,
    ) -> DigestCard:
        """Return what a digest card shows. account: the account of a referrer's own digest; "" for a group."""
        with self._templates.using_texts():
            return digest_card(
                digest,
                panel or DigestPanel(),
                zone=self._zone,
                per_minute=self._per_minute,
                reroute=reroute,
                account=account,
                referrer=ownership.referrer if ownership else None,
                withdrawal=self._panel(card_state),
            )

    def _panel(self, card_state: CardState | None) -> WithdrawalPanel | None:
        if card_state is None:
            return None
        return panel(
            ref=card_state.button_ref,
            holdings=card_state.holdings,
            kinds=self._offer.kinds,
            withdrawal=card_state.withdrawal,
            payout=card_state.payout,
            is_superseded=card_state.is_superseded,
            is_deactivated=card_state.is_deactivated,
            zone=self._zone,
        )

    def card(self, variant: CardVariant, card: Card) -> dict[str, Any]:
        """Render a card in one variant. Raises TemplateBroken if it fails or the card breaks a rule."""
        return self._checked(variant, card)[0]

    def _checked(
        self, variant: CardVariant, card: Card, *, is_correction: bool = False
    ) -> tuple[dict[str, Any], str]:
        """The card and its JSON, which the check and the message share."""
        name = _templates_for(card)[CardVariant.FULL if variant is CardVariant.NO_MEDIA else variant]
        if variant is CardVariant.NO_MEDIA and isinstance(card, DigestCard):
            card = replace(card, chart=None)  # the texts beside the chart go with it
        rendered = self._templates.render(name, {"card": card})
        if variant is CardVariant.NO_MEDIA:
            rendered = without_pictures(rendered)
        if is_correction and not is_reference(rendered):
            rendered = mark_correction(rendered)
        if (language := language_in_use.get()) is not CardLanguage.FEISHU and not is_reference(rendered):
            rendered = keep_language(rendered, language)
        body = serialise(rendered)
        problems = [] if is_reference(rendered) else self._check(rendered, body)
        if problems:
            shown = "; ".join(f"{problem.path}: {problem.message}" for problem in problems[:5])
            raise TemplateBroken(f"{name}: Feishu would reject this card: {shown}")
        return rendered, body


PICTURES = frozenset({"chart", "img", "img_combination"})


def without_pictures(node: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the card JSON without its charts and images."""
    match node:
        case dict():
            return {name: without_pictures(value) for name, value in node.items()}
        case list():
            return [
                without_pictures(each)
                for each in node
                if not (isinstance(each, dict) and each.get("tag") in PICTURES)
            ]
        case _:
            return node


_COMPACT_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def serialise(document: object) -> str:
    """Return compact JSON. Chinese text stays readable."""
    return _COMPACT_JSON.encode(document)


def _templates_for(card: Card) -> dict[CardVariant, str]:
    if isinstance(card, SettingsCard):
        return SETTINGS_TEMPLATES
    if isinstance(card, AnswerCard):
        return ANSWER_TEMPLATES
    if isinstance(card, DigestCard):
        return PERSONAL_TEMPLATES if card.account_id else DIGEST_TEMPLATES
    return WITHDRAWAL_TEMPLATES if isinstance(card, WithdrawalCard) else BALANCE_TEMPLATES


def plain_text(card: Card) -> str:
    """Return the plain text variant: figures only, without names.

    It omits the configured lines, because Feishu may reject a message for its text and no lower variant exists.
    """
    if isinstance(card, SettingsCard):
        return _both("plain.settings")
    if isinstance(card, WithdrawalCard):
        rows = [_both("plain.withdrawal"), f"{_both('plain.account')} {card.account_id}"]
        rows += [_both(f"plain.alarm.{card.alarm}")] if card.alarm else []
        rows += _withdrawal_rows(card.withdrawal)
    elif isinstance(card, DigestCard):
        rows = _digest_rows(card)
    elif isinstance(card, AnswerCard):
        rows = plain_answer(card)
        rows += _withdrawal_rows(card.withdrawal) if card.withdrawal is not None else []
        return "\n".join(rows).replace("<", "＜").replace(">", "＞")
    else:
        rows = [
            _both("plain.balance"),
            f"{_both('plain.account')} {card.account_id}",
            *(f"{side_by_side(line.label)}: {_figures(line.delta, line.after)}" for line in card.lines),
            card.occurred_at_text,
        ]
        if card.withdrawal is not None and card.withdrawal.state != "offered":  # a text has no button
            rows += _withdrawal_rows(card.withdrawal)
    if card.reroute_reason:
        rows.append(_both("plain.rerouted"))
    return "\n".join(rows).replace("<", "＜").replace(">", "＞")


def _both(key: str) -> str:
    return side_by_side(text(key))


def _digest_rows(card: DigestCard) -> list[str]:
    rows = [f"{_both('plain.digest')} {card.name} {card.period.en}"]
    rows += [] if card.adds_up else [_both("plain.unbalanced")]
    rows += [f"{_both('plain.correction')} {card.correction}"] if card.correction else []
    rows += [f"{_both('plain.late')} {card.late_text}"] if card.late_text else []
    rows += [_both("plain.open")] if card.until_text else []
    rows += [f"{_both('plain.account')} {card.account_id}"] if card.account_id else []
    rows += [
        f"{side_by_side(flow.label)}: {flow.balance} ({flow.net}"
        + (f", {_both('plain.later')} {flow.later})" if flow.later else ")")
        for flow in card.flows
    ]
    return [*rows, f"{_both('plain.balances_as_of')} {card.created_at_text}"]


def _withdrawal_rows(panel: WithdrawalPanel) -> list[str]:
    rows = [_both(f"plain.state.{panel.state}")]
    rows += [f"{side_by_side(each.label)}: {each.text}" for each in panel.amounts]
    return [*rows, f"{_both('plain.order')} {panel.order_id}"] if panel.order_id else rows


def _figures(delta: str | None, after: str) -> str:
    balance = f"{_both('plain.balance_after')} {after}"
    return f"{delta} · {balance}" if delta else balance

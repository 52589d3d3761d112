"""Render: notices -> what a delivery says. The ladder: full card, compact card, plain text; never silence."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Any, Protocol

from notifier.cards.balance_text import account_id, balance_change_card
from notifier.cards.digest_text import digest_card
from notifier.cards.templates import (
    BALANCE_TEMPLATES,
    DIGEST_TEMPLATES,
    PERSONAL_TEMPLATES,
    WITHDRAWAL_TEMPLATES,
    CardTemplates,
)
from notifier.cards.withdrawal_text import not_yours_any_more, panel, withdrawal_card
from notifier.clock import Clock, to_millis
from notifier.domain.account import Ownership
from notifier.domain.card import BalanceChangeCard, WithdrawalCard, WithdrawalPanel
from notifier.domain.card_state import CardState, ClaimedDelivery, PostedCard
from notifier.domain.delivery import CardVariant, Content
from notifier.domain.digest import Digest
from notifier.domain.digest_card import DigestCard
from notifier.domain.digest_panel import DigestPanel
from notifier.domain.notice import Notice
from notifier.domain.route import REFERRER
from notifier.domain.withdrawal import WithdrawOffer
from notifier.errors import TemplateBroken

log = logging.getLogger(__name__)


class Problem(Protocol):
    """What a card check finds; shown to a person."""

    @property
    def path(self) -> str: ...
    @property
    def message(self) -> str: ...


Check = Callable[[object], Sequence[Problem]]
"""Whether Feishu would take a card, as far as we know its rules. Empty: it would."""

Card = BalanceChangeCard | WithdrawalCard | DigestCard


class Renderer:
    """zone: for the places where Feishu cannot show the reader's own. per_minute: withdrawals, to say how long many of
    them take.
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
    ) -> None:
        self._templates = templates
        self._per_minute = per_minute
        self._offer = withdraw_offer or WithdrawOffer()
        self._check = check
        self._zone = zone
        self._clock = clock

    def content(self, claimed: ClaimedDelivery) -> Content:
        """From the delivery's rung downwards, the first that can be made. Plain text always can."""
        delivery = claimed.delivery
        card = self._shown(claimed, target=delivery.target, reroute=delivery.reroute_reason)
        made, variant, fault = self._render_variant(card, delivery.variant, delivery_id=delivery.id)
        if made is None:
            body = serialise({"text": plain_text(card)})
            return Content(variant=CardVariant.TEXT, msg_type="text", body=body, fault=fault)
        return Content(variant=variant, msg_type="interactive", body=serialise(made), fault=fault)

    def posted(self, posted: PostedCard) -> dict[str, Any] | None:
        """The card as it should look now, on its rung or below; None for what is no card. Never raises for a
        template at fault: the simpler one is taken.
        """
        card = self._shown(posted, target=posted.target, reroute=posted.reroute_reason)
        if posted.has_other_referrer:
            card = replace(card, withdrawal=not_yours_any_more())
        return self._render_variant(card, posted.variant, delivery_id=posted.delivery_id)[0]

    def _shown(self, what: ClaimedDelivery | PostedCard, *, target: str, reroute: str | None) -> Card:
        if what.digest is None:
            return self._card(
                what.notices,
                card_state=what.card_state,
                ownership=what.ownership,
                target=target,
                reroute=reroute,
            )
        return self.digest(
            what.digest,
            what.panel,
            card_state=what.card_state,
            ownership=what.ownership,
            account=account_id(what.account) if what.account else "",
            reroute=reroute,
        )

    def _render_variant(
        self, card: Card, start: CardVariant, *, delivery_id: int
    ) -> tuple[dict[str, Any] | None, CardVariant, str | None]:
        """The card and its rung, or None and plain text; with what was wrong with a better one."""
        variant: CardVariant | None = start
        fault: str | None = None
        while variant is not None and variant is not CardVariant.TEXT:
            try:
                return self.card(variant, card), variant, fault
            except TemplateBroken as error:
                log.error(
                    "card.broken",
                    extra={"delivery_id": delivery_id, "variant": variant, "reason": str(error)},
                )
                fault, variant = str(error), variant.next_lower()
        return None, CardVariant.TEXT, fault

    def _card(
        self,
        notices: Sequence[Notice],
        *,
        card_state: CardState | None,
        ownership: Ownership | None,
        target: str,
        reroute: str | None,
    ) -> Card:
        audience = "referrer" if target == REFERRER and not reroute else "group"
        referrer = ownership.referrer if ownership else None
        panel = self._panel(card_state)
        if notices[-1].order_id is None or panel is None:
            card = balance_change_card(
                notices, audience=audience, referrer=referrer, zone=self._zone, reroute=reroute
            )
            return replace(card, withdrawal=panel)
        return withdrawal_card(
            notices,
            now_shown=panel,
            audience=audience,
            referrer=referrer,
            reroute=reroute,
            asked_at=to_millis(self._clock.now()),
        )

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
        """account: whose own it is; "" for a group's."""
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
            zone=self._zone,
        )

    def card(self, variant: CardVariant, card: Card) -> dict[str, Any]:
        """Raises TemplateBroken when the template fails or its card breaks a rule of Feishu."""
        name = _templates_for(card)[CardVariant.FULL if variant is CardVariant.NO_MEDIA else variant]
        rendered = self._templates.render(name, {"card": card})
        if variant is CardVariant.NO_MEDIA:
            rendered = without_pictures(rendered)
        problems = self._check(rendered)
        if problems:
            shown = "; ".join(f"{problem.path}: {problem.message}" for problem in problems[:5])
            raise TemplateBroken(f"{name}: Feishu would refuse this card: {shown}")
        return rendered


PICTURES = frozenset({"chart", "img", "img_combination"})


def without_pictures(node: Any) -> Any:  # noqa: ANN401 - JSON
    """The same card without its charts and images."""
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


def serialise(document: object) -> str:
    """As short as JSON gets; Chinese stays readable."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


STATES = {
    "offered": "可提现 / Available to withdraw",
    "processing": "提现处理中 / Withdrawal in progress",
    "withdrawn": "已提现，等待打款 / Withdrawn, payment follows",
    "sent": "打款处理中 / Payment on its way",
    "paid": "已打款 / Paid",
    "failed": "打款失败 / Payment failed",
    "nothing": "没有可提现的余额 / Nothing to withdraw",
    "refused": "提现未成功 / Withdrawal failed",
}
"""What plain text says of a withdrawal."""

ALARMS = {
    "late": "提现后长时间未打款，请处理 / Withdrawn, but not paid for days: please see to it",
    "dead": "打款系统未接收，请处理 / The paying system did not take it: please see to it",
}


def _templates_for(card: Card) -> dict[CardVariant, str]:
    if isinstance(card, DigestCard):
        return PERSONAL_TEMPLATES if card.account_id else DIGEST_TEMPLATES
    return WITHDRAWAL_TEMPLATES if isinstance(card, WithdrawalCard) else BALANCE_TEMPLATES


def plain_text(card: Card) -> str:
    """The last rung: figures only, no names, nothing that could be refused or become a mention."""
    if isinstance(card, WithdrawalCard):
        rows = ["内推奖励提现 / Referral reward withdrawal", f"账户 / Account {card.account_id}"]
        rows += [ALARMS[card.alarm]] if card.alarm else []
        rows += _withdrawal_rows(card.withdrawal)
    elif isinstance(card, DigestCard):
        rows = _digest_rows(card)
    else:
        rows = [
            "内推奖励变动 / Referral reward update",
            f"账户 / Account {card.account_id}",
            *(
                f"{line.label.zh} / {line.label.en}: {_figures(line.delta, line.after)}"
                for line in card.lines
            ),
            card.occurred_at_text,
        ]
        if card.withdrawal is not None and card.withdrawal.state != "offered":  # a text has no button
            rows += _withdrawal_rows(card.withdrawal)
    if card.reroute_reason:
        rows.append("未能送达原定接收人 / The intended recipient could not be reached")
    return "\n".join(rows).replace("<", "＜").replace(">", "＞")


def _digest_rows(card: DigestCard) -> list[str]:
    rows = [f"内推奖励摘要 / Referral rewards digest {card.name} {card.period.en}"]
    rows += [] if card.adds_up else ["账目不平，请联系管理员 / The books do not agree; ask the administrator"]
    rows += [f"更正 / Correction {card.correction}"] if card.correction else []
    rows += [f"补发，原定 / Late, due at {card.late_text}"] if card.late_text else []
    rows += [f"截至 / Up to {card.until_text}"] if card.until_text else []
    rows += [f"账户 / Account {card.account_id}"] if card.account_id else []
    rows += [
        f"{flow.label.zh} / {flow.label.en}: {flow.opening} → {flow.closing} ({flow.net})"
        for flow in card.flows
    ]
    return [*rows, card.created_at_text]


def _withdrawal_rows(panel: WithdrawalPanel) -> list[str]:
    rows = [STATES[panel.state]]
    rows += [f"{each.label.zh} / {each.label.en}: {each.text}" for each in panel.amounts]
    return [*rows, f"订单号 / Order {panel.order_id}"] if panel.order_id else rows


def _figures(delta: str | None, after: str) -> str:
    return f"{delta} → {after}" if delta else after

"""Render: notices -> what a delivery says. The ladder: full card, compact card, plain text; never silence."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Any, Protocol

from notifier.domain.card import BalanceChangeCard, WithdrawalPanel
from notifier.domain.delivery import Content, Rung
from notifier.domain.offer import Offer
from notifier.domain.route import REFERRER
from notifier.errors import TemplateBroken
from notifier.flow.templates import TEMPLATES, CardTemplates
from notifier.flow.withdrawal_wording import panel
from notifier.flow.wording import balance_change_card
from notifier.store.faces import Face, HungCard
from notifier.store.outbox import Claimed

log = logging.getLogger(__name__)


class Problem(Protocol):
    """What a card check finds; shown to a person."""

    @property
    def path(self) -> str: ...
    @property
    def message(self) -> str: ...


Check = Callable[[object], Sequence[Problem]]
"""Whether Feishu would take a card, as far as we know its rules. Empty: it would."""


class Renderer:
    """zone: for the places where Feishu cannot show the reader's own."""

    def __init__(
        self, templates: CardTemplates, *, check: Check, zone: tzinfo, offer: Offer | None = None
    ) -> None:
        self._templates = templates
        self._offer = offer or Offer()
        self._check = check
        self._zone = zone

    def content(self, claimed: Claimed) -> Content:
        """From the delivery's rung downwards, the first that can be made. Plain text always can."""
        delivery = claimed.delivery
        card = balance_change_card(
            claimed.told,
            audience="referrer" if delivery.target == REFERRER and not delivery.reroute_reason else "group",
            referrer=claimed.owner.referrer if claimed.owner else None,
            zone=self._zone,
            reroute=delivery.reroute_reason,
        )
        card = replace(card, withdrawal=self._panel(claimed.face))
        rung: Rung | None = delivery.rung
        fault: str | None = None
        while rung is not None and rung is not Rung.TEXT:
            try:
                body = serialise(self.card(rung, card))
            except TemplateBroken as error:
                log.error(
                    "card.broken", extra={"delivery_id": delivery.id, "rung": rung, "reason": str(error)}
                )
                fault, rung = str(error), rung.below()
            else:
                return Content(rung=rung, msg_type="interactive", body=body, fault=fault)
        return Content(
            rung=Rung.TEXT, msg_type="text", body=serialise({"text": plain_text(card)}), fault=fault
        )

    def hung(self, hung: HungCard) -> dict[str, Any] | None:
        """The card as it should look now, on its rung or below; None for what is no card. Never raises for a
        template at fault: the simpler one is taken.
        """
        card = balance_change_card(
            hung.told,
            audience="referrer" if hung.target == REFERRER and not hung.reroute_reason else "group",
            referrer=hung.owner.referrer if hung.owner else None,
            zone=self._zone,
            reroute=hung.reroute_reason,
        )
        card = replace(card, withdrawal=self._panel(hung.face))
        rung: Rung | None = hung.rung
        while rung is not None and rung is not Rung.TEXT:
            try:
                return self.card(rung, card)
            except TemplateBroken as error:
                log.error("card.broken", extra={"delivery_id": hung.delivery_id, "reason": str(error)})
                rung = rung.below()
        return None

    def _panel(self, face: Face | None) -> WithdrawalPanel | None:
        if face is None:
            return None
        return panel(
            ref=face.ref,
            holdings=face.holdings,
            kinds=self._offer.kinds,
            withdrawal=face.withdrawal,
            zone=self._zone,
        )

    def card(self, rung: Rung, card: BalanceChangeCard) -> dict[str, Any]:
        """Raises TemplateBroken when the template fails or its card breaks a rule of Feishu."""
        name = TEMPLATES[rung]
        rendered = self._templates.render(name, {"card": card})
        problems = self._check(rendered)
        if problems:
            shown = "; ".join(f"{problem.path}: {problem.message}" for problem in problems[:5])
            raise TemplateBroken(f"{name}: Feishu would refuse this card: {shown}")
        return rendered


def serialise(document: object) -> str:
    """As short as JSON gets; Chinese stays readable."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def plain_text(card: BalanceChangeCard) -> str:
    """The last rung: figures only, no names, nothing that could be refused or become a mention."""
    rows = [
        "内推奖励变动 / Referral reward update",
        f"账户 / Account {card.account_id}",
        *(f"{line.label.zh} / {line.label.en}: {_figures(line.delta, line.after)}" for line in card.lines),
        card.occurred_at_text,
    ]
    if card.reroute_reason:
        rows.append("未能送达原定接收人 / The intended recipient could not be reached")
    return "\n".join(rows).replace("<", "＜").replace(">", "＞")


def _figures(delta: str | None, after: str) -> str:
    return f"{delta} → {after}" if delta else after

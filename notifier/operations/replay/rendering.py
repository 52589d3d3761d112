"""Rendering of a replay: a stored card as it would be sent today. Only reads."""

from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection

from notifier.clock import Clock, Millis
from notifier.config.settings import Config
from notifier.domain.card_state import ClaimedDelivery
from notifier.domain.delivery import Content, DeliveryState
from notifier.operations.language import localized
from notifier.runtime.factories import make_address_book, make_renderer, make_withdraw_offer
from notifier.store.cards import card_states, digest_panels
from notifier.store.deliveries.corrections import CorrectionDelivery, StoredCard, find_correction

PLACEHOLDER = "button-id-set-when-sent"
"""In place of the ids of buttons, in both cards: an id is created when its card is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedCard:
    """One delivery: what was sent then, and what would be sent now."""

    stored: StoredCard
    """The delivery."""
    after: Content | None
    """What would be sent now; None: nothing can be rendered."""
    obstacle: str = ""
    """Why nothing can be rendered, for the operator; "": it can."""
    correction: CorrectionDelivery | None = None
    """The delivery that already replaced this card; None: none did."""

    @property
    def before(self) -> Content | None:
        """What was sent then; None: it is not stored."""
        return self.stored.content

    @property
    def sent_at(self) -> Millis | None:
        """When Feishu accepted the message, Unix milliseconds; None: it did not."""
        return self.stored.changed_at if self.stored.delivery.state is DeliveryState.SENT else None


def replay_card(connection: Connection, stored: StoredCard, config: Config, clock: Clock) -> ReplayedCard:
    """Render a stored delivery again with the templates of the configuration."""
    correction = find_correction(connection, stored.delivery.id)
    obstacle = _find_obstacle(stored)
    if obstacle:
        return ReplayedCard(stored=stored, after=None, obstacle=obstacle, correction=correction)
    after = make_renderer(config, clock).content(_with_card_state(connection, stored, config))
    return ReplayedCard(stored=stored, after=after, correction=correction)


def _find_obstacle(stored: StoredCard) -> str:
    delivery = stored.delivery
    if delivery.file_id is not None:
        return localized(
            "This delivery is the CSV file of a digest, not a card.", "该投递是摘要的 CSV 文件，不是卡片。"
        )
    if delivery.run_id is not None and stored.source.digest is None:
        return localized(
            "The figures of this digest are no longer stored (retention.deliveries_days).",
            "该摘要的数据已不再保存（retention.deliveries_days）。",
        )
    if delivery.answer_id is not None:
        answer = stored.source.answer
        if answer is None or not answer.kind.is_text:
            return ""
        return localized(
            "This delivery is a text in reply to a question, not a card.",
            "该投递是对提问的文字回复，不是卡片。",
        )
    if delivery.run_id is None and not stored.source.notices:
        return localized(
            "The notices of this delivery are no longer stored (retention.deliveries_days).",
            "该投递的通知已不再保存（retention.deliveries_days）。",
        )
    return ""


def _with_card_state(connection: Connection, stored: StoredCard, config: Config) -> ClaimedDelivery:
    """Add the state of the card as a new one would get it, with a placeholder for its buttons."""
    source, delivery = stored.source, stored.delivery
    offer = make_withdraw_offer(config)
    audience = card_states.get_audience(
        delivery.target, delivery.receive_id_type, delivery.receive_id, make_address_book(config)
    )
    if delivery.order_id is not None:
        states = card_states.load_order_card_states(connection, [delivery.order_id])
        return replace(source, card_state=states.get(delivery.order_id))
    if audience is None:
        return source
    if delivery.account_ref is not None and stored.account is not None:
        card = card_states.NewCard(
            delivery_id=delivery.id, account_ref=delivery.account_ref, audience=audience
        )
        planned = card_states.plan_card_states(
            connection, [card], {delivery.account_ref: stored.account}, withdraw_offer=offer
        )
        return replace(source, card_state=replace(planned[0][1], button_ref=PLACEHOLDER) if planned else None)
    digest = source.digest
    if digest is None or not digest.offers_withdrawal:
        return source
    holders = [each for each in digest.holders if offer.is_for(audience, each.amounts)]
    panel = digest_panels.plan_panel(connection, holders, kinds=offer.kinds, placeholder=PLACEHOLDER)
    return replace(source, panel=panel)

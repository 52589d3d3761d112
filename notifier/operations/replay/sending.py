"""Sending: a replayed card as a correction, in the chat of the card that it replaces."""

import getpass
import json
from collections.abc import Sequence
from functools import partial

from notifier.cards.templating.builder import is_reference
from notifier.clock import Clock, to_millis
from notifier.config.settings import Config
from notifier.domain.delivery import Content, DeliveryState
from notifier.operations.language import localized
from notifier.operations.replay.comparison import CardComparison
from notifier.operations.replay.rendering import ReplayedCard
from notifier.runtime.factories import make_address_book
from notifier.store.deliveries import corrections
from notifier.store.deliveries.corrections import CorrectionDelivery
from notifier.store.engine.database import Database


def find_refusal(card: ReplayedCard, comparison: CardComparison, config: Config) -> str:
    """Return why this card cannot be corrected, for the operator; "": it can, or it already was."""
    if card.correction is not None:
        return ""
    if card.after is None:
        return card.obstacle
    delivery = card.stored.delivery
    if delivery.state is not DeliveryState.SENT:
        return localized(
            f"Delivery {delivery.id} is {delivery.state}, so there is no card to correct. `notifier deliveries retry` "
            "sends dead and unknown deliveries again, with today's templates.",
            f"投递 {delivery.id} 的状态为 {delivery.state}，没有可更正的卡片。`notifier deliveries retry` 会用现在的"
            "模板重新发送 dead 和 unknown 的投递。",
        )
    if card.after.fault:
        return localized(
            f"Today's templates cannot render the full card: {card.after.fault}",
            f"现在的模板无法生成完整版卡片：{card.after.fault}",
        )
    if comparison.is_same:
        return localized(
            f"Delivery {delivery.id}: the card would be the same.", f"投递 {delivery.id}：卡片没有变化。"
        )
    return _find_mark_problem(card.after, delivery.id) or _find_recipient_problem(card, config)


def _find_mark_problem(after: Content, delivery_id: int) -> str:
    """Nothing can be written on a card that is published in the card builder."""
    if not is_reference(json.loads(after.body)):
        return ""
    return localized(
        f"Delivery {delivery_id}: today's card is a published one of the card builder, which cannot be marked as a "
        "correction.",
        f"投递 {delivery_id}：现在的卡片是搭建工具中已发布的卡片，无法标注为更正。",
    )


def _find_recipient_problem(card: ReplayedCard, config: Config) -> str:
    """A correction goes to the chat of the earlier card, so that chat must still be the right one."""
    delivery = card.stored.delivery
    if delivery.answer_id is not None:
        return localized(
            f"Delivery {delivery.id} answers a question. An answer is not corrected: the person can ask again.",
            f"投递 {delivery.id} 是对提问的回复。回复不会更正，本人可以重新提问。",
        )
    if delivery.receive_id_type == "chat_id":
        if make_address_book(config).group_at(delivery.receive_id) is None:
            return localized(
                f"The configuration no longer has the group {delivery.receive_id}.",
                f"配置中已没有群 {delivery.receive_id}。",
            )
        return ""
    ownership = card.stored.source.ownership
    referrer = ownership.referrer if ownership else None
    if referrer is None or referrer.open_id != delivery.receive_id:
        return localized(
            f"{delivery.receive_id} is no longer the referrer of the account.",
            f"{delivery.receive_id} 已不是该账户的内推人。",
        )
    return ""


def send_corrections(
    database: Database, cards: Sequence[ReplayedCard], clock: Clock
) -> list[CorrectionDelivery]:
    """Queue a correction of each card, once. The running notifier sends them. Returns them in order."""
    work = partial(
        corrections.create_corrections,
        originals=[card.stored.delivery for card in cards],
        requested_by=_login_name(),
        now=to_millis(clock.now()),
    )
    return database.write(work).result()


def _login_name() -> str:
    try:
        return getpass.getuser()[:32]
    except (KeyError, OSError):  # a container without a name for its user
        return "an unnamed user"


def describe_sent(card: ReplayedCard, sent: CorrectionDelivery) -> str:
    """Return what happened to a correction, for the operator."""
    delivery = card.stored.delivery
    if sent.is_new:
        return localized(
            f"Delivery {sent.id} replaces the card of delivery {delivery.id}. The running notifier sends it.",
            f"投递 {sent.id} 将更正投递 {delivery.id} 的卡片，由运行中的服务发送。",
        )
    return localized(
        f"Delivery {sent.id} ({sent.state}) already replaces the card of delivery {delivery.id}; nothing is sent. "
        f"`notifier replay delivery:{sent.id}` compares that one.",
        f"投递 {sent.id}（{sent.state}）已更正投递 {delivery.id} 的卡片，不再发送。"
        f"`notifier replay delivery:{sent.id}` 可比较该投递。",
    )

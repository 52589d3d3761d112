"""Finding: which deliveries an event or a delivery id stands for, or why there is nothing to render."""

from dataclasses import dataclass

from sqlalchemy.engine import Connection

from notifier.config.settings import Config
from notifier.domain.delivery import DeliveryState
from notifier.domain.event import BALANCE_CHANGED, CARD_CLICKED, READINGS, Event
from notifier.errors import ConfigError, Quarantined
from notifier.feishu.wire import read_balance_report, read_event
from notifier.flow.events.apply_events import make_notice_key
from notifier.operations.language import localized
from notifier.store import inbox
from notifier.store.deliveries import corrections
from notifier.store.deliveries.corrections import StoredCard
from notifier.store.inbox import InboxState, StoredEvent

EVENT, DELIVERY = "event", "delivery"
LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCards:
    """What an id stands for."""

    cards: tuple[StoredCard, ...] = ()
    """The deliveries, oldest first."""
    event: StoredEvent | None = None
    """The event; None: the id is the one of a delivery."""
    reason: str = ""
    """Why there is nothing to render, for the operator; "": there are cards."""


def find_cards(connection: Connection, identifier: str, config: Config) -> FoundCards | None:
    """Find the cards of an event or a delivery; None if there is neither. Only reads.

    identifier: `event:ID`, `event:KEY`, `delivery:ID`, the key of an event, or an id. Raises ConfigError for an id
    that an event and a delivery with different cards share.
    """
    kind, _, rest = identifier.partition(":")
    if kind == DELIVERY and rest:
        return _find_delivery(connection, rest)
    if kind == EVENT and rest:
        return _find_event(connection, rest, config)
    event = _find_event(connection, identifier, config)
    delivery = _find_delivery(connection, identifier)
    if event is None or delivery is None:
        return event or delivery
    if [each.delivery.id for each in event.cards] == [each.delivery.id for each in delivery.cards]:
        return event
    raise ConfigError(
        localized(
            f"{identifier} is the id of an event and of a delivery. Write event:{identifier} or delivery:{identifier}.",
            f"{identifier} 既是事件编号，也是投递编号。请写 event:{identifier} 或 delivery:{identifier}。",
        )
    )


def _read_id(text: str) -> int | None:
    is_number = text.isascii() and text.isdigit() and len(text) <= 19
    return int(text) if is_number and int(text) <= LARGEST_ID else None


def _find_delivery(connection: Connection, text: str) -> FoundCards | None:
    number = _read_id(text)
    card = None if number is None else corrections.load_card(connection, number)
    return None if card is None else FoundCards(cards=(card,))


def _find_event(connection: Connection, text: str, config: Config) -> FoundCards | None:
    number = _read_id(text)
    event = None if number is None else inbox.get_event(connection, number)
    if event is None:
        event = inbox.find_event(connection, text, app_id=config.feishu.app_id)
    if event is None:
        return None
    reason = _explain_state(event)
    if reason:
        return FoundCards(event=event, reason=reason)
    ids, reason = _list_deliveries(connection, event, config)
    loaded = (corrections.load_card(connection, each) for each in ids)
    # A delivery that was rerouted did not arrive. Its replacement is in the list.
    cards = tuple(each for each in loaded if each is not None and not _is_rerouted(each))
    return FoundCards(cards=cards, event=event, reason=reason)


def _is_rerouted(card: StoredCard) -> bool:
    return card.delivery.state is DeliveryState.REROUTED


def _explain_state(event: StoredEvent) -> str:
    """Why this event has no card, as far as its state and type say so; "" if it may have one."""
    if event.event_type == CARD_CLICKED:
        return localized(
            "This is a press of a button (card.action.trigger), which creates no card. `notifier audit` shows what it "
            "led to.",
            "这是一次按钮点击（card.action.trigger），不会产生卡片。结果见 `notifier audit`。",
        )
    if event.state == InboxState.QUARANTINED:
        return localized(
            f"This event is quarantined, so it has no card: {event.reason}. `notifier events retry {event.id}` "
            "processes it again.",
            f"该事件已隔离，没有卡片：{event.reason}。`notifier events retry {event.id}` 可重新处理。",
        )
    if event.state == InboxState.IGNORED:
        return localized(
            f"This event was ignored, so it has no card: {event.reason}.",
            f"该事件已忽略，没有卡片：{event.reason}。",
        )
    if event.state == InboxState.NEW:
        return localized(
            "This event is not processed yet, so it has no card.", "该事件尚未处理，还没有卡片。"
        )
    if event.event_type != BALANCE_CHANGED and event.event_type not in READINGS:
        return localized(
            f"An event of type {event.event_type} creates no card.",
            f"类型为 {event.event_type} 的事件不会产生卡片。",
        )
    return ""


def _list_deliveries(connection: Connection, event: StoredEvent, config: Config) -> tuple[list[int], str]:
    """The deliveries of a processed balance event, or why there are none."""
    parsed: Event = read_event(event.payload, app_id=config.feishu.app_id)
    try:
        report = read_balance_report(parsed)
    except Quarantined as error:
        return [], localized(f"The event cannot be read: {error}.", f"无法读取该事件：{error}。")
    ids = corrections.list_notice_deliveries(connection, make_notice_key(report))
    if ids is None:
        return [], localized(
            "No card was created: the balance was older than the known one, or equal to it, or showed only a "
            "withdrawal of this service. Or its card is no longer stored (retention.deliveries_days).",
            "没有产生卡片：余额早于或等于已知余额，或只反映本服务的提现；也可能卡片已不再保存"
            "（retention.deliveries_days）。",
        )
    if not ids:
        return [], localized(
            "No card was created: no route selects a recipient for this change. See `routes` in the configuration.",
            "没有产生卡片：没有通知规则为这次变动选出接收人。见配置中的 `routes`。",
        )
    return ids, ""

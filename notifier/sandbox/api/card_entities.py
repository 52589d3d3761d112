"""Card entities: cards that exist before their message, and that are changed by their own calls (CardKit)."""

import json
import secrets
from dataclasses import dataclass, field

from notifier.sandbox.error_codes import JsonObject, RefusedError
from notifier.sandbox.tenant import Message, Tenant, drop_oldest

VALID_SECONDS = 14 * 86400
ALREADY_SENT, UNKNOWN, EXPIRED = 10002, 10002, 200750
"""Codes within 230099 for a card entity that cannot be sent. 10002 is our choice."""


@dataclass(slots=True, kw_only=True)
class CardEntity:
    """One card entity."""

    card_id: str  # decimal number as text
    card: JsonObject  # the card while there is no message
    created_at: float  # on SandboxClock.elapsed
    message_id: str = ""  # of the message that shows it; it is sent once
    sequence: int = 0  # of the newest operation
    streaming_since: float | None = None  # when streaming was last switched on, on SandboxClock.elapsed
    uuids: dict[str, str] = field(default_factory=dict)  # of operations, with their bodies


class CardEntities:
    """All card entities, by card_id."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self.entities: dict[str, CardEntity] = {}

    def create(self, card: JsonObject, *, message_id: str = "") -> CardEntity:
        """A new entity. message_id: of a message that already shows the card."""
        now = self._tenant.clock.elapsed()
        entity = CardEntity(
            card_id=f"7{secrets.randbelow(10**18):018d}",
            card=card,
            created_at=now,
            message_id=message_id,
            streaming_since=now if is_streaming(card) else None,
        )
        self.entities[entity.card_id] = entity
        drop_oldest(self.entities, self._tenant.settings.keep_records)
        return entity

    def find(self, card_id: str) -> CardEntity:
        """The entity with this id. Raises 200740 (unknown) and 200750 (older than 14 days)."""
        entity = self.entities.get(card_id)
        if entity is None:
            raise RefusedError(200740)
        if self._is_expired(entity):
            raise RefusedError(200750)
        return entity

    def find_by_message(self, message_id: str) -> CardEntity | None:
        """The entity that a message shows, None for a message with a card of its own."""
        return next((one for one in self.entities.values() if one.message_id == message_id), None)

    def find_sendable(self, content: JsonObject) -> CardEntity | None:
        """The entity that the content of a message names; None for a card. Raises 230099 when it cannot be sent."""
        data = content.get("data")
        if content.get("type") != "card" or not isinstance(data, dict):
            return None
        entity = self.entities.get(str(data.get("card_id")))
        if entity is None:
            raise _not_sendable(UNKNOWN, "card_id is unknown")
        if self._is_expired(entity):
            raise _not_sendable(EXPIRED, "the card entity has expired")
        if entity.message_id:
            raise _not_sendable(ALREADY_SENT, "the card entity was already sent")
        return entity

    def message_of(self, entity: CardEntity) -> Message | None:
        """The message that shows the entity, None before it is sent."""
        return self._tenant.messages.get(entity.message_id)

    def card_of(self, entity: CardEntity) -> JsonObject:
        """The present card. Once it is sent, the message has it."""
        message = self.message_of(entity)
        return entity.card if message is None else message.content

    def _is_expired(self, entity: CardEntity) -> bool:
        return self._tenant.clock.elapsed() - entity.created_at > VALID_SECONDS


def is_streaming(card: JsonObject) -> bool:
    """Whether a card is in streaming mode."""
    config = card.get("config")
    return isinstance(config, dict) and config.get("streaming_mode") is True


def card_text(card: JsonObject) -> str:
    """The card as the content of a message."""
    return json.dumps(card, ensure_ascii=False)


def _not_sendable(code: int, reason: str) -> RefusedError:
    return RefusedError(230099, f"ext=ErrCode: {code}; ErrPath: ROOT; ErrMsg: {reason}; ErrorValue: ")

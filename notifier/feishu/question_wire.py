"""Questions in Feishu's JSON: messages to the bot (im.message.receive_v1) and menu choices (application.bot.menu_v6).

Source: both event pages, read 2026-05. One message may arrive as several events with different ids, so the id of the
message is the idempotency key.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from notifier.clock import Millis
from notifier.domain.answers.question import (
    LONGEST_SCANNED,
    MENU_CHOSEN,
    Command,
    Question,
    parse_command,
    parse_menu_key,
)
from notifier.domain.event import Event
from notifier.feishu.wire import LONGEST_ID, millis_or_zero, read_json, read_object, sanitize

PERSON = "user"
"""`sender_type` of a person; `mentioned_type` of a person who is mentioned."""
PRIVATE = "p2p"
"""`chat_type` of a private chat with the bot."""
MAX_AHEAD_MS = 60_000
"""A question with a later time was asked when it arrived."""


def read_question(event: Event, *, received_at: Millis) -> Question | str:
    """Return the question of an event, or why it is none. It never raises.

    received_at: when the event was stored, Unix milliseconds. The reason never holds a text of the message.
    """
    content = _object(read_object(event.payload).get("event"))
    if event.event_type == MENU_CHOSEN:
        return _read_menu_choice(event, content, received_at)
    return _read_message(event, content, received_at)


def _read_message(event: Event, content: Mapping[str, Any], received_at: Millis) -> Question | str:
    sender, message = _object(content.get("sender")), _object(content.get("message"))
    if sender.get("sender_type") != PERSON:  # an answer to another bot could go back and forth without end
        return "the sender is not a person"
    open_id = _id(_object(sender.get("sender_id")).get("open_id"))
    message_id = _id(message.get("message_id"))
    if not open_id or not message_id:
        return "the message has no id, or names no sender"
    if sender.get("tenant_key") not in (None, "", event.tenant_key):
        return "the sender belongs to another organization"
    is_private = message.get("chat_type") == PRIVATE
    mentions = [_object(each) for each in _list(message.get("mentions"))]
    if not is_private and not any(each.get("mentioned_type") != PERSON for each in mentions):
        return "a message in a group that does not mention the bot"
    asked_at = millis_or_zero(message.get("create_time")) or event.created_at
    return Question(
        key=f"message:{message_id}",
        app_id=event.app_id,
        tenant_key=event.tenant_key,
        open_id=open_id,
        command=parse_command(_read_text(message, mentions)),
        message_id=message_id,
        group_chat_id="" if is_private else _id(message.get("chat_id")),
        asked_at=_plausible(asked_at, received_at),
    )


def _read_menu_choice(event: Event, content: Mapping[str, Any], received_at: Millis) -> Question | str:
    open_id = _id(_object(_object(content.get("operator")).get("operator_id")).get("open_id"))
    event_key = content.get("event_key")
    if not open_id or not isinstance(event_key, str):
        return "the menu choice names no person, or no entry"
    command = parse_menu_key(event_key)
    if command is Command.UNKNOWN:  # the company may have entries for another program
        return "the menu entry is not one of the service"
    chosen_at = millis_or_zero(content.get("timestamp")) or event.created_at
    return Question(
        key=f"menu:{open_id}:{command}:{chosen_at}" if chosen_at else f"event:{event.key}",
        app_id=event.app_id,
        tenant_key=event.tenant_key,
        open_id=open_id,
        command=command,
        asked_at=_plausible(chosen_at, received_at),
    )


def _plausible(asked_at: Millis, received_at: Millis) -> Millis:
    return asked_at if 0 < asked_at <= received_at + MAX_AHEAD_MS else received_at


def _read_text(message: Mapping[str, Any], mentions: Sequence[Mapping[str, Any]]) -> str:
    """The text of the message without mentions; "" if it has none, such as an image."""
    raw = message.get("content")
    try:
        content = _object(read_json(raw)) if isinstance(raw, str) else {}
    except ValueError:
        return ""
    match message.get("message_type"):
        case "text":
            text = content.get("text")
            shown = text[:LONGEST_SCANNED] if isinstance(text, str) else ""
        case "post":
            shown = " ".join(_iter_post_texts(content))[:LONGEST_SCANNED]
        case _:
            return ""
    keys = [key for each in mentions if isinstance(key := each.get("key"), str) and key]
    for key in sorted(keys, key=len, reverse=True):  # @_user_1 is the beginning of @_user_10
        shown = shown.replace(key, " ")
    return sanitize(shown)


def _iter_post_texts(content: Mapping[str, Any]) -> Iterator[str]:
    """The title and the texts of a rich text message, without mentions and links."""
    if isinstance(title := content.get("title"), str):
        yield title
    for line in _list(content.get("content")):
        for node in _list(line):
            item = _object(node)
            if item.get("tag") in ("text", "md") and isinstance(text := item.get("text"), str):
                yield text


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _id(value: object) -> str:
    """The id; "" if it is none."""
    return sanitize(value) if isinstance(value, str) and 0 < len(value) <= LONGEST_ID else ""

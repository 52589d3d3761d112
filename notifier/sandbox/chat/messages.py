"""Messages as Feishu's API shows them, and the threads and mentions that they belong to."""

import json
import re
from dataclasses import dataclass

from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.tenant import (
    APP_SENDER,
    Mention,
    Message,
    Tenant,
    TenantPerson,
)

MENTION_ALL = "@_all"
"""The placeholder of a mention of everybody."""
RECALLED_TEXT = "This message was recalled"
"""The content of a recalled message; our choice."""
EMPLOYEE_ID_SCOPE = "contact:user.employee_id:readonly"
_AT = re.compile(r'<at (?:user_id|id|open_id)="?([^"\s>]*)"?\s*>(.*?)</at>', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyPlace:
    """Where a reply stands: the ids that its message gets."""

    parent_id: str | None
    root_id: str | None
    thread_id: str | None


NO_REPLY = ReplyPlace(parent_id=None, root_id=None, thread_id=None)


def place_reply(parent: Message, *, in_thread: bool) -> ReplyPlace:
    """The place of a reply. A reply in a thread starts the thread of its parent when there is none yet.

    A reply to a message of a thread is always part of that thread. Its root is the first message of the thread.
    """
    if in_thread and parent.thread_id is None:
        parent.thread_id = _thread_id(parent)
    is_root = starts_thread(parent) or parent.root_id is None
    return ReplyPlace(
        parent_id=parent.message_id,
        root_id=parent.message_id if is_root else parent.root_id,
        thread_id=parent.thread_id,
    )


def place_in_thread(first: Message) -> ReplyPlace:
    """The place of a message that is forwarded to the thread of this first message."""
    return ReplyPlace(parent_id=first.message_id, root_id=first.message_id, thread_id=first.thread_id)


def starts_thread(message: Message) -> bool:
    """Whether the message is the first one of a thread."""
    return message.thread_id == _thread_id(message)


def find_thread(tenant: Tenant, thread_id: str) -> Message | None:
    """The first message of a thread."""
    return next((each for each in tenant.messages.values() if _is_first(each, thread_id)), None)


def _is_first(message: Message, thread_id: str) -> bool:
    return message.thread_id == thread_id and starts_thread(message)


def _thread_id(first: Message) -> str:
    return f"omt_{first.message_id.removeprefix('om_')}"


def replace_mentions(tenant: Tenant, text: str) -> tuple[str, list[Mention]]:
    """The text with a placeholder for each `<at user_id="...">name</at>`, and the mentioned people and bots.

    Unknown ids stay in the text. One person mentioned twice has two placeholders.
    """
    mentions: list[Mention] = []

    def replace(match: re.Match[str]) -> str:
        if match[1] == "all":
            return MENTION_ALL
        name = _name_of(tenant, match[1])
        if name is None:
            return match[0]
        open_id, shown = name
        mentions.append(Mention(key=f"@_user_{len(mentions) + 1}", open_id=open_id, name=shown))
        return mentions[-1].key

    return _AT.sub(replace, text), mentions


def _name_of(tenant: Tenant, any_id: str) -> tuple[str, str] | None:
    if any_id == tenant.bot_open_id:
        return tenant.bot_open_id, tenant.settings.app_name
    for person in tenant.people.values():
        if any_id in (person.open_id, person.union_id, person.user_id):
            return person.open_id, person.name
    return None


def user_id_json(tenant: Tenant, person: TenantPerson) -> JsonObject:
    """The three ids of a person in events. The user_id is there with its scope only."""
    ids: JsonObject = {"open_id": person.open_id, "union_id": person.union_id}
    if EMPLOYEE_ID_SCOPE in tenant.granted_scopes:
        ids["user_id"] = person.user_id
    return ids


def person_id(tenant: Tenant, open_id: str, id_type: str) -> str:
    """The id of this type of a person, who may be unknown by now. The bot has an open_id only."""
    person = tenant.people.get(tenant.local_id(open_id))
    return open_id if person is None else str(getattr(person, id_type))


def message_to_wire(tenant: Tenant, message: Message, user_id_type: str = "open_id") -> JsonObject:
    """A message as the message calls of Feishu show it. user_id_type: of the people in it."""
    tenant_key = tenant.settings.tenant_key
    is_of_app = message.sender_type == APP_SENDER
    text, mentions = _content_to_wire(tenant, message)
    wire: JsonObject = {
        "message_id": message.message_id,
        "msg_type": message.msg_type,
        "create_time": str(message.create_time_ms),
        "update_time": str(message.update_time_ms),
        "deleted": message.recalled,
        "updated": message.update_time_ms != message.create_time_ms,
        "chat_id": message.chat_id,
        "sender": {
            "id": message.sender_id if is_of_app else person_id(tenant, message.sender_id, user_id_type),
            "id_type": "app_id" if is_of_app else user_id_type,
            "sender_type": message.sender_type,
            "tenant_key": tenant_key,
        },
        "body": {"content": RECALLED_TEXT if message.recalled else text},
    }
    for name in ("root_id", "parent_id", "thread_id"):
        if (value := getattr(message, name)) is not None:
            wire[name] = value
    if mentions and not message.recalled:
        wire["mentions"] = [
            {
                "key": mention.key,
                "id": person_id(tenant, mention.open_id, user_id_type),
                "id_type": user_id_type,
                "name": mention.name,
                "tenant_key": tenant_key,
            }
            for mention in mentions
        ]
    return wire


def _content_to_wire(tenant: Tenant, message: Message) -> tuple[str, list[Mention]]:
    """The content and mentions as readers get them: placeholders in a text, one language of a post."""
    if message.sender_type == APP_SENDER and message.msg_type == "text":
        sent = str(message.content["text"])
        shown, mentions = replace_mentions(tenant, sent)
        return (
            content_text({"text": shown}) if shown != sent else message.content_text
        ), mentions or message.mentions
    if message.sender_type == APP_SENDER and message.msg_type == "post" and "content" not in message.content:
        one_language = message.content.get("zh_cn", next(iter(message.content.values())))
        return content_text({"title": "", **one_language} if isinstance(one_language, dict) else {}), []
    return message.content_text, message.mentions


def content_text(content: JsonObject) -> str:
    """The content of a message as the compact JSON text that clients write."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))

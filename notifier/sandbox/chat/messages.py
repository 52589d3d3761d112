"""Messages as Feishu's API shows them, and the threads and mentions that they belong to."""

import json
import re
from dataclasses import dataclass

from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.tenant import (
    APP_SENDER,
    BOT_NAME,
    BOT_OPEN_ID,
    Mention,
    Message,
    Tenant,
    TenantPerson,
    new_id,
)

MENTION_ALL = "@_all"
"""The placeholder of a mention of everybody."""
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

    A reply to a message of a thread is always part of that thread.
    """
    if in_thread and parent.thread_id is None:
        parent.thread_id = new_id("omt")
    return ReplyPlace(
        parent_id=parent.message_id,
        root_id=parent.root_id or parent.message_id,
        thread_id=parent.thread_id,
    )


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
    if any_id == BOT_OPEN_ID:
        return BOT_OPEN_ID, BOT_NAME
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


def message_to_wire(tenant: Tenant, message: Message) -> JsonObject:
    """A message as the message calls of Feishu show it."""
    tenant_key = tenant.settings.tenant_key
    id_type = "app_id" if message.sender_type == APP_SENDER else "open_id"
    wire: JsonObject = {
        "message_id": message.message_id,
        "msg_type": message.msg_type,
        "create_time": str(message.create_time_ms),
        "update_time": str(message.update_time_ms),
        "deleted": message.recalled,
        "updated": message.update_time_ms != message.create_time_ms,
        "chat_id": message.chat_id,
        "sender": {
            "id": message.sender_id,
            "id_type": id_type,
            "sender_type": message.sender_type,
            "tenant_key": tenant_key,
        },
        "body": {"content": message.content_text},
    }
    for name in ("root_id", "parent_id", "thread_id", "upper_message_id"):
        if (value := getattr(message, name)) is not None:
            wire[name] = value
    if message.mentions:
        wire["mentions"] = [
            {
                "key": mention.key,
                "id": mention.open_id,
                "id_type": "open_id",
                "name": mention.name,
                "tenant_key": tenant_key,
            }
            for mention in message.mentions
        ]
    return wire


def content_text(content: JsonObject) -> str:
    """The content of a message as the compact JSON text that clients write."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))

"""The contents of the events about messages, chats and the menu of the bot."""

from collections.abc import Sequence

from notifier.sandbox.chat.messages import user_id_json
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.tenant import (
    APP_SENDER,
    BOT_OPEN_ID,
    Group,
    Mention,
    Message,
    Reaction,
    Tenant,
    TenantPerson,
)


def received_event(tenant: Tenant, message: Message, sender: TenantPerson) -> JsonObject:
    """Of MESSAGE_RECEIVED: a message that a person wrote."""
    tenant_key = tenant.settings.tenant_key
    wire: JsonObject = {
        "message_id": message.message_id,
        "create_time": str(message.create_time_ms),
        "update_time": str(message.update_time_ms),
        "chat_id": message.chat_id,
        "chat_type": "group" if message.chat_id in tenant.groups else "p2p",
        "message_type": message.msg_type,
        "content": message.content_text,
    }
    for name in ("root_id", "parent_id", "thread_id"):
        if (value := getattr(message, name)) is not None:
            wire[name] = value
    if message.mentions:
        wire["mentions"] = [_mention(tenant, mention) for mention in message.mentions]
    return {
        "sender": {
            "sender_id": user_id_json(tenant, sender),
            "sender_type": "user",
            "tenant_key": tenant_key,
        },
        "message": wire,
    }


def _mention(tenant: Tenant, mention: Mention) -> JsonObject:
    is_bot = mention.open_id == BOT_OPEN_ID
    ids = (
        {"open_id": BOT_OPEN_ID, "union_id": "on_sandbox_bot", "user_id": ""}
        if is_bot
        else user_id_json(tenant, tenant.people[mention.open_id])
    )
    return {
        "key": mention.key,
        "id": ids,
        "mentioned_type": "bot" if is_bot else "user",
        "name": mention.name,
        "tenant_key": tenant.settings.tenant_key,
    }


def menu_event(tenant: Tenant, person: TenantPerson, event_key: str) -> JsonObject:
    """Of MENU_CHOSEN. Its time is in seconds, unlike that of the other events."""
    return {
        "operator": {"operator_name": person.name, "operator_id": user_id_json(tenant, person)},
        "event_key": event_key,
        "timestamp": tenant.clock.now_ms() // 1000,
    }


def recalled_event(tenant: Tenant, message: Message) -> JsonObject:
    """Of MESSAGE_RECALLED: the sender withdrew the message now."""
    return {
        "message_id": message.message_id,
        "chat_id": message.chat_id,
        "recall_time": str(tenant.clock.now_ms()),
        "recall_type": "message_owner",
    }


def read_event(tenant: Tenant, message: Message, reader: TenantPerson) -> JsonObject:
    """Of MESSAGE_READ."""
    return {
        "reader": {
            "reader_id": user_id_json(tenant, reader),
            "read_time": str(message.read_by[reader.open_id]),
            "tenant_key": tenant.settings.tenant_key,
        },
        "message_id_list": [message.message_id],
    }


def reaction_event(tenant: Tenant, message: Message, reaction: Reaction, *, at_ms: int) -> JsonObject:
    """Of REACTION_CREATED and REACTION_DELETED. at_ms: milliseconds since 1970."""
    event: JsonObject = {
        "message_id": message.message_id,
        "reaction_type": {"emoji_type": reaction.emoji_type},
        "operator_type": reaction.operator_type,
        "action_time": str(at_ms),
    }
    if reaction.operator_type == APP_SENDER:
        return {**event, "app_id": reaction.operator_id}
    return {**event, "user_id": user_id_json(tenant, tenant.people[reaction.operator_id])}


def entered_event(tenant: Tenant, person: TenantPerson) -> JsonObject:
    """Of CHAT_ENTERED: the person opens the private chat with the bot."""
    event: JsonObject = {"chat_id": person.chat_id, "operator_id": user_id_json(tenant, person)}
    messages = tenant.chat_messages(person.chat_id)
    if messages:
        event["last_message_id"] = messages[-1].message_id
        event["last_message_create_time"] = str(messages[-1].create_time_ms)
    return event


def member_event(
    tenant: Tenant, group: Group, operator: TenantPerson, people: Sequence[TenantPerson] | None = None
) -> JsonObject:
    """Of the events about members of a group. people: None for the bot."""
    event = _group_event(tenant, group, operator)
    if people is not None:
        tenant_key = tenant.settings.tenant_key
        event["users"] = [
            {"name": each.name, "tenant_key": tenant_key, "user_id": user_id_json(tenant, each)}
            for each in people
        ]
    return event


def chat_disbanded_event(tenant: Tenant, group: Group, operator: TenantPerson) -> JsonObject:
    """Of CHAT_DISBANDED."""
    return _group_event(tenant, group, operator)


def chat_updated_event(
    tenant: Tenant, group: Group, operator: TenantPerson, *, before: JsonObject, after: JsonObject
) -> JsonObject:
    """Of CHAT_UPDATED. before, after: the changed members of the chat only."""
    event = _group_event(tenant, group, operator)
    for name in ("name", "i18n_names"):
        del event[name]
    return {**event, "before_change": before, "after_change": after}


def _group_event(tenant: Tenant, group: Group, operator: TenantPerson) -> JsonObject:
    return {
        "chat_id": group.chat_id,
        "operator_id": user_id_json(tenant, operator),
        "external": False,
        "operator_tenant_key": tenant.settings.tenant_key,
        "name": group.name,
        "i18n_names": {"zh_cn": group.name, "en_us": group.en_name or group.name, "ja_jp": ""},
    }

"""The contents of the events about messages, chats and the menu of the bot."""

from notifier.sandbox.chat.messages import user_id_json
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.tenant import BOT_OPEN_ID, Mention, Message, Tenant, TenantPerson


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

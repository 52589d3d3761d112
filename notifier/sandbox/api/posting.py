"""Adds messages that do not come from the message calls: cards for one person, and those of custom bots."""

import hashlib
import json

from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.tenant import Message, Tenant, new_id


def add_message(
    tenant: Tenant,
    *,
    chat_id: str,
    msg_type: str,
    content: JsonObject,
    visible_to: str = "",
    hook_token: str = "",
) -> Message:
    """Adds a message to a chat. The caller has checked the content. See Message for visible_to and hook_token."""
    sender_id = tenant.settings.app_id
    if hook_token:
        sender_id = f"cli_{hashlib.sha256(hook_token.encode()).hexdigest()[:16]}"
    now_ms = tenant.clock.now_ms()
    message = Message(
        message_id=new_id("om"),
        chat_id=chat_id,
        sender_id=sender_id,
        msg_type=msg_type,
        content=content,
        content_text=json.dumps(content, ensure_ascii=False),
        uuid=None,
        create_time_ms=now_ms,
        update_time_ms=now_ms,
        visible_to=visible_to,
        hook_token=hook_token,
    )
    tenant.messages[message.message_id] = message
    tenant.bump_revision()
    return message

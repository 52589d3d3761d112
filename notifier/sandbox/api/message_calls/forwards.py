"""Forwarding one message, and several as one."""

from collections.abc import Callable

from notifier.sandbox.api.content import UUID_CHARS, Draft
from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.messages import BOT_OFF, MessageApi
from notifier.sandbox.api.quota import MESSAGES
from notifier.sandbox.api.recipients import check_chat, check_readable, find_chat_id, find_message
from notifier.sandbox.chat.messages import (
    NO_REPLY,
    ReplyPlace,
    find_thread,
    message_to_wire,
    place_in_thread,
    starts_thread,
)
from notifier.sandbox.error_codes import JsonObject, RefusedError, bad_field, text_field
from notifier.sandbox.tenant import Message, Tenant

FORWARD_SCOPES = ("im:message", "im:message:send_as_bot")
NOT_FORWARDED = ("system", "audio")
"""Types of messages that Feishu does not forward."""
NOT_MERGED = ("system",)
"""Types of messages that Feishu does not merge."""
MERGED_TEXT = "Merged and Forwarded Message"
MOST_MERGED = 100
Place = Callable[[], ReplyPlace]


class ForwardApi:
    """The calls that forward messages. The new message is one of the app."""

    def __init__(self, tenant: Tenant, messages: MessageApi) -> None:
        self._tenant = tenant
        self._messages = messages

    def apis(self) -> list[Api]:
        """All calls of this class."""
        base = "/open-apis/im/v1/messages"
        return [
            Api(
                method="POST",
                path=base + "/{message_id}/forward",
                scopes=FORWARD_SCOPES,
                limits=MESSAGES,
                bot_off_code=BOT_OFF,
                answer=self.forward,
                notes="A uuid counts for sending, replying and forwarding together; our choice.",
            ),
            Api(
                method="POST",
                path=base + "/merge_forward",
                scopes=FORWARD_SCOPES,
                limits=MESSAGES,
                bot_off_code=BOT_OFF,
                answer=self.merge,
                notes="The merged messages keep their ids, so a later change of one shows here too; our choice.",
            ),
        ]

    def forward(self, call: Call) -> JsonObject:
        """Forwards one message to a person, group or thread."""
        message = find_message(self._tenant, call.path["message_id"])
        chat_id, place = self._target(call)
        earlier = self._messages.sent_before(uuid := _uuid(call))
        if earlier is not None:
            return message_to_wire(self._tenant, earlier)
        if message.recalled:
            raise RefusedError(230065)
        check_readable(self._tenant, message.chat_id)
        if message.msg_type in NOT_FORWARDED:
            raise RefusedError(230061)
        draft = Draft(
            msg_type=message.msg_type, content_text=message.content_text, content=message.content, uuid=uuid
        )
        forwarded = self._messages.post(chat_id, draft, place=place)
        forwarded.mentions, forwarded.merged_ids = list(message.mentions), list(message.merged_ids)
        return message_to_wire(self._tenant, forwarded)

    def merge(self, call: Call) -> JsonObject:
        """Forwards several messages of one chat as one. Unusable ones are listed in the answer."""
        ids = call.body.get("message_id_list")
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            raise bad_field("message_id_list", "must be a list of message ids")
        if not 1 <= len(ids) <= MOST_MERGED:
            raise bad_field("message_id_list", f"must have 1 to {MOST_MERGED} ids", len(ids))
        chat_id, place = self._target(call)
        earlier = self._messages.sent_before(uuid := _uuid(call))
        if earlier is not None:
            return {"message": message_to_wire(self._tenant, earlier), "invalid_message_id_list": []}
        usable = [self._tenant.messages[one] for one in ids if self._is_usable(one)]
        if not usable:
            raise RefusedError(230064)
        if len({message.chat_id for message in usable}) > 1:
            raise RefusedError(230069)
        check_readable(self._tenant, usable[0].chat_id)
        replies = {message.thread_id for message in usable if not starts_thread(message)}
        if len(replies) > 1 or (replies != {None} and any(starts_thread(one) for one in usable)):
            raise RefusedError(230068)
        merged = Draft(msg_type="merge_forward", content_text=MERGED_TEXT, content={}, uuid=uuid)
        message = self._messages.post(chat_id, merged, place=place)
        message.merged_ids = [one.message_id for one in usable]
        return {
            "message": message_to_wire(self._tenant, message),
            "invalid_message_id_list": [one for one in ids if not self._is_usable(one)],
        }

    def _is_usable(self, message_id: str) -> bool:
        message = self._tenant.messages.get(message_id)
        return message is not None and not message.recalled and message.msg_type not in NOT_MERGED

    def _target(self, call: Call) -> tuple[str, Place]:
        """The chat of the new message, and its place there."""
        receive_id = text_field(call.body, "receive_id")
        receive_id_type = call.query.get("receive_id_type", "")
        if receive_id_type != "thread_id":
            return find_chat_id(self._tenant, receive_id_type, receive_id), lambda: NO_REPLY
        first: Message | None = find_thread(self._tenant, receive_id)
        if first is None:
            raise RefusedError(230019)
        check_chat(self._tenant, first.chat_id)
        place = place_in_thread(first)
        return first.chat_id, lambda: place


def _uuid(call: Call) -> str | None:
    uuid = call.query.get("uuid") or None
    if uuid is not None and len(uuid) > UUID_CHARS:
        raise bad_field("uuid", f"at most {UUID_CHARS} characters", uuid)
    return uuid

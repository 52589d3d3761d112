"""Editing a text or post, and recalling a message."""

from notifier.sandbox.api.content import read_draft
from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.messages import BOT_OFF, PATCH_SCOPES, MessageApi
from notifier.sandbox.api.quota import MESSAGES
from notifier.sandbox.api.recipients import check_chat, check_readable, find_message
from notifier.sandbox.chat.events import recalled_event
from notifier.sandbox.chat.messages import message_to_wire
from notifier.sandbox.chat.publish import Publish
from notifier.sandbox.error_codes import JsonObject, RefusedError
from notifier.sandbox.event_types import MESSAGE_RECALLED
from notifier.sandbox.tenant import Message, Tenant

RECALL_SCOPES = ("im:message", "im:message:recall", "im:message:send_as_bot")
EDITABLE_TYPES = ("text", "post")
MOST_EDITS = 20


class MessageEditApi:
    """The calls that change a sent message."""

    def __init__(self, tenant: Tenant, messages: MessageApi, publish: Publish) -> None:
        self._tenant = tenant
        self._messages = messages
        self._publish = publish

    def apis(self) -> list[Api]:
        """All calls of this class."""
        path = "/open-apis/im/v1/messages/{message_id}"
        return [
            Api(
                method="PUT",
                path=path,
                scopes=PATCH_SCOPES,
                limits=MESSAGES,
                bot_off_code=BOT_OFF,
                answer=self.edit,
                notes="A text can become a post and the reverse; our choice.",
            ),
            Api(
                method="DELETE",
                path=path,
                scopes=RECALL_SCOPES,
                limits=MESSAGES,
                bot_off_code=BOT_OFF,
                answer=self.recall,
                notes="A repeated recall succeeds; our choice. The bot cannot recall messages of others as owner.",
            ),
        ]

    def edit(self, call: Call) -> JsonObject:
        """PUT: replaces the content of a text or post of the app, at most 20 times."""
        message = find_message(self._tenant, call.path["message_id"])
        draft = read_draft(call.body)
        if message.recalled:
            raise RefusedError(230011)
        if message.sender_id != self._tenant.settings.app_id:
            raise RefusedError(230071)
        if message.msg_type not in EDITABLE_TYPES or draft.msg_type not in EDITABLE_TYPES:
            raise RefusedError(230054, "ext=only text and post can be edited")
        check_chat(self._tenant, message.chat_id)
        if self._age_seconds(message) > self._tenant.settings.edit_window_seconds:
            raise RefusedError(230075)
        if message.edit_count >= MOST_EDITS:
            raise RefusedError(230072)
        self._messages.check_content(draft.msg_type, draft.content)
        message.msg_type = draft.msg_type
        message.edit_count += 1
        self._messages.replace_content(message, draft.content, draft.content_text)
        return message_to_wire(self._tenant, message)

    def recall(self, call: Call) -> JsonObject:
        """DELETE: withdraws a message of the app for all readers."""
        message = find_message(self._tenant, call.path["message_id"])
        check_readable(self._tenant, message.chat_id)
        if message.sender_id != self._tenant.settings.app_id:
            raise RefusedError(230026)
        if message.recalled:
            return {}
        if self._age_seconds(message) > self._tenant.settings.recall_window_seconds:
            raise RefusedError(230009)
        message.recalled = True
        self._publish(MESSAGE_RECALLED, recalled_event(self._tenant, message), None)
        return {}

    def _age_seconds(self, message: Message) -> float:
        return (self._tenant.clock.now_ms() - message.create_time_ms) / 1000

"""Cards in a group that only one person sees."""

from typing import Any

from notifier.sandbox.api.card_entities import card_text
from notifier.sandbox.api.content import check_size
from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.messages import BOT_OFF, PATCH_SCOPES, MessageApi
from notifier.sandbox.api.posting import add_message
from notifier.sandbox.api.quota import MESSAGES, Limit, Quota
from notifier.sandbox.api.recipients import check_chat, find_person
from notifier.sandbox.error_codes import JsonObject, RefusedError, bad_field, text_field
from notifier.sandbox.tenant import Tenant, TenantPerson

BASE = "/open-apis/ephemeral/v1"
PER_GROUP = (Limit(40, 1),)
ID_NAMES = ("open_id", "user_id", "email")
"""The members that can name the person, the first one first."""


class EphemeralCardApi:
    """The calls for cards that only one person sees."""

    def __init__(self, tenant: Tenant, quota: Quota, messages: MessageApi) -> None:
        self._tenant = tenant
        self._quota = quota
        self._messages = messages
        self._deleted: set[str] = set()

    def apis(self) -> list[Api]:
        """All calls of this class."""
        common: Any = {
            "method": "POST",
            "scopes": PATCH_SCOPES,
            "limits": MESSAGES,
            "bot_off_code": BOT_OFF,
        }
        notes = "codes of a wrong group, person or card are those of a message (our choice)"
        return [
            Api(path=BASE + "/send", answer=self.send, notes=notes, **common),
            Api(path=BASE + "/delete", answer=self.delete, **common),
        ]

    def send(self, call: Call) -> JsonObject:
        """Shows a card in a group to one member."""
        chat_id = text_field(call.body, "chat_id")
        person = self._find_person(call.body)
        if text_field(call.body, "msg_type") != "interactive":
            raise RefusedError(230001, "ext=msg_type must be interactive")
        card = call.body.get("card")
        if not isinstance(card, dict):
            raise bad_field("card", "card must be an object")
        group = self._tenant.find_group(chat_id)
        if group is None:
            raise RefusedError(99992356)
        check_chat(self._tenant, chat_id)
        if person.open_id not in group.members:
            raise RefusedError(230002)
        check_size("interactive", card_text(card))
        self._messages.check_content("interactive", card)
        if self._quota.consume(f"ephemeral {chat_id}", PER_GROUP):
            raise RefusedError(230020, f"ext=more than {PER_GROUP[0].calls} in a second for {chat_id}")
        message = add_message(
            self._tenant,
            chat_id=chat_id,
            msg_type="interactive",
            content=card,
            visible_to=person.open_id,
        )
        return {"message_id": message.message_id}

    def delete(self, call: Call) -> JsonObject:
        """Removes such a card. Nothing of it stays in the chat."""
        message_id = text_field(call.body, "message_id")
        if message_id in self._deleted:
            raise RefusedError(18051)
        message = self._tenant.messages.get(message_id)
        if message is None:
            raise RefusedError(99992354)
        if not message.visible_to:
            raise RefusedError(230001, "ext=the message is visible to everybody")
        del self._tenant.messages[message_id]
        self._deleted.add(message_id)
        return {}

    def _find_person(self, body: JsonObject) -> TenantPerson:
        for name in ID_NAMES:
            if body.get(name):
                return find_person(self._tenant, name, text_field(body, name))
        raise bad_field("open_id", "one of open_id, user_id and email is required")

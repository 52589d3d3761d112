"""Urgent messages: a sent message is pushed again to some of its readers."""

from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.messages import BOT_OFF
from notifier.sandbox.api.quota import MESSAGES
from notifier.sandbox.api.recipients import check_readable, find_message, user_id_type
from notifier.sandbox.error_codes import JsonObject, RefusedError, bad_field
from notifier.sandbox.tenant import Tenant

URGENT_SCOPES = {
    "urgent_app": ("im:message.urgent",),
    "urgent_sms": ("im:message.urgent:sms",),
    "urgent_phone": ("im:message.urgent:phone",),
}
"""The scopes of each call."""
MOST_PEOPLE, MOST_UNREAD = 200, 200


class UrgentApi:
    """The calls that make a message urgent. Nothing is sent by text message or phone."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def apis(self) -> list[Api]:
        """All calls of this class."""
        return [
            Api(
                method="PATCH",
                path=f"/open-apis/im/v1/messages/{{message_id}}/{name}",
                scopes=scopes,
                limits=MESSAGES,
                bot_off_code=BOT_OFF,
                answer=self.make_urgent,
                coverage="full" if name == "urgent_app" else "shape",
                notes="" if name == "urgent_app" else "The quota of the tenant (230024) is not simulated.",
            )
            for name, scopes in URGENT_SCOPES.items()
        ]

    def make_urgent(self, call: Call) -> JsonObject:
        """Marks a message of the app as urgent for some people. Those outside of the chat are listed."""
        message = find_message(self._tenant, call.path["message_id"])
        if not call.query.get("user_id_type"):
            raise bad_field("user_id_type", "user_id_type is required")
        id_type, ids = user_id_type(call), call.body.get("user_id_list")
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            raise bad_field("user_id_list", "must be a list of ids")
        if not 1 <= len(ids) <= MOST_PEOPLE:
            raise bad_field("user_id_list", f"must have 1 to {MOST_PEOPLE} ids", len(ids))
        check_readable(self._tenant, message.chat_id)
        if message.recalled:
            raise RefusedError(230110)
        if message.sender_id != self._tenant.settings.app_id:
            raise RefusedError(230012)
        by_id = {str(getattr(person, id_type)): person.open_id for person in self._tenant.people.values()}
        valid = [one for one in ids if self._tenant.is_member(by_id.get(one, ""), message.chat_id)]
        if not valid:
            raise RefusedError(230001, "ext=all user ids are invalid")
        for one in valid:
            self._check_unread(by_id[one])
        message.urgent_to += [by_id[one] for one in valid if by_id[one] not in message.urgent_to]
        return {"invalid_user_id_list": [one for one in ids if one not in valid]}

    def _check_unread(self, open_id: str) -> None:
        messages = self._tenant.messages.values()
        unread = sum(open_id in each.urgent_to and open_id not in each.read_by for each in messages)
        if unread >= MOST_UNREAD:
            raise RefusedError(230023)

"""Pinned messages of a chat."""

from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.message_calls.pages import build_page, whole_number
from notifier.sandbox.api.messages import BOT_OFF
from notifier.sandbox.api.quota import MESSAGES, PER_TARGET, Quota
from notifier.sandbox.api.recipients import check_readable, find_message
from notifier.sandbox.error_codes import JsonObject, RefusedError, bad_field, text_field
from notifier.sandbox.tenant import Message, Tenant

WRITE_SCOPES = ("im:message", "im:message.pins:write_only", "im:message:send_as_bot")
LIST_SCOPES = ("im:message", "im:message.pins:read", "im:message:readonly")


class PinApi:
    """The calls about pins."""

    def __init__(self, tenant: Tenant, quota: Quota) -> None:
        self._tenant = tenant
        self._quota = quota

    def apis(self) -> list[Api]:
        """All calls of this class."""
        base = "/open-apis/im/v1/pins"
        calls = (
            ("POST", base, WRITE_SCOPES, self.create),
            ("GET", base, LIST_SCOPES, self.list_pins),
            ("DELETE", base + "/{message_id}", WRITE_SCOPES, self.delete),
        )
        return [
            Api(method=method, path=path, scopes=scopes, limits=MESSAGES, bot_off_code=BOT_OFF, answer=answer)
            for method, path, scopes, answer in calls
        ]

    def create(self, call: Call) -> JsonObject:
        """Pins a message. A repeated call returns the first pin."""
        message = self._message(text_field(call.body, "message_id"))
        if message.recalled:
            raise RefusedError(230011)
        if message.pinned_by is None:
            message.pinned_by = self._tenant.settings.app_id
            message.pin_time_ms = self._tenant.clock.now_ms()
        return {"pin": self._to_wire(message)}

    def delete(self, call: Call) -> JsonObject:
        """Removes a pin. It succeeds without one, too."""
        self._message(call.path["message_id"]).pinned_by = None
        return {}

    def list_pins(self, call: Call) -> JsonObject:
        """The pins of a chat, newest first. Times are in milliseconds since 1970, both included."""
        chat_id = call.query.get("chat_id", "")
        if not chat_id:
            raise bad_field("chat_id", "chat_id is required")
        check_readable(self._tenant, chat_id)
        start, end = whole_number(call, "start_time"), whole_number(call, "end_time")
        found = [
            message
            for message in self._tenant.chat_messages(chat_id)
            if message.pinned_by is not None
            and (start is None or message.pin_time_ms >= start)
            and (end is None or message.pin_time_ms <= end)
        ]
        found.sort(key=lambda message: message.pin_time_ms, reverse=True)
        return build_page(call, found, key=lambda message: message.message_id, to_wire=self._to_wire)

    def _message(self, message_id: str) -> Message:
        message = find_message(self._tenant, message_id)
        check_readable(self._tenant, message.chat_id)
        if self._quota.consume(f"pin {message_id}", PER_TARGET):
            raise RefusedError(230047)
        return message

    def _to_wire(self, message: Message) -> JsonObject:
        return {
            "message_id": message.message_id,
            "chat_id": message.chat_id,
            "operator_id": message.pinned_by,
            "operator_id_type": "app_id" if message.pinned_by == self._tenant.settings.app_id else "open_id",
            "create_time": str(message.pin_time_ms),
        }

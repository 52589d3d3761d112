"""The history of a chat or thread, and who has read a message."""

from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.message_calls.pages import build_page, whole_number
from notifier.sandbox.api.messages import BOT_OFF
from notifier.sandbox.api.quota import MESSAGES
from notifier.sandbox.api.recipients import check_readable, find_message, user_id_type
from notifier.sandbox.chat.messages import find_thread, message_to_wire, person_id, starts_thread
from notifier.sandbox.error_codes import JsonObject, RefusedError, bad_field
from notifier.sandbox.event_types import GROUP_MESSAGE_SCOPES
from notifier.sandbox.tenant import Message, Tenant

HISTORY_SCOPES = ("im:message", "im:message:readonly", "im:message.history:readonly")
READERS_SCOPES = ("im:message", "im:message:readonly", "im:message:basic")
CONTAINERS = ("chat", "thread")
SORT_TYPES = ("ByCreateTimeAsc", "ByCreateTimeDesc")
READERS_DAYS = 7


class HistoryApi:
    """The calls that list messages and their readers."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def apis(self) -> list[Api]:
        """All calls of this class."""
        base = "/open-apis/im/v1/messages"
        return [
            Api(
                method="GET",
                path=base,
                scopes=HISTORY_SCOPES,
                limits=MESSAGES,
                bot_off_code=BOT_OFF,
                answer=self.list_messages,
                notes="Cards are returned as they were sent. A time range in a thread is refused; our choice.",
            ),
            Api(
                method="GET",
                path=base + "/{message_id}/read_users",
                scopes=READERS_SCOPES,
                limits=MESSAGES,
                bot_off_code=BOT_OFF,
                answer=self.list_readers,
            ),
        ]

    def list_messages(self, call: Call) -> JsonObject:
        """The messages of a chat or thread. Of a thread, the list of the chat has the first message only."""
        container, container_id = (call.query.get(name, "") for name in ("container_id_type", "container_id"))
        sort_type = call.query.get("sort_type") or SORT_TYPES[0]
        if container not in CONTAINERS:
            raise bad_field("container_id_type", f"must be one of {', '.join(CONTAINERS)}", container)
        if not container_id:
            raise bad_field("container_id", "container_id is required")
        if sort_type not in SORT_TYPES:
            raise bad_field("sort_type", f"must be one of {', '.join(SORT_TYPES)}", sort_type)
        start, end = whole_number(call, "start_time"), whole_number(call, "end_time")
        if container == "thread":
            found = self._thread(container_id)
            if start is not None or end is not None:
                raise RefusedError(230001, "ext=a thread has no time range")
        else:
            found = self._chat(container_id, start, end)
        found.sort(key=lambda message: message.create_time_ms, reverse=sort_type == SORT_TYPES[1])
        id_type = user_id_type(call)
        return build_page(
            call,
            found,
            key=lambda message: message.message_id,
            to_wire=lambda message: message_to_wire(self._tenant, message, id_type),
        )

    def _chat(self, chat_id: str, start: int | None, end: int | None) -> list[Message]:
        """Times are in seconds since 1970, both included."""
        check_readable(self._tenant, chat_id)
        self._check_group_scope(chat_id)
        return [
            message
            for message in self._tenant.chat_messages(chat_id)
            if (message.thread_id is None or starts_thread(message))
            and (start is None or message.create_time_ms // 1000 >= start)
            and (end is None or message.create_time_ms // 1000 <= end)
        ]

    def _thread(self, thread_id: str) -> list[Message]:
        first = find_thread(self._tenant, thread_id)
        if first is None:
            raise RefusedError(230001, f"ext=there is no thread {thread_id}")
        check_readable(self._tenant, first.chat_id)
        self._check_group_scope(first.chat_id)
        return [each for each in self._tenant.messages.values() if each.thread_id == thread_id]

    def _check_group_scope(self, chat_id: str) -> None:
        if chat_id in self._tenant.groups and self._tenant.granted_scopes.isdisjoint(GROUP_MESSAGE_SCOPES):
            raise RefusedError(230027, f"ext=need scope: {GROUP_MESSAGE_SCOPES[0]}")

    def list_readers(self, call: Call) -> JsonObject:
        """The people who have read a message of the app, within 7 days."""
        message = find_message(self._tenant, call.path["message_id"])
        if not call.query.get("user_id_type"):
            raise bad_field("user_id_type", "user_id_type is required")
        id_type = user_id_type(call)
        check_readable(self._tenant, message.chat_id)
        if message.sender_id != self._tenant.settings.app_id:
            raise RefusedError(230012)
        if self._tenant.clock.now_ms() - message.create_time_ms > READERS_DAYS * 86_400_000:
            raise RefusedError(230033)

        def to_wire(open_id: str) -> JsonObject:
            return {
                "user_id_type": id_type,
                "user_id": person_id(self._tenant, open_id, id_type),
                "timestamp": str(message.read_by[open_id]),
                "tenant_key": self._tenant.settings.tenant_key,
            }

        return build_page(
            call, list(message.read_by), key=lambda open_id: open_id, to_wire=to_wire, largest=100
        )

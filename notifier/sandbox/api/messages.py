"""The message calls: send, reply, update and read, with Feishu's checks in Feishu's order."""

from collections.abc import Callable
from typing import Any

from notifier.sandbox.api.card_entities import CardEntities, card_text
from notifier.sandbox.api.content import Draft, check_resources, check_size, parse_content, read_draft
from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.quota import MESSAGES, Quota
from notifier.sandbox.api.recipients import (
    check_chat,
    check_readable,
    find_chat_id,
    find_message,
    user_id_type,
)
from notifier.sandbox.cards.leak_audit import find_leak
from notifier.sandbox.cards.rules import CardRefusedError, check_card
from notifier.sandbox.chat.messages import NO_REPLY, ReplyPlace, message_to_wire, place_reply
from notifier.sandbox.error_codes import JsonObject, RefusedError, bool_field, text_field
from notifier.sandbox.tenant import Message, Tenant, drop_oldest, new_id

SEND_SCOPES = ("im:message", "im:message:send_as_bot", "im:message:send")
PATCH_SCOPES = ("im:message", "im:message:send_as_bot", "im:message:update")
READ_SCOPES = ("im:message", "im:message:readonly", "im:message:send_as_bot")
BOT_OFF = 230006
"""The code of a message call without the ability Bot."""
OTHER_SCHEMA = "the new card has another schema than the one sent"


class MessageApi:
    """The message calls. A repeated `uuid` within the window returns the first message."""

    def __init__(self, tenant: Tenant, quota: Quota) -> None:
        self._tenant = tenant
        self._quota = quota
        self.entities = CardEntities(tenant)
        self.uuids: dict[
            str, tuple[float, str]
        ] = {}  # by uuid: when it was sent, clock.elapsed(), and the message

    def apis(self) -> list[Api]:
        """All calls of this class."""
        base = "/open-apis/im/v1/messages"
        one = base + "/{message_id}"
        common: Any = {"limits": MESSAGES, "bot_off_code": BOT_OFF}
        return [
            Api(method="POST", path=base, scopes=SEND_SCOPES, **common, answer=self.send),
            Api(method="POST", path=one + "/reply", scopes=SEND_SCOPES, **common, answer=self.reply),
            Api(method="PATCH", path=one, scopes=PATCH_SCOPES, **common, answer=self.update),
            Api(method="GET", path=one, scopes=READ_SCOPES, **common, answer=self.read),
        ]

    def send(self, call: Call) -> JsonObject:
        """Sends a message to a person or group."""
        receive_id = text_field(call.body, "receive_id")
        draft = read_draft(call.body)
        earlier = self.sent_before(draft.uuid)
        if earlier is not None:
            return self._to_wire(earlier)
        receive_id_type = call.query.get("receive_id_type", "")
        return self._to_wire(self.post(find_chat_id(self._tenant, receive_id_type, receive_id), draft))

    def reply(self, call: Call) -> JsonObject:
        """Replies to a message."""
        parent = find_message(self._tenant, call.path["message_id"])
        draft = read_draft(call.body)
        earlier = self.sent_before(draft.uuid)
        if earlier is not None:
            return self._to_wire(earlier)
        if parent.recalled:
            raise RefusedError(230011)
        check_chat(self._tenant, parent.chat_id)
        in_thread = bool_field(call.body, "reply_in_thread")
        message = self.post(parent.chat_id, draft, place=lambda: place_reply(parent, in_thread=in_thread))
        return self._to_wire(message)

    def update(self, call: Call) -> JsonObject:
        """PATCH: replaces the whole card. The answer has no data."""
        message = find_message(self._tenant, call.path["message_id"])
        content_text = text_field(call.body, "content")
        if message.recalled:
            raise RefusedError(230011)
        if message.visible_to or message.hook_token:
            raise RefusedError(230001, "ext=This message is NOT a card.")
        if message.sender_id != self._tenant.settings.app_id:
            raise RefusedError(230012)
        if message.msg_type != "interactive":
            raise RefusedError(230001, "ext=This message is NOT a card.")
        if (
            self._tenant.clock.now_ms() - message.create_time_ms
            > self._tenant.settings.patch_window_seconds * 1000
        ):
            raise RefusedError(230031)
        content = parse_content(content_text)
        check_size("interactive", content_text)
        if not (_is_shared(message.content) and _is_shared(content)):
            raise RefusedError(
                230001, "ext=config.update_multi must be true in the old card and in the new one"
            )
        if None not in (before := _schema(message.content), after := _schema(content)) and before != after:
            raise RefusedError(
                230099, _card_detail(CardRefusedError(200830, OTHER_SCHEMA, err_path="ROOT -> schema"))
            )
        if message.has_pending_click:
            raise RefusedError(230099, _card_detail(CardRefusedError(11310, "card action is lock")))
        self.check_content("interactive", content)
        self._quota.consume_target(message.message_id)
        self.replace_content(message, content, content_text)
        return {}

    def read(self, call: Call) -> JsonObject:
        """One message. Those that it merges follow it."""
        message = find_message(self._tenant, call.path["message_id"])
        check_readable(self._tenant, message.chat_id)
        id_type = user_id_type(call)
        items = [message_to_wire(self._tenant, message, id_type)]
        for merged_id in message.merged_ids:  # may be gone with `keep_records`
            if (merged := self._tenant.messages.get(merged_id)) is not None:
                wire = message_to_wire(self._tenant, merged, id_type)
                items.append({**wire, "upper_message_id": message.message_id})
        return {"items": items}

    def check_content(self, msg_type: str, content: JsonObject) -> None:
        """Raises RefusedError: 230099 for an invalid card, 230028 for a leak, 230017 for what was not uploaded."""
        tenant = self._tenant
        if msg_type == "interactive":
            try:
                check_card(
                    content,
                    settings=tenant.settings,
                    known_ids=known_person_ids(tenant),
                    known_images=tenant.images,
                )
            except CardRefusedError as refused:
                raise RefusedError(230099, _card_detail(refused)) from refused
        check_resources(msg_type, content, tenant)
        found = find_leak(content) if tenant.settings.leak_audit else None
        if found:
            raise RefusedError(230028, f"ext=plain {found}")

    def replace_content(self, message: Message, content: JsonObject, content_text: str) -> None:
        """Replaces the content of a message for all its readers."""
        message.content = content
        message.content_text = content_text
        message.update_time_ms = self._tenant.clock.now_ms()
        self._tenant.bump_revision()

    def sent_before(self, uuid: str | None) -> Message | None:
        """The message that was sent with this uuid within the window, to any recipient."""
        if uuid is None or uuid not in self.uuids:
            return None
        sent_at, message_id = self.uuids[uuid]
        is_fresh = self._tenant.clock.elapsed() - sent_at < self._tenant.settings.uuid_window_seconds
        return self._tenant.messages[message_id] if is_fresh else None

    def post(
        self, chat_id: str, draft: Draft, *, place: Callable[[], ReplyPlace] = lambda: NO_REPLY
    ) -> Message:
        """Adds a message after its checks. place: called once when they have passed, as it may start a thread."""
        entity = self.entities.find_sendable(draft.content) if draft.msg_type == "interactive" else None
        content, content_text = draft.content, draft.content_text
        if entity is not None:
            content, content_text = entity.card, card_text(entity.card)
        self.check_content(draft.msg_type, content)
        self._quota.consume_target(chat_id)
        now_ms = self._tenant.clock.now_ms()
        reply = place()
        message = Message(
            message_id=new_id("om"),
            chat_id=chat_id,
            sender_id=self._tenant.settings.app_id,
            msg_type=draft.msg_type,
            content=content,
            content_text=content_text,
            uuid=draft.uuid,
            create_time_ms=now_ms,
            update_time_ms=now_ms,
            parent_id=reply.parent_id,
            root_id=reply.root_id,
            thread_id=reply.thread_id,
        )
        if entity is not None:
            entity.message_id = message.message_id
        if draft.uuid is not None:
            self.uuids[draft.uuid] = (self._tenant.clock.elapsed(), message.message_id)
        self.store(message)
        return message

    def store(self, message: Message) -> None:
        """Adds a new message."""
        self._tenant.messages[message.message_id] = message
        self._drop_oldest_messages()
        self._tenant.bump_revision()

    def _drop_oldest_messages(self) -> None:
        """A uuid is removed with its message, because a repeated send could not be answered without it."""
        gone = set(drop_oldest(self._tenant.messages, self._tenant.settings.keep_records))
        if gone:
            self.uuids = {uuid: made for uuid, made in self.uuids.items() if made[1] not in gone}

    def _to_wire(self, message: Message) -> JsonObject:
        return message_to_wire(self._tenant, message)


def _is_shared(card: JsonObject) -> bool:
    """Whether `update_multi` is explicitly true. A template has its own config and counts as shared."""
    if card.get("type") == "template":
        return True
    config = card.get("config")
    return isinstance(config, dict) and config.get("update_multi") is True


def _schema(card: JsonObject) -> object:
    """The version of the card JSON: "1.0", "2.0", or None for a template, whose version is not known."""
    return None if card.get("type") == "template" else card.get("schema", "1.0")


def _card_detail(refused: CardRefusedError) -> str:
    return (
        f"ext=ErrCode: {refused.err_code}; ErrPath: {refused.err_path}; ErrMsg: {refused.err_msg}; "
        f"ErrorValue: {refused.value!r:.100}"
    )


def known_person_ids(tenant: Tenant) -> frozenset[str]:
    """All ids that a card can use for a person: open_id, union_id and user_id."""
    people = tenant.people.values()
    return frozenset(
        known for person in people for known in (person.open_id, person.union_id, person.user_id)
    )

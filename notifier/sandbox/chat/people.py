"""People who use Feishu's client: they write messages and choose items of the bot's menu."""

import base64
import binascii
from collections.abc import Callable

from notifier.sandbox.chat.events import entered_event, menu_event, read_event, recalled_event, received_event
from notifier.sandbox.chat.groups import GroupActions
from notifier.sandbox.chat.images import image_type
from notifier.sandbox.chat.messages import NO_REPLY, ReplyPlace, content_text, place_reply, replace_mentions
from notifier.sandbox.chat.publish import Publish
from notifier.sandbox.chat.reactions import EMOJI_TYPES, Reactions
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.event_types import (
    CHAT_ENTERED,
    GROUP_MESSAGE_SCOPES,
    MENTION_SCOPES,
    MENU_CHOSEN,
    MESSAGE_READ,
    MESSAGE_RECALLED,
    MESSAGE_RECEIVED,
    PRIVATE_MESSAGE_SCOPES,
)
from notifier.sandbox.tenant import (
    USER_SENDER,
    Mention,
    Message,
    PersonStatus,
    Tenant,
    TenantPerson,
    new_id,
)

WRITTEN_TYPES = ("text", "post", "image", "file")
"""Types of messages that people can write."""


class BadActionError(ValueError):
    """Something that the person cannot do. The text is shown to the caller."""


class MissingTargetError(BadActionError):
    """The person, chat or message does not exist."""


class PeopleActions:
    """What people do in Feishu's client. Each action pushes its event."""

    def __init__(self, tenant: Tenant, store: Callable[[Message], None], publish: Publish) -> None:
        """store: adds a new message to the tenant."""
        self._tenant = tenant
        self._store = store
        self._publish = publish
        self.reactions = Reactions(tenant, publish)
        self.group_actions = GroupActions(tenant, publish)

    def write(
        self,
        open_id: str,
        *,
        msg_type: str,
        content: JsonObject,
        chat_id: str | None = None,
        mention_bot: bool = True,
        reply_to: str | None = None,
        in_thread: bool = False,
    ) -> tuple[Message, list[str]]:
        """Writes a message. Returns it and the ids of its events.

        chat_id: the private chat with the bot by default, or that of `reply_to`. mention_bot: in a group, the text
        or post begins with a mention of the bot. in_thread: reply in the thread of `reply_to`.
        """
        person = self._person(open_id)
        parent = self.message(reply_to) if reply_to else None
        if chat_id is None:
            chat_id = parent.chat_id if parent else person.chat_id
        if parent is not None and (parent.chat_id != chat_id or parent.recalled):
            raise BadActionError("the message to reply to is in another chat, or was recalled")
        self._check_may_write(person, chat_id)
        if msg_type not in WRITTEN_TYPES:
            raise BadActionError(f'"msg_type" must be one of: {", ".join(WRITTEN_TYPES)}')
        is_group = chat_id in self._tenant.groups
        written, mentions = self._read_content(msg_type, content, mention_bot=is_group and mention_bot)
        place = place_reply(parent, in_thread=in_thread) if parent else NO_REPLY
        message = self._build(person, chat_id, msg_type, written, mentions, place)
        self._store(message)
        return message, self._push_received(message, person)

    def receive_shared(self, message: Message) -> None:
        """Pushes the event of a message of a group that a person wrote through another app of the tenant."""
        person = self._tenant.people.get(self._tenant.local_id(message.sender_id))
        if message.sender_type == USER_SENDER and person is not None:
            self._push_received(message, person)

    def press_menu(self, open_id: str, event_key: str) -> list[str]:
        """Chooses an item of the bot's menu in the private chat. Returns the ids of its events."""
        person = self._person(open_id)
        keys = [key for key, _, _ in self._tenant.settings.bot_menu]
        if event_key not in keys:
            raise BadActionError(f"the menu has no item {event_key!r}; items: {', '.join(keys)}")
        self._check_reaches_bot(person)
        return self._publish(MENU_CHOSEN, menu_event(self._tenant, person, event_key), None)

    def recall(self, open_id: str, message_id: str) -> list[str]:
        """Recalls an own message. Returns the ids of its events."""
        person, message = self._person(open_id), self.message(message_id)
        age_ms = self._tenant.clock.now_ms() - message.create_time_ms
        if self._tenant.local_id(message.sender_id) != person.open_id:
            raise BadActionError("only the sender can recall a message")
        if message.recalled:
            raise BadActionError("the message was already recalled")
        if age_ms > self._tenant.settings.recall_window_seconds * 1000:
            raise BadActionError("the message is too old to be recalled")
        message.recalled = True
        if not self._tenant.has_bot_in(message.chat_id):
            return []
        return self._publish(MESSAGE_RECALLED, recalled_event(self._tenant, message), None)

    def react(self, open_id: str, message_id: str, emoji_type: str) -> tuple[str, list[str]]:
        """Puts an emoji on a message. Returns the id of the reaction and the ids of its events."""
        person, message = self._person(open_id), self._visible_message(open_id, message_id)
        if emoji_type not in EMOJI_TYPES:
            raise BadActionError(
                f"Feishu has no emoji {emoji_type!r}; case matters, as in SMILE and CheckMark"
            )
        reaction, event_ids = self.reactions.add(message, person.open_id, USER_SENDER, emoji_type)
        return reaction.reaction_id, event_ids

    def remove_reaction(self, message_id: str, reaction_id: str) -> list[str]:
        """Removes a reaction of a person. Returns the ids of its events."""
        message = self.message(message_id)
        for reaction in message.reactions:
            if reaction.reaction_id == reaction_id and reaction.operator_type == USER_SENDER:
                return self.reactions.remove(message, reaction)
        raise MissingTargetError(f"the message has no reaction {reaction_id!r} of a person")

    def read(self, open_id: str, message_id: str) -> list[str]:
        """Reads a message. Returns the ids of its events: one for the first time, and in a private chat only."""
        person, message = self._person(open_id), self._visible_message(open_id, message_id)
        if message.sender_id == person.open_id or person.open_id in message.read_by:
            return []
        message.read_by[person.open_id] = self._tenant.clock.now_ms()
        if message.chat_id in self._tenant.groups or message.sender_type == USER_SENDER:
            return []
        return self._publish(MESSAGE_READ, read_event(self._tenant, message, person), None)

    def enter_chat(self, open_id: str, chat_id: str) -> list[str]:
        """Opens the private chat with the bot. Returns the ids of its events."""
        person = self._person(open_id)
        if chat_id != person.chat_id:
            raise BadActionError(f"{chat_id!r} is not the private chat of {open_id} with the bot")
        self._check_reaches_bot(person)
        return self._publish(CHAT_ENTERED, entered_event(self._tenant, person), None)

    def set_bot(self, open_id: str, chat_id: str, *, is_member: bool) -> list[str]:
        """Adds the bot to a group or removes it. Returns the ids of its events."""
        person, group = self._person(open_id), self._tenant.groups.get(chat_id)
        if group is None:
            raise MissingTargetError(f"there is no group {chat_id!r}")
        if group.dissolved or person.open_id not in group.members:
            raise BadActionError(f"{open_id} is not a member of the group, or it was dissolved")
        if is_member:
            self._check_reaches_bot(person)
        return self.group_actions.set_bot(group, person, is_member=is_member)

    def _visible_message(self, open_id: str, message_id: str) -> Message:
        message = self.message(message_id)
        if not self._tenant.is_member(open_id, message.chat_id):
            raise BadActionError(f"{open_id} is not in the chat of the message")
        if message.recalled:
            raise BadActionError("the message was recalled")
        return message

    def message(self, message_id: str) -> Message:
        """The message with this id. Raises MissingTargetError."""
        message = self._tenant.messages.get(message_id)
        if message is None:
            raise MissingTargetError(f"there is no message {message_id!r}")
        return message

    def _person(self, open_id: str) -> TenantPerson:
        if open_id not in self._tenant.people:
            raise MissingTargetError(f"there is no person {open_id!r}")
        person = self._tenant.people[open_id]
        if person.status is PersonStatus.RESIGNED:
            raise BadActionError(f"{open_id} has resigned")
        return person

    def _check_may_write(self, person: TenantPerson, chat_id: str) -> None:
        group = self._tenant.groups.get(chat_id)
        if group is None:
            if chat_id != person.chat_id:
                raise MissingTargetError(f"{person.open_id} has no chat {chat_id!r}")
            self._check_reaches_bot(person)
            if MESSAGE_RECEIVED not in self._tenant.console.live.events:
                raise BadActionError(
                    f"the app does not subscribe to {MESSAGE_RECEIVED}: Feishu's client shows no input box"
                )
        elif person.open_id not in group.members:
            raise BadActionError(f"{person.open_id} is not a member of the group")
        elif group.dissolved:
            raise BadActionError("the group was dissolved")

    def _check_reaches_bot(self, person: TenantPerson) -> None:
        if not self._tenant.console.live.bot or not self._tenant.is_available_to(person):
            raise BadActionError(f"{person.open_id} does not see the bot: no ability Bot, or out of range")

    def _read_content(
        self, msg_type: str, content: JsonObject, *, mention_bot: bool
    ) -> tuple[JsonObject, list[Mention]]:
        """The content as Feishu's API shows it, and its mentions."""
        if msg_type == "text":
            text = content.get("text")
            if not isinstance(text, str) or not text.strip():
                raise BadActionError("a text must not be empty")
            at_bot = (
                f'<at user_id="{self._tenant.bot_open_id}">{self._tenant.settings.app_name}</at> '
                if mention_bot
                else ""
            )
            written, mentions = replace_mentions(self._tenant, at_bot + text)
            return {"text": written}, mentions
        if msg_type == "post":
            return self._read_post(content, mention_bot=mention_bot)
        return self._read_upload(msg_type, content), []

    def _read_post(self, content: JsonObject, *, mention_bot: bool) -> tuple[JsonObject, list[Mention]]:
        """A post is received without a language around it: {"title": "", "content": [[...]]}."""
        paragraphs = content.get("content")
        if not isinstance(paragraphs, list) or not all(isinstance(one, list) for one in paragraphs):
            raise BadActionError('a post must be {"title": "...", "content": [[{"tag": "text", ...}]]}')
        mentions: list[Mention] = []
        if mention_bot:
            at_bot: JsonObject = {"tag": "at", "user_id": self._tenant.bot_open_id}
            paragraphs = [[at_bot, *(paragraphs[0] if paragraphs else [])], *paragraphs[1:]]
        written = [[self._read_node(node, mentions) for node in one] for one in paragraphs]
        return {"title": str(content.get("title", "")), "content": written}, mentions

    def _read_node(self, node: object, mentions: list[Mention]) -> JsonObject:
        """A node of a post; a mention gets its placeholder as user_id."""
        if not isinstance(node, dict) or not isinstance(node.get("tag"), str):
            raise BadActionError("each node of a post must be an object with a tag")
        if node["tag"] != "at":
            return node
        _, found = replace_mentions(self._tenant, f'<at user_id="{node.get("user_id")}"></at>')
        if not found:
            return {**node, "user_id": "@_all"} if node.get("user_id") == "all" else node
        key = f"@_user_{len(mentions) + 1}"
        mentions.append(Mention(key=key, open_id=found[0].open_id, name=found[0].name))
        return {"tag": "at", "user_id": key, "user_name": found[0].name, "style": []}

    def _read_upload(self, msg_type: str, content: JsonObject) -> JsonObject:
        """A file or image that the person uploads as base64, or the key of one that is already here."""
        if msg_type == "image":
            return {"image_key": self._read_image(content)}
        key = content.get("file_key")
        if key is None:
            key, data = new_id("file_v3"), _decode_upload(content, "file_key")
            name = str(content.get("file_name") or "file.txt")
            self._tenant.files[key] = {"file_name": name, "bytes": len(data), "content": data}
        elif key not in self._tenant.files:
            raise MissingTargetError(f"there is no file {key!r}")
        return {"file_key": key, "file_name": self._tenant.files[str(key)]["file_name"]}

    def _read_image(self, content: JsonObject) -> str:
        key = content.get("image_key")
        if key is None:
            data, image_key = _decode_upload(content, "image_key"), new_id("img_v3")
            if image_type(data) is None:
                raise BadActionError("the bytes are no image of a type that Feishu accepts")
            self._tenant.images.add(image_key)
            self._tenant.image_bytes[image_key] = data
            return image_key
        if key not in self._tenant.images:
            raise MissingTargetError(f"there is no image {key!r}")
        return str(key)

    def _build(
        self,
        person: TenantPerson,
        chat_id: str,
        msg_type: str,
        content: JsonObject,
        mentions: list[Mention],
        place: ReplyPlace,
    ) -> Message:
        now_ms = self._tenant.clock.now_ms()
        return Message(
            message_id=new_id("om"),
            chat_id=chat_id,
            sender_id=person.open_id,
            sender_type=USER_SENDER,
            msg_type=msg_type,
            content=content,
            content_text=content_text(content),
            create_time_ms=now_ms,
            update_time_ms=now_ms,
            parent_id=place.parent_id,
            root_id=place.root_id,
            thread_id=place.thread_id,
            mentions=mentions,
        )

    def _push_received(self, message: Message, person: TenantPerson) -> list[str]:
        group = self._tenant.groups.get(message.chat_id)
        if group is not None and not self._tenant.has_bot(group):
            return []
        scopes: tuple[str, ...] = GROUP_MESSAGE_SCOPES
        if group is None:
            scopes = PRIVATE_MESSAGE_SCOPES
        elif any(mention.open_id == self._tenant.bot_open_id for mention in message.mentions):
            scopes = MENTION_SCOPES
        return self._publish(MESSAGE_RECEIVED, received_event(self._tenant, message, person), scopes)


def _decode_upload(content: JsonObject, key_name: str) -> bytes:
    try:
        return base64.b64decode(str(content["base64"]), validate=True)
    except (KeyError, binascii.Error) as error:
        raise BadActionError(f'the content needs "base64", or the "{key_name}" of an upload') from error

"""The routes of the control API for people who use Feishu's client."""

from aiohttp import web

from notifier.sandbox.chat.people import BadActionError
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.sandbox import Sandbox


class PeopleApi:
    """Actions of people. See chat/people.py for their rules."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._people = sandbox.people
        self._tenant = sandbox.tenant

    def write(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """Writes a message: {"open_id", "text"} or {"open_id", "msg_type", "content"}."""
        content = body.get("content", {"text": body.get("text")})
        if not isinstance(content, dict):
            raise BadActionError('"content" must be an object')
        message, event_ids = self._people.write(
            _text(body, "open_id"),
            msg_type=_text(body, "msg_type", "text"),
            content=content,
            chat_id=_text(body, "chat_id", "") or None,
            mention_bot=_switch(body, "mention_bot", default=True),
            reply_to=_text(body, "reply_to", "") or None,
            in_thread=_switch(body, "in_thread", default=False),
        )
        return {"message_id": message.message_id, "event_ids": event_ids}

    def recall(self, request: web.Request, body: JsonObject) -> JsonObject:
        """The sender recalls a message: {"open_id"}."""
        message_id = request.match_info["message_id"]
        return {"event_ids": self._people.recall(_text(body, "open_id"), message_id)}

    def react(self, request: web.Request, body: JsonObject) -> JsonObject:
        """A person puts an emoji on a message: {"open_id", "emoji_type"}."""
        reaction_id, event_ids = self._people.react(
            _text(body, "open_id"), request.match_info["message_id"], _text(body, "emoji_type")
        )
        return {"reaction_id": reaction_id, "event_ids": event_ids}

    def remove_reaction(self, request: web.Request, _body: JsonObject) -> JsonObject:
        """A person removes an own reaction."""
        path = request.match_info
        return {"event_ids": self._people.remove_reaction(path["message_id"], path["reaction_id"])}

    def read(self, request: web.Request, body: JsonObject) -> JsonObject:
        """A person reads a message: {"open_id"}."""
        message_id = request.match_info["message_id"]
        return {"event_ids": self._people.read(_text(body, "open_id"), message_id)}

    def enter_chat(self, request: web.Request, body: JsonObject) -> JsonObject:
        """A person opens the private chat with the bot: {"open_id"}."""
        chat_id = request.match_info["chat_id"]
        return {"event_ids": self._people.enter_chat(_text(body, "open_id"), chat_id)}

    def set_bot(self, request: web.Request, body: JsonObject) -> JsonObject:
        """A member adds the bot to a group or removes it: {"open_id", "is_member"}."""
        chat_id = request.match_info["chat_id"]
        is_member = _switch(body, "is_member", default=None)
        return {"event_ids": self._people.set_bot(_text(body, "open_id"), chat_id, is_member=is_member)}

    def press_menu(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """Chooses an item of the bot's menu: {"open_id", "event_key"}."""
        return {"event_ids": self._people.press_menu(_text(body, "open_id"), _text(body, "event_key"))}


def _text(body: JsonObject, name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise BadActionError(f'"{name}" must be text')
    return value


def _switch(body: JsonObject, name: str, *, default: bool | None) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise BadActionError(f'"{name}" must be true or false')
    return value

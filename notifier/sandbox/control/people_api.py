"""The routes of the control API for people who use Feishu's client."""

from collections.abc import Callable

from aiohttp import web

from notifier.sandbox.chat.people import BadActionError
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.sandbox import Sandbox

Handler = Callable[[web.Request, JsonObject], JsonObject]


class PeopleApi:
    """Actions of people. See chat/people.py for their rules."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._people = sandbox.people
        self._tenant = sandbox.tenant

    def posts(self) -> list[tuple[str, Handler]]:
        """The path and handler of each POST route."""
        return [("/messages", self.write), ("/menu", self.press_menu)]

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

    def press_menu(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """Chooses an item of the bot's menu: {"open_id", "event_key"}."""
        return {"event_ids": self._people.press_menu(_text(body, "open_id"), _text(body, "event_key"))}


def _text(body: JsonObject, name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise BadActionError(f'"{name}" must be text')
    return value


def _switch(body: JsonObject, name: str, *, default: bool) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise BadActionError(f'"{name}" must be true or false')
    return value

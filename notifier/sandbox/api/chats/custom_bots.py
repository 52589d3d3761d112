"""Custom bots of groups: a webhook address that posts into one group, without a token."""

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from notifier.sandbox.api.content import read_draft
from notifier.sandbox.api.gateway import Api, Call, RawAnswer
from notifier.sandbox.api.messages import MessageApi
from notifier.sandbox.api.posting import add_message
from notifier.sandbox.api.quota import Limit, Quota
from notifier.sandbox.error_codes import JsonObject, RefusedError, parse_json
from notifier.sandbox.settings import new_secret
from notifier.sandbox.tenant import Tenant

PATH = "/open-apis/bot/v2/hook/"
PER_BOT = (Limit(100, 60), Limit(5, 1))
MAX_BYTES, MAX_KEYWORDS = 20 * 1024, 10
MAX_CLOCK_DIFFERENCE_SECONDS = 3600
MSG_TYPES = ("text", "post", "image", "share_chat", "interactive")
TEXT_NAMES = ("text", "title", "content")
"""Members whose text is searched for keywords. Addresses are not."""


class BadHookError(ValueError):
    """A custom bot that cannot be added. The text is shown to the caller."""


@dataclass(slots=True, kw_only=True)
class CustomBot:
    """One custom bot."""

    token: str  # at the end of its webhook address
    chat_id: str  # the group that it posts to
    name: str  # as shown in the group
    secret: str = ""  # for the signature; "" without one
    keywords: list[str]  # a message needs one of them; empty for no rule

    def to_json(self, url: str) -> JsonObject:
        """The bot with its webhook address. url: scheme and host of the sandbox."""
        return {
            "url": f"{url}{PATH}{self.token}",
            "token": self.token,
            "chat_id": self.chat_id,
            "name": self.name,
            "secret": self.secret,
            "keywords": self.keywords,
        }


class CustomBotApi:
    """All custom bots, by token, and their call."""

    def __init__(self, tenant: Tenant, quota: Quota, messages: MessageApi) -> None:
        self._tenant = tenant
        self._quota = quota
        self._messages = messages
        self.bots: dict[str, CustomBot] = {}

    def apis(self) -> list[Api]:
        """The call of the webhook address."""
        notes = "no IP allow-list; a wrong card answers 11246, other wrong content 9499"
        return [
            Api(
                method="POST",
                path=PATH + "{token}",
                scopes=(),
                limits=(),
                tokens=(),
                answer=self.post,
                notes=notes,
            )
        ]

    def add(
        self, chat_id: str, *, name: str = "", keywords: Iterable[object] = (), is_signed: bool = False
    ) -> CustomBot:
        """Adds a custom bot to a group. is_signed: requests need a signature. Raises BadHookError."""
        if chat_id not in self._tenant.groups:
            raise BadHookError(f"there is no group {chat_id!r}")
        given = list(keywords)
        words = [word for word in given if isinstance(word, str) and word]
        if len(given) > MAX_KEYWORDS or words != given:
            raise BadHookError(f'"keywords" must be at most {MAX_KEYWORDS} texts')
        bot = CustomBot(
            token=str(uuid.uuid4()),
            chat_id=chat_id,
            name=name or "自定义机器人（示例）",
            secret=new_secret("hook-secret") if is_signed else "",
            keywords=words,
        )
        self.bots[bot.token] = bot
        self._tenant.bump_revision()
        return bot

    def post(self, call: Call) -> RawAnswer:
        """Posts a message into the group of the bot."""
        try:
            self._post(call)
        except RefusedError as refused:
            refused.members = {"data": {}}
            raise
        success = {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"}
        return RawAnswer(body=success)

    def _post(self, call: Call) -> None:
        bot = self.bots.get(call.path["token"])
        group = self._tenant.groups.get(bot.chat_id) if bot else None
        if bot is None or group is None or group.dissolved:
            raise RefusedError(19001)
        if self._quota.consume(f"hook {bot.token}", PER_BOT):
            raise RefusedError(11232)
        if bot.secret:
            self._check_signature(bot, call.body)
        if len(json.dumps(call.body, ensure_ascii=False).encode()) > MAX_BYTES:
            raise RefusedError(9499, f"more than {MAX_BYTES} bytes")
        msg_type, content = self._read_content(bot, call.body)
        if bot.keywords and not any(word in text for word in bot.keywords for text in _texts(content)):
            raise RefusedError(19024)
        add_message(
            self._tenant, chat_id=bot.chat_id, msg_type=msg_type, content=content, hook_token=bot.token
        )

    def _check_signature(self, bot: CustomBot, body: JsonObject) -> None:
        """Raises 19021 for a wrong signature, and for a time more than an hour from the sandbox's clock."""
        timestamp, sign = str(body.get("timestamp")), str(body.get("sign"))
        is_near = (
            timestamp.isdecimal()
            and abs(int(timestamp) - self._tenant.clock.now()) <= MAX_CLOCK_DIFFERENCE_SECONDS
        )
        key = f"{timestamp}\n{bot.secret}".encode()
        expected = base64.b64encode(hmac.digest(key, b"", hashlib.sha256))
        if not is_near or not hmac.compare_digest(sign.encode(), expected):
            raise RefusedError(19021)

    def _read_content(self, bot: CustomBot, body: JsonObject) -> tuple[str, JsonObject]:
        """The type and the content, in the form of a message. Raises 9499 and 11246."""
        msg_type = body.get("msg_type")
        content = body.get("card" if msg_type == "interactive" else "content")
        if isinstance(content, str) and msg_type == "interactive":
            try:
                content = parse_json(content)
            except (ValueError, RecursionError) as error:
                raise RefusedError(11246, f"card is not JSON: {error}") from error
        if msg_type not in MSG_TYPES or not isinstance(content, dict):
            raise RefusedError(9499, "msg_type and content are required")
        if msg_type == "post":
            content = content.get("post")
        elif msg_type == "share_chat":
            if content.get("share_chat_id") != bot.chat_id:
                raise RefusedError(9499, "share_chat_id must be the group of the bot")
            content = {"chat_id": bot.chat_id}
        try:
            draft = read_draft({"msg_type": msg_type, "content": json.dumps(content, ensure_ascii=False)})
            self._messages.check_content(str(msg_type), draft.content)
        except RefusedError as refused:
            raise RefusedError(11246 if refused.code == 230099 else 9499, refused.msg) from refused
        return str(msg_type), draft.content


def _texts(content: object) -> Iterator[str]:
    """All texts in a content that a reader sees."""
    inside = [content]
    while inside:
        each = inside.pop()
        if isinstance(each, dict):
            yield from (value for name in TEXT_NAMES if isinstance(value := each.get(name), str))
            inside += each.values()
        elif isinstance(each, list):
            inside += each

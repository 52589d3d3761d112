"""The delayed update of a card: with the token of a click, for 30 minutes and at most twice."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from notifier.sandbox.api.card_entities import card_text
from notifier.sandbox.api.content import CARD_BYTES
from notifier.sandbox.api.gateway import Api, Call, RawAnswer
from notifier.sandbox.api.messages import PATCH_SCOPES, MessageApi
from notifier.sandbox.api.quota import MESSAGES
from notifier.sandbox.error_codes import JsonObject, RefusedError
from notifier.sandbox.tenant import Message, Tenant, drop_oldest

PATH = "/open-apis/interactive/v1/card/update"
VALID_SECONDS, USES, MAX_BYTES = 30 * 60, 2, 100 * 1024


@dataclass(slots=True, kw_only=True)
class UpdateToken:
    """The token of one click."""

    message_id: str  # the card that was clicked
    issued_at: float  # on SandboxClock.elapsed
    uses: int = 0  # completed updates


class DelayedUpdateApi:
    """The call that updates a clicked card."""

    def __init__(self, tenant: Tenant, messages: MessageApi) -> None:
        self._tenant = tenant
        self._messages = messages
        self._tokens: dict[str, UpdateToken] = {}

    def apis(self) -> list[Api]:
        """All calls of this class."""
        notes = "errors have HTTP 400; only completed updates count as uses; both are our choice"
        return [
            Api(
                method="POST",
                path=PATH,
                scopes=PATCH_SCOPES,
                limits=MESSAGES,
                answer=self.update,
                notes=notes,
            )
        ]

    def issue_token(self, message_id: str) -> str:
        """The token in the callback of a click."""
        token = f"c-{secrets.token_hex(16)}"
        self._tokens[token] = UpdateToken(message_id=message_id, issued_at=self._tenant.clock.elapsed())
        drop_oldest(self._tokens, self._tenant.settings.keep_records)
        return token

    def update(self, call: Call) -> RawAnswer:
        """Replaces the card for everybody, or the exclusive card of some people."""
        token, message = self._find(call.body.get("token"))
        card = call.body.get("card")
        if not isinstance(card, dict) or not card:
            raise RefusedError(10002, "card must be an object")
        if message.recalled:
            raise RefusedError(200000)
        if message.has_pending_click:
            raise RefusedError(11310, "answer the callback first")
        size = len(card_text(card).encode())
        if size > MAX_BYTES:
            raise RefusedError(100000)
        if size > CARD_BYTES:
            raise RefusedError(11311, "the card is larger than 30 KB")
        self._check_and_show(message, card)
        token.uses += 1
        return RawAnswer(body={"code": 0, "msg": "ok"})

    def _find(self, token: object) -> tuple[UpdateToken, Message]:
        """Raises 300020 (malformed or unknown), 300030 (expired), 300040 (used twice), 200000 (no message)."""
        known = self._tokens.get(token) if isinstance(token, str) else None
        if known is None:
            raise RefusedError(300020)
        if self._tenant.clock.elapsed() - known.issued_at > VALID_SECONDS:
            raise RefusedError(300030)
        if known.uses >= USES:
            raise RefusedError(300040)
        message = self._tenant.messages.get(known.message_id)
        if message is None:
            raise RefusedError(200000)
        return known, message

    def _check_and_show(self, message: Message, card: JsonObject) -> None:
        readers = self._exclusive_readers(message, card)
        shown = card if readers is None else {key: value for key, value in card.items() if key != "open_ids"}
        if not _has_same_schema(message.content, shown):
            raise RefusedError(11311, "the new card has another schema than the one sent")
        try:
            self._messages.check_content("interactive", shown)
        except RefusedError as refused:
            if refused.code != 230099:
                raise
            raise RefusedError(11311, refused.msg) from refused
        if readers is None:
            self._messages.replace_content(message, shown, card_text(shown))
            return
        for open_id in readers:
            message.personal_cards[open_id] = shown
        message.update_time_ms = self._tenant.clock.now_ms()

    def _exclusive_readers(self, message: Message, card: JsonObject) -> Sequence[str] | None:
        """The people whose exclusive card is updated, None for a shared card. Raises 300090 and 200320."""
        config = card.get("config")
        is_shared = isinstance(config, dict) and config.get("update_multi") is True
        if is_shared or card.get("schema", "1.0") != "1.0" or card.get("type") == "template":
            return None
        open_ids = card.get("open_ids")
        if not open_ids:
            raise RefusedError(300090)
        group = self._tenant.groups.get(message.chat_id)
        person = self._tenant.person_of_chat(message.chat_id)
        readers = group.members if group else [person.open_id] if person else []
        if not isinstance(open_ids, list) or not all(one in readers for one in open_ids):
            raise RefusedError(200320)
        return open_ids


def _has_same_schema(old: JsonObject, new: JsonObject) -> bool:
    if "template" in (old.get("type"), new.get("type")):
        return True
    return old.get("schema", "1.0") == new.get("schema", "1.0")

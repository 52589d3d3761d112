"""How the way sees Feishu. The real parts are in `feishu/`; `app.py` puts them in."""

from dataclasses import dataclass
from typing import Protocol

from notifier.domain.account import Referrer
from notifier.domain.delivery import Content


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """message_id, chat_id: needed to change the card later. log_id: for Feishu's support."""

    message_id: str
    chat_id: str
    log_id: str | None


class Messenger(Protocol):
    async def send(self, content: Content, *, id_type: str, receive_id: str, uuid: str) -> SentMessage:
        """At most one message per uuid within an hour. Raises CallError."""


class Accounts(Protocol):
    async def referrer(self, account_id: str) -> Referrer | None:
        """Whose account it is; None if Feishu names nobody. Raises CallError (AccountUnknown among them)."""

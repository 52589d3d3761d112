"""How the way sees Feishu. The real parts are in `feishu/`; `app.py` puts them in."""

from collections.abc import Collection
from typing import Protocol

from notifier.domain.account import AccountState, Referrer, Withdrawn
from notifier.domain.delivery import Content, SentMessage
from notifier.domain.money import Kind


class Messenger(Protocol):
    async def send(self, content: Content, *, id_type: str, receive_id: str, uuid: str) -> SentMessage:
        """At most one message per uuid within an hour. Raises CallError."""

    async def upload(self, name: str, content: bytes) -> str:
        """A file that a message may show, as its key. Seen by nobody. Raises CallError."""


class HungCards(Protocol):
    async def update(self, message_id: str, body: str) -> None:
        """Replaces the card for everyone who sees it; at most 5 a second per message. Raises CallError."""


class Accounts(Protocol):
    async def referrer(self, account_id: str) -> Referrer | None:
        """Whose account it is; None if Feishu names nobody. Raises CallError (AccountUnknown among them)."""


class Treasury(Protocol):
    async def read(self, account_id: str) -> AccountState:
        """What the account holds now, whose it is, and whether it may withdraw. Raises CallError."""

    async def withdraw(self, account_id: str, *, order_id: str, kinds: Collection[Kind]) -> Withdrawn:
        """Takes everything of these kinds; a repeated order id gives back the original order. Raises CallError."""

"""Ports: the calls that flow makes to other systems. `feishu/` and `payroll/` implement them."""

from collections.abc import Collection
from typing import Protocol

from notifier.clock import Millis
from notifier.domain.account import AccountState, Referrer, Withdrawn
from notifier.domain.delivery import Content, SentMessage
from notifier.domain.money import Kind


class MessageSender(Protocol):
    """Sends and updates messages in Feishu."""

    async def send(
        self,
        content: Content,
        *,
        id_type: str,
        receive_id: str,
        uuid: str,
        reply_to: str = "",
        not_after: Millis | None = None,
    ) -> SentMessage:
        """Sends at most one message per uuid within an hour. reply_to: the message that it replies to, in the chat of
        that message; "": none. not_after: the request is not sent later, Unix milliseconds; None: no limit. Raises
        CallError.
        """

    async def upload(self, name: str, content: bytes) -> str:
        """Uploads a file that a message may show. Returns its key. Nobody sees the file. Raises CallError."""

    async def update(self, message_id: str, body: str) -> None:
        """Replaces a card for everyone who sees it; at most 5 times a second per message. Raises CallError."""


class ReferralAccounts(Protocol):
    """Reads referral accounts in Feishu Hire, and withdraws from them."""

    async def referrer(self, account_id: str) -> Referrer | None:
        """Returns the account's referrer; None if Feishu names nobody. Raises CallError, for example AccountUnknown."""

    async def read(self, account_id: str) -> AccountState:
        """Returns the balance, the referrer, and whether the account may withdraw. Raises CallError."""

    async def withdraw(self, account_id: str, *, order_id: str, kinds: Collection[Kind]) -> Withdrawn:
        """Withdraws the whole balance of these kinds. A repeated order id returns the first result.

        Raises CallError.
        """


class PayoutGateway(Protocol):
    """Submits payouts to the company's payroll system."""

    async def submit_payout(self, order_id: str, body: bytes) -> int:
        """Returns the HTTP status of an acceptance.

        Raises CallError: NotDone, OutcomeUnknown, or Refused if a repeat cannot help.
        """

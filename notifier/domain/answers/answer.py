"""Answer: what one message to a person shows. It is stored with its delivery, so an update shows the same figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from notifier.clock import Millis
from notifier.domain.account import Referrer
from notifier.domain.event import AccountKey
from notifier.domain.money import Amounts, Asset


class AnswerKind(StrEnum):
    """What an answer shows."""

    BALANCE = "balance"
    WITHDRAW = "withdraw"
    """As BALANCE; the person asked to withdraw."""
    HISTORY = "history"
    SETTINGS = "settings"
    """The preferences of the person. The card shows the present ones, so the answer holds none."""
    HELP = "help"
    NO_ACCOUNT = "no_account"
    """The person has no account: what to do."""
    UNAVAILABLE = "unavailable"
    """Feishu does not say now whether the account is still theirs, so nothing of it is shown."""
    TOO_MANY = "too_many"
    """The person asked too often."""
    NOTE = "note"
    """The reply in a group, without any figures: the answer is in the private chat."""
    NOTE_FAILED = "note_failed"
    """The reply in a group when Feishu delivered no private answer: what to do."""

    @property
    def is_text(self) -> bool:
        """Whether it is a plain text, without a card."""
        return self in (AnswerKind.TOO_MANY, AnswerKind.NOTE, AnswerKind.NOTE_FAILED)

    @property
    def offers_withdrawal(self) -> bool:
        """Whether its card may have the withdraw button."""
        return self in (AnswerKind.BALANCE, AnswerKind.WITHDRAW)


class NoOfferReason(StrEnum):
    """Why an account offers nothing to withdraw."""

    EMPTY = "empty"
    """There is no balance to withdraw."""
    BELOW_MINIMUM = "below_minimum"
    """The balance is below `withdrawals.least_amount`."""
    NOT_OFFERED = "not_offered"
    """The configuration offers no withdrawal to referrers."""
    DEACTIVATED = "deactivated"
    """Feishu reports the account as deactivated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """A change of the balance, or a withdrawal."""

    at: Millis
    """When it happened, Unix milliseconds."""
    deltas: Mapping[Asset, Decimal]
    """The changes of a balance, or the amounts of a withdrawal."""
    is_opening: bool = False
    """Whether it is the first known balance of the account, so `deltas` is that balance."""
    state: str = ""
    """State of the withdrawal, as on a WithdrawalPanel; "": a change of the balance."""
    order_id: str = ""
    """The withdrawal; "": a change of the balance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupNote:
    """The reply in a group, which is queued when the result of the private answer is known."""

    target: str
    """Name of the group."""
    chat_id: str
    """The group."""
    reply_to: str
    """The message that asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one message shows."""

    kind: AnswerKind
    """What it shows."""
    account: AccountKey | None = None
    """The account; None: it shows none."""
    referrer: Referrer | None = None
    """The person, as Feishu names them; None: it shows no account."""
    amounts: Amounts | None = None
    """The balance; None: it shows none, or none is known."""
    balance_at: Millis | None = None
    """When the balance was read, or when Feishu reported the stored one, Unix milliseconds; None: not known."""
    is_stored: bool = False
    """Whether Feishu could not be asked, so the balance is the stored one."""
    is_deactivated: bool = False
    """Whether the account is deactivated."""
    no_offer: NoOfferReason | None = None
    """Why nothing can be withdrawn; None: something can, or it does not matter."""
    history: tuple[HistoryRow, ...] = ()
    """Newest first."""
    has_more_history: bool = False
    """Whether there are older rows."""
    hidden_accounts: int = 0
    """On the last of several answers: further accounts of the person, which get none."""
    asked_at: Millis | None = None
    """When the question was asked, Unix milliseconds, if that was long ago; None: it was not."""
    reply_to: str = ""
    """The message that it replies to; "": it replies to none."""
    group_note: GroupNote | None = None
    """The reply in the group where the question was asked, on the first of several answers; None: there is none."""

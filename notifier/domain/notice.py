"""Notice: one thing to tell, with its reason. Born with the ledger change it speaks of."""

from dataclasses import dataclass
from enum import StrEnum

from notifier.clock import Millis
from notifier.domain.event import AccountKey
from notifier.domain.ledger import BalanceChange


class NoticeReason(StrEnum):
    OPENING = "opening"
    """First sight of an account: there is a balance, but nothing it can have changed from."""
    CHANGE = "change"
    WITHDRAWN = "withdrawn"
    """Feishu booked a withdrawal; this and what follows tell of one order, and of its state when it is drawn."""
    NOTHING = "nothing"
    REFUSED = "refused"
    PAID = "paid"
    PAYOUT_FAILED = "payout_failed"
    PAYOUT_DEAD = "payout_dead"
    """The company's system will not take a payout."""
    PAYOUT_LATE = "payout_late"
    """Withdrawn and not paid for too long."""


class Direction(StrEnum):
    INCREASE = "increase"
    DECREASE = "decrease"
    OPENING = "opening"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """changes: one per asset that differs from the balance last announced; at an opening, each `after` is the
    balance and `before` means nothing. occurred_at: Feishu's modify_time. order_id: of the withdrawal that it
    tells of; None for a balance change. recovered: no event told us, so occurred_at is when we read the account.
    """

    key: str
    account: AccountKey
    reason: NoticeReason
    occurred_at: Millis
    changes: tuple[BalanceChange, ...] = ()
    order_id: str | None = None
    recovered: bool = False

    def direction_of(self, change: BalanceChange) -> Direction:
        if self.reason is NoticeReason.OPENING:
            return Direction.OPENING
        return Direction.INCREASE if change.delta > 0 else Direction.DECREASE

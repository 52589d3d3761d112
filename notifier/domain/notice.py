"""Notice: one fact to notify people of. It is created in the transaction of the change that it reports."""

from dataclasses import dataclass
from enum import StrEnum

from notifier.clock import Millis
from notifier.domain.event import AccountKey
from notifier.domain.ledger import BalanceChange


class NoticeReason(StrEnum):
    """What a notice reports."""

    OPENING = "opening"
    """First balance of an account; there is no earlier balance to compare with."""
    CHANGE = "change"
    WITHDRAWN = "withdrawn"
    """Feishu booked a withdrawal. This reason and the following ones concern one order; the card shows its state at
    rendering.
    """
    AMOUNT_CHANGED = "amount_changed"
    """The balance was not the confirmed one, so nothing was withdrawn."""
    NOTHING = "nothing"
    """There was nothing to withdraw."""
    REFUSED = "refused"
    """Feishu refused the withdrawal."""
    ENDED = "ended"
    """An operator ended the withdrawal, because nothing was withdrawn."""
    STUCK = "stuck"
    """The withdrawal has had no clear answer for hours."""
    PAID = "paid"
    """The payout was reported as paid."""
    PAYOUT_FAILED = "payout_failed"
    """The payout was reported as failed."""
    PAYOUT_DEAD = "payout_dead"
    """The company's system does not accept the payout."""
    PAYOUT_UNKNOWN = "payout_unknown"
    """The payout was given up after a call without an answer: it may have been paid."""
    PAYOUT_UNCONFIRMED = "payout_unconfirmed"
    """Feishu named no amounts for the withdrawal, so an operator must confirm the expected ones."""
    PAYOUT_LATE = "payout_late"
    """The amount was withdrawn and has not been paid for too long."""


class Direction(StrEnum):
    """Direction of a balance change, as routes can select it."""

    INCREASE = "increase"
    DECREASE = "decrease"
    OPENING = "opening"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One fact to notify people of."""

    key: str
    """Idempotency key."""
    account: AccountKey
    """The account."""
    reason: NoticeReason
    """What it reports."""
    occurred_at: Millis
    """Feishu's `modify_time`, Unix milliseconds."""
    changes: tuple[BalanceChange, ...] = ()
    """One per asset that differs from the newest known balance. At an opening, only `after` is meaningful."""
    order_id: str | None = None
    """The withdrawal that it reports; None: a balance change."""
    recovered: bool = False
    """True if no event reported the change. `occurred_at` is then the time of the reading that found it."""

    def direction_of(self, change: BalanceChange) -> Direction:
        """Return the direction of one of its changes."""
        if self.reason is NoticeReason.OPENING:
            return Direction.OPENING
        return Direction.INCREASE if change.delta > 0 else Direction.DECREASE

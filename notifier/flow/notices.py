"""Tell: a notice is born with its deliveries, in the transaction of what it speaks of."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.notice import Notice, NoticeReason
from notifier.domain.payout import PayoutState
from notifier.domain.route import REFERRER, AddressBook, Recipient
from notifier.domain.withdrawal import Withdrawal, WithdrawalState
from notifier.store import accounts, card_updates, notices


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """max_age_ms: how long we trust who owns an account. alarm_group: the group that hears of money that is stuck,
    None for nobody.
    """

    book: AddressBook
    max_age_ms: int
    alarm_group: str | None = None

    def tell(
        self, connection: Connection, ref: int, notice: Notice, targets: Sequence[str], *, now: Millis
    ) -> int | None:
        """The notice's id; None, and nobody is told, when it was born before."""
        notice_id = notices.add(connection, ref, notice, now=now)
        if notice_id is None:
            return None
        for target in targets:
            notices.attach(
                connection,
                notice_id,
                ref=ref,
                target=target,
                recipient=self.known_recipient(connection, ref, target, now),
                key=notices.delivery_key(notice.key, target),
                now=now,
                order_id=notice.order_id,
            )
        return notice_id

    def tell_of_order(
        self,
        connection: Connection,
        withdrawal: Withdrawal,
        reason: NoticeReason,
        targets: Sequence[str],
        *,
        now: Millis,
        which: str = "",
    ) -> int | None:
        """Once per order, reason and `which`."""
        notice = Notice(
            key=notices.delivery_key("order", withdrawal.order_id, reason, which),
            account=withdrawal.account,
            reason=reason,
            occurred_at=now,
            order_id=withdrawal.order_id,
        )
        return self.tell(connection, withdrawal.account_ref, notice, targets, now=now)

    def tell_the_end(
        self,
        connection: Connection,
        withdrawal: Withdrawal,
        reason: NoticeReason,
        *,
        now: Millis,
        which: str = "",
    ) -> None:
        """The referrer, once; and every group whose cards about it are too old to be changed."""
        self.tell_of_order(connection, withdrawal, reason, [REFERRER], now=now, which=which)
        self.tell_out_of_reach(connection, withdrawal, reason, now=now, which=which)

    def tell_out_of_reach(
        self,
        connection: Connection,
        withdrawal: Withdrawal,
        reason: NoticeReason,
        *,
        now: Millis,
        which: str = "",
    ) -> None:
        """The groups whose cards about it are too old to be changed."""
        targets = card_updates.beyond_reach(
            connection,
            withdrawal.account_ref,
            epoch=withdrawal.epoch,
            order_id=withdrawal.order_id,
            now=now,
        )
        for target in targets:
            self.tell_instead(connection, withdrawal, reason, target, now=now, which=which)

    def tell_instead(
        self,
        connection: Connection,
        withdrawal: Withdrawal,
        reason: NoticeReason,
        target: str,
        *,
        now: Millis,
        which: str = "",
    ) -> None:
        """A new message for a card that cannot be changed any more; once per target and end."""
        self.tell_of_order(connection, withdrawal, reason, [target], now=now, which=f"{which} to {target}")

    def alarm(
        self,
        connection: Connection,
        withdrawal: Withdrawal,
        reason: NoticeReason,
        *,
        now: Millis,
        which: str = "",
    ) -> bool:
        """False when there is no group to hear it."""
        if self.alarm_group is None:
            return False
        self.tell_instead(connection, withdrawal, reason, self.alarm_group, now=now, which=which)
        return True

    def known_recipient(self, connection: Connection, ref: int, target: str, now: Millis) -> Recipient | None:
        """Without a look-up, if the last one is fresh and leaves no question open."""
        owner = accounts.ownership(connection, ref)
        if owner is None or owner.referrer is None or not owner.is_fresh(now=now, max_age=self.max_age_ms):
            return None
        return self.book.recipient(target, owner.referrer)


_ENDS = {
    WithdrawalState.WITHDRAWN: NoticeReason.WITHDRAWN,
    WithdrawalState.NOTHING: NoticeReason.NOTHING,
    WithdrawalState.REFUSED: NoticeReason.REFUSED,
}
_PAYOUT_ENDS = {PayoutState.PAID: NoticeReason.PAID, PayoutState.FAILED: NoticeReason.PAYOUT_FAILED}


def end_of(state: WithdrawalState, payout: PayoutState | None) -> NoticeReason | None:
    """What a card that tells of a withdrawal says in the end; None while it is under way."""
    if payout in _PAYOUT_ENDS:
        return _PAYOUT_ENDS[payout]
    return _ENDS.get(state)

"""Creates a notice and queues its deliveries, in the transaction that stores the change it reports."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from notifier import metrics
from notifier.clock import Millis
from notifier.domain.account import Ownership
from notifier.domain.notice import Notice, NoticeReason
from notifier.domain.payout import PayoutState
from notifier.domain.route import REFERRER, AddressBook, Recipient
from notifier.domain.withdrawal import Withdrawal, WithdrawalState
from notifier.store import accounts, card_updates, notices


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNotice:
    """A notice to create."""

    account_ref: int
    """Row id of the account."""
    notice: Notice
    """The notice."""
    targets: tuple[str, ...]
    """`referrer` or group names, each gets a delivery."""
    event_key: str | None = None
    """Key of the event that the notice reports; None: no event."""
    event_at: Millis | None = None
    """When that event was stored, Unix milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeWriter:
    """Creates notices, each at most once, and queues their deliveries."""

    address_book: AddressBook
    """Turns a target and a referrer into a recipient."""
    max_age_ms: int
    """How long a looked-up referrer is valid, in milliseconds."""
    alarm_group: str | None = None
    """The group that gets alarms, for example about a late payout. None: no alarms."""

    def write_notices(
        self, connection: Connection, new: Sequence[NewNotice], *, now: Millis
    ) -> list[int | None]:
        """Creates notices and a delivery per target. Returns their ids in order.

        The id is None if the notice already exists: then nothing is queued.
        """
        ids = notices.create_notices(connection, [(each.account_ref, each.notice) for each in new], now=now)
        created = [
            (each, notice_id) for each, notice_id in zip(new, ids, strict=True) if notice_id is not None
        ]
        stored = accounts.load_accounts(connection, {each.account_ref for each, _ in created if each.targets})
        metrics.NOTICES.inc(len(created))
        notices.queue_deliveries(
            connection,
            [
                notices.NewDelivery(
                    notice_id=notice_id,
                    account_ref=each.account_ref,
                    target=target,
                    recipient=self._known_recipient(stored[each.account_ref].ownership, target, now),
                    key=notices.make_delivery_key(each.notice.key, target),
                    order_id=each.notice.order_id,
                    event_key=each.event_key,
                    event_at=each.event_at,
                )
                for each, notice_id in created
                for target in each.targets
            ],
            now=now,
        )
        return ids

    def write_for_order(
        self,
        connection: Connection,
        withdrawal: Withdrawal,
        reason: NoticeReason,
        targets: Sequence[str],
        *,
        now: Millis,
        which: str = "",
    ) -> int | None:
        """Creates a notice about an order, once per order, reason and `which`. Returns its id, or None if it exists.

        which: distinguishes notices with the same reason, such as two reports of one payout.
        """
        notice = Notice(
            key=notices.make_delivery_key("order", withdrawal.order_id, reason, which),
            account=withdrawal.account,
            reason=reason,
            occurred_at=now,
            order_id=withdrawal.order_id,
        )
        new = NewNotice(account_ref=withdrawal.account_ref, notice=notice, targets=tuple(targets))
        return self.write_notices(connection, [new], now=now)[0]

    def write_result(
        self,
        connection: Connection,
        withdrawal: Withdrawal,
        reason: NoticeReason,
        *,
        now: Millis,
        which: str = "",
    ) -> None:
        """Notifies the referrer once, and every group whose cards about the order are too old to be updated."""
        self.write_for_order(connection, withdrawal, reason, [REFERRER], now=now, which=which)
        self.write_where_cards_expired(connection, withdrawal, reason, now=now, which=which)

    def write_where_cards_expired(
        self,
        connection: Connection,
        withdrawal: Withdrawal,
        reason: NoticeReason,
        *,
        now: Millis,
        which: str = "",
    ) -> None:
        """Notifies every group whose cards about the order are too old to be updated."""
        targets = card_updates.list_expired_targets(
            connection,
            withdrawal.account_ref,
            withdrawal_count=withdrawal.withdrawal_count,
            order_id=withdrawal.order_id,
            now=now,
        )
        for target in targets:
            self.write_replacement(connection, withdrawal, reason, target, now=now, which=which)

    def write_replacement(
        self,
        connection: Connection,
        withdrawal: Withdrawal,
        reason: NoticeReason,
        target: str,
        *,
        now: Millis,
        which: str = "",
    ) -> None:
        """Queues a new message in place of a card that can no longer be updated, once per target and result."""
        self.write_for_order(connection, withdrawal, reason, [target], now=now, which=f"{which} to {target}")

    def alarm(
        self,
        connection: Connection,
        withdrawal: Withdrawal,
        reason: NoticeReason,
        *,
        now: Millis,
        which: str = "",
    ) -> bool:
        """Notifies the alarm group. Returns False if none is configured."""
        if self.alarm_group is None:
            return False
        self.write_replacement(connection, withdrawal, reason, self.alarm_group, now=now, which=which)
        return True

    def known_recipient(
        self, connection: Connection, account_ref: int, target: str, now: Millis
    ) -> Recipient | None:
        """Returns the recipient that the last look-up gives. None: a new look-up is required."""
        return self._known_recipient(accounts.get_ownership(connection, account_ref), target, now)

    def _known_recipient(self, owner: Ownership | None, target: str, now: Millis) -> Recipient | None:
        if owner is None or owner.referrer is None or not owner.is_fresh(now=now, max_age=self.max_age_ms):
            return None
        return self.address_book.recipient(target, owner.referrer)


_WITHDRAWAL_RESULTS = {
    WithdrawalState.WITHDRAWN: NoticeReason.WITHDRAWN,
    WithdrawalState.AMOUNT_CHANGED: NoticeReason.AMOUNT_CHANGED,
    WithdrawalState.ENDED: NoticeReason.ENDED,
    WithdrawalState.NOTHING: NoticeReason.NOTHING,
    WithdrawalState.REFUSED: NoticeReason.REFUSED,
}
_PAYOUT_RESULTS = {PayoutState.PAID: NoticeReason.PAID, PayoutState.FAILED: NoticeReason.PAYOUT_FAILED}


def result_reason(state: WithdrawalState, payout: PayoutState | None) -> NoticeReason | None:
    """Returns the reason of the notice about a final result. None: the withdrawal is in progress."""
    if payout in _PAYOUT_RESULTS:
        return _PAYOUT_RESULTS[payout]
    return _WITHDRAWAL_RESULTS.get(state)

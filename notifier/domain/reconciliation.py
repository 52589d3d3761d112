"""Healing: what a read of an account means beside what our books say of it."""

from dataclasses import dataclass
from enum import StrEnum

from notifier.clock import Millis
from notifier.domain.event import AccountKey
from notifier.domain.ledger import content_of
from notifier.domain.money import Amounts


class Comparison(StrEnum):
    CONFIRMED = "agrees"
    MISMATCH = "suspect"
    """It differs; an event may be on its way, so it is read once more after a while."""
    RECOVERED = "recovered"
    """It differed before, and nothing was heard in between: the read takes the event's place."""
    WITHDRAWING = "under_way"
    """A withdrawal of ours is being carried out: what the account holds is about to be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBalance:
    """What we know of an account. modified_at: of its newest balance. confirmed_at: when a read last gave the same, by our
    clock. mismatch_modified_at: the modified_at that a former read differed from; both None where there was no such read.
    withdrawing: an order of ours is not over. own_not_in_ledger: one took something, and no event has shown it yet.
    """

    account_ref: int
    account: AccountKey
    modified_at: Millis
    amounts: Amounts
    confirmed_at: Millis | None = None
    mismatch_modified_at: Millis | None = None
    has_open_withdrawal: bool = False
    own_not_in_ledger: bool = False


def compare(known: KnownBalance, read: Amounts) -> Comparison:
    """read: the account's holdings as Feishu gave them just now."""
    if content_of(known.amounts) == content_of(read):
        return Comparison.CONFIRMED
    if known.has_open_withdrawal:
        return Comparison.WITHDRAWING
    return Comparison.RECOVERED if known.mismatch_modified_at == known.modified_at else Comparison.MISMATCH


def proves_missed_events(known: KnownBalance, connected_since: Millis | None, *, is_active: bool) -> bool:
    """Whether a recovered balance changed while we were connected: since a read that agreed, without a break. What
    our own withdrawal took proves nothing, as Feishu does not promise an event for it; and a deactivated account
    (usable: as the read said) sends none.
    """
    if connected_since is None or known.confirmed_at is None or known.own_not_in_ledger or not is_active:
        return False
    return connected_since <= known.confirmed_at


READ_LATE_BY_MS = 2_000
"""Feishu dates a read by the whole second that had begun, and its clocks may differ by another."""


def recovered_at(known: KnownBalance, read_at: Millis) -> Millis:
    """Where a recovered balance belongs in the history: after everything that we know, and after every change that the
    read may have seen. The event of such a change would else look newer than the read, and tell a loss that never was.
    """
    return max(read_at + READ_LATE_BY_MS, known.modified_at + 1)


RECONNECT_WITHIN_MS = 60_000
"""So long a connection that was proved deaf may take to be made anew; a longer break is one of its own."""


@dataclass(slots=True)
class ReceivingPeriod:
    """Since when we should have heard of every change. A connection that we gave up as deaf counts until the one in
    its place breaks too: a round finds one by one what changed under it, and all of that was unheard.

    not_receiving_since: since when the deaf one stood. proved_at: when we knew. reconnected_since: since when its successor stands.
    """

    not_receiving_since: Millis | None = None
    proved_at: Millis = 0
    reconnected_since: Millis | None = None

    def since(self, connected_since: Millis | None, *, now: Millis) -> Millis | None:
        if self.not_receiving_since is None or connected_since == self.not_receiving_since:
            return connected_since
        if (
            self.reconnected_since is None
            and (connected_since or now) <= self.proved_at + RECONNECT_WITHIN_MS
        ):
            self.reconnected_since = connected_since
            return self.not_receiving_since
        if connected_since == self.reconnected_since is not None:
            return self.not_receiving_since
        self.not_receiving_since = self.reconnected_since = None
        return connected_since

    def mark_not_receiving(self, connected_since: Millis | None, *, now: Millis) -> None:
        self.not_receiving_since, self.proved_at, self.reconnected_since = connected_since, now, None

    def knows(self, connected_since: Millis | None, *, now: Millis) -> bool:
        """Whether this connection was proved deaf just now, so that there is nothing to add."""
        return (
            connected_since == self.not_receiving_since is not None
            and now <= self.proved_at + RECONNECT_WITHIN_MS
        )

"""Healing: what a read of an account means beside what our books say of it."""

from dataclasses import dataclass
from enum import StrEnum

from notifier.clock import Millis
from notifier.domain.event import AccountKey
from notifier.domain.ledger import content_of
from notifier.domain.money import Amounts


class Finding(StrEnum):
    AGREES = "agrees"
    SUSPECT = "suspect"
    """It differs; an event may be on its way, so it is read once more after a while."""
    RECOVERED = "recovered"
    """It differed before, and nothing was heard in between: the read takes the event's place."""
    UNDER_WAY = "under_way"
    """A withdrawal of ours is being carried out: what the account holds is about to be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What we know of an account. modified_at: of its newest balance. agreed_at: when a read last gave the same, by our
    clock. suspected_at: the modified_at that a former read differed from; both None where there was no such read.
    withdrawing: an order of ours is not over. own_unseen: one took something, and no event has shown it yet.
    """

    ref: int
    account: AccountKey
    modified_at: Millis
    amounts: Amounts
    agreed_at: Millis | None = None
    suspected_at: Millis | None = None
    withdrawing: bool = False
    own_unseen: bool = False


def judge(books: Books, read: Amounts) -> Finding:
    """read: the account's holdings as Feishu gave them just now."""
    if content_of(books.amounts) == content_of(read):
        return Finding.AGREES
    if books.withdrawing:
        return Finding.UNDER_WAY
    return Finding.RECOVERED if books.suspected_at == books.modified_at else Finding.SUSPECT


def proves_deafness(books: Books, connected_since: Millis | None, *, usable: bool) -> bool:
    """Whether a recovered balance changed while we were connected: since a read that agreed, without a break. What
    our own withdrawal took proves nothing, as Feishu does not promise an event for it; and a deactivated account
    (usable: as the read said) sends none.
    """
    if connected_since is None or books.agreed_at is None or books.own_unseen or not usable:
        return False
    return connected_since <= books.agreed_at


READ_LATE_BY_MS = 2_000
"""Feishu dates a read by the whole second that had begun, and its clocks may differ by another."""


def recovered_at(books: Books, read_at: Millis) -> Millis:
    """Where a recovered balance belongs in the history: after everything that we know, and after every change that the
    read may have seen. The event of such a change would else look newer than the read, and tell a loss that never was.
    """
    return max(read_at + READ_LATE_BY_MS, books.modified_at + 1)


RENEWED_WITHIN_MS = 60_000
"""So long a connection that was proved deaf may take to be made anew; a longer break is one of its own."""


@dataclass(slots=True)
class Hearing:
    """Since when we should have heard of every change. A connection that we gave up as deaf counts until the one in
    its place breaks too: a round finds one by one what changed under it, and all of that was unheard.

    deaf_since: since when the deaf one stood. proved_at: when we knew. anew_since: since when its successor stands.
    """

    deaf_since: Millis | None = None
    proved_at: Millis = 0
    anew_since: Millis | None = None

    def since(self, connected_since: Millis | None, *, now: Millis) -> Millis | None:
        if self.deaf_since is None or connected_since == self.deaf_since:
            return connected_since
        if self.anew_since is None and (connected_since or now) <= self.proved_at + RENEWED_WITHIN_MS:
            self.anew_since = connected_since
            return self.deaf_since
        if connected_since == self.anew_since is not None:
            return self.deaf_since
        self.deaf_since = self.anew_since = None
        return connected_since

    def proved_deaf(self, connected_since: Millis | None, *, now: Millis) -> None:
        self.deaf_since, self.proved_at, self.anew_since = connected_since, now, None

    def knows(self, connected_since: Millis | None, *, now: Millis) -> bool:
        """Whether this connection was proved deaf just now, so that there is nothing to add."""
        return connected_since == self.deaf_since is not None and now <= self.proved_at + RENEWED_WITHIN_MS

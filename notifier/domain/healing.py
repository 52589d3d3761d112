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


def proves_deafness(books: Books, connected_since: Millis | None) -> bool:
    """Whether a recovered balance changed while we were connected: since a read that agreed, without a break. What
    our own withdrawal took proves nothing, as Feishu does not promise an event for it.
    """
    if connected_since is None or books.agreed_at is None or books.own_unseen:
        return False
    return connected_since <= books.agreed_at


def recovered_at(books: Books, read_at: Millis) -> Millis:
    """Where a recovered balance belongs in the history: when it was read, but after everything that we know."""
    return max(read_at, books.modified_at + 1)

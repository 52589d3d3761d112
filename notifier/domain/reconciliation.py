"""Reconciliation: what a reading of an account means beside the ledger, and what a failed read means."""

from dataclasses import dataclass, field
from enum import StrEnum

from notifier.clock import HOUR_MS, MINUTE_MS, Millis
from notifier.domain.delivery import pause_ms
from notifier.domain.event import AccountKey
from notifier.domain.ledger import content_of
from notifier.domain.money import Amounts
from notifier.errors import AccountUnknown, AppSuspended, CallError, NotAuthorised, TemporaryFailure


class Comparison(StrEnum):
    """Result of comparing a reading with the ledger."""

    CONFIRMED = "confirmed"
    """The reading equals the ledger."""
    MISMATCH = "mismatch"
    """It differs. An event may be on its way, so the account is read a second time."""
    RECOVERED = "recovered"
    """It differed before, and no event came in between: the reading replaces the event."""
    WITHDRAWING = "withdrawing"
    """It differs while one of our withdrawals is unfinished; the withdrawal may explain the difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBalance:
    """What the database holds of an account."""

    account_ref: int
    """Row id of the account."""
    account: AccountKey
    """Its id at Feishu."""
    modified_at: Millis
    """Time of its newest balance in the ledger, Unix milliseconds."""
    amounts: Amounts
    """Its newest balance."""
    confirmed_at: Millis | None = None
    """When a read last equalled the ledger, Unix milliseconds by our clock; None: not since the newest event."""
    mismatch_modified_at: Millis | None = None
    """The `modified_at` from which an earlier read differed; None: no mismatch."""
    has_open_withdrawal: bool = False
    """Whether one of our withdrawals is unfinished."""
    own_not_in_ledger: bool = False
    """Whether one of our withdrawals changed the balance and no event has shown it yet."""


def compare(known: KnownBalance, read: Amounts) -> Comparison:
    """Compares a reading with the ledger. read: the balance that Feishu returned."""
    if content_of(known.amounts) == content_of(read):
        return Comparison.CONFIRMED
    if known.has_open_withdrawal:
        return Comparison.WITHDRAWING
    return Comparison.RECOVERED if known.mismatch_modified_at == known.modified_at else Comparison.MISMATCH


def proves_missed_events(known: KnownBalance, connected_since: Millis | None, *, is_active: bool) -> bool:
    """Whether a recovered balance changed while one connection stood: since a read that equalled the ledger.

    Our own withdrawal proves nothing, because Feishu does not promise an event for it. A deactivated account proves
    nothing, because Feishu sends no events for it.

    connected_since: start of the connection, Unix milliseconds; None: there is none. is_active: as the reading says.
    """
    if connected_since is None or known.confirmed_at is None or known.own_not_in_ledger or not is_active:
        return False
    return connected_since <= known.confirmed_at


REDELIVERY_MS = 7 * HOUR_MS + 6 * MINUTE_MS
"""Feishu sends an event that was not acknowledged again after 15 s, 5 min, 1 h and 6 h. Until then it may still come.
"""

READ_LATE_BY_MS = 2_000
"""Feishu rounds the time of a read down to the second, and the clocks of its servers may differ by another second."""


def recovered_at(known: KnownBalance, read_at: Millis) -> Millis:
    """Returns the time of a recovered balance in the history, Unix milliseconds.

    It lies after every known balance and after every change that the reading may include. Otherwise a late event of
    such a change looks newer than the reading, and people are notified of a loss that never happened.
    """
    return max(read_at + READ_LATE_BY_MS, known.modified_at + 1)


RECONNECT_WITHIN_MS = MINUTE_MS
"""A new connection within this time after the alarm replaces the one that received nothing."""


@dataclass(slots=True)
class ReceivingPeriod:
    """Since when every change should have reached us as an event.

    The first missed change makes the listener reconnect. The run finds the other changes that the old connection
    missed one by one, so its start still counts for them until the new connection breaks.
    """

    not_receiving_since: Millis | None = None
    """Start of the connection that was proved not to receive, Unix milliseconds; None: no proof."""
    proved_at: Millis = 0
    """When it was proved, Unix milliseconds."""

    def since(self, connected_since: Millis | None, *, now: Millis) -> Millis | None:
        """Returns the start of the period for a connection that stands since `connected_since`; None: no period."""
        if (connected_since or now) > self.proved_at + RECONNECT_WITHIN_MS:
            self.not_receiving_since = None
        return connected_since if self.not_receiving_since is None else self.not_receiving_since

    def mark_not_receiving(self, connected_since: Millis | None, *, now: Millis) -> None:
        """Remembers the proof that the connection that stands since `connected_since` does not receive events."""
        self.not_receiving_since, self.proved_at = connected_since, now

    def is_known_not_receiving(self, connected_since: Millis | None, *, now: Millis) -> bool:
        """Whether this connection was proved not to receive within the last minute: another alarm adds nothing."""
        return (
            connected_since == self.not_receiving_since is not None
            and now <= self.proved_at + RECONNECT_WITHIN_MS
        )


MAX_UNRELATED_FAILURES = 3
"""So many different accounts that fail in a row are an outage, not a fault of these accounts."""
MAX_OUTAGE_PAUSE_MS = MINUTE_MS
"""The longest pause between two reads in an outage."""


@dataclass(slots=True)
class ReadFailures:
    """Failed reads in this process. It separates accounts that fail from an outage in which every read fails.

    An account that fails must not slow down the others, and an outage must not count as failures of the accounts.
    """

    _tries: dict[int, int] = field(default_factory=dict)
    """Failed reads in a row, by row id of the account."""
    _failed_since_success: set[int] = field(default_factory=set)
    """Row ids of accounts that failed since the last read of any account that succeeded."""
    _pauses: int = 0
    """Pauses since the last success."""
    _paused_until: Millis = 0
    """End of the newest pause, Unix milliseconds."""

    @property
    def is_outage_suspected(self) -> bool:
        """Whether reads were paused and none has succeeded since."""
        return self._pauses > 0

    def tries(self, account_ref: int) -> int:
        """Returns the failed reads of this account in a row, outages aside."""
        return self._tries.get(account_ref, 0)

    def note_success(self, account_ref: int) -> None:
        """Feishu answered for this account: there is no outage."""
        self._tries.pop(account_ref, None)
        self._failed_since_success.clear()
        self._pauses = 0

    def note_failure(self, account_ref: int, error: CallError, *, now: Millis, jitter: float) -> int:
        """Counts a failed read. Returns the milliseconds for which no account should be read; 0: no pause.

        now: Unix milliseconds. jitter: 0 to 1.
        """
        if isinstance(error, AccountUnknown):
            self.note_success(account_ref)
            return 0
        is_app_wide = _is_app_wide(error)
        if not is_app_wide:
            self._tries[account_ref] = self.tries(account_ref) + 1
        self._failed_since_success.add(account_ref)
        is_outage = (
            is_app_wide or self._pauses > 0 or len(self._failed_since_success) >= MAX_UNRELATED_FAILURES
        )
        # Reads that were in flight when a pause began add nothing. The lower bound covers a clock that was set back.
        is_paused = self._paused_until - MAX_OUTAGE_PAUSE_MS <= now < self._paused_until
        if not is_outage or is_paused:
            return 0
        self._pauses += 1
        pause = min(pause_ms(attempts=self._pauses, jitter=jitter), MAX_OUTAGE_PAUSE_MS)
        self._paused_until = now + pause
        return pause


def _is_app_wide(error: CallError) -> bool:
    """Whether no account can be read now, so that the failure says nothing about this account."""
    if isinstance(error, TemporaryFailure):
        return error.affects_whole_app
    return isinstance(error, NotAuthorised | AppSuspended)

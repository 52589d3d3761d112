"""Recovers a balance: enters a reading of an account into the inbox, as the event that did not arrive."""

import logging
from collections.abc import Callable

from sqlalchemy.engine import Connection

from notifier.clock import Clock, Millis
from notifier.domain.account import AccountState
from notifier.domain.event import BALANCE_MISSED, BALANCE_READ, BalanceReport, Event
from notifier.domain.reconciliation import KnownBalance, recovered_at
from notifier.store import reconciliations
from notifier.store.inbox import EventInserter

log = logging.getLogger(__name__)


class BalanceRecovery:
    """Stores readings as events. They are applied to the ledger like any other event."""

    def __init__(self, encode_reading: Callable[..., Event], clock: Clock) -> None:
        """encode_reading: encodes a balance report as an event of the given type."""
        self._encode_reading = encode_reading
        self._insert_events = EventInserter(clock)

    def recover(
        self,
        connection: Connection,
        known: KnownBalance,
        state: AccountState,
        *,
        now: Millis,
        is_missed: bool = False,
        is_alarm: bool = False,
    ) -> None:
        """Stores a reading that differs from the ledger.

        is_missed: whether an event should have arrived. is_alarm: whether this is the first proof of it.
        """
        read_at = state.at if state.at is not None else now
        modified_at = recovered_at(known, read_at)
        report = BalanceReport(
            account=known.account, modified_at=modified_at, reported_at=modified_at, amounts=state.amounts
        )
        event = self._encode_reading(report, event_type=BALANCE_MISSED if is_alarm else BALANCE_READ)
        self._insert_events(connection, [event])
        reconciliations.mark_recovered(connection, known.account_ref, modified_at=modified_at)
        log.log(
            logging.ERROR if is_missed else logging.WARNING,
            "balance.missed" if is_missed else "balance.recovered",
            extra={"account_id": known.account.account_id},
        )

"""Applies the reports of the payroll system."""

import asyncio
from collections.abc import Callable

from sqlalchemy.engine import Connection

from notifier import metrics
from notifier.clock import Clock, to_millis
from notifier.domain.payout import PayoutReport, PayoutReportOutcome
from notifier.flow.notices import NoticeWriter
from notifier.flow.withdrawals.apply_payout_report import apply_payout_report, log_payout_report
from notifier.store import audit
from notifier.store.engine.database import Database


class PayoutReportHandler:
    """Applies a report, logs it, and calls `wake` for the workers that update cards and send notices."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        notices: NoticeWriter,
        *,
        wake: Callable[[], None],
        announce: Callable[[Connection], None] = lambda _connection: None,
    ) -> None:
        """announce: called in the transaction of a report, so that the database wakes workers of another process."""
        self._announce = announce
        self._database = database
        self._clock = clock
        self._notices = notices
        self._wake = wake

    async def apply(self, report: PayoutReport) -> PayoutReportOutcome:
        """Returns the outcome after the commit. Raises the database's error if the report could not be stored."""
        outcome = await asyncio.wrap_future(self._database.write(lambda c: self._apply(c, report)))
        metrics.PAYOUT_REPORTS.labels(outcome.value).inc()
        log_payout_report(report, outcome)
        self._wake()
        return outcome

    def _apply(self, connection: Connection, report: PayoutReport) -> PayoutReportOutcome:
        self._announce(connection)
        return apply_payout_report(
            connection,
            report,
            self._notices,
            actor=audit.PAYROLL,
            action=audit.AuditAction.PAYOUT,
            now=to_millis(self._clock.now()),
        )

"""Applies the reports of the payroll system."""

import asyncio
from collections.abc import Callable

from notifier.clock import Clock, to_millis
from notifier.domain.payout import PayoutReport, PayoutReportOutcome
from notifier.flow.notices import NoticeWriter
from notifier.flow.withdrawals.apply_payout_report import apply_payout_report, log_payout_report
from notifier.store import audit
from notifier.store.engine.database import Database


class PayoutReportHandler:
    """Applies a report, logs it, and calls `wake` for the workers that update cards and send notices."""

    def __init__(
        self, database: Database, clock: Clock, notices: NoticeWriter, *, wake: Callable[[], None]
    ) -> None:
        self._database = database
        self._clock = clock
        self._notices = notices
        self._wake = wake

    async def apply(self, report: PayoutReport) -> PayoutReportOutcome:
        """Returns the outcome after the commit. Raises the database's error if the report could not be stored."""
        now = to_millis(self._clock.now())
        outcome = await asyncio.wrap_future(
            self._database.write(
                lambda c: apply_payout_report(
                    c,
                    report,
                    self._notices,
                    actor=audit.PAYROLL,
                    action=audit.AuditAction.PAYOUT,
                    now=now,
                )
            )
        )
        log_payout_report(report, outcome)
        self._wake()
        return outcome

"""Applies a payout report from the payroll system or an operator: payout state, cards, notices and audit."""

import logging

from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.notice import NoticeReason
from notifier.domain.payout import PayoutReport, PayoutReportOutcome, PayoutState
from notifier.flow.notices import NoticeWriter
from notifier.store import audit, payouts, withdrawals
from notifier.store.audit import AuditAction

log = logging.getLogger(__name__)


def apply_payout_report(
    connection: Connection,
    report: PayoutReport,
    notices: NoticeWriter,
    *,
    actor: str,
    action: AuditAction,
    now: Millis,
) -> PayoutReportOutcome:
    """Stores a payout report and its effects in the caller's transaction.

    Returns whether the report is new, known, or rejected.

    A new report updates the payout and its cards and notifies the referrer. A failed payout also notifies the alarm
    group. actor: who reported it, for the audit entry. now: in Unix milliseconds.
    """
    result = payouts.apply_report(connection, report, now=now)
    withdrawal = withdrawals.find_by_order(connection, report.order_id)
    if result is PayoutReportOutcome.SAME:
        return result
    said = f"{report.status}" + (f", reference {report.reference}" if report.reference else "")
    outcome = said if result is PayoutReportOutcome.NEW else f"ignored ({result}): {said}"
    audit.add_entries(
        connection,
        audit.AuditEntry(
            at=now,
            action=action,
            actor=actor,
            outcome=outcome,
            account_ref=withdrawal.account_ref if withdrawal else None,
            order_id=report.order_id,
        ),
    )
    if result is PayoutReportOutcome.NEW and withdrawal is not None:
        paid = report.status is PayoutState.PAID
        reason = NoticeReason.PAID if paid else NoticeReason.PAYOUT_FAILED
        which = f"{report.at} {report.reference}"
        notices.write_result(connection, withdrawal, reason, now=now, which=which)
        if not paid:
            notices.alarm(connection, withdrawal, reason, now=now, which=which)
    return result


def log_payout_report(report: PayoutReport, result: PayoutReportOutcome) -> None:
    """Logs a payout report. Call it after the commit."""
    log.log(
        logging.INFO if result in {PayoutReportOutcome.NEW, PayoutReportOutcome.SAME} else logging.WARNING,
        f"payout.{report.status}"
        if result in {PayoutReportOutcome.NEW, PayoutReportOutcome.SAME}
        else "payout.report_rejected",
        extra={"order_id": report.order_id, "reference": report.reference or None, "reason": result},
    )

"""Settle: what the paying system, or a person in its stead, says became of a payout -> cards, referrer, audit."""

import logging

from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.notice import NoticeReason
from notifier.domain.payout import PayoutReport, PayoutState, Taken
from notifier.flow.notices import Telling
from notifier.store import audit, payouts, withdrawals
from notifier.store.audit import What

log = logging.getLogger(__name__)


def settle(
    connection: Connection, report: PayoutReport, telling: Telling, *, actor: str, what: What, now: Millis
) -> Taken:
    """In one transaction: the payout, its cards, the referrer's notice, HR's alarm when it failed, the audit entry."""
    taken = payouts.settle(connection, report, now=now)
    withdrawal = withdrawals.by_order(connection, report.order_id)
    if taken is Taken.SAME:
        return taken
    said = f"{report.status}" + (f", reference {report.reference}" if report.reference else "")
    outcome = said if taken is Taken.NEW else f"not taken ({taken}): {said}"
    audit.write(
        connection,
        audit.Entry(
            at=now,
            what=what,
            actor=actor,
            outcome=outcome,
            account_ref=withdrawal.account_ref if withdrawal else None,
            order_id=report.order_id,
        ),
    )
    if taken is Taken.NEW and withdrawal is not None:
        paid = report.status is PayoutState.PAID
        reason = NoticeReason.PAID if paid else NoticeReason.PAYOUT_FAILED
        which = f"{report.at} {report.reference}"
        telling.tell_the_end(connection, withdrawal, reason, now=now, which=which)
        if not paid:
            telling.alarm(connection, withdrawal, reason, now=now, which=which)
    return taken


def log_settled(report: PayoutReport, taken: Taken) -> None:
    """After the commit."""
    log.log(
        logging.INFO if taken in {Taken.NEW, Taken.SAME} else logging.WARNING,
        f"payout.{report.status}" if taken in {Taken.NEW, Taken.SAME} else "payout.report_not_taken",
        extra={"order_id": report.order_id, "reference": report.reference or None, "why": taken},
    )

"""Payouts: one permanent row per withdrawal, from pending to paid or failed."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.payout import (
    Payout,
    PayoutReport,
    PayoutReportOutcome,
    PayoutRetry,
    PayoutState,
    judge_report,
)
from notifier.domain.withdrawal import Withdrawal
from notifier.store import accounts, card_updates
from notifier.store.engine.sql import insert_or_ignore
from notifier.store.schema.tables import payouts, withdrawals


def create_payout(connection: Connection, withdrawal: Withdrawal, *, body: str, now: Millis) -> None:
    """Create the payout of a withdrawal. Idempotent.

    Call it in the transaction that stores the withdrawn amounts, so that each withdrawal has a payout.
    body: JSON for the payroll system.
    """
    insert_or_ignore(
        connection,
        payouts,
        [
            {
                "order_id": withdrawal.order_id,
                "account_ref": withdrawal.account_ref,
                "state": PayoutState.PENDING,
                "body": body,
                "created_at": now,
                "due_at": now,
            }
        ],
    )


def find_by_order(connection: Connection, order_id: str) -> Payout | None:
    """The payout of a withdrawal order; None if there is none."""
    row = connection.execute(sa.select(payouts).where(payouts.c.order_id == order_id)).first()
    return _to_payout(connection, row) if row else None


def claim_due(
    connection: Connection, *, now: Millis, limit: int, in_flight_ids: Collection[int]
) -> list[Payout]:
    """Due pending payouts, longest wait first. The first claim starts the clock of the retry policy.

    in_flight_ids: payouts whose call is running in this process.
    """
    rows = connection.execute(
        sa.select(payouts)
        .where(
            payouts.c.state == PayoutState.PENDING,
            payouts.c.due_at <= now,
            payouts.c.id.not_in(in_flight_ids),
        )
        .order_by(payouts.c.due_at, payouts.c.id)
        .limit(max(limit, 0))
    ).all()
    first = [row.id for row in rows if row.first_tried_at is None]
    connection.execute(sa.update(payouts).where(payouts.c.id.in_(first)).values(first_tried_at=now))
    claimed = [_to_payout(connection, row) for row in rows]
    return [replace(each, first_tried_at=each.first_tried_at or now) for each in claimed]


def get_next_due_at(connection: Connection, *, in_flight_ids: Collection[int]) -> Millis | None:
    """When the next pending payout is due, in ms; None if there is none."""
    return connection.execute(
        sa.select(sa.func.min(payouts.c.due_at)).where(
            payouts.c.state == PayoutState.PENDING, payouts.c.id.not_in(in_flight_ids)
        )
    ).scalar()


def mark_submitted(connection: Connection, payout: Payout, *, now: Millis) -> bool:
    """Mark as accepted by the payroll system. False if a report changed the state in the meantime."""
    changed = connection.execute(
        sa.update(payouts)
        .where(payouts.c.id == payout.id, payouts.c.state == PayoutState.PENDING)
        .values(state=PayoutState.SENT, sent_at=now, attempts=payouts.c.attempts + 1, reason=None)
    )
    if changed.rowcount != 1:
        return False
    _request_card_updates(connection, payout.order_id, now)
    return True


def mark_submission_failed(connection: Connection, payout: Payout, outcome: PayoutRetry) -> bool:
    """Store a failed call. False if a report changed the state in the meantime."""
    changed = connection.execute(
        sa.update(payouts)
        .where(payouts.c.id == payout.id, payouts.c.state == PayoutState.PENDING)
        .values(
            state=outcome.state,
            due_at=outcome.due_at,
            attempts=payouts.c.attempts + 1,
            reason=outcome.reason[:500],
        )
    )
    return changed.rowcount == 1


def apply_report(connection: Connection, report: PayoutReport, *, now: Millis) -> PayoutReportOutcome:
    """Apply a payroll report in any state. A repeated report has no effect: see domain.payout.judge_report."""
    payout = find_by_order(connection, report.order_id)
    if payout is None:
        return PayoutReportOutcome.UNKNOWN
    outcome = judge_report(payout, report)
    if outcome is PayoutReportOutcome.SAME and report.reference and not payout.reference:
        connection.execute(
            sa.update(payouts).where(payouts.c.id == payout.id).values(reference=report.reference)
        )
        _request_card_updates(connection, report.order_id, now)
    if outcome is not PayoutReportOutcome.NEW:
        return outcome
    connection.execute(
        sa.update(payouts)
        .where(payouts.c.id == payout.id)
        .values(
            state=report.status,
            reference=report.reference,
            reason=report.reason or None,
            settled_at=now,
            reported_at=report.at,
            sent_at=sa.func.coalesce(payouts.c.sent_at, now),
        )
    )
    _request_card_updates(connection, report.order_id, now)
    return outcome


def retry(connection: Connection, order_id: str, *, now: Millis) -> bool:
    """Submit a dead payout again, with the same idempotency key and body. False if its state does not allow it."""
    changed = connection.execute(
        sa.update(payouts)
        .where(payouts.c.order_id == order_id, payouts.c.state == PayoutState.DEAD)
        .values(state=PayoutState.PENDING, due_at=now, first_tried_at=None, attempts=0)
    )
    return changed.rowcount == 1


def list_exportable(
    connection: Connection, *, since: Millis, until: Millis, states: Collection[PayoutState] | None
) -> list[Payout]:
    """Payouts created in [since, until) ms, oldest first. states: only these and not exported yet; None: all."""
    query = sa.select(payouts).where(payouts.c.created_at >= since, payouts.c.created_at < until)
    if states is not None:
        query = query.where(payouts.c.state.in_(states), payouts.c.exported_at.is_(None))
    return [_to_payout(connection, row) for row in connection.execute(query.order_by(payouts.c.id)).all()]


def mark_exported(connection: Connection, payout: Payout, *, now: Millis) -> None:
    """Mark as exported to a file, which counts as submitted."""
    connection.execute(
        sa.update(payouts)
        .where(payouts.c.id == payout.id)
        .values(
            state=PayoutState.SENT,
            sent_at=sa.func.coalesce(payouts.c.sent_at, now),
            exported_at=sa.func.coalesce(payouts.c.exported_at, now),
            reason=None,
        )
    )
    _request_card_updates(connection, payout.order_id, now)


def list_late(connection: Connection, *, before: Millis, limit: int) -> list[Payout]:
    """Unpaid payouts created before this time (ms) without a late notice, oldest first."""
    rows = connection.execute(
        sa.select(payouts)
        .where(
            payouts.c.state.in_([state for state in PayoutState if state is not PayoutState.PAID]),
            payouts.c.created_at < before,
            payouts.c.late_notified_at.is_(None),
        )
        .order_by(payouts.c.id)
        .limit(limit)
    ).all()
    return [_to_payout(connection, row) for row in rows]


def mark_late_notified(connection: Connection, payout: Payout, *, now: Millis) -> None:
    """Record that the alarm group was notified that the payout is late."""
    connection.execute(sa.update(payouts).where(payouts.c.id == payout.id).values(late_notified_at=now))


def list_payouts(connection: Connection, *, states: Collection[str], limit: int) -> list[Payout]:
    """Newest first; all states when none are named."""
    query = sa.select(payouts)
    if states:
        query = query.where(payouts.c.state.in_(states))
    rows = connection.execute(query.order_by(payouts.c.id.desc()).limit(limit)).all()
    return [_to_payout(connection, row) for row in rows]


def count_by_state(connection: Connection) -> dict[str, int]:
    """Number of payouts per state."""
    rows = connection.execute(sa.select(payouts.c.state, sa.func.count()).group_by(payouts.c.state))
    return {row[0]: row[1] for row in rows}


def _request_card_updates(connection: Connection, order_id: str, now: Millis) -> None:
    row = connection.execute(
        sa.select(withdrawals.c.account_ref, withdrawals.c.withdrawal_count).where(
            withdrawals.c.order_id == order_id
        )
    ).one()
    card_updates.request_updates(
        connection, row.account_ref, withdrawal_count=row.withdrawal_count, order_id=order_id, now=now
    )


def _to_payout(connection: Connection, row: sa.Row[*tuple[Any, ...]]) -> Payout:
    return Payout(
        id=row.id,
        order_id=row.order_id,
        account_ref=row.account_ref,
        account=accounts.get_account_key(connection, row.account_ref),
        state=PayoutState(row.state),
        body=row.body,
        created_at=row.created_at,
        due_at=row.due_at,
        attempts=row.attempts,
        first_tried_at=row.first_tried_at,
        sent_at=row.sent_at,
        exported_at=row.exported_at,
        settled_at=row.settled_at,
        reported_at=row.reported_at,
        reference=row.reference,
        reason=row.reason,
        late_notified_at=row.late_notified_at,
    )

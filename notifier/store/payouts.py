"""Payouts: one permanent row per withdrawal, from pending to paid or failed."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.event import AccountKey
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
from notifier.store.engine.sql import insert_or_ignore, lock_rows
from notifier.store.schema.tables import payouts


def create_payout(
    connection: Connection,
    withdrawal: Withdrawal,
    *,
    body: str,
    now: Millis,
    state: PayoutState = PayoutState.PENDING,
) -> None:
    """Create the payout of a withdrawal. Idempotent.

    Call it in the transaction that stores the withdrawn amounts, so that each withdrawal has a payout. body: JSON for
    the payroll system. now: read inside that transaction; a time from before it could fall into a month that was
    already exported. state: PENDING, or UNCONFIRMED.
    """
    insert_or_ignore(
        connection,
        payouts,
        [
            {
                "order_id": withdrawal.order_id,
                "account_ref": withdrawal.account_ref,
                "state": state,
                "body": body,
                "created_at": now,
                "due_at": now,
            }
        ],
    )


def find_by_order(connection: Connection, order_id: str) -> Payout | None:
    """The payout of a withdrawal order; None if there is none."""
    return load_by_order(connection, [order_id]).get(order_id)


def load_by_order(connection: Connection, order_ids: Collection[str]) -> dict[str, Payout]:
    """The payouts of these withdrawal orders. Orders without a payout are missing."""
    if not order_ids:
        return {}
    rows = connection.execute(sa.select(payouts).where(payouts.c.order_id.in_(sorted(order_ids)))).all()
    return {each.order_id: each for each in _load_payouts(connection, rows)}


_CLAIMABLE = (PayoutState.PENDING, PayoutState.SUBMITTING)
"""A payout in SUBMITTING whose call does not run was left by a crash; a repeat with the same key is safe."""


def claim_due(
    connection: Connection, *, now: Millis, limit: int, in_flight_ids: Collection[int]
) -> list[Payout]:
    """Mark due payouts as being submitted, longest wait first. The first claim starts the clock of the retry policy.

    in_flight_ids: payouts whose call is running in this process.
    """
    rows = connection.execute(
        sa.select(payouts.c.id, payouts.c.order_id)
        .where(payouts.c.state.in_(_CLAIMABLE), payouts.c.due_at <= now, payouts.c.id.not_in(in_flight_ids))
        .order_by(payouts.c.due_at, payouts.c.id)
        .limit(max(limit, 0))
    ).all()
    was_interrupted = payouts.c.state == PayoutState.SUBMITTING
    connection.execute(
        sa.update(payouts)
        .where(payouts.c.id.in_([row.id for row in rows]))
        .values(
            state=PayoutState.SUBMITTING,
            first_tried_at=sa.func.coalesce(payouts.c.first_tried_at, now),
            unknown_since=sa.case(
                (was_interrupted, sa.func.coalesce(payouts.c.unknown_since, now)),
                else_=payouts.c.unknown_since,
            ),
        )
    )
    claimed = load_by_order(connection, [row.order_id for row in rows])
    return [claimed[row.order_id] for row in rows]


def get_next_due_at(connection: Connection, *, in_flight_ids: Collection[int]) -> Millis | None:
    """When the next payout is to be submitted, in ms; None if there is none."""
    return connection.execute(
        sa.select(sa.func.min(payouts.c.due_at)).where(
            payouts.c.state.in_(_CLAIMABLE), payouts.c.id.not_in(in_flight_ids)
        )
    ).scalar()


def mark_submitted(connection: Connection, payout: Payout, *, now: Millis) -> bool:
    """Mark as accepted by the payroll system. False if a report or an export changed the state in the meantime.

    It also counts where another process has given up meanwhile: the payroll system has the payout.
    """
    given_up = (PayoutState.DEAD, PayoutState.UNKNOWN)
    changed = connection.execute(
        sa.update(payouts)
        .where(payouts.c.id == payout.id, payouts.c.state.in_((*_CLAIMABLE, *given_up)))
        .values(
            state=PayoutState.SENT,
            sent_at=now,
            attempts=payouts.c.attempts + 1,
            reason=None,
            unknown_since=None,
        )
    )
    if changed.rowcount != 1:
        return False
    card_updates.request_updates(connection, [payout.order_id], now=now)
    return True


def mark_submission_failed(connection: Connection, payout: Payout, outcome: PayoutRetry) -> bool:
    """Store a failed call. False if a report, or the result of another call, changed the payout since its claim."""
    changed = connection.execute(
        sa.update(payouts)
        .where(
            payouts.c.id == payout.id,
            payouts.c.state.in_(_CLAIMABLE),
            payouts.c.attempts == payout.attempts,
        )
        .values(
            state=outcome.state,
            due_at=outcome.due_at,
            attempts=payouts.c.attempts + 1,
            reason=outcome.reason[:500],
            unknown_since=outcome.unknown_since,
        )
    )
    return changed.rowcount == 1


def apply_report(connection: Connection, report: PayoutReport, *, now: Millis) -> PayoutReportOutcome:
    """Apply a payroll report in any state. A repeated report has no effect: see domain.payout.judge_report."""
    lock_rows(connection, payouts.c.order_id, [report.order_id])
    payout = find_by_order(connection, report.order_id)
    if payout is None:
        return PayoutReportOutcome.UNKNOWN
    accounts.lock_accounts(connection, [payout.account_ref])
    outcome = judge_report(payout, report)
    if outcome is PayoutReportOutcome.SAME and report.reference and not payout.reference:
        connection.execute(
            sa.update(payouts)
            .where(payouts.c.id == payout.id)
            .values(reference=report.reference, paid_reports=_with_report(payout, report))
        )
        card_updates.request_updates(connection, [report.order_id], now=now)
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
            reported_at=max(report.at, payout.reported_at or report.at),
            paid_reports=_with_report(payout, report),
            sent_at=sa.func.coalesce(payouts.c.sent_at, now),
        )
    )
    card_updates.request_updates(connection, [report.order_id], now=now)
    return outcome


def _with_report(payout: Payout, report: PayoutReport) -> str:
    """All `paid` reports that counted, with this one, as JSON."""
    is_paid = report.status is PayoutState.PAID
    return json.dumps([*payout.paid_reports, *([(report.reference, report.at)] if is_paid else [])])


def give_up_interrupted(connection: Connection, *, now: Millis) -> int:
    """Ask for attention for submissions that a crash interrupted, when nobody submits payouts any more.

    The payroll system may have paid them. Returns their number.
    """
    interrupted = connection.execute(
        sa.update(payouts)
        .where(payouts.c.state == PayoutState.SUBMITTING)
        .values(
            state=PayoutState.UNKNOWN,
            unknown_since=sa.func.coalesce(payouts.c.unknown_since, now),
            reason="the call was interrupted, and payouts.url is not set any more",
        )
    )
    return interrupted.rowcount


def retry(connection: Connection, order_id: str, *, now: Millis) -> bool:
    """Submit a dead or unknown payout again, with the same key and body. False if its state does not allow it."""
    changed = connection.execute(
        sa.update(payouts)
        .where(payouts.c.order_id == order_id, payouts.c.state.in_((PayoutState.DEAD, PayoutState.UNKNOWN)))
        .values(state=PayoutState.PENDING, due_at=now, first_tried_at=None, attempts=0)
    )
    return changed.rowcount == 1


def confirm(connection: Connection, order_id: str, *, now: Millis) -> bool:
    """Release a payout whose amounts an operator has checked. False if it is in another state."""
    changed = connection.execute(
        sa.update(payouts)
        .where(payouts.c.order_id == order_id, payouts.c.state == PayoutState.UNCONFIRMED)
        .values(state=PayoutState.PENDING, due_at=now)
    )
    return changed.rowcount == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFilter:
    """Which payouts an export takes."""

    since: Millis
    """First time of creation, Unix milliseconds."""
    until: Millis
    """End, exclusive."""
    submits_payouts: bool
    """Whether the notifier submits payouts itself. Then only those that it gave up are exported."""
    include_unknown: bool = False
    """Whether to take payouts that the payroll system may have paid: a call had no clear answer."""
    again: bool = False
    """Whether to list every payout of the time, whatever its state."""

    def condition(self) -> sa.ColumnElement[bool]:
        """The SQL condition."""
        in_time = sa.and_(payouts.c.created_at >= self.since, payouts.c.created_at < self.until)
        if self.again:
            return sa.and_(in_time, payouts.c.state != PayoutState.UNCONFIRMED)
        states = [PayoutState.DEAD, *([PayoutState.UNKNOWN] if self.include_unknown else [])]
        allowed: sa.ColumnElement[bool] = payouts.c.state.in_(states)
        if not self.submits_payouts:
            pending: sa.ColumnElement[bool] = payouts.c.state == PayoutState.PENDING
            if not self.include_unknown:
                pending = sa.and_(pending, payouts.c.unknown_since.is_(None))
            allowed = sa.or_(allowed, pending)
        return sa.and_(in_time, allowed, payouts.c.exported_at.is_(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportablePayout:
    """A payout as an export writes it. exported_at: of an earlier export, Unix milliseconds; None: none."""

    id: int
    """Row id."""
    order_id: str
    """Order id of the withdrawal."""
    account_ref: int
    """Row id of the account."""
    body: str
    """The JSON that is submitted."""
    exported_at: Millis | None
    """Time of an earlier export, Unix milliseconds; None: none."""
    state: PayoutState
    """Its state when the export read it."""


def list_exportable(
    connection: Connection, wanted: ExportFilter, *, after_id: int, limit: int
) -> list[ExportablePayout]:
    """The next payouts of an export, oldest first. after_id: id of the last one before; 0: the first page."""
    rows = connection.execute(
        sa.select(
            payouts.c.id,
            payouts.c.order_id,
            payouts.c.account_ref,
            payouts.c.body,
            payouts.c.exported_at,
            payouts.c.state,
        )
        .where(wanted.condition(), payouts.c.id > after_id)
        .order_by(payouts.c.id)
        .limit(limit)
    )
    return [
        ExportablePayout(**{**row._mapping, "state": PayoutState(row.state)})  # noqa: SLF001 - SQLAlchemy's public name for it
        for row in rows
    ]


def count_left_out(connection: Connection, wanted: ExportFilter) -> dict[PayoutState, int]:
    """Unpaid payouts of the time that the export does not take, by state. Accepted and exported ones do not count."""
    open_states = (
        PayoutState.UNCONFIRMED,
        PayoutState.PENDING,
        PayoutState.SUBMITTING,
        PayoutState.UNKNOWN,
    )
    rows = connection.execute(
        sa.select(payouts.c.state, sa.func.count())
        .where(
            payouts.c.created_at >= wanted.since,
            payouts.c.created_at < wanted.until,
            payouts.c.state.in_(open_states),
            sa.not_(wanted.condition()),
        )
        .group_by(payouts.c.state)
    )
    return {PayoutState(row[0]): row[1] for row in rows}


def mark_exported(
    connection: Connection, wanted: ExportFilter, ids: Collection[int], *, now: Millis
) -> set[int]:
    """Mark as exported, which counts as submitted. Returns the ids that the export could still take."""
    marked = connection.execute(
        sa.update(payouts)
        .where(payouts.c.id.in_(ids), wanted.condition())
        .values(
            state=PayoutState.SENT,
            sent_at=sa.func.coalesce(payouts.c.sent_at, now),
            exported_at=now,
            reason=None,
        )
        .returning(payouts.c.id, payouts.c.order_id)
    ).all()
    card_updates.request_updates(connection, [row.order_id for row in marked], now=now)
    return {row.id for row in marked}


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
    return _load_payouts(connection, rows)


def mark_late_notified(connection: Connection, payout: Payout, *, now: Millis) -> None:
    """Record that the alarm group was notified that the payout is late."""
    connection.execute(sa.update(payouts).where(payouts.c.id == payout.id).values(late_notified_at=now))


def list_payouts(connection: Connection, *, states: Collection[str], limit: int) -> list[Payout]:
    """Newest first; all states when none are named."""
    query = sa.select(payouts)
    if states:
        query = query.where(payouts.c.state.in_(states))
    rows = connection.execute(query.order_by(payouts.c.id.desc()).limit(limit)).all()
    return _load_payouts(connection, rows)


def count_by_state(connection: Connection) -> dict[str, int]:
    """Number of payouts per state."""
    rows = connection.execute(sa.select(payouts.c.state, sa.func.count()).group_by(payouts.c.state))
    return {row[0]: row[1] for row in rows}


def _load_payouts(connection: Connection, rows: Sequence[sa.Row[*tuple[Any, ...]]]) -> list[Payout]:
    stored = accounts.load_accounts(connection, [row.account_ref for row in rows])
    return [_to_payout(row, stored[row.account_ref].key) for row in rows]


def _to_payout(row: sa.Row[*tuple[Any, ...]], account: AccountKey) -> Payout:
    return Payout(
        id=row.id,
        order_id=row.order_id,
        account_ref=row.account_ref,
        account=account,
        state=PayoutState(row.state),
        body=row.body,
        created_at=row.created_at,
        due_at=row.due_at,
        attempts=row.attempts,
        first_tried_at=row.first_tried_at,
        sent_at=row.sent_at,
        exported_at=row.exported_at,
        settled_at=row.settled_at,
        unknown_since=row.unknown_since,
        reported_at=row.reported_at,
        paid_reports=tuple((reference, at) for reference, at in json.loads(row.paid_reports or "[]")),
        reference=row.reference,
        reason=row.reason,
        late_notified_at=row.late_notified_at,
    )

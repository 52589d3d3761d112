"""Retention: deletes old finished rows page by page. The ledger, orders, payouts and audit are kept permanently.

Each function reads one page of rows in the order of an index and returns the cursor of the next page. A row that is
still referenced is kept without its large columns.

If Feishu repeated an event after its row was deleted, the event would look new. Feishu repeats events for at most
7 h 5 min, and rows stay for at least one day. Even then the ledger detects the report by its content, and an order
by its click key.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.answers.question import QuestionState
from notifier.domain.delivery import DeliveryState
from notifier.domain.payout import PayoutState
from notifier.domain.withdrawal import WithdrawalState
from notifier.store.inbox import InboxState
from notifier.store.schema.tables import (
    answers,
    attempts,
    batches,
    buttons,
    card_updates,
    deliveries,
    delivery_notices,
    digest_files,
    digest_runs,
    inbox,
    is_ended,
    notices,
    panel_buttons,
    payouts,
    questions,
    withdrawals,
    workers,
)

FINISHED_STATES = (DeliveryState.SENT, DeliveryState.REROUTED, DeliveryState.DROPPED)
"""Dead and unknown deliveries need attention, so they are kept without a limit."""

Cursor = tuple[int, int]
"""(time in ms, id) of the last row that was read. The time is 0 where pages are ordered by id alone."""

FIRST_PAGE: Cursor = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneResult:
    """deleted: number of deleted rows by type. next_cursor: start of the next page; None if there is none."""

    deleted: Mapping[str, int] = field(default_factory=dict)
    next_cursor: Cursor | None = None


def prune_events(
    connection: Connection,
    after: Cursor,
    *,
    before: Millis,
    quarantined_before: Millis,
    now: Millis,
    limit: int,
) -> PruneResult:
    """Delete processed and ignored events received before `before`, and quarantined ones before `quarantined_before`.

    Times are in ms. Pages are ordered by id, that is by arrival. So a page with a row that is too new is the last.
    A row with a time after `now` was stored while the clock was ahead, and does not end the run.
    """
    rows = connection.execute(
        sa.select(inbox.c.id, inbox.c.state, inbox.c.received_at)
        .where(inbox.c.id > after[1])
        .order_by(inbox.c.id)
        .limit(limit)
    ).all()
    done = (InboxState.DONE, InboxState.IGNORED)
    old = [
        row.id
        for row in rows
        if (row.state in done and row.received_at < before)
        or (row.state == InboxState.QUARANTINED and row.received_at < quarantined_before)
    ]
    deleted = _delete(connection, inbox, inbox.c.id, old)
    has_recent_row = any(before <= row.received_at <= now for row in rows)
    return PruneResult(
        deleted={"events": deleted},
        next_cursor=None if has_recent_row or len(rows) < limit else (0, rows[-1].id),
    )


def prune_deliveries(
    connection: Connection,
    after: Cursor,
    *,
    state: DeliveryState,
    before: Millis,
    unsettled_since: Millis,
    limit: int,
) -> PruneResult:
    """Delete finished deliveries in this state updated before `before` (ms), with their dependent rows.

    A delivery that an order or a batch references is kept without its content. So is a delivery whose withdrawal is
    not settled and was requested after `unsettled_since` (ms): if all cards of a group are too old to update, the
    outcome goes to the group as a new message, and the row names the group.
    """
    rows = connection.execute(
        sa.select(deliveries.c.id, deliveries.c.updated_at, deliveries.c.run_id, deliveries.c.file_id)
        .where(
            is_ended,
            deliveries.c.state == state,
            deliveries.c.updated_at < before,
            sa.tuple_(deliveries.c.updated_at, deliveries.c.id) > sa.tuple_(*after),
        )
        .order_by(deliveries.c.updated_at, deliveries.c.id)
        .limit(limit)
    ).all()
    ids = [row.id for row in rows]
    referenced = _find_referenced(connection, ids)
    unsettled = _find_unsettled(connection, ids, since=unsettled_since)
    rerouted = _find_rerouted(connection, ids)
    kept_ids = sorted(referenced | unsettled)
    deletable_ids = sorted(set(ids) - referenced - unsettled - rerouted)
    _strip_deliveries(connection, kept_ids)
    deleted = _delete_deliveries(connection, deletable_ids)
    run_ids = {row.run_id for row in rows if row.run_id is not None}
    file_ids = {row.file_id for row in rows if row.file_id is not None}
    return PruneResult(
        deleted={
            **deleted,
            "digest_files": _delete_unused_files(connection, sorted(file_ids)),
            "digests": _clear_content(connection, sorted(run_ids), before=before),
        },
        next_cursor=(rows[-1].updated_at, rows[-1].id) if len(rows) == limit else None,
    )


def _find_referenced(connection: Connection, ids: Sequence[int]) -> set[int]:
    """Deliveries that an order or a batch references as the pressed card."""
    ordered = sa.select(withdrawals.c.delivery_id).where(withdrawals.c.delivery_id.in_(ids))
    batched = sa.select(batches.c.delivery_id).where(batches.c.delivery_id.in_(ids))
    return {*connection.execute(ordered).scalars(), *connection.execute(batched).scalars()}


def _find_unsettled(connection: Connection, ids: Sequence[int], *, since: Millis) -> set[int]:
    """Deliveries that offer or show a withdrawal that is unfinished or not paid."""
    unsettled = sa.and_(
        withdrawals.c.requested_at >= since,
        sa.or_(
            withdrawals.c.state == WithdrawalState.REQUESTED,
            payouts.c.state.in_([state for state in PayoutState if state is not PayoutState.PAID]),
        ),
    )
    offered = (
        sa.select(buttons.c.delivery_id)
        .join(
            withdrawals,
            sa.and_(
                withdrawals.c.account_ref == buttons.c.account_ref,
                withdrawals.c.withdrawal_count == buttons.c.withdrawal_count,
            ),
        )
        .outerjoin(payouts, payouts.c.order_id == withdrawals.c.order_id)
        .where(buttons.c.delivery_id.in_(ids), unsettled)
    )
    shown = (
        sa.select(deliveries.c.id)
        .join(withdrawals, withdrawals.c.order_id == deliveries.c.order_id)
        .outerjoin(payouts, payouts.c.order_id == withdrawals.c.order_id)
        .where(deliveries.c.id.in_(ids), unsettled)
    )
    return {*connection.execute(offered).scalars(), *connection.execute(shown).scalars()}


def _find_rerouted(connection: Connection, ids: Sequence[int]) -> set[int]:
    """Deliveries with a reroute. The reroute is deleted first, because it references them."""
    return set(
        connection.execute(
            sa.select(deliveries.c.rerouted_from).where(deliveries.c.rerouted_from.in_(ids))
        ).scalars()
    )


def _strip_deliveries(connection: Connection, ids: Sequence[int]) -> None:
    """Delete content and details. The row and its buttons stay, because batches reference them."""
    for table in (attempts, panel_buttons, card_updates):
        _delete(connection, table, table.c.delivery_id, ids)
    if ids:
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.id.in_(ids), deliveries.c.body.is_not(None))
            .values(body=None)
        )


def _delete_deliveries(connection: Connection, ids: Sequence[int]) -> dict[str, int]:
    notice_ids = _find_notice_ids(connection, ids)
    for table in (attempts, panel_buttons, card_updates, buttons, delivery_notices):
        _delete(connection, table, table.c.delivery_id, ids)
    deleted = _delete(connection, deliveries, deliveries.c.id, ids)
    return {
        "deliveries": deleted,
        "notices": _delete(connection, notices, notices.c.id, _find_orphaned(connection, notice_ids)),
    }


def _find_notice_ids(connection: Connection, ids: Sequence[int]) -> set[int]:
    return set(
        connection.execute(
            sa.select(delivery_notices.c.notice_id).where(delivery_notices.c.delivery_id.in_(ids))
        ).scalars()
    )


def _find_orphaned(connection: Connection, notice_ids: Collection[int]) -> list[int]:
    """Of these, the notices without a delivery."""
    used = connection.execute(
        sa.select(delivery_notices.c.notice_id).where(delivery_notices.c.notice_id.in_(notice_ids))
    ).scalars()
    return sorted(set(notice_ids) - set(used))


def prune_orphaned_notices(
    connection: Connection, after: Cursor, *, before: Millis, limit: int
) -> PruneResult:
    """Delete notices that never had a delivery. Others are deleted with their last delivery."""
    rows = connection.execute(
        sa.select(notices.c.id, notices.c.created_at)
        .where(notices.c.id > after[1])
        .order_by(notices.c.id)
        .limit(limit)
    ).all()
    old = [row.id for row in rows if row.created_at < before]
    deleted = _delete(connection, notices, notices.c.id, _find_orphaned(connection, old))
    return PruneResult(
        deleted={"notices": deleted}, next_cursor=(0, rows[-1].id) if old and len(rows) == limit else None
    )


def prune_digest_contents(
    connection: Connection, after: Cursor, *, before: Millis, limit: int
) -> PruneResult:
    """Delete old figures of digest runs. The row stays, because its unique key prevents a second send."""
    rows = connection.execute(
        sa.select(digest_runs.c.id, digest_runs.c.created_at)
        .where(
            digest_runs.c.content.is_not(None),
            digest_runs.c.created_at < before,
            sa.tuple_(digest_runs.c.created_at, digest_runs.c.id) > sa.tuple_(*after),
        )
        .order_by(digest_runs.c.created_at, digest_runs.c.id)
        .limit(limit)
    ).all()
    deleted = _clear_content(connection, [row.id for row in rows], before=before)
    return PruneResult(
        deleted={"digests": deleted},
        next_cursor=(rows[-1].created_at, rows[-1].id) if len(rows) == limit else None,
    )


def _clear_content(connection: Connection, run_ids: Collection[int], *, before: Millis) -> int:
    """Clear figures of runs without a delivery that is unfinished or newer than `before`."""
    needed = sa.exists().where(
        deliveries.c.run_id == digest_runs.c.id,
        sa.or_(deliveries.c.state.not_in(FINISHED_STATES), deliveries.c.updated_at >= before),
    )
    if not run_ids:
        return 0
    return connection.execute(
        sa.update(digest_runs)
        .where(
            digest_runs.c.id.in_(run_ids),
            digest_runs.c.created_at < before,
            digest_runs.c.content.is_not(None),
            ~needed,
        )
        .values(content=None)
    ).rowcount


def _delete_unused_files(connection: Connection, file_ids: Sequence[int]) -> int:
    used = connection.execute(
        sa.select(deliveries.c.file_id).where(deliveries.c.file_id.in_(file_ids))
    ).scalars()
    return _delete(connection, digest_files, digest_files.c.id, sorted(set(file_ids) - set(used)))


def prune_questions(connection: Connection, after: Cursor, *, before: Millis, limit: int) -> PruneResult:
    """Delete ended questions that were received before `before` (ms). Pages are ordered by id."""
    rows = connection.execute(
        sa.select(questions.c.id, questions.c.state, questions.c.received_at)
        .where(questions.c.id > after[1])
        .order_by(questions.c.id)
        .limit(limit)
    ).all()
    old = [row.id for row in rows if row.received_at < before and row.state != QuestionState.NEW]
    deleted = _delete(connection, questions, questions.c.id, old)
    return PruneResult(
        deleted={"questions": deleted}, next_cursor=(0, rows[-1].id) if old and len(rows) == limit else None
    )


def prune_answers(connection: Connection, after: Cursor, *, before: Millis, limit: int) -> PruneResult:
    """Delete answers made before `before` (ms) whose delivery was deleted."""
    rows = connection.execute(
        sa.select(answers.c.id, answers.c.created_at)
        .where(answers.c.id > after[1])
        .order_by(answers.c.id)
        .limit(limit)
    ).all()
    old = [row.id for row in rows if row.created_at < before]
    used = connection.execute(sa.select(deliveries.c.answer_id).where(deliveries.c.answer_id.in_(old)))
    deleted = _delete(connection, answers, answers.c.id, sorted(set(old) - set(used.scalars())))
    return PruneResult(
        deleted={"answers": deleted}, next_cursor=(0, rows[-1].id) if old and len(rows) == limit else None
    )


def prune_workers(connection: Connection, _after: Cursor, *, before: Millis) -> PruneResult:
    """Delete rows of old processes. The newest row stays, because `status` shows it."""
    newest = sa.select(workers.c.worker_id).order_by(workers.c.started_at.desc()).limit(1).scalar_subquery()
    deleted = connection.execute(
        sa.delete(workers).where(workers.c.heartbeat_at < before, workers.c.worker_id != newest)
    ).rowcount
    return PruneResult(deleted={"workers": deleted})


def _delete(connection: Connection, table: sa.Table, column: sa.Column[Any], ids: Sequence[int]) -> int:
    if not ids:
        return 0
    return connection.execute(sa.delete(table).where(column.in_(ids))).rowcount

"""Withdrawal orders. A unique index allows at most one unfinished order per account."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.event import AccountKey
from notifier.domain.ledger import content_of, read_content
from notifier.domain.money import Amounts, Kind
from notifier.domain.withdrawal import Button, Role, Withdrawal, WithdrawalRetry, WithdrawalState
from notifier.store import accounts, card_updates
from notifier.store.engine.sql import insert_returning, literal
from notifier.store.schema.tables import withdrawals


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalOrder:
    """A new order from a permitted press."""

    order_id: str
    """New order id, which is the idempotency key at Feishu."""
    button: Button
    """The pressed button."""
    kinds: tuple[Kind, ...]
    """Kinds to withdraw."""
    role: Role
    """Role that permits the request."""
    requested_by: str
    """open_id of the requester."""
    click_key: str
    """Idempotency key of the press."""
    now: Millis
    """Time of the press, Unix milliseconds."""
    wait_ms: int = 0
    """Wait before the first call to Feishu, in ms."""


def find_unfinished(connection: Connection, account_ref: int) -> Withdrawal | None:
    """The order of the account without a final state; None if there is none."""
    rows = connection.execute(
        sa.select(withdrawals).where(
            withdrawals.c.account_ref == account_ref, withdrawals.c.state == WithdrawalState.REQUESTED
        )
    ).all()
    return next(iter(load_rows(connection, rows)), None)


def find_by_click(connection: Connection, click_key: str) -> Withdrawal | None:
    """The order of a press; None if there is none."""
    rows = connection.execute(sa.select(withdrawals).where(withdrawals.c.click_key == click_key)).all()
    return next(iter(load_rows(connection, rows)), None)


def create_orders(connection: Connection, orders: Sequence[WithdrawalOrder]) -> list[Withdrawal | None]:
    """Store orders. None for an order whose account has an unfinished one, or whose press has an order already.

    Card updates are requested in the same transaction.
    """
    if not orders:
        return []
    rows = {
        row.order_id: row
        for row in insert_returning(connection, withdrawals, [_to_row(order) for order in orders])
    }
    stored = [
        to_withdrawal(rows[order.order_id], order.button.account) if order.order_id in rows else None
        for order in orders
    ]
    for order, withdrawal in zip(orders, stored, strict=True):
        if withdrawal is None and not _has_conflict(connection, order):
            raise LookupError(f"order {order.order_id} was not inserted, but no conflicting order exists")
    if rows:
        card_updates.request_updates(connection, rows, now=max(order.now for order in orders))
    return stored


def _to_row(order: WithdrawalOrder) -> dict[str, object]:
    return {
        "order_id": order.order_id,
        "account_ref": order.button.account_ref,
        "kinds": ",".join(order.kinds),
        "state": WithdrawalState.REQUESTED,
        "withdrawal_count": order.button.withdrawal_count,
        "role": order.role,
        "requested_by": order.requested_by,
        "requested_at": order.now,
        "agreed": content_of(order.button.amounts),
        "click_key": order.click_key,
        "delivery_id": order.button.delivery_id,
        "due_at": order.now + order.wait_ms,
    }


def _has_conflict(connection: Connection, order: WithdrawalOrder) -> bool:
    known = find_unfinished(connection, order.button.account_ref) or find_by_click(
        connection, order.click_key
    )
    return known is not None


def claim_due(
    connection: Connection, *, worker_id: str, now: Millis, limit: int, in_flight_ids: Collection[int]
) -> list[Withdrawal]:
    """Claim due orders, longest wait first. in_flight_ids: orders whose call is running in this process."""
    if limit <= 0:
        return []
    rows = connection.execute(
        sa.select(withdrawals)
        .where(
            withdrawals.c.state == WithdrawalState.REQUESTED,
            withdrawals.c.due_at <= now,
            withdrawals.c.id.not_in(in_flight_ids),
        )
        .order_by(withdrawals.c.due_at, withdrawals.c.id)
        .limit(limit)
        .with_for_update()
    ).all()
    if rows:
        connection.execute(
            sa.update(withdrawals)
            .where(withdrawals.c.id.in_([row.id for row in rows]))
            .values(worker_id=worker_id)
        )
    return load_rows(connection, rows)


def get_next_due_at(connection: Connection, *, in_flight_ids: Collection[int]) -> Millis | None:
    """When the next unfinished order is due, in ms; None if there is none."""
    return connection.execute(
        sa.select(sa.func.min(withdrawals.c.due_at)).where(
            withdrawals.c.state == WithdrawalState.REQUESTED, withdrawals.c.id.not_in(in_flight_ids)
        )
    ).scalar()


def mark_call_started(
    connection: Connection, withdrawal: Withdrawal, *, worker_id: str, expected: Amounts | None, now: Millis
) -> bool:
    """Record the start of a call; commit it before the call. False if this process lost the claim.

    expected: balance before the call; None keeps the stored value.
    The outcome is unknown from here until a response arrives. After a crash, a later rejection therefore does not
    prove that the first call withdrew nothing.
    """
    values: dict[str, object] = {
        "attempts": withdrawals.c.attempts + 1,
        "unknown_since": sa.func.coalesce(withdrawals.c.unknown_since, now),
    }
    if expected is not None:
        values["expected"] = content_of(expected)
    changed = connection.execute(
        sa.update(withdrawals)
        .where(
            withdrawals.c.id == withdrawal.id,
            withdrawals.c.worker_id == worker_id,
            withdrawals.c.state == WithdrawalState.REQUESTED,
        )
        .values(**values)
    )
    return changed.rowcount == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalResult:
    """The final state of an order."""

    state: WithdrawalState
    """The final state."""
    now: Millis
    """When it is stored, Unix milliseconds."""
    withdrawn: Amounts | None = None
    """Withdrawn amounts, for the state `withdrawn`."""
    at: Millis | None = None
    """Feishu's trans_time; None if Feishu reports none."""
    reason: str | None = None
    """Why the withdrawal failed."""
    code: int | None = None
    """Feishu's error code."""
    log_id: str | None = None
    """X-Tt-Logid, for Feishu's support."""
    is_unconfirmed: bool = False
    """Whether Feishu named no amounts, so that `withdrawn` holds the expected ones."""


def finish(
    connection: Connection, withdrawal: Withdrawal, result: WithdrawalResult, *, worker_id: str | None = None
) -> bool:
    """Store the final state and request card updates. False if it must not be stored.

    worker_id: the process that made the call; its result counts only while it holds the claim. None: an operator ends
    the order, which must be unfinished. Amounts that Feishu reports as withdrawn count in any case, also over another
    final state: the money is gone.
    """
    accounts.lock_accounts(connection, [withdrawal.account_ref])
    if result.state is WithdrawalState.WITHDRAWN:
        is_allowed = withdrawals.c.state != WithdrawalState.WITHDRAWN
    else:
        is_allowed = sa.and_(withdrawals.c.state == WithdrawalState.REQUESTED, _is_held_by(worker_id))
    changed = connection.execute(
        sa.update(withdrawals)
        .where(withdrawals.c.id == withdrawal.id, is_allowed)
        .values(
            state=result.state,
            withdrawn=content_of(result.withdrawn) if result.withdrawn is not None else None,
            withdrawn_at=result.at,
            ended_at=result.now,
            reason=result.reason,
            code=result.code,
            log_id=result.log_id,
            worker_id=None,
        )
    )
    if changed.rowcount != 1:
        return False
    card_updates.request_updates(connection, [withdrawal.order_id], now=result.now)
    return True


def _is_held_by(worker_id: str | None) -> sa.ColumnElement[bool]:
    return sa.true() if worker_id is None else withdrawals.c.worker_id == worker_id


def postpone(
    connection: Connection, withdrawal: Withdrawal, outcome: WithdrawalRetry, *, worker_id: str | None = None
) -> None:
    """Schedule another call with the same order id. worker_id: as for `finish`; without the claim nothing changes."""
    connection.execute(
        sa.update(withdrawals)
        .where(
            withdrawals.c.id == withdrawal.id,
            withdrawals.c.state == WithdrawalState.REQUESTED,
            _is_held_by(worker_id),
        )
        .values(
            due_at=outcome.due_at,
            unknown_since=outcome.unknown_since,
            reason=outcome.reason,
            code=outcome.code,
            log_id=outcome.log_id,
            worker_id=None,
        )
    )


def make_due(connection: Connection, order_id: str, *, now: Millis) -> bool:
    """Make the next call due now. False if the order is finished or does not exist."""
    changed = connection.execute(
        sa.update(withdrawals)
        .where(withdrawals.c.order_id == order_id, withdrawals.c.state == WithdrawalState.REQUESTED)
        .values(due_at=now)
    )
    return changed.rowcount == 1


def claim_stuck(connection: Connection, *, before: Millis, now: Millis, limit: int) -> list[Withdrawal]:
    """Unfinished orders requested before this time (ms), oldest first, each once: for a notice to the alarm group."""
    columns = withdrawals.c
    is_stuck = (columns.state == literal("requested"), columns.requested_at < before)
    query = sa.select(withdrawals).where(*is_stuck, columns.stuck_notified_at.is_(None))
    rows = connection.execute(query.order_by(columns.requested_at, columns.id).limit(limit)).all()
    ids = [row.id for row in rows]
    connection.execute(sa.update(withdrawals).where(columns.id.in_(ids)).values(stuck_notified_at=now))
    return load_rows(connection, rows)


def is_claimed(connection: Connection, order: Withdrawal) -> bool:
    """Whether a process has claimed the order, so that a call may be running."""
    query = sa.select(withdrawals.c.worker_id).where(withdrawals.c.id == order.id)
    return connection.execute(query).scalar() is not None


def release_claim(connection: Connection, order: Withdrawal, *, worker_id: str) -> None:
    """End this process's claim of an order whose call broke off. Its due time stays."""
    connection.execute(
        sa.update(withdrawals)
        .where(withdrawals.c.id == order.id, withdrawals.c.worker_id == worker_id)
        .values(worker_id=None)
    )


def reclaim(connection: Connection, *, now: Millis) -> int:
    """At start-up: make orders due now that an earlier process had claimed. Returns their number."""
    return connection.execute(
        sa.update(withdrawals)
        .where(withdrawals.c.state == WithdrawalState.REQUESTED, withdrawals.c.worker_id.is_not(None))
        .values(worker_id=None, due_at=now)
    ).rowcount


def list_withdrawals(connection: Connection, *, states: Collection[str], limit: int) -> list[Withdrawal]:
    """Withdrawals in these states (all states if empty), newest first."""
    query = sa.select(withdrawals)
    if states:
        query = query.where(withdrawals.c.state.in_(states))
    rows = connection.execute(query.order_by(withdrawals.c.id.desc()).limit(limit)).all()
    return load_rows(connection, rows)


def find_by_order(connection: Connection, order_id: str) -> Withdrawal | None:
    """The withdrawal with this order id; None if there is none."""
    return load_by_order(connection, [order_id]).get(order_id)


def load_by_order(connection: Connection, order_ids: Collection[str]) -> dict[str, Withdrawal]:
    """The withdrawals with these order ids. Unknown orders are missing."""
    if not order_ids:
        return {}
    query = sa.select(withdrawals).where(withdrawals.c.order_id.in_(sorted(order_ids)))
    rows = connection.execute(query).all()
    return {each.order_id: each for each in load_rows(connection, rows)}


def load_rows(connection: Connection, rows: Sequence[sa.Row[*tuple[Any, ...]]]) -> list[Withdrawal]:
    """The withdrawals in these rows, with their accounts."""
    stored = accounts.load_accounts(connection, [row.account_ref for row in rows])
    return [to_withdrawal(row, stored[row.account_ref].key) for row in rows]


def to_withdrawal(row: sa.Row[*tuple[Any, ...]], account: AccountKey) -> Withdrawal:
    """The withdrawal in a row of this account."""
    return Withdrawal(
        id=row.id,
        order_id=row.order_id,
        account_ref=row.account_ref,
        account=account,
        kinds=tuple(Kind(kind) for kind in row.kinds.split(",")),
        state=WithdrawalState(row.state),
        withdrawal_count=row.withdrawal_count,
        requested_by=row.requested_by,
        delivery_id=row.delivery_id,
        role=Role(row.role),
        requested_at=row.requested_at,
        agreed=read_content(row.agreed),
        attempts=row.attempts,
        due_at=row.due_at,
        expected=read_content(row.expected) if row.expected is not None else None,
        withdrawn=read_content(row.withdrawn) if row.withdrawn is not None else None,
        withdrawn_at=row.withdrawn_at,
        ended_at=row.ended_at,
        unknown_since=row.unknown_since,
        reason=row.reason,
        code=row.code,
        log_id=row.log_id,
        is_in_ledger=bool(row.is_in_ledger),
        ledger_modified_at=row.ledger_modified_at,
    )

"""History: the newest changes and withdrawals of an account, as one list."""

from collections.abc import Sequence
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.answers.answer import HistoryRow
from notifier.domain.money import Asset, Kind, from_units
from notifier.domain.payout import Payout, PayoutState
from notifier.domain.withdrawal import Withdrawal, WithdrawalState
from notifier.store import payouts, withdrawals
from notifier.store.schema.tables import changes, snapshots
from notifier.store.schema.tables import withdrawals as withdrawals_table

MAX_ROWS = 10
"""Rows of a history."""

_LIST_SNAPSHOTS = (
    sa.select(snapshots.c.id, snapshots.c.modified_at)
    .where(snapshots.c.account_ref == sa.bindparam("ref"))
    .order_by(snapshots.c.modified_at.desc(), snapshots.c.id.desc())
    .limit(sa.bindparam("limit"))
)
_LIST_CHANGES = sa.select(changes).where(changes.c.snapshot_id.in_(sa.bindparam("ids", expanding=True)))
_IS_FIRST = sa.select(sa.func.min(snapshots.c.modified_at)).where(
    snapshots.c.account_ref == sa.bindparam("ref")
)
_LIST_WITHDRAWALS = (
    sa.select(withdrawals_table)
    .where(withdrawals_table.c.account_ref == sa.bindparam("ref"))
    .order_by(withdrawals_table.c.id.desc())
    .limit(sa.bindparam("limit"))
)


def load_history(
    connection: Connection, account_ref: int, *, limit: int = MAX_ROWS
) -> tuple[tuple[HistoryRow, ...], bool]:
    """The newest changes and withdrawals, newest first, and whether there are older ones.

    A change that is one of our withdrawals is listed as the withdrawal only.
    """
    wanted = limit + 1
    orders = _list_withdrawals(connection, account_ref, limit=wanted)
    rows = [*_list_changes(connection, account_ref, orders, limit=wanted), *_to_rows(connection, orders)]
    rows.sort(key=lambda row: row.at, reverse=True)
    return tuple(rows[:limit]), len(rows) > limit


def list_open_withdrawals(connection: Connection, account_ref: int, *, limit: int) -> tuple[HistoryRow, ...]:
    """The newest withdrawals that are withdrawn and not paid, newest first."""
    orders = _list_withdrawals(connection, account_ref, limit=limit)
    return tuple(row for row in _to_rows(connection, orders) if row.state in ("withdrawn", "sent", "failed"))


def _list_withdrawals(connection: Connection, account_ref: int, *, limit: int) -> list[Withdrawal]:
    rows = connection.execute(_LIST_WITHDRAWALS, {"ref": account_ref, "limit": limit}).all()
    return withdrawals.load_rows(connection, rows)


def _to_rows(connection: Connection, orders: Sequence[Withdrawal]) -> list[HistoryRow]:
    found = payouts.load_by_order(connection, [each.order_id for each in orders])
    return [_to_row(each, found.get(each.order_id)) for each in orders]


def _to_row(order: Withdrawal, payout: Payout | None) -> HistoryRow:
    state = {WithdrawalState.REQUESTED: "processing"}.get(order.state, order.state.value)
    if (
        order.state is WithdrawalState.WITHDRAWN
        and payout is not None
        and payout.state in (PayoutState.SENT, PayoutState.PAID, PayoutState.FAILED)
    ):
        state = payout.state.value
    at = order.withdrawn_at if order.withdrawn_at is not None else order.requested_at
    amounts = order.withdrawn if order.state is WithdrawalState.WITHDRAWN else order.agreed
    return HistoryRow(at=at, deltas=amounts or {}, state=state, order_id=order.order_id)


def _list_changes(
    connection: Connection, account_ref: int, orders: Sequence[Withdrawal], *, limit: int
) -> list[HistoryRow]:
    found = connection.execute(_LIST_SNAPSHOTS, {"ref": account_ref, "limit": limit}).all()
    if not found:
        return []
    times = {row.id: row.modified_at for row in found}
    deltas: dict[int, dict[Asset, Decimal]] = {}
    for row in connection.execute(_LIST_CHANGES, {"ids": sorted(times)}):
        asset = Asset(Kind(row.kind), row.currency)
        deltas.setdefault(row.snapshot_id, {})[asset] = from_units(row.after - row.before)
    first_at = connection.execute(_IS_FIRST, {"ref": account_ref}).scalar()
    rows = []
    for snapshot_id, at in times.items():
        left = _without_withdrawals(deltas.get(snapshot_id, {}), orders, at)
        if left:
            rows.append(HistoryRow(at=at, deltas=left, is_opening=at == first_at))
    return rows


def _without_withdrawals(
    deltas: dict[Asset, Decimal], orders: Sequence[Withdrawal], at: Millis
) -> dict[Asset, Decimal]:
    left = dict(deltas)
    for order in orders:
        if order.ledger_modified_at == at and order.withdrawn:
            for asset, amount in order.withdrawn.items():
                left[asset] = left.get(asset, Decimal(0)) + amount
    return {asset: amount for asset, amount in sorted(left.items()) if amount}

"""Released balances: what an account held when a notice that waited for its reader was released."""

from collections.abc import Sequence
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.card_state import ReleasedBalance
from notifier.domain.money import Amounts, Asset
from notifier.domain.notice import Notice
from notifier.domain.withdrawal import WithdrawalState
from notifier.store import withdrawals
from notifier.store.digests import period_totals
from notifier.store.digests.period_totals import TimeRange
from notifier.store.schema.tables import withdrawals as withdrawals_table

_LIST_WITHDRAWN = sa.select(withdrawals_table).where(
    withdrawals_table.c.account_ref == sa.bindparam("ref"),
    withdrawals_table.c.state == WithdrawalState.WITHDRAWN,
    withdrawals_table.c.withdrawn_at >= sa.bindparam("from_at"),
    withdrawals_table.c.withdrawn_at < sa.bindparam("to_at"),
)


def load_released_balance(
    connection: Connection, account_ref: int, shown: Sequence[Notice], *, released_at: Millis
) -> ReleasedBalance | None:
    """The balance at the release, and what was withdrawn since the first notice. None: the card shows no notices.

    shown: the notices of the card, oldest first. released_at: in ms. It does not change later, so an update of the
    card shows the same.
    """
    if not shown or shown[-1].order_id is not None:
        return None
    time_range = TimeRange(from_at=min(shown[0].occurred_at, released_at), to_at=released_at + 1)
    rows = period_totals.iter_account_totals(connection, time_range, account_refs=[account_ref])
    amounts: dict[Asset, Decimal] = {row.asset: row.flow.closing for row in rows}
    withdrawn: dict[Asset, Decimal] = {}
    values = {"ref": account_ref, "from_at": time_range.from_at, "to_at": time_range.to_at}
    for order in withdrawals.load_rows(connection, connection.execute(_LIST_WITHDRAWN, values).all()):
        is_in_ledger = order.ledger_modified_at is not None and order.ledger_modified_at <= released_at
        for asset, amount in (order.withdrawn or {}).items():
            withdrawn[asset] = withdrawn.get(asset, Decimal(0)) + amount
            if not is_in_ledger:
                amounts[asset] = max(amounts.get(asset, Decimal(0)) - amount, Decimal(0))
    return ReleasedBalance(amounts=amounts, withdrawn=_without_zeros(withdrawn))


def _without_zeros(amounts: Amounts) -> Amounts:
    return {asset: amount for asset, amount in sorted(amounts.items()) if amount}

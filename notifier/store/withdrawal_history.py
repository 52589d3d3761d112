"""Withdrawal history: the withdrawals of an account, and the balance that they leave."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.event import AccountKey
from notifier.domain.money import Amounts
from notifier.domain.withdrawal import Withdrawal, WithdrawalState
from notifier.store import accounts, ledger, withdrawals
from notifier.store.schema.tables import withdrawals as withdrawals_table


def count_withdrawn(connection: Connection, account_ref: int) -> int:
    """Number of completed withdrawals of the account."""
    return connection.execute(
        sa.select(sa.func.count())
        .select_from(withdrawals_table)
        .where(
            withdrawals_table.c.account_ref == account_ref,
            withdrawals_table.c.state == WithdrawalState.WITHDRAWN,
        )
    ).scalar_one()


class WithdrawalHistory:
    """All withdrawals of one account, oldest first."""

    def __init__(self, account: AccountKey, rows: Sequence[sa.Row[*tuple[Any, ...]]] = ()) -> None:
        """rows: of the table `withdrawals`, oldest first."""
        self._account = account
        self._rows = rows

    @property
    def withdrawal_count(self) -> int:
        """Same as count_withdrawn."""
        return sum(row.state == WithdrawalState.WITHDRAWN for row in self._rows)

    @property
    def unfinished(self) -> Withdrawal | None:
        """The order without a final state; None if there is none."""
        unfinished = (row for row in self._rows if row.state == WithdrawalState.REQUESTED)
        row = next(unfinished, None)
        return withdrawals.to_withdrawal(row, self._account) if row else None

    def newest_of(self, withdrawal_count: int) -> Withdrawal | None:
        """The newest order with this withdrawal count, which cards with this count show; None if there is none."""
        rows = [row for row in self._rows if row.withdrawal_count == withdrawal_count]
        return withdrawals.to_withdrawal(rows[-1], self._account) if rows else None

    @property
    def not_in_ledger(self) -> list[Withdrawal]:
        """Same as list_not_in_ledger."""
        loaded = (withdrawals.to_withdrawal(row, self._account) for row in self._rows if not row.is_in_ledger)
        return [each for each in loaded if each.awaits_report]


_LOAD_HISTORIES = (
    sa.select(withdrawals_table)
    .where(withdrawals_table.c.account_ref.in_(sa.bindparam("refs", expanding=True)))
    .order_by(withdrawals_table.c.id)
)


def load_histories(
    connection: Connection, accounts_by_ref: Mapping[int, AccountKey]
) -> dict[int, WithdrawalHistory]:
    """The withdrawals of these accounts, by accounts.id. An account without a withdrawal has an empty history."""
    rows: dict[int, list[sa.Row[*tuple[Any, ...]]]] = {ref: [] for ref in accounts_by_ref}
    for row in connection.execute(_LOAD_HISTORIES, {"refs": sorted(rows)}) if rows else ():
        rows[row.account_ref].append(row)
    return {ref: WithdrawalHistory(account, rows[ref]) for ref, account in accounts_by_ref.items()}


def get_holdings(connection: Connection, account_ref: int) -> Amounts:
    """Known balances of the account: the ledger minus withdrawals after its newest balance report."""
    account = accounts.load_accounts(connection, [account_ref])[account_ref]
    return compute_holdings(
        ledger.load_balances(connection, [account_ref]).get(account_ref, {}),
        reported_at=account.modified_at,
        not_in_ledger=list_not_in_ledger(connection, account_ref),
    )


def compute_holdings(
    balances: Amounts, *, reported_at: Millis | None, not_in_ledger: Sequence[Withdrawal]
) -> Amounts:
    """Same as get_holdings, from loaded values.

    balances: of the ledger. reported_at: modified_at of the newest snapshot, in ms. not_in_ledger: see
    list_not_in_ledger.
    """
    held = dict(balances)
    for each in not_in_ledger:
        if each.withdrawn is not None and (each.withdrawn_at or each.requested_at) > (reported_at or 0):
            for asset, amount in each.withdrawn.items():
                held[asset] = max(held.get(asset, Decimal(0)) - amount, Decimal(0))
    return {asset: amount for asset, amount in held.items() if amount}


def list_not_in_ledger(connection: Connection, account_ref: int) -> list[Withdrawal]:
    """Withdrawals with a call (successful or unknown) that no balance report includes yet, oldest first."""
    rows = connection.execute(
        sa.select(withdrawals_table)
        .where(
            withdrawals_table.c.account_ref == account_ref,
            withdrawals_table.c.is_in_ledger == 0,
            withdrawals_table.c.attempts > 0,
            withdrawals_table.c.state.in_((WithdrawalState.REQUESTED, WithdrawalState.WITHDRAWN)),
        )
        .order_by(withdrawals_table.c.id)
    ).all()
    return withdrawals.load_rows(connection, rows)


def list_for_reports(
    connection: Connection, account_refs: Collection[int], *, earliest: Millis
) -> list[Withdrawal]:
    """Withdrawals of these accounts that no balance report includes yet, or one after `earliest` (modified_at in ms).

    Oldest first.
    """
    rows = connection.execute(_LIST_FOR_REPORTS, {"refs": sorted(account_refs), "earliest": earliest}).all()
    return withdrawals.load_rows(connection, rows)


_LIST_FOR_REPORTS = (
    sa.select(withdrawals_table)
    .where(
        withdrawals_table.c.account_ref.in_(sa.bindparam("refs", expanding=True)),
        sa.or_(
            sa.and_(
                withdrawals_table.c.is_in_ledger == 0,
                withdrawals_table.c.attempts > 0,
                withdrawals_table.c.state.in_((WithdrawalState.REQUESTED, WithdrawalState.WITHDRAWN)),
            ),
            withdrawals_table.c.ledger_modified_at > sa.bindparam("earliest"),
        ),
    )
    .order_by(withdrawals_table.c.id)
)
_MARK_IN_LEDGER = (
    sa.update(withdrawals_table)
    .where(withdrawals_table.c.id == sa.bindparam("withdrawal_id"))
    .values(is_in_ledger=1, ledger_modified_at=sa.bindparam("report_modified_at"))
)


def mark_in_ledger(connection: Connection, matched: Mapping[int, Millis]) -> None:
    """Match withdrawals to the balance reports that include them: modified_at of the report (ms) by withdrawals.id."""
    if matched:
        connection.execute(
            _MARK_IN_LEDGER,
            [{"withdrawal_id": each, "report_modified_at": at} for each, at in matched.items()],
        )

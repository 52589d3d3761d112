"""Finds our own withdrawals in balance reports, so that no notice reports a decrease that somebody requested."""

from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal

from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.event import BalanceReport
from notifier.domain.ledger import LedgerUpdate, content_of
from notifier.domain.withdrawal import Withdrawal, reflects, subtract_own_withdrawals, to_withdrawn_amounts
from notifier.store import withdrawal_history


class OwnWithdrawals:
    """The withdrawals that the reports of one batch may include.

    They are read once, matched in memory in the order of the reports, and stored by `save`.
    """

    def __init__(self, connection: Connection, account_refs: Collection[int], *, earliest: Millis) -> None:
        """account_refs: the accounts of the reports. earliest: the earliest modified_at of the reports, in ms."""
        self._connection = connection
        self._by_account: dict[int, dict[int, Withdrawal]] = {}
        for each in withdrawal_history.list_for_reports(connection, account_refs, earliest=earliest):
            self._by_account.setdefault(each.account_ref, {})[each.id] = each
        self._matched: dict[int, Millis] = {}

    def subtract(self, ref: int, report: BalanceReport, rewrite: LedgerUpdate) -> LedgerUpdate:
        """Removes our own withdrawals from the changes to notify. Other changes in the same report remain."""
        if rewrite.changes_to_notify is None or rewrite.is_opening:
            return rewrite
        changes_to_notify = rewrite.changes_to_notify
        for withdrawal in list(self._by_account.get(ref, {}).values()):
            if withdrawal.awaits_report and reflects(
                withdrawal, changes_to_notify, modified_at=report.modified_at
            ):
                changes_to_notify = subtract_own_withdrawals(
                    changes_to_notify, report.amounts, to_withdrawn_amounts(withdrawal)
                )
                self._match(withdrawal, report)
        return replace(rewrite, changes_to_notify=changes_to_notify or None)

    def reassign(self, ref: int, report: BalanceReport, rewrite: LedgerUpdate) -> None:
        """Assigns a withdrawal to its own report, if that report arrives after a later one.

        The later report was assumed to include the withdrawal. Without this correction the period totals would show a
        correction and a reward that did not happen.
        """
        content = content_of(report.amounts)
        deltas = {
            change.asset: change.delta
            for snapshot, changes in rewrite.changes
            if (snapshot.modified_at, snapshot.content) == (report.modified_at, content)
            for change in changes
        }
        for withdrawal in list(self._by_account.get(ref, {}).values()):
            matched_at = withdrawal.ledger_modified_at
            if matched_at is None or matched_at <= report.modified_at:
                continue
            amounts = to_withdrawn_amounts(withdrawal)
            if amounts and all(deltas.get(asset, Decimal(0)) <= -amount for asset, amount in amounts.items()):
                self._match(withdrawal, report)

    def save(self) -> None:
        """Stores which report includes which withdrawal."""
        withdrawal_history.mark_in_ledger(self._connection, self._matched)

    def _match(self, withdrawal: Withdrawal, report: BalanceReport) -> None:
        self._matched[withdrawal.id] = report.modified_at
        self._by_account[withdrawal.account_ref][withdrawal.id] = replace(
            withdrawal, is_in_ledger=True, ledger_modified_at=report.modified_at
        )

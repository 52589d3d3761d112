"""The CSV file of a digest: its columns add up."""

from decimal import Decimal

import pytest

from notifier.domain.digest import AssetFlow
from notifier.flow.digests.figures import COLUMNS, _cells
from notifier.store.digests.period_totals import AccountTotals
from support.builders import CNY


@pytest.mark.parametrize("withdrawn, shown", [("30", "-30"), ("0", "0")])
def test_withdrawals_are_negative_so_that_a_row_adds_up(withdrawn: str, shown: str) -> None:
    net = Decimal(57) - Decimal(withdrawn)
    flow = AssetFlow(
        opening=Decimal(100),
        first_seen=Decimal(10),
        rewards=Decimal(50),
        withdrawn=Decimal(withdrawn),
        corrections=Decimal(-3),
        net=net,
        closing=100 + net,
        later=Decimal(-7),
    )
    totals = AccountTotals(account_ref=1, account_id="1", referrer=None, asset=CNY, flow=flow)
    row = dict(zip(COLUMNS, _cells(totals), strict=True))
    amounts = map(Decimal, list(row.values())[5:])
    opening, first_seen, rewards, _, corrections, total, closing, later, balance = amounts

    assert shown == row["已提现 withdrawn"]
    assert total == first_seen + rewards + Decimal(shown) + corrections
    assert closing == opening + total
    assert balance == closing + later

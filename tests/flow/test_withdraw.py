"""Withdraw: an order that Feishu will not hear of for now stays an order, and is asked again at a sane pace."""

import pytest
import sqlalchemy as sa

from notifier.domain.event import AccountKey
from notifier.domain.money import Kind
from notifier.domain.rate_limit import Pace
from notifier.domain.withdrawal import Role, WithdrawalState
from notifier.feishu.api import FeishuApi
from notifier.feishu.referral_accounts import ReferralAccounts
from notifier.flow.notices import Telling
from notifier.flow.withdrawals.withdraw import Withdrawer, WithdrawParts
from notifier.sandbox.testing import FeishuBox
from notifier.store import withdrawals
from notifier.store.cards import buttons
from notifier.store.engine.database import Database
from notifier.store.withdrawals import Order
from support.clock import FakeClock
from support.withdrawal_rows import BOOK, hung_card, stored

WITHDRAW = "POST /open-apis/hire/v1/referral_account/*/withdraw"
LIN_ACCOUNT = "7000000000000000001"
ORDER = "rn-1"


def ask(database: Database, box: FeishuBox, clock: FakeClock) -> None:
    """The referrer pressed the button on their card."""
    account = AccountKey(tenant_key="sandbox-tenant", app_id=box.app_id, account_id=LIN_ACCOUNT)
    card = hung_card(database, "card", account=account, sent_at=clock.millis)

    def begin(connection: sa.Connection) -> None:
        ref = connection.execute(sa.text("SELECT id FROM accounts")).scalar_one()
        name = buttons.draw(connection, delivery_id=card, account_ref=ref, epoch=0, now=clock.millis)
        button = buttons.find(connection, name, book=BOOK, now=clock.millis)
        assert button is not None
        order = Order(
            order_id=ORDER,
            button=button,
            kinds=tuple(Kind),
            role=Role.REFERRER,
            requested_by="ou_sandbox_lin",
            click_key="click",
            now=clock.millis,
        )
        assert withdrawals.begin(connection, order) is not None

    database.write(begin).result()


@pytest.mark.parametrize("code", [99991401, 99991403, 99991662, 99991673])
async def test_an_order_waits_while_the_app_is_stopped_and_is_carried_out_after(
    database: Database, api: FeishuApi, feishu_box: FeishuBox, clock: FakeClock, code: int
) -> None:
    parts = WithdrawParts(
        outside=ReferralAccounts(api),
        telling=Telling(book=BOOK, max_age_ms=10**12),
        pace=Pace(per_second=1),
        clock=clock,
        owner="us",
        wake=lambda: None,
    )
    withdrawer = Withdrawer(database, parts, wake=lambda: None)
    ask(database, feishu_box, clock)
    stopped = feishu_box.add_fault({"match": WITHDRAW, "action": "code", "code": code})
    for _ in range(600):  # seconds
        await withdrawer.turn()
        await withdrawer.drain(10)
        clock.advance(seconds=1)

    assert WithdrawalState.REQUESTED is stored(database, ORDER).state
    assert 5 <= feishu_box.fault_hits(stopped) <= 20, "not more than each half minute"
    feishu_box.clear_faults()
    clock.advance(seconds=600)
    await withdrawer.turn()
    await withdrawer.drain(10)
    assert WithdrawalState.WITHDRAWN is stored(database, ORDER).state
    assert 1 == len(feishu_box.withdrawals())

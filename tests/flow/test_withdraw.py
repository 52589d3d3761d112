"""Withdraw: an order that Feishu will not hear of for now stays an order, and is asked again at a sane pace."""

import pytest
import sqlalchemy as sa

from notifier.domain.event import AccountKey
from notifier.domain.money import Kind
from notifier.domain.rate_limit import RateLimit
from notifier.domain.withdrawal import Role, WithdrawalState
from notifier.feishu.api import FeishuApi
from notifier.feishu.referral_accounts import FeishuReferralAccounts
from notifier.flow.notices import NoticeWriter
from notifier.flow.withdrawals.withdraw import WithdrawDeps, Withdrawer
from notifier.sandbox.testing import FeishuBox
from notifier.store import withdrawals
from notifier.store.cards import buttons
from notifier.store.engine.database import Database
from notifier.store.withdrawals import WithdrawalOrder
from support.clock import FakeClock
from support.withdrawal_rows import ADDRESS_BOOK, posted_card, read_withdrawal

WITHDRAW = "POST /open-apis/hire/v1/referral_account/*/withdraw"
LIN_ACCOUNT = "7000000000000000001"
ORDER = "rn-1"


def ask(database: Database, box: FeishuBox, clock: FakeClock) -> None:
    """The referrer pressed the button on their card."""
    account = AccountKey(tenant_key="sandbox-tenant", app_id=box.app_id, account_id=LIN_ACCOUNT)
    card = posted_card(database, "card", account=account, sent_at=clock.millis)

    def begin(connection: sa.Connection) -> None:
        ref = connection.execute(sa.text("SELECT id FROM accounts")).scalar_one()
        name = buttons.ensure_button(
            connection, delivery_id=card, account_ref=ref, withdrawal_count=0, now=clock.millis
        )
        button = buttons.find_button(connection, name, address_book=ADDRESS_BOOK, now=clock.millis)
        assert button is not None
        order = WithdrawalOrder(
            order_id=ORDER,
            button=button,
            kinds=tuple(Kind),
            role=Role.REFERRER,
            requested_by="ou_sandbox_lin",
            click_key="click",
            now=clock.millis,
        )
        assert withdrawals.create_order(connection, order) is not None

    database.write(begin).result()


@pytest.mark.parametrize("code", [99991401, 99991403, 99991662, 99991673])
async def test_an_order_waits_while_the_app_is_stopped_and_is_carried_out_after(
    database: Database, api: FeishuApi, feishu_box: FeishuBox, clock: FakeClock, code: int
) -> None:
    deps = WithdrawDeps(
        referral_accounts=FeishuReferralAccounts(api),
        notices=NoticeWriter(address_book=ADDRESS_BOOK, max_age_ms=10**12),
        limit=RateLimit(per_second=1),
        clock=clock,
        worker_id="us",
        wake=lambda: None,
    )
    withdrawer = Withdrawer(database, deps, wake=lambda: None)
    ask(database, feishu_box, clock)
    stopped = feishu_box.add_call_fault({"match": WITHDRAW, "action": "code", "code": code})
    for _ in range(600):  # seconds
        await withdrawer.run_once()
        await withdrawer.drain(10)
        clock.advance(seconds=1)

    assert WithdrawalState.REQUESTED is read_withdrawal(database, ORDER).state
    assert 5 <= feishu_box.count_call_fault_hits(stopped) <= 20, "not more than each half minute"
    feishu_box.clear_call_faults()
    clock.advance(seconds=600)
    await withdrawer.run_once()
    await withdrawer.drain(10)
    assert WithdrawalState.WITHDRAWN is read_withdrawal(database, ORDER).state
    assert 1 == len(feishu_box.withdrawals())

"""The page's lists of withdrawals and payouts."""

import pytest
from playwright.sync_api import expect

from notifier.sandbox.testing import FeishuBox
from sandbox.clients import api
from sandbox.payroll_client import order, pay, receiving
from support.browser import open_page

pytestmark = pytest.mark.browser

WITHDRAW = "/hire/v1/referral_account/7000000000000000001/withdraw"


def test_a_withdrawal_is_listed_with_how_often_it_was_asked_for(feishu_box: FeishuBox) -> None:
    with open_page(f"{feishu_box.url}/#/money") as page:
        for _ in range(2):
            api(feishu_box, "POST", WITHDRAW, {"external_order_id": "o-1", "withdraw_bonus_type": [1, 2]})

        expect(page.get_by_test_id("withdrawal-amounts-o-1")).to_have_text("120 积分 · ¥350.50")
        expect(page.get_by_test_id("withdrawal-requests-o-1")).to_have_text("请求 2 次")
        page.get_by_test_id("lang-toggle").click()
        expect(page.get_by_test_id("withdrawal-log")).to_contain_text("Withdrawals")


def test_payouts_are_reported_with_two_buttons(feishu_box: FeishuBox) -> None:
    pay(feishu_box)
    pay(feishu_box, order("o-2"))
    with receiving() as receiver, open_page(f"{feishu_box.url}/#/money") as page:
        log = page.get_by_test_id("payout-log")
        expect(page.get_by_test_id("payout-row-o-1")).to_contain_text("120 积分 · ¥350.50")
        page.get_by_test_id("payout-paid-o-1").click()
        expect(page.get_by_test_id("payout-error")).to_contain_text("no address")

        feishu_box.set_payout_report_url(receiver.url)
        expect(page.get_by_test_id("payout-report-url")).to_contain_text(receiver.url)
        page.get_by_test_id("payout-paid-o-1").click()
        expect(page.get_by_test_id("payout-outcome-o-1")).to_have_text("已回报 · HTTP 200")
        expect(page.get_by_test_id("payout-state-o-1")).to_have_text("已付款")
        expect(page.get_by_test_id("payout-paid-o-1")).to_have_count(0)

        receiver.status = 500
        page.get_by_test_id("payout-failed-o-2").click()
        expect(page.get_by_test_id("payout-error")).to_contain_text("请填写失败原因")
        page.get_by_test_id("payout-reason-o-2").fill("账户已注销")
        page.get_by_test_id("payout-failed-o-2").click()
        expect(page.get_by_test_id("payout-outcome-o-2")).to_have_text("回报被拒 · HTTP 500")
        expect(page.get_by_test_id("payout-failed-o-2")).to_be_enabled()
        page.get_by_test_id("lang-toggle").click()
        expect(log).to_contain_text("Payroll system")
        expect(page.get_by_test_id("payout-state-o-2")).to_have_text("failed")
        assert ["paid", "failed"] == [report["status"] for report in receiver.contents()]

"""A digest on the sandbox page: table pages, the chart, and the progress of withdraw-all."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from support.browser import open_page
from support.running import running_notifier

pytestmark = pytest.mark.browser

MORE = """\
withdrawals: {offer_to: [hr]}
digests:
  - {name: hr-daily, to: [hr], file: always, jitter_seconds: 0}
"""


def test_a_digest_on_the_page(tmp_path: Path) -> None:
    with (
        FeishuBox(SandboxSettings(extra_accounts=8)) as box,
        running_notifier(box, tmp_path, more=MORE) as notifier,
    ):
        for number, account in enumerate(box.accounts()):
            box.change_balance(account["account_id"], cash={"CNY": f"+{100 + number}.00"})
            box.change_balance(
                account["account_id"], cash={"CNY": "+5.00"}
            )  # after the first sight, a reward to draw
        notifier.wait_until_settled()
        notifier.command("digest", "send", "hr-daily", "--for", "today")
        notifier.wait_until_settled()
        with open_page(f"{box.url}/#/chats/oc_sandbox_hr", height=1600) as page:
            page.get_by_test_id("identity-select").select_option("ou_sandbox_zhou")
            card = page.locator("[data-testid=messages] .card").last
            _turns_pages(page)
            assert 7 == len(
                re.findall(
                    r"\d\d-\d\d:",
                    card.get_by_test_id("chart").get_by_role("img").get_attribute("aria-label") or "",
                )
            )

            card.get_by_text("提现所列 12 个账户").click()
            page.get_by_test_id("confirm-yes").click()
            expect(card.get_by_text(re.compile(r"批量提现中 \d+/12"))).to_be_visible()
            expect(card.get_by_text("批量提现已结束 12/12")).to_be_visible(timeout=30_000)
            expect(card.get_by_text("已提现 Withdrawn").first).to_be_visible()
            with page.expect_download() as saved:
                page.get_by_test_id("file-link").click()

            assert re.fullmatch(r"内推奖励_\d{4}-\d\d-\d\d\.csv", saved.value.suggested_filename)
            assert 12 == len(box.withdrawals())


def _turns_pages(page: Page) -> None:
    """Twelve people, five to a page."""
    table = page.locator("[data-testid=messages] .card").last.locator(".c-table").last
    before = table.locator("tbody tr").all_inner_texts()
    table.get_by_role("button").last.click()
    after = table.locator("tbody tr").all_inner_texts()

    assert 5 == len(before) == len(after)
    assert before != after

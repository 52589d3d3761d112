"""A new user starts the sandbox, opens its page, adds a reward and sees the card."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from notifier.sandbox.testing import FeishuBox
from support.browser import open_page
from support.running import RunningNotifier
from support.sandbox_process import running_sandbox

pytestmark = pytest.mark.browser

LIN_CHAT = "oc_sandbox_p2p_lin"
SEED = Path(__file__).parents[1] / "feishu" / "fixtures" / "assets_update.json"


@pytest.fixture
def sandbox_url(tmp_path: Path) -> Iterator[str]:
    with running_sandbox(tmp_path) as sandbox:
        yield sandbox.url


def test_a_newcomer_may_have_events_posted_to_the_notifier(tmp_path: Path) -> None:
    with (
        running_sandbox(tmp_path, "--webhook") as sandbox,
        open_page(f"{sandbox.url}/#/chats/{LIN_CHAT}") as page,
    ):
        messages = page.get_by_test_id("messages")
        expect(messages).to_contain_text("内推奖励余额", timeout=40_000)
        status = page.get_by_test_id("connection-status")
        expect(status).to_contain_text("/feishu/events")
        expect(status).to_have_attribute("data-connections", "0")

        add_reward(page, cash="+500")

        expect(messages).to_contain_text("+¥500.00")
        expect(messages).to_contain_text("余额 ¥850.50")


def add_reward(page: Page, *, cash: str) -> None:
    page.get_by_test_id("delta-cash").fill(cash)
    page.get_by_test_id("send-event").click()


def test_a_newcomer_sees_a_reward_arrive_as_a_card(sandbox_url: str) -> None:
    with open_page(f"{sandbox_url}/#/chats/{LIN_CHAT}") as page:
        expect(page.get_by_test_id("connection-status")).to_have_attribute(
            "data-connections", "1", timeout=40_000
        )
        messages = page.get_by_test_id("messages")
        expect(messages).to_contain_text("内推奖励余额", timeout=20_000)

        add_reward(page, cash="+500")

        expect(messages).to_contain_text("内推奖励到账")
        expect(messages).to_contain_text("+¥500.00")
        expect(messages).to_contain_text("余额 ¥850.50")
        page.get_by_test_id("lang-toggle").click()
        expect(messages).to_contain_text("Referral reward received")
        add_reward(page, cash="-200")
        expect(messages).to_contain_text("Referral reward reduced")
        expect(messages).to_contain_text("-¥200.00")
        expect(messages).to_contain_text("Balance ¥650.50")


def test_the_event_of_feishus_own_page_is_seen_in_the_readers_time_zone(notifier: RunningNotifier) -> None:
    box = notifier.box
    box.push_payload(SEED.read_text(encoding="utf-8"))
    box.wait_for(lambda: box.messages(LIN_CHAT), "the card", timeout=20)

    for zone, moment in [("Asia/Shanghai", "06:13"), ("America/New_York", "17:13")]:
        with open_page(f"{box.url}/#/chats/{LIN_CHAT}", zone=zone) as page:
            messages = page.get_by_test_id("messages")
            expect(messages).to_contain_text("¥350.50")
            expect(messages).to_contain_text(moment)


HOSTILE = '<at id=all></at>[x](http://e.invalid)<img src=x onerror=alert(1)> **b** "q" {{ 7*7 }} \u202eabc 🎉'


def test_a_hostile_name_stays_text_on_the_page(notifier: RunningNotifier) -> None:
    box: FeishuBox = notifier.box
    box.rename("ou_sandbox_lin", name=HOSTILE, en_name=HOSTILE)
    box.set_person("ou_sandbox_lin", status="resigned")
    box.change_balance("7000000000000000001", points=5)
    box.wait_for(lambda: box.messages("oc_sandbox_fallback"), "the card", timeout=20)

    with open_page(f"{box.url}/#/chats/oc_sandbox_fallback") as page:
        messages = page.get_by_test_id("messages")
        expect(messages).to_contain_text("<at id=all></at>[x]")
        assert 0 == messages.locator("a").count()
        assert 0 == messages.locator("img[src=x]").count()

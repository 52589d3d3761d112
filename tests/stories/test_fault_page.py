"""A user starts faults on the sandbox page, sees them run and end, and sees the notifier reconnect."""

import re

import pytest
from playwright.sync_api import Page, expect

from notifier.sandbox.faults.catalogue import FAULT_TYPES
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import listening, send
from support.browser import open_page
from support.running import RunningNotifier

pytestmark = pytest.mark.browser


def choose_end(page: Page, value: str) -> None:
    page.get_by_test_id("fault-end").select_option(value)


def open_options(page: Page, fault_type: str) -> None:
    page.get_by_test_id(f"fault-options-{fault_type}").locator("summary").click()


def test_every_fault_type_starts_and_ends_with_one_click(feishu_box: FeishuBox) -> None:
    with open_page(f"{feishu_box.url}/#/faults") as page:
        choose_end(page, "until")
        open_options(page, "drop")
        page.get_by_test_id("fault-repeat-drop").check()
        for fault_type, about in FAULT_TYPES.items():
            page.get_by_test_id(f"fault-{fault_type}").click()
            expect(page.get_by_test_id("fault-result")).to_contain_text("已开始")
            if not about.is_immediate or fault_type == "drop":
                left = "还剩" if fault_type == "drop" else "直到手动结束"
                expect(page.get_by_test_id(f"running-{fault_type}")).to_contain_text(left)
                page.get_by_test_id(f"end-{fault_type}").click()
                expect(page.get_by_test_id(f"running-{fault_type}")).to_have_count(0)

        page.get_by_test_id("panel-events").click()
        expect(page.get_by_test_id("sandbox-ahead")).to_have_text("比真实时间快 1 小时")
        assert [] == feishu_box.running_faults()


def test_a_fault_counts_down_and_disappears_from_the_page_when_it_ends(feishu_box: FeishuBox) -> None:
    with open_page(f"{feishu_box.url}/#/faults") as page:
        choose_end(page, "seconds-10")
        page.get_by_test_id("fault-black_hole").click()
        timer = page.get_by_test_id("running-black_hole").get_by_role("timer")
        expect(timer).to_have_text(re.compile(r"^还剩 \d+ 秒"))
        expect(timer).to_have_text(re.compile(r"^还剩 [1-8] 秒"), timeout=15_000)
        page.get_by_test_id("lang-toggle").click()
        expect(page.get_by_test_id("running-black_hole")).to_contain_text("Black hole")
        expect(timer).to_have_text(re.compile(r"\d s left"))
        expect(page.get_by_test_id("running-black_hole")).to_have_count(0, timeout=20_000)


def test_a_fault_shows_its_remaining_hits_and_ends_with_the_last_one(feishu_box: FeishuBox) -> None:
    with open_page(f"{feishu_box.url}/#/faults") as page:
        choose_end(page, "times-3")
        expect(page.get_by_test_id("fault-black_hole")).to_be_disabled()
        open_options(page, "429")
        page.get_by_test_id("fault-option-429-header").uncheck()
        page.get_by_test_id("fault-option-429-reset_seconds").fill("7")
        page.get_by_test_id("fault-429").click()
        expect(page.get_by_test_id("running-429")).to_contain_text("还剩 3 次")
        expect(page.get_by_test_id("running-429")).to_contain_text("等待时间（秒）: 7")
        assert [False] == [fault["options"]["header"] for fault in feishu_box.running_faults()]
        for _ in range(2):
            with pytest.raises(KeyError):
                send(feishu_box, "hi")  # the token call is refused already
        expect(page.get_by_test_id("running-429")).to_contain_text("还剩 1 次 · 已影响 2 次")
        with pytest.raises(KeyError):
            send(feishu_box, "hi")
        expect(page.get_by_test_id("running-429")).to_have_count(0)
        expect(page.get_by_test_id("fault-429")).to_be_enabled()


def test_all_faults_end_together_and_a_dead_connection_is_shown(feishu_box: FeishuBox) -> None:
    with listening(feishu_box), open_page(f"{feishu_box.url}/#/faults") as page:
        expect(page.get_by_test_id("long-connection-state")).to_have_text("正常")
        page.get_by_test_id("fault-half_open").click()
        page.get_by_test_id("fault-slow").click()
        expect(page.get_by_test_id("long-connection-state")).to_have_text("无响应")
        expect(page.get_by_test_id("connection-status")).to_contain_text("无响应")

        page.get_by_test_id("end-all-faults").click()
        expect(page.get_by_test_id("running-faults")).to_contain_text("没有进行中的故障")
        expect(page.get_by_test_id("long-connection-state")).to_have_text("正常")
        expect(page.get_by_test_id("connection-status")).to_have_text("1 个客户端已连接")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_fault_block_fits_the_page(feishu_box: FeishuBox, width: int, language: str) -> None:
    with open_page(f"{feishu_box.url}/#/faults", width=width) as page:
        if language == "en":
            page.get_by_test_id("lang-toggle").click()
        page.get_by_test_id("fault-half_open").click()
        expect(page.get_by_test_id("running-half_open")).to_be_visible()
        panel = page.locator(".panel-body")
        assert panel.evaluate("panel => panel.scrollWidth <= panel.clientWidth")
        cut_off = "nodes => nodes.filter(node => node.scrollWidth > node.clientWidth + 1).map(node => node.textContent)"
        assert [] == page.locator(
            "#fault-types button, #fault-types .fault-title, #long-connection dd, #fault-list .state"
        ).evaluate_all(cut_off)


def test_the_page_shows_that_the_notifier_reconnects(notifier: RunningNotifier) -> None:
    with open_page(f"{notifier.box.url}/#/faults") as page:
        expect(page.get_by_test_id("long-connection-state")).to_have_text("正常")
        expect(page.get_by_test_id("long-connection-reconnects")).to_have_text("0")

        page.get_by_test_id("fault-drop").click()

        expect(page.get_by_test_id("long-connection-reconnects")).to_have_text("1", timeout=30_000)
        expect(page.get_by_test_id("long-connection-state")).to_have_text("正常")
        expect(page.get_by_test_id("long-connection-lost")).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
        expect(page.get_by_test_id("long-connection-offline")).to_have_text(re.compile(r"\d+\.\d 秒"))

"""The sandbox page speaks the browser's language, opens the chat of what was sent, and names the operators."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import card, send
from support.browser import open_page

pytestmark = pytest.mark.browser

HR, ZHOU = "oc_sandbox_hr", "ou_sandbox_zhou"


@pytest.fixture
def box() -> Iterator[FeishuBox]:
    with FeishuBox(SandboxSettings(operators={HR: (ZHOU,)})) as running:
        columns = [{"name": "a", "data_type": "text"}]
        assert 0 == send(running, card({"tag": "table", "columns": columns, "rows": []}), to=HR).code
        yield running


@pytest.mark.parametrize(
    "locale, title, group, table",
    [
        ("zh-CN", "飞书沙盒", "招聘奖励通知（示例）", "表格"),
        ("zh-TW", "飞书沙盒", "招聘奖励通知（示例）", "表格"),
        ("en-GB", "Feishu sandbox", "Referral rewards (sample)", "Table"),
        ("de-DE", "Feishu sandbox", "Referral rewards (sample)", "Table"),
    ],
)
def test_the_page_speaks_the_language_of_the_browser(
    box: FeishuBox, locale: str, title: str, group: str, table: str
) -> None:
    with open_page(f"{box.url}/#/chats/{HR}", locale=locale) as page:
        expect(page.locator("h1")).to_have_text(title)
        expect(page.get_by_test_id(f"chat-{HR}")).to_contain_text(group)
        expect(page.locator("#chat-head h2")).to_have_text(group)
        page.get_by_test_id("panel-world").click()
        expect(page.locator("#groups-list")).to_contain_text(group)
        expect(page.locator(".card").get_by_role("group", name=table, exact=True)).to_be_visible()


def test_a_chosen_language_stays_and_another_choice_does_not_fix_the_language(box: FeishuBox) -> None:
    with open_page(box.url, locale="en-GB") as page:
        page.get_by_test_id("theme-toggle").click()
        assert {"theme"} == set(page.evaluate("Object.keys(JSON.parse(localStorage.getItem('sandbox')))"))
        page.get_by_test_id("lang-toggle").click()
        page.reload()
        expect(page.locator("h1")).to_have_text("飞书沙盒")


@pytest.mark.parametrize("width", [1440, 390])
def test_the_chat_of_the_chosen_account_opens_after_an_event_was_sent(box: FeishuBox, width: int) -> None:
    with open_page(f"{box.url}/#/chats/{HR}", width=width) as page:
        if width == 390:
            page.get_by_test_id("tab-tools").click()
        page.get_by_test_id("account-select").select_option("7000000000000000002")
        page.get_by_test_id("delta-points").fill("x")
        page.get_by_test_id("send-event").click()
        expect(page.get_by_test_id("send-result")).to_contain_text("整数")
        assert not page.url.endswith("chen"), "nothing was sent"
        page.get_by_test_id("delta-points").fill("+5")
        page.get_by_test_id("send-event").click()
        expect(page.locator("#chat-head h2")).to_have_text("陈知行（示例）")
        expect(page.locator("#chat-head h2")).to_be_visible()
        assert page.url.endswith("oc_sandbox_p2p_chen")


def test_the_page_says_who_is_operator(box: FeishuBox) -> None:
    with open_page(f"{box.url}/#/chats/{HR}", locale="en-GB") as page:
        expect(page.locator("#chat-head")).to_contain_text("operators: Zhou Wei (sample)")
        expect(page.locator("#chat-note")).to_contain_text("Here Zhou Wei (sample) may withdraw.")
        page.get_by_test_id("switch-identity").click()
        expect(page.locator("#chat-note")).to_be_hidden()
        identity = page.get_by_test_id("identity-select")
        expect(identity).to_have_value(ZHOU)
        assert ["Zhou Wei (sample), operator"] == [
            text for text in identity.locator("option").all_inner_texts() if "operator" in text
        ]
        page.get_by_test_id("panel-world").click()
        tags = page.locator("#people-list li", has_text=re.compile("operator"))
        expect(tags).to_have_count(1)
        expect(tags).to_contain_text("Zhou Wei")

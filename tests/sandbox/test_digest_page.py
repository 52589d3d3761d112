"""The sandbox page shows a new digest card, also at phone width, and sends a digest with its button."""

import re
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from notifier.config.settings import Config
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import card, send
from support.browser import open_page
from support.sample_card import render_sample

pytestmark = pytest.mark.browser


@pytest.fixture
def box() -> Iterator[FeishuBox]:
    command = (sys.executable, "-c", "print('hr: on its way')")
    with FeishuBox(SandboxSettings(digest_command=command)) as running:
        assert 0 == send(running, render_sample(Config(), "digest.json.j2", "daily"), to="oc_sandbox_hr").code
        yield running


def test_nothing_is_asked_before_an_account_is_chosen(box: FeishuBox) -> None:
    with open_page(f"{box.url}/#/chats/oc_sandbox_hr", height=1600) as page:
        page.get_by_test_id("identity-select").select_option("ou_sandbox_zhou")
        page.locator(".card").last.get_by_role("button", name="提现所选账户").click()

        expect(page.get_by_test_id("toasts")).to_contain_text("请先选择：选择一个账户")
        expect(page.get_by_test_id("confirm-yes")).not_to_be_visible()


def test_amounts_are_in_sight_on_a_phone(box: FeishuBox) -> None:
    with open_page(f"{box.url}/#/chats/oc_sandbox_hr", width=390, height=900) as page:
        tables = page.locator(".card").last.locator(".c-table-frame")
        expect(tables).to_have_count(2)
        for table in tables.all():
            edge = _right(table)
            assert [] == [cell for cell in table.locator("td").all() if _right(cell) > edge + 1]
            expect(table).not_to_have_class(re.compile("more-right"))


def test_a_shade_marks_hidden_columns(box: FeishuBox) -> None:
    columns = [{"name": f"c{n}", "data_type": "text", "width": "200px"} for n in range(4)]
    wide = {"tag": "table", "columns": columns, "rows": [{"c0": "left", "c3": "right"}]}
    assert 0 == send(box, card(wide), to="oc_sandbox_hr").code
    with open_page(f"{box.url}/#/chats/oc_sandbox_hr", width=390, height=900) as page:
        table = page.locator(".card").last.locator(".c-table-frame")
        expect(table).to_have_class(re.compile("more-right"))
        table.locator(".scroll-x").evaluate("node => { node.scrollLeft = 9999; }")
        expect(table).not_to_have_class(re.compile("more-right"))


def _right(node: Locator) -> float:
    box = node.bounding_box()
    assert box is not None
    return box["x"] + box["width"]


def test_the_digest_result_is_shown_in_the_page_language(box: FeishuBox) -> None:
    with open_page(box.url) as page:
        page.get_by_test_id("send-digest").click()
        expect(page.get_by_test_id("time-result")).to_have_text("hr：摘要已生成，正在发送")
        page.get_by_test_id("lang-toggle").click()
        page.get_by_test_id("send-digest").click()
        expect(page.get_by_test_id("time-result")).to_have_text("hr: the digest is being sent")

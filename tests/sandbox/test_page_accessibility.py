"""axe-core finds no serious fault on the sandbox page: contrast, labels, and scrolling with the keyboard."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from notifier.config.settings import Config
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import api, card, send
from sandbox.payroll_client import order, pay
from sandbox.test_node_sdk import node_folder
from support.browser import open_page
from support.sample_card import render_sample

__all__ = ["node_folder"]  # a fixture

pytestmark = [pytest.mark.browser, pytest.mark.node, pytest.mark.timeout(300)]

CHAT, LIN_ACCOUNT = "oc_sandbox_hr", "7000000000000000001"
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"label-content-name-mismatch": {"enabled": True}},
}
BUTTONS = [
    {"tag": "button", "type": kind, "text": {"tag": "plain_text", "content": kind}}
    for kind in ("default", "primary", "danger", "primary_filled", "danger_filled", "text", "laser")
]
TAGS = [
    f"<text_tag color='{colour}'>{colour}</text_tag> <font color='{colour}'>{colour}</font>"
    for colour in ("blue", "green", "red", "orange", "violet", "grey", "turquoise", "carmine")
]


@pytest.fixture
def box() -> Iterator[FeishuBox]:
    settings = SandboxSettings(
        digest_command=("true",), operators={CHAT: ("ou_sandbox_zhou",)}, push_waiting_on_connect=False
    )
    with FeishuBox(settings) as running:
        assert 0 == send(running, render_sample(Config(), "digest.json.j2", "daily"), to=CHAT).code
        assert (
            0 == send(running, card(*BUTTONS, {"tag": "markdown", "content": " ".join(TAGS)}), to=CHAT).code
        )
        send(running, "hello")
        for _ in range(20):  # more than the log shows without scrolling
            running.change_balance(LIN_ACCOUNT, points=1)
        api(running, "GET", "/calendar/v4/calendars")
        api(
            running,
            "POST",
            f"/hire/v1/referral_account/{LIN_ACCOUNT}/withdraw",
            {"external_order_id": "o-1", "withdraw_bonus_type": [1]},
        )
        pay(running, order())
        running.set_person("ou_sandbox_chen", status="resigned")
        running.start_fault("slow", seconds=600)
        yield running


def faults(page: Page, axe: str) -> list[str]:
    """The serious and critical findings, one per node."""
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    expect(page.get_by_test_id("request-log").locator("li").first).to_be_attached()
    page.evaluate(axe)
    found = page.evaluate(f"axe.run(document, {json.dumps(RULES)})")
    return [
        f"{violation['id']}: {node['html'][:120]} {node['failureSummary'][:160]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("locale, theme", [("zh-CN", "dark"), ("en-GB", "light")])
def test_there_is_no_serious_fault(box: FeishuBox, node_folder: Path, theme: str, locale: str) -> None:
    axe = (node_folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    for width, views in ((1440, ["chat"]), (390, ["chats", "chat", "tools"])):
        with open_page(f"{box.url}/#/chats/{CHAT}", width=width, locale=locale) as page:
            page.evaluate(f"localStorage.setItem('sandbox', '{{\"theme\": \"{theme}\"}}')")
            page.reload()
            expect(page.locator(".card").last).to_be_attached()
            for view in views:
                if width < 860:
                    page.get_by_test_id(f"tab-{view}").click()
                assert [] == faults(page, axe), (width, view)


def test_unknown_calls_are_counted_on_the_page(box: FeishuBox) -> None:
    with open_page(f"{box.url}/#/requests") as page:
        expect(page.get_by_test_id("unknown-calls")).to_contain_text(
            "GET /open-apis/calendar/v4/calendars × 1"
        )


def test_the_event_log_is_scrolled_with_the_keyboard(box: FeishuBox) -> None:
    with open_page(box.url) as page:
        log = page.locator("#event-list")
        expect(log.locator("li").nth(20)).to_be_attached()
        expect(log).to_have_attribute("tabindex", "0")
        log.focus()
        page.keyboard.press("End")
        page.wait_for_function("document.querySelector('#event-list').scrollTop > 0")

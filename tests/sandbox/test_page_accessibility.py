"""axe-core finds no serious fault on any screen of the sandbox page: contrast, labels, scrolling with the keyboard."""

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

CHAT, LIN, LIN_ACCOUNT = "oc_sandbox_hr", "ou_sandbox_lin", "7000000000000000001"
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


@pytest.fixture(scope="module")
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
        asked = running.write(LIN, "余额")
        answer = {"msg_type": "text", "content": json.dumps({"text": "¥1"}), "reply_in_thread": True}
        api(running, "POST", f"/im/v1/messages/{asked}/reply", answer)
        running.write(LIN, "quotes it", reply_to=asked)
        running.react(LIN, asked, "HEART")
        running.recall(LIN, running.write(LIN, "a slip"))
        running.start_fault("slow", seconds=600)
        yield running


def faults(page: Page, axe: str, place: str = "body") -> list[str]:
    """The serious and critical findings inside of a place, one per node."""
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    page.evaluate(axe)
    found = page.evaluate(f"axe.run({json.dumps(place)}, {json.dumps(RULES)})")
    return [
        f"{violation['id']}: {node['html'][:120]} {node['failureSummary'][:160]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


AREAS = {
    "events": "#event-list li",
    "requests": "#request-list li pre",
    "money": "#ledger-list li",
    "faults": ".fault-row",
    "world": "#people-list li",
}
"""Each area of the tools, with something that is there as soon as it is filled."""


@pytest.mark.parametrize("width, locale, theme", [(1440, "zh-CN", "dark"), (360, "en-GB", "light")])
def test_there_is_no_serious_fault(
    box: FeishuBox, node_folder: Path, width: int, theme: str, locale: str
) -> None:
    axe = (node_folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    log_id = box.requests()[-1]["log_id"]
    with open_page(f"{box.url}/#/chats/{CHAT}", width=width, locale=locale) as page:
        page.evaluate(f"localStorage.setItem('sandbox', '{{\"theme\": \"{theme}\"}}')")
        page.reload()
        expect(page.locator(".card").last).to_be_attached()
        page.get_by_test_id("chat-search").evaluate("field => { field.value = 'hello'; }")
        page.get_by_test_id("chat-search").dispatch_event("input")
        assert [] == faults(page, axe), "the chat, with hits of a search"
        page.goto(f"{box.url}/#/chats/oc_sandbox_p2p_lin")
        expect(page.locator(".thread")).to_be_attached()
        assert [] == faults(page, axe, ".conversation"), "a chat with people"
        if width < 860:
            page.goto(f"{box.url}/#/chats")
            assert [] == faults(page, axe), "the list of chats"
        for area, filled in AREAS.items():
            page.goto(f"{box.url}/#/{area}" + (f"/{log_id}" if area == "requests" else ""))
            expect(page.locator(filled).first).to_be_attached()
            assert [] == faults(page, axe, ".panel"), area
        page.get_by_test_id("edit-oc_sandbox_hr").click()
        assert [] == faults(page, axe, "#editor")
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        assert [] == faults(page, axe, "#keys-dialog")


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

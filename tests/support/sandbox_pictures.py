"""Draws the pictures of the sandbox page in both READMEs. `make pictures` runs it."""

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from notifier.config.settings import Config
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import api, listening, send
from support.browser import open_page
from support.sample_card import render_sample

FOLDER = Path(__file__).parents[2] / "docs" / "images"
LIN, LIN_CHAT, LIN_ACCOUNT = "ou_sandbox_lin", "oc_sandbox_p2p_lin", "7000000000000000001"
TANAKA, HR = "ou_sandbox_tanaka", "oc_sandbox_hr"
LANGUAGES = {"zh-CN": ("余额", "收到，谢谢！"), "en": ("balance", "Got it, thank you!")}
"""By language: what the person asks, and the reply to the answer of the bot."""


def make_scene(box: FeishuBox, question: str, thanks: str) -> None:
    """Sends cards, and has a person ask the bot."""
    config = Config()
    send(box, render_sample(config, "digest.json.j2", "daily"), to=HR)
    send(box, render_sample(config, "withdrawal_compact.json.j2", "paid"), to=TANAKA)
    send(box, render_sample(config, "balance_change_compact.json.j2", "increase"))
    asked = box.write(LIN, question)
    answer = render_sample(config, "answer.json.j2", "answer-balance")
    body: Any = {"msg_type": "interactive", "content": json.dumps(answer, ensure_ascii=False)}
    answered = api(box, "POST", f"/im/v1/messages/{asked}/reply", body).data["message_id"]
    box.write(LIN, thanks, reply_to=answered)
    box.read(LIN, answered)
    box.react(LIN, answered, "HEART")
    api(box, "GET", f"/hire/v1/referral_account/get_account_assets?referral_account_id={LIN_ACCOUNT}")


def take_picture(page: Page, box: FeishuBox, path: Path) -> None:
    """Opens the newest answer of the bot among the requests, and saves the page."""
    page.get_by_test_id(f"chat-{LIN_CHAT}").click()
    newest = next(one for one in reversed(box.requests()) if one["path"].endswith("/reply"))
    page.goto(f"{box.url}/#/requests/{newest['log_id']}")
    expect(page.get_by_test_id(f"answer_body-{newest['log_id']}")).to_be_visible()
    expect(page.get_by_test_id("quotas").locator("li").first).to_be_visible()
    page.locator(".panel-body").evaluate("panel => panel.scrollTo(0, 0)")
    page.locator("#stream").evaluate("stream => stream.scrollTo(0, stream.scrollHeight)")
    page.evaluate("document.activeElement.blur()")
    path.write_bytes(page.screenshot(animations="disabled"))


def draw_pictures() -> None:
    """Draw the page in both languages."""
    for language, words in LANGUAGES.items():
        with FeishuBox(SandboxSettings(push_waiting_on_connect=False)) as box, listening(box):
            make_scene(box, *words)
            with open_page(f"{box.url}/#/chats/{LIN_CHAT}", locale=language, height=860) as page:
                take_picture(page, box, FOLDER / f"sandbox.{language}.png")


if __name__ == "__main__":
    draw_pictures()

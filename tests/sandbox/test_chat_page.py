"""On the sandbox page people write, reply, react and recall; messages are searched, and linked to."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import api, card, send
from support.browser import open_page

pytestmark = pytest.mark.browser

HR, LIN, ZHOU, TANAKA = "oc_sandbox_hr", "ou_sandbox_lin", "ou_sandbox_zhou", "ou_sandbox_tanaka"
LIN_CHAT = "oc_sandbox_p2p_lin"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000003010100"
    "18dd8db00000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def box() -> Iterator[FeishuBox]:
    with FeishuBox(SandboxSettings(push_waiting_on_connect=False, quotas=False)) as running:
        yield running


@pytest.fixture(scope="module")
def browser_page(box: FeishuBox) -> Iterator[Page]:
    """One browser for all tests of the module."""
    with open_page(box.url) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield page


@pytest.fixture
def page(browser_page: Page, box: FeishuBox) -> Page:
    """The page at the chat of Lin, who is chosen."""
    browser_page.goto(f"{box.url}/#/chats/{LIN_CHAT}")
    browser_page.get_by_test_id("identity-select").select_option(LIN)
    browser_page.get_by_test_id("chat-search").fill("")
    return browser_page


def last_message(box: FeishuBox, chat_id: str = LIN_CHAT) -> Any:
    return next(chat["messages"][-1] for chat in box.state()["chats"] if chat["chat_id"] == chat_id)


def write(page: Page, text: str) -> None:
    page.get_by_test_id("composer-text").fill(text)
    page.get_by_test_id("composer-text").press("Enter")


def message_with(page: Page, text: str) -> Locator:
    return page.locator("#messages article", has_text=text).last


def left_edge(node: Locator) -> float:
    box = node.bounding_box()
    assert box is not None
    return box["x"]


def use(message: Locator, name: str) -> None:
    """Presses a button of a message. They are shown while the pointer is on the message."""
    message.hover()
    message.locator(f"[data-testid^={name}-]").first.click()


def test_a_person_writes_to_the_bot_and_stands_on_the_other_side(page: Page, box: FeishuBox) -> None:
    send(box, "the bot's greeting")
    write(page, "余额")

    own, bots = message_with(page, "余额"), message_with(page, "greeting")
    expect(own).to_have_class(re.compile("from-person"))
    expect(page.get_by_test_id("composer-text")).to_have_value("")
    assert left_edge(bots.locator(".avatar")) < left_edge(bots.locator(".bubble"))
    assert left_edge(bots.locator(".bubble")) < left_edge(own.locator(".bubble"))
    assert left_edge(own.locator(".bubble")) < left_edge(own.locator(".avatar"))
    sent = last_message(box)
    assert (LIN, "user", {"text": "余额"}) == (
        sent["sender"]["id"],
        sent["sender"]["sender_type"],
        sent["content"],
    )
    assert "im.message.receive_v1" in [event["event_type"] for event in box.state()["events"]]


def test_shift_and_enter_begins_a_line(page: Page, box: FeishuBox) -> None:
    page.get_by_test_id("composer-text").fill("one")
    page.get_by_test_id("composer-text").press("Shift+Enter")
    page.get_by_test_id("composer-text").type("two")
    page.get_by_test_id("composer-send").click()
    expect(message_with(page, "two")).to_be_visible()
    assert {"text": "one\ntwo"} == last_message(box)["content"]


def test_in_a_group_the_bot_is_mentioned_unless_switched_off(page: Page, box: FeishuBox) -> None:
    page.goto(f"{box.url}/#/chats/{HR}")
    write(page, "with the bot")
    expect(message_with(page, "with the bot").locator(".mention")).to_be_visible()
    assert 1 == len(last_message(box, HR)["mentions"])
    page.get_by_test_id("composer-mention").uncheck()
    write(page, "among us")
    expect(message_with(page, "among us")).to_be_visible()
    assert [] == last_message(box, HR)["mentions"]


def test_a_reply_shows_what_it_answers_and_a_thread_stands_below_its_first_message(
    page: Page, box: FeishuBox
) -> None:
    asked = str(send(box, "which month?").data["message_id"])
    use(page.get_by_test_id(f"message-{asked}"), "reply")
    expect(page.get_by_test_id("composer-reply")).to_contain_text("which month?")
    write(page, "this one")
    expect(message_with(page, "this one").locator(".quote")).to_contain_text("which month?")
    assert asked == last_message(box)["parent_id"]
    expect(page.get_by_test_id("composer-reply")).to_be_hidden()

    use(page.get_by_test_id(f"message-{asked}"), "reply")
    page.get_by_test_id("composer-thread").check()
    write(page, "in the thread")
    thread = page.get_by_test_id(f"thread-{asked}")
    expect(thread).to_contain_text("in the thread")
    for number in range(3):
        api(
            box,
            "POST",
            f"/im/v1/messages/{asked}/reply",
            {"msg_type": "text", "content": f'{{"text": "answer {number}"}}', "reply_in_thread": True},
        )
    expect(thread.locator("article")).to_have_count(2)
    thread.locator(".link-button").click()
    expect(thread.locator("article")).to_have_count(4)


def test_escape_cancels_a_reply(page: Page, box: FeishuBox) -> None:
    asked = str(send(box, "answer me").data["message_id"])
    use(page.get_by_test_id(f"message-{asked}"), "reply")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("composer-reply")).to_be_hidden()


def test_images_and_files_are_sent(page: Page, box: FeishuBox, tmp_path: Path) -> None:
    image, table = tmp_path / "dot.png", tmp_path / "list.csv"
    image.write_bytes(PNG)
    table.write_text("a,b\n", encoding="utf-8")
    page.get_by_test_id("composer-file").set_input_files([image, table])
    expect(page.locator("#composer-files")).to_contain_text("list.csv")
    page.get_by_test_id("composer-send").click()
    expect(page.get_by_test_id("file-link").last).to_contain_text("list.csv")
    page.wait_for_function(
        "[...document.querySelectorAll('img.picture')].some(one => one.naturalWidth === 1)"
    )
    assert ["image", "file"] == [
        message["msg_type"]
        for chat in box.state()["chats"]
        if chat["chat_id"] == LIN_CHAT
        for message in chat["messages"][-2:]
    ]


def test_a_person_reacts_reads_and_recalls(page: Page, box: FeishuBox) -> None:
    asked = str(send(box, "react to me").data["message_id"])
    message = page.get_by_test_id(f"message-{asked}")
    expect(page.get_by_test_id(f"read-{asked}")).to_have_text("未读")
    use(message, "mark_read")
    expect(page.get_by_test_id(f"read-{asked}")).to_have_text("1 人已读")
    use(message, "react")
    message.get_by_test_id("emoji-HEART").click()
    reaction = page.get_by_test_id(f"reaction-{asked}-HEART")
    expect(reaction).to_have_attribute("aria-pressed", "true")
    reaction.click()
    expect(reaction).to_have_count(0)

    write(page, "a slip")
    own = message_with(page, "a slip")
    name = str(own.get_attribute("data-message"))
    use(own, "recall")
    expect(page.get_by_test_id(f"message-{name}")).to_contain_text("消息已撤回")
    types = {event["event_type"] for event in box.state()["events"]}
    assert {"im.message.reaction.created_v1", "im.message.message_read_v1", "im.message.recalled_v1"} <= types


def test_a_pinned_message_has_a_mark(page: Page, box: FeishuBox) -> None:
    asked = str(send(box, "pin me").data["message_id"])
    expect(page.get_by_test_id(f"message-{asked}").locator(".pinned")).to_have_count(0)
    assert 0 == api(box, "POST", "/im/v1/pins", {"message_id": asked}).code
    expect(page.get_by_test_id(f"message-{asked}").locator(".pinned")).to_be_visible()


def test_the_menu_and_entering_the_chat_push_events(page: Page, box: FeishuBox) -> None:
    page.locator("[data-testid^=menu-]").first.click()
    page.get_by_test_id("enter-chat").click()
    wanted = {"application.bot.menu_v6", "im.chat.access_event.bot_p2p_chat_entered_v1"}
    box.wait_for(lambda: wanted <= {event["event_type"] for event in box.state()["events"]}, "both events")


def test_an_error_of_the_sandbox_is_shown_and_the_text_stays(page: Page, box: FeishuBox) -> None:
    box.set_person(LIN, status="resigned")
    write(page, "am I still here?")
    expect(page.get_by_test_id("toasts")).to_contain_text("resigned")
    expect(page.get_by_test_id("composer-text")).to_have_value("am I still here?")
    box.set_person(LIN, status="active")
    page.get_by_test_id("composer-text").fill("")


def test_the_search_finds_texts_in_all_chats_and_opens_the_message(page: Page, box: FeishuBox) -> None:
    hidden = card({"tag": "markdown", "content": "**the needle** of the group"})
    found = str(send(box, hidden, to=HR).data["message_id"])
    for number in range(30):
        send(box, f"later {number}", to=HR)
    page.get_by_test_id("chat-search").fill("NEEDLE")
    hits = page.get_by_test_id("hits")
    expect(hits.get_by_role("button")).to_have_count(1)
    expect(hits.locator("mark")).to_have_text("needle")
    page.get_by_test_id(f"hit-{found}").click()
    expect(page.locator("#chat-head h2")).to_contain_text("招聘奖励通知")
    expect(page.get_by_test_id(f"message-{found}")).to_be_in_viewport()
    expect(page.get_by_test_id(f"message-{found}")).to_have_class(re.compile("highlight"))
    page.get_by_test_id("chat-search").fill("nothing has this text")
    expect(page.locator("#chat-list-empty")).to_contain_text("没有找到")


def test_the_link_of_a_message_opens_it(page: Page, box: FeishuBox) -> None:
    first = str(send(box, "the first one").data["message_id"])
    for number in range(30):
        send(box, f"after it {number}")
    expect(message_with(page, "after it 29")).to_be_visible()
    message = page.get_by_test_id(f"message-{first}")
    message.locator(f"[data-testid=link-{first}]").click()
    expect(message.locator("[data-copied]")).to_be_attached()
    link = str(page.evaluate("navigator.clipboard.readText()"))
    assert f"{box.url}/#/chats/{LIN_CHAT}/{first}" == link

    page.goto(f"{box.url}/#/chats/{HR}")
    expect(page.locator("#chat-head h2")).to_contain_text("招聘奖励通知")
    page.goto(link)
    expect(message).to_be_in_viewport()
    expect(message).to_be_focused()
    page.goto(f"{box.url}/#/chats/{LIN_CHAT}/om_unknown")
    expect(page.get_by_test_id("toasts")).to_contain_text("不在最近的消息里")


def test_the_keys_move_between_chats_and_messages(page: Page, box: FeishuBox) -> None:
    send(box, "one before the last")
    last = str(send(box, "the very last").data["message_id"])
    expect(page.get_by_test_id(f"message-{last}")).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    expect(page.get_by_test_id(f"message-{last}")).to_be_focused()
    page.keyboard.press("k")
    expect(message_with(page, "one before the last")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_test_id(f"message-{last}")).to_be_focused()
    outline = "node => getComputedStyle(node).outlineStyle"
    assert "solid" == page.get_by_test_id(f"message-{last}").evaluate(outline)

    page.keyboard.press("ArrowLeft")
    expect(page.get_by_test_id(f"chat-{LIN_CHAT}")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).not_to_have_url(re.compile(LIN_CHAT))
    page.keyboard.press("/")
    expect(page.get_by_test_id("chat-search")).to_be_focused()
    page.keyboard.type("j/?")
    expect(page.get_by_test_id("chat-search")).to_have_value("j/?")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("chat-search")).to_have_value("")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_test_id("keys-dialog")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("keys-dialog")).to_be_hidden()
    page.keyboard.press("c")
    expect(page.get_by_test_id("composer-text")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("4")
    expect(page.get_by_test_id("area-faults")).to_be_visible()

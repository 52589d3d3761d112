"""The tools of the sandbox page: requests with bodies, rate limits, the ledger, faults and links, at any width."""

import json
import re
import shlex
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import api, call, send, token
from support.browser import open_page

pytestmark = pytest.mark.browser

LIN_ACCOUNT, CHEN_ACCOUNT = "7000000000000000001", "7000000000000000002"
MESSAGES = "/open-apis/im/v1/messages"


@pytest.fixture(scope="module")
def box() -> Iterator[FeishuBox]:
    with FeishuBox(SandboxSettings(push_waiting_on_connect=False)) as running:
        yield running


@pytest.fixture(scope="module")
def browser_page(box: FeishuBox) -> Iterator[Page]:
    """One browser for all tests of the module."""
    with open_page(box.url) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield page


@pytest.fixture
def page(browser_page: Page, box: FeishuBox) -> Page:
    """The page at the width of a desktop, with all requests shown."""
    browser_page.set_viewport_size({"width": 1440, "height": 900})
    browser_page.goto(f"{box.url}/#/requests")
    browser_page.get_by_test_id("request-search").fill("")
    browser_page.get_by_test_id("request-failed").uncheck()
    return browser_page


def clipboard(page: Page) -> str:
    return str(page.evaluate("navigator.clipboard.readText()"))


def newest_log_id(box: FeishuBox, path: str = MESSAGES) -> str:
    found = call(box, "GET", f"/api/requests?path={path}").content["requests"]
    return str(found[-1]["log_id"])


def test_a_request_shows_its_body_and_answer(page: Page, box: FeishuBox) -> None:
    send(box, "hello it's me")
    log_id = newest_log_id(box)
    page.get_by_test_id(f"request-{log_id}").locator(".request-head").click()

    expect(page.get_by_test_id(f"request_body-{log_id}")).to_contain_text('"receive_id": "ou_sandbox_lin"')
    expect(page.get_by_test_id(f"request_body-{log_id}")).to_contain_text('"text": "hello it\'s me"')
    expect(page.get_by_test_id(f"answer_body-{log_id}")).to_contain_text('"message_id": "om_')
    expect(page.get_by_test_id(f"request_query-{log_id}")).to_have_text("receive_id_type=open_id")


def test_a_request_is_copied_as_a_curl_command_that_works(page: Page, box: FeishuBox) -> None:
    send(box, "copied 'with' $quotes")
    log_id = newest_log_id(box)
    page.get_by_test_id(f"request-{log_id}").locator(".request-head").click()
    page.get_by_test_id(f"curl-{log_id}").click()
    expect(page.get_by_test_id(f"curl-{log_id}")).to_have_attribute("data-copied", "")

    words = shlex.split(clipboard(page))
    secret = token(box)
    assert ["curl", "-X", "POST", f"{box.url}{MESSAGES}?receive_id_type=open_id"] == words[:4]
    assert "Authorization: Bearer $TOKEN" in words
    assert secret not in clipboard(page)
    body = json.loads(words[words.index("--data") + 1])
    again = call(box, "POST", words[3].removeprefix(box.url), {**body}, Authorization=f"Bearer {secret}")
    assert 0 == again.code
    assert {"text": "copied 'with' $quotes"} == json.loads(again.data["body"]["content"])


def test_no_secret_of_the_app_is_on_the_page(page: Page, box: FeishuBox) -> None:
    secret = token(box)
    log_id = newest_log_id(box, "/open-apis/auth")
    page.get_by_test_id(f"request-{log_id}").locator(".request-head").click()
    expect(page.get_by_test_id(f"answer_body-{log_id}")).to_contain_text("tenant_access_token")
    for hidden in (secret, box.app_secret):
        assert hidden not in page.content()


def test_requests_are_filtered(page: Page, box: FeishuBox) -> None:
    send(box, "findable")
    api(box, "GET", "/im/v1/messages/om_missing")
    rows = page.locator("#request-list > li")
    page.get_by_test_id("request-search").fill("findable")
    expect(rows).to_have_count(1)
    page.get_by_test_id("request-search").fill("om_missing")
    expect(rows).to_have_count(1)
    page.get_by_test_id("request-search").fill("")
    page.get_by_test_id("request-failed").check()
    expect(rows.filter(has_text="om_missing")).to_have_count(1)
    expect(rows.filter(has_text="tenant_access_token")).to_have_count(0)
    page.get_by_test_id("request-search").fill("there is no such request")
    expect(page.locator("#request-empty")).to_have_text("没有匹配的记录")


def test_a_link_opens_a_request_and_an_event(page: Page, box: FeishuBox) -> None:
    send(box, "linked")
    log_id = newest_log_id(box)
    page.goto(f"{box.url}/#/events")
    page.goto(f"{box.url}/#/requests/{log_id}")
    expect(page.get_by_test_id(f"request-{log_id}").locator(".request-head")).to_be_focused()
    expect(page.get_by_test_id(f"answer_body-{log_id}")).to_be_visible()

    [event_id] = box.change_balance(CHEN_ACCOUNT, points=1)
    page.goto(f"{box.url}/#/events/{event_id}")
    expect(page.get_by_test_id(f"event-{event_id}")).to_be_focused()
    page.get_by_test_id(f"payload-{event_id}").click()
    expect(page.get_by_test_id(f"body-{event_id}")).to_contain_text(f'"event_id": "{event_id}"')
    page.get_by_test_id(f"link-{event_id}").click()
    expect(page.get_by_test_id(f"link-{event_id}")).to_have_attribute("data-copied", "")
    assert f"{box.url}/#/events/{event_id}" == clipboard(page)


def test_a_link_to_nothing_is_reported(page: Page, box: FeishuBox) -> None:
    for link, text in (
        ("chats/oc_none", "找不到链接中的会话"),
        ("requests/none", "找不到链接中的请求"),
        ("events/none", "找不到链接中的事件"),
    ):
        page.goto(f"{box.url}/#/{link}")
        expect(page.get_by_test_id("toast").last).to_have_text(text)


def test_each_area_keeps_its_own_place(page: Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 500})
    place = "document.querySelector('.panel-body').scrollTop"
    page.get_by_test_id("panel-faults").click()
    expect(page.get_by_test_id("area-faults")).to_be_visible()
    page.evaluate(f"{place} = 300")
    page.get_by_test_id("panel-world").click()
    expect(page.get_by_test_id("area-world")).to_be_visible()
    assert 0 == page.evaluate(place)
    page.get_by_test_id("panel-faults").click()
    expect(page.get_by_test_id("area-faults")).to_be_visible()
    assert 300 == page.evaluate(place)


def test_a_link_to_an_unknown_request_shows_a_note(page: Page, box: FeishuBox) -> None:
    logged: list[str] = []
    page.on("console", lambda message: logged.append(message.text) if message.type == "error" else None)
    page.goto(f"{box.url}/#/requests/unknown")

    expect(page.get_by_test_id("toasts")).to_contain_text("找不到链接中的请求")
    assert [] == logged


@pytest.mark.parametrize("opened_by", ["key", "link"])
@pytest.mark.parametrize(
    "key, area, items, search",
    [
        ("1", "events", "#event-list .log-item", "chat-search"),
        ("2", "requests", "#request-list .request-head", "request-search"),
        ("4", "faults", "#fault-types .fault-name", "fault-search"),
    ],
)
def test_the_keys_belong_to_the_area_that_was_opened(
    page: Page, box: FeishuBox, opened_by: str, key: str, area: str, items: str, search: str
) -> None:
    send(box, "first")
    box.change_balance(CHEN_ACCOUNT, points=1)
    [event_id] = box.change_balance(CHEN_ACCOUNT, points=1)
    page.goto(f"{box.url}/#/chats/oc_sandbox_p2p_lin")
    page.locator("#messages .message").last.focus()
    if opened_by == "key":
        page.keyboard.press(key)
    else:
        page.goto(f"{box.url}/#/{area}")
    expect(page.get_by_test_id(f"area-{area}")).to_be_visible()
    expect(page.locator(items).nth(1)).to_be_visible()
    newest = {"events": f"event-{event_id}", "requests": f"request-{newest_log_id(box)}"}
    expect(page.get_by_test_id(newest.get(area, "fault-search"))).to_be_visible()  # the list is complete

    page.keyboard.press("j")
    expect(page.locator(items).first).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator(items).nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator(items).first).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_test_id(search)).to_be_focused()


def test_a_rate_limit_shows_its_use(page: Page, box: FeishuBox) -> None:
    for _ in range(3):
        send(box, "used", to="ou_sandbox_tanaka")
    gauge = page.get_by_test_id(f"quota-POST {MESSAGES}-60")
    meter = gauge.get_by_role("meter")
    expect(meter).to_have_attribute("aria-valuemax", "1000")
    expect(meter).to_have_attribute("aria-valuenow", re.compile(r"^([3-9]|\d\d)$"))
    used = int(str(meter.get_attribute("aria-valuenow")))
    expect(gauge).to_contain_text(f"{used} / 1000，剩 {1000 - used}")
    box.advance(61)
    expect(gauge.get_by_role("meter")).to_have_count(0)


def test_the_ledger_lists_each_balance_change(page: Page, box: FeishuBox) -> None:
    page.get_by_test_id("panel-money").click()
    box.change_balance(LIN_ACCOUNT, points=-20, cash={"CNY": "+1500.5"})
    withdraw = f"/hire/v1/referral_account/{LIN_ACCOUNT}/withdraw"
    api(box, "POST", withdraw, {"external_order_id": "o-9", "withdraw_bonus_type": [1, 2]})

    rows = page.get_by_test_id("ledger-row")
    page.get_by_test_id("ledger-account").select_option(LIN_ACCOUNT)
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("提现")
    expect(rows.first).to_contain_text("-100 积分")
    expect(rows.first).to_contain_text("-¥1,851.00")
    expect(rows.first).to_contain_text("o-9")
    expect(rows.last).to_contain_text("-20 积分")
    expect(rows.last).to_contain_text("+¥1,500.50")
    expect(page.get_by_test_id("ledger-balance")).to_contain_text("0 积分")
    entries = call(box, "GET", f"/api/ledger?account_id={LIN_ACCOUNT}&limit=1").content["changes"]
    assert [("withdrawal", "o-9", -100)] == [
        (one["reason"], one["reference"], one["points"]) for one in entries
    ]


def test_faults_are_found_by_words_and_started_with_options(page: Page, box: FeishuBox) -> None:
    page.get_by_test_id("panel-faults").click()
    page.get_by_test_id("fault-search").fill("缺少 权限")
    rows = page.locator(".fault-row:visible")
    expect(rows).to_have_count(1)
    page.get_by_test_id("fault-options-setup:scope_missing").locator("summary").click()
    page.get_by_test_id("fault-option-setup:scope_missing-scope").select_option("im:resource")
    page.get_by_test_id("fault-setup:scope_missing").click()
    running = page.get_by_test_id("running-setup:scope_missing")
    expect(running).to_contain_text("im:resource")
    assert ["im:resource"] == [fault["options"]["scope"] for fault in box.running_faults()]
    expect(page.locator("#faults-running")).to_have_text("1")
    running.get_by_role("button").click()
    expect(running).to_have_count(0)

    page.get_by_test_id("fault-search").fill("client_config")
    page.get_by_test_id("fault-options-client_config").locator("summary").click()
    page.get_by_test_id("fault-option-client_config-without-PingInterval").check()
    page.get_by_test_id("fault-option-client_config-ping_interval_seconds").fill("many")
    page.get_by_test_id("fault-client_config").click()
    expect(page.get_by_test_id("fault-result")).to_contain_text("must be a whole number")
    page.get_by_test_id("fault-option-client_config-ping_interval_seconds").fill("5")
    page.get_by_test_id("fault-client_config").click()
    expect(page.get_by_test_id("running-client_config")).to_be_visible()
    [fault] = box.running_faults()
    assert {"without": ["PingInterval"], "ping_interval_seconds": 5} == fault["options"]
    box.end_all_faults()
    page.get_by_test_id("fault-search").fill("no such fault")
    expect(page.locator("#fault-none")).to_be_visible()
    page.get_by_test_id("fault-search").fill("")


def test_a_phone_shows_one_pane_and_the_way_back(page: Page, box: FeishuBox) -> None:
    send(box, "a message with_a_very_long_word_" + "x" * 200)
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{box.url}/#/chats")
    panes = page.locator(".pane:visible")
    expect(panes).to_have_count(1)
    page.get_by_test_id("chat-oc_sandbox_p2p_lin").click()
    expect(page.locator("#chat-head h2")).to_be_visible()
    expect(panes).to_have_count(1)
    page.locator("#chat-head .back").click()
    expect(page.get_by_test_id("chat-list")).to_be_visible()
    for area in ("events", "requests", "money", "faults", "world"):
        page.goto(f"{box.url}/#/{area}")
        expect(page.get_by_test_id(f"area-{area}")).to_be_visible()
        expect(panes).to_have_count(1)
        for place in ("document.documentElement", "document.querySelector('.panel-body')"):
            assert page.evaluate(f"{place}.scrollWidth <= {place}.clientWidth"), (area, place)
    page.go_back()
    expect(page).to_have_url(re.compile("faults"))

"""On the sandbox page people, groups, departments, accounts and apps are edited, and the world is a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import call
from support.browser import open_page

pytestmark = pytest.mark.browser

HR, LIN_ACCOUNT = "oc_sandbox_hr", "7000000000000000001"


@pytest.fixture(scope="module")
def box() -> Iterator[FeishuBox]:
    with FeishuBox(SandboxSettings(push_waiting_on_connect=False)) as running:
        yield running


@pytest.fixture(scope="module")
def browser_page(box: FeishuBox) -> Iterator[Page]:
    """One browser for all tests of the module."""
    with open_page(box.url) as running:
        yield running


@pytest.fixture
def page(browser_page: Page, box: FeishuBox) -> Page:
    """The page with all lists of the world open."""
    browser_page.goto("about:blank")
    browser_page.goto(f"{box.url}/#/world")
    for name in ("departments", "accounts", "apps"):
        browser_page.get_by_test_id(f"{name}-section").locator("summary").click()
    return browser_page


def fill(page: Page, **values: str) -> None:
    """Fills the fields of the form, and saves it."""
    for name, value in values.items():
        page.get_by_test_id(f"editor-{name}").fill(value)
    page.get_by_test_id("editor-save").click()


def test_a_person_of_a_department_is_added_changed_and_deleted(page: Page, box: FeishuBox) -> None:
    page.get_by_test_id("departments-add").click()
    fill(page, id="talent", name="招聘部（示例）")
    expect(page.get_by_test_id("departments-row-talent")).to_contain_text("招聘部")

    page.get_by_test_id("people-add").click()
    page.get_by_test_id("editor-departments-talent").check()
    fill(page, id="wu", name="吴一（示例）")
    row = page.get_by_test_id("people-row-ou_sandbox_wu")
    expect(row).to_contain_text("吴一（示例）招聘部（示例）")
    expect(page.get_by_test_id("departments-row-talent")).to_contain_text("1 人")

    page.get_by_test_id("edit-ou_sandbox_wu").click()
    fill(page, email="not an address")
    expect(page.get_by_test_id("editor-error")).to_contain_text("must be an e-mail address")
    fill(page, email="wu@example.com")
    expect(page.get_by_test_id("editor")).to_be_hidden()
    page.get_by_test_id("person-status-ou_sandbox_wu").select_option("blocked")
    box.wait_for(
        lambda: (
            ("wu@example.com", "blocked") in [(one["email"], one["status"]) for one in box.state()["people"]]
        ),
        "the changes",
    )

    page.get_by_test_id("edit-ou_sandbox_wu").click()
    page.get_by_test_id("editor-delete").click()
    page.get_by_test_id("confirm-no").click()
    page.get_by_test_id("editor-delete").click()
    page.get_by_test_id("confirm-yes").click()
    expect(row).to_have_count(0)
    expect(page.get_by_test_id("editor")).to_be_hidden()


def test_a_group_is_added_and_the_bot_leaves_it(page: Page, box: FeishuBox) -> None:
    page.get_by_test_id("groups-add").click()
    page.get_by_test_id("editor-members-ou_sandbox_lin").check()
    fill(page, chat_id="oc_new", name="新群（示例）")
    expect(page.get_by_test_id("groups-row-oc_new")).to_contain_text("新群（示例）1 人")
    expect(page.get_by_test_id("chat-oc_new")).to_be_visible()
    page.get_by_test_id("group-bot-oc_new").uncheck()
    [group] = [one for one in box.state()["groups"] if one["chat_id"] == "oc_new"]
    box.wait_for(
        lambda: [False] == [one["has_bot"] for one in box.state()["groups"] if one["chat_id"] == "oc_new"],
        "the bot left",
    )
    assert ["ou_sandbox_lin"] == group["members"]


def test_the_balance_of_an_account_is_set(page: Page, box: FeishuBox) -> None:
    page.get_by_test_id(f"edit-{LIN_ACCOUNT}").click()
    fill(page, points="7", cash="USD 20, CNY 1.50")
    expect(page.get_by_test_id(f"accounts-row-{LIN_ACCOUNT}")).to_contain_text("7 积分")
    account = next(one for one in box.state()["accounts"] if one["account_id"] == LIN_ACCOUNT)
    assert {("USD", "20.00"), ("CNY", "1.50")} == {
        (one["currency"], one["amount"]) for one in account["cash"]
    }


def test_the_world_is_exported_changed_and_imported(page: Page, box: FeishuBox, tmp_path: Path) -> None:
    with page.expect_download() as download:
        page.get_by_test_id("export-world").click()
    assert "world.yaml" == download.value.suggested_filename
    changed = tmp_path / "changed.yaml"
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert box.app_secret not in page.content()
    changed.write_text(text.replace("招聘奖励通知（示例）", "改名的群（示例）"), encoding="utf-8")
    page.get_by_test_id("import-file").set_input_files(changed)
    page.get_by_test_id("confirm-yes").click()
    expect(page.get_by_test_id("world-result")).to_have_text("已导入 changed.yaml")
    expect(page.get_by_test_id(f"groups-row-{HR}")).to_contain_text("改名的群")

    changed.write_text("tenants: []\n", encoding="utf-8")
    page.get_by_test_id("import-file").set_input_files(changed)
    page.get_by_test_id("confirm-yes").click()
    expect(page.get_by_test_id("world-result")).to_contain_text("失败")


def test_another_app_is_added_and_chosen(page: Page, box: FeishuBox) -> None:
    expect(page.get_by_test_id("app-select")).to_be_hidden()
    page.get_by_test_id("apps-add").click()
    fill(page, app_id="cli_00000000000000aa", name="考勤机器人（示例）")
    expect(page.get_by_test_id("apps-row-cli_00000000000000aa")).to_contain_text("考勤机器人")
    page.get_by_test_id("app-select").select_option("cli_00000000000000aa")
    expect(page.locator("#accounts-count")).to_have_text("")
    expect(page.get_by_test_id("app-select")).to_have_value("cli_00000000000000aa")
    expect(page.get_by_test_id("people-section")).to_contain_text("林小满")
    page.get_by_test_id("app-select").select_option(box.app_id)
    expect(page.locator("#accounts-count")).to_have_text("4")


def test_an_app_that_is_deleted_while_it_is_shown_gives_way_to_the_first_one(page: Page) -> None:
    app_id = "cli_00000000000000bb"
    page.get_by_test_id("apps-add").click()
    fill(page, app_id=app_id, name="临时机器人（示例）")
    page.get_by_test_id("app-select").select_option(app_id)
    expect(page.locator("#accounts-count")).to_have_text("")
    page.get_by_test_id("apps-section").locator("summary").click()
    page.get_by_test_id(f"edit-{app_id}").click()
    page.get_by_test_id("editor-delete").click()
    page.get_by_test_id("confirm-yes").click()
    expect(page.locator("#accounts-count")).to_have_text("4")
    expect(page.get_by_test_id("reconnecting")).to_be_hidden()

    page.evaluate("localStorage.setItem('sandbox', JSON.stringify({app: 'cli_00000000000000cc'}))")
    page.reload()  # a sandbox of an earlier day had this app
    expect(page.locator("#accounts-count")).to_have_text("4")


def test_a_link_names_its_app(page: Page, box: FeishuBox) -> None:
    app_id = "cli_00000000000000dd"
    page.get_by_test_id("apps-add").click()
    fill(page, app_id=app_id, name="链接机器人（示例）")
    expect(page.get_by_test_id(f"apps-row-{app_id}")).to_be_visible()
    page.goto(f"{box.url}/?app={app_id}#/world")
    expect(page.get_by_test_id("app-select")).to_have_value(app_id)
    assert f"{box.url}/#/world" == page.url
    call(box, "DELETE", f"/api/apps/{app_id}")
    expect(page.locator("#accounts-count")).to_have_text("4")


def test_a_problem_names_the_label_of_the_field(page: Page) -> None:
    page.get_by_test_id("accounts-add").click()
    fill(page, points="0.5")
    expect(page.get_by_test_id("editor-error")).to_contain_text("失败：积分：")
    page.get_by_test_id("editor-cancel").click()

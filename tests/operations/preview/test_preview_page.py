"""The preview page in a browser: what it shows, what its buttons change, and what happens when a file is saved."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from notifier.cards.templates import shipped_templates
from notifier.config.settings import Config
from notifier.operations.preview.template_preview import TemplatePreview
from support.preview_page import opened, running_browser, serving

pytestmark = pytest.mark.browser
TEMPLATE = "balance_change.json.j2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator's templates."""
    return tmp_path_factory.mktemp("own")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    config = Config.model_validate({"cards": {"template_dir": str(folder)}})
    with serving(TemplatePreview(config)) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with opened(browser, f"{address}?sample=withdraw") as shown:
        expect(shown.get_by_test_id("preview-desktop").locator(".card")).to_be_visible()
        yield shown


@pytest.fixture
def template(folder: Path) -> Iterator[Path]:
    """A copy of the shipped template, which the operator edits."""
    file = folder / TEMPLATE
    file.write_text((shipped_templates() / TEMPLATE).read_text(encoding="utf-8"), encoding="utf-8")
    yield file
    file.unlink()


def test_a_card_on_a_desktop_and_on_a_phone(page: Page) -> None:
    widths = [
        box["width"]
        for place in ("preview-desktop", "preview-mobile")
        if (box := page.get_by_test_id(place).locator(".card").bounding_box())
    ]

    assert [600, 360] == widths
    for place in ("preview-desktop", "preview-mobile"):
        expect(page.get_by_test_id(place)).to_contain_text("内推奖励到账")
    page.get_by_test_id("preview-desktop").get_by_role("button", name="提现").click()
    page.get_by_test_id("toasts").get_by_text("预览中的按钮不会提现").wait_for()


def test_language_theme_and_audience_change_the_card_and_stay_after_a_reload(page: Page) -> None:
    card = page.get_by_test_id("preview-desktop").locator(".card")
    light = card.evaluate("node => getComputedStyle(node).backgroundColor")
    expect(card).not_to_contain_text("示例同事")
    page.get_by_test_id("preview-audience").click()
    expect(card).to_contain_text("示例同事")
    page.get_by_test_id("preview-language").click()
    expect(card).to_contain_text("Sample Colleague")
    page.get_by_test_id("preview-theme").click()

    assert light != card.evaluate("node => getComputedStyle(node).backgroundColor")
    page.reload()
    expect(card).to_contain_text("Sample Colleague")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.get_by_test_id("preview-audience").locator(".on")).to_have_text("Group")


def test_the_language_of_the_browser_is_the_first_one(browser: Browser, address: str) -> None:
    with opened(browser, address, locale="en-GB") as page:
        expect(page.get_by_test_id("preview-desktop")).to_contain_text("Referral reward received")
        expect(page.get_by_test_id("preview-findings")).to_contain_text("No problems")


def test_a_template_and_a_sample_are_chosen_on_the_page(page: Page) -> None:
    page.get_by_test_id("preview-template").select_option("withdrawal.json.j2")
    expect(page.get_by_test_id("preview-sample")).to_have_value("receipt")
    page.get_by_test_id("preview-sample").select_option("paid")
    expect(page.get_by_test_id("preview-mobile")).to_contain_text("WIRE-2026-0042")
    page.get_by_test_id("preview-template").select_option("digest.json.j2")
    expect(page.get_by_test_id("preview-desktop")).to_contain_text("内推奖励日报")
    expect(page.get_by_test_id("preview-audience")).to_be_hidden()


def test_json_and_data_fold_and_are_copied(page: Page) -> None:
    tree, data = page.get_by_test_id("preview-json"), page.get_by_test_id("preview-data")
    expect(tree.get_by_text('"2.0"')).to_be_visible()
    expect(data.get_by_text('"increase"')).to_be_visible()
    page.get_by_test_id("json-fold").click()
    expect(tree.get_by_text('"2.0"')).to_be_visible()
    expect(tree.locator("details[open]")).to_have_count(1)
    page.get_by_test_id("json-unfold").click()
    expect(tree.locator("details:not([open])")).to_have_count(0)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_test_id("data-copy").click()
    expect(page.get_by_test_id("toasts")).to_contain_text("已复制")

    assert "increase" == json.loads(page.evaluate("navigator.clipboard.readText()"))["card"]["direction"]


def test_a_saved_file_changes_the_page_and_a_broken_one_keeps_the_last_good_card(
    page: Page, template: Path
) -> None:
    good, card = template.read_text(encoding="utf-8"), page.get_by_test_id("preview-desktop")
    expect(page.get_by_test_id("preview-template").locator("option:checked")).to_have_text(
        f"{TEMPLATE} (自定义)"
    )
    template.write_text(good.replace('"schema"', '{{ card.oops }}\n"schema"'), encoding="utf-8")
    expect(page.get_by_test_id("error-text")).to_have_text("{{ card.oops }}")
    line = good[: good.index('"schema"')].count("\n") + 1
    expect(page.get_by_test_id("error-place")).to_have_text(f"{TEMPLATE} 第 {line} 行")
    expect(page.get_by_test_id("error-message")).to_contain_text("has no field oops")
    expect(card).to_contain_text("内推奖励到账")
    page.reload()
    expect(page.get_by_test_id("error-place")).to_be_visible()
    expect(card).to_contain_text("内推奖励到账")
    template.write_text(good.replace('"header"', '"header": {}, "header"'), encoding="utf-8")
    expect(page.get_by_test_id("preview-error")).to_be_hidden()


def test_a_finding_leads_to_its_place_in_the_json(page: Page, template: Path) -> None:
    good = template.read_text(encoding="utf-8")
    template.write_text(good.replace('"elements"', '"oddity": 1, "elements"', 1), encoding="utf-8")
    finding = page.get_by_test_id("finding")
    expect(finding).to_have_count(1)
    expect(page.get_by_test_id("finding-place")).to_contain_text(f"{TEMPLATE} 第 ")
    page.get_by_test_id("json-fold").click()
    finding.click()
    marked = page.locator("#json .marked")
    expect(marked).to_have_text("oddity: 1")
    expect(marked).to_be_in_viewport()


def test_a_page_of_another_name_gets_nothing(browser: Browser, address: str) -> None:
    """A page elsewhere could point a name of its own to this machine."""
    answer = browser.new_context().request.get(
        f"{address}preview/card.json", headers={"Host": "evil.example"}
    )

    assert 403 == answer.status

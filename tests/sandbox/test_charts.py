"""Charts on the pages: VChart draws them, where and in the colours that Feishu's clients use."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from notifier.operations.preview.result import PreviewChoice, RenderedPreview
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from release import vchart
from sandbox.clients import card, send
from support.preview_page import COUNT_PIXELS, opened, running_browser, serving

BLUE, TURQUOISE = [22, 100, 255], [26, 198, 255]
"""The first two colours of VChart."""
VALUES = [{"key": "a", "value": 1}, {"key": "b", "value": 8}]
TYPES: dict[str, dict[str, Any]] = {
    "bar": {"type": "bar", "xField": "key", "yField": "value"},
    "line": {"type": "line", "xField": "key", "yField": "value"},
    "pie": {"type": "pie", "categoryField": "key", "valueField": "value"},
    "funnel": {"type": "funnel", "categoryField": "key", "valueField": "value"},
    "wordCloud": {"type": "wordCloud", "nameField": "key", "valueField": "value"},
}
BROKEN = (
    {"type": "spiral", "data": {"values": VALUES}},
    {"type": "common", "data": {"values": VALUES}, "series": "x"},
)


class OneCard:
    """Shows a card that no template rendered."""

    def __init__(self, card: dict[str, Any]) -> None:
        self.card = card

    def list_choices(self) -> list[dict[str, Any]]:
        return []

    def list_watched_files(self) -> list[Path]:
        return []

    def render(self, choice: PreviewChoice) -> RenderedPreview:
        return RenderedPreview(title="charts", choice=choice, card=self.card)


def chart(spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"tag": "chart", "chart_spec": {"data": {"values": VALUES}, **spec}, **more}


def test_the_library_is_the_pinned_one() -> None:
    """`make vchart` writes it. The licence is beside it."""
    script = vchart.FILE.read_bytes()

    assert vchart.SHA256 == hashlib.sha256(script).hexdigest()
    assert f'version="{vchart.VERSION}"'.encode() in script
    assert (vchart.FILE.parent / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """A card with each type of chart, then those that are broken."""
    elements = [
        *(chart(spec) for spec in TYPES.values()),
        *(chart(spec) for spec in BROKEN),
        chart(TYPES["bar"], aspect_ratio="4:3"),
        chart(TYPES["bar"], height="123px"),
    ]
    with (
        serving(OneCard({"schema": "2.0", "body": {"elements": elements}})) as address,
        opened(browser, address) as shown,
    ):
        expect(shown.locator("[data-drawn]")).to_have_count(2 * (len(elements) - len(BROKEN)))
        yield shown


def boxes(page: Page, place: str = "preview-desktop") -> Locator:
    return page.get_by_test_id(place).locator(".c-chart-canvas")


@pytest.mark.browser
@pytest.mark.parametrize("place", ["preview-desktop", "preview-mobile"])
def test_bars_stand_where_their_values_say(page: Page, place: str) -> None:
    bars = boxes(page, place).first
    low, high = (bars.evaluate(COUNT_PIXELS, [BLUE, *half]) for half in ((0, 0.5), (0.5, 1)))

    assert 0.01 < low < 0.1
    assert 6 < high / low < 10  # 8, less the edges of the canvas


@pytest.mark.browser
@pytest.mark.parametrize("number, name", list(enumerate(TYPES)))
def test_each_type_is_drawn(page: Page, number: int, name: str) -> None:
    share = boxes(page).nth(number).evaluate(COUNT_PIXELS, [BLUE, 0, 1])
    least = {"line": 0.001, "wordCloud": 0.0005}.get(name, 0.01)

    assert share > least


@pytest.mark.browser
def test_two_parts_have_two_colours(page: Page) -> None:
    pie = boxes(page).nth(list(TYPES).index("pie"))
    small, large = (pie.evaluate(COUNT_PIXELS, [colour, 0, 1]) for colour in (BLUE, TURQUOISE))

    assert 6 < large / small < 10


@pytest.mark.browser
def test_a_broken_chart_says_so_in_its_place(page: Page) -> None:
    errors = page.get_by_test_id("preview-desktop").get_by_test_id("chart-error")

    expect(errors).to_have_count(len(BROKEN))
    expect(errors.first).to_contain_text("飞书不支持图表类型“spiral”")


@pytest.mark.browser
def test_the_size_follows_the_device_the_ratio_and_the_height(page: Page) -> None:
    sizes = [
        [boxes(page, place).nth(number).bounding_box() for number in (0, -2, -1)]
        for place in ("preview-desktop", "preview-mobile")
    ]
    ratios = [[round(box["width"] / box["height"], 2) for box in each if box] for each in sizes]

    assert [1.78, 1.33] == ratios[0][:2]
    assert [1.0, 1.33] == ratios[1][:2]
    assert [123, 123] == [each[2]["height"] for each in sizes if each[2]]


@pytest.mark.browser
def test_a_chart_has_its_values_as_a_text(page: Page) -> None:
    expect(boxes(page).first).to_have_attribute("aria-label", "a: 1; b: 8")


@pytest.mark.browser
def test_the_dark_page_has_dark_charts(page: Page) -> None:
    page.get_by_test_id("preview-theme").click()
    expect(boxes(page).first).to_have_attribute("data-drawn", "dark")
    assert boxes(page).first.evaluate(COUNT_PIXELS, [BLUE, 0, 1]) > 0.01
    page.get_by_test_id("preview-theme").click()
    expect(boxes(page).first).to_have_attribute("data-drawn", "light")


@pytest.mark.browser
def test_the_sandbox_loads_the_library_with_the_first_chart(browser: Browser) -> None:
    with FeishuBox(SandboxSettings()) as box:
        assert 0 == send(box, card({"tag": "markdown", "content": "no chart"}), to="oc_sandbox_hr").code
        with opened(browser, f"{box.url}/#/chats/oc_sandbox_hr") as page:
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            expect(page.locator(".card")).to_have_count(1)
            assert 0 == page.locator("script[src*=vchart]").count()
            for _ in range(2):
                assert 0 == send(box, card(chart(TYPES["bar"])), to="oc_sandbox_hr").code
            expect(page.locator("[data-drawn]")).to_have_count(2)

            assert 1 == len([url for url in asked if "vchart" in url])
            assert page.locator("[data-drawn]").last.evaluate(COUNT_PIXELS, [BLUE, 0, 1]) > 0.02

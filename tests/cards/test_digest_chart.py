"""The chart of a digest, with the chart library of Feishu's clients: bars are visible at every width."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page

from notifier.cards.digest_chart import chart_note, chart_spec
from notifier.clock import SystemClock
from notifier.config.settings import Config
from notifier.domain.delivery import CardVariant
from notifier.domain.digest import DayFlow
from notifier.operations.sample_digests import make_digest_sample
from notifier.runtime.factories import make_renderer
from release.vchart import FILE
from support.browser import open_page
from support.builders import CNY

PHONE, DESKTOP = (303, 170), (560, 315)
BLUE, TURQUOISE, ORANGE = (22, 100, 255), (26, 198, 255), (255, 138, 0)
"""The colours of VChart for rewards, withdrawals and first recorded balances."""
LEGEND_MARK = 150
"""At most this many pixels of a colour are in the legend."""
DRAW = """spec => {
  new VChart.default({...spec, animation: false}, {dom: "chart"}).renderSync();
}"""
COUNT = """colours => {
  const canvas = document.querySelector("canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return colours.map(([r, g, b]) => {
    let found = 0;
    for (let i = 0; i < data.length; i += 4)
      if (Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 24) found += 1;
    return found;
  });
}"""


def a_day(number: int, *, times: int = 1, first_seen: int = 0) -> DayFlow:
    return DayFlow(
        label=f"11-{number:02d}",
        rewards=Decimal(100 * number * times),
        withdrawn=Decimal(40 * number * times),
        first_seen=Decimal(first_seen * times),
    )


WEEK = tuple(a_day(number, first_seen=350 * (number == 7)) for number in range(1, 8))
MONTH = tuple(a_day(number, times=1_000, first_seen=3_500 * (number == 30)) for number in range(1, 31))
FIRST_START = (a_day(1, first_seen=900_000), *WEEK[1:])


@pytest.fixture
def page(size: tuple[int, int]) -> Iterator[Page]:
    width, height = size
    with open_page("about:blank", width=width, height=height) as opened:
        opened.set_content(
            f'<body style="margin:0"><div id="chart" style="width:{width}px;height:{height}px"></div></body>'
        )
        opened.add_script_tag(path=FILE)
        yield opened


@pytest.mark.browser
@pytest.mark.parametrize("size", [PHONE, DESKTOP])
@pytest.mark.parametrize("days", [WEEK, MONTH, FIRST_START], ids=["week", "month", "first start"])
def test_bars_are_visible(page: Page, size: tuple[int, int], days: tuple[DayFlow, ...]) -> None:
    """With a title and two rows of legend, 303 × 170 pixels had no bar at all."""
    page.evaluate(DRAW, chart_spec(days))
    rewards, withdrawn, first_seen = page.evaluate(COUNT, [BLUE, TURQUOISE, ORANGE])
    area = size[0] * size[1]

    assert rewards > LEGEND_MARK + area * 0.008
    assert withdrawn > LEGEND_MARK + area * 0.003
    assert first_seen > 20  # the mark of a legend in one row, so that it has no second page


def spec_texts(days: tuple[DayFlow, ...]) -> Any:
    return json.loads(json.dumps(chart_spec(days)))


def test_the_axis_has_separators_and_the_height_is_for_the_bars() -> None:
    spec = spec_texts(MONTH)
    (left,) = [axis for axis in spec["axes"] if axis["orient"] == "left"]

    assert "{label:,}" == left["label"]["formatter"]
    assert "title" not in spec
    assert 1 == spec["legends"]["maxRow"]


@pytest.mark.parametrize(
    "days, limit, zh, en",
    [
        (WEEK, None, None, None),
        (
            FIRST_START,
            770,
            "超出图表的柱形：11-01 首次登记 ¥900,000.00",
            "Bars cut off: 11-01 first recorded ¥900,000.00",
        ),
        (
            (a_day(1), a_day(2, times=1_000)),
            110,
            "超出图表的柱形：11-02 新增奖励 ¥200,000.00、11-02 已提现 ¥80,000.00",
            "Bars cut off: 11-02 new rewards ¥200,000.00, 11-02 withdrawn ¥80,000.00",
        ),
        ((a_day(0), a_day(0), a_day(3)), None, None, None),
        ((), None, None, None),
    ],
)
def test_an_outlier_is_cut_off_and_named(
    days: tuple[DayFlow, ...], limit: int | None, zh: str | None, en: str | None
) -> None:
    note = chart_note(CNY, days)
    (left,) = [axis for axis in spec_texts(days)["axes"] if axis["orient"] == "left"]

    assert limit == left.get("max")
    assert (zh, en) == ((note.zh, note.en) if note else (None, None))


def test_without_its_chart_a_card_has_no_texts_about_it() -> None:
    renderer = make_renderer(Config(), SystemClock())
    card = make_digest_sample("daily", Config())
    said = {
        variant: str(renderer.card(variant, card)) for variant in (CardVariant.FULL, CardVariant.NO_MEDIA)
    }

    assert "每日 · 现金（CNY）" in said[CardVariant.FULL]
    assert "每日" not in said[CardVariant.NO_MEDIA]
    assert "aspect_ratio" not in said[CardVariant.FULL]


def test_no_more_than_three_bars_are_named() -> None:
    days = (*WEEK, *(a_day(number, times=10_000) for number in (8, 9)))
    note = chart_note(CNY, days)

    assert note is not None
    assert note.zh.endswith("，另有 1 个")
    assert note.en.endswith(", and 1 more")

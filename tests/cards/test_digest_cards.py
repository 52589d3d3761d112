"""Digest cards: what a reader must find on every one of them, whatever its size and width."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from notifier.cards.digest_text import digest_card
from notifier.cards.templates import CardTemplates
from notifier.config.settings import Config
from notifier.domain.account import Referrer
from notifier.domain.digest import AssetFlow, Digest
from notifier.domain.digest_card import DigestCard
from notifier.domain.digest_panel import DigestPanel, Progress, Result, SkipReason
from notifier.domain.money import Asset
from notifier.domain.period import Span, whole
from notifier.domain.withdrawal import WithdrawalState
from notifier.operations.sample_digests import PERSONAL_SAMPLES
from support.builders import CNY
from support.sample_card import render_sample

LANGUAGES = ("zh_cn", "en_us")
ZONE = ZoneInfo("Asia/Shanghai")
TEMPLATES = CardTemplates()
A_DIGEST = Digest(
    name="hr-daily",
    period=whole(Span.DAY, date(2026, 11, 22), date(2026, 11, 22), ZONE),
    due_at=None,
    created_at=1_795_400_000_000,
)


def rendered(card: DigestCard, template: str = "digest.json.j2") -> dict[str, Any]:
    return TEMPLATES.render(template, {"card": card})


def tagged(node: object, tag: str) -> Iterator[dict[str, Any]]:
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from tagged(each, tag)
    if isinstance(node, dict) and node.get("tag") == tag:
        yield node


def lines(card: object, language: str) -> Iterator[str]:
    """Every line of plain text of the card, in this language."""
    if isinstance(card, dict):
        if card.get("tag") == "plain_text":
            yield from str(card.get("i18n_content", {}).get(language, card["content"])).split("\n")
        for each in card.values():
            yield from lines(each, language)
    elif isinstance(card, list):
        for each in card:
            yield from lines(each, language)


MOVES = {
    "zh_cn": ["新增奖励 +¥2,000.00", "首次登记 +¥350.00", "已提现 -¥1,150.00", "更正及其他减少 -¥50.00"],
    "en_us": [
        "New rewards +¥2,000.00",
        "First recorded +¥350.00",
        "Withdrawn -¥1,150.00",
        "Corrections -¥50.00",
    ],
}


@pytest.mark.parametrize("template", ["digest.json.j2", "personal_digest.json.j2"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_figure_stands_in_one_line_with_its_name(template: str, language: str) -> None:
    """In columns of their own, names that wrap moved away from their figures on a phone."""
    found = list(
        lines(render_sample(Config(), template, "my-week" if "personal" in template else "daily"), language)
    )
    start = found.index(MOVES[language][0])

    assert MOVES[language] == found[start : start + 4]
    assert found[start + 4].endswith(" +¥1,150.00")
    assert "¥9,150.00" == found[start - 1]


@pytest.mark.parametrize(
    "name, zh, en",
    [
        ("daily", "内推奖励日报", "Daily referral rewards"),
        ("month", "内推奖励月报", "Monthly referral rewards"),
        ("my-week", "我的内推奖励周报", "My weekly referral rewards"),
    ],
)
def test_the_compact_card_says_which_digest_it_is_and_all_its_figures(name: str, zh: str, en: str) -> None:
    card = render_sample(Config(), "digest_compact.json.j2", name)
    titles = card["header"]["title"]["i18n_content"]

    assert {"zh_cn": zh, "en_us": en} == titles
    assert f"摘要 {name if name == 'my-week' else 'hr-daily'}" in lines(card, "zh_cn")
    for language in LANGUAGES:
        found = " / ".join(lines(card, language))
        assert [] == [each for each in MOVES[language] if each not in found]


@pytest.mark.parametrize("template", ["personal_digest.json.j2", "digest_compact.json.j2"])
@pytest.mark.parametrize("name", PERSONAL_SAMPLES)
def test_a_sample_of_an_own_week_covers_a_week_and_offers_its_balance(template: str, name: str) -> None:
    card = render_sample(Config(), template, name)
    balance = "¥8,000.00" if name == "my-quiet-week" else "¥9,150.00"
    (confirm,) = [each["confirm"] for each in tagged(card, "button")]

    assert "我的内推奖励周报" == card["header"]["title"]["content"]
    assert card["header"]["subtitle"]["content"].endswith("（7 天）")
    assert [f"现金（CNY）{balance}"] == [
        line.replace("：", "").replace(" ", "")
        for line in lines(card, "zh_cn")
        if line.startswith("现金（CNY）") and line.endswith(balance)
    ]
    assert balance in confirm["text"]["content"]


def over(*results: Result, chosen: int = 3, withdrawn: int, skipped: int = 0) -> DigestCard:
    """The card after a batch."""
    progress = Progress(
        total=chosen,
        done=chosen,
        failed=chosen - withdrawn - skipped,
        skipped={SkipReason.DEACTIVATED: skipped} if skipped else {},
        running=False,
        by="ou_hr",
        withdrawn=withdrawn,
    )
    return digest_card(A_DIGEST, DigestPanel(results=results, progress=progress), zone=ZONE, per_minute=90)


def result(account: str, state: WithdrawalState | None, **more: Any) -> Result:
    who = Referrer(open_id=f"ou_{account}", name_zh="", name_en="")
    return Result(account_id=account, referrer=who, state=state, order_id="", amounts={}, **more)


@pytest.mark.parametrize(
    "withdrawn, skipped, colour", [(3, 0, "green"), (2, 0, "orange"), (2, 1, "orange"), (0, 3, "orange")]
)
def test_the_end_of_a_batch_is_green_only_when_every_account_was_withdrawn(
    withdrawn: int, skipped: int, colour: str
) -> None:
    card = rendered(over(withdrawn=withdrawn, skipped=skipped))
    (headline,) = [
        each["text"] for each in tagged(card, "div") if "批量提现已结束" in each["text"]["content"]
    ]

    assert colour == headline["text_color"]


def test_what_failed_comes_first_with_its_reason_in_both_languages() -> None:
    card = over(
        result("1", WithdrawalState.WITHDRAWN),
        result("2", WithdrawalState.REQUESTED),
        result("3", None, skipped=SkipReason.REFERRER_UNKNOWN),
        result("4", None, skipped=SkipReason.BUSY),
        result("5", WithdrawalState.REFUSED, code=1002555),
        result("6", WithdrawalState.REFUSED, code=4711, reason="no [such](http://x.invalid) luck"),
        withdrawn=1,
    )
    table = list(tagged(rendered(card), "table"))[-1]

    assert [
        "<font color='red'>失败 Failed</font> 账户已停用 account deactivated 1002555",
        "<font color='red'>失败 Failed</font> 飞书拒绝 rejected 4711",
        "<font color='orange'>已跳过 Skipped</font> 内推人未知 referrer unknown",
        "<font color='orange'>已跳过 Skipped</font> 提现正在处理 already in progress",
        "<font color='blue'>处理中 In progress</font>",
        "<font color='green'>已提现 Withdrawn</font>",
    ] == [row["state"] for row in table["rows"]]
    assert ["who", "state", "amount"] == [column["name"] for column in table["columns"]]


def test_every_reason_has_words() -> None:
    rows = over(*(result(why, None, skipped=why) for why in SkipReason), withdrawn=0).panel.results

    assert [] == [row for row in rows if not row.reason]


@pytest.mark.parametrize(
    "remaining, zh, en",
    [(1, "1 秒", "1 s"), (30, "20 秒", "20 s"), (90, "1 分钟", "1 min"), (91, "2 分钟", "2 min")],
)
def test_the_time_left_is_said_in_seconds_below_a_minute(remaining: int, zh: str, en: str) -> None:
    progress = Progress(total=100, done=100 - remaining, failed=0, skipped={}, running=True, by="ou_hr")
    card = rendered(digest_card(A_DIGEST, DigestPanel(progress=progress), zone=ZONE, per_minute=90))

    assert [f"预计还需 {zh}。你可以先离开，进度会在此更新。"] == [
        line for line in lines(card, "zh_cn") if "预计还需" in line
    ]
    assert f"About {en} left. You can leave; this card shows the progress." in lines(card, "en_us")


def test_times_are_in_the_zone_of_the_digest_and_name_it() -> None:
    """09:07 in New York is 22:07 in the zone of the other cards."""
    due_at = 1_795_356_420_000
    late = replace(A_DIGEST, due_at=due_at, created_at=due_at + 26 * 3_600_000, zone="America/New_York")
    card = rendered(digest_card(late, DigestPanel(), zone=ZONE, per_minute=90))

    assert "补发：本摘要原定于 2026-11-22 09:07 America/New_York 发送。" in lines(card, "zh_cn")
    assert "Sent late: this digest was scheduled for 2026-11-22 09:07 America/New_York." in lines(
        card, "en_us"
    )


def test_a_digest_of_before_zones_were_kept_is_told_in_that_of_the_cards() -> None:
    old = replace(A_DIGEST, period=replace(A_DIGEST.period, so_far=True, to_at=1_795_356_420_000))

    assert (
        "2026-11-22 22:07 Asia/Shanghai"
        == digest_card(old, DigestPanel(), zone=ZONE, per_minute=90).until_text
    )


@pytest.mark.parametrize("template", ["digest.json.j2", "digest_compact.json.j2"])
@pytest.mark.parametrize("name", ["daily", "so-far", "month", "needs-attention"])
def test_the_moment_of_the_balances_is_named_once(template: str, name: str) -> None:
    card = render_sample(Config(), template, name)

    assert ["余额截至 2023-11-15 09:07 Asia/Shanghai"] == [
        line for line in lines(card, "zh_cn") if ":" in line.partition("Asia")[0]
    ]
    assert ["Balances as of 2023-11-15 09:07 Asia/Shanghai"] == [
        line for line in lines(card, "en_us") if " as of " in line
    ]
    assert "local_datetime" not in str(card)


@pytest.mark.parametrize(
    "flows, proof",
    [
        ({}, "No balance and no change: 0 + 0 = 0 ✓"),
        ({CNY: AssetFlow()}, "No balance and no change: 0 + 0 = 0 ✓"),
        ({CNY: AssetFlow(opening=Decimal(80), closing=Decimal(80))}, "Cash (CNY): ¥80.00 + ¥0.00 = ¥80.00 ✓"),
    ],
)
def test_the_proof_is_there_in_a_period_without_changes(flows: dict[Asset, AssetFlow], proof: str) -> None:
    for account in ("", "7000000000000000001"):
        card = digest_card(
            replace(A_DIGEST, flows=flows), DigestPanel(), zone=ZONE, per_minute=90, account=account
        )
        template = "personal_digest.json.j2" if account else "digest.json.j2"

        assert proof in lines(rendered(card, template), "en_us")


@pytest.mark.parametrize("name", ["daily", "over"])
def test_the_amount_stands_beside_the_person_and_nothing_is_cut(name: str) -> None:
    """On a phone a second column is the last one in sight."""
    tables = list(tagged(render_sample(Config(), "digest.json.j2", name), "table"))

    assert {("who", "36%"), ("amount", "64%")} == {
        (column["name"], column["width"]) for table in tables[:2] for column in table["columns"][:2]
    }
    assert {"auto"} == {table["row_height"] for table in tables}


def test_an_account_must_be_chosen_before_anything_is_asked() -> None:
    (select,) = tagged(render_sample(Config(), "digest.json.j2", "daily"), "select_static")

    assert select["required"] is True

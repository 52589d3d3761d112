"""Wording: domain values as people read them."""

import re
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from babel.numbers import format_currency, get_currency_precision, list_currencies
from hypothesis import given
from hypothesis import strategies as st

from notifier.cards.balance_text import (
    MAX_AMOUNT_LINES,
    MAX_NAME_LENGTH,
    MAX_STEPS,
    balance_change_card,
    clean,
    label,
    moment,
    money,
    own_line,
    person,
    reroute_reason,
    short_order_id,
    signed,
)
from notifier.domain.account import Referrer
from notifier.domain.card import BalanceChangeCard, Bilingual
from notifier.domain.money import POINTS, Asset, Kind
from notifier.domain.notice import Notice, NoticeReason
from support.builders import ACCOUNT_ID, CNY, MODIFIED_AT, USD, change, notice

NO_NAME = Bilingual(zh="（未署名）", en="(no name)")
SHANGHAI = ZoneInfo("Asia/Shanghai")


def cash(code: str) -> Asset:
    return Asset(Kind.CASH, code)


@pytest.mark.parametrize(
    "asset, amount, shown",
    [
        (CNY, "1200", "¥1,200.00"),
        (CNY, "1200.5000", "¥1,200.50"),
        (CNY, "0", "¥0.00"),
        (CNY, "-0.5", "-¥0.50"),
        (CNY, "0.1234", "¥0.1234"),
        (CNY, "10000000000000", "¥10,000,000,000,000.00"),
        (USD, "80", "US$80.00"),
        (cash("JPY"), "12000", "JP¥12,000"),
        (cash("JPY"), "12000.5", "JP¥12,000.5"),
        (cash("KRW"), "50000", "₩50,000"),
        (cash("XYZ"), "1200", "XYZ 1,200.00"),
        (cash("XYZ"), "-1.2345", "XYZ -1.2345"),
        (cash("99"), "1", "1.00（币种 currency 99）"),
        (POINTS, "1200", "1,200"),
        (POINTS, "-3", "-3"),
        (POINTS, "0", "0"),
    ],
)
def test_money_is_written_as_people_write_it(asset: Asset, amount: str, shown: str) -> None:
    assert shown == money(asset, Decimal(amount))


@given(st.sampled_from(sorted(list_currencies("zh_CN"))), st.integers(-(10**17), 10**17), st.integers(0, 4))
def test_figures_are_those_of_the_chinese_locale(code: str, units: int, decimals: int) -> None:
    amount = Decimal(units).scaleb(-4).quantize(Decimal(1).scaleb(-decimals))
    exponent = amount.normalize().as_tuple().exponent
    shown = max(get_currency_precision(code), -int(exponent))
    pattern = "¤#,##0" + ("." + "0" * shown if shown else "")

    expected = format_currency(amount, code, format=pattern, locale="zh_CN", currency_digits=False)
    assert expected == money(cash(code), amount)


@pytest.mark.parametrize(
    "asset, delta, shown",
    [(CNY, "500", "+¥500.00"), (CNY, "-500", "-¥500.00"), (POINTS, "5", "+5"), (POINTS, "0", "0")],
)
def test_a_difference_carries_its_sign(asset: Asset, delta: str, shown: str) -> None:
    assert shown == signed(asset, Decimal(delta))


@pytest.mark.parametrize(
    "text, shown",
    [
        ("  Ada \t\n Lovelace ", "Ada Lovelace"),
        ("\u202egpj.exe\u2066", "gpj.exe"),
        ("a\u200bb\x00c\x1f\ufeff", "abc"),
        ("\ud800half", "half"),
        ("\ue000\ue001private", "\ue000\ue001private"),
        ("line\u2028separator\u2029s", "line separator s"),
        ("👩‍👩‍👧 family", "👩‍👩‍👧 family"),
        ("Z̸̡̢̛a", "Z̸̡a"),
        ("José ñ é", "José ñ é"),
        ("write to ada@example.com now", "write to *** now"),
        ("call +86 138 0013 8000", "call ***"),
        ("call 13800138000", "call ***"),
        ("¥1,200.00", "¥1,200.00"),
        ("room 12345", "room 12345"),
        ("", ""),
        ("\u200d", ""),
        ("\u200b\u202e", ""),
    ],
)
def test_untrusted_text_becomes_one_short_visible_line(text: str, shown: str) -> None:
    assert shown == clean(text)


def test_a_long_text_ends_in_an_ellipsis() -> None:
    assert "长" * (MAX_NAME_LENGTH - 1) + "…" == clean("长" * 100_000)


def test_a_text_of_just_the_right_length_is_kept_whole() -> None:
    assert "长" * MAX_NAME_LENGTH == clean("长" * MAX_NAME_LENGTH)


@given(st.text())
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean(text) == clean(clean(text))


@pytest.mark.parametrize(
    "name_zh, name_en, shown",
    [
        ("林小满", "Lin", Bilingual(zh="林小满", en="Lin")),
        ("林小满", "", Bilingual(zh="林小满", en="林小满")),
        ("", "Lin", Bilingual(zh="Lin", en="Lin")),
        ("", "", NO_NAME),
        ("\u200b", " \n", NO_NAME),
        ("\u200d", "\ufe0f \ufe0f", NO_NAME),
        ("\u3164", "\u2800", NO_NAME),
    ],
)
def test_a_missing_name_comes_from_the_other_language(name_zh: str, name_en: str, shown: Bilingual) -> None:
    assert shown == person(Referrer(open_id="ou_1", name_zh=name_zh, name_en=name_en)).name


@pytest.mark.parametrize(
    "zh, en, shown",
    [
        ("", "", None),
        (" \u200b", "\n", None),
        ("每月 15 日付款", "", Bilingual(zh="每月 15 日付款", en="每月 15 日付款")),
        ("", "Paid on the 15th", Bilingual(zh="Paid on the 15th", en="Paid on the 15th")),
        (
            "联系\u202e\nhr@example.com",
            "Call +86 138 0013 8000",
            Bilingual(zh="联系 hr@example.com", en="Call +86 138 0013 8000"),
        ),
        ("长" * 200, "W" * 201, Bilingual(zh="长" * 200, en="W" * 199 + "…")),
    ],
)
def test_a_configured_line_keeps_contact_data_and_fills_in_for_the_other_language(
    zh: str, en: str, shown: Bilingual | None
) -> None:
    assert shown == own_line(zh, en)


@pytest.mark.parametrize(
    "order_id, shown", [("rn-5d0c7a413f9a1c2b", "…3f9a1c2b"), ("12345678", "12345678"), ("", "")]
)
def test_a_card_shows_the_last_eight_characters_of_an_order_id(order_id: str, shown: str) -> None:
    assert shown == short_order_id(order_id)


def test_labels_are_in_both_languages() -> None:
    assert Bilingual(zh="积分", en="Points") == label(POINTS)
    assert Bilingual(zh="现金（CNY）", en="Cash (CNY)") == label(CNY)


def test_a_moment_is_told_in_the_configured_time_zone() -> None:
    assert "2023-11-15 06:13" == moment(MODIFIED_AT, SHANGHAI)


@pytest.mark.parametrize(
    "stored, said",
    [
        (
            "account_unknown",
            "Feishu knows no such referral account, so the referrer cannot be notified; sent here instead.",
        ),
        ("unreachable", "The referrer cannot be reached, so this was sent here instead."),
        (
            "unreachable 230029: this person has resigned; User has resigned.",
            "The referrer cannot be reached, so this was sent here instead. Reason: this person has resigned.",
        ),
        (
            "unreachable 4711: Feishu refused: go away",
            "The referrer cannot be reached, so this was sent here instead.",
        ),
        (
            "group_unreachable 230002: the bot is not in the group",
            (
                "The group it was meant for cannot be reached, so this was sent here instead. "
                "Reason: the bot is not in the group."
            ),
        ),
        (
            "group_unreachable: the configuration names no group gone any more",
            (
                "The group it was meant for cannot be reached, so this was sent here instead. "
                "Reason: the configuration no longer has this group."
            ),
        ),
    ],
)
def test_a_reroute_says_why(stored: str, said: str) -> None:
    assert said == reroute_reason(stored).en
    assert not re.search("[A-Za-z]", reroute_reason(stored).zh)


def card(*notices: Notice, audience: str = "referrer", reroute: str | None = None) -> BalanceChangeCard:
    return balance_change_card(notices, audience=audience, referrer=None, zone=SHANGHAI, reroute=reroute)


def deltas(shown: BalanceChangeCard) -> list[tuple[str | None, str | None, str]]:
    return [(line.before, line.delta, line.after) for line in shown.lines]


def test_one_notice_shows_its_change_and_no_steps() -> None:
    shown = card(notice(change(CNY, "700", "1200")))

    assert [("¥700.00", "+¥500.00", "¥1,200.00")] == deltas(shown)
    assert ((), 0) == (shown.steps, shown.hidden_steps)


def test_an_opening_shows_balances_and_no_differences() -> None:
    shown = card(notice(change(CNY, "0", "350.5"), reason=NoticeReason.OPENING))

    assert ("opening", [(None, None, "¥350.50")]) == (shown.direction, deltas(shown))
    assert ["flat"] == [line.trend for line in shown.lines]


def test_an_empty_account_seen_for_the_first_time_shows_its_zero() -> None:
    empty = Notice(
        key="n-1", account=notice().account, reason=NoticeReason.OPENING, occurred_at=MODIFIED_AT, changes=()
    )

    assert [(None, None, "0")] == deltas(card(empty))


def test_folded_notices_show_the_whole_way_and_each_step() -> None:
    shown = card(
        notice(change(CNY, "0", "500"), key="a"),
        notice(change(CNY, "500", "800"), change(USD, "0", "80"), key="b"),
    )

    assert [("¥0.00", "+¥800.00", "¥800.00"), ("US$0.00", "+US$80.00", "US$80.00")] == deltas(shown)
    assert [["+¥500.00"], ["+¥300.00", "+US$80.00"]] == [
        [line.delta for line in step.lines] for step in shown.steps
    ]


def test_an_opening_with_a_change_folded_in_shows_the_balance_after_both() -> None:
    shown = card(
        notice(change(CNY, "0", "350"), reason=NoticeReason.OPENING, key="a"),
        notice(change(CNY, "350", "400"), key="b"),
    )

    assert ("opening", [(None, None, "¥400.00")]) == (shown.direction, deltas(shown))
    assert [None, "+¥50.00"] == [step.lines[0].delta for step in shown.steps]


@pytest.mark.parametrize(
    "steps, direction",
    [
        ([("0", "5")], "increase"),
        ([("5", "0")], "decrease"),
        ([("0", "5"), ("5", "3")], "increase"),
        ([("5", "0"), ("0", "5")], "mixed"),
    ],
)
def test_the_direction_is_that_of_the_whole_way(steps: list[tuple[str, str]], direction: str) -> None:
    notices = [notice(change(CNY, before, after), key=str(n)) for n, (before, after) in enumerate(steps)]

    assert direction == card(*notices).direction


def test_up_in_one_asset_and_down_in_another_is_mixed() -> None:
    assert "mixed" == card(notice(change(CNY, "0", "5"), change(USD, "5", "0"))).direction


def test_what_our_own_withdrawal_took_between_two_changes_is_no_part_of_them() -> None:
    """It has a receipt of its own; a card that waits over it would else tell a loss that never was."""
    notices = [notice(change(CNY, "993.20", "998.20"), key="a"), notice(change(CNY, "0", "3"), key="b")]
    shown = balance_change_card(notices, audience="group", referrer=None, zone=SHANGHAI, reroute=None)

    [line] = shown.lines
    assert ("+¥8.00", "¥3.00", "up") == (line.delta, line.after, line.trend)
    assert "increase" == shown.direction


def test_the_latest_steps_are_listed_and_the_others_counted() -> None:
    notices = [notice(change(CNY, str(n), str(n + 1)), key=str(n)) for n in range(MAX_STEPS + 3)]
    shown = card(*notices)

    assert (MAX_STEPS, 3) == (len(shown.steps), shown.hidden_steps)
    assert f"¥{MAX_STEPS + 3}.00" == shown.steps[-1].lines[0].after


def test_lines_have_an_upper_bound() -> None:
    many = [change(cash(f"C{n:02}"), "0", "1") for n in range(MAX_AMOUNT_LINES + 5)]

    assert MAX_AMOUNT_LINES == len(card(notice(*many)).lines)


def test_an_account_id_is_shown_whole_although_it_has_the_digits_of_a_phone_number() -> None:
    assert ACCOUNT_ID == card(notice()).account_id


def test_nothing_money_like_is_hidden_from_a_card() -> None:
    shown = card(notice(change(CNY, "0", "12345678.90")))

    assert "¥12,345,678.90" == shown.lines[0].after


@pytest.mark.parametrize(
    "name",
    [
        "王\U00031350",  # new in Unicode 15
        "李\U0002ebf0明",  # new in Unicode 15.1
        "陈\ue863",  # private use, from old fonts
        "می\u200cخواهم",  # a joiner that Persian needs
        "葛\U000e0101",  # a variant of a character
    ],
)
def test_a_name_keeps_every_character_that_does_no_harm(name: str) -> None:
    assert name == clean(name)


@pytest.mark.parametrize(
    "harm", ["\x07", "\u202e", "\u2066", "\u200e", "\u200b", "\u2028", "\ufeff", "\U000e0041", "\u00ad"]
)
def test_what_can_hide_or_turn_text_is_removed(harm: str) -> None:
    assert "Lin" == clean(f"L{harm}in").replace(" ", "")


def test_an_unknown_currency_number_stands_apart_from_the_figure() -> None:
    unknown = Asset(Kind.CASH, "49")

    assert "+1,200.00（币种 currency 49）" == signed(unknown, Decimal(1200))
    assert ("现金（币种 49）", "Cash (currency 49)") == (label(unknown).zh, label(unknown).en)

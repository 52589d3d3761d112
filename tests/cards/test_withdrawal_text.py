"""Withdrawal wording: what a card says about withdrawing, and what answers a press of its button."""

from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from notifier.cards.balance_text import MAX_AMOUNT_LINES
from notifier.cards.templating.texts import text
from notifier.cards.withdrawal_text import (
    denied_toast,
    panel,
    press_toast,
)
from notifier.domain.card import Bilingual, WithdrawalPanel
from notifier.domain.money import POINTS, Amounts, Asset, Kind
from notifier.domain.withdrawal import (
    STILL_THERE,
    DenialReason,
    PressOutcome,
    Role,
    Withdrawal,
    WithdrawalState,
)
from support.builders import ACCOUNT, CNY, MODIFIED_AT

SHANGHAI = ZoneInfo("Asia/Shanghai")
HELD: Amounts = {POINTS: Decimal(120), CNY: Decimal(1200)}
BOTH = tuple(Kind)
ORDER = Withdrawal(
    id=1,
    order_id="rn-0000000001234567",
    account_ref=1,
    account=ACCOUNT,
    kinds=BOTH,
    state=WithdrawalState.REQUESTED,
    withdrawal_count=0,
    requested_by="ou_asked",
    delivery_id=1,
    agreed={POINTS: Decimal(120), CNY: Decimal(1200)},
    role=Role.REFERRER,
    requested_at=MODIFIED_AT,
)


def said(
    withdrawal: Withdrawal | None = None,
    *,
    ref: str = "ref",
    holdings: Amounts = HELD,
    kinds: Collection[Kind] = BOTH,
) -> WithdrawalPanel | None:
    return panel(ref=ref, holdings=holdings, kinds=kinds, withdrawal=withdrawal, zone=SHANGHAI)


def notices(state: WithdrawalState, *, holdings: Amounts = HELD, **values: Any) -> WithdrawalPanel:
    found = said(replace(ORDER, state=state, **values), holdings=holdings)
    assert found is not None
    return found


def texts(found: WithdrawalPanel | None) -> list[str]:
    return [] if found is None else [f"{each.label.en} {each.text}" for each in found.amounts]


def test_what_can_be_taken_is_offered() -> None:
    found = said()

    assert found is not None
    assert ("offered", "ref", "") == (found.state, found.ref, found.order_id)
    assert ["Cash (CNY) ¥1,200.00", "Points 120"] == texts(found)


def test_only_the_chosen_kinds_are_offered() -> None:
    assert ["Points 120"] == texts(said(kinds=[Kind.POINTS]))


@pytest.mark.parametrize(
    "values", [{"ref": ""}, {"holdings": {}}, {"holdings": {CNY: Decimal(-1)}}, {"kinds": ()}]
)
def test_nothing_is_said_where_there_is_no_button_or_nothing_to_take(values: dict[str, Any]) -> None:
    assert said(**values) is None


@pytest.mark.parametrize("state", WithdrawalState)
def test_every_state_says_which_order_it_is_and_who_asked(state: WithdrawalState) -> None:
    found = notices(state)

    assert ("…01234567", "ou_asked") == (found.order_id, found.by)
    is_offered_again = found.state in {"refused", "amount_changed", "ended"}
    assert is_offered_again == bool(found.ref) == (found.reason is not None)


def test_where_a_newer_card_shows_it_there_is_no_button_no_amount_and_no_order() -> None:
    found = panel(ref="ref", holdings=HELD, kinds=BOTH, withdrawal=ORDER, is_superseded=True, zone=SHANGHAI)

    assert WithdrawalPanel(state="superseded", reason=text("withdrawal.reason.newer_card")) == found


def test_under_way_it_shows_what_the_requester_agreed_to() -> None:
    found = notices(WithdrawalState.REQUESTED, expected={CNY: Decimal(1500)})

    assert ("processing", ["Cash (CNY) ¥1,200.00", "Points 120"]) == (found.state, texts(found))


def test_afterwards_it_shows_what_feishu_took_and_when() -> None:
    found = notices(
        WithdrawalState.WITHDRAWN,
        withdrawn={CNY: Decimal(1300)},
        withdrawn_at=MODIFIED_AT,
        ended_at=MODIFIED_AT + 9,
    )

    assert ("withdrawn", MODIFIED_AT, "2023-11-15 06:13") == (found.state, found.at, found.at_text)
    assert ["Cash (CNY) ¥1,300.00"] == texts(found)


def test_the_end_stands_in_for_a_moment_that_feishu_did_not_tell() -> None:
    assert MODIFIED_AT + 9 == notices(WithdrawalState.WITHDRAWN, ended_at=MODIFIED_AT + 9).at


def test_nothing_to_take_shows_no_amounts() -> None:
    found = notices(WithdrawalState.NOTHING)

    assert ("nothing", ()) == (found.state, found.amounts)


def test_after_a_no_the_button_comes_back_while_there_is_something_to_take() -> None:
    assert "ref" == notices(WithdrawalState.REFUSED).ref
    assert ("", ()) == (
        notices(WithdrawalState.REFUSED, holdings={}).ref,
        notices(WithdrawalState.REFUSED, holdings={}).amounts,
    )


@pytest.mark.parametrize(
    "code, zh, en",
    [
        (1002555, "内推账户已停用", "the referral account is deactivated"),
        (230029, "该成员已离职", "this person has resigned"),
        (1, "飞书拒绝了提现（错误码 1）", "Feishu refused the withdrawal (code 1)"),
    ],
)
def test_feishus_message_about_a_refusal_is_not_shown(code: int, zh: str, en: str) -> None:
    reason = notices(
        WithdrawalState.REFUSED, code=code, reason="ask\n\u202ehr@example.com " + "x" * 500
    ).reason

    assert Bilingual(zh=zh, en=en) == reason


def test_a_refusal_by_the_service_itself_has_a_text_in_both_languages() -> None:
    reason = notices(WithdrawalState.REFUSED, reason="the account belongs to somebody else").reason

    assert text("withdrawal.reason.not_the_requesters") == reason


def test_a_withdrawal_that_moved_nothing_is_not_blamed_on_the_requester() -> None:
    assert (
        text("withdrawal.reason.nothing_moved") == notices(WithdrawalState.REFUSED, reason=STILL_THERE).reason
    )


@pytest.mark.parametrize("reason", [None, "", "\u200b"])
def test_a_no_without_a_word_says_so(reason: str | None) -> None:
    assert text("withdrawal.reason.not_given") == notices(WithdrawalState.REFUSED, reason=reason).reason


def test_of_very_many_currencies_it_says_how_many_more_there_are() -> None:
    held = {Asset(Kind.CASH, f"X{number:02}"): Decimal(1) for number in range(20)}
    found = said(holdings=held)

    assert found is not None
    assert MAX_AMOUNT_LINES == len(found.amounts)
    assert "× 9" == found.amounts[-1].text


def is_toast(toast: dict[str, Any]) -> bool:
    return (
        set(toast) == {"type", "content", "i18n"}
        and toast["type"] in {"info", "success", "warning", "error"}
        and set(toast["i18n"]) == {"zh_cn", "en_us"}
        and bool(toast["content"])
        and toast["content"] == toast["i18n"]["zh_cn"] != toast["i18n"]["en_us"]
    )


@pytest.mark.parametrize("denied", DenialReason)
def test_every_no_is_answered_without_a_figure_or_an_id(denied: DenialReason) -> None:
    toast = denied_toast(denied)

    assert is_toast(toast)
    assert toast["type"] in {"warning", "error"}
    assert not any(char.isdigit() for words in toast["i18n"].values() for char in words)


@pytest.mark.parametrize("meaning", PressOutcome)
def test_every_permitted_press_is_answered(meaning: PressOutcome) -> None:
    assert is_toast(press_toast(meaning))


def test_each_answer_is_its_own_sentence() -> None:
    toasts = [*map(denied_toast, DenialReason), *map(press_toast, PressOutcome)]

    assert len(toasts) == len({toast["i18n"]["zh_cn"] for toast in toasts})
    assert len(toasts) == len({toast["i18n"]["en_us"] for toast in toasts})


def test_the_beginning_is_told_as_such() -> None:
    assert {
        "type": "info",
        "content": "提现处理中…",
        "i18n": {"zh_cn": "提现处理中…", "en_us": "Withdrawal in progress…"},
    } == press_toast(PressOutcome.BEGIN)


def test_a_changed_balance_is_said_with_both_amounts() -> None:
    said_to_them = press_toast(
        PressOutcome.STALE, offered={CNY: Decimal("350.5")}, available={CNY: Decimal("850.5")}
    )

    assert "warning" == said_to_them["type"]
    assert "余额已由 现金（CNY） ¥350.50 变为 现金（CNY） ¥850.50，未提现。" in said_to_them["content"]
    assert (
        "from Cash (CNY) ¥350.50 to Cash (CNY) ¥850.50. Nothing was withdrawn."
        in said_to_them["i18n"]["en_us"]
    )

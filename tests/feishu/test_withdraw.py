"""Withdrawals and balances asked of the stand-in: money moves once, whatever becomes of the answer."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from notifier.domain.account import Referrer
from notifier.domain.money import POINTS, Asset, Kind
from notifier.errors import (
    AccountDeactivated,
    AccountUnknown,
    CallError,
    OutcomeUnknown,
    Refused,
    TemporaryFailure,
)
from notifier.feishu.api import AppAccess, FeishuApi
from notifier.feishu.referral_accounts import FeishuReferralAccounts
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from support.builders import CNY
from support.clock import FakeClock

ACCOUNT = "7000000000000000001"
EMPTY_ACCOUNT = "7000000000000000004"
UNKNOWN_ACCOUNT = "7000000000000009999"
READ = "GET /open-apis/hire/v1/referral_account/get_account_assets"
WITHDRAW_PATH = f"/open-apis/hire/v1/referral_account/{ACCOUNT}/withdraw"
WITHDRAW = f"POST {WITHDRAW_PATH}"
BOTH = (Kind.CASH, Kind.POINTS)
ALL_OF_IT = {POINTS: Decimal(120), CNY: Decimal("350.5")}
SHORT_SECONDS = 0.5


def access_to(box: FeishuBox) -> AppAccess:
    return AppAccess(base_url=box.url, app_id=box.app_id, app_secret=box.app_secret)


@pytest.fixture
async def accounts(feishu_box: FeishuBox, clock: FakeClock) -> AsyncIterator[FeishuReferralAccounts]:
    async with FeishuApi(access_to(feishu_box), clock) as api:
        yield FeishuReferralAccounts(api)


@pytest.fixture
async def hurried(feishu_box: FeishuBox, clock: FakeClock) -> AsyncIterator[FeishuReferralAccounts]:
    """Accounts that do not wait long for an answer, with their token in hand."""
    async with FeishuApi(replace(access_to(feishu_box), timeout_seconds=SHORT_SECONDS), clock) as api:
        await api.token()
        yield FeishuReferralAccounts(api)


def answer_with(box: FeishuBox, match: str, data: object) -> None:
    body = json.dumps({"code": 0, "data": data})
    box.add_call_fault({"match": match, "action": "http", "status": 200, "body": body})


def withdrawals_told(box: FeishuBox) -> int:
    """The stand-in tells a balance event each time that money moves."""
    return len(box.events())


async def test_the_state_of_an_account_is_its_balance_status_and_owner(
    accounts: FeishuReferralAccounts,
) -> None:
    state = await accounts.read(ACCOUNT)

    assert ALL_OF_IT == state.amounts
    assert state.is_active
    assert Referrer(open_id="ou_sandbox_lin", name_zh="林小满（示例）", name_en="Lin Xiaoman (sample)") == (
        state.referrer
    )


async def test_a_deactivated_account_is_not_usable(
    feishu_box: FeishuBox, accounts: FeishuReferralAccounts
) -> None:
    feishu_box.set_account(ACCOUNT, status=2)
    state = await accounts.read(ACCOUNT)

    assert not state.is_active
    assert ALL_OF_IT == state.amounts


async def test_the_state_of_an_unknown_account_is_an_error_of_its_own(
    accounts: FeishuReferralAccounts,
) -> None:
    with pytest.raises(AccountUnknown):
        await accounts.read(UNKNOWN_ACCOUNT)


@pytest.mark.parametrize("data", [{}, {"account": None}, {"account": {"status": 1}}])
async def test_a_balance_that_cannot_be_read_is_not_zero(
    feishu_box: FeishuBox, accounts: FeishuReferralAccounts, data: object
) -> None:
    answer_with(feishu_box, READ, data)
    with pytest.raises(OutcomeUnknown, match="is invalid: account") as unknown:
        await accounts.read(ACCOUNT)

    assert feishu_box.requests(READ.split()[1])[0]["log_id"] == unknown.value.log_id


@pytest.mark.parametrize(
    "taken, left, kinds",
    [
        ({POINTS: Decimal(120)}, {CNY: Decimal("350.5")}, [Kind.POINTS]),
        ({CNY: Decimal("350.5")}, {POINTS: Decimal(120)}, [Kind.CASH]),
        (ALL_OF_IT, {}, [Kind.CASH, Kind.POINTS]),
        (ALL_OF_IT, {}, [Kind.POINTS, Kind.CASH, Kind.POINTS]),
    ],
)
async def test_everything_of_the_chosen_kinds_goes_and_the_rest_stays(
    accounts: FeishuReferralAccounts,
    taken: dict[Asset, Decimal],
    left: dict[Asset, Decimal],
    kinds: list[Kind],
) -> None:
    withdrawn = await accounts.withdraw(ACCOUNT, order_id="order-1", kinds=kinds)

    assert ("order-1", taken) == (withdrawn.order_id, withdrawn.amounts)
    assert left == (await accounts.read(ACCOUNT)).amounts


async def test_the_time_is_the_one_feishu_booked_it_at(clock: FakeClock) -> None:
    settings = SandboxSettings(clock=lambda: clock.millis / 1000)
    with FeishuBox(settings) as box:
        async with FeishuApi(access_to(box), clock) as api:
            withdrawn = await FeishuReferralAccounts(api).withdraw(ACCOUNT, order_id="order-1", kinds=BOTH)

    assert clock.millis == withdrawn.at


async def test_a_repeated_order_id_gives_the_original_order(
    feishu_box: FeishuBox, accounts: FeishuReferralAccounts
) -> None:
    first = await accounts.withdraw(ACCOUNT, order_id="order-1", kinds=BOTH)
    feishu_box.change_balance(ACCOUNT, points=7)
    again = await accounts.withdraw(ACCOUNT, order_id="order-1", kinds=BOTH)

    assert first == again
    assert {POINTS: Decimal(7)} == (await accounts.read(ACCOUNT)).amounts


async def test_another_order_id_is_another_withdrawal(
    feishu_box: FeishuBox, accounts: FeishuReferralAccounts
) -> None:
    await accounts.withdraw(ACCOUNT, order_id="order-1", kinds=BOTH)
    feishu_box.change_balance(ACCOUNT, points=7)
    second = await accounts.withdraw(ACCOUNT, order_id="order-2", kinds=BOTH)

    assert {POINTS: Decimal(7)} == second.amounts


async def test_a_withdrawal_of_nothing_may_be_booked_as_nothing(accounts: FeishuReferralAccounts) -> None:
    withdrawn = await accounts.withdraw(EMPTY_ACCOUNT, order_id="order-1", kinds=BOTH)

    assert ("order-1", {}) == (withdrawn.order_id, withdrawn.amounts)


async def test_a_withdrawal_of_nothing_may_be_refused(clock: FakeClock) -> None:
    with FeishuBox(SandboxSettings(empty_withdrawal_refused=True)) as box:
        async with FeishuApi(access_to(box), clock) as api:
            with pytest.raises(Refused) as refused:
                await FeishuReferralAccounts(api).withdraw(EMPTY_ACCOUNT, order_id="order-1", kinds=BOTH)

    assert 1002002 == refused.value.code


async def test_a_deactivated_account_gives_nothing(
    feishu_box: FeishuBox, accounts: FeishuReferralAccounts
) -> None:
    feishu_box.set_account(ACCOUNT, status=2)
    with pytest.raises(Refused) as refused:
        await accounts.withdraw(ACCOUNT, order_id="order-1", kinds=BOTH)

    assert 1002555 == refused.value.code
    assert ALL_OF_IT == (await accounts.read(ACCOUNT)).amounts


@pytest.mark.parametrize("account_id", [UNKNOWN_ACCOUNT, "a/b?c=d#e%2F é", f"x/../{ACCOUNT}"])
async def test_an_id_that_is_no_account_reaches_feishu_as_it_is_and_nobody_elses_money(
    feishu_box: FeishuBox, accounts: FeishuReferralAccounts, account_id: str
) -> None:
    with pytest.raises(AccountUnknown) as unknown:
        await accounts.withdraw(account_id, order_id="order-1", kinds=BOTH)

    assert 1002553 == unknown.value.code
    assert 0 == withdrawals_told(feishu_box)


async def test_a_missing_scope_is_named_and_moves_nothing(
    feishu_box: FeishuBox, accounts: FeishuReferralAccounts
) -> None:
    feishu_box.set_scopes(["hire:referral_account:readonly"])
    with pytest.raises(Refused, match="hire:referral_account") as refused:
        await accounts.withdraw(ACCOUNT, order_id="order-1", kinds=BOTH)

    assert 99991672 == refused.value.code
    assert ALL_OF_IT == (await accounts.read(ACCOUNT)).amounts


@pytest.mark.parametrize(
    "told, fault",
    [
        (1, {"action": "hang_after"}),
        (1, {"action": "reset_after"}),
        (1, {"action": "truncate"}),
        (0, {"action": "hang"}),
        (0, {"action": "reset"}),
        (0, {"action": "http", "status": 500, "body": "<html>Internal Server Error</html>"}),
        (0, {"action": "http", "status": 200, "body": "<html>Welcome</html>"}),
        (0, {"action": "code", "http_status": 500, "code": 1002001}),
        (0, {"action": "code", "http_status": 500, "code": 1020001}),
    ],
)
async def test_after_a_lost_answer_the_same_order_id_finds_out_and_money_moves_once(
    feishu_box: FeishuBox, hurried: FeishuReferralAccounts, told: int, fault: dict[str, object]
) -> None:
    feishu_box.add_call_fault({"match": WITHDRAW, "times": 1, **fault})
    with pytest.raises(OutcomeUnknown):
        await hurried.withdraw(ACCOUNT, order_id="order-1", kinds=BOTH)

    assert told == withdrawals_told(feishu_box)

    withdrawn = await hurried.withdraw(ACCOUNT, order_id="order-1", kinds=BOTH)
    assert ("order-1", ALL_OF_IT) == (withdrawn.order_id, withdrawn.amounts)
    assert 1 == withdrawals_told(feishu_box)
    assert {} == (await hurried.read(ACCOUNT)).amounts


async def test_a_token_that_ends_before_the_call_costs_one_more_call_and_no_money(
    feishu_box: FeishuBox, accounts: FeishuReferralAccounts
) -> None:
    await accounts.read(ACCOUNT)
    feishu_box.expire_tokens()
    withdrawn = await accounts.withdraw(ACCOUNT, order_id="order-1", kinds=BOTH)

    assert ALL_OF_IT == withdrawn.amounts
    assert [99991663, 0] == [line["code"] for line in feishu_box.requests(WITHDRAW_PATH)]
    assert 1 == withdrawals_told(feishu_box)


@pytest.mark.parametrize(
    "error, code, http_status",
    [
        (Refused, 1002002, 400),
        (AccountDeactivated, 1002555, 400),
        (AccountUnknown, 1002553, 400),
        (Refused, 99991672, 400),
        (TemporaryFailure, 99991400, 429),
        (OutcomeUnknown, 1002001, 500),
        (OutcomeUnknown, 4711, 500),
    ],
)
async def test_each_answer_says_whether_the_money_may_have_moved(
    feishu_box: FeishuBox,
    accounts: FeishuReferralAccounts,
    error: type[CallError],
    code: int,
    http_status: int,
) -> None:
    feishu_box.add_call_fault({"match": WITHDRAW, "action": "code", "code": code, "http_status": http_status})
    with pytest.raises(CallError) as failed:
        await accounts.withdraw(ACCOUNT, order_id="order-1", kinds=BOTH)

    assert error is type(failed.value)
    if isinstance(failed.value, TemporaryFailure):
        assert failed.value.affects_whole_app


@pytest.mark.parametrize(
    "words, data",
    [
        ("is invalid: withdrawal_details", {"withdrawal_details": "gone"}),
        ("is invalid: withdrawal_details", {"withdrawal_details": {"point_bonus": 1.5}}),
        ("is invalid: withdrawal_details", {"withdrawal_details": {"cash_bonus": {}}}),
        ("is invalid: external_order_id", {"external_order_id": 7}),
        ("names another order", {"external_order_id": "order-2"}),
    ],
)
async def test_a_success_that_cannot_be_believed_leaves_the_outcome_open(
    feishu_box: FeishuBox, accounts: FeishuReferralAccounts, words: str, data: object
) -> None:
    answer_with(feishu_box, WITHDRAW, data)
    with pytest.raises(OutcomeUnknown, match=f"the response to a withdrawal {words}") as unknown:
        await accounts.withdraw(ACCOUNT, order_id="order-1", kinds=BOTH)

    (line,) = feishu_box.requests(WITHDRAW_PATH)
    assert line["log_id"] == unknown.value.log_id


async def test_an_answer_need_not_repeat_the_order_id(
    feishu_box: FeishuBox, accounts: FeishuReferralAccounts
) -> None:
    answer_with(feishu_box, WITHDRAW, {"withdrawal_details": {"point_bonus": 120}})
    withdrawn = await accounts.withdraw(ACCOUNT, order_id="order-1", kinds=BOTH)

    assert ("", None, {POINTS: Decimal(120)}) == (withdrawn.order_id, withdrawn.at, withdrawn.amounts)

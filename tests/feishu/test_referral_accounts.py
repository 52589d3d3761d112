"""Referral accounts: whose account it is, asked of the stand-in."""

from collections.abc import AsyncIterator

import pytest

from notifier.domain.account import Referrer
from notifier.errors import AccountUnknown, OutcomeUnknown, TemporaryFailure
from notifier.feishu.api import AppAccess, FeishuApi
from notifier.feishu.referral_accounts import FeishuReferralAccounts
from notifier.sandbox.testing import FeishuBox
from support.clock import FakeClock

ACCOUNT = "7000000000000000001"
READ = "GET /open-apis/hire/v1/referral_account/get_account_assets"


@pytest.fixture
async def accounts(feishu_box: FeishuBox, clock: FakeClock) -> AsyncIterator[FeishuReferralAccounts]:
    access = AppAccess(base_url=feishu_box.url, app_id=feishu_box.app_id, app_secret=feishu_box.app_secret)
    async with FeishuApi(access, clock) as api:
        yield FeishuReferralAccounts(api)


async def test_the_referrer_of_an_account_is_found_with_both_names(accounts: FeishuReferralAccounts) -> None:
    expected = Referrer(open_id="ou_sandbox_lin", name_zh="林小满（示例）", name_en="Lin Xiaoman (sample)")

    assert expected == await accounts.referrer(ACCOUNT)


async def test_a_deactivated_account_still_has_its_referrer(
    feishu_box: FeishuBox, accounts: FeishuReferralAccounts
) -> None:
    feishu_box.set_account(ACCOUNT, status=2)
    referrer = await accounts.referrer(ACCOUNT)

    assert referrer is not None
    assert "ou_sandbox_lin" == referrer.open_id


async def test_the_read_only_scope_is_enough(feishu_box: FeishuBox, accounts: FeishuReferralAccounts) -> None:
    feishu_box.set_scopes(["hire:referral_account:readonly"])

    assert await accounts.referrer(ACCOUNT) is not None


async def test_an_account_feishu_does_not_know_is_an_error_of_its_own(
    accounts: FeishuReferralAccounts,
) -> None:
    with pytest.raises(AccountUnknown) as unknown:
        await accounts.referrer("7000000000000009999")

    assert 1002553 == unknown.value.code


async def test_an_answer_that_names_nobody_is_nobody(
    feishu_box: FeishuBox, accounts: FeishuReferralAccounts
) -> None:
    body = '{"code": 0, "data": {"account": {"account_id": "7000000000000000001"}}}'
    feishu_box.add_call_fault({"match": READ, "action": "http", "status": 200, "body": body})

    assert await accounts.referrer(ACCOUNT) is None


async def test_a_system_error_leaves_the_question_open(
    feishu_box: FeishuBox, accounts: FeishuReferralAccounts
) -> None:
    feishu_box.add_call_fault(
        {"match": READ, "action": "code", "http_status": 500, "code": 1002001, "times": 1}
    )
    with pytest.raises(OutcomeUnknown):
        await accounts.referrer(ACCOUNT)

    assert await accounts.referrer(ACCOUNT) is not None


async def test_more_reads_than_feishu_allows_are_put_off(
    feishu_box: FeishuBox, accounts: FeishuReferralAccounts
) -> None:
    headers = {"x-ogw-ratelimit-reset": "1"}
    feishu_box.add_call_fault(
        {"match": READ, "action": "code", "http_status": 429, "code": 99991400, "headers": headers}
    )
    with pytest.raises(TemporaryFailure) as put_off:
        await accounts.referrer(ACCOUNT)

    assert 1 == put_off.value.retry_after_seconds

"""Referral accounts in Feishu Hire. Source: hire-v1 referral_account pages, read 2026-05: reads at most 10 a second,
withdrawals 100 a minute.
"""

from collections.abc import Collection, Mapping
from urllib.parse import quote

from notifier.domain.account import AccountState, Referrer, Withdrawn
from notifier.domain.money import Kind
from notifier.errors import OutcomeUnknown, Refused, TemporaryFailure
from notifier.feishu.api import ApiResponse, FeishuApi
from notifier.feishu.failures import FAILURE_RULES
from notifier.feishu.wire import read_referrer
from notifier.feishu.withdrawal_wire import read_account, read_withdrawn

BASE = "/open-apis/hire/v1/referral_account"
NONEXISTENT_ACCOUNT_ID = "1"
"""Asked for to see whether we may ask at all: Feishu checks app and scopes before it looks for the account."""
BONUS_TYPES: Mapping[Kind, int] = {Kind.POINTS: 1, Kind.CASH: 2}


class FeishuReferralAccounts:
    def __init__(self, api: FeishuApi) -> None:
        self._api = api

    async def referrer(self, account_id: str) -> Referrer | None:
        """None when the answer names nobody. Raises CallError; AccountUnknown when there is no such account."""
        answer = await self._get_account(account_id)
        return read_referrer(answer.data.get("account"))

    async def read(self, account_id: str) -> AccountState:
        """The account as it is now. Raises CallError as `referrer`; OutcomeUnknown when the balance is unreadable."""
        answer = await self._get_account(account_id)
        try:
            return read_account(answer.data.get("account"), at=answer.served_at)
        except ValueError as error:
            raise OutcomeUnknown(
                f"the answer about an account cannot be read: {error}", log_id=answer.log_id
            ) from error

    async def withdraw(self, account_id: str, *, order_id: str, kinds: Collection[Kind]) -> Withdrawn:
        """Books everything of these kinds as paid out; there is no way back.

        order_id: at most 64 of A-Z a-z 0-9 _ -; a repeat gives the original order and moves nothing.
        Raises CallError: after OutcomeUnknown it may have been booked, so only the same order_id may be tried again.
        """
        body = {
            "withdraw_bonus_type": sorted({BONUS_TYPES[kind] for kind in kinds}),
            "external_order_id": order_id,
        }
        try:
            answer = await self._api.call("POST", f"{BASE}/{quote(account_id, safe='')}/withdraw", body=body)
        except Refused as error:
            if error.code in FAILURE_RULES:
                raise
            # a code that nobody has explained to us is no proof that nothing moved
            raise OutcomeUnknown(error.reason, code=error.code, log_id=error.log_id) from error
        except TemporaryFailure as error:
            if error.code is not None or error.affects_whole_app:
                raise
            # a gateway spoke (408, 499, ...): Feishu behind it may have done it
            raise OutcomeUnknown(error.reason, log_id=error.log_id) from error
        try:
            withdrawn = read_withdrawn(answer.data)
        except ValueError as error:
            raise OutcomeUnknown(
                f"the answer to a withdrawal cannot be read: {error}", log_id=answer.log_id
            ) from error
        if withdrawn.order_id not in ("", order_id):
            raise OutcomeUnknown("the answer to a withdrawal names another order", log_id=answer.log_id)
        return withdrawn

    async def _get_account(self, account_id: str) -> ApiResponse:
        return await self._api.call(
            "GET",
            f"{BASE}/get_account_assets",
            query={"referral_account_id": account_id, "user_id_type": "open_id"},
        )

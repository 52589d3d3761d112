"""Referral accounts in Feishu Hire. Source: hire-v1 referral_account pages, read 2026-05: reads at most 10 a second."""

from notifier.domain.account import Referrer
from notifier.feishu.api import FeishuApi
from notifier.feishu.wire import read_referrer


class ReferralAccounts:
    def __init__(self, api: FeishuApi) -> None:
        self._api = api

    async def referrer(self, account_id: str) -> Referrer | None:
        """None when the answer names nobody. Raises CallError; AccountUnknown when there is no such account."""
        answer = await self._api.call(
            "GET",
            "/open-apis/hire/v1/referral_account/get_account_assets",
            query={"referral_account_id": account_id, "user_id_type": "open_id"},
        )
        return read_referrer(answer.data.get("account"))

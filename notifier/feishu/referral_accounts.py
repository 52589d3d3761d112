"""Referral accounts in Feishu Hire.

Source: hire-v1 referral_account pages, read 2026-05. Limits: 10 reads a second, 100 withdrawals a minute.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
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
"""Used to check permissions: Feishu checks the app and its scopes before it looks up the account."""
LONGEST_ACCOUNT_ID = 64
BONUS_TYPES: Mapping[Kind, int] = {Kind.POINTS: 1, Kind.CASH: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredState:
    """An account in the response to a registration.

    state: its balance; None if the response has no readable one.
    """

    account_id: str
    state: AccountState | None


class FeishuReferralAccounts:
    """Reads referral accounts and withdraws from them. Implements the port ReferralAccounts."""

    def __init__(self, api: FeishuApi) -> None:
        self._api = api

    async def referrer(self, account_id: str) -> Referrer | None:
        """Return the referrer, or None if the response names none.

        Raises CallError; AccountUnknown if the account does not exist.
        """
        response = await self._get_account(account_id)
        return read_referrer(response.data.get("account"))

    async def read(self, account_id: str) -> AccountState:
        """Return the current state of the account.

        Raises CallError like `referrer`; OutcomeUnknown if the balance is invalid.
        """
        response = await self._get_account(account_id)
        try:
            return read_account(response.data.get("account"), at=response.served_at)
        except ValueError as error:
            raise OutcomeUnknown(
                f"the response about an account is invalid: {error}", log_id=response.log_id
            ) from error

    async def withdraw(self, account_id: str, *, order_id: str, kinds: Collection[Kind]) -> Withdrawn:
        """Withdraw the whole balance of these kinds. A withdrawal cannot be reversed.

        order_id: idempotency key, at most 64 of A-Z a-z 0-9 _ -. A repeat returns the first result and withdraws
        nothing. Raises CallError. After OutcomeUnknown, repeat with the same order_id only.
        """
        body = {
            "withdraw_bonus_type": sorted({BONUS_TYPES[kind] for kind in kinds}),
            "external_order_id": order_id,
        }
        try:
            response = await self._api.call(
                "POST", f"{BASE}/{quote(account_id, safe='')}/withdraw", body=body
            )
        except Refused as error:
            if error.code in FAILURE_RULES:
                raise
            # an undocumented code does not prove that nothing was withdrawn
            raise OutcomeUnknown(error.reason, code=error.code, log_id=error.log_id) from error
        except TemporaryFailure as error:
            if error.code is not None or error.affects_whole_app:
                raise
            # a gateway responded (408, 499, ...); Feishu may have carried out the withdrawal
            raise OutcomeUnknown(error.reason, log_id=error.log_id) from error
        try:
            withdrawn = read_withdrawn(response.data)
        except ValueError as error:
            raise OutcomeUnknown(
                f"the response to a withdrawal is invalid: {error}", log_id=response.log_id
            ) from error
        if withdrawn.order_id not in ("", order_id):
            raise OutcomeUnknown("the response to a withdrawal names another order", log_id=response.log_id)
        return withdrawn

    async def create(
        self, *, email: str | None = None, mobile: tuple[str, str] | None = None
    ) -> RegisteredState:
        """Register a person by one or both of their e-mail address and mobile number.

        mobile: country code without +, and number. Feishu does not document what a repeated call returns: the same
        account, or an error. Raises CallError; the error of a refusal has code 1002551 or 1002552 if the contact data
        belong to nobody or to several people.
        """
        body: dict[str, object] = {}
        if email is not None:
            body["email"] = email
        if mobile is not None:
            body["mobile"] = {"code": mobile[0], "number": mobile[1]}
        return _read_registered(await self._api.call("POST", BASE, body=body))

    async def enable(self, account_id: str) -> RegisteredState:
        """Turn events and withdrawals of a deactivated account on again. Raises CallError."""
        body = {"referral_account_id": account_id}
        return _read_registered(await self._api.call("POST", f"{BASE}/enable", body=body))

    async def deactivate(self, account_id: str) -> RegisteredState:
        """Turn events and withdrawals of an account off. Raises CallError."""
        path = f"{BASE}/{quote(account_id, safe='')}/deactivate"
        return _read_registered(await self._api.call("POST", path))

    async def _get_account(self, account_id: str) -> ApiResponse:
        return await self._api.call(
            "GET",
            f"{BASE}/get_account_assets",
            query={"referral_account_id": account_id, "user_id_type": "open_id"},
        )


def _read_registered(response: ApiResponse) -> RegisteredState:
    account = response.data.get("account")
    account_id = account.get("account_id") if isinstance(account, dict) else None
    if isinstance(account_id, int) and not isinstance(account_id, bool):
        account_id = str(account_id)
    if not isinstance(account_id, str) or not account_id or len(account_id) > LONGEST_ACCOUNT_ID:
        raise OutcomeUnknown("the response about an account names no id", log_id=response.log_id)
    try:
        state = read_account(account, at=response.served_at)
    except ValueError:
        state = None
    return RegisteredState(account_id=account_id, state=state)

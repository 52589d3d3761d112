"""People and chats as Feishu may return them: absent, without an id, in another form, on several pages."""

import asyncio
from typing import Any

import pytest

from notifier.errors import OutcomeUnknown
from notifier.feishu.api import ApiResponse
from notifier.feishu.app_queries import list_chats
from notifier.feishu.people import FoundPerson, find_people
from notifier.feishu.referral_accounts import FeishuReferralAccounts


class Answers:
    """In place of the client: gives these `data` objects in turn, and keeps the calls."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self._answers = list(answers)
        self.calls: list[dict[str, Any]] = []

    async def call(self, method: str, path: str, **named: Any) -> ApiResponse:
        self.calls.append({"method": method, "path": path, **named})
        return ApiResponse(data=self._answers.pop(0), log_id="log", served_at=1_700_000_000_000)


def test_people_without_an_id_and_absent_ones_are_missing() -> None:
    users = [
        {"user_id": "ou_a", "email": "A@Sandbox.example"},
        {"email": "b@sandbox.example"},
        {"user_id": "", "email": "c@sandbox.example"},
        {"user_id": "ou_x", "email": "somebody.else@sandbox.example"},
        {"user_id": 5, "email": "d@sandbox.example"},
        "no object",
    ]
    gone = {"user_id": "ou_m", "mobile": "13800000002", "status": {"is_resigned": True}}
    api = Answers({"user_list": users}, {"user_list": [gone]})
    emails = [f"{name}@sandbox.example" for name in "abcde"]

    found = asyncio.run(find_people(api, emails=emails, mobiles=["+8613800000002"]))  # type: ignore[arg-type]

    assert {
        "a@sandbox.example": FoundPerson(open_id="ou_a"),
        "+8613800000002": FoundPerson(open_id="ou_m", has_resigned=True),
    } == found


def test_at_most_fifty_are_looked_up_in_a_call() -> None:
    api = Answers({}, {"user_list": None}, {"user_list": []})

    asyncio.run(find_people(api, emails=[f"{n}@sandbox.example" for n in range(120)] * 2))  # type: ignore[arg-type]

    assert [50, 50, 20] == [len(call["body"]["emails"]) for call in api.calls]


def test_a_page_token_that_repeats_ends_the_list_of_chats() -> None:
    page = {
        "items": [{"chat_id": "oc_1", "name": "A\u202eB\n"}, {"name": "no id"}],
        "has_more": True,
        "page_token": "p",
    }

    chats = asyncio.run(list_chats(Answers(page, page, page)))  # type: ignore[arg-type]

    assert [("oc_1", "A B", "")] == [(chat.chat_id, chat.name, chat.tenant_key) for chat in chats]


def test_a_registration_names_the_account_also_without_a_readable_balance() -> None:
    assets = {"confirmed_bonus": {"point_bonus": "a lot"}}
    api = Answers({"account": {"account_id": 7, "assets": assets}})
    accounts = FeishuReferralAccounts(api)  # type: ignore[arg-type]

    created = asyncio.run(accounts.create(email="a@sandbox.example", mobile=("86", "13800000002")))

    assert ("7", None) == (created.account_id, created.state)
    expected = {"email": "a@sandbox.example", "mobile": {"code": "86", "number": "13800000002"}}
    assert expected == api.calls[0]["body"]


@pytest.mark.parametrize(
    "account", [None, {}, {"account_id": ""}, {"account_id": True}, {"account_id": "7" * 65}]
)
def test_a_registration_without_an_id_may_have_succeeded(account: object) -> None:
    accounts = FeishuReferralAccounts(Answers({"account": account}))  # type: ignore[arg-type]
    with pytest.raises(OutcomeUnknown):
        asyncio.run(accounts.create(email="a@sandbox.example"))

"""Referral accounts: read, paid out, switched off and on."""

from typing import Any

import pytest

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import api, listening

BASE = "/hire/v1/referral_account"
LIN, ZHOU = "7000000000000000001", "7000000000000000004"


def withdraw(box: FeishuBox, order: Any = "o-1", kinds: Any = (1, 2), account: str = LIN) -> Any:
    body = {
        "external_order_id": order,
        "withdraw_bonus_type": list(kinds) if isinstance(kinds, tuple) else kinds,
    }
    return api(
        box,
        "POST",
        f"{BASE}/{account}/withdraw",
        {key: value for key, value in body.items() if value is not None},
    )


def test_an_account_is_read_with_its_referrer(feishu_box: FeishuBox) -> None:
    reply = api(feishu_box, "GET", f"{BASE}/get_account_assets?referral_account_id={LIN}")

    assets = {
        "confirmed_bonus": {"point_bonus": 120, "cash_bonus": [{"currency_type": "CNY", "amount": 350.5}]}
    }
    names = {"zh_cn": "林小满（示例）", "en_us": "Lin Xiaoman (sample)"}
    expected = {
        "account_id": LIN,
        "assets": assets,
        "status": 1,
        "referrer": {"id": "ou_sandbox_lin", "name": names},
    }
    assert expected == reply.data["account"]


def test_the_referrers_address_needs_a_scope_of_its_own(feishu_box: FeishuBox) -> None:
    feishu_box.set_scopes(["hire:referral_account:readonly", "hire:employee.email:readonly"])
    path = f"{BASE}/get_account_assets?referral_account_id={LIN}&user_id_type=union_id"
    referrer = api(feishu_box, "GET", path).data["account"]["referrer"]

    assert ("on_sandbox_lin", "lin@sandbox.example") == (referrer["id"], referrer["email"])
    assert "mobile" not in referrer


def test_an_account_without_cash_has_an_empty_list(feishu_box: FeishuBox) -> None:
    account = api(feishu_box, "GET", f"{BASE}/get_account_assets?referral_account_id={ZHOU}").data["account"]

    assert {"point_bonus": 0, "cash_bonus": []} == account["assets"]["confirmed_bonus"]


@pytest.mark.parametrize(
    "query, code",
    [
        ("referral_account_id=1", 1002553),
        ("", 99992402),
        (f"referral_account_id={LIN}&user_id_type=name", 99992402),
    ],
)
def test_a_bad_question_for_an_account_is_refused(feishu_box: FeishuBox, query: str, code: int) -> None:
    assert code == api(feishu_box, "GET", f"{BASE}/get_account_assets?{query}").code


def test_a_withdrawal_withdraws_everything_and_pushes_an_event(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener:
        reply = withdraw(feishu_box)
        frame, event = listener.event()
        listener.acknowledge(frame)

    details = {"point_bonus": 120, "cash_bonus": [{"currency_type": "CNY", "amount": 350.5}]}
    assert ("o-1", details) == (reply.data["external_order_id"], reply.data["withdrawal_details"])
    left = {"point_bonus": 0, "cash_bonus": [{"currency_type": "CNY", "amount": 0.0}]}
    assert left == event["event"]["assets"]["confirmed_bonus"]
    account = feishu_box.account(LIN)
    assert (0, [{"currency": "CNY", "amount": "0.00"}]) == (account["points"], account["cash"])


def test_a_repeated_order_id_gives_back_the_original_order(feishu_box: FeishuBox) -> None:
    first = withdraw(feishu_box)
    feishu_box.change_balance(LIN, points=50)
    feishu_box.set_account(LIN, status=2)

    assert first.content == withdraw(feishu_box).content
    assert feishu_box.account(LIN)["points"] == 50


def test_every_withdrawal_is_kept_with_how_often_it_was_asked_for(feishu_box: FeishuBox) -> None:
    at_ms = int(withdraw(feishu_box).data["trans_time"])
    feishu_box.set_account(LIN, status=2)
    withdraw(feishu_box)
    withdraw(feishu_box, "o-2", account=ZHOU)
    withdraw(feishu_box, "o-3", account="1")

    first, second = feishu_box.withdrawals()
    expected = {
        "order_id": "o-1",
        "account_id": LIN,
        "points": 120,
        "cash": [{"currency": "CNY", "amount": "350.50"}],
        "at_ms": at_ms,
        "request_count": 2,
    }
    assert expected == first
    assert ("o-2", 0, [], 1) == (
        second["order_id"],
        second["points"],
        second["cash"],
        second["request_count"],
    )
    assert [second, first] == feishu_box.state()["withdrawals"]


def test_the_order_id_of_another_account_is_refused(feishu_box: FeishuBox) -> None:
    withdraw(feishu_box)
    feishu_box.change_balance(ZHOU, points=7)

    assert 1002002 == withdraw(feishu_box, account=ZHOU).code
    assert 7 == feishu_box.account(ZHOU)["points"]
    assert [1] == [order["request_count"] for order in feishu_box.withdrawals()]


def test_one_kind_alone_can_be_withdrawn(feishu_box: FeishuBox) -> None:
    details = withdraw(feishu_box, kinds=(1,)).data["withdrawal_details"]

    assert {"point_bonus": 120, "cash_bonus": []} == details
    assert [{"currency": "CNY", "amount": "350.50"}] == feishu_box.account(LIN)["cash"]


def test_an_empty_withdrawal_succeeds_or_is_refused_as_set(feishu_box: FeishuBox) -> None:
    assert {"point_bonus": 0, "cash_bonus": []} == withdraw(feishu_box, account=ZHOU).data[
        "withdrawal_details"
    ]
    assert [] == feishu_box.events()
    with FeishuBox(SandboxSettings(empty_withdrawal_refused=True)) as strict:
        assert 1002002 == withdraw(strict, account=ZHOU).code


@pytest.mark.parametrize(
    "order, kinds, code",
    [
        (None, (1,), 99992402),
        (5, (1,), 9499),
        ("o", None, 99992402),
        ("o", "1", 9499),
        ("o", ("1",), 9499),
        ("o", (True,), 9499),
        ("o", (), 1002002),
        ("o", (3,), 1002002),
    ],
)
def test_a_bad_withdrawal_changes_nothing(feishu_box: FeishuBox, order: Any, kinds: Any, code: int) -> None:
    assert code == withdraw(feishu_box, order, kinds).code
    assert feishu_box.account(LIN)["points"] == 120


def test_a_deactivated_account_pays_nothing_out_until_it_is_enabled(feishu_box: FeishuBox) -> None:
    assert 2 == api(feishu_box, "POST", f"{BASE}/{LIN}/deactivate").data["account"]["status"]
    assert (400, 1002555) == (withdraw(feishu_box).status, withdraw(feishu_box).code)
    enabled = api(feishu_box, "POST", f"{BASE}/enable", {"referral_account_id": LIN})

    assert 1 == enabled.data["account"]["status"]
    assert 0 == withdraw(feishu_box).code


def test_an_unknown_account_is_refused_everywhere(feishu_box: FeishuBox) -> None:
    codes = [
        withdraw(feishu_box, account="1").code,
        api(feishu_box, "POST", f"{BASE}/1/deactivate").code,
        api(feishu_box, "POST", f"{BASE}/enable", {"referral_account_id": "1"}).code,
    ]

    assert [1002553] * 3 == codes


def test_a_person_is_registered_once(feishu_box: FeishuBox) -> None:
    by_mail = api(feishu_box, "POST", BASE, {"email": "lin@sandbox.example"})
    by_phone = api(feishu_box, "POST", BASE, {"mobile": {"code": "86", "number": "13800000001"}})

    assert LIN == by_mail.data["account"]["account_id"] == by_phone.data["account"]["account_id"]
    assert 1002551 == api(feishu_box, "POST", BASE, {"email": "nobody@sandbox.example"}).code
    assert 1002002 == api(feishu_box, "POST", BASE, {}).code


def test_reading_alone_does_not_allow_a_withdrawal(feishu_box: FeishuBox) -> None:
    feishu_box.set_scopes(["hire:referral_account:readonly"])

    assert 99991672 == withdraw(feishu_box).code

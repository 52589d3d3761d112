"""External rewards: imported once, counted if confirmed, deleted again."""

from typing import Any

import pytest

from notifier.sandbox.testing import FeishuBox
from sandbox.clients import Reply, api

PATH = "/hire/v1/external_referral_rewards"
ACCOUNT, LIN = "7000000000000000001", "ou_sandbox_lin"

GOOD: dict[str, Any] = {
    "referral_user_id": LIN,
    "external_id": "e-1",
    "talent_id": "700",
    "rule_type": 5,
    "bonus": {"bonus_type": 1, "point_bonus": 5},
    "stage": 2,
}


@pytest.mark.parametrize(
    "change, code",
    [
        ({}, 0),
        ({"referral_user_id": "ou_nobody"}, 1002002),
        ({"talent_id": ""}, 1002002),
        ({"rule_type": 6}, 1002002),
        ({"rule_type": "5"}, 9499),
        ({"stage": 0}, 1002002),
        ({"stage": None}, 99992402),
        ({"external_id": ""}, 99992402),
        ({"bonus": None}, 99992402),
        ({"bonus": {"bonus_type": 2}}, 9499),
        ({"bonus": {"bonus_type": 2, "cash": {"currency_type": "CNY", "amount": -1}}}, 1002002),
        ({"bonus": {"bonus_type": 2, "cash": {"currency_type": "XXX", "amount": 1}}}, 1002002),
        ({"bonus": {"bonus_type": 1, "point_bonus": -1}}, 1002002),
    ],
)
def test_the_stand_in_checks_a_reward(feishu_box: FeishuBox, change: dict[str, Any], code: int) -> None:
    answer = api(feishu_box, "POST", PATH, GOOD | change)

    assert code == answer.code
    assert (125 if not code else 120) == feishu_box.account(ACCOUNT)["points"]


def test_the_stand_in_counts_confirmed_rewards_once_and_limits_the_calls(feishu_box: FeishuBox) -> None:

    def post(**change: object) -> Reply:
        return api(feishu_box, "POST", PATH, GOOD | change)

    first = post().data["id"]
    assert first == post().data["id"]
    pending = post(external_id="e-2", stage=1).data["id"]
    assert 125 == feishu_box.account(ACCOUNT)["points"]
    assert [0, 0, 1002002] == [
        api(feishu_box, "DELETE", f"{PATH}/{each}").code for each in (first, pending, first)
    ]
    assert 120 == feishu_box.account(ACCOUNT)["points"]
    assert 2 == len(feishu_box.events())
    codes = [post(external_id=f"x-{number}").code for number in range(30)]
    assert 99991400 in codes

"""What an operator sees of withdrawals, and the one thing to be done by hand."""

import json
from pathlib import Path

from notifier.sandbox.testing import FeishuBox
from support.running import running_notifier
from support.waiting import wait_until

SETTINGS = "withdrawals:\n  offer_to: [referrer]\n"
LIN, LIN_ACCOUNT = "ou_sandbox_lin", "7000000000000000001"


def test_an_order_that_waits_is_seen_hurried_and_ends(feishu_box: FeishuBox, tmp_path: Path) -> None:
    with running_notifier(feishu_box, tmp_path, more=SETTINGS) as notifier:
        assert "No withdrawals.\n" == notifier.command("withdrawals", "list").stdout
        assert "Nothing in the audit trail.\n" == notifier.command("audit").stdout
        feishu_box.change_balance(LIN_ACCOUNT, cash={"CNY": "+500.00"})
        notifier.wait_until_settled()
        feishu_box.add_call_fault(
            {
                "match": "POST /open-apis/hire/v1/referral_account/*/withdraw",
                "action": "code",
                "code": 1002001,
                "http_status": 500,
                "headers": {"x-ogw-ratelimit-reset": "3000"},
                "times": 1,
            }
        )
        card = json.dumps(feishu_box.messages(LIN)[-1]["content"])
        ref = card.split('"ref": "')[1].split('"')[0]
        feishu_box.click(feishu_box.messages(LIN)[-1]["message_id"], LIN, {"ref": ref})

        def listed() -> list[dict[str, object]]:
            orders: list[dict[str, object]] = json.loads(
                notifier.command("withdrawals", "list", "--json").stdout
            )
            return orders

        waiting = wait_until(lambda: [each for each in listed() if each["code"] == 1002001], "it waits")
        order_id = str(waiting[0]["order_id"])
        shown = notifier.command("withdrawals", "show", order_id).stdout
        assert "the outcome is not known" in shown
        assert "850.50 CNY" in shown

        resumed = notifier.command("withdrawals", "resume", order_id)
        assert 0 == resumed.returncode, resumed.stderr

        wait_until(lambda: listed()[0]["state"] == "withdrawn", "it is withdrawn")
        trail = json.loads(notifier.command("audit", "--order", order_id, "--json").stdout)
        assert ["answer", "manual", "answer", "order"] == [each["action"] for each in trail]
        again = notifier.command("withdrawals", "resume", order_id)
        assert (1, True) == (again.returncode, "is not waiting" in again.stderr)
        nowhere = notifier.command("withdrawals", "show", "rn-none")
        assert (1, True) == (nowhere.returncode, "there is no withdrawal rn-none" in nowhere.stderr)

"""kill -9 at any moment between a click and the last card: the money moves once, and every card shows the end."""

import os
import random
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from notifier.sandbox.box import FeishuBox
from notifier.store import card_updates, ledger, withdrawals
from support.running import running_notifier, texts
from support.waiting import wait_until

KILLS = int(os.environ.get("NOTIFIER_TESTS_KILLS", "5"))
LONGEST_SECONDS = 1.6
"""From the click to the last card it takes about a second here, so kills fall before, into and after each step."""

LIN, LIN_ACCOUNT = "ou_sandbox_lin", "7000000000000000001"
SETTINGS = """\
withdrawals:
  offer_to: [referrer, hr]
routes:
  - name: everybody
    to: [referrer, hr]
"""


def refs(node: object) -> list[str]:
    match node:
        case {"type": "callback", "value": {"ref": str(ref)}}:
            return [ref]
        case dict():
            return [ref for each in node.values() for ref in refs(each)]
        case list():
            return [ref for each in node for ref in refs(each)]
        case _:
            return []


@pytest.mark.timeout(120 + 20 * KILLS)
def test_a_kill_at_any_moment_loses_no_money_and_moves_none_twice(
    feishu_box: FeishuBox, tmp_path: Path
) -> None:
    chance = random.Random(7)
    with running_notifier(feishu_box, tmp_path, more=SETTINGS, timeout_seconds=2) as notifier:

        def at_rest() -> bool:
            with notifier.open_database() as database, database.read() as connection:
                waiting = withdrawals.listed(connection, states=("requested",), limit=1)
                return not waiting and card_updates.behind(connection) == 0

        for number in range(KILLS):
            feishu_box.change(LIN_ACCOUNT, cash={"CNY": f"+{number + 1}.00"})
            notifier.wait_until_settled()
            card = feishu_box.messages(LIN)[-1]
            for ref in refs(card["content"]):
                _click_beside(feishu_box, card, ref)
            threading.Event().wait(
                chance.uniform(0, LONGEST_SECONDS)
            )  # the moment of the kill is the input here
            notifier.kill()
            notifier.start()
            wait_until(at_rest, "orders are over and cards show it", seconds=60)
            notifier.wait_until_settled()

        with notifier.open_database() as database, database.read() as connection:
            ours = withdrawals.listed(connection, states=("withdrawn",), limit=10_000)
            unbalanced = ledger.imbalances(connection)
        theirs = {each["order_id"]: each for each in feishu_box.withdrawals()}
        assert [] == unbalanced
        assert {each.order_id for each in ours} == {key for key, each in theirs.items() if each["cash"]}
        earned = Decimal("350.50") + sum(range(1, KILLS + 1))
        taken = sum(Decimal(cash["amount"]) for each in theirs.values() for cash in each["cash"])
        left = sum(Decimal(cash["amount"]) for cash in feishu_box.account(LIN_ACCOUNT)["cash"])
        assert earned == taken + left
        for order in ours:
            assert _cards_showing(feishu_box, order.order_id), order.order_id


def _click_beside(box: FeishuBox, card: dict[str, Any], ref: str) -> None:
    """A click whose answer may never come, as the notifier dies meanwhile."""
    threading.Thread(target=box.click, args=(card["message_id"], LIN, {"ref": ref}), daemon=True).start()


def _cards_showing(box: FeishuBox, order_id: str) -> int:
    return sum(
        any(order_id in text for text in texts(message["content"]))
        and any("已提现" in text for text in texts(message["content"]))
        for message in box.all_messages()
        if message["msg_type"] == "interactive"
    )

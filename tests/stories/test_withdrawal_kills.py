"""kill -9 at every step between a click and the last card: money moves once, is paid once, and every card shows it.

NOTIFIER_TESTS_KILLS says how many; `make kills` runs 200.
"""

import os
import random
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from notifier.domain.withdrawal import Withdrawal
from notifier.sandbox.testing import FeishuBox
from notifier.store import ledger, withdrawals
from notifier.store.engine.database import Database
from support import payout_checks as money
from support.cards import balance_card, find_button_ref
from support.ports import free_port
from support.running import RunningNotifier, running_notifier
from support.waiting import wait_until

KILLS = int(os.environ.get("NOTIFIER_TESTS_KILLS", "7"))
LONGEST_SECONDS = 1.6
"""From the click to the last card it takes about a second here: a kill at random falls before, into or after it."""

LIN, LIN_ACCOUNT = "ou_sandbox_lin", "7000000000000000001"
ROUTES = """\
routes:
  - name: everybody
    to: [referrer, hr]
"""


class KillScenario:
    """One notifier that is killed again and again."""

    def __init__(self, notifier: RunningNotifier, database: Database, chance: random.Random) -> None:
        self.notifier, self.box, self.database, self.chance = notifier, notifier.box, database, chance

    def newest(self) -> Withdrawal | None:
        with self.database.read() as connection:
            return next(iter(withdrawals.list_withdrawals(connection, states=(), limit=1)), None)

    def wait_for_fault(self, match: str, action: str) -> None:
        """Returns while the call hangs, so that the kill falls into it."""
        fault = self.box.add_call_fault({"match": match, "action": action, "times": 1, "seconds": 30})
        self.click()
        self.box.wait_for(
            lambda: self.box.count_call_fault_hits(fault) == 1, f"{match} is under way", timeout=30
        )

    def click(self) -> None:
        """Its answer may never come, as the notifier dies meanwhile."""
        card = balance_card(self.box, LIN)
        click = (card["message_id"], LIN, {"ref": find_button_ref(card)})
        threading.Thread(target=self.box.click, args=click, daemon=True).start()

    def is_settled(self) -> bool:
        return money.is_settled(self.database)


def at_any_moment(scene: KillScenario) -> None:
    scene.click()
    threading.Event().wait(
        scene.chance.uniform(0, LONGEST_SECONDS)
    )  # the moment of the kill is the input here


def when_the_intent_is_on_disk(scene: KillScenario) -> None:
    before = scene.newest()
    scene.click()
    wait_until(lambda: scene.newest() != before, "the order is on disk")


def in_the_call(scene: KillScenario) -> None:
    scene.wait_for_fault(money.WITHDRAW, "hang")


def before_the_answer(scene: KillScenario) -> None:
    scene.wait_for_fault(money.WITHDRAW, "hang_after")


def when_the_payout_arrives(scene: KillScenario) -> None:
    before = len(scene.box.payouts())
    scene.click()
    scene.box.wait_for(lambda: len(scene.box.payouts()) > before, "the payout arrives", timeout=30)


def when_it_is_reported_paid(scene: KillScenario) -> None:
    when_the_payout_arrives(scene)
    order_id = scene.box.payouts()[-1]["order_id"]
    threading.Thread(target=scene.box.report_payout, args=(order_id, "paid", order_id), daemon=True).start()
    threading.Event().wait(scene.chance.uniform(0, 0.05))  # as above


def in_the_change_of_a_card(scene: KillScenario) -> None:
    scene.wait_for_fault(money.PATCH, "hang")


STEPS: tuple[Callable[[KillScenario], None], ...] = (
    when_the_intent_is_on_disk,
    in_the_call,
    before_the_answer,
    when_the_payout_arrives,
    in_the_change_of_a_card,
    when_it_is_reported_paid,
    at_any_moment,
)


@pytest.fixture
def scene(feishu_box: FeishuBox, tmp_path: Path) -> Iterator[KillScenario]:
    port = free_port()
    feishu_box.set_payout_report_url(f"http://127.0.0.1:{port}/payouts/report")
    settings = ROUTES + money.SETTINGS.format(url=feishu_box.url, port=port)
    with (
        running_notifier(feishu_box, tmp_path, more=settings, timeout_seconds=2) as notifier,
        notifier.open_database() as database,
    ):
        yield KillScenario(notifier, database, random.Random(7))


@pytest.mark.timeout(120 + 30 * KILLS)
def test_a_kill_at_any_step_loses_no_money_and_moves_none_twice(scene: KillScenario) -> None:
    box, notifier = scene.box, scene.notifier
    for number in range(KILLS):
        box.change_balance(LIN_ACCOUNT, cash={"CNY": f"+{number + 1}.00"})
        notifier.wait_until_settled()
        STEPS[number % len(STEPS)](scene)
        notifier.kill()
        box.clear_call_faults()
        notifier.start()
        wait_until(scene.is_settled, "orders are over, handed over and shown", seconds=60)
        notifier.wait_until_settled()
        money.pay_withdrawn_orders(box)
    wait_until(scene.is_settled, "every card shows the end", seconds=60)
    notifier.wait_until_settled()

    with scene.database.read() as connection:
        ours = withdrawals.list_withdrawals(connection, states=("withdrawn",), limit=10_000)
        unbalanced = ledger.find_imbalances(connection)
    assert KILLS - KILLS // len(STEPS) <= len(ours), "a kill at random may come before the click"
    assert [] == unbalanced
    assert [] == money.problems(box, scene.database)
    earned = Decimal("350.50") + sum(range(1, KILLS + 1))
    taken = sum(money.cash(each["cash"]) for each in box.withdrawals())
    assert earned == taken + money.cash(box.account(LIN_ACCOUNT)["cash"])

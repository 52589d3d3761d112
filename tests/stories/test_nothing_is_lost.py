"""The promises about money: nothing lost, nothing told twice, the books add up; whatever the order, whoever dies."""

import json
import random
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from notifier.domain.event import BALANCE_CHANGED, AccountKey
from notifier.domain.money import POINTS, Asset, Kind
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from notifier.store import ledger
from notifier.store.deliveries import delivery_admin
from support.running import RunningNotifier, running_notifier

ACCOUNTS = 40
START = 1_760_000_000_000
CNY = Asset(Kind.CASH, "CNY")

NO_READS = "reconciliation:\n  on_connect: false\n  every_hours: null\n"
"""The events here are invented: the stand-in holds other balances, and a slow machine would have time to read them."""


def payload(box: FeishuBox, account_id: str, number: int, *, points: int, cash: str) -> str:
    """The event that leaves the account with these holdings; number says when."""
    moment = str(START + number * 1000)
    document: dict[str, Any] = {
        "schema": "2.0",
        "header": {
            "event_id": f"ev-{account_id}-{number}",
            "event_type": BALANCE_CHANGED,
            "create_time": moment,
            "token": "",
            "app_id": box.app_id,
            "tenant_key": "sandbox-tenant",
        },
        "event": {
            "account_id": account_id,
            "assets": {
                "confirmed_bonus": {
                    "point_bonus": points,
                    "cash_bonus": [{"currency_type": "CNY", "amount": float(cash)}],
                }
            },
            "modify_time": moment,
        },
    }
    return json.dumps(document)


def history(
    box: FeishuBox, rng: random.Random, *, events: int
) -> tuple[list[str], dict[str, tuple[int, str]]]:
    """Payloads in order of time, and what each account holds in the end."""
    accounts = [account["account_id"] for account in box.accounts()][:ACCOUNTS]
    payloads, last = [], {}
    for number in range(events):
        account = accounts[number % len(accounts)]
        last[account] = (rng.randrange(10_000), f"{rng.randrange(1_000_000) / 100:.2f}")
        points, cash = last[account]
        payloads.append(payload(box, account, number, points=points, cash=cash))
    return payloads, last


def assert_books(notifier: RunningNotifier, last: dict[str, tuple[int, str]]) -> None:
    """Every account holds what its newest event said, and its changes add up to it."""
    with notifier.open_database() as database, database.read() as connection:
        for account_id, (points, cash) in last.items():
            key = AccountKey(
                tenant_key="sandbox-tenant",
                app_id=notifier.box.app_id,
                account_id=account_id,
            )
            newest, _ = ledger.load_history(connection, key)[-1]
            expected = {CNY: Decimal(cash), POINTS: Decimal(points)}
            assert {asset: amount for asset, amount in expected.items() if amount} == newest.amounts
        assert [] == ledger.find_imbalances(connection)


def assert_each_told_once(notifier: RunningNotifier) -> None:
    """As many messages as deliveries sent, each in the chat once, and Feishu never had to refuse us."""
    messages = notifier.box.all_messages()
    with notifier.open_database() as database, database.read() as connection:
        counts = delivery_admin.count_by_state(connection)
    seen = Counter((m["chat_id"], json.dumps(m["content"], sort_keys=True)) for m in messages)

    assert {"sent": len(messages)} == counts
    assert [] == [card for card, times in seen.items() if times > 1]


@pytest.fixture
def crowd() -> SandboxSettings:
    """Many accounts, and redelivery without the long pauses of the real platform, for as long as a restart takes."""
    return SandboxSettings(extra_accounts=ACCOUNTS, redelivery_seconds=(0.5,) * 6 + (2.0,) * 60)


def test_500_shuffled_events_with_repeats_end_in_the_right_balances(
    crowd: SandboxSettings, tmp_path: Path
) -> None:
    rng = random.Random(20260115)
    with FeishuBox(crowd) as box, running_notifier(box, tmp_path, more=NO_READS) as notifier:
        payloads, last = history(box, rng, events=500)
        deck = payloads + rng.sample(payloads, 150)
        rng.shuffle(deck)

        for each in deck:
            box.push_payload(each)
        notifier.wait_until_settled()

        assert_books(notifier, last)
        assert_each_told_once(notifier)
        assert {} == box.refusals()


@pytest.mark.timeout(240)
def test_a_process_killed_in_the_middle_of_1000_events_loses_and_repeats_nothing(
    crowd: SandboxSettings, tmp_path: Path
) -> None:
    rng = random.Random(7)
    with FeishuBox(crowd) as box, running_notifier(box, tmp_path, more=NO_READS) as notifier:
        payloads, last = history(box, rng, events=1000)
        rng.shuffle(payloads)
        for kill_after, batch in [(120, payloads[:500]), (700, payloads[500:])]:
            for each in batch:
                box.push_payload(each)
            box.wait_for(
                lambda enough=kill_after: sum(e["state"] == "acknowledged" for e in box.events()) >= enough,  # type: ignore[misc]
                f"{kill_after} events are acknowledged",
                timeout=60,
            )
            box.wait_for(box.all_messages, "the first cards are out", timeout=30)
            notifier.kill()
            notifier.start()
        notifier.wait_until_settled(seconds=120)

        assert_books(notifier, last)
        assert_each_told_once(notifier)


def test_an_event_nobody_listened_to_arrives_later(notifier: RunningNotifier) -> None:
    box = notifier.box
    assert 0 == notifier.stop()

    box.change_balance("7000000000000000001", points=5)
    notifier.start()

    box.wait_for(lambda: box.messages("ou_sandbox_lin"), "the card", timeout=20)


def test_a_lost_connection_is_made_again(notifier: RunningNotifier) -> None:
    box = notifier.box

    box.disconnect_all()
    box.wait_for(lambda: box.connections() == 1, "the notifier is back", timeout=20)
    box.change_balance("7000000000000000001", points=5)

    box.wait_for(lambda: box.messages("ou_sandbox_lin"), "the card", timeout=20)

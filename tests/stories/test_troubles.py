"""Troubles that an operator must see: `notifier status --check` names each, and exits with 1."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifier.sandbox.settings import ClientConfig, SandboxSettings
from notifier.sandbox.testing import FeishuBox
from support.cards import press_button
from support.running import RunningNotifier
from support.waiting import wait_until

LIN, LIN_ACCOUNT = "ou_sandbox_lin", "7000000000000000001"
MORE = """\
withdrawals:
  offer_to: [referrer]
payouts:
  url: {url}/payroll/payouts
  secret: sandbox-payout-secret
  alarm_group: hr
reconciliation:
  grace_seconds: 1
  every_hours: 0.002
cards:
  template_dir: {templates}
"""


@pytest.fixture
def box() -> Iterator[FeishuBox]:
    settings = SandboxSettings(
        client_config=ClientConfig(ping_interval_seconds=2), redelivery_seconds=(600,) * 4
    )
    with FeishuBox(settings) as started:
        yield started


@pytest.fixture
def notifier(box: FeishuBox, tmp_path: Path) -> Iterator[RunningNotifier]:
    templates = tmp_path / "templates"
    templates.mkdir()
    running = RunningNotifier(
        box, tmp_path, more=MORE.format(url=box.url, templates=templates), timeout_seconds=1
    )
    running.start()
    yield running
    if not running.ended:
        running.kill()


def check(notifier: RunningNotifier) -> tuple[int, str]:
    ran = notifier.command("status", "--check")
    assert ran.stdout.count("\n") == 1, ran.stdout
    return ran.returncode, ran.stdout


def wait_for_trouble(notifier: RunningNotifier, words: str, *, seconds: float = 60) -> None:
    def is_named() -> bool:
        code, line = check(notifier)
        return (code, words in line) == (1, True)

    wait_until(is_named, words, seconds=seconds)


def give_reward(notifier: RunningNotifier) -> None:
    notifier.box.change_balance(LIN_ACCOUNT, cash={"CNY": "+1.00"})


@pytest.mark.timeout(600)
def test_every_trouble_is_named_by_the_check(notifier: RunningNotifier, tmp_path: Path) -> None:
    """One after another in the same process; some of them last."""
    box = notifier.box
    wait = functools.partial(wait_for_trouble, notifier)
    give_reward(notifier)
    notifier.wait_until_settled()
    wait_until(lambda: check(notifier)[0] == 0, "all is well")
    assert check(notifier)[1].startswith("OK: running for ")

    refused = box.start_fault("handshake_refused")
    box.disconnect_all()
    wait("connection lost")
    box.end_fault(refused)
    box.wait_for(lambda: box.connections() > 0, "connected again", timeout=60)

    box.set_other_connections(1)
    wait("1 connections of other programs receive our events", seconds=90)
    box.set_other_connections(0)

    box.hold()
    give_reward(notifier)
    wait("1 changes without an event")
    box.release()

    limited = box.start_fault("429", reset_seconds=60)
    give_reward(notifier)
    wait("on hold for")
    box.end_fault(limited)

    (tmp_path / "templates" / "balance_change.json.j2").write_text("{{ nothing_here }}", encoding="utf-8")
    notifier.stop()
    notifier.start()
    box.advance(61)
    give_reward(notifier)
    wait("1 cards in a lower variant within 24 h", seconds=90)
    (tmp_path / "templates" / "balance_change.json.j2").unlink()

    box.push_payload("{}")
    wait("1 quarantined events")


@pytest.mark.timeout(600)
def test_troubles_of_calls_money_and_processes(notifier: RunningNotifier) -> None:
    box = notifier.box
    wait = functools.partial(wait_for_trouble, notifier)
    give_reward(notifier)
    notifier.wait_until_settled()

    lost = box.start_fault("timeout_after_success", match="POST /open-apis/hire/*/withdraw")
    press_button(box, LIN, LIN)
    wait("1 withdrawals without a clear answer")
    box.end_fault(lost)
    wait_until(box.payouts, "it is withdrawn, and submitted", seconds=60)
    order_id = box.payouts()[0]["order_id"]
    assert notifier.command("payouts", "mark", order_id, "failed", "--reason", "closed").returncode == 0
    wait("1 failed payouts")

    failing = box.start_fault("500", match="POST /open-apis/im/*")
    give_reward(notifier)
    wait("calls in 5 minutes sent no message")
    box.end_fault(failing)

    box.set_scopes({"hire:referral_account:readonly"})
    give_reward(notifier)
    wait("1 dead deliveries")

    for _ in range(3):
        notifier.stop()
        notifier.start()
    wait("4 starts within 15 minutes")

    notifier.kill()
    wait("no heartbeat")

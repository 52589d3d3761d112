"""The metrics move as the thing happens, in the real program.

NOTIFIER_TESTS_SCRAPES sets the number of scrapes of the leak test, such as 10,000.
"""

import contextlib
import http.client
import json
import math
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifier import __version__
from notifier.sandbox.testing import FeishuBox
from notifier.store import card_updates
from support.cards import press_button
from support.ports import free_port
from support.replica_set import replica_set
from support.running import RunningNotifier, running_notifier
from support.scraping import Scraper, scrape
from support.waiting import wait_until

SCRAPES = int(os.environ.get("NOTIFIER_TESTS_SCRAPES", "2500"))
LIN, LIN_ACCOUNT, HR = "ou_sandbox_lin", "7000000000000000001", "oc_sandbox_hr"
MORE = """\
health:
  listen: 127.0.0.1:{port}
withdrawals:
  offer_to: [referrer]
routes:
  - name: to the referrer
    to: [referrer]
payouts:
  url: {url}/payroll/payouts
  secret: sandbox-payout-secret
  alarm_group: hr
digests:
  - name: monthly
    to: [hr]
    at: "09:07"
    period: month
"""


@pytest.fixture
def metrics(notifier: RunningNotifier) -> Scraper:
    return Scraper(notifier.health_port)


@pytest.fixture
def notifier(feishu_box: FeishuBox, tmp_path: Path) -> Iterator[RunningNotifier]:
    port = free_port()
    more = MORE.format(port=port, url=feishu_box.url)
    with running_notifier(feishu_box, tmp_path, more=more, timeout_seconds=2) as running:
        running.health_port = port
        yield running


def settle(notifier: RunningNotifier) -> None:
    """Waits until every card is sent and shows the newest state."""
    notifier.wait_until_settled()
    with notifier.open_database() as database:

        def is_settled() -> bool:
            with database.read() as connection:
                return card_updates.count_pending(connection) == 0

        wait_until(is_settled, "no card is out of date", seconds=60)


def test_an_event_its_repeat_and_its_card(notifier: RunningNotifier, metrics: Scraper) -> None:
    box = notifier.box
    metrics.wait_for("connected", 1)
    metrics.wait_for("leader", 1)
    metrics.wait_for("database_up", 1)
    with (
        metrics.rises("events_received_total", kind="balance"),
        metrics.rises("acknowledgement_seconds_count", kind="balance"),
        metrics.rises("notices_total"),
        metrics.rises("sends_total", result="sent"),
        metrics.rises("delivery_outcomes_total", outcome="sent"),
        metrics.rises("event_to_card_seconds_count"),
    ):
        box.change_balance(LIN_ACCOUNT, cash={"CNY": "+500.00"})
    with (
        metrics.rises("events_received_total", by=2, kind="balance"),
        metrics.rises("events_duplicate_total"),
        metrics.rises("sends_total", result="sent"),
    ):
        box.change_balance(LIN_ACCOUNT, cash={"CNY": "+1.00"}, send="twice")
    settle(notifier)
    assert metrics.get("events_quarantined_total") == 0
    assert 0 < metrics.get("quota_used", limit="messages_per_minute") <= 3
    assert metrics.get("quota_remaining", limit="messages_per_minute") >= 970
    assert metrics.get("last_frame_age_seconds") < 60


def test_an_event_that_cannot_be_understood(notifier: RunningNotifier, metrics: Scraper) -> None:
    with metrics.rises("events_quarantined_total"), metrics.rises("inbox_events", state="quarantined"):
        notifier.box.push_payload("{}")


def test_changes_for_a_card_that_waits(notifier: RunningNotifier, metrics: Scraper) -> None:
    """While Feishu refuses all calls, changes join the next card."""
    box = notifier.box
    box.change_balance(LIN_ACCOUNT, cash={"CNY": "+500.00"})
    settle(notifier)
    box.start_fault("429", times=1_000)
    box.change_balance(LIN_ACCOUNT, cash={"CNY": "+1.00"})
    wait_until(lambda: metrics.get("sends_total", result="app_limited") >= 1, "it was refused")
    with metrics.rises("notices_total"):  # its card waits behind the one that was tried
        box.change_balance(LIN_ACCOUNT, cash={"CNY": "+1.00"})
    with metrics.rises("notices_folded_total"):
        box.change_balance(LIN_ACCOUNT, cash={"CNY": "+1.00"})
    wait_until(lambda: metrics.get("deliveries", state="ready") >= 1, "one waits")
    wait_until(lambda: metrics.get("oldest_delivery_seconds") > 0, "it has an age")
    wait_until(lambda: metrics.get("time_to_drain_seconds") > 0, "it takes time")
    wait_until(lambda: metrics.get("quota_blocked_seconds", limit="messages_per_minute") > 0, "all wait")
    box.end_all_faults()
    settle(notifier)
    metrics.wait_for("deliveries", 0, state="ready")
    metrics.wait_for("oldest_delivery_seconds", 0)
    assert metrics.get("delivery_outcomes_total", outcome="postponed") >= 1


def test_a_delivery_that_cannot_succeed(notifier: RunningNotifier, metrics: Scraper) -> None:
    notifier.box.set_scopes({"hire:referral_account:readonly"})
    with (
        metrics.rises("sends_total", result="refused"),
        metrics.rises("delivery_outcomes_total", outcome="given_up"),
        metrics.rises("deliveries", state="dead"),
    ):
        notifier.box.change_balance(LIN_ACCOUNT, cash={"CNY": "+500.00"})


def test_a_withdrawal_and_its_payout(notifier: RunningNotifier, metrics: Scraper) -> None:
    box = notifier.box
    box.change_balance(LIN_ACCOUNT, points=120, cash={"CNY": "+500.00"})
    settle(notifier)
    with (
        metrics.rises("events_received_total", kind="click"),
        metrics.rises("clicks_total", result="begin"),
        metrics.rises("withdrawals_total", result="withdrawn"),
        metrics.rises("withdrawal_seconds_count"),
        metrics.rises("payout_calls_total", result="accepted"),
    ):
        press_button(box, LIN, LIN)
    metrics.wait_for("payouts", 1, state="sent")
    withdrawn = float(box.withdrawals()[0]["cash"][0]["amount"])
    metrics.wait_for("unpaid_amount", withdrawn, currency="CNY")
    metrics.wait_for("unpaid_amount", box.withdrawals()[0]["points"], currency="points")
    assert math.isnan(metrics.get("stuck_amount", currency="CNY"))
    settle(notifier)
    assert metrics.get("card_updates_total", result="updated") >= 1
    order_id = box.payouts()[0]["order_id"]
    assert notifier.command("payouts", "mark", order_id, "failed", "--reason", "closed").returncode == 0
    metrics.wait_for("stuck_amount", withdrawn, currency="CNY")
    box.change_balance(LIN_ACCOUNT, cash={"CNY": "+7.00"})
    settle(notifier)
    with metrics.rises("clicks_total", result="not_yours"):
        press_button(box, LIN, "ou_sandbox_chen")


def test_a_connection_that_is_lost_and_opened_again(notifier: RunningNotifier, metrics: Scraper) -> None:
    metrics.wait_for("connection_state", 1, state="connected")
    with metrics.rises("reconnects_total"):
        notifier.box.disconnect_all()
        notifier.box.wait_for(lambda: notifier.box.connections() > 0, "connected again", timeout=60)
    notifier.box.set_other_connections(1)
    wait_until(lambda: metrics.get("foreign_connections") == 1, "it sees the other one", seconds=90)


def test_a_take_over(feishu_box: FeishuBox, tmp_path: Path) -> None:
    more = "health:\n  listen: 127.0.0.1:{port}\n"
    with replica_set(feishu_box, tmp_path, more=more, clocks_ahead=(0.0, 0.0)) as replicas:
        replicas.start()
        leader = replicas.wait_for_leader()
        names = [each.folder.name for each in replicas.replicas]
        ports = dict(zip(names, replicas.ports, strict=True))
        leading = Scraper(ports.pop(leader.folder.name))
        following = Scraper(ports.popitem()[1])
        leading.wait_for("leader", 1)
        following.wait_for("leader", 0)
        following.wait_for("replicas", 2)
        term = following.get("leader_term")
        leader.stop()
        following.wait_for("leader", 1)
        following.wait_for("leader_term", term + 1)
        following.wait_for("replicas", 1)


def test_the_digest_and_the_figures_of_the_program(notifier: RunningNotifier, metrics: Scraper) -> None:
    wait_until(
        lambda: metrics.get("digest_next_run_timestamp_seconds", digest="monthly") > 1e9, "it is planned"
    )
    assert metrics.get("digest_late_seconds", digest="monthly") == 0
    assert metrics.get("digests_missed") == 0
    assert notifier.command("digest", "send", "monthly", "--for", "2026-10-01").returncode == 0
    wait_until(
        lambda: metrics.get("digest_last_success_timestamp_seconds", digest="monthly") > 1e9, "it was made"
    )
    assert metrics.get("build_info", version=__version__, database="sqlite", transport="long_connection") == 1
    assert metrics.get("database_commit_seconds_count") > 0
    assert metrics.get("database_commit_jobs_count") > 0


def test_no_secret_id_or_name_is_shown(notifier: RunningNotifier, metrics: Scraper) -> None:
    """Every label has one of a few values, whatever happens."""
    box = notifier.box
    box.change_balance(LIN_ACCOUNT, points=120, cash={"CNY": "+500.00"})
    settle(notifier)
    press_button(box, LIN, LIN)
    settle(notifier)
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    known = json.dumps([box.accounts(), box.all_messages(), box.withdrawals()])
    values = {value for _, labels in scrape(metrics.port) for name, value in labels if name != "le"}
    assert len(values) > 20
    assert [] == [
        value for value in values if len(value) > 40 or value.startswith(("ou_", "oc_", "om_", "cli_"))
    ]
    for secret in (box.app_secret, box.app_id, LIN, LIN_ACCOUNT, "林", "sandbox-payout-secret"):
        assert secret not in text
        assert secret in known or secret not in {LIN, LIN_ACCOUNT}


def test_thousands_of_scrapes_leak_nothing(notifier: RunningNotifier, metrics: Scraper) -> None:
    """Neither memory nor files nor threads, nor metrics."""

    def get_status() -> dict[str, int]:
        lines = Path(f"/proc/{notifier.pid}/status").read_text(encoding="utf-8").splitlines()
        values = dict(line.split(":", 1) for line in lines)
        return {"kB": int(values["VmRSS"].split()[0]), "threads": int(values["Threads"])}

    def count_files() -> int:
        return len(list(Path(f"/proc/{notifier.pid}/fd").iterdir()))

    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", metrics.port, timeout=20)) as connection:

        def get(times: int) -> int:
            for _ in range(times):
                connection.request("GET", "/metrics")
                with connection.getresponse() as answer:
                    lines = answer.read().count(b"\n")
            return lines

        lines = get(500)
        before, files = get_status(), count_files()
        assert lines == get(SCRAPES)
        after = get_status()
    assert after["threads"] <= before["threads"] + 1
    assert count_files() <= files + 1
    assert after["kB"] <= before["kB"] + 4_000

"""The connection heals from whatever the stand-in does to it, and what was missed meanwhile is told once."""

import json
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from notifier.sandbox.settings import ClientConfig, SandboxSettings
from notifier.sandbox.testing import FeishuBox
from support.figures import write_figures
from support.ports import free_port
from support.running import RunningNotifier, running_notifier, texts
from support.waiting import wait_until

LIN, ACCOUNT = "ou_sandbox_lin", "7000000000000000001"
PING_SECONDS = 2
MORE = """\
health:
  listen: 127.0.0.1:{port}
reconciliation:
  grace_seconds: 2
  every_hours: 0.002
payouts:
  alarm_group: hr
"""


class Watched(RunningNotifier):
    """With the address where it says how it is."""

    port: int

    def readyz(self) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as answer:
            return answer.code, json.load(answer)
        except OSError:
            return 0, {}

    def is_ready(self) -> bool:
        return self.readyz()[0] == 200


@pytest.fixture
def box() -> Iterator[FeishuBox]:
    config = ClientConfig(ping_interval_seconds=PING_SECONDS)
    with FeishuBox(SandboxSettings(client_config=config, redelivery_seconds=(600,) * 4)) as started:
        yield started


@pytest.fixture
def notifier(box: FeishuBox, tmp_path: Path) -> Iterator[Watched]:
    port = free_port()
    running = Watched(box, tmp_path, more=MORE.format(port=port))
    running.port = port
    running.start()
    wait_until(running.is_ready, "it is ready", seconds=30)
    yield running
    if not running.ended:
        running.kill()


ENOUGH_BY_ITSELF = {"drop", "black_hole", "half_open", "close_code", "no_pongs"}
ONLY_SETTINGS = {"finite_reconnect_count", "client_config"}


def named(fault: dict[str, Any]) -> str:
    """Its kind, and what tells it from others of that kind."""
    return " ".join([fault["kind"], *(str(fault[key]) for key in ("code", "headers") if key in fault)])


def cards(box: FeishuBox, chat: str = LIN) -> list[str]:
    return [" ".join(texts(each["content"])) for each in box.messages(chat)]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop"},
        {"kind": "black_hole", "seconds": 8},
        {"kind": "half_open"},
        {"kind": "close_code", "code": 1011},
        {"kind": "goes_silent_after_connect", "seconds": 8},
        {"kind": "discovery_hangs", "times": 1},
        {"kind": "discovery_refused", "code": 7, "times": 2},
        {"kind": "discovery_html", "times": 2},
        {"kind": "discovery_refused", "code": 1000040350, "times": 2},
        {"kind": "handshake_refused", "times": 1},
        {"kind": "handshake_refused", "headers": False, "times": 1},
        {"kind": "no_pongs", "seconds": 8},
        {"kind": "finite_reconnect_count", "count": 1},
        {"kind": "client_config", "without": ["PingInterval", "ReconnectCount", "ReconnectInterval"]},
    ],
    ids=named,
)
def test_the_connection_comes_back_by_itself_and_the_next_event_is_told(
    box: FeishuBox, notifier: Watched, fault: dict[str, Any]
) -> None:
    options = dict(fault)
    fault_type = str(options.pop("kind"))
    ordered = time.monotonic()
    box.start_fault(fault_type, **options)
    if (
        fault_type in ONLY_SETTINGS
    ):  # the first loss makes the client hear of them, the second shows what comes of it
        box.disconnect_all()
        wait_until(
            lambda: box.connection_status()["reconnects"] == 1 and notifier.is_ready(), "it knows", seconds=60
        )
        ordered = time.monotonic()
    if fault_type not in ENOUGH_BY_ITSELF:
        box.disconnect_all()
    wait_until(lambda: not notifier.is_ready(), "the loss is noticed", seconds=40)
    noticed = time.monotonic()
    if fault_type == "half_open":
        box.end_all_faults()
    wait_until(notifier.is_ready, "it is back", seconds=60)
    seconds = {
        "noticed after s": round(noticed - ordered, 1),
        "back after s": round(time.monotonic() - ordered, 1),
    }
    write_figures(
        f"connection: {named(fault)}",
        counted=seconds,
        zeros={"not back": 0},
        seconds=time.monotonic() - ordered,
    )
    box.change_balance(ACCOUNT, points=7)

    box.wait_for(lambda: cards(box), "the card", timeout=30)
    assert 0 == notifier.stop()


def test_an_event_that_waits_for_its_commit_costs_no_connection(box: FeishuBox, notifier: Watched) -> None:
    """For several pings long; the SDK's client sends none meanwhile, and answers nothing."""
    began = time.monotonic()
    locker = sqlite3.connect(notifier.folder / "notifier.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    pings = box.pings()
    box.change_balance(ACCOUNT, points=7)
    box.wait_for(lambda: box.pings() >= pings + 3, "pings go on", timeout=30)
    locker.execute("ROLLBACK")
    locker.close()
    box.wait_for(lambda: cards(box), "the card", timeout=30)

    lost = box.connection_status()["reconnects"]
    assert 0 == lost
    assert "connection.lost" not in notifier.log
    counted = {"back after s": round(time.monotonic() - began, 1)}
    write_figures("connection: slow handler", counted=counted, zeros={"connections lost": lost}, seconds=0)


def test_what_feishu_gave_up_on_is_recovered_after_the_connect(box: FeishuBox, notifier: Watched) -> None:
    box.change_balance(ACCOUNT, points=1)
    notifier.wait_until_settled()
    assert 0 == notifier.stop()
    box.hold()  # the event of this one never comes
    box.change_balance(ACCOUNT, cash={"CNY": "+500.00"})
    notifier.start()

    box.wait_for(lambda: len(cards(box)) == 2, "the missed change is told", timeout=60)
    assert "850.50" in cards(box)[-1]
    assert "余额核对" in cards(box)[-1]
    box.release()
    box.wait_for(lambda: box.unacknowledged() == 0, "the event came after all", timeout=30)
    notifier.wait_until_settled()
    assert 2 == len(cards(box)), "and is not told a second time"
    assert "recovered" in notifier.command("status").stdout


def test_a_change_unheard_while_connected_alarms_and_makes_the_connection_anew(
    box: FeishuBox, notifier: Watched
) -> None:
    box.change_balance(ACCOUNT, points=1)
    notifier.wait_until_settled()
    wait_until(
        lambda: '"read": 1' in json.dumps(notifier.status()["last_reconciliation"]), "it was read", seconds=40
    )
    box.hold()
    box.change_balance(ACCOUNT, cash={"CNY": "+500.00"})

    box.wait_for(lambda: len(cards(box)) == 2, "it is told all the same", timeout=60)
    box.wait_for(lambda: cards(box, "oc_sandbox_hr"), "the alarm group hears of it", timeout=30)
    wait_until(lambda: "balance.missed" in notifier.log, "the log says so")
    assert notifier.status()["last_reconciliation"] is not None


def test_somebody_else_on_the_same_app_is_a_warning(box: FeishuBox, notifier: Watched) -> None:
    box.set_other_connections(2)
    box.disconnect_all()

    wait_until(lambda: "connection.foreign_detected" in notifier.log, "it is logged", seconds=60)
    shown = "2 connections of this app are not ours"
    wait_until(lambda: shown in notifier.command("status").stdout, "status says so", seconds=30)


def test_a_platform_that_does_not_count_connections_is_fine(tmp_path: Path) -> None:
    with (
        FeishuBox(SandboxSettings(connection_count_known=False)) as box,
        running_notifier(box, tmp_path) as notifier,
    ):
        box.wait_for(lambda: box.requests("/open-apis/event/v1/connection"), "it was asked", timeout=30)
        box.change_balance(ACCOUNT, points=7)
        box.wait_for(lambda: cards(box), "the card", timeout=30)

        assert "connection.foreign_detected" not in notifier.log
        assert notifier.status()["foreign_connections"] is None


@pytest.mark.parametrize("choice, code", [("exit_at_start", 2), ("exit", 2), ("retry", None)])
def test_a_wrong_secret_is_loud_and_ends_or_goes_on_as_set(
    box: FeishuBox, tmp_path: Path, choice: str, code: int | None
) -> None:
    port = free_port()
    running = Watched(box, tmp_path, more=MORE.format(port=port))
    running.port = port
    text = running.config.read_text(encoding="utf-8").replace(box.app_secret, "not-the-secret")
    running.config.write_text(
        text.replace("feishu:\n", f"feishu:\n  when_refused: {choice}\n"), encoding="utf-8"
    )
    running.start(connected=False)
    try:
        if code is not None:
            assert code == running.wait_end(60)
        else:
            wait_until(lambda: "refused" in json.dumps(running.readyz()[1]), "it says so", seconds=40)
            assert 503 == running.readyz()[0]
            assert not running.ended
        assert "feishu.app_secret" in running.log
        assert "not-the-secret" not in running.log
        if code is not None:
            shown = running.command("status").stdout
            assert "process       stopped" in shown
            assert "connection    refused: " in shown
            assert "feishu.app_secret" in shown
    finally:
        if not running.ended:
            running.kill()


def test_credentials_that_are_refused_later_make_it_unready_and_are_taken_again(
    box: FeishuBox, notifier: Watched
) -> None:
    box.start_fault("refuse_tokens", code=10015)
    box.change_balance(ACCOUNT, points=7)

    wait_until(lambda: "credentials" in notifier.readyz()[1].get("problems", {}), "it says so", seconds=40)
    assert 503 == notifier.readyz()[0]
    assert "feishu.app_secret" in json.dumps(notifier.readyz()[1])
    box.end_all_faults()
    wait_until(notifier.is_ready, "it is ready again", seconds=90)
    box.wait_for(lambda: cards(box), "the card", timeout=60)


@pytest.mark.parametrize("code, words", [(99991662, "enable the app"), (99991401, "IP allow-list")])
def test_an_app_that_is_stopped_though_its_connection_stands_is_loud_and_goes_on(
    box: FeishuBox, notifier: Watched, code: int, words: str
) -> None:
    box.start_fault("refuse_app", code=code)
    box.change_balance(ACCOUNT, points=7)

    wait_until(lambda: "credentials" in notifier.readyz()[1].get("problems", {}), "it says so", seconds=40)
    assert 503 == notifier.readyz()[0]
    assert words in json.dumps(notifier.readyz()[1])
    wait_until(lambda: words in notifier.command("status").stdout, "status says so, too")
    assert not box.connection_status()["reconnects"]
    box.end_all_faults()
    wait_until(notifier.is_ready, "it is ready again", seconds=90)
    box.wait_for(lambda: cards(box), "the card", timeout=90)
    assert 1 == notifier.log.count("feishu.app_refused")


def test_an_app_that_may_not_connect_ends_the_start(box: FeishuBox, tmp_path: Path) -> None:
    box.start_fault("discovery_refused", code=403)
    running = Watched(box, tmp_path, more=MORE.format(port=free_port()))
    running.start(connected=False)

    assert 2 == running.wait_end(60)
    assert "is the app enabled" in running.log

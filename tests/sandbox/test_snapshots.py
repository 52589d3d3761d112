"""Reset and snapshots: the state returns, the clients stay connected."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from notifier.sandbox.client import SandboxClient
from notifier.sandbox.control.snapshots_api import MAX_SNAPSHOTS
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import api, call, card, listening, send

LIN, LIN_ACCOUNT = "ou_sandbox_lin", "7000000000000000001"


def world(box: FeishuBox) -> dict[str, Any]:
    """What a return must restore: all but logs, connections and the moment."""
    of_this_run = ("revision", "now_ms", "feishu_url", "requests", "app", "long_connection")
    return {name: value for name, value in box.state().items() if name not in of_this_run}


def change_everything(box: FeishuBox) -> None:
    send(box, card(), uuid="u-1")
    box.write(LIN, "hello")
    box.change_balance(LIN_ACCOUNT, points=7, cash={"CNY": "+1.00"})
    path = f"/hire/v1/referral_account/{LIN_ACCOUNT}/withdraw"
    assert 0 == api(box, "POST", path, {"external_order_id": "o-1", "withdraw_bonus_type": [1, 2]}).code
    box.push_payload("not json")
    box.set_person(LIN, status="resigned")
    box.set_group("oc_sandbox_hr", muted=True)
    box.rename("ou_sandbox_chen", name="x", en_name="y")
    box.add_people(["new"])
    box.set_scopes(["im:message:send_as_bot"])
    box.change_console(bot=False)
    box.hold()
    box.advance(3600)
    box.start_fault("slow", delay_seconds=5)
    box.start_fault("setup:nobody_registered")
    box.add_call_fault({"match": "GET /x", "action": "reset"})


@pytest.mark.parametrize(
    "get_control", [lambda box: box, lambda box: SandboxClient(box.url)], ids=["box", "client"]
)
def test_a_reset_returns_to_the_start_world(get_control: Callable[[FeishuBox], Any]) -> None:
    with FeishuBox() as box:
        start = world(box)
        change_everything(box)
        assert start != world(box)
        get_control(box).reset()

        assert start == world(box)
        assert abs(box.state()["ahead_seconds"]) < 0.001
        assert [] == box.requests()
        assert 0 == send(box, card(), uuid="u-1").code


@pytest.mark.parametrize(
    "get_control", [lambda box: box, lambda box: SandboxClient(box.url)], ids=["box", "client"]
)
def test_a_snapshot_can_be_restored_again_and_again(get_control: Callable[[FeishuBox], Any]) -> None:
    with FeishuBox() as box:
        control = get_control(box)
        first = send(box, "before").data["message_id"]
        box.change_balance(LIN_ACCOUNT, points=5, send="hold")
        box.advance(600)
        before = world(box)
        taken = control.take_snapshot("before")
        assert ("before", 1, 1) == (taken["name"], taken["messages"], taken["events"])
        for _ in range(2):
            box.react(LIN, first, "SMILE")
            box.read(LIN, first)
            change_everything(box)
            control.restore_snapshot("before")
            assert before == world(box)
            assert [first] == [one["message_id"] for one in box.all_messages()]
        assert [taken] == control.snapshots()
        control.delete_snapshot("before")
        assert [] == control.snapshots()


def test_the_client_stays_connected_and_accepts_the_next_events() -> None:
    """A token from before works, and the event after the return is not older than those before it."""
    with FeishuBox() as box, listening(box) as client:
        box.advance(86_400)
        box.change_balance(LIN_ACCOUNT, points=1)
        _, earlier = client.event()
        box.reset()
        box.change_balance(LIN_ACCOUNT, points=1)
        frame, later = client.event()
        client.acknowledge(frame)

        assert 1 == box.connections()
        assert int(earlier["event"]["modify_time"]) < int(later["event"]["modify_time"])
        assert 121 == later["event"]["assets"]["confirmed_bonus"]["point_bonus"]
        box.wait_for_event(state="acknowledged")


def test_a_waiting_event_is_pushed_after_the_return() -> None:
    with FeishuBox() as box, listening(box) as client:
        [held] = box.change_balance(LIN_ACCOUNT, points=1, send="hold")
        box.take_snapshot("held")
        box.release()
        frame, _ = client.event()
        client.acknowledge(frame)
        box.wait_for_event(state="acknowledged")
        box.restore_snapshot("held")
        assert ("waiting", True) == (box.event(held)["state"], box.event(held)["held"])
        box.release()
        _, event = client.event()

        assert held == event["header"]["event_id"]


def test_a_reset_starts_the_faults_of_the_settings_again() -> None:
    settings = SandboxSettings(faults=({"fault_type": "setup:bot_off"}, {"fault_type": "duplicate"}))
    with FeishuBox(settings) as box:
        box.wait_for(lambda: len(box.running_faults()) == 2, "both faults run")
        box.end_all_faults()
        box.reset()

        assert {"setup:bot_off", "duplicate"} == {fault["fault_type"] for fault in box.running_faults()}


def test_snapshots_are_in_the_state_file(tmp_path: Path) -> None:
    settings = SandboxSettings(state_file=str(tmp_path / "feishu.json"))
    with FeishuBox(settings) as box:
        send(box, "before")
        box.take_snapshot("before")
        send(box, "after")
        listed = box.snapshots()
    with FeishuBox(settings) as box:
        assert 2 == len(box.all_messages())
        assert listed == box.snapshots()
        box.restore_snapshot("before")
        assert [{"text": "before"}] == [one["content"] for one in box.all_messages()]
        box.reset()
        assert [] == box.all_messages()
        assert listed == box.snapshots()


def test_accounts_that_a_fault_hides_are_kept(tmp_path: Path) -> None:
    settings = SandboxSettings(state_file=str(tmp_path / "feishu.json"))
    with FeishuBox(settings) as box:
        accounts = box.accounts()
        box.start_fault("setup:nobody_registered")
        assert [] == box.accounts()
    with FeishuBox(settings) as box:
        assert accounts == box.accounts()


def test_the_number_of_snapshots_is_bounded() -> None:
    with FeishuBox() as box:
        for number in range(MAX_SNAPSHOTS):
            box.take_snapshot(f"n-{number}")
        refused = call(box, "POST", "/api/snapshots", {"name": "one-more"})
        again = call(box, "POST", "/api/snapshots", {"name": "n-0"})

        assert (400, 200) == (refused.status, again.status)
        assert "delete one first" in refused.content["error"]

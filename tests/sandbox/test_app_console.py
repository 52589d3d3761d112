"""The app's settings in the sandbox: the draft, publishing, planted set-up errors, and a fresh app."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from notifier.cli.main import cli
from notifier.errors import ConfigError
from notifier.operations.sandbox_run import read_app_options
from notifier.sandbox.app_console import BadConsoleChangeError
from notifier.sandbox.faults.running import BadFaultError
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import api, call, discover, send
from support.sandbox_process import running_sandbox
from support.waiting import wait_until

LIN_ACCOUNT = "7000000000000000001"


def test_a_change_is_in_force_after_publishing(feishu_box: FeishuBox) -> None:
    feishu_box.change_console(bot=False)
    before = send(feishu_box, "hi").code
    assert feishu_box.state()["console"]["has_unpublished_changes"]
    feishu_box.publish()

    assert (0, 230006) == (before, send(feishu_box, "hi").code)
    assert not feishu_box.state()["console"]["has_unpublished_changes"]


@pytest.mark.parametrize(
    "change, said",
    [
        ({"scopes": "im:message"}, '"scopes" must be a list of names'),
        ({"bot": "yes"}, '"bot" must be true or false'),
        ({"event_mode": "pigeon"}, '"event_mode" must be'),
        ({"colour": "red"}, "there is no (setting|member) 'colour'"),
        ({"event_mode": "", "events": ["a"]}, "choose the subscription mode first"),
    ],
)
def test_a_wrong_change_is_refused_and_changes_nothing(
    feishu_box: FeishuBox, change: dict[str, object], said: str
) -> None:
    before = feishu_box.state()["console"]
    with pytest.raises(BadConsoleChangeError, match=said):
        feishu_box.change_console(**change)
    refused = call(feishu_box, "POST", "/api/console", change)

    assert 400 == refused.status
    assert re.search(said, refused.content["error"])
    assert before == feishu_box.state()["console"]


def test_the_control_api_changes_and_publishes() -> None:
    with FeishuBox(SandboxSettings(fresh=True)) as box:
        changed = call(box, "POST", "/api/console", {"bot": True, "scopes": ["im:resource"]}).content
        listed = api(box, "GET", "/application/v6/scopes").data["scopes"]
        published = call(box, "POST", "/api/console/publish").content
        granted = api(box, "GET", "/application/v6/scopes").data["scopes"]

    assert (False, True) == (changed["is_published"], published["is_published"])
    assert [("im:resource", 2)] == [(one["scope_name"], one["grant_status"]) for one in listed]
    assert [("im:resource", 1)] == [(one["scope_name"], one["grant_status"]) for one in granted]


def test_without_its_subscription_no_event_is_pushed(feishu_box: FeishuBox) -> None:
    fault_id = feishu_box.start_fault("setup:event_not_subscribed")
    assert [] == feishu_box.change_balance(LIN_ACCOUNT, points=1)
    feishu_box.end_fault(fault_id)

    assert 1 == len(feishu_box.change_balance(LIN_ACCOUNT, points=1))


def test_hidden_accounts_come_back_with_their_balances(feishu_box: FeishuBox) -> None:
    before = feishu_box.accounts()
    fault_id = feishu_box.start_fault("setup:nobody_registered")
    path = f"/hire/v1/referral_account/get_account_assets?referral_account_id={LIN_ACCOUNT}"
    assert 1002553 == api(feishu_box, "GET", path).code
    feishu_box.end_fault(fault_id)

    assert before == feishu_box.accounts()


def test_a_disabled_app_may_not_connect(feishu_box: FeishuBox) -> None:
    feishu_box.start_fault("setup:app_disabled")

    assert 403 == discover(feishu_box).code


def test_a_console_survives_a_restart(tmp_path: Path) -> None:
    settings = SandboxSettings(fresh=True, state_file=str(tmp_path / "state.json"))
    with FeishuBox(settings) as box:
        box.change_console(bot=True, scopes=["im:resource"])
        box.publish()
        box.change_console(bot=False)
        before = box.state()["console"]
    with FeishuBox(settings) as box:
        assert before == box.state()["console"]


def test_the_command_line_starts_faults_with_their_options() -> None:
    options = read_app_options(
        ("setup:scope_missing,scope=im:resource", "429,times=3,header=false"), fresh=True
    )

    assert options.is_fresh
    assert (
        {"fault_type": "setup:scope_missing", "scope": "im:resource"},
        {"fault_type": "429", "times": 3, "header": False},
    ) == options.faults


@pytest.mark.parametrize("text", ["setup:nothing", "setup:bot_off,colour=red", "429,times=0"])
def test_a_wrong_fault_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ConfigError, match=f"--fault {text}: "):
        read_app_options((text,), fresh=False)
    assert 2 == CliRunner().invoke(cli, ["sandbox", "--fault", text]).exit_code


@pytest.mark.parametrize(
    "text, valid",
    [
        ("setup:scope_missing,scope=nope", "application:application:self_manage, cardkit:"),
        ("setup:bot_not_in_group,chat_id=oc_x", "oc_sandbox_hr, oc_sandbox_fallback; not 'oc_x'"),
        ("setup:wrong_chat_id,chat_id=oc_x", "oc_sandbox_hr, oc_sandbox_fallback; not 'oc_x'"),
        ("setup:outside_availability,open_id=ou_x", "ou_sandbox_lin, ou_sandbox_chen, "),
        ("setup:foreign_operator,open_id=ou_x", "ou_sandbox_lin, ou_sandbox_chen, "),
    ],
)
@pytest.mark.parametrize("fresh", [False, True])
def test_a_name_that_does_not_exist_is_refused_with_those_that_do(
    text: str, valid: str, *, fresh: bool
) -> None:
    with pytest.raises(ConfigError, match=f"must be one of: {valid}"):
        read_app_options((text,), fresh=fresh)


def test_the_page_refuses_such_a_name_too(feishu_box: FeishuBox) -> None:
    with pytest.raises(BadFaultError, match='"scope" must be one of: application:'):
        feishu_box.start_fault("setup:scope_missing", scope="nope")
    with pytest.raises(BadFaultError, match='"chat_id" must be the chat_id of a group, not 7'):
        feishu_box.start_fault("setup:bot_not_in_group", chat_id=7)

    feishu_box.start_fault("setup:outside_availability", open_id="")
    assert [""] == [one["options"]["open_id"] for one in feishu_box.running_faults()]


def test_a_long_list_of_names_is_cut() -> None:
    with FeishuBox(SandboxSettings(extra_accounts=30)) as box, pytest.raises(BadFaultError) as raised:
        box.start_fault("setup:foreign_operator", open_id="ou_x")

    assert "ou_sandbox_extra_0016, ...; not 'ou_x'" in str(raised.value)


FAULTS = ({"fault_type": "setup:bot_off"}, {"fault_type": "429"})


def list_fault_types(box: FeishuBox) -> list[str]:
    return [one["fault_type"] for one in box.running_faults()]


def test_set_up_errors_start_at_once_without_opening_events() -> None:
    with FeishuBox(SandboxSettings(faults=FAULTS)) as box:
        assert ["429", "setup:bot_off"] == list_fault_types(box)


def test_set_up_errors_wait_for_the_opening_events(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SandboxSettings(faults=FAULTS, opening_events=True)
    with FeishuBox(settings) as box:
        assert ["429"] == list_fault_types(box)

    monkeypatch.setattr("notifier.sandbox.sandbox.OPENING_SECONDS", 0.01)
    with FeishuBox(settings) as box:
        box.wait_for(lambda: len(list_fault_types(box)) == 2, "the end of the wait")


def test_the_sandbox_starts_fresh_and_with_faults(tmp_path: Path) -> None:
    with running_sandbox(tmp_path, "--fresh", "--fault", "setup:wrong_clock,seconds=900") as box:
        wait_until(lambda: "Running faults: setup:wrong_clock" in box.output, "the fault is announced")
        state, output = box.state(), box.output

    assert 2 == output.count("doctor --config ")
    assert "Run doctor, do the next step on the page (Developer console)" in output
    assert "add a reward" not in output
    assert "status --config" not in output

    assert ([], False) == (state["accounts"], state["console"]["is_published"])
    assert [("setup:wrong_clock", 900)] == [
        (one["fault_type"], one["options"]["seconds"]) for one in state["running_faults"]
    ]

"""`notifier doctor`: a healthy set-up, each planted set-up error, the test card, and a fresh app."""

import contextlib
import json
import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from notifier.cli.main import cli
from notifier.operations.doctor.findings import FindingState
from notifier.sandbox.faults.catalogue import SETUP_FAULTS
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import api as call_api
from support.planted_errors import EXPECTED
from support.running import RunningNotifier, clean_environment, running_notifier
from support.waiting import wait_until

LIN, ZHOU = "ou_sandbox_lin", "ou_sandbox_zhou"
LIN_ACCOUNT = "7000000000000000001"
MORE = """\
withdrawals: {offer_to: [referrer, hr]}
digests: [{name: daily, to: hr}]
"""
ENGLISH = {"LC_ALL": "C.UTF-8", "LANGUAGE": "", "NO_PROXY": "127.0.0.1,localhost"}


@pytest.fixture(scope="module")
def used_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a notifier that has received an event and sent its card."""
    folder = tmp_path_factory.mktemp("used")
    with FeishuBox() as box, running_notifier(box, folder, more=MORE) as notifier:
        box.change_balance(LIN_ACCOUNT, points=10)
        notifier.wait_until_settled()
        assert 0 == notifier.stop()
    return folder / "notifier.db"


@pytest.fixture
def set_up(feishu_box: FeishuBox, tmp_path: Path, used_database: Path) -> RunningNotifier:
    """A complete set-up, whose notifier has run before and does not run now."""
    notifier = RunningNotifier(feishu_box, tmp_path, more=MORE)
    shutil.copy(used_database, tmp_path / "notifier.db")
    for file in (notifier.config, tmp_path / "notifier.db"):
        file.chmod(0o600)
    return notifier


@pytest.fixture(autouse=True)
def _no_settings_of_this_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def run(notifier: RunningNotifier, *words: str, **environment: str) -> Result:
    return CliRunner().invoke(
        cli, ["doctor", "--config", str(notifier.config), *words], env={**ENGLISH, **environment}
    )


def examine(notifier: RunningNotifier, *words: str) -> dict[str, list[dict[str, Any]]]:
    """The findings by state, without that no notifier runs: in most of these tests none does."""
    ran = run(notifier, "--json", *words)
    assert ran.exit_code in (0, 1), ran.output
    document = json.loads(ran.stdout)
    by_state: dict[str, list[dict[str, Any]]] = {state.value: [] for state in FindingState}
    for each in document["findings"]:
        if (each["id"], each["state"]) != ("process", "unknown"):
            by_state[each["state"]].append(each)
    assert document["ok"] is (ran.exit_code == 0) is (not by_state["problem"])
    return by_state


def ids(findings: list[dict[str, Any]]) -> list[str]:
    return [each["id"] for each in findings]


def test_a_complete_set_up_has_no_problem_and_nothing_is_sent(set_up: RunningNotifier) -> None:
    ran = run(set_up)

    lines = ran.stdout.strip().splitlines()
    assert (0, "0 problems, 1 not proven.") == (ran.exit_code, lines[-1]), ran.output
    assert "    → start `notifier run`" == lines[lines.index("? no notifier runs on this database") + 1]
    assert "✓ the callback card.action.trigger is subscribed" in ran.stdout
    assert "\x1b" not in ran.stdout
    assert ([], []) == (set_up.box.all_messages(), set_up.box.withdrawals())
    assert set_up.box.app_secret not in ran.output


def test_the_running_notifier_is_no_other_program(feishu_box: FeishuBox, tmp_path: Path) -> None:
    with running_notifier(feishu_box, tmp_path, more=MORE) as notifier:
        feishu_box.change_balance(LIN_ACCOUNT, points=10)
        notifier.wait_until_settled()
        notifier.config.chmod(0o600)

        found, shown = examine(notifier), run(notifier)

    assert ([], []) == (found["problem"], found["unknown"])
    assert "All good." == shown.stdout.splitlines()[-1]


def test_a_process_that_runs_with_a_former_configuration_is_named(
    feishu_box: FeishuBox, tmp_path: Path
) -> None:
    with running_notifier(feishu_box, tmp_path, more=MORE) as notifier:
        assert "running process" not in notifier.command("status", "--check").stdout
        notifier.config.write_text(f"{notifier.config.read_text()}\nsending: {{give_up_after_hours: 71}}\n")

        found, status = examine(notifier), notifier.command("status", "--check")

    assert ["process", "accounts"] == ids(found["problem"])
    assert found["problem"][0]["remedy"].startswith("restart it")
    assert 1 == status.returncode
    assert "the running process does not use this configuration: restart it" in status.stdout


def test_what_waits_for_a_problem_is_one_line(set_up: RunningNotifier) -> None:
    set_up.box.start_fault("setup:unpublished")

    lines = run(set_up).stdout.splitlines()

    assert 1 == sum(line.startswith("? not examined (") for line in lines)
    assert any("group.hr, group.fallback, operators.hr" in line for line in lines)
    assert not any("app.published" in line for line in lines)


def test_every_planted_error_has_its_expectation() -> None:
    assert list(SETUP_FAULTS) == list(EXPECTED)


@pytest.mark.parametrize(
    "fault_type", ["setup:wrong_secret", "setup:scope_missing", "setup:bot_not_in_group", "setup:wrong_clock"]
)
def test_a_planted_error_is_named_until_it_ends(set_up: RunningNotifier, fault_type: str) -> None:
    """tests/stories/test_planted_errors.py plants all of them by the command."""
    options, expected = EXPECTED[fault_type]
    set_up.box.start_fault(fault_type, **options)

    found = examine(set_up)

    assert [expected] == ids(found["problem"])
    assert found["problem"][0]["remedy"]
    assert {expected} >= {each["needs"] for each in found["unknown"]}

    set_up.box.end_all_faults()
    after = examine(set_up)
    assert ([], []) == (after["problem"], after["unknown"])


@pytest.mark.parametrize(
    "scopes",
    [
        ("hire:referral_account:readonly",),
        ("hire:referral_account",),
        ("im:message:send_as_bot",),
        ("im:resource",),
        ("im:chat:readonly", "im:chat.members:read"),
    ],
)
def test_each_missing_scope_is_named_with_its_console_page(
    set_up: RunningNotifier, scopes: tuple[str, ...]
) -> None:
    for scope in scopes:
        set_up.box.start_fault("setup:scope_missing", scope=scope)

    found = examine(set_up)

    assert [f"scope.{scope}" for scope in scopes] == ids(found["problem"])
    for each, scope in zip(found["problem"], scopes, strict=True):
        assert f"({scope})" in each["remedy"]
        assert "Permissions & Scopes" in each["remedy"]
        assert "create a version, publish it" in each["remedy"]


def test_a_scope_that_another_one_covers_is_no_problem(set_up: RunningNotifier) -> None:
    set_up.box.start_fault("setup:scope_missing", scope="im:chat.members:read")

    assert [] == examine(set_up)["problem"]


def test_an_added_scope_that_is_not_published_is_a_matter_of_publishing(set_up: RunningNotifier) -> None:
    scopes = set(set_up.box.state()["scopes"])
    set_up.box.set_scopes(scopes - {"im:resource"})
    set_up.box.change_console(scopes=sorted(scopes))

    found = examine(set_up)

    assert ["app.published"] == ids(found["problem"])
    assert "im:resource" in found["problem"][0]["subject"]
    assert ["scope.im:resource"] == ids(found["unknown"])


def test_without_a_list_of_scopes_calls_prove_them(set_up: RunningNotifier) -> None:
    set_up.box.add_call_fault({"match": "GET /open-apis/application/*", "action": "code", "code": 99991672})
    set_up.box.start_fault("setup:scope_missing", scope="im:resource")

    found = examine(set_up)

    assert ["scope.im:resource"] == ids(found["problem"])
    of_questions = ["scope.im:message.p2p_msg:readonly", "scope.im:message.group_at_msg:readonly"]
    subscriptions = ["subscription.questions", "subscription.callback"]
    assert ["scope.hire:referral_account:readonly", *of_questions, *subscriptions] == ids(found["unknown"])
    assert "--canary" in found["unknown"][-1]["remedy"]


@pytest.mark.parametrize(
    "language, sentence",
    [
        ("zh_CN.UTF-8", "✗ 机器人不在群 hr 内（230002）\n    → 在飞书打开该群：设置 › 群机器人 › 添加机器人"),
        ("en_US.UTF-8", "✗ the bot is not in group hr (230002)\n    → in Feishu open the group: Settings"),
    ],
)
def test_the_locale_chooses_the_language(set_up: RunningNotifier, language: str, sentence: str) -> None:
    set_up.box.start_fault("setup:bot_not_in_group")

    ran = run(set_up, LC_ALL=language)

    assert 1 == ran.exit_code
    assert sentence in ran.stdout


def test_a_terminal_without_the_signs_gets_plain_ones(set_up: RunningNotifier) -> None:
    set_up.box.start_fault("setup:bot_not_in_group")
    ran = subprocess.run(
        [sys.executable, "-m", "notifier", "doctor", "--config", str(set_up.config)],
        capture_output=True,
        check=False,
        env=clean_environment() | {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "ascii:replace"},
        timeout=60,
    )

    assert 1 == ran.returncode
    assert b"[x]  the bot is not in group hr" in ran.stdout
    assert b"    -> in Feishu open the group" in ran.stdout


@pytest.mark.parametrize("more, is_coloured", [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_gets_progress_and_colours(
    set_up: RunningNotifier, more: dict[str, str], *, is_coloured: bool
) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "notifier", "doctor", "--config", str(set_up.config)],
        stdout=terminal,
        stderr=terminal,
        env=clean_environment() | {"LC_ALL": "C.UTF-8"} | more,
    )
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # Linux: the end of the terminal
        while part := os.read(controller, 65_536):
            shown += part
    os.close(controller)

    assert 0 == process.wait(30), shown
    assert b"examining the network ..." in shown
    assert is_coloured is ("\x1b[32m✓".encode() in shown)


def test_a_configuration_that_cannot_be_loaded_is_one_finding_with_all_errors(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("groups: {hr: {chat_id: wrong}}\nsending: {per_second: -1}\n", encoding="utf-8")
    ran = CliRunner().invoke(cli, ["doctor", "--json", "--config", str(config)], env=ENGLISH)
    findings = {each["id"]: each for each in json.loads(ran.stdout)["findings"]}

    assert (1, "problem") == (ran.exit_code, findings["configuration"]["state"])
    assert "chat_id" in findings["configuration"]["subject"]
    assert "per_second" in findings["configuration"]["subject"]
    assert "configuration" == findings["token"]["needs"]


def test_a_feishu_that_does_not_answer_stops_the_list_there(set_up: RunningNotifier) -> None:
    text = set_up.config.read_text().replace(set_up.box.url, "http://127.0.0.1:1")
    set_up.config.write_text(text)

    found = examine(set_up)

    assert ["network.connection"] == ids(found["problem"])
    assert "network.tls" in ids(found["unknown"])
    assert "network.connection" == next(each for each in found["unknown"] if each["id"] == "token")["needs"]


def test_a_database_that_cannot_be_read_is_named(set_up: RunningNotifier) -> None:
    (set_up.folder / "notifier.db").write_bytes(b"no database" * 1000)

    assert "database" in ids(examine(set_up)["problem"])


def test_doctor_creates_no_database(set_up: RunningNotifier) -> None:
    (set_up.folder / "notifier.db").unlink()

    found = examine(set_up)

    assert not (set_up.folder / "notifier.db").exists()
    assert ["accounts"] == ids(found["problem"])


# the test card


@pytest.fixture
def waiting_doctor(set_up: RunningNotifier) -> Iterator[subprocess.Popen[str]]:
    """`notifier doctor --canary` for Lin, while no notifier runs."""
    process = start_canary(set_up)
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()


def start_canary(
    notifier: RunningNotifier, *, address: str = "lin@sandbox.example", wait: str = "60"
) -> subprocess.Popen[str]:
    words = ["doctor", "--json", "--canary", address, "--wait", wait, "--config", str(notifier.config)]
    return subprocess.Popen(
        [sys.executable, "-m", "notifier", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment() | {"LC_ALL": "C.UTF-8"},
    )


def wait_for_card(box: FeishuBox) -> dict[str, Any]:
    """The test card of Lin, once it was sent."""
    return wait_until(
        lambda: next(
            (each for each in box.messages(LIN) if "测试卡片" in json.dumps(each, ensure_ascii=False)), None
        ),
        "the test card",
        seconds=60,
    )


def button_value(message: dict[str, Any]) -> dict[str, Any]:
    (button,) = [one for one in message["content"]["body"]["elements"] if one["tag"] == "button"]
    return button["behaviors"][0]["value"]


def end(process: subprocess.Popen[str]) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code and the findings by id."""
    out, err = process.communicate(timeout=60)
    assert err in ("", "the test card was sent: press its button in Feishu\n")
    return process.returncode, {each["id"]: each for each in json.loads(out)["findings"]}


def newest_text(box: FeishuBox) -> str:
    return json.dumps(box.messages(LIN)[-1]["content"], ensure_ascii=False)


def test_a_press_proves_both_ways_while_no_notifier_runs(
    set_up: RunningNotifier, waiting_doctor: subprocess.Popen[str]
) -> None:
    message = wait_for_card(set_up.box)
    event_id = set_up.box.change_balance(LIN_ACCOUNT, points=1)[0]
    assert "test card" in json.dumps(message)
    assert set_up.box.click(message["message_id"], ZHOU, button_value(message))["toast"]["type"] == "error"
    assert waiting_doctor.poll() is None
    assert set_up.box.click(message["message_id"], LIN, button_value(message))["toast"]["type"] == "success"

    code, findings = end(waiting_doctor)

    assert (0, "ok", "ok") == (code, findings["canary"]["state"], findings["subscription.callback"]["state"])
    assert "测试通过" in newest_text(set_up.box)
    assert '"button"' not in newest_text(set_up.box)
    assert "acknowledged" != set_up.box.event(event_id)["state"]


def test_a_press_that_arrives_at_the_running_notifier_is_seen(feishu_box: FeishuBox, tmp_path: Path) -> None:
    with running_notifier(feishu_box, tmp_path, more=MORE) as notifier:
        feishu_box.change_balance(LIN_ACCOUNT, points=10)
        notifier.wait_until_settled()
        notifier.config.chmod(0o600)
        process = start_canary(notifier)
        message = wait_for_card(feishu_box)
        other = feishu_box.click(message["message_id"], ZHOU, button_value(message))
        answer = feishu_box.click(message["message_id"], LIN, button_value(message))
        code, findings = end(process)
        again = feishu_box.click(message["message_id"], LIN, button_value(message))
        audit = notifier.command("audit").stdout

    assert ("error", "success") == (other["toast"]["type"], answer["toast"]["type"])
    assert (0, "ok") == (code, findings["canary"]["state"])
    assert "测试通过" in newest_text(feishu_box)
    assert "success" == again["toast"]["type"]
    assert 1 <= audit.count("test")
    assert "denied" not in audit


def test_nobody_presses(set_up: RunningNotifier) -> None:
    process = start_canary(set_up, address=LIN, wait="1")
    code, findings = end(process)

    assert (1, "problem") == (code, findings["canary"]["state"])
    assert "no press was received within 1 s" in findings["canary"]["subject"]
    assert "测试已结束" in newest_text(set_up.box)


def test_an_interrupted_test_leaves_no_button(
    set_up: RunningNotifier, waiting_doctor: subprocess.Popen[str]
) -> None:
    wait_for_card(set_up.box)
    waiting_doctor.send_signal(signal.SIGTERM)
    end(waiting_doctor)

    assert "测试已结束" in newest_text(set_up.box)


@pytest.mark.parametrize(
    "fault_type, needs",
    [
        ("setup:other_program", "connections"),
        ("setup:outside_availability", "availability"),
        ("setup:bot_off", "app.bot"),
    ],
)
def test_no_test_card_is_sent_when_it_cannot_succeed(
    set_up: RunningNotifier, fault_type: str, needs: str
) -> None:
    set_up.box.start_fault(fault_type)

    found = examine(set_up, "--canary", LIN)

    assert [needs] == ids(found["problem"])
    assert needs == next(each for each in found["unknown"] if each["id"] == "canary")["needs"]
    assert [] == set_up.box.all_messages()


def test_an_unknown_address_is_named_and_anything_else_is_refused(set_up: RunningNotifier) -> None:
    found = examine(set_up, "--canary", "nobody@sandbox.example")
    refused = run(set_up, "--canary", "somebody")

    assert ["canary"] == ids(found["problem"])
    assert 2 == refused.exit_code
    assert [] == set_up.box.all_messages()


def test_a_press_without_the_callback_never_arrives(set_up: RunningNotifier) -> None:
    set_up.box.start_fault("setup:callback_not_subscribed")
    process = start_canary(set_up, address=LIN, wait="3")
    message = wait_for_card(set_up.box)
    answer = set_up.box.click(message["message_id"], LIN, button_value(message))
    code, findings = end(process)

    assert (1, 200340) == (code, answer["code"])
    assert "200340" in findings["canary"]["remedy"]


# a fresh app


def test_the_remedies_lead_from_a_fresh_app_to_the_first_card(tmp_path: Path) -> None:
    with FeishuBox(SandboxSettings(fresh=True)) as box:
        notifier = RunningNotifier(box, tmp_path, more=MORE)
        notifier.config.chmod(0o600)
        found = examine(notifier)
        assert ["app.published", "accounts"] == ids(found["problem"])
        steps = found["problem"][0]["remedy"]
        for word in (
            "Add Features",
            "im:resource",
            "card.action.trigger",
            "availability range",
            "publish it",
        ):
            assert word in steps

        with pytest.raises(ValueError, match="no long connection"):
            box.change_console(
                event_mode="long_connection", events=["hire.referral_account.assets_update_v1"]
            )
        notifier.start()
        box.change_console(
            bot=True,
            scopes=[
                each.removeprefix("scope.") for each in ids(found["unknown"]) if each.startswith("scope.")
            ],
            event_mode="long_connection",
            events=["hire.referral_account.assets_update_v1"],
            callback_mode="long_connection",
            callbacks=["card.action.trigger"],
            availability=True,
            contact_range=True,
        )
        assert ["app.published", "accounts"] == ids(examine(notifier)["problem"])
        box.publish()
        found = examine(notifier)
        assert ["group.hr", "group.fallback", "accounts"] == ids(found["problem"])
        for chat_id in ("oc_sandbox_hr", "oc_sandbox_fallback"):
            box.set_group(chat_id, has_bot=True)
        found = examine(notifier)
        assert ["accounts"] == ids(found["problem"])
        assert "register" in found["problem"][0]["remedy"]
        created = call_api(box, "POST", "/hire/v1/referral_account", {"email": "lin@sandbox.example"})
        box.change_balance(created.content["data"]["account"]["account_id"], points=50)
        notifier.wait_until_settled()

        assert [] == examine(notifier)["problem"]
        assert 1 == len(box.messages(LIN))
        notifier.stop()


def test_a_fresh_app_answers_as_feishu_does() -> None:
    def send(box: FeishuBox, chat_id: str = "oc_sandbox_hr") -> int:
        body = {"receive_id": chat_id, "msg_type": "text", "content": '{"text":"hi"}'}
        kind = "chat_id" if chat_id.startswith("oc_") else "open_id"
        return call_api(box, "POST", f"/im/v1/messages?receive_id_type={kind}", body).code

    with FeishuBox(SandboxSettings(fresh=True)) as box:
        codes = [send(box)]
        box.change_console(scopes=["im:message:send_as_bot"])
        codes.append(send(box))
        box.publish()
        codes.append(send(box))
        box.change_console(bot=True)
        box.publish()
        codes += [send(box), send(box, LIN)]
        box.set_group("oc_sandbox_hr", has_bot=True)
        box.change_console(availability=True)
        box.publish()
        codes += [send(box), send(box, LIN)]
        assert [] == box.accounts()

    assert [99991672, 99991672, 230006, 230002, 230013, 0, 0] == codes


def test_a_database_of_another_version_is_not_opened(set_up: RunningNotifier) -> None:
    with sqlite3.connect(set_up.folder / "notifier.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("UPDATE schema_info SET version = '9999', oldest_program = '99.0'")
    connection.close()

    found = examine(set_up)

    assert "database" in ids(found["problem"])
    assert "schema" in ids(found["unknown"])


def test_a_proxy_variable_that_is_no_address_is_named(
    set_up: RunningNotifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = set_up.config.read_text(encoding="utf-8")
    set_up.config.write_text(text.replace(set_up.box.url, "https://feishu.invalid"), encoding="utf-8")
    monkeypatch.setenv("HTTPS_PROXY", "notaurl")

    found = examine(set_up)

    assert ["network.proxy"] == ids(found["problem"])
    assert "HTTPS_PROXY is no address" in found["problem"][0]["subject"]
    assert {"network.dns", "network.tls", "network.connection"} <= set(ids(found["unknown"]))


def test_without_a_configuration_the_wizard_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    ran = CliRunner().invoke(cli, ["doctor"], env=ENGLISH)

    assert 1 == ran.exit_code
    assert "✗ there is no configuration file\n    → run `notifier init`" in ran.stdout


def test_a_name_that_dns_does_not_know_is_named(set_up: RunningNotifier) -> None:
    text = set_up.config.read_text(encoding="utf-8")
    set_up.config.write_text(text.replace(set_up.box.url, "https://feishu.invalid"), encoding="utf-8")

    found = examine(set_up)

    assert ["network.dns"] == ids(found["problem"])
    assert "feishu.invalid" in found["problem"][0]["subject"]
    assert "network.tls" in ids(found["unknown"])

"""`notifier try reward` against the stand-in, over real sockets, with a running notifier."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifier.sandbox.settings import DEFAULT_SCOPES
from notifier.sandbox.testing import FeishuBox
from support.running import RunningNotifier, clean_environment

ACCOUNT, LIN = "7000000000000000001", "ou_sandbox_lin"
PATH = "/open-apis/hire/v1/external_referral_rewards"
SCOPE = "hire:external_referral_reward"


@pytest.fixture
def notifier(feishu_box: FeishuBox, tmp_path: Path) -> RunningNotifier:
    """Not started; its app is a test app."""
    made = RunningNotifier(feishu_box, tmp_path)
    text = made.config.read_text(encoding="utf-8")
    made.config.write_text(text.replace("feishu:\n", "feishu:\n  environment: test\n", 1), encoding="utf-8")
    return made


@pytest.fixture
def running(notifier: RunningNotifier) -> Iterator[RunningNotifier]:
    notifier.start()
    yield notifier
    notifier.stop()


def try_reward(notifier: RunningNotifier, *words: str) -> "subprocess.CompletedProcess[str]":
    return notifier.command("try", "reward", "--account", ACCOUNT, "--talent", "700", "--yes", *words)


def calls(box: FeishuBox) -> list[tuple[str, int | None]]:
    return [(each["method"], each["code"]) for each in box.requests(PATH)]


def test_a_card_arrives_and_the_reward_is_gone_again(running: RunningNotifier, feishu_box: FeishuBox) -> None:
    before = feishu_box.account(ACCOUNT)
    ran = try_reward(running, "--cash", "12.50")

    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert "Balance: 350.50 CNY, 120 points -> 363 CNY, 120 points." in ran.stdout
    assert "to referrer is sent." in ran.stdout
    assert "Deleted reward 71" in ran.stdout
    assert [("POST", 0), ("DELETE", 0)] == calls(feishu_box)
    assert before["cash"] == feishu_box.account(ACCOUNT)["cash"]
    running.wait_until_settled()
    cards = [str(each) for each in feishu_box.messages(LIN)]
    assert any("363.00" in card for card in cards)


def test_points_can_stay_and_be_deleted_later(running: RunningNotifier, feishu_box: FeishuBox) -> None:
    ran = try_reward(running, "--points", "7", "--keep")
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert 127 == feishu_box.account(ACCOUNT)["points"]

    reward_id = ran.stdout.rsplit("delete-reward ", 1)[1].split("`")[0]
    deleted = running.command("try", "delete-reward", reward_id)
    assert (0, f"Deleted reward {reward_id}.\n") == (deleted.returncode, deleted.stdout)
    assert 120 == feishu_box.account(ACCOUNT)["points"]
    again = running.command("try", "delete-reward", reward_id)
    assert 1 == again.returncode
    assert "was NOT deleted: Feishu refuses it (code 1002002)" in again.stdout


def test_without_a_running_notifier_it_says_so_and_deletes_the_reward(
    notifier: RunningNotifier, feishu_box: FeishuBox
) -> None:
    assert 0 == notifier.command("migrate").returncode
    ran = try_reward(notifier, "--wait", "2")

    assert 1 == ran.returncode
    assert "No event within 2 s." in ran.stdout
    assert 120 == feishu_box.account(ACCOUNT)["points"]
    assert [("POST", 0), ("DELETE", 0)] == calls(feishu_box)


def test_control_c_deletes_the_reward_too(notifier: RunningNotifier, feishu_box: FeishuBox) -> None:
    assert 0 == notifier.command("migrate").returncode
    words = [
        "try",
        "reward",
        "--account",
        ACCOUNT,
        "--talent",
        "700",
        "--yes",
        "--config",
        str(notifier.config),
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "notifier", *words], stdout=subprocess.PIPE, env=clean_environment(), text=True
    ) as program:
        feishu_box.wait_for(lambda: bool(calls(feishu_box)), "the reward is imported")
        os.kill(program.pid, signal.SIGINT)
        printed = program.communicate(timeout=30)[0]

    assert "Deleted reward" in printed
    assert program.returncode != 0
    assert 120 == feishu_box.account(ACCOUNT)["points"]


def test_a_call_without_an_answer_is_repeated_with_the_same_id(
    running: RunningNotifier, feishu_box: FeishuBox
) -> None:
    feishu_box.add_call_fault(
        {"match": f"POST {PATH}", "action": "code", "http_status": 500, "code": 1002001, "times": 2}
    )
    ran = try_reward(running)

    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert [("POST", 1002001), ("POST", 1002001), ("POST", 0), ("DELETE", 0)] == calls(feishu_box)
    assert 120 == feishu_box.account(ACCOUNT)["points"]


def test_a_reward_that_cannot_be_deleted_is_named(running: RunningNotifier, feishu_box: FeishuBox) -> None:
    """Feishu documents the call; whether every tenant has it is not known."""
    feishu_box.add_call_fault({"match": f"DELETE {PATH}", "action": "code", "code": 1002002})
    ran = try_reward(running)

    assert "was NOT deleted: Feishu refuses it (code 1002002)" in ran.stdout
    assert "notifier try delete-reward 71" in ran.stdout


@pytest.mark.parametrize("environment", ["production", None])
def test_a_production_app_is_refused_before_any_call(
    notifier: RunningNotifier, feishu_box: FeishuBox, environment: str | None
) -> None:
    text = notifier.config.read_text(encoding="utf-8")
    line = f"  environment: {environment}\n" if environment else ""
    notifier.config.write_text(text.replace("  environment: test\n", line), encoding="utf-8")

    for ran in (try_reward(notifier), notifier.command("try", "delete-reward", "71")):
        assert 2 == ran.returncode
        assert "feishu.environment: is production, so no reward is changed." in ran.stderr
    assert [] == feishu_box.requests("/open-apis")
    explained = notifier.command("try", "reward", "--account", ACCOUNT, "--explain")
    assert 0 == explained.returncode
    assert "It refuses now, because feishu.environment is not test." in explained.stdout
    assert SCOPE in explained.stdout
    assert [] == feishu_box.requests("/open-apis")


def test_a_missing_scope_is_named(notifier: RunningNotifier, feishu_box: FeishuBox) -> None:
    feishu_box.set_scopes(DEFAULT_SCOPES - {SCOPE})
    ran = try_reward(notifier)

    assert 2 == ran.returncode
    assert f"the scope {SCOPE} is missing, or no version with it is published (code 99991672)" in ran.stderr


def test_an_explanation_needs_no_account_and_a_reward_that_is_gone_is_named(
    notifier: RunningNotifier,
) -> None:
    explained = notifier.command("try", "reward", "--explain")
    asked = notifier.command("try", "reward", "--talent", "7", "--yes")
    gone = notifier.command("try", "delete-reward", "1")

    assert (0, "account ACCOUNT" in explained.stdout) == (explained.returncode, True)
    assert (2, "Add --account" in asked.stderr) == (asked.returncode, True)
    assert (1, "It may not exist any more" in gone.stdout) == (gone.returncode, True)


def test_a_deactivated_or_unknown_account_is_named_before_the_import(
    notifier: RunningNotifier, feishu_box: FeishuBox
) -> None:
    feishu_box.set_account(ACCOUNT, status=2)
    ran = try_reward(notifier)
    assert 2 == ran.returncode
    assert "is deactivated, so Feishu sends no event." in ran.stderr
    ran = notifier.command("try", "reward", "--account", "1", "--talent", "7", "--yes")
    assert 2 == ran.returncode
    assert "code 1002553" in ran.stderr
    assert "notifier accounts list" in ran.stderr
    assert [] == calls(feishu_box)


@pytest.mark.parametrize(
    "words, expected",
    [
        (["--yes"], "Add --talent or --application"),
        (["--talent", "7"], "Without a terminal, add --yes."),
        (["--talent", "7", "--points", "1", "--cash", "2"], "Choose one of --points and --cash."),
        (["--talent", "7", "--cash", "1.234", "--yes"], "write an amount above 0"),
        (["--talent", "7", "--cash", "-1", "--yes"], "write an amount above 0"),
        (["--talent", "7", "--cash", "NaN", "--yes"], "write an amount above 0"),
        (["--points", "0"], "--points"),
    ],
)
def test_wrong_options_change_nothing(
    notifier: RunningNotifier, feishu_box: FeishuBox, words: list[str], expected: str
) -> None:
    ran = notifier.command("try", "reward", "--account", ACCOUNT, *words)

    assert 2 == ran.returncode
    assert expected in ran.stderr
    assert [] == feishu_box.requests("/open-apis")

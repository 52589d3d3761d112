"""`notifier sandbox --data` keeps the notifier's database and Feishu's side together."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from notifier.cli.main import cli
from support.sandbox_process import SandboxProcess, running_sandbox
from support.waiting import wait_until

LIN_CHAT, LIN_ACCOUNT = "oc_sandbox_p2p_lin", "7000000000000000001"
RECONCILED = "/open-apis/hire/v1/referral_account/get_account_assets"

APP = {
    "app_id": "cli_5a4db0c05a4db0c0",
    "app_secret": "sandbox-secret",
    "name": "Sample",
    "tenant_key": "sandbox-tenant",
}
LISTS = (
    "card_entities",
    "custom_bots",
    "departments",
    "people",
    "groups",
    "accounts",
    "messages",
    "images",
    "events",
    "orders",
    "rewards",
    "payouts",
)
EMPTY_SIDE = json.dumps(
    {
        "format": 3,
        "clock": {"ahead_seconds": 0, "skipped_seconds": 0},
        "apps": [
            {"app": APP, "last_modify_ms": 0, "uuids": {}, "files": {}, "image_bytes": {}, "on_hold": False}
            | {"console": {"draft": {}, "published": {}}}
            | {name: [] for name in LISTS}
        ],
        "snapshots": {},
    }
)


def add_cash(sandbox: SandboxProcess, amount: str) -> None:
    sandbox.post("/changes", {"changes": [{"account_id": LIN_ACCOUNT, "cash": {"CNY": amount}}]})


def wait_for_card(sandbox: SandboxProcess, text: str) -> None:
    wait_until(lambda: any(text in card for card in sandbox.cards(LIN_CHAT)), text, seconds=40)


@pytest.mark.timeout(180)
def test_a_restart_reports_no_change_that_never_was(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_sandbox(tmp_path, "--data", str(data)) as sandbox:
        wait_for_card(sandbox, "¥350.50")
        add_cash(sandbox, "+912.00")
        wait_for_card(sandbox, "+¥912.00")
        sandbox.post("/clock", {"seconds": 7200})
        ahead = sandbox.state()["ahead_seconds"]
        before = len(sandbox.cards(LIN_CHAT))

    with running_sandbox(tmp_path, "--data", str(data)) as sandbox:
        assert ahead == sandbox.state()["ahead_seconds"], "the clock goes on"
        wait_until(
            lambda: 4 <= [call["path"] for call in sandbox.requests()].count(RECONCILED),
            "every balance is compared",
            seconds=40,
        )
        add_cash(sandbox, "+1.00")
        wait_for_card(sandbox, "¥1,263.50")
        newest = sandbox.cards(LIN_CHAT)[before:]
        assert 1 == len(newest), "only the new reward is reported"
        assert "+¥1.00" in newest[0]


def test_one_side_alone_is_refused_or_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "notifier.db").touch()
    refused = CliRunner().invoke(cli, ["sandbox", "--port", "0", "--data", str(tmp_path)])
    assert 0 != refused.exit_code
    assert "has notifier.db, but not Feishu's side" in refused.output

    (tmp_path / "notifier.db").unlink()
    (tmp_path / "feishu-sandbox.json").write_text("left by a run that was deleted")
    with running_sandbox(tmp_path, "--data", str(tmp_path)) as sandbox:
        assert sandbox.url
    assert "left by" in (tmp_path / "feishu-sandbox.old.json").read_text()

    (tmp_path / "notifier.db").touch()
    (tmp_path / "feishu-sandbox.json").write_text("{}")
    refused = CliRunner().invoke(cli, ["sandbox", "--port", "0", "--data", str(tmp_path)])
    assert 0 != refused.exit_code
    assert "feishu-sandbox.json" in refused.output


def test_the_terminal_shows_where_the_log_is_and_no_log(tmp_path: Path) -> None:
    with running_sandbox(tmp_path, "--data", str(tmp_path / "data")) as sandbox:
        wait_for_card(sandbox, "¥350.50")
        log = tmp_path / "data" / "notifier.log"
        assert f"its log is {log}" in sandbox.output
        assert "connection.connected" in log.read_text(encoding="utf-8")
        assert "connection.connected" not in sandbox.output
        assert 12 >= len(sandbox.output.splitlines())


def test_the_end_of_the_log_is_shown_if_the_notifier_fails(tmp_path: Path) -> None:
    (tmp_path / "notifier.db").write_text("no database")
    (tmp_path / "feishu-sandbox.json").write_text(EMPTY_SIDE)
    ran = CliRunner().invoke(cli, ["sandbox", "--port", "0", "--data", str(tmp_path)])

    assert 0 != ran.exit_code
    assert "the notifier ended with exit code" in ran.output
    assert "notifier.db" in ran.output.partition("Its log ends with:")[2]

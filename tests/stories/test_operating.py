"""Bad input, bad luck, bad templates: the process lives, says what is wrong, and the next good event goes through."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from notifier.sandbox.testing import FeishuBox
from support.running import RunningNotifier, clean_environment, running_notifier, texts
from support.waiting import wait_until

LIN = "ou_sandbox_lin"
LIN_ACCOUNT = "7000000000000000001"
SEND = "POST /open-apis/im/v1/messages"
HIRE = "GET /open-apis/hire/v1/referral_account/get_account_assets"


def event(assets: object, *, event_id: str = "bad-1", account_id: object = LIN_ACCOUNT) -> str:
    return json.dumps(
        {
            "schema": "2.0",
            "header": {
                "event_id": event_id,
                "event_type": "hire.referral_account.assets_update_v1",
                "create_time": "1700000000000",
                "token": "",
                "app_id": "cli_x",
                "tenant_key": "tk",
            },
            "event": {"account_id": account_id, "assets": assets, "modify_time": "1700000000000"},
        }
    )


def bonus(amount: object, currency: object = "CNY") -> dict[str, object]:
    return {
        "confirmed_bonus": {"point_bonus": 0, "cash_bonus": [{"currency_type": currency, "amount": amount}]}
    }


BAD_EVENTS = [
    ("this is not JSON", "no JSON object"),
    ("[1, 2, 3]", "no JSON object"),
    (event(None, event_id="bad-1"), "event.assets is missing"),
    (event({}, event_id="bad-2"), "confirmed_bonus is missing"),
    (event(bonus("a lot"), event_id="bad-3"), "'a lot' is not a number"),
    (event(bonus(1e15), event_id="bad-4"), "larger than"),
    (event(bonus(0.123456), event_id="bad-5"), "more than 4 decimals"),
    (event(bonus(None), event_id="bad-6"), "amount is missing"),
    (event(bonus(1, ""), event_id="bad-7"), "the currency is empty"),
    (event(bonus(1), event_id="bad-8", account_id=None), "account_id is missing"),
]


def test_what_cannot_be_understood_is_parked_with_its_reason_and_the_next_event_goes_through(
    notifier: RunningNotifier,
) -> None:
    box = notifier.box
    for payload, _ in BAD_EVENTS:
        box.push_payload(payload)
    box.push_frame(b"\xff\xff\xff not protobuf")

    box.change_balance(LIN_ACCOUNT, points=5)

    box.wait_for(lambda: box.messages(LIN), "the good event's card", timeout=20)
    wait_until(lambda: notifier.status()["inbox"].get("quarantined") == len(BAD_EVENTS) + 1, "all are parked")
    shown = notifier.command("status").stdout
    assert 1 == len(box.messages(LIN))
    assert 1 == box.connections()
    assert "quarantined   11 events" in shown
    reasons = [entry["reason"] for entry in notifier.status()["quarantined"]]
    assert [] == [reason for _, reason in BAD_EVENTS[2:] if not any(reason in each for each in reasons)]


def test_unusual_amounts_are_understood(notifier: RunningNotifier) -> None:
    box = notifier.box
    unusual = {1: 1e12, 2: -20, 3: 0.1 + 0.2, 4: "12.50"}

    for number, amount in unusual.items():
        account_id = f"700000000000000000{number}"
        box.push_payload(event(bonus(amount), event_id=f"odd-{number}", account_id=account_id))
    box.wait_for(lambda: len(box.all_messages()) == len(unusual), "four cards", timeout=20)

    shown = {text for message in box.all_messages() for text in texts(message["content"])}
    assert {"余额 ¥1,000,000,000,000.00", "余额 -¥20.00", "余额 ¥0.30", "余额 ¥12.50"} <= shown


def test_an_unknown_currency_passes_through_verbatim(notifier: RunningNotifier) -> None:
    box = notifier.box

    box.push_payload(event(bonus(12.5, "DOGE")))

    box.wait_for(lambda: box.messages(LIN), "the card", timeout=20)
    assert "余额 DOGE 12.50" in texts(box.messages(LIN)[0]["content"])


def test_an_unknown_event_type_is_acknowledged_stored_and_logged_once(notifier: RunningNotifier) -> None:
    box = notifier.box
    for number in range(3):
        box.push_payload(
            json.dumps(
                {
                    "schema": "2.0",
                    "header": {"event_id": f"x{number}", "event_type": "moon.rises_v1"},
                    "event": {},
                }
            )
        )

    notifier.wait_until_settled()

    assert 3 == notifier.status()["inbox"]["ignored"]
    assert 1 == notifier.log.count("event.type_unrecognized")


def test_an_account_that_feishu_does_not_know_is_told_to_the_fallback_group(
    notifier: RunningNotifier,
) -> None:
    box = notifier.box

    box.push_payload(event(bonus(5), account_id="7999999999999999999"))

    box.wait_for(lambda: box.messages("oc_sandbox_fallback"), "the card", timeout=20)
    shown = texts(box.messages("oc_sandbox_fallback")[0]["content"])
    assert any("飞书查不到该内推账户" in text for text in shown)


def test_who_cannot_be_reached_is_told_of_in_the_fallback_group_with_the_reason(
    notifier: RunningNotifier,
) -> None:
    box = notifier.box
    unreachable = {"lin": "resigned", "chen": "bot_stopped", "tanaka": "out_of_range", "zhou": "blocked"}
    for name, status in unreachable.items():
        box.set_person(f"ou_sandbox_{name}", status=status)

    box.change_balances([(account["account_id"], 5, {}) for account in box.accounts()])
    box.wait_for(lambda: len(box.messages("oc_sandbox_fallback")) == 4, "four cards", timeout=20)

    cards = [texts(message["content"]) for message in box.messages("oc_sandbox_fallback")]
    reasons = [next(text for text in card if "无法送达内推人本人" in text) for card in cards]
    assert 4 == len(box.all_messages())
    assert 4 == len(set(reasons))


BOTH = """\
routes:
  - name: both
    to: [referrer, hr]
"""


def test_when_referrer_and_group_cannot_be_reached_the_fallback_hears_both_with_true_reasons(
    feishu_box: FeishuBox, tmp_path: Path
) -> None:
    with running_notifier(feishu_box, tmp_path, more=BOTH) as notifier:
        feishu_box.set_person(LIN, status="resigned")
        feishu_box.set_group("oc_sandbox_hr", has_bot=False)

        feishu_box.change_balance(LIN_ACCOUNT, points=5)
        notifier.wait_until_settled()

        cards = [texts(message["content"]) for message in feishu_box.messages("oc_sandbox_fallback")]
        assert 2 == len(cards)
        assert 1 == sum("无法送达内推人本人" in text for card in cards for text in card)
        assert 1 == sum("无法送达原定的群" in text for card in cards for text in card)
        assert {"rerouted": 2, "sent": 2} == notifier.status()["deliveries"]


def test_a_failing_lookup_delays_the_notice_and_folds_what_happens_meanwhile(
    notifier: RunningNotifier,
) -> None:
    box = notifier.box
    box.add_call_fault({"match": HIRE, "action": "code", "http_status": 500, "code": 1002001, "times": 2})
    box.change_balance(LIN_ACCOUNT, points=5)
    box.change_balance(LIN_ACCOUNT, cash={"CNY": "+10.00"})
    box.change_balance(LIN_ACCOUNT, cash={"CNY": "+20.00"})

    box.wait_for(lambda: box.messages(LIN), "the card", timeout=20)
    notifier.wait_until_settled()

    [message] = box.messages(LIN)
    shown = texts(message["content"])
    assert "余额 ¥380.50" in shown
    assert "共 3 笔变动" in shown
    assert {"+¥10.00 · 余额 ¥360.50", "+¥20.00 · 余额 ¥380.50"} <= set(shown)


FAULTS: list[dict[str, Any]] = [
    {"action": "http", "status": 502, "body": "<html>bad gateway</html>"},
    {"action": "reset_after"},
    {"action": "reset"},
    {"action": "truncate"},
    {"action": "code", "http_status": 400, "code": 230049, "msg": "still sending"},
    {"action": "code", "http_status": 400, "code": 230020, "msg": "too fast"},
    {"action": "code", "http_status": 429, "code": 99991400, "headers": {"x-ogw-ratelimit-reset": "1"}},
]


def test_a_send_that_fails_is_made_again_and_seen_once(notifier: RunningNotifier) -> None:
    box = notifier.box
    for number, fault in enumerate(FAULTS, start=1):
        box.add_call_fault({"match": SEND, "times": 1, **fault})

        box.change_balance(LIN_ACCOUNT, points=5)
        notifier.wait_until_settled()

        assert number == len(box.messages(LIN)), fault
        assert 2 * number == len(box.requests("/open-apis/im/v1/messages")), fault


def test_a_send_without_an_answer_is_made_again_under_the_same_key(
    feishu_box: FeishuBox, tmp_path: Path
) -> None:
    with running_notifier(feishu_box, tmp_path, timeout_seconds=0.5) as notifier:
        feishu_box.add_call_fault({"match": SEND, "action": "hang_after", "times": 1})

        feishu_box.change_balance(LIN_ACCOUNT, points=5)
        notifier.wait_until_settled()

        assert 1 == len(feishu_box.messages(LIN))


def test_a_card_that_feishu_refuses_comes_in_a_simpler_form(notifier: RunningNotifier) -> None:
    box = notifier.box
    refusal = {
        "match": SEND,
        "action": "code",
        "http_status": 400,
        "code": 230099,
        "msg": "ext=ErrCode: 100290; ErrMsg: invalid user id;",
    }
    box.add_call_fault({**refusal, "times": 2})

    box.change_balance(LIN_ACCOUNT, points=5)
    box.wait_for(lambda: box.messages(LIN), "the message", timeout=20)

    [message] = box.messages(LIN)
    assert "text" == message["msg_type"]
    assert "125" in message["content"]["text"]


def test_expired_tokens_are_renewed_without_losing_a_card(notifier: RunningNotifier) -> None:
    box = notifier.box
    box.change_balance(LIN_ACCOUNT, points=5)
    box.wait_for(lambda: box.messages(LIN), "the first card", timeout=20)

    box.expire_tokens()
    box.change_balance(LIN_ACCOUNT, points=5)

    box.wait_for(lambda: len(box.messages(LIN)) == 2, "the second card", timeout=20)
    assert 2 == len(box.requests("/open-apis/auth"))


def test_one_recipient_who_cannot_be_served_now_holds_nobody_else_up(notifier: RunningNotifier) -> None:
    box = notifier.box
    box.add_call_fault({"match": SEND, "action": "hang", "seconds": 60, "receive_id": LIN})

    box.change_balance(LIN_ACCOUNT, points=5)
    box.change_balance("7000000000000000002", points=5)

    box.wait_for(lambda: box.messages("ou_sandbox_chen"), "the other's card", timeout=20)
    assert [] == box.messages(LIN)


def test_a_look_up_that_hangs_keeps_nobody_else_waiting(feishu_box: FeishuBox, tmp_path: Path) -> None:
    never = "reconciliation: {on_connect: false, every_hours: null}\n"  # its reads would meet the fault first
    with running_notifier(feishu_box, tmp_path, timeout_seconds=30, more=never):
        fault = feishu_box.add_call_fault({"match": HIRE, "action": "hang", "seconds": 60, "times": 1})
        feishu_box.change_balance(LIN_ACCOUNT, points=5)
        feishu_box.wait_for(lambda: feishu_box.count_call_fault_hits(fault), "the look-up hangs")

        feishu_box.change_balance("7000000000000000002", points=5)

        feishu_box.wait_for(lambda: feishu_box.messages("ou_sandbox_chen"), "the other's card", timeout=20)
        assert [] == feishu_box.messages(LIN)


@pytest.mark.parametrize(
    "template,fault", [("{% if %}", "balance_change.json.j2, line 1"), ('{"a": }', "renders invalid JSON")]
)
def test_a_template_with_a_mistake_costs_its_looks_but_not_the_message_and_status_tells(
    feishu_box: FeishuBox, tmp_path: Path, template: str, fault: str
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "balance_change.json.j2").write_text(template, encoding="utf-8")
    with running_notifier(feishu_box, tmp_path, more="cards: {template_dir: own}") as notifier:
        feishu_box.change_balance(LIN_ACCOUNT, points=5)
        feishu_box.wait_for(lambda: feishu_box.messages(LIN), "the compact card", timeout=20)
        notifier.wait_until_settled()

        [simpler] = notifier.status()["degraded_cards"]
        assert "内推奖励变动" in texts(feishu_box.messages(LIN)[0]["content"])
        assert ("compact", 1) == (simpler["variant"], simpler["count"])
        assert fault in simpler["reason"]
        assert fault in notifier.command("status").stdout
        assert fault in notifier.command("deliveries", "show", "1").stdout


def test_a_companys_own_template_is_used(feishu_box: FeishuBox, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "balance_change.json.j2").write_text(
        '{"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": "**{{ card.referrer.name.zh }}**"}]}}',
        encoding="utf-8",
    )
    with running_notifier(feishu_box, tmp_path, more="cards: {template_dir: own}"):
        feishu_box.change_balance(LIN_ACCOUNT, points=5)

        feishu_box.wait_for(lambda: feishu_box.messages(LIN), "the card", timeout=20)
        assert ["**林小满（示例）**"] == texts(feishu_box.messages(LIN)[0]["content"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_cleanly_while_a_call_hangs(notifier: RunningNotifier, number: int) -> None:
    box = notifier.box
    box.add_call_fault({"match": SEND, "action": "hang_after", "seconds": 60, "times": 1})
    box.change_balance(LIN_ACCOUNT, points=5)
    box.wait_for(lambda: box.messages(LIN), "Feishu has the card, we do not know it", timeout=20)

    assert 0 == notifier.stop(number)

    assert "notifier.stopped" in notifier.log
    notifier.start()
    notifier.wait_until_settled()
    assert 1 == len(box.messages(LIN))


@pytest.mark.parametrize(
    "match",
    ["POST /callback/ws/endpoint", "POST /open-apis/auth/*", HIRE],
    ids=["discovery", "token", "look-up"],
)
def test_a_stop_ends_cleanly_while_anything_else_hangs(
    feishu_box: FeishuBox, tmp_path: Path, match: str
) -> None:
    """RunningNotifier gives a stop 10 seconds, as the promise is."""
    fault = feishu_box.add_call_fault({"match": match, "action": "hang", "seconds": 120})
    notifier = RunningNotifier(feishu_box, tmp_path, timeout_seconds=30)
    notifier.start(connected=match == HIRE)
    try:
        if match == HIRE:
            feishu_box.change_balance(LIN_ACCOUNT, points=5)
        feishu_box.wait_for(lambda: feishu_box.count_call_fault_hits(fault), "a call hangs", timeout=60)

        assert 0 == notifier.stop()
    finally:
        if not notifier.ended:
            notifier.kill()


def test_a_lost_connection_parks_nothing_that_was_stored(feishu_box: FeishuBox, tmp_path: Path) -> None:
    """Without reading balances, which would find what is still on its way."""
    never = "reconciliation: {on_connect: false, every_hours: null}\n"
    with running_notifier(feishu_box, tmp_path, more=never) as notifier:
        _loses_its_connection_again_and_again(notifier)


def _loses_its_connection_again_and_again(notifier: RunningNotifier) -> None:
    box = notifier.box
    for _ in range(4):
        box.change_balances([(LIN_ACCOUNT, 1, {})] * 20)
        box.disconnect_all()
        box.wait_for(lambda: box.connections() == 1, "it is back", timeout=30)
    box.advance(400)
    notifier.wait_until_settled()

    status = notifier.status()
    assert {"done": 80} == status["inbox"]
    assert [] == status["quarantined"]


def test_a_second_process_on_the_same_database_is_refused(notifier: RunningNotifier) -> None:
    second = notifier.command("run")

    assert 2 == second.returncode
    assert "already running" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_wrong_secret_is_said_at_once(feishu_box: FeishuBox, tmp_path: Path) -> None:
    notifier = RunningNotifier(feishu_box, tmp_path)
    notifier.config.write_text(notifier.config.read_text().replace(feishu_box.app_secret, "wrong-secret"))

    ran = notifier.command("run")

    assert 2 == ran.returncode
    assert "app_secret" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "wrong-secret" not in ran.stderr + ran.stdout


def test_while_the_disk_is_locked_events_are_not_acknowledged_and_come_again(
    feishu_box: FeishuBox, tmp_path: Path
) -> None:
    with running_notifier(feishu_box, tmp_path) as notifier:
        locker = sqlite3.connect(tmp_path / "notifier.db", isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        [event_id] = feishu_box.change_balance(LIN_ACCOUNT, points=5)
        feishu_box.wait_for(lambda: feishu_box.event(event_id)["pushes"], "the push was made")
        assert "acknowledged" != feishu_box.event(event_id)["state"]

        locker.execute("ROLLBACK")
        locker.close()
        feishu_box.advance(16)

        feishu_box.wait_for(lambda: feishu_box.messages(LIN), "the card", timeout=30)
        notifier.wait_until_settled()
        assert 1 == len(feishu_box.messages(LIN))


def test_secrets_are_in_no_log(notifier: RunningNotifier) -> None:
    box = notifier.box
    box.change_balance(LIN_ACCOUNT, points=5)
    box.wait_for(lambda: box.messages(LIN), "the card", timeout=20)
    box.disconnect_all()
    box.wait_for(lambda: box.connections() == 1, "it is back", timeout=20)

    log = notifier.log

    assert "connection.lost" in log
    for secret in (box.app_secret, "access_key=", "ticket=", "Bearer "):
        assert secret not in log


def test_the_offline_commands_work_without_feishu(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "notifier", "check"],
        cwd=tmp_path,
        env={**clean_environment(), "FEISHU_APP_ID": "cli_x", "FEISHU_APP_SECRET": "s"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert "All good." in ran.stdout


@pytest.mark.parametrize("zone", ["CST-8", "UTC+8", "GMT+8", "Beijing", '"Asia/Shanghai"'])
def test_a_strange_zone_of_the_machine_matters_to_nobody(
    feishu_box: FeishuBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    digests = "digests: [{name: d, to: [hr], at: '09:07'}]\n"
    with running_notifier(feishu_box, tmp_path, more=digests) as notifier:
        assert 0 == notifier.stop()
        assert "Traceback" not in notifier.log


@pytest.mark.parametrize("after", [0.0, 0.05, 0.15, 0.3, 0.5])
def test_a_stop_in_the_first_second_is_a_stop(tmp_path: Path, after: float) -> None:
    """Process 1 of a container would ignore it, and elsewhere the exit code would not be 0."""
    config = tmp_path / "config.yaml"
    config.write_text(f"store: {{url: 'sqlite:///{tmp_path}/n.db'}}\n", encoding="utf-8")
    environ = clean_environment() | {"FEISHU_APP_ID": "cli_x", "FEISHU_APP_SECRET": "no-secret"}
    command = [sys.executable, "-X", "importtime", "-m", "notifier", "run", "--config", str(config)]
    process = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        assert process.stderr is not None
        for line in process.stderr:  # the handler is set just before the first import of the commands
            if b" click" in line or b"notifier.cli" in line:
                break
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(after)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert 0 == process.returncode
    finally:
        process.kill()
        process.communicate()


def test_what_the_notifier_writes_is_for_its_user_alone(feishu_box: FeishuBox, tmp_path: Path) -> None:
    """Names, ids and amounts are in the database and its side files."""
    with running_notifier(feishu_box, tmp_path) as notifier:
        made = Path(notifier.database_url.removeprefix("sqlite:///"))
        files = [made, *made.parent.glob(f"{made.name}[.-]*")]

        assert {".lock", "-wal"} <= {each.name.removeprefix(made.name) for each in files}
        assert {0o600} == {each.stat().st_mode & 0o777 for each in files}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_after_a_run_as_root_the_files_belong_to_the_owner_of_the_database(
    feishu_box: FeishuBox, tmp_path: Path
) -> None:
    nobody = 65534
    with running_notifier(feishu_box, tmp_path) as notifier:
        made = Path(notifier.database_url.removeprefix("sqlite:///"))
        notifier.stop()
        os.chown(made, nobody, nobody)
        notifier.start()
        notifier.stop()

        owners = {each.name: each.stat().st_uid for each in made.parent.glob(f"{made.name}[.-]*")}
        assert {nobody} == set(owners.values()), owners

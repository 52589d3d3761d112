"""Over the webhook: the whole program, with Feishu posting to it, and nothing that it could be told by another way."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifier.sandbox.testing import FeishuBox
from notifier.store import withdrawals
from support.cards import balance_card, contains_text, newest_card, press_button
from support.running import RunningNotifier, running_notifier, texts

LIN, CHEN = "ou_sandbox_lin", "ou_sandbox_chen"
LIN_ACCOUNT = "7000000000000000001"
SETTINGS = """\
withdrawals:
  offer_to: [referrer]
"""


@pytest.fixture
def notifier(feishu_box: FeishuBox, tmp_path: Path) -> Iterator[RunningNotifier]:
    with running_notifier(feishu_box, tmp_path, more=SETTINGS, webhook=True) as running:
        yield running
        assert 0 == feishu_box.connections()


def reward(notifier: RunningNotifier) -> str:
    [event_id] = notifier.box.change_balance(LIN_ACCOUNT, cash={"CNY": "+500.00"})
    notifier.wait_until_settled()
    return event_id


def test_a_reward_reaches_the_referrer(notifier: RunningNotifier) -> None:
    event_id = reward(notifier)

    (card,) = notifier.box.messages(LIN)
    assert contains_text(card, "¥850.50")
    (push,) = notifier.box.event(event_id)["pushes"]
    assert ("webhook", 200) == (push["connection"], push["code"])


def test_a_click_withdraws(notifier: RunningNotifier) -> None:
    box = notifier.box
    reward(notifier)

    clicked = press_button(box, LIN, LIN)

    assert (0, True) == (clicked["code"], clicked["card_updated"])
    assert "提现处理中" in clicked["toast"]["content"]
    box.wait_for(
        lambda: any("已提现" in text for text in texts(newest_card(box, LIN)["content"])), "it is shown"
    )
    assert [] == box.account(LIN_ACCOUNT)["cash"] or "0.00" == box.account(LIN_ACCOUNT)["cash"][0]["amount"]
    with notifier.open_database() as database, database.read() as connection:
        assert ["withdrawn"] == [
            each.state.value for each in withdrawals.list_withdrawals(connection, states=(), limit=9)
        ]


def test_a_stranger_is_refused(notifier: RunningNotifier) -> None:
    reward(notifier)

    clicked = press_button(notifier.box, LIN, CHEN)

    assert (0, "error", False) == (clicked["code"], clicked["toast"]["type"], clicked["card_updated"])


def test_twenty_clicks_at_once_are_one_withdrawal(notifier: RunningNotifier) -> None:
    box = notifier.box
    reward(notifier)
    card = balance_card(box, LIN)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(press_button(box, LIN, LIN))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert [0] * 20 == [each["code"] for each in answers]
    assert contains_text(card, "¥850.50")
    box.wait_for(box.withdrawals, "it is withdrawn")
    notifier.wait_until_settled()
    assert 1 == len(box.withdrawals())


def test_while_the_store_refuses_events_are_not_acknowledged_and_come_again(
    notifier: RunningNotifier,
) -> None:
    box = notifier.box
    locker = sqlite3.connect(notifier.folder / "notifier.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    [event_id] = box.change_balance(LIN_ACCOUNT, points=5)
    box.wait_for(lambda: 500 in box.push_codes(event_id), "it was not stored in time")
    assert "acknowledged" != box.event(event_id)["state"]
    locker.execute("ROLLBACK")
    locker.close()

    box.advance(16)

    box.wait_for(lambda: box.messages(LIN), "the card", timeout=30)
    notifier.wait_until_settled()
    assert 1 == len(box.messages(LIN))
    assert [500, 200] == box.push_codes(event_id)


def test_a_killed_notifier_gets_what_it_missed(notifier: RunningNotifier) -> None:
    box = notifier.box
    notifier.kill()
    [event_id] = box.change_balance(LIN_ACCOUNT, points=5)
    box.wait_for(lambda: box.event(event_id)["pushes"], "it was tried")

    notifier.start()

    notifier.wait_until_settled()
    assert 1 == len(box.messages(LIN))


def test_an_event_that_comes_often_is_told_once(notifier: RunningNotifier) -> None:
    box = notifier.box
    box.change_balance(LIN_ACCOUNT, points=5, send="twice")
    box.change_balance(LIN_ACCOUNT, points=5, send="copy")
    notifier.wait_until_settled()

    assert {"done": 3} == notifier.status()["inbox"]


def test_what_is_no_event_is_kept_and_the_next_one_comes_through(notifier: RunningNotifier) -> None:
    """Without a token in it a post is not Feishu's, when one is set; with it, anything is kept."""
    box = notifier.box
    header = {"event_id": "odd-1", "event_type": "hire.referral_account.assets_update_v1", "token": ""}
    stranger = box.push_payload("[1, 2]")
    odd = box.push_payload(json.dumps({"schema": "2.0", "header": header, "event": 7}))
    box.wait_for(
        lambda: box.push_codes(stranger) == [401] and box.push_codes(odd) == [200], "both were answered"
    )
    box.change_balance(LIN_ACCOUNT, points=5)
    box.wait_for(lambda: box.messages(LIN), "the card")

    assert "webhook.rejected" in notifier.log
    assert ["odd-1"] == [entry["event_key"] for entry in notifier.status()["quarantined"]]


def test_status_says_where_it_listens(notifier: RunningNotifier) -> None:
    status = notifier.status()

    assert "listening" == status["connection"]
    assert notifier.webhook_url == f"http://{status['connection_detail']}"
    said = notifier.command("status").stdout
    assert "connection    listening for" in said
    assert notifier.webhook_url.removeprefix("http://") in said


def test_a_stop_is_quick_and_clean(notifier: RunningNotifier) -> None:
    assert 0 == notifier.stop()


def test_the_secrets_are_in_no_log_and_no_file(notifier: RunningNotifier) -> None:
    box = notifier.box
    reward(notifier)
    press_button(box, LIN, LIN)
    notifier.wait_until_settled()
    box.push_payload("[1, 2]")
    box.wait_for(lambda: "webhook.rejected" in notifier.log, "a stranger was refused")
    notifier.stop()

    kept = b"".join(file.read_bytes() for file in notifier.folder.glob("notifier*"))
    assert b"hire.referral_account.assets_update_v1" in kept
    for secret in (box.settings.webhook_encrypt_key, box.settings.webhook_verification_token):
        assert secret
        assert secret.encode() not in kept


def test_an_address_that_is_taken_is_said_with_its_setting(
    notifier: RunningNotifier, tmp_path_factory: pytest.TempPathFactory
) -> None:
    second = RunningNotifier(notifier.box, tmp_path_factory.mktemp("second"), webhook=True)
    written = second.config.read_text(encoding="utf-8")
    taken = notifier.webhook_url.removeprefix("http://").partition("/")[0]
    own = second.webhook_url.removeprefix("http://").partition("/")[0]
    second.config.write_text(written.replace(own, taken), encoding="utf-8")

    ran = second.command("run")

    assert 2 == ran.returncode
    assert f"webhook.listen: cannot listen on {taken}" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_check_says_how_posts_are_checked(notifier: RunningNotifier) -> None:
    said = notifier.command("check").stdout
    assert "ok       webhook: 127.0.0.1:" in said
    assert "checked by encrypt_key and verification_token" in said
    assert "long connection" not in said
    assert "webhook is used instead: 127.0.0.1:" in notifier.command("doctor").stdout


def test_the_process_does_without_the_sdk(notifier: RunningNotifier) -> None:
    """Only the SDK brings websockets, whose compiled part would be mapped into the process."""
    notifier.stop()
    notifier.program = ("-m", "notifier")  # a fork has the libraries of its parent
    notifier.start()
    reward(notifier)
    maps = Path(f"/proc/{notifier.pid}/maps")
    if not maps.exists():
        pytest.skip("only Linux tells what a process has loaded")

    loaded = maps.read_text(encoding="utf-8")
    assert "/aiohttp/" in loaded
    assert "/websockets/" not in loaded

"""Where the money is: every withdrawal reaches the payroll system once, and its way to `paid` is on every card."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from notifier.sandbox.testing import FeishuBox
from notifier.store import card_updates, payouts, withdrawals
from support.cards import balance_card, contains_text, is_superseded, newest_card, press_button, receipts
from support.ports import free_port
from support.running import RunningNotifier, running_notifier
from support.waiting import wait_until

LIN, ZHOU = "ou_sandbox_lin", "ou_sandbox_zhou"
LIN_ACCOUNT = "7000000000000000001"
HR, FALLBACK = "oc_sandbox_hr", "oc_sandbox_fallback"
SECRET = "sandbox-payout-secret"
PATCH = "PATCH /open-apis/im/v1/messages/*"
SETTINGS = """\
withdrawals:
  offer_to: [referrer, hr]
routes:
  - name: everybody
    to: [referrer, hr]
payouts:
  secret: {secret}
  alarm_group: hr
  {more}
"""

Row = dict[str, Any]


@contextmanager
def paying(box: FeishuBox, folder: Path, *more: str) -> Iterator[RunningNotifier]:
    settings = SETTINGS.format(secret=SECRET, more="\n  ".join(more))
    with running_notifier(box, folder, more=settings, timeout_seconds=2) as notifier:
        yield notifier


@pytest.fixture
def notifier(feishu_box: FeishuBox, tmp_path: Path) -> Iterator[RunningNotifier]:
    """Handing over to the stand-in payroll, and listening for its reports."""
    port = free_port()
    feishu_box.set_payout_report_url(f"http://127.0.0.1:{port}/payouts/report")
    url, listen = f"url: {feishu_box.url}/payroll/payouts", f"listen: 127.0.0.1:{port}"
    with paying(feishu_box, tmp_path, url, listen) as running:
        yield running


@pytest.fixture
def exporting(feishu_box: FeishuBox, tmp_path: Path) -> Iterator[RunningNotifier]:
    """No system to hand over to: an operator exports and marks."""
    with paying(feishu_box, tmp_path) as running:
        yield running


def reward(notifier: RunningNotifier, cash: str = "+500.00") -> None:
    notifier.box.change_balance(LIN_ACCOUNT, cash={"CNY": cash})
    notifier.wait_until_settled()


def withdraw(notifier: RunningNotifier, chat: str = LIN, who: str = LIN) -> str:
    """A reward, the button, and the wait until Feishu has booked it; the order's id."""
    reward(notifier)
    assert 0 == press_button(notifier.box, chat, who)["code"]
    at_rest(notifier)
    return orders(notifier)[0]


def orders(notifier: RunningNotifier) -> list[str]:
    with notifier.open_database() as database, database.read() as connection:
        return [
            each.order_id
            for each in withdrawals.list_withdrawals(connection, states=("withdrawn",), limit=100)
        ]


def state_of(notifier: RunningNotifier, order_id: str) -> str:
    with notifier.open_database() as database, database.read() as connection:
        payout = payouts.find_by_order(connection, order_id)
        assert payout is not None
        return payout.state.value


def wait_for_state(notifier: RunningNotifier, order_id: str, state: str) -> None:
    wait_until(lambda: state_of(notifier, order_id) == state, f"the payout is {state}")


def at_rest(notifier: RunningNotifier) -> None:
    """No order is open, every card shows the newest state, and nothing is on its way."""

    def quiet() -> bool:
        with database.read() as connection:
            unfinished = withdrawals.list_withdrawals(connection, states=("requested",), limit=1)
            return not unfinished and card_updates.count_pending(connection) == 0

    with notifier.open_database() as database:
        wait_until(quiet, "every card shows the end", seconds=60)
    notifier.wait_until_settled()
    with notifier.open_database() as database:
        wait_until(quiet, "every card shows the end", seconds=60)


def audit(notifier: RunningNotifier, order_id: str) -> list[tuple[str, str, str]]:
    ran = notifier.command("audit", "--order", order_id, "--json")
    return [(row["action"], row["actor"], row["outcome"]) for row in json.loads(ran.stdout)][::-1]


def test_the_money_s_way_to_paid_is_on_every_card_and_told_once(notifier: RunningNotifier) -> None:
    box = notifier.box
    order = withdraw(notifier, HR, ZHOU)
    wait_for_state(notifier, order, "sent")
    at_rest(notifier)

    (payout,) = box.payouts()
    assert order == payout["order_id"]
    assert {
        "order_id": order,
        "account_id": LIN_ACCOUNT,
        "tenant_key": payout["body"]["tenant_key"],
        "referrer_open_id": LIN,
        "amounts": [
            {"kind": "cash", "currency": "CNY", "amount": "850.5000"},
            {"kind": "points", "currency": "", "amount": "120.0000"},
        ],
        "withdrawn_at": payout["body"]["withdrawn_at"],
    } == payout["body"]
    (receipt,) = receipts(box, LIN)
    assert contains_text(receipt, "付款处理中")
    assert contains_text(balance_card(box, HR), "付款处理中")
    assert is_superseded(balance_card(box, LIN))

    assert 200 == box.report_payout(order, "paid", reference="WIRE-42")["http_status"]
    at_rest(notifier)

    receipt, told = receipts(box, LIN)
    assert is_superseded(receipt), "one card in the chat shows it"
    assert is_superseded(balance_card(box, LIN))
    for card in (told, balance_card(box, HR)):
        assert contains_text(card, "已付款")
        assert contains_text(card, "WIRE-42")
        assert contains_text(card, "¥850.50")
    assert [] == receipts(box, HR), "HR's own card shows it: nobody there needs a message"
    trail = audit(notifier, order)
    assert [
        ("order", ZHOU, "requested as operator: 850.50 CNY, 120 points"),
        ("answer", "feishu", "withdrawn"),
    ] == trail[:2]
    assert ("payout", "notifier", "submitted (HTTP 202)") in trail
    assert ("payout", "payroll", "paid, reference WIRE-42") in trail


def test_a_report_that_is_repeated_tells_nobody_again(notifier: RunningNotifier) -> None:
    box = notifier.box
    order = withdraw(notifier)
    wait_for_state(notifier, order, "sent")
    for _ in range(3):
        assert 200 == box.report_payout(order, "paid", reference="WIRE-42")["http_status"]
    at_rest(notifier)

    assert 2 == len(receipts(box, LIN))
    assert 409 == box.report_payout(order, "paid", reference="WIRE-43")["http_status"]
    at_rest(notifier)
    assert 2 == len(receipts(box, LIN))
    assert contains_text(receipts(box, LIN)[1], "WIRE-42")
    assert ("payout", "payroll", "ignored (conflict): paid, reference WIRE-43") in audit(notifier, order)


def test_a_payment_that_fails_is_told_to_both_and_may_be_paid_later(notifier: RunningNotifier) -> None:
    box = notifier.box
    order = withdraw(notifier)
    wait_for_state(notifier, order, "sent")

    box.report_payout(order, "failed", reason="account closed")
    at_rest(notifier)

    receipt, told = receipts(box, LIN)
    assert is_superseded(receipt), "no two of them say that the payment failed"
    assert contains_text(told, "付款失败")
    assert contains_text(told, "account closed")
    (alarm,) = receipts(box, HR)
    assert is_superseded(balance_card(box, HR))
    assert contains_text(alarm, "付款失败")

    box.report_payout(order, "paid", reference="WIRE-2")
    at_rest(notifier)

    assert [True, True, False] == [is_superseded(each) for each in receipts(box, LIN)]
    assert all(contains_text(newest_card(box, chat), "已付款") for chat in (LIN, HR))


def test_a_report_that_nobody_signed_changes_nothing(notifier: RunningNotifier) -> None:
    order = withdraw(notifier)
    wait_for_state(notifier, order, "sent")
    at_rest(notifier)
    before = notifier.box.all_messages()

    url = notifier.box.state()["payout_report_url"]
    body = json.dumps({"order_id": order, "status": "paid", "reference": "x", "reason": ""}).encode()
    assert 401 == post(url, body, {"X-Payout-Timestamp": "1700000000", "X-Payout-Signature": "v1=00"})
    assert 401 == post(url, body, {})
    at_rest(notifier)

    assert "sent" == state_of(notifier, order)
    assert before == notifier.box.all_messages()


def test_the_secret_is_nowhere_to_be_read(notifier: RunningNotifier) -> None:
    order = withdraw(notifier)
    wait_for_state(notifier, order, "sent")
    shown = notifier.command("payouts", "show", order, "--json")

    assert 0 == shown.returncode
    assert SECRET not in notifier.log + shown.stdout + notifier.command("check").stdout
    database = Path(notifier.database_url.removeprefix("sqlite:///"))
    assert SECRET.encode() not in database.read_bytes()


def test_without_a_paying_system_an_export_takes_it_and_a_mark_ends_it(exporting: RunningNotifier) -> None:
    box = exporting.box
    order = withdraw(exporting)
    assert contains_text(receipts(box, LIN)[0], "已提现")

    first = exporting.command("payouts", "export", "--format", "json")
    again = exporting.command("payouts", "export", "--format", "json")

    assert [order] == [row["order_id"] for row in json.loads(first.stdout)]
    assert [] == json.loads(again.stdout)
    at_rest(exporting)
    assert contains_text(receipts(box, LIN)[0], "付款处理中")

    assert 0 == exporting.command("payouts", "mark", order, "paid", "--reference", "R-1").returncode
    at_rest(exporting)
    assert [False, True] == [contains_text(each, "R-1") for each in receipts(box, LIN)]
    assert ("manual", "command line", "paid, reference R-1") in audit(exporting, order)


def test_money_that_is_not_paid_for_too_long_alarms_hr_once(feishu_box: FeishuBox, tmp_path: Path) -> None:
    with paying(feishu_box, tmp_path, "alarm_after_days: 0.00001") as notifier:
        order = withdraw(notifier)
        assert 0 == notifier.stop()
        notifier.start()
        wait_until(lambda: receipts(feishu_box, HR), "HR hears of it")
        at_rest(notifier)
        assert contains_text(receipts(feishu_box, HR)[0], "仍未付款")
        assert 0 == notifier.stop()
        notifier.start()
        assert 0 == notifier.command("payouts", "mark", order, "paid").returncode
        at_rest(notifier)

        (alarm,) = receipts(feishu_box, HR)
        assert contains_text(alarm, "已付款")
        assert not contains_text(alarm, "仍未付款")


def test_a_card_that_is_too_old_to_be_changed_is_told_by_a_new_message(exporting: RunningNotifier) -> None:
    box = exporting.box
    reward(exporting)
    box.add_call_fault({"match": PATCH, "action": "code", "code": 230031, "times": 100})
    press_button(box, LIN, LIN)
    at_rest(exporting)
    box.clear_call_faults()

    (instead,) = receipts(box, HR)
    assert contains_text(instead, "已提现")
    assert 1 == len(receipts(box, LIN)), "the receipt is the new message there"

    (order,) = orders(exporting)
    exporting.command("payouts", "mark", order, "paid", "--reference", "R-7")
    at_rest(exporting)
    assert [True] == [contains_text(each, "R-7") for each in receipts(box, HR)]


def test_a_card_that_we_know_to_be_too_old_is_not_even_tried(exporting: RunningNotifier) -> None:
    box = exporting.box
    reward(exporting)
    with exporting.open_database() as database:
        database.write(
            lambda c: (
                c.exec_driver_sql(
                    "UPDATE deliveries SET updated_at = updated_at - 1296000000 WHERE target = 'hr'"
                ).rowcount
            )
        ).result()
    press_button(box, LIN, LIN)
    at_rest(exporting)

    (instead,) = receipts(box, HR)
    assert contains_text(instead, "已提现")
    assert not contains_text(balance_card(box, HR), "已提现")


@contextmanager
def paying_system(answer: Callable[[int], int]) -> Iterator[tuple[str, list[Row]]]:
    """A payroll system of a few lines: answer(n) is the status of the n-th call, counted from 1."""
    calls: list[Row] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            calls.append({"key": self.headers["Idempotency-Key"], "body": body})
            self.send_response(answer(len(calls)))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/payouts", calls
    finally:
        server.shutdown()
        server.server_close()


def test_a_paying_system_in_trouble_is_asked_again_with_the_same_words(
    feishu_box: FeishuBox, tmp_path: Path
) -> None:
    with (
        paying_system(lambda call: 503 if call < 3 else 202) as (url, calls),
        paying(feishu_box, tmp_path, f"url: {url}") as notifier,
    ):
        order = withdraw(notifier)
        wait_for_state(notifier, order, "sent")

        assert 3 == len(calls)
        assert [calls[0]] * 3 == calls
        assert order == calls[0]["key"]


def test_a_paying_system_that_refuses_leaves_it_to_a_person_and_hr_is_told(
    feishu_box: FeishuBox, tmp_path: Path
) -> None:
    with (
        paying_system(lambda call: 422 if call == 1 else 200) as (url, calls),
        paying(feishu_box, tmp_path, f"url: {url}") as notifier,
    ):
        order = withdraw(notifier)
        wait_for_state(notifier, order, "dead")
        wait_until(lambda: receipts(feishu_box, HR), "HR is told")
        at_rest(notifier)
        assert contains_text(receipts(feishu_box, HR)[0], "未接收")
        assert contains_text(receipts(feishu_box, LIN)[0], "已提现")
        assert {"dead": 1} == notifier.status()["payouts"]

        assert 0 == notifier.command("payouts", "retry", order).returncode
        wait_for_state(notifier, order, "sent")
        at_rest(notifier)

        assert [calls[0]] * 2 == calls
        assert not contains_text(receipts(feishu_box, HR)[0], "未接收")


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    import urllib.error  # noqa: PLC0415 - for this one call
    import urllib.request  # noqa: PLC0415

    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        return error.code

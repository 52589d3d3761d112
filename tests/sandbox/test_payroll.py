"""The simulated payroll system: it receives signed payouts and sends signed reports."""

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from notifier.sandbox import payroll
from notifier.sandbox.payroll import BadPayoutError
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import Reply, call
from sandbox.payroll_client import PAYOUTS, ReportReceiver, order, pay, receiving, signature

FAULT = f"POST {PAYOUTS}"
ACCEPTED = {"order_id": "o-1", "state": "accepted"}


@pytest.fixture
def receiver() -> Iterator[ReportReceiver]:
    with receiving() as opened:
        yield opened


def control(box: FeishuBox, path: str, body: object) -> Reply:
    return call(box, "POST", f"/api/payouts{path}", body)


def test_a_payout_is_accepted_once_however_often_it_is_asked_for(feishu_box: FeishuBox) -> None:
    body = order(note="more members are fine")
    first, again = pay(feishu_box, body), pay(feishu_box, dict(reversed(body.items())))

    assert [(202, ACCEPTED), (200, ACCEPTED)] == [(one.status, one.content) for one in (first, again)]
    (payout,) = feishu_box.payouts()
    assert ("o-1", body, 2, "accepted") == (
        payout["order_id"],
        payout["body"],
        payout["received"],
        payout["state"],
    )
    assert ("", None) == (payout["reference"], payout["report_status"])


def test_another_body_for_the_same_order_is_a_conflict(feishu_box: FeishuBox) -> None:
    pay(feishu_box)
    reply = pay(feishu_box, order(account_id="7000000000000000002"))

    assert (409, 1) == (reply.status, feishu_box.payouts()[0]["received"])


def test_a_reported_payout_still_gives_the_original_answer(
    feishu_box: FeishuBox, receiver: ReportReceiver
) -> None:
    pay(feishu_box)
    feishu_box.set_payout_report_url(receiver.url)
    feishu_box.report_payout("o-1", "paid")

    assert (200, ACCEPTED) == (pay(feishu_box).status, pay(feishu_box).content)


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Payout_Signature": ""},
        {"X_Payout_Signature": "v1="},
        {"X_Payout_Signature": "v1=\xe9"},
        {"X_Payout_Signature": signature("1", b"{}")},
        {"X_Payout_Timestamp": ""},
        {"X_Payout_Timestamp": "now"},
        {"X_Payout_Timestamp": "9" * 5000},
        {"X_Payout_Timestamp": "1"},
    ],
)
def test_a_bad_signature_is_refused(feishu_box: FeishuBox, headers: dict[str, Any]) -> None:
    reply = pay(feishu_box, **headers)

    assert (401, []) == (reply.status, feishu_box.payouts())
    assert "X-Payout" in reply.content["error"]


def test_the_secret_is_a_setting() -> None:
    with FeishuBox(SandboxSettings(payout_secret="other")) as box:
        assert [401, 202] == [pay(box).status, pay(box, secret="other").status]


@pytest.mark.parametrize("late, status", [(310, 401), (-310, 401), (290, 202), (-290, 202)])
def test_a_signature_holds_for_five_minutes(feishu_box: FeishuBox, late: int, status: int) -> None:
    feishu_box.advance(3600)

    assert status == pay(feishu_box, late=late).status


@pytest.mark.parametrize(
    "body, headers, status",
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b"\xff", {}, 400),
        (b"[" * 50_000, {}, 400),
        (b'{"order_id": "o-1", "x": NaN}', {}, 400),
        (b'{"order_id": "o-1", "x": 1e999}', {}, 400),
        (b" " * (64 * 1024 + 1), {}, 413),
        (order(), {"Idempotency_Key": ""}, 400),
        (order(), {"Idempotency_Key": "o-2"}, 400),
        (b"{}", {}, 400),
        (order(account_id=7), {}, 400),
        (order(referrer_open_id=None), {}, 400),
        (order(withdrawn_at="yesterday"), {}, 400),
        (order(withdrawn_at="2026-01-31T08:00:00"), {}, 400),
        (order(withdrawn_at="2026-01-31T08:00:00+08:00"), {}, 400),
        (order(amounts={}), {}, 400),
        (order(amounts=["x"]), {}, 400),
        (order(amounts=[{"kind": "shares", "currency": "", "amount": "1"}]), {}, 400),
        (order(amounts=[{"kind": "cash", "currency": "CNY", "amount": 1.5}]), {}, 400),
        (order(amounts=[{"kind": "cash", "currency": "CNY", "amount": "-1"}]), {}, 400),
    ],
)
def test_a_bad_payout_is_refused_with_a_sentence(
    feishu_box: FeishuBox, body: object, headers: dict[str, Any], status: int
) -> None:
    reply = pay(feishu_box, body, **headers)

    assert (status, []) == (reply.status, feishu_box.payouts())
    assert len(reply.content["error"]) > 10


def test_the_outcome_is_reported_with_a_signature(feishu_box: FeishuBox, receiver: ReportReceiver) -> None:
    pay(feishu_box)
    feishu_box.set_payout_report_url(receiver.url)
    answer = feishu_box.report_payout("o-1", "failed", "ref-1", "account closed")

    assert (200, "", "failed") == (answer["http_status"], answer["error"], answer["state"])
    ((headers, raw),) = receiver.reports
    expected = {"order_id": "o-1", "status": "failed", "reference": "ref-1", "reason": "account closed"}
    assert expected == json.loads(raw)
    assert signature(headers["X-Payout-Timestamp"], raw) == headers["X-Payout-Signature"]
    (payout,) = feishu_box.payouts()
    assert ("failed", "ref-1", 200) == (payout["state"], payout["reference"], payout["report_status"])


def test_a_refused_or_redirected_report_is_kept_and_can_be_made_again(
    feishu_box: FeishuBox, receiver: ReportReceiver
) -> None:
    pay(feishu_box)
    feishu_box.set_payout_report_url(receiver.url)
    statuses = []
    for receiver.status in (500, 307, 204):
        feishu_box.report_payout("o-1", "paid")
        statuses.append(feishu_box.payouts()[0]["report_status"])

    assert ([500, 307, 204], 3) == (statuses, len(receiver.reports))


def test_a_failed_report_keeps_its_error(feishu_box: FeishuBox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payroll, "REPORT_SECONDS", 0.1)
    pay(feishu_box)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        feishu_box.set_payout_report_url(url)
        timed_out = feishu_box.report_payout("o-1", "paid")
    refused = feishu_box.report_payout("o-1", "paid")

    assert (None, None) == (timed_out["http_status"], refused["http_status"])
    assert "Timeout" in timed_out["error"]
    assert "Connect" in refused["error"]
    assert ("paid", refused["error"]) == (
        feishu_box.payouts()[0]["state"],
        feishu_box.payouts()[0]["report_error"],
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "http://example.com/",
        "http://127.0.0.1@example.com/",
        "http://example.com\\@127.0.0.1/",
        "http://127.0.0.1.example.com/",
        "http://169.254.169.254/",
        "http://127.0.0.1:99999/",
        "http://[::1/",
        "ftp://localhost/",
        "/relative",
    ],
)
def test_reports_stay_on_this_machine(feishu_box: FeishuBox, url: str) -> None:
    with pytest.raises(BadPayoutError, match="loopback"):
        feishu_box.set_payout_report_url(url)
    assert 400 == control(feishu_box, "/report-url", {"url": url}).status
    with pytest.raises(BadPayoutError, match="loopback"):
        FeishuBox(SandboxSettings(payout_report_url=url)).start()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]:8080/x", ""])
def test_any_spelling_of_this_machine_will_do(feishu_box: FeishuBox, url: str) -> None:
    assert {"url": url} == control(feishu_box, "/report-url", {"url": url}).content
    assert url == feishu_box.state()["payout_report_url"]


def test_an_invalid_report_is_refused(feishu_box: FeishuBox, receiver: ReportReceiver) -> None:
    pay(feishu_box)
    with pytest.raises(BadPayoutError, match="no address"):
        feishu_box.report_payout("o-1", "paid")
    feishu_box.set_payout_report_url(receiver.url)
    with pytest.raises(BadPayoutError, match="no payout"):
        feishu_box.report_payout("o-9", "paid")
    with pytest.raises(BadPayoutError, match="must be one of"):
        feishu_box.report_payout("o-1", "accepted")

    assert ("accepted", []) == (feishu_box.payouts()[0]["state"], receiver.reports)


def test_payouts_are_shown_and_reported_over_http(feishu_box: FeishuBox, receiver: ReportReceiver) -> None:
    for order_id in ("o-1", "o/2"):
        pay(feishu_box, order(order_id))
    control(feishu_box, "/report-url", {"url": receiver.url})
    body = {"status": "paid", "reference": "ref-2", "reason": ""}

    assert 200 == control(feishu_box, "/o%2F2/report", body).content["http_status"]
    assert [{"order_id": "o/2", **body}] == receiver.contents()
    shown: Any = call(feishu_box, "GET", "/api/state").content["payouts"]
    assert [("o/2", "paid"), ("o-1", "accepted")] == [(one["order_id"], one["state"]) for one in shown]


@pytest.mark.parametrize(
    "path, body, status",
    [
        ("/o-9/report", {"status": "paid"}, 404),
        ("/o-1/report", {}, 400),
        ("/o-1/report", {"status": "paid", "reference": 5}, 400),
        ("/o-1/report", {"status": "paid"}, 400),
        ("/report-url", {}, 400),
    ],
)
def test_bad_control_calls_are_refused(feishu_box: FeishuBox, path: str, body: object, status: int) -> None:
    pay(feishu_box)
    reply = control(feishu_box, path, body)

    assert status == reply.status
    assert len(reply.content["error"]) > 10


def test_a_code_and_any_status_can_be_answered_on_demand(feishu_box: FeishuBox) -> None:
    feishu_box.add_call_fault({"match": FAULT, "action": "http", "status": 503, "body": "busy", "times": 1})
    feishu_box.add_call_fault({"match": FAULT, "action": "code", "http_status": 429, "code": 9, "times": 1})
    feishu_box.add_call_fault({"match": FAULT, "action": "delay", "seconds": 0.01, "times": 1})

    assert [503, 429, 202, 200] == [pay(feishu_box).status for _ in range(4)]
    assert [503, 429, 202, 200] == [line["status"] for line in feishu_box.requests("/payroll")]


@pytest.mark.parametrize(
    "action, carried_out",
    [("reset", 0), ("hang", 0), ("reset_after", 1), ("hang_after", 1), ("truncate", 1)],
)
def test_a_lost_answer_may_hide_a_payout(feishu_box: FeishuBox, action: str, carried_out: int) -> None:
    feishu_box.add_call_fault({"match": FAULT, "action": action, "times": 1, "seconds": 0.01})
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        pay(feishu_box)

    assert carried_out == len(feishu_box.payouts())
    assert (200 if carried_out else 202) == pay(feishu_box).status
    assert 1 == len(feishu_box.payouts())

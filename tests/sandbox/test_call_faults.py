"""Faults on demand."""

import http.client

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from notifier.sandbox.faults.call_faults import BadCallFaultError
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import discover, listening, send

SEND = "POST /open-apis/im/v1/messages"


def test_a_code_is_returned_the_requested_number_of_times(feishu_box: FeishuBox) -> None:
    headers = {"x-ogw-ratelimit-reset": "3"}
    rule = {
        "match": SEND,
        "action": "code",
        "http_status": 429,
        "code": 99991400,
        "headers": headers,
        "times": 2,
    }
    feishu_box.add_call_fault(rule)
    replies = [send(feishu_box, "hi") for _ in range(3)]

    assert [99991400, 99991400, 0] == [reply.code for reply in replies]
    assert (429, "3") == (replies[0].status, replies[0].headers["x-ogw-ratelimit-reset"])
    assert replies[0].headers["X-Tt-Logid"] == replies[0].content["error"]["log_id"]
    assert {} == feishu_box.refusals()


def test_a_fault_may_be_for_one_receiver_only(feishu_box: FeishuBox) -> None:
    feishu_box.add_call_fault(
        {"match": SEND, "action": "code", "code": 230020, "receive_id": "ou_sandbox_lin"}
    )

    assert 230020 == send(feishu_box, "hi").code
    assert 0 == send(feishu_box, "hi", to="ou_sandbox_chen").code


def test_a_gateway_may_answer_in_html(feishu_box: FeishuBox) -> None:
    feishu_box.add_call_fault(
        {"match": "* /open-apis/*", "action": "http", "status": 502, "body": "<h1>Bad Gateway</h1>"}
    )
    with pytest.raises(KeyError):
        send(feishu_box, "hi")  # the token call fails the same way

    feishu_box.clear_call_faults()
    assert 0 == send(feishu_box, "hi").code


@pytest.mark.parametrize(
    "action, carried_out",
    [("reset", 0), ("hang", 0), ("reset_after", 1), ("hang_after", 1), ("truncate", 1)],
)
def test_a_lost_answer_may_hide_a_call_that_was_carried_out(
    feishu_box: FeishuBox, action: str, carried_out: int
) -> None:
    feishu_box.add_call_fault({"match": SEND, "action": action, "times": 1, "seconds": 0.01})
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        send(feishu_box, "hi")

    assert carried_out == len(feishu_box.all_messages())
    assert 0 == send(feishu_box, "hi").code


def test_a_delayed_call_is_answered_all_the_same(feishu_box: FeishuBox) -> None:
    feishu_box.add_call_fault({"match": SEND, "action": "delay", "seconds": 0.05})

    assert 0 == send(feishu_box, "hi").code
    (line,) = feishu_box.requests("/open-apis/im")
    assert line["took_ms"] >= 50


def test_discovery_can_be_refused(feishu_box: FeishuBox) -> None:
    feishu_box.add_call_fault(
        {"match": "POST /callback/ws/endpoint", "action": "code", "http_status": 200, "code": 1}
    )

    assert 1 == discover(feishu_box).code


def test_the_handshake_can_be_refused_with_its_own_headers(feishu_box: FeishuBox) -> None:
    url = discover(feishu_box).data["URL"]
    headers = {"handshake-status": "403", "handshake-msg": "forbidden"}
    feishu_box.add_call_fault({"match": "GET /ws/v2", "action": "http", "status": 403, "headers": headers})
    with pytest.raises(InvalidStatus) as refused:
        connect(url, proxy=None)

    assert "403" == refused.value.response.headers["handshake-status"]


def test_one_call_fault_can_be_cleared(feishu_box: FeishuBox) -> None:
    feishu_box.add_call_fault({"match": SEND, "action": "code", "code": 1})
    feishu_box.clear_call_faults()

    with listening(feishu_box):
        assert 0 == send(feishu_box, "hi").code


def test_a_hanging_call_does_not_keep_the_sandbox_from_stopping() -> None:
    box = FeishuBox().start()
    box.add_call_fault({"match": "POST /callback/ws/endpoint", "action": "hang"})
    connection = http.client.HTTPConnection(box.url.removeprefix("http://"), timeout=10)
    connection.request("POST", "/callback/ws/endpoint", body=b"{}")
    box.wait_for(lambda: box.state()["call_faults"][0]["hits"] == 1, "the call hangs")
    box.stop()
    with pytest.raises(ConnectionError):
        connection.getresponse()
    connection.close()


@pytest.mark.parametrize(
    "rule, sentence",
    [
        ({}, "match"),
        ({"match": "/open-apis", "action": "reset"}, "method and a path"),
        ({"match": SEND}, "must be one of"),
        ({"match": SEND, "action": "explode"}, "must be one of"),
        ({"match": SEND, "action": "reset", "times": "1"}, "must be of type int"),
        ({"match": SEND, "action": "hang", "seconds": -1}, "a number from 0"),
        ({"match": SEND, "action": "hang", "second": 1}, "unknown members: second"),
    ],
)
def test_an_invalid_call_fault_is_refused_with_a_message(
    feishu_box: FeishuBox, rule: dict[str, object], sentence: str
) -> None:
    with pytest.raises(BadCallFaultError, match=sentence):
        feishu_box.add_call_fault(rule)

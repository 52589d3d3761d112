"""Reads that wait and filter, the log of calls with bodies, and the use of rate limits."""

import json
import threading
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from notifier.sandbox import tenant
from notifier.sandbox.settings import SECRET_PATTERN
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import api, call, card, discover, listening, send, upload_form

LIN, LIN_ACCOUNT = "ou_sandbox_lin", "7000000000000000001"
SEND = "POST /open-apis/im/v1/messages"


@pytest.fixture(scope="module")
def shared_box() -> Iterator[FeishuBox]:
    with FeishuBox() as running:
        yield running


@pytest.fixture
def box(shared_box: FeishuBox) -> FeishuBox:
    """The start world again: a reset is quicker than a new sandbox."""
    shared_box.reset()
    return shared_box


def read(box: FeishuBox, kind: str, **query: object) -> list[dict[str, object]]:
    reply = call(box, "GET", f"/api/{kind}?{urlencode(query)}")
    assert 200 == reply.status, reply.text
    found: list[dict[str, object]] = reply.content[kind]
    return found


def test_a_read_waits_until_something_matches(box: FeishuBox) -> None:
    """The first message does not match, the second one does, and ends the wait."""
    send(box, "one")

    def send_later() -> None:
        box.wait_for(lambda: len(box.requests("/open-apis/im/")) == 1, "the first message is there")
        send(box, "two", to="oc_sandbox_hr")
        send(box, "three")

    later = threading.Thread(target=send_later)
    later.start()
    [found] = read(box, "messages", wait=30, contains="three", open_id=LIN)
    later.join()

    assert {"text": "three"} == found["content"]


def test_a_read_that_finds_nothing_is_empty_after_its_time(box: FeishuBox) -> None:
    assert [] == read(box, "messages", wait=0.05)
    assert [] == read(box, "events", wait=0.05)
    assert [] == read(box, "requests", wait=0.05)


def test_a_waiting_read_ends_with_the_sandbox() -> None:
    found: list[object] = []
    with FeishuBox() as box:
        waiting = threading.Thread(target=lambda: found.append(read(box, "messages", wait=60)))
        waiting.start()
        box.wait_for(lambda: box._read(lambda sandbox: len(sandbox.tenant.watchers) == 2), "the read waits")
    waiting.join(10)

    assert [[]] == found


@pytest.mark.parametrize(
    "query, texts",
    [
        ({}, ["a1", "b1", "a2", "card", "user"]),
        ({"open_id": LIN}, ["a1", "a2", "card", "user"]),
        ({"chat_id": "oc_sandbox_hr"}, ["b1"]),
        ({"sender": "app"}, ["a1", "b1", "a2", "card"]),
        ({"sender": "user"}, ["user"]),
        ({"msg_type": "interactive"}, ["card"]),
        ({"contains": "2"}, ["a2", "card"]),  # the card has "2.0"
        ({"limit": 2}, ["card", "user"]),
        ({"limit": 2, "after": ""}, ["a1", "b1"]),
        ({"limit": 2, "after": "a1"}, ["b1", "a2"]),
        ({"after": "user"}, []),
        ({"open_id": LIN, "after": "b1", "limit": 1}, ["a2"]),
    ],
    ids=str,
)
def test_messages_are_filtered(box: FeishuBox, query: dict[str, object], texts: list[str]) -> None:
    ids = {}
    for text, to in (("a1", LIN), ("b1", "oc_sandbox_hr"), ("a2", LIN)):
        ids[text] = send(box, text, to=to).data["message_id"]
    ids["card"] = send(box, card()).data["message_id"]
    ids["user"] = box.write(LIN, "hello")
    asked = {**query, "after": ids[str(query["after"])]} if query.get("after") else query

    found = read(box, "messages", **asked)

    assert [ids[text] for text in texts] == [one["message_id"] for one in found]


def test_events_have_payloads_and_are_filtered(box: FeishuBox) -> None:
    [first] = box.change_balance(LIN_ACCOUNT, points=1)
    second = box.push_event("im.chat.updated_v1", {"name": "内推"})
    third = box.push_frame(b"raw")

    def ids(**query: object) -> list[object]:
        return [one["event_id"] for one in read(box, "events", **query)]

    assert [first, second, third] == ids()
    assert [first] == ids(account_id=LIN_ACCOUNT)
    assert [second] == ids(contains="内推")
    assert [third] == ids(after=second)
    assert [] == ids(state="acknowledged")
    one = call(box, "GET", f"/api/events/{second}").content
    assert {"name": "内推"} == one["payload"]["event"]
    assert (second, "im.chat.updated_v1", box.app_id, "sandbox-tenant") == tuple(
        one["payload"]["header"][name] for name in ("event_id", "event_type", "app_id", "tenant_key")
    )
    assert int(one["payload"]["header"]["create_time"]) > 1_000_000_000_000
    assert call(box, "GET", f"/api/events/{third}").content["payload"] is None


def test_an_event_can_be_pushed_again_with_its_id(box: FeishuBox) -> None:
    with listening(box) as client:
        [event_id] = box.change_balance(LIN_ACCOUNT, points=1)
        frame, event = client.event()
        client.acknowledge(frame)
        box.wait_for_event(state="acknowledged")
        box.push_again(event_id)
        again, repeated = client.event()
        client.acknowledge(again, code=500)
        box.wait_for(lambda: box.push_codes(event_id) == [200, 500], "the second answer has arrived")

    assert event == repeated
    assert "acknowledged" == box.event(event_id)["state"]


def test_calls_are_kept_with_bodies_and_answers(box: FeishuBox) -> None:
    send(box, "hello")
    refused = send(box, "13800001234")

    [sent] = read(box, "requests", path="/open-apis/im/", code=0)
    assert ("POST", 200, "receive_id_type=open_id") == (sent["method"], sent["status"], sent["query"])
    body, answer = sent["request_body"], sent["answer_body"]
    assert isinstance(body, dict)
    assert isinstance(answer, dict)
    assert "application/json" == body["content_type"]
    assert {"text": "hello"} == json.loads(body["json"]["content"])
    assert "success" == answer["json"]["msg"]
    [found] = read(box, "requests", code=230028)
    assert refused.headers["X-Tt-Logid"] == found["log_id"]
    assert found == call(box, "GET", f"/api/requests/{found['log_id']}").content
    assert [found] == read(box, "requests", contains="13800001234")
    assert [] == read(box, "requests", method="DELETE")


def test_no_secret_is_in_the_log_of_calls(box: FeishuBox) -> None:
    """Headers, bodies, queries and answers: token call, discovery, handshake, and JSON inside of strings."""
    with listening(box):
        send(box, json.dumps({"app_secret": "of another app", "token": "c-1"}))
        discover(box)
        call(
            box,
            "POST",
            "/open-apis/none?ticket=of-another-app",
            b"refresh_token=of-another-app&a=1",
            **{"Content-Type": "application/x-www-form-urlencoded", "Cookie": "session=of-another-app"},
        )
    box.wait_for_request(path="/ws/v2")

    calls = read(box, "requests")
    text = json.dumps(calls)
    assert {"/open-apis/auth/v3/tenant_access_token/internal", "/callback/ws/endpoint", "/ws/v2"} < {
        one["path"] for one in calls
    }
    assert not SECRET_PATTERN.search(text)
    assert "of another app" not in text
    assert "of-another-app" not in text
    assert box.app_secret not in text
    assert "***" in text
    assert "a=1" in text


def test_bytes_are_shown_as_their_size(box: FeishuBox) -> None:
    upload_form(
        box,
        "files",
        [
            ("file_type", b"stream", ""),
            ("file_name", b"a.bin", ""),
            ("file", bytes(5000), '; filename="a.bin"'),
        ],
    )

    [found] = read(box, "requests", path="/open-apis/im/v1/files")
    body = found["request_body"]
    assert isinstance(body, dict)
    assert {"size", "content_type"} == set(body)
    assert body["size"] > 5000
    assert "multipart/form-data" == body["content_type"]


def test_the_kept_bodies_are_bounded(box: FeishuBox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenant, "MAX_EXCHANGES", 3)
    send(box, "x" * (tenant.MAX_KEPT_BYTES + 10))
    [large] = read(box, "requests", path="/open-apis/im/")
    body = large["request_body"]
    assert isinstance(body, dict)
    assert body["size"] > tenant.MAX_KEPT_BYTES
    assert len(body["text"]) <= tenant.MAX_KEPT_BYTES
    for _ in range(2):
        send(box, "small")

    kept = [one["request_body"] is not None for one in read(box, "requests", path="/open-apis/im/")]
    assert [False, True, True] == kept


def test_quotas_show_used_remaining_and_reset(box: FeishuBox) -> None:
    def usage() -> dict[tuple[object, object], tuple[object, ...]]:
        quotas = call(box, "GET", "/api/quotas").content["quotas"]
        return {
            (one["name"], one["calls"]): (one["used"], one["remaining"], one["reset_seconds"], one["kind"])
            for one in quotas
        }

    assert (0, 1000, 0, "call") == usage()[SEND, 1000]
    for _ in range(2):
        assert 0 == send(box, "hello").code
    used, remaining, reset, _ = usage()[SEND, 1000]
    assert (2, 998) == (used, remaining)
    assert 0 < float(str(reset)) <= 60
    box.advance(61)
    assert (0, 1000, 0, "call") == usage()[SEND, 1000]
    for _ in range(5):
        send(box, "hello", to="oc_sandbox_hr")
    [target] = [one for one in box.quotas() if one["kind"] == "target"]
    assert ("oc_sandbox_hr" in target["name"], 5) == (True, target["calls"])
    assert target["used"] + target["remaining"] == 5
    assert 230020 in {send(box, "x", to="oc_sandbox_hr").code, send(box, "x", to="oc_sandbox_hr").code} or (
        target["used"] < 5
    )


def test_a_wait_in_a_test_raises_with_its_filters(box: FeishuBox) -> None:
    with pytest.raises(TimeoutError, match=r"not within 0\.01 s: messages with open_id='ou_sandbox_lin'"):
        box.wait_for_message(open_id=LIN, timeout=0.01)
    api(box, "GET", "/im/v1/chats")
    assert "GET" == box.wait_for_request(path="/open-apis/im/v1/chats")["method"]

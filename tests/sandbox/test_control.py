"""The sandbox's own HTTP API, as its page and curl use it."""

import asyncio
import base64
import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from notifier.sandbox.control.server import serve
from notifier.sandbox.push.frames import Frame
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import Reply, call, card, listening, send

LIN = "7000000000000000001"


def post(box: FeishuBox, path: str, body: object = None, **headers: str) -> Reply:
    return call(box, "POST", f"/api{path}", {} if body is None else body, **headers)


def state(box: FeishuBox) -> Any:
    return call(box, "GET", "/api/state").content


def test_the_state_contains_everything(feishu_box: FeishuBox) -> None:
    send(feishu_box, card(), uuid="u-1")
    send(feishu_box, "13800001234")
    feishu_box.change_balance(LIN, points=1)
    seen = state(feishu_box)

    assert {"app_id": feishu_box.app_id, "connections": 0} == seen["app"]
    assert feishu_box.url == seen["feishu_url"]
    assert ["ou_sandbox_lin", "ou_sandbox_chen", "ou_sandbox_tanaka", "ou_sandbox_zhou"] == [
        person["open_id"] for person in seen["people"]
    ]
    account = {
        "account_id": LIN,
        "open_id": "ou_sandbox_lin",
        "status": 1,
        "points": 121,
        "cash": [{"currency": "CNY", "amount": "350.50"}],
    }
    assert account == seen["accounts"][0]
    (chat,) = [chat for chat in seen["chats"] if chat["open_id"] == "ou_sandbox_lin"]
    assert ("p2p", "interactive", "u-1") == (
        chat["kind"],
        chat["messages"][0]["msg_type"],
        chat["messages"][0]["uuid"],
    )
    assert (LIN, "waiting") == (seen["events"][0]["account_id"], seen["events"][0]["state"])
    assert {"230028": 1} == seen["refusals"]


def test_changes_are_made_together_or_not_at_all(feishu_box: FeishuBox) -> None:
    good = {"account_id": LIN, "points": 5, "cash": {"CNY": "-0.50"}}
    bad = {"account_id": LIN, "cash": {"CNY": 5}}

    refused = post(feishu_box, "/changes", {"changes": [good, bad]})
    assert (400, 'the amount for CNY must be text such as "+500.00", not 5') == (
        refused.status,
        refused.content["error"],
    )
    assert 120 == feishu_box.account(LIN)["points"]

    done = post(feishu_box, "/changes", {"changes": [good, good], "send": "reversed"})
    assert 2 == len(done.content["events"])
    assert [{"currency": "CNY", "amount": "349.50"}] == feishu_box.account(LIN)["cash"]


def test_people_groups_and_accounts_can_be_changed_by_hand(feishu_box: FeishuBox) -> None:
    person = call(feishu_box, "PATCH", "/api/people/ou_sandbox_lin", {"status": "blocked"}).content["person"]
    assert "blocked" == person["status"]
    assert 230035 == send(feishu_box, "hi").code
    call(feishu_box, "PATCH", "/api/groups/oc_sandbox_hr", {"has_bot": False})
    assert 230002 == send(feishu_box, "hi", to="oc_sandbox_hr").code
    call(feishu_box, "PATCH", f"/api/accounts/{LIN}", {"status": 2})
    assert 2 == feishu_box.account(LIN)["status"]
    post(feishu_box, "/scopes", {"granted": []})
    assert 99991672 == send(feishu_box, "hi").code


def test_a_person_can_be_added_with_an_account(feishu_box: FeishuBox) -> None:
    added = post(feishu_box, "/people", {"name": "新人（示例）"}).content
    open_id = added["person"]["open_id"]

    assert "7000000000000000005" == added["account"]["account_id"]
    assert 0 == send(feishu_box, "hi", to=open_id).code


def test_events_and_frames_can_be_pushed_by_hand(feishu_box: FeishuBox) -> None:
    raw = Frame(method=1, headers=(("message_id", "m"),)).to_bytes()
    with listening(feishu_box) as listener:
        post(feishu_box, "/hold")
        first = post(feishu_box, "/events", {"payload": "not json"}).content["event_id"]
        post(feishu_box, "/events", {"frame_base64": base64.b64encode(raw).decode()})
        assert {"released": 2} == post(feishu_box, "/release").content
        frames = [listener.receive(), listener.receive()]

    assert {b"not json", None} == {frame.payload for frame in frames}
    assert first in {frame.header("trace_id") for frame in frames}


def test_the_network_can_be_broken_by_hand(feishu_box: FeishuBox) -> None:
    with listening(feishu_box):
        assert {"on": True} == post(feishu_box, "/silence", {"on": True}).content
        assert {"disconnected": 1} == post(feishu_box, "/disconnect").content
    feishu_box.wait_for(lambda: feishu_box.connections() == 0, "the connection is gone")


def test_faults_are_listed_and_cleared_by_hand(feishu_box: FeishuBox) -> None:
    rule = {"match": "POST /open-apis/im/v1/messages", "action": "code", "code": 5000, "times": 3}
    fault_id = post(feishu_box, "/call-faults", rule).content["fault_id"]
    (listed,) = call(feishu_box, "GET", "/api/call-faults").content["call_faults"]
    assert (fault_id, 3, "code") == (listed["fault_id"], listed["times"], listed["action"])

    assert {"call_faults": []} == call(feishu_box, "DELETE", f"/api/call-faults/{fault_id}").content
    assert 0 == send(feishu_box, "hi").code


def test_a_click_can_be_made_by_hand(feishu_box: FeishuBox) -> None:
    message_id = send(feishu_box, card()).data["message_id"]
    outcome = post(
        feishu_box,
        "/clicks",
        {"message_id": message_id, "open_id": "ou_sandbox_lin", "value": {}, "tag": "button"},
    )

    assert (200, 200340) == (outcome.status, outcome.content["code"])


def test_tokens_expire_and_time_advances_by_hand(feishu_box: FeishuBox) -> None:
    before = state(feishu_box)["now_ms"]
    post(feishu_box, "/clock", {"seconds": 100})

    assert 100_000 <= state(feishu_box)["now_ms"] - before < 110_000
    assert {"expired": True} == post(feishu_box, "/tokens/expire").content


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
def test_pages_of_other_origins_cannot_control_the_sandbox(
    feishu_box: FeishuBox, headers: dict[str, str]
) -> None:
    reply = post(feishu_box, "/tokens/expire", **headers)

    assert 403 == reply.status
    assert "sandbox" in reply.content["error"]


def test_the_sandbox_page_can_control_the_sandbox(feishu_box: FeishuBox) -> None:
    assert 200 == post(feishu_box, "/tokens/expire", Origin=feishu_box.url).status


def test_nothing_outside_the_page_folder_is_served(feishu_box: FeishuBox) -> None:
    for path in (
        "/static/..%2fbox.py",
        "/static/../box.py",
        "/static/%2e%2e",
        "/static/box.py",
    ):
        assert 404 == call(feishu_box, "GET", path).status


@contextmanager
def streaming(box: FeishuBox) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(box.url.removeprefix("http://"), timeout=10)
    connection.request("GET", "/api/stream")
    with connection.getresponse() as response:
        yield response
    connection.close()


def next_revision(response: http.client.HTTPResponse) -> int:
    while True:
        line = response.readline().decode()
        if line.startswith("data: "):
            return int(json.loads(line.removeprefix("data: "))["revision"])


def test_the_stream_batches_changes(feishu_box: FeishuBox) -> None:
    with streaming(feishu_box) as response:
        assert "text/event-stream" == response.headers["Content-Type"]
        first = next_revision(response)
        for _ in range(20):
            feishu_box.change_balance(LIN, points=1)
        last = state(feishu_box)["revision"]
        revisions: list[int] = []
        while not revisions or revisions[-1] < last:
            revisions.append(next_revision(response))

    assert first < revisions[0]
    assert len(revisions) < 20


def test_streams_do_not_keep_the_sandbox_from_stopping() -> None:
    box = FeishuBox().start()
    with streaming(box) as gone:
        next_revision(gone)
    with streaming(box) as response:
        next_revision(response)
        box.stop()
        assert b"" in {response.readline() for _ in range(5)}


def test_many_accounts_can_be_made_for_load() -> None:
    with FeishuBox(SandboxSettings(extra_accounts=500)) as box:
        assert 504 == len(box.accounts()) == len({account["account_id"] for account in box.accounts()})


def test_a_port_in_use_is_reported(feishu_box: FeishuBox) -> None:
    port = int(feishu_box.url.rsplit(":", 1)[1])

    with pytest.raises(OSError, match="address"):
        FeishuBox(SandboxSettings(port=port)).start()


def test_a_wait_timeout_contains_the_description(feishu_box: FeishuBox) -> None:
    with pytest.raises(TimeoutError, match="the impossible"):
        feishu_box.wait_for(lambda: False, "the impossible", timeout=0.01)


async def test_a_coroutine_can_wait_without_blocking_its_loop(feishu_box: FeishuBox) -> None:
    feishu_box.change_balance(LIN, points=1)

    assert await feishu_box.wait_for_async(feishu_box.events, "an event exists")


def test_reading_the_state_does_not_change_the_revision(feishu_box: FeishuBox) -> None:
    before = feishu_box.state()
    feishu_box.events()

    assert before["revision"] == feishu_box.state()["revision"]


def test_an_address_the_platform_does_not_have_is_in_the_log(feishu_box: FeishuBox) -> None:
    reply = call(feishu_box, "GET", "/open-apis/im/v9/nothing")

    assert 404 == reply.status
    (line,) = feishu_box.requests()
    assert (404, 404, reply.headers["X-Tt-Logid"]) == (line["status"], line["code"], line["log_id"])


async def test_the_foreground_server_says_its_address_and_ends_when_cancelled() -> None:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(SandboxSettings(), ready.set_result))
    address = await ready
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)

    assert address.startswith("http://127.0.0.1:")

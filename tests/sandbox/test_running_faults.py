"""Running faults: start, list, end, and their effects on calls, tokens, events and the clock."""

import http.client
import json
import re
from pathlib import Path
from typing import Any

import pytest

from notifier.sandbox.faults.catalogue import DAMAGE_TYPES, FAULT_TYPES
from notifier.sandbox.faults.running import UnknownFaultError
from notifier.sandbox.push.frames import Frame, FrameError
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import Reply, api, call, discover, listening, send, token

LIN = "7000000000000000001"
FAST = SandboxSettings(answer_seconds=0.05, redelivery_seconds=(0.01,) * 50)


def start_fault(box: FeishuBox, body: object) -> Reply:
    return call(box, "POST", "/api/faults", body)


def test_a_running_fault_is_listed_with_its_remaining_time_and_can_be_ended(feishu_box: FeishuBox) -> None:
    started = start_fault(feishu_box, {"fault_type": "429", "seconds": 60, "times": 3, "header": False})
    (listed,) = call(feishu_box, "GET", "/api/faults").content["running_faults"]

    assert (200, "429", 3, 0) == (started.status, listed["fault_type"], listed["left_times"], listed["hits"])
    assert 0 < listed["left_seconds"] <= 60
    assert {"header": False, "reset_seconds": 1, "match": "* /open-apis/*"} == listed["options"]
    assert [listed["fault_id"]] == [one["fault_id"] for one in feishu_box.state()["running_faults"]]

    path = f"/api/faults/{listed['fault_id']}"
    assert [] == call(feishu_box, "DELETE", path).content["running_faults"]
    again = call(feishu_box, "DELETE", path)
    assert (404, f"there is no fault '{listed['fault_id']}'; it may be over") == (
        again.status,
        again.content["error"],
    )
    assert 0 == send(feishu_box, "hi").code


def test_all_faults_can_be_ended_together(feishu_box: FeishuBox) -> None:
    for fault_type in ("no_pongs", "slow", "black_hole"):
        feishu_box.start_fault(fault_type)

    assert [] == call(feishu_box, "DELETE", "/api/faults").content["running_faults"]
    assert 0 == send(feishu_box, "hi").code


def test_the_fault_types_are_listed(feishu_box: FeishuBox) -> None:
    fault_types = call(feishu_box, "GET", "/api/faults").content["fault_types"]

    assert list(FAULT_TYPES) == list(fault_types)
    assert all(fault_type["effect"].endswith(".") for fault_type in fault_types.values())


def test_the_document_lists_every_fault_type_with_its_options() -> None:
    text = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    section = text.partition("\n## Faults\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*`) \| [^|]+ \| ([^|]*)\|$", section, flags=re.MULTILINE)
    listed = {
        fault_type: re.findall(r"`(\w+)`", options)
        for fault_types, options in rows
        for fault_type in fault_types.replace("`", "").split(", ")
    }

    assert list(FAULT_TYPES) == list(listed)
    assert all(set(fault_type.options) == set(listed[name]) for name, fault_type in FAULT_TYPES.items())


def test_a_fault_ends_automatically_after_seconds_of_real_time(feishu_box: FeishuBox) -> None:
    lasting_id = feishu_box.start_fault("slow", seconds=600, delay_seconds=0)
    feishu_box.start_fault("429", seconds=0.05)

    feishu_box.advance(86_400)

    feishu_box.wait_for(lambda: len(feishu_box.running_faults()) == 1, "the short one is over")
    assert [lasting_id] == [one["fault_id"] for one in feishu_box.running_faults()]
    assert 0 == send(feishu_box, "hi").code


def test_a_fault_ends_automatically_after_the_requested_hits(feishu_box: FeishuBox) -> None:
    tenant_token = token(feishu_box)
    feishu_box.start_fault("429", times=2)

    seen = [
        call(feishu_box, "GET", "/open-apis/event/v1/connection", Authorization=f"Bearer {tenant_token}").code
        for _ in range(3)
    ]

    assert [99991400, 99991400, 0] == seen
    assert [] == feishu_box.running_faults()


@pytest.mark.parametrize(
    "fault_type", [name for name, fault_type in FAULT_TYPES.items() if fault_type.is_immediate]
)
def test_an_immediate_fault_is_not_running_afterwards(feishu_box: FeishuBox, fault_type: str) -> None:
    assert start_fault(feishu_box, {"fault_type": fault_type}).content["running"] is False
    assert [] == feishu_box.running_faults()


@pytest.mark.parametrize(
    "fault_type", [name for name, fault_type in FAULT_TYPES.items() if not fault_type.is_immediate]
)
def test_every_other_fault_type_runs_until_it_is_ended(feishu_box: FeishuBox, fault_type: str) -> None:
    fault_id = feishu_box.start_fault(fault_type)
    assert [fault_type] == [one["fault_type"] for one in feishu_box.running_faults()]
    feishu_box.end_fault(fault_id)

    assert [] == feishu_box.running_faults()
    with pytest.raises(UnknownFaultError):
        feishu_box.end_fault(fault_id)


@pytest.mark.parametrize(
    "body, sentence",
    [
        ([], "the body must be a JSON object"),
        ({}, '"fault_type" must be one of: drop, black_hole'),
        ({"fault_type": "flood"}, '"fault_type" must be one of: drop'),
        ({"fault_type": ["drop"]}, '"fault_type" must be one of: drop'),
        ({"fault_type": 429}, '"fault_type" must be one of: drop'),
        ({"fault_type": "drop", "seconds": 0}, '"seconds" must be a number above 0, up to 86400, not 0'),
        ({"fault_type": "drop", "seconds": -1}, '"seconds" must be a number above 0'),
        ({"fault_type": "drop", "seconds": "30"}, "not '30'"),
        ({"fault_type": "drop", "seconds": True}, '"seconds" must be a number above 0'),
        ({"fault_type": "drop", "seconds": float("nan")}, "not nan"),
        ({"fault_type": "drop", "seconds": float("inf")}, "not inf"),
        ({"fault_type": "drop", "times": 0}, '"times" must be a whole number from 1 to 1000000, not 0'),
        ({"fault_type": "drop", "times": 1.5}, "not 1.5"),
        ({"fault_type": "drop", "times": True}, "not True"),
        ({"fault_type": "drop", "second": 3}, "drop has no option 'second'; it has no options"),
        (
            {"fault_type": "429", "headers": 1},
            "429 has no option 'headers'; options: header, reset_seconds, match",
        ),
        ({"fault_type": "429", "header": "no"}, "\"header\" must be true or false, not 'no'"),
        ({"fault_type": "429", "match": "/open-apis"}, '"match" must be a method and a path'),
        ({"fault_type": "500", "body": "xml"}, "\"body\" must be one of: json, html, not 'xml'"),
        (
            {"fault_type": "slow", "delay_seconds": -1},
            '"delay_seconds" must be a number from 0 to 3600, not -1',
        ),
        ({"fault_type": "discovery_refused", "code": 0}, '"code" must be a whole number from 1 to'),
        (
            {"fault_type": "client_config", "without": ["Colour"]},
            '"without" must be a list of any of: ReconnectC',
        ),
        ({"fault_type": "client_config", "without": "PingInterval"}, '"without" must be a list of any of'),
        ({"fault_type": "close_code", "code": 1006}, '"code" must be a close code that can be sent'),
        ({"fault_type": "corrupt", "damage": "glue"}, '"damage" must be one of: bytes, header, chunk'),
        (
            {"fault_type": "black_hole", "times": 1},
            'black_hole does not accept "times": it lasts for seconds, or until',
        ),
        (
            {"fault_type": "expire_tokens", "seconds": 1},
            'expire_tokens does not accept "seconds": it happens at once',
        ),
        ({"fault_type": "clock", "seconds": "soon"}, '"seconds" must be a number from -'),
        ({"fault_type": "clock", "times": 1}, 'clock does not accept "times": it happens at once'),
    ],
)
def test_an_invalid_fault_is_refused_with_a_message(
    feishu_box: FeishuBox, body: object, sentence: str
) -> None:
    refused = start_fault(feishu_box, body)

    assert 400 == refused.status
    assert sentence in refused.content["error"]
    assert [] == feishu_box.running_faults()
    assert 0 == feishu_box.state()["ahead_seconds"]


# --- calls and tokens ---


@pytest.mark.parametrize("header, waits", [(True, "7"), (False, None)])
def test_429_comes_with_or_without_the_header_that_says_how_long(
    feishu_box: FeishuBox, *, header: bool, waits: str | None
) -> None:
    feishu_box.start_fault("429", header=header, reset_seconds=7, match="POST /open-apis/im/*")
    reply = send(feishu_box, "hi")

    assert (429, 99991400) == (reply.status, reply.code)
    assert waits == reply.headers["x-ogw-ratelimit-reset"]


def test_500_is_json_or_html(feishu_box: FeishuBox) -> None:
    as_json = feishu_box.start_fault("500", match="POST /open-apis/im/*")
    reply = send(feishu_box, "hi")
    assert (500, 2200) == (reply.status, reply.code)

    feishu_box.end_fault(as_json)
    feishu_box.start_fault("500", match="POST /open-apis/im/*", body="html")
    reply = send(feishu_box, "hi")
    assert (500, None) == (reply.status, reply.code)
    assert reply.text.startswith("<html>")


def test_a_slow_platform_answers_all_the_same(feishu_box: FeishuBox) -> None:
    feishu_box.start_fault("slow", delay_seconds=0.05)

    assert 0 == send(feishu_box, "hi").code
    assert all(line["took_ms"] >= 50 for line in feishu_box.requests("/open-apis"))


@pytest.mark.parametrize("fault_type", ["timeout_after_success", "reset_after_success", "truncate"])
def test_an_answer_can_be_lost_after_the_call_was_carried_out(feishu_box: FeishuBox, fault_type: str) -> None:
    headers = {"Authorization": f"Bearer {token(feishu_box)}", "Content-Type": "application/json"}
    text = {"receive_id": "ou_sandbox_lin", "msg_type": "text", "content": json.dumps({"text": "hi"})}
    feishu_box.start_fault(fault_type, times=1)

    caller = http.client.HTTPConnection(feishu_box.url.removeprefix("http://"), timeout=0.3)
    caller.request("POST", "/open-apis/im/v1/messages?receive_id_type=open_id", json.dumps(text), headers)
    feishu_box.wait_for(feishu_box.all_messages, "the message is there")
    with pytest.raises((OSError, http.client.HTTPException)):
        caller.getresponse().read()
    caller.close()

    assert 1 == len(feishu_box.all_messages())
    assert 0 == send(feishu_box, "hi").code


def test_tokens_expire_at_once(feishu_box: FeishuBox) -> None:
    old = token(feishu_box)
    feishu_box.start_fault("expire_tokens")
    refused = call(feishu_box, "GET", "/open-apis/event/v1/connection", Authorization=f"Bearer {old}")

    assert 99991663 == refused.code
    assert 0 == api(feishu_box, "GET", "/event/v1/connection").code


def test_tokens_are_refused_and_those_handed_out_expire_too(feishu_box: FeishuBox) -> None:
    old = token(feishu_box)
    feishu_box.start_fault("refuse_tokens", times=1)
    secret = {"app_id": feishu_box.app_id, "app_secret": feishu_box.app_secret}

    refused = call(feishu_box, "POST", "/open-apis/auth/v3/tenant_access_token/internal", secret)
    assert (200, 10014) == (refused.status, refused.code)
    with_old = call(feishu_box, "GET", "/open-apis/event/v1/connection", Authorization=f"Bearer {old}")
    assert 99991663 == with_old.code
    assert 0 == api(feishu_box, "GET", "/event/v1/connection").code


# --- events ---


def test_a_duplicated_event_comes_twice_and_once_more_under_a_new_id(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener:
        feishu_box.start_fault("duplicate", times=1)
        (event_id,) = feishu_box.change_balance(LIN, points=1)
        feishu_box.change_balance(LIN, points=1)
        contents = [listener.event()[1] for _ in range(4)]

    ids = [content["header"]["event_id"] for content in contents]
    copy, after = (one for one in contents if one["header"]["event_id"] != event_id)
    assert 2 == ids.count(event_id)
    assert [content["event"] for content in contents if content["header"]["event_id"] == event_id] == [
        copy["event"]
    ] * 2
    assert copy["event"] != after["event"]


def test_what_cannot_be_copied_is_duplicated_without_the_copy(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener:
        feishu_box.start_fault("duplicate")
        feishu_box.push_payload("no JSON")

        assert [b"no JSON", b"no JSON"] == [listener.receive().payload for _ in range(2)]
        assert 1 == len(feishu_box.events())


@pytest.mark.parametrize("by_hits", [True, False])
def test_events_are_held_and_come_in_reverse_at_the_end(feishu_box: FeishuBox, *, by_hits: bool) -> None:
    with listening(feishu_box) as listener:
        fault_id = feishu_box.start_fault("reorder", **({"times": 3} if by_hits else {}))
        ids = [feishu_box.change_balance(LIN, points=1)[0] for _ in range(3)]
        if not by_hits:
            assert [True] * 3 == [event["held"] for event in feishu_box.events()]
            feishu_box.end_fault(fault_id)

        assert ids[::-1] == [listener.event()[1]["header"]["event_id"] for _ in range(3)]


def received(raw: str | bytes) -> Any:
    """The payload of a whole frame; None for bytes that are no frame, or a frame that is not whole."""
    assert isinstance(raw, bytes)
    try:
        frame = Frame.from_bytes(raw)
    except FrameError:
        return None
    if frame.header("message_id") is None or frame.header("sum") != "1":
        return None
    return json.loads(frame.payload or b"")


@pytest.mark.parametrize("damage", DAMAGE_TYPES)
def test_a_damaged_push_cannot_be_read_and_the_next_one_is_whole(damage: str) -> None:
    with FeishuBox(FAST) as box, listening(box) as listener:
        box.start_fault("corrupt", damage=damage)
        (event_id,) = box.change_balance(LIN, points=1)

        assert received(listener.socket.recv(timeout=10)) is None
        assert event_id == received(listener.socket.recv(timeout=10))["header"]["event_id"]
        assert 1 == box.running_faults()[0]["hits"]


def test_without_a_choice_the_damage_types_rotate() -> None:
    with FeishuBox(FAST) as box, listening(box) as listener:
        box.start_fault("corrupt", times=3)
        seen: list[bytes] = []
        for _ in range(3):
            box.change_balance(LIN, points=1)
        while len(seen) < 3:
            raw = listener.socket.recv(timeout=10)
            if isinstance(raw, bytes) and received(raw) is None:
                seen.append(raw)

    with pytest.raises(FrameError):
        Frame.from_bytes(seen[0])
    frames = [Frame.from_bytes(raw) for raw in seen[1:]]
    assert (None, "1") == (frames[0].header("message_id"), frames[0].header("sum"))
    assert ("2", "0") == (frames[1].header("sum"), frames[1].header("seq"))


# --- the clock ---


def test_the_clock_jumps_forward_and_back(feishu_box: FeishuBox) -> None:
    for seconds, ahead in [(7200, 7200), (-10_800, -3600), (0.5, -3599.5)]:
        feishu_box.start_fault("clock", seconds=seconds)
        assert ahead == feishu_box.state()["ahead_seconds"]


def test_a_clock_jump_back_delays_nothing() -> None:
    with FeishuBox(SandboxSettings(answer_seconds=0.05)) as box, listening(box):
        (event_id,) = box.change_balance(LIN, points=1)
        url_before = discover(box).data["URL"]
        old = token(box)
        assert {0} == {api(box, "GET", "/event/v1/connection").code for _ in range(9)}

        box.start_fault("clock", seconds=-3600)

        assert {0} == {api(box, "GET", "/event/v1/connection").code}
        assert old == token(box)
        box.wait_for(lambda: box.event(event_id)["failures"] == 1, "the first push has failed")
        box.advance(16)
        box.wait_for(lambda: len(box.event(event_id)["pushes"]) >= 2, "the event comes again after 15 s")
        box.advance(60)
        ticket = url_before.removeprefix("ws://").partition("/")[2]
        assert 403 == call(box, "GET", f"/{ticket}").status
        box.advance(7200)
        assert old != token(box)


# --- how many connections there are ---


def test_the_platform_counts_all_connections_of_the_app(feishu_box: FeishuBox) -> None:
    def counted() -> object:
        return api(feishu_box, "GET", "/event/v1/connection").data

    assert {"online_instance_cnt": 0} == counted()
    with listening(feishu_box):
        assert {"online_instance_cnt": 1} == counted()
        call(feishu_box, "POST", "/api/other-connections", {"count": 2})
        assert {"online_instance_cnt": 3} == counted()
        assert 2 == feishu_box.connection_status()["other_connections"]
        feishu_box.set_other_connections(50)
        assert 1000040350 == discover(feishu_box).code
        feishu_box.set_other_connections(0)
        assert {"online_instance_cnt": 1} == counted()


@pytest.mark.parametrize("count", [-1, 51, 1.5, "2", True, None])
def test_an_invalid_number_of_other_connections_is_refused(feishu_box: FeishuBox, count: object) -> None:
    refused = call(feishu_box, "POST", "/api/other-connections", {"count": count})

    assert (400, '"count" must be a whole number from 0 to 50') == (refused.status, refused.content["error"])


def test_counting_needs_a_token(feishu_box: FeishuBox) -> None:
    assert 99991661 == call(feishu_box, "GET", "/open-apis/event/v1/connection").code


def test_a_platform_that_does_not_know_the_count_answers_404_in_plain_text() -> None:
    with FeishuBox(SandboxSettings(connection_count_known=False)) as box:
        reply = api(box, "GET", "/event/v1/connection")

    assert (404, "text/plain") == (reply.status, reply.headers.get_content_type())

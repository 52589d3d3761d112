"""Discovery, tickets, pings and chunks of the long connection."""

import json

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from notifier.sandbox.push.frames import Frame
from notifier.sandbox.settings import ClientConfig, SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import call, discover, listening


def test_discovery_gives_an_address_and_the_client_settings() -> None:
    with FeishuBox(SandboxSettings(client_config=ClientConfig(ping_interval_seconds=90))) as box:
        reply = discover(box)

        assert (200, 0) == (reply.status, reply.code)
        assert reply.data["URL"].startswith(box.url.replace("http://", "ws://") + "/ws/v2?")
        expected = {"ReconnectCount": -1, "ReconnectInterval": 1, "ReconnectNonce": 0, "PingInterval": 90}
        assert expected == reply.data["ClientConfig"]


@pytest.mark.parametrize(
    "app_id, app_secret, code",
    [
        ("", "sandbox-secret", 1000040344),
        ("cli_5a4db0c05a4db0c0", "", 1000040344),
        ("cli_5a4db0c05a4db0c0", "wrong", 1000040345),
        ("cli_0000000000000000", "sandbox-secret", 1000040345),
    ],
)
def test_discovery_refuses_bad_credentials_by_code_under_http_200(
    feishu_box: FeishuBox, app_id: str, app_secret: str, code: int
) -> None:
    reply = discover(feishu_box, app_id, app_secret)

    assert (200, code) == (reply.status, reply.code)
    assert {code: 1} == feishu_box.refusals()


def test_discovery_survives_a_body_that_is_not_json(feishu_box: FeishuBox) -> None:
    assert call(feishu_box, "POST", "/callback/ws/endpoint", b"{").code == 1000040344


def test_the_connection_limit_is_refused_by_discovery() -> None:
    with FeishuBox(SandboxSettings(connection_limit=1)) as box, listening(box):
        assert discover(box).code == 1000040350


def test_the_connection_limit_is_refused_at_the_handshake_too() -> None:
    with FeishuBox(SandboxSettings(connection_limit=1)) as box:
        second = discover(box).data["URL"]
        with listening(box), pytest.raises(InvalidStatus) as refused:
            connect(second, proxy=None)

        headers = refused.value.response.headers
        assert headers["handshake-status"] == "514"
        assert headers["handshake-autherrcode"] == "1000040350"


def test_a_ticket_is_good_once(feishu_box: FeishuBox) -> None:
    url = discover(feishu_box).data["URL"]
    connect(url, proxy=None).close()

    with pytest.raises(InvalidStatus) as refused:
        connect(url, proxy=None)

    assert refused.value.response.headers["handshake-status"] == "514"


def test_a_ticket_gets_too_old(feishu_box: FeishuBox) -> None:
    url = discover(feishu_box).data["URL"]
    feishu_box.advance(61)

    with pytest.raises(InvalidStatus):
        connect(url, proxy=None)


def test_a_ping_is_answered_by_a_pong_that_carries_the_settings(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener:
        listener.socket.send(Frame(service=5, method=0, headers=(("type", "ping"),)).to_bytes())
        pong = listener.receive()

    assert (0, 5, "pong") == (pong.method, pong.service, pong.header("type"))
    assert json.loads(pong.payload or b"")["PingInterval"] == 120


def test_garbage_from_the_client_ends_the_connection_and_nothing_else(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener:
        listener.socket.send(b"\x08")
        with pytest.raises(ConnectionClosedError):
            listener.receive()

    feishu_box.wait_for(lambda: feishu_box.connections() == 0, "the connection is gone")
    with listening(feishu_box):
        assert feishu_box.connections() == 1


def test_a_large_payload_travels_in_chunks_and_one_ack_is_enough() -> None:
    with FeishuBox(SandboxSettings(chunk_bytes=10)) as box, listening(box) as listener:
        event_id = box.push_payload("0123456789abcdefghijKLM")
        parts = [listener.receive() for _ in range(3)]
        listener.acknowledge(parts[-1])
        box.wait_for(lambda: box.event(event_id)["state"] == "acknowledged", "the event is acknowledged")

    assert [b"0123456789", b"abcdefghij", b"KLM"] == [part.payload for part in parts]
    assert [("3", "0"), ("3", "1"), ("3", "2")] == [
        (part.header("sum"), part.header("seq")) for part in parts
    ]
    assert len({part.header("message_id") for part in parts}) == 1


def test_a_broken_connection_is_aborted_without_a_close_frame(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener:
        assert feishu_box.disconnect_all() == 1
        with pytest.raises(ConnectionClosedError) as closed:
            listener.receive()

    assert closed.value.rcvd is None


def test_a_silent_platform_answers_no_ping(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener:
        feishu_box.silence()
        listener.socket.send(Frame(method=0, headers=(("type", "ping"),)).to_bytes())
        feishu_box.silence(on=False)
        listener.socket.send(Frame(service=9, method=0, headers=(("type", "ping"),)).to_bytes())

        assert listener.receive().service in {0, 9}
        assert feishu_box.connections() == 1

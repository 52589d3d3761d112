"""Faults of the long connection: reset, dead, silent and closed connections; failed discovery and handshake."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidMessage, InvalidStatus
from websockets.sync.client import connect

from notifier.sandbox.push.frames import Frame
from notifier.sandbox.settings import ClientConfig, SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import LongConnectionClient, call, discover, listening, send
from sandbox.test_python_sdk import sdk

LIN = "7000000000000000001"
FAST = SandboxSettings(answer_seconds=0.05, redelivery_seconds=(0.01,) * 500)


@pytest.fixture
def hasty_box() -> Iterator[FeishuBox]:
    """Waits hardly at all for an ack, and pushes again at once."""
    with FeishuBox(FAST) as box:
        yield box


def ping(listener: LongConnectionClient, service: int = 0) -> None:
    listener.socket.send(Frame(service=service, method=0, headers=(("type", "ping"),)).to_bytes())


def receives_nothing(box: FeishuBox, listener: LongConnectionClient) -> bool:
    """Twice, a ping is sent and an event is pushed, and neither is answered."""
    ping(listener)
    (event_id,) = box.change_balance(LIN, points=1)
    box.wait_for(lambda: len(box.event(event_id)["pushes"]) > 2, "two pushes failed")
    try:
        listener.socket.recv(timeout=0)
    except TimeoutError:
        return True
    return False


@contextmanager
def open_request(box: FeishuBox, path: str = "/callback/ws/endpoint") -> Iterator[http.client.HTTPConnection]:
    """A call that waits for its answer."""
    connection = http.client.HTTPConnection(box.url.removeprefix("http://"), timeout=0.3)
    connection.request("POST", path, json.dumps({"AppID": box.app_id, "AppSecret": box.app_secret}))
    try:
        yield connection
    finally:
        connection.close()


def test_drop_cuts_every_connection_with_a_reset(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener, listening(feishu_box):
        feishu_box.start_fault("drop")
        with pytest.raises(ConnectionClosedError) as closed:
            listener.receive()
        feishu_box.wait_for(lambda: feishu_box.connections() == 0, "both are gone")

    assert closed.value.rcvd is None
    assert isinstance(closed.value.__cause__, ConnectionResetError)


def test_while_drop_is_running_new_connections_are_reset(feishu_box: FeishuBox) -> None:
    feishu_box.start_fault("drop", times=2)
    for _ in range(2):
        with pytest.raises((ConnectionError, InvalidMessage)):
            connect(discover(feishu_box).data["URL"], proxy=None)

    with listening(feishu_box):
        assert [] == feishu_box.running_faults()


def test_in_a_black_hole_nothing_is_received_and_the_page_works(hasty_box: FeishuBox) -> None:
    box = hasty_box
    with listening(box) as listener:
        url = discover(box).data["URL"]
        fault_id = box.start_fault("black_hole")

        assert receives_nothing(box, listener)
        assert not listener.socket.ping().wait(0)
        with pytest.raises(TimeoutError):
            connect(url, proxy=None, open_timeout=0.1)
        with open_request(box) as call_in_the_hole, pytest.raises(TimeoutError):
            call_in_the_hole.getresponse()
        assert 200 == call(box, "GET", "/").status
        assert 200 == call(box, "GET", "/api/state").status
        assert 1 == box.connections()
        assert not box.connection_status()["is_connected"]

        hits = box.running_faults()[0]["hits"]  # on a busy machine the hasty connect may not have arrived
        with open_request(box, "/open-apis/im/v1/messages") as waiting:
            box.wait_for(lambda: box.running_faults()[0]["hits"] > hits, "the call is in the hole")
            box.end_fault(fault_id)
            with pytest.raises(ConnectionError):
                waiting.getresponse()
        assert [] == box.requests("/open-apis")
        assert b"" != listener.receive().payload
        assert 0 == send(box, "hi").code


def test_a_black_hole_swallows_the_answer_to_a_call_that_was_on_its_way(feishu_box: FeishuBox) -> None:
    feishu_box.start_fault("slow", delay_seconds=0.05, match="POST /open-apis/auth/*")
    with open_request(feishu_box, "/open-apis/auth/v3/tenant_access_token/internal") as on_its_way:
        feishu_box.wait_for(lambda: feishu_box.running_faults()[0]["hits"] == 1, "it is being carried out")
        feishu_box.start_fault("black_hole")
        with pytest.raises(TimeoutError):
            on_its_way.getresponse()


def test_a_sandbox_in_a_black_hole_can_be_stopped() -> None:
    box = FeishuBox().start()
    box.start_fault("black_hole")
    with open_request(box) as call_in_the_hole:
        box.wait_for(lambda: box.running_faults()[0]["hits"] == 1, "it is in the hole")
        box.stop()
        with pytest.raises(ConnectionError):
            call_in_the_hole.getresponse()


def test_a_half_open_connection_is_dead_and_a_new_one_works(hasty_box: FeishuBox) -> None:
    box = hasty_box
    with listening(box) as old:
        box.start_fault("half_open", seconds=60)

        assert receives_nothing(box, old)
        assert not old.socket.ping().wait(0)
        assert (1, 1, False) == (
            box.connections(),
            box.connection_status()["dead"],
            box.connection_status()["is_connected"],
        )
        with listening(box) as new:
            assert b"" != new.receive().payload
            assert new.socket.ping().wait(10)
            assert (2, 1, True) == (
                box.connections(),
                box.connection_status()["dead"],
                box.connection_status()["is_connected"],
            )
        box.end_all_faults()
        assert (0, True) == (box.connection_status()["dead"], box.connection_status()["is_connected"])
        assert b"" != old.receive().payload


def test_a_dead_connection_answers_no_close_frame(feishu_box: FeishuBox) -> None:
    with connect(discover(feishu_box).data["URL"], proxy=None, close_timeout=0.1) as socket:
        feishu_box.wait_for(feishu_box.connections, "it is connected")
        feishu_box.start_fault("half_open")
        socket.close()

    assert 1006 == socket.protocol.close_code
    feishu_box.wait_for(lambda: feishu_box.connections() == 0, "the platform has seen it go")


@pytest.mark.parametrize("ended_by_hand", [False, True])
def test_a_connection_that_goes_silent_after_connect_stays_silent_until_the_fault_is_ended(
    hasty_box: FeishuBox, *, ended_by_hand: bool
) -> None:
    box = hasty_box
    box.start_fault("goes_silent_after_connect", times=3 if ended_by_hand else 2)
    urls = [discover(box).data["URL"] for _ in range(2)]
    with (
        connect(urls[0], proxy=None, close_timeout=0.1) as first,
        connect(urls[1], proxy=None, close_timeout=0.1) as second,
    ):
        box.wait_for(lambda: box.connections() == 2, "both are connected")
        assert receives_nothing(box, LongConnectionClient(first))
        assert receives_nothing(box, LongConnectionClient(second))
        if ended_by_hand:
            box.end_all_faults()
            box.wait_for(lambda: box.connection_status()["dead"] == 0, "both connections work again")
            assert b"" != LongConnectionClient(first).receive().payload
        else:
            assert [] == box.running_faults()
            assert 2 == box.connection_status()["dead"]


def test_without_pongs_events_still_come(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener:
        feishu_box.start_fault("no_pongs", times=1)
        websocket_pong = listener.socket.ping()
        ping(listener, service=1)
        feishu_box.wait_for(lambda: not feishu_box.running_faults(), "the ping was taken")
        feishu_box.change_balance(LIN, points=1)
        frame, _ = listener.event()
        ping(listener, service=9)

        assert (1, 9) == (frame.method, listener.receive().service)
        assert websocket_pong.wait(10)


def test_without_pongs_a_websocket_ping_may_go_unanswered_too(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener:
        feishu_box.start_fault("no_pongs", websocket_pongs=False)
        websocket_pong = listener.socket.ping()
        ping(listener)
        feishu_box.wait_for(lambda: feishu_box.running_faults()[0]["hits"] == 1, "both pings were taken")
        assert not websocket_pong.wait(0.05)


@pytest.mark.parametrize("code", [1001, 1011, 4001])
def test_connections_are_closed_with_a_code_and_while_it_lasts_new_ones_too(
    feishu_box: FeishuBox, code: int
) -> None:
    with listening(feishu_box) as listener:
        feishu_box.start_fault("close_code", code=code, times=1)
        with pytest.raises(ConnectionClosed) as closed:
            listener.receive()
    url = discover(feishu_box).data["URL"]
    with connect(url, proxy=None) as socket, pytest.raises(ConnectionClosed) as closed_too:
        socket.recv(timeout=10)

    assert [code, code] == [one.value.rcvd.code for one in (closed, closed_too) if one.value.rcvd]
    with listening(feishu_box):
        assert 1 == feishu_box.connections()


def test_discovery_hangs(feishu_box: FeishuBox) -> None:
    feishu_box.start_fault("discovery_hangs", times=1)
    with open_request(feishu_box) as hanging, pytest.raises(TimeoutError):
        hanging.getresponse()

    assert 0 == discover(feishu_box).code


@pytest.mark.parametrize("code", [1, 1000040343, 1000040345, 1000040350, 403, 7])
def test_discovery_is_refused_by_code_under_http_200(feishu_box: FeishuBox, code: int) -> None:
    feishu_box.start_fault("discovery_refused", code=code, times=1)
    reply = discover(feishu_box)

    assert (200, code) == (reply.status, reply.code)
    assert 0 == discover(feishu_box).code


@pytest.mark.parametrize("status", [200, 502])
def test_discovery_answers_in_html(feishu_box: FeishuBox, status: int) -> None:
    feishu_box.start_fault("discovery_html", status=status)
    reply = discover(feishu_box)

    assert (status, "text/html") == (reply.status, reply.headers.get_content_type())
    assert reply.text.startswith("<html>")


@pytest.mark.parametrize("status, auth_code", [(514, 1000040350), (514, 1000040345), (403, 0), (500, 0)])
def test_the_handshake_is_refused_with_headers_that_say_why(
    feishu_box: FeishuBox, status: int, auth_code: int
) -> None:
    feishu_box.start_fault("handshake_refused", status=status, auth_code=auth_code, times=1)
    url = discover(feishu_box).data["URL"]
    with pytest.raises(InvalidStatus) as refused:
        connect(url, proxy=None)

    headers = refused.value.response.headers
    assert (str(status), str(auth_code)) == (headers["handshake-status"], headers["handshake-autherrcode"])
    connect(url, proxy=None).close()


def test_the_handshake_is_refused_without_headers(feishu_box: FeishuBox) -> None:
    feishu_box.start_fault("handshake_refused", headers=False)
    with pytest.raises(InvalidStatus) as refused:
        connect(discover(feishu_box).data["URL"], proxy=None)

    assert (403, None) == (
        refused.value.response.status_code,
        refused.value.response.headers.get("handshake-status"),
    )


@pytest.mark.parametrize(
    "fault_type, options, expected",
    [
        ("finite_reconnect_count", {"count": 7}, {"ReconnectCount": 7}),
        ("client_config", {"ping_interval_seconds": 1}, {"PingInterval": 1}),
        ("client_config", {"without": ["PingInterval", "ReconnectCount"]}, {}),
    ],
)
def test_discovery_and_pongs_send_wrong_client_settings(
    feishu_box: FeishuBox, fault_type: str, options: dict[str, object], expected: dict[str, int]
) -> None:
    whole = ClientConfig().to_wire()
    omitted = options.get("without", [])
    assert isinstance(omitted, list)
    expected_config = {key: value for key, value in {**whole, **expected}.items() if key not in omitted}
    feishu_box.start_fault(fault_type, **options)
    with listening(feishu_box) as listener:
        ping(listener)
        assert expected_config == json.loads(listener.receive().payload or b"")
        feishu_box.end_all_faults()
        assert whole == discover(feishu_box).data["ClientConfig"]

    feishu_box.start_fault(fault_type, **options, times=1)
    assert [expected_config, whole] == [discover(feishu_box).data["ClientConfig"] for _ in range(2)]


def test_the_connection_status_shows_offline_time_and_reconnects(feishu_box: FeishuBox) -> None:
    fresh = {"is_connected": False, "disconnected_at_ms": None, "offline_seconds": None, "reconnects": 0}
    assert {**fresh, "dead": 0, "other_connections": 0} == feishu_box.connection_status()
    with listening(feishu_box):
        assert {
            **fresh,
            "is_connected": True,
            "dead": 0,
            "other_connections": 0,
        } == feishu_box.connection_status()
        feishu_box.start_fault("drop")
        feishu_box.wait_for(
            lambda: not feishu_box.connection_status()["is_connected"], "the connection is lost"
        )
        lost = feishu_box.connection_status()
    with listening(feishu_box):
        back = feishu_box.connection_status()

    assert (True, 1, lost["disconnected_at_ms"]) == (
        back["is_connected"],
        back["reconnects"],
        back["disconnected_at_ms"],
    )
    assert 0 <= lost["offline_seconds"] <= back["offline_seconds"]


def test_the_python_sdk_lives_through_a_dropped_connection_and_damaged_pushes() -> None:
    settings = SandboxSettings(answer_seconds=1, redelivery_seconds=(0.1,) * 60)
    with FeishuBox(settings) as box, sdk(box):
        box.start_fault("drop")
        box.wait_for(lambda: box.connection_status()["reconnects"] == 1, "the SDK is back", 30)
        box.start_fault("corrupt", times=3)
        ids = [box.change_balance(LIN, points=1)[0] for _ in range(3)]
        box.wait_for(lambda: box.unacknowledged() == 0, "all are acknowledged", 60)

        codes = [box.push_codes(event_id) for event_id in ids]
        assert [(None, 200)] * 3 == [(first, last) for first, *_, last in codes]

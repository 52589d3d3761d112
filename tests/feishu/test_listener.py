"""The long connection: the real SDK's client against the stand-in, over a real socket."""

import asyncio
import functools
import json
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

from notifier.domain.event import UNREADABLE, Event
from notifier.feishu.api import AppAccess
from notifier.feishu.long_connection.listener import ConnectionState, ConnectionStatus, Listener
from notifier.sandbox.push.frames import CONTROL, DATA, Frame
from notifier.sandbox.settings import ClientConfig, SandboxSettings
from notifier.sandbox.testing import FeishuBox
from support.waiting import wait_until

LIN_ACCOUNT = "7000000000000000001"


class Shelf:
    """Stands for the inbox: keeps events, or refuses them while told to."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.states: list[ConnectionStatus] = []
        self.refusing = False
        self.slow: threading.Event | None = None
        self.begun = 0

    def accept(self, event: Event) -> "Future[None]":
        stored: Future[None] = Future()
        self.begun += 1
        if self.refusing:
            stored.set_exception(OSError("disk full"))
            return stored
        if self.slow is not None:
            threading.Thread(target=self._later, args=(event, stored, self.slow), daemon=True).start()
            return stored
        self._keep(event, stored)
        return stored

    def _later(self, event: Event, stored: "Future[None]", gate: threading.Event) -> None:
        gate.wait(20)
        self._keep(event, stored)

    def _keep(self, event: Event, stored: "Future[None]") -> None:
        self.events.append(event)
        stored.set_result(None)


@contextmanager
def listening(
    box: FeishuBox, shelf: Shelf, *, secret: str | None = None, connected: bool = True
) -> Iterator[Listener]:
    access = AppAccess(base_url=box.url, app_id=box.app_id, app_secret=secret or box.app_secret)
    listener = Listener(access, accept=shelf.accept, on_connection_change=shelf.states.append)
    listener.start()
    try:
        if connected:
            box.wait_for(lambda: box.connections() == 1, "connected", timeout=40)
        yield listener
    finally:
        assert listener.stop(seconds=10)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def codes(box: FeishuBox, event_id: str) -> list[int | None]:
    return box.push_codes(event_id)


def test_an_event_is_acknowledged_with_200_after_it_is_stored(feishu_box: FeishuBox, shelf: Shelf) -> None:
    with listening(feishu_box, shelf):
        [event_id] = feishu_box.change_balance(LIN_ACCOUNT, points=5)
        feishu_box.wait_for(lambda: codes(feishu_box, event_id) == [200], "acknowledged")

    assert [event_id] == [event.key for event in shelf.events]


def test_an_event_that_cannot_be_stored_is_answered_with_500_and_comes_again(shelf: Shelf) -> None:
    with FeishuBox(SandboxSettings(redelivery_seconds=(0.2, 0.2, 0.2, 0.2))) as box, listening(box, shelf):
        shelf.refusing = True
        [event_id] = box.change_balance(LIN_ACCOUNT, points=5)
        box.wait_for(lambda: codes(box, event_id)[:1] == [500], "refused")
        shelf.refusing = False

        box.wait_for(lambda: codes(box, event_id)[-1:] == [200], "acknowledged in the end")

    assert [event_id] == [event.key for event in shelf.events]


def test_no_answer_leaves_before_the_commit_and_others_are_not_held_up(
    feishu_box: FeishuBox, shelf: Shelf
) -> None:
    with listening(feishu_box, shelf):
        gate = shelf.slow = threading.Event()
        [waiting] = feishu_box.change_balance(LIN_ACCOUNT, points=5)
        wait_until(lambda: shelf.begun == 1, "it is being stored")
        shelf.slow = None
        [quick] = feishu_box.change_balance(LIN_ACCOUNT, points=5)

        feishu_box.wait_for(lambda: codes(feishu_box, quick) == [200], "the second one is acknowledged")
        assert [None] == codes(feishu_box, waiting)
        gate.set()

        feishu_box.wait_for(lambda: codes(feishu_box, waiting) == [200], "the first one too")


@pytest.mark.parametrize("total, number", [("999999999", "0"), ("2", "-1"), ("2", "2"), (f"{10**30}", "1")])
def test_a_part_of_something_impossible_is_kept_for_a_person_and_costs_no_memory(
    feishu_box: FeishuBox, shelf: Shelf, total: str, number: str
) -> None:
    headers = (("type", "event"), ("message_id", "m-1"), ("sum", total), ("seq", number))
    raw = Frame(service=1, method=DATA, headers=headers, payload=b"{}").to_bytes()
    with listening(feishu_box, shelf):
        feishu_box.push_frame(raw)
        feishu_box.wait_for(lambda: shelf.events, "stored")

    assert (UNREADABLE, raw) == (shelf.events[0].event_type, shelf.events[0].payload)


@pytest.mark.parametrize(
    "seconds", [0, -1, 1e400, 10**400, 10**9, True, "90", None, 90.5], ids=lambda each: str(each)[:12]
)
def test_senseless_settings_in_a_pong_change_nothing(
    feishu_box: FeishuBox, shelf: Shelf, seconds: object
) -> None:
    settings = json.dumps({"PingInterval": seconds, "ReconnectCount": 10**400}).encode()
    pong = Frame(service=1, method=CONTROL, headers=(("type", "pong"),), payload=settings).to_bytes()
    with listening(feishu_box, shelf) as client:
        feishu_box.push_frame(pong)
        [event_id] = feishu_box.change_balance(LIN_ACCOUNT, points=5)
        feishu_box.wait_for(lambda: codes(feishu_box, event_id) == [200], "acknowledged")
        feishu = client._current._client
        assert feishu is not None

        assert 120 == feishu._ping_interval


def test_the_payload_is_kept_as_it_came(feishu_box: FeishuBox, shelf: Shelf) -> None:
    payload = '{"schema":"2.0",  "header":{"event_id":"ev-é","event_type":"x"},\n "event":{"n":1.10}}'
    with listening(feishu_box, shelf):
        feishu_box.push_payload(payload)
        feishu_box.wait_for(lambda: shelf.events, "stored")

    assert payload.encode() == shelf.events[0].payload


def test_a_payload_in_many_chunks_arrives_whole(shelf: Shelf) -> None:
    with FeishuBox(SandboxSettings(chunk_bytes=50)) as box, listening(box, shelf):
        [event_id] = box.change_balance(LIN_ACCOUNT, points=5)
        box.wait_for(lambda: codes(box, event_id) == [200], "acknowledged")

    assert [event_id] == [event.key for event in shelf.events]


@pytest.mark.parametrize(
    "payload",
    ["no JSON", "{}", '{"schema":"2.0","header":{"event_type":"moon.rises_v1","event_id":"m"},"event":{}}'],
)
def test_every_payload_gets_an_answer(feishu_box: FeishuBox, shelf: Shelf, payload: str) -> None:
    with listening(feishu_box, shelf):
        event_id = feishu_box.push_payload(payload)
        feishu_box.wait_for(lambda: codes(feishu_box, event_id) == [200], "acknowledged")

    assert payload.encode() == shelf.events[0].payload


def test_a_click_is_answered(feishu_box: FeishuBox, shelf: Shelf) -> None:
    with listening(feishu_box, shelf):
        message = _send_a_card(feishu_box)
        answer = feishu_box.click(message, "ou_sandbox_lin", {"ref": "abc"})

    assert 0 == answer["code"]
    assert ["card.action.trigger"] == [event.event_type for event in shelf.events]


def _send_a_card(box: FeishuBox) -> str:
    """A card with a button, sent as any client would."""

    def post(path: str, body: dict[str, object], token: str = "") -> dict[str, object]:
        request = urllib.request.Request(
            box.url + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            document: dict[str, object] = json.load(answer)
            return document

    token = post(
        "/open-apis/auth/v3/tenant_access_token/internal",
        {"app_id": box.app_id, "app_secret": box.app_secret},
    )["tenant_access_token"]
    button = {
        "tag": "button",
        "text": {"tag": "plain_text", "content": "x"},
        "behaviors": [{"type": "callback", "value": {"ref": "abc"}}],
    }
    card = {"schema": "2.0", "config": {"update_multi": True}, "body": {"elements": [button]}}
    post(
        "/open-apis/im/v1/messages?receive_id_type=open_id",
        {"receive_id": "ou_sandbox_lin", "msg_type": "interactive", "content": json.dumps(card)},
        str(token),
    )
    return str(box.messages("ou_sandbox_lin")[0]["message_id"])


def test_a_lost_connection_is_told_and_made_again(feishu_box: FeishuBox, shelf: Shelf) -> None:
    with listening(feishu_box, shelf):
        feishu_box.disconnect_all()
        wait_until(lambda: _states(shelf).count(ConnectionState.CONNECTED) == 2, "connected again")

    assert ConnectionState.LOST in _states(shelf)


def test_a_connection_on_which_nothing_comes_any_more_is_given_up(shelf: Shelf) -> None:
    """Half-open: the socket looks well, but not even pongs come."""
    pings = ClientConfig(ping_interval_seconds=1)
    with FeishuBox(SandboxSettings(client_config=pings)) as box, listening(box, shelf):
        box.silence(on=True)
        wait_until(lambda: ConnectionState.LOST in _states(shelf), "the silence is noticed", seconds=15)
        box.silence(on=False)

        wait_until(
            lambda: _states(shelf).count(ConnectionState.CONNECTED) == 2, "connected again", seconds=40
        )
        [event_id] = box.change_balance(LIN_ACCOUNT, points=5)
        box.wait_for(lambda: codes(box, event_id)[-1:] == [200], "acknowledged")

    assert [event_id] == [event.key for event in shelf.events]


def test_a_wrong_secret_is_refused_with_the_next_step_and_without_the_secret(
    feishu_box: FeishuBox, shelf: Shelf
) -> None:
    with listening(feishu_box, shelf, secret="not-the-secret", connected=False):
        wait_until(lambda: ConnectionState.REFUSED in _states(shelf), "refused", seconds=40)

    refused = next(each for each in shelf.states if each.state is ConnectionState.REFUSED)
    assert "feishu.app_secret" in refused.detail
    assert "not-the-secret" not in refused.detail


def test_discovery_that_is_away_for_now_is_asked_again(feishu_box: FeishuBox, shelf: Shelf) -> None:
    feishu_box.add_call_fault(
        {"match": "POST /callback/ws/endpoint", "action": "http", "status": 502, "times": 1}
    )
    with listening(feishu_box, shelf):
        pass

    assert ConnectionState.LOST in _states(shelf)
    assert ConnectionState.CONNECTED in _states(shelf)


def _states(shelf: Shelf) -> list[ConnectionState]:
    return [each.state for each in shelf.states]


def test_a_listener_that_never_started_stops_at_once(feishu_box: FeishuBox, shelf: Shelf) -> None:
    access = AppAccess(base_url=feishu_box.url, app_id="a", app_secret="s")
    listener = Listener(access, accept=shelf.accept, on_connection_change=shelf.states.append)

    assert listener.stop(seconds=1)
    assert listener.stop(seconds=1)


def test_a_stop_frees_the_socket_though_feishu_does_not_answer_the_close(
    feishu_box: FeishuBox, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stop gives up the close handshake while the connection itself still waits for it."""
    monkeypatch.setattr("notifier.feishu.long_connection.listener.CLOSE_SECONDS", 0.1)
    with listening(feishu_box, shelf) as listener:
        wait_until(lambda: ConnectionState.CONNECTED in _states(shelf), "connected")
        client = listener._current._client
        assert client is not None
        connection = client._conn.transport.get_extra_info("socket")
        feishu_box.silence(on=True)
        assert listener.stop(seconds=10)

        assert -1 == connection.fileno()


def _connected_often(shelf: Shelf, times: int) -> bool:
    return _states(shelf).count(ConnectionState.CONNECTED) >= times


def _connected_again(shelf: Shelf) -> bool:
    return _connected_often(shelf, 2)


def _heard(box: FeishuBox, shelf: Shelf) -> None:
    """The next event comes through."""
    [event_id] = box.change_balance(LIN_ACCOUNT, points=1)
    box.wait_for(lambda: codes(box, event_id)[-1:] == [200], "acknowledged", timeout=30)

    assert event_id in [event.key for event in shelf.events]


@contextmanager
def standing_still(box: FeishuBox, shelf: Shelf) -> Iterator[Listener]:
    """A listener whose loop an event holds up, as must not happen."""
    gate = threading.Event()

    def accept(event: Event) -> "Future[None]":
        if not shelf.events:
            shelf.events.append(event)
            gate.wait(60)
        return shelf.accept(event)

    access = AppAccess(base_url=box.url, app_id=box.app_id, app_secret=box.app_secret)
    listener = Listener(access, accept=accept, on_connection_change=shelf.states.append, stalled_seconds=8)
    listener.start()
    try:
        wait_until(lambda: ConnectionState.CONNECTED in _states(shelf), "connected", seconds=40)
        box.change_balance(LIN_ACCOUNT, points=1)
        wait_until(lambda: shelf.events, "the loop is held up")
        yield listener
    finally:
        gate.set()
        assert listener.stop(seconds=10)


def _replaced(listener: Listener, shelf: Shelf) -> bool:
    listener.watch()
    return _connected_again(shelf)


def test_a_listener_that_stands_still_is_replaced_and_its_socket_closed(
    feishu_box: FeishuBox, shelf: Shelf
) -> None:
    with standing_still(feishu_box, shelf) as listener:
        wait_until(lambda: _replaced(listener, shelf), "another listener is connected", seconds=100)
        _heard(feishu_box, shelf)

    assert "was blocked" in next(each.detail for each in shelf.states if each.state is ConnectionState.LOST)


def test_a_connection_that_is_proved_deaf_is_made_anew_at_once(
    feishu_box: FeishuBox, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the pause would be that former losses have earned."""
    monkeypatch.setattr("notifier.feishu.long_connection.listener.FIRST_PAUSE_SECONDS", 3600.0)
    with listening(feishu_box, shelf) as listener:
        wait_until(lambda: ConnectionState.CONNECTED in _states(shelf), "connected")
        listener.reconnect()
        wait_until(lambda: _connected_again(shelf), "connected again", seconds=20)
        _heard(feishu_box, shelf)


def test_a_listener_is_replaced_though_no_thread_could_be_had_at_first(
    feishu_box: FeishuBox, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is out of threads cannot be ordered here, so the start of one is made to fail."""

    def no_thread(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def cannot(listener: Listener) -> bool:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", no_thread)
            try:
                listener.watch()
            except RuntimeError:
                return True
        return False

    with standing_still(feishu_box, shelf) as listener:
        wait_until(lambda: cannot(listener), "it is to be replaced, and cannot be", seconds=60)
        wait_until(lambda: _replaced(listener, shelf), "another listener is connected", seconds=100)
        _heard(feishu_box, shelf)


def test_a_connection_that_is_over_leaves_nothing_behind(feishu_box: FeishuBox, shelf: Shelf) -> None:
    """The SDK's client leaves a task, and with it itself, for each."""
    with listening(feishu_box, shelf) as listener:
        wait_until(lambda: _connected_often(shelf, 1), "connected")
        loop = listener._current._loop
        assert loop is not None
        for lost in range(1, 5):
            listener.reconnect()
            wait_until(functools.partial(_connected_often, shelf, lost + 1), "connected again", seconds=30)

        wait_until(lambda: _has_tasks_of_one_connection(loop), "only the tasks of one connection")


def _has_tasks_of_one_connection(loop: asyncio.AbstractEventLoop) -> bool:
    """Tasks that wait for an event do not count, as their number differs from moment to moment."""
    names = Counter(repr(task.get_coro()).split()[2] for task in asyncio.all_tasks(loop))
    del names["Event.wait"]
    return names["LongConnectionClient._receive_frames"] == 1 == max(names.values())


def test_while_feishu_refuses_the_reason_stands(feishu_box: FeishuBox, shelf: Shelf) -> None:
    """Also during each try: whoever looks then wants to know, too."""
    with listening(feishu_box, shelf, secret="not-the-secret", connected=False):
        wait_until(lambda: _states(shelf).count(ConnectionState.REFUSED) == 3, "asked again", seconds=60)

    assert [ConnectionState.CONNECTING, *[ConnectionState.REFUSED] * 3] == _states(shelf)[:4]


@pytest.mark.parametrize(
    "code, state, words",
    [
        (1000040344, ConnectionState.REFUSED, "feishu.app_id"),
        (1000040345, ConnectionState.REFUSED, "feishu.app_secret"),
        (1000040351, ConnectionState.REFUSED, "feishu.base_url"),
        (403, ConnectionState.REFUSED, "is the app enabled"),
        (1000040350, ConnectionState.LOST, "stop other clients"),
        (1, ConnectionState.LOST, "code 1"),
        (1000040343, ConnectionState.LOST, "code 1000040343"),
        (7, ConnectionState.LOST, "code 7"),
    ],
)
def test_whatever_discovery_says_it_is_asked_again(
    feishu_box: FeishuBox, shelf: Shelf, code: int, state: ConnectionState, words: str
) -> None:
    """The SDK's client ends for good at a code that it does not know."""
    feishu_box.add_call_fault(
        {
            "match": "POST /callback/ws/endpoint",
            "action": "code",
            "http_status": 200,
            "code": code,
            "times": 1,
        }
    )
    with listening(feishu_box, shelf):
        _heard(feishu_box, shelf)

    assert words in next(each.detail for each in shelf.states if each.state is state)


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "hang", "seconds": 30},
        {"action": "reset"},
        {"action": "truncate"},
        {"action": "http", "http_status": 200, "body": "<html>gateway</html>"},
        {"action": "http", "http_status": 200, "body": '{"code": 0, "data": {}}'},
        {"action": "http", "http_status": 200, "body": '{"code": 0, "data": {"URL": "http://x"}}'},
        {"action": "http", "http_status": 500, "body": ""},
    ],
    ids=str,
)
def test_discovery_that_hangs_or_talks_nonsense_is_asked_again(
    feishu_box: FeishuBox, shelf: Shelf, fault: dict[str, object]
) -> None:
    feishu_box.add_call_fault({"match": "POST /callback/ws/endpoint", "times": 1, **fault})
    with listening(feishu_box, shelf):
        _heard(feishu_box, shelf)

    assert ConnectionState.LOST in _states(shelf)


@pytest.mark.parametrize("fault", [{"action": "hang", "seconds": 60}, {"action": "reset"}], ids=str)
def test_a_handshake_that_hangs_or_breaks_is_tried_again(
    feishu_box: FeishuBox, shelf: Shelf, fault: dict[str, object]
) -> None:
    feishu_box.add_call_fault({"match": "GET /ws/v2", "times": 1, **fault})
    with listening(feishu_box, shelf):
        _heard(feishu_box, shelf)

    assert ConnectionState.LOST in _states(shelf)


def test_a_proxy_that_the_socket_does_not_use_is_named_when_it_cannot_connect(
    feishu_box: FeishuBox, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://someone:word@proxy.invalid:3128")
    feishu_box.add_call_fault({"match": "GET /ws/v2", "times": 1, "action": "reset"})
    with listening(feishu_box, shelf):
        _heard(feishu_box, shelf)

    [lost] = [each.detail for each in shelf.states if each.state is ConnectionState.LOST]
    assert "use feishu.transport: webhook" in lost
    assert "proxy.invalid" not in lost


@pytest.mark.parametrize("count", [0, 1, -1])
def test_a_finite_reconnect_count_ends_nothing(shelf: Shelf, count: int) -> None:
    config = ClientConfig(reconnect_count=count, reconnect_interval_seconds=3600)
    with FeishuBox(SandboxSettings(client_config=config)) as box, listening(box, shelf):
        for lost in (1, 2):
            box.disconnect_all()
            wait_until(functools.partial(_connected_often, shelf, lost + 1), "back again", seconds=30)
        _heard(box, shelf)


def test_pings_of_any_interval_are_held_within_bounds() -> None:
    """A server that asks for a ping an hour would leave us deaf for hours."""
    from notifier.feishu.long_connection.client import LONGEST_PING_SECONDS, LongConnectionClient  # noqa: PLC0415 - the SDK

    async def intervals() -> list[int]:
        client = LongConnectionClient(app_id="a", accept=Shelf().accept, logged_unknown_types=set())
        found: list[int] = []
        for seconds in (None, 0, -5, True, "90", 10**9, 90):
            client._configure_from({"PingInterval": seconds} if seconds is not None else {})
            found.append(client._ping_interval)
        return found

    assert [120, 120, 120, 120, 120, LONGEST_PING_SECONDS, 90] == asyncio.run(intervals())


def test_events_that_wait_for_their_commit_need_no_tasks(feishu_box: FeishuBox, shelf: Shelf) -> None:
    with listening(feishu_box, shelf) as listener:
        wait_until(lambda: _connected_often(shelf, 1), "connected")
        loop = listener._current._loop
        assert loop is not None
        tasks = len(asyncio.all_tasks(loop))
        gate = shelf.slow = threading.Event()
        ids = [feishu_box.change_balance(LIN_ACCOUNT, points=5)[0] for _ in range(50)]
        wait_until(lambda: shelf.begun == len(ids), "all are being stored")

        assert tasks == len(asyncio.all_tasks(loop))
        gate.set()

        feishu_box.wait_for(lambda: all(codes(feishu_box, each) == [200] for each in ids), "acknowledged")


def test_an_unexpected_error_while_storing_starts_is_answered_with_500(
    feishu_box: FeishuBox, shelf: Shelf
) -> None:
    with listening(feishu_box, shelf) as listener:
        wait_until(lambda: _connected_often(shelf, 1), "connected")
        client = listener._current._client
        assert client is not None

        def fail(_event: Event) -> "Future[None]":
            raise LookupError("no such queue")

        client._accept = fail
        [refused] = feishu_box.change_balance(LIN_ACCOUNT, points=5)
        feishu_box.wait_for(lambda: codes(feishu_box, refused) == [500], "refused")
        client._accept = shelf.accept
        [stored] = feishu_box.change_balance(LIN_ACCOUNT, points=5)

        feishu_box.wait_for(lambda: codes(feishu_box, stored) == [200], "the connection is still open")
        assert 1 == feishu_box.connections()


def test_a_connection_that_can_no_longer_respond_is_made_anew(
    feishu_box: FeishuBox, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(feishu_box, shelf) as listener:
        wait_until(lambda: _connected_often(shelf, 1), "connected")
        client = listener._current._client
        assert client is not None
        monkeypatch.setattr(client, "_answer_event", None)
        feishu_box.change_balance(LIN_ACCOUNT, points=5)
        wait_until(lambda: _connected_often(shelf, 2), "connected again", seconds=30)

        _heard(feishu_box, shelf)

"""Card callbacks: whoever clicks is answered in time, with what the storing step gives back."""

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from notifier.domain.event import Event
from notifier.feishu.api import AppAccess
from notifier.feishu.long_connection.listener import ConnectionStatus, Listener
from notifier.sandbox.push.frames import DATA, Frame
from notifier.sandbox.push.long_connection import Ack
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import card, send
from support.waiting import wait_until

LIN = "ou_sandbox_lin"
TOAST = {"type": "success", "content": "done", "i18n": {"zh_cn": "好", "en_us": "done"}}
NEW_CARD = card({"tag": "hr"})
DOCUMENT = {"toast": TOAST, "card": {"type": "raw", "data": NEW_CARD}}

ZH_RECEIVED, ZH_NOT_NOW = "收到，请稍候查看卡片。", "暂时无法处理，请稍后再点一次。"
RECEIVED_TOAST = {
    "type": "warning",
    "content": ZH_RECEIVED,
    "i18n": {"zh_cn": ZH_RECEIVED, "en_us": "Received. The result will show on the card."},
}
TRY_LATER_TOAST = {
    "type": "error",
    "content": ZH_NOT_NOW,
    "i18n": {"zh_cn": ZH_NOT_NOW, "en_us": "This is not possible right now. Press again later."},
}


class Desk:
    """Stands for the storing step. document: what it answers clicks with. gate: holds every store until it is set;
    a store that was cancelled meanwhile is not kept, as the writer does it. broken: storing fails with it.
    """

    def __init__(self) -> None:
        self.kept: list[Event] = []
        self.begun = 0
        self.document: Any = DOCUMENT
        self.gate: threading.Event | None = None
        self.broken: Exception | None = None

    def accept(self, event: Event) -> "Future[Any]":
        stored: Future[Any] = Future()
        self.begun += 1
        if self.gate is None:
            self._finish(event, stored)
        else:
            threading.Thread(target=self._later, args=(event, stored, self.gate), daemon=True).start()
        return stored

    def _later(self, event: Event, stored: "Future[Any]", gate: threading.Event) -> None:
        gate.wait(30)
        self._finish(event, stored)

    def _finish(self, event: Event, stored: "Future[Any]") -> None:
        if not stored.set_running_or_notify_cancel():
            return
        if self.broken is not None:
            stored.set_exception(self.broken)
            return
        self.kept.append(event)
        stored.set_result(self.document)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@contextmanager
def listening(box: FeishuBox, desk: Desk) -> Iterator[Listener]:
    states: list[ConnectionStatus] = []
    access = AppAccess(base_url=box.url, app_id=box.app_id, app_secret=box.app_secret)
    listener = Listener(access, accept=desk.accept, on_connection_change=states.append)
    listener.start()
    try:
        box.wait_for(lambda: box.connections() == 1, "connected", timeout=40)
        yield listener
    finally:
        if desk.gate is not None:
            desk.gate.set()
        assert listener.stop(seconds=10)


def sent(box: FeishuBox) -> str:
    return str(send(box, card()).data["message_id"])


def ask(box: FeishuBox, payload: str, *, kind: str = "event", copies: int = 1) -> list[Ack]:
    """Sends a payload as it is, all copies at once; gives the acknowledgements with their data."""

    def frame(message_id: str) -> bytes:
        headers = (
            ("type", kind),
            ("message_id", message_id),
            ("trace_id", "t"),
            ("sum", "1"),
            ("seq", "0"),
        )
        return Frame(service=1, method=DATA, headers=headers, payload=payload.encode()).to_bytes()

    async def do(sandbox: Sandbox) -> list[Ack]:
        connection = sandbox.connection.pick()
        ids = [f"asked-{number}" for number in range(copies)]
        asked = [
            sandbox.connection.send_raw_and_wait(connection, [frame(each)], message_id=each) for each in ids
        ]
        return list(await asyncio.gather(*asked))

    return box._await(do)


def callback(**action: object) -> str:
    header = {"event_id": "cb-1", "event_type": "card.action.trigger", "create_time": "1700000000000000"}
    return json.dumps({"schema": "2.0", "header": header, "event": {"action": action}})


def test_the_stored_document_is_what_the_clicker_sees(feishu_box: FeishuBox, desk: Desk) -> None:
    with listening(feishu_box, desk):
        message_id = sent(feishu_box)
        outcome = feishu_box.click(message_id, LIN, {"ref": "abc"})

    assert (0, TOAST, True) == (outcome["code"], outcome["toast"], outcome["card_updated"])
    assert NEW_CARD == feishu_box.all_messages()[-1]["content"]
    assert [outcome["event_id"]] == [event.key for event in desk.kept]


def test_a_document_with_a_toast_alone_leaves_the_card(feishu_box: FeishuBox, desk: Desk) -> None:
    desk.document = {"toast": TOAST, "card": None}
    with listening(feishu_box, desk):
        outcome = feishu_box.click(sent(feishu_box), LIN, {"ref": "abc"})

    assert (0, TOAST, False) == (outcome["code"], outcome["toast"], outcome["card_updated"])


def test_with_nothing_to_say_the_click_is_answered_all_the_same(feishu_box: FeishuBox, desk: Desk) -> None:
    desk.document = None
    with listening(feishu_box, desk):
        outcome = feishu_box.click(sent(feishu_box), LIN, {"ref": "abc"})
        acks = ask(feishu_box, callback(value={}))

    assert (0, None, False) == (outcome["code"], outcome["toast"], outcome["card_updated"])
    assert [Ack(200, b"{}")] == acks


def test_a_slow_store_is_answered_in_time_and_still_completes(feishu_box: FeishuBox, desk: Desk) -> None:
    gate = desk.gate = threading.Event()
    with listening(feishu_box, desk):
        outcome = feishu_box.click(sent(feishu_box), LIN, {"ref": "abc"})
        assert [] == desk.kept
        gate.set()
        wait_until(lambda: desk.kept, "stored after all")

    assert (0, RECEIVED_TOAST, False) == (outcome["code"], outcome["toast"], outcome["card_updated"])
    assert [outcome["event_id"]] == [event.key for event in desk.kept]


def test_a_store_that_fails_after_the_answer_is_told(
    feishu_box: FeishuBox, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    gate, desk.broken = threading.Event(), OSError("disk full")
    desk.gate = gate
    with listening(feishu_box, desk):
        outcome = feishu_box.click(sent(feishu_box), LIN, {"ref": "abc"})
        gate.set()
        wait_until(lambda: "event.store_failed" in caplog.messages, "told")

    assert RECEIVED_TOAST == outcome["toast"]


def test_the_end_of_the_listener_does_not_take_back_a_click(feishu_box: FeishuBox, desk: Desk) -> None:
    gate = desk.gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with listening(feishu_box, desk) as listener:
            outcome = pool.submit(feishu_box.click, sent(feishu_box), LIN, {"ref": "abc"})
            wait_until(lambda: desk.begun == 1, "it is being stored")
            assert listener.stop(seconds=10)
            gate.set()
            wait_until(lambda: desk.kept, "stored after all")
        outcome.result()


@pytest.mark.parametrize("broken", [OSError("disk full"), TimeoutError("the database is busy")])
def test_a_failing_store_asks_to_press_again(feishu_box: FeishuBox, desk: Desk, broken: Exception) -> None:
    desk.broken = broken
    with listening(feishu_box, desk):
        outcome = feishu_box.click(sent(feishu_box), LIN, {"ref": "abc"})

    assert (0, TRY_LATER_TOAST, False) == (outcome["code"], outcome["toast"], outcome["card_updated"])


@pytest.mark.parametrize(
    "document",
    [{"toast": "done"}, {"toast": {"content": {1}, "type": object}}, {"toast": {"content": "\ud800"}}],
)
def test_a_document_that_cannot_be_written_claims_no_failure(
    feishu_box: FeishuBox, desk: Desk, document: object
) -> None:
    """The click is stored: to ask for another one would be wrong."""
    desk.document = document
    with listening(feishu_box, desk):
        outcome = feishu_box.click(sent(feishu_box), LIN, {"ref": "abc"})

    assert (0, RECEIVED_TOAST) == (outcome["code"], outcome["toast"])


@pytest.mark.parametrize("kind", ["event", "card"])
@pytest.mark.parametrize("value", ["abc", {"ref": "abc"}, 5, None, ["abc"]])
def test_any_value_in_any_frame_is_answered_with_the_document(
    feishu_box: FeishuBox, desk: Desk, kind: str, value: object
) -> None:
    with listening(feishu_box, desk):
        [ack] = ask(feishu_box, callback(value=value), kind=kind)

    assert 200 == ack.code
    assert json.loads(ack.data or b"") == DOCUMENT


@pytest.mark.parametrize("kind", ["event", "card"])
def test_a_failing_store_is_answered_in_either_frame(feishu_box: FeishuBox, desk: Desk, kind: str) -> None:
    desk.broken = OSError("disk full")
    with listening(feishu_box, desk):
        [ack] = ask(feishu_box, callback(value={}), kind=kind)

    assert 200 == ack.code
    assert json.loads(ack.data or b"") == {"toast": TRY_LATER_TOAST}


def test_a_clicked_string_is_answered(feishu_box: FeishuBox, desk: Desk) -> None:
    with listening(feishu_box, desk):
        outcome = feishu_box.click(sent(feishu_box), LIN, "abc")

    assert (0, TOAST, True) == (outcome["code"], outcome["toast"], outcome["card_updated"])


def test_two_copies_at_once_are_both_answered(feishu_box: FeishuBox, desk: Desk) -> None:
    with listening(feishu_box, desk):
        acks = ask(feishu_box, callback(value={"ref": "abc"}), copies=2)

    assert [(200, DOCUMENT)] * 2 == [(ack.code, json.loads(ack.data or b"")) for ack in acks]


def test_fifty_clicks_at_once_are_each_answered(feishu_box: FeishuBox, desk: Desk) -> None:
    """All of them wait at the same time, and none holds up another."""
    gate = desk.gate = threading.Event()
    with listening(feishu_box, desk), ThreadPoolExecutor(50) as pool:
        message_id = sent(feishu_box)
        asked = [pool.submit(feishu_box.click, message_id, LIN, {"ref": str(n)}) for n in range(50)]
        wait_until(lambda: desk.begun == 50, "all are being stored")
        gate.set()
        outcomes = [each.result() for each in asked]

    assert [(0, TOAST)] * 50 == [(each["code"], each["toast"]) for each in outcomes]
    assert {each["event_id"] for each in outcomes} == {event.key for event in desk.kept}


def test_other_events_carry_no_document_and_are_refused_unless_stored(desk: Desk) -> None:
    other = '{"schema":"2.0","header":{"event_type":"moon.rises_v1","event_id":"m"},"event":{}}'
    with FeishuBox(SandboxSettings(redelivery_seconds=(3600,))) as box, listening(box, desk):
        stored = ask(box, other)
        desk.broken = OSError("disk full")
        refused = [*ask(box, other), *ask(box, other, kind="card")]

    assert [Ack(200, None)] == stored
    assert [Ack(500, None)] * 2 == refused

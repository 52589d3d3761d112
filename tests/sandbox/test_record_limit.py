"""Forgetting: with `keep_records` a long run leaves only the newest behind; what is under way stays."""

import pytest

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import listening, send

LIN = "7000000000000000001"
KEPT = 3


@pytest.fixture
def limited() -> SandboxSettings:
    return SandboxSettings(keep_records=KEPT, quotas=False)


def test_the_oldest_acknowledged_events_are_dropped_first(limited: SandboxSettings) -> None:
    with FeishuBox(limited) as box, listening(box) as listener:
        ids = []
        for _ in range(2 * KEPT):
            ids += box.change_balance(LIN, points=1)
            frame, _event = listener.event()
            listener.acknowledge(frame)
            box.wait_for(lambda: box.unacknowledged() == 0, "it is acknowledged")

        assert ids[KEPT:] == [event["event_id"] for event in box.events()]
        assert ids[:-KEPT:-1] == [event["event_id"] for event in box.newest_events(2)]


def test_a_waiting_event_is_never_dropped(limited: SandboxSettings) -> None:
    with FeishuBox(limited) as box:
        ids = [event_id for _ in range(3 * KEPT) for event_id in box.change_balance(LIN, points=1)]

        assert ids == [event["event_id"] for event in box.events()]


def test_messages_are_dropped_and_a_kept_uuid_still_counts(limited: SandboxSettings) -> None:
    with FeishuBox(limited) as box:
        sent = [send(box, "hello", uuid=f"u-{number}").data["message_id"] for number in range(2 * KEPT)]

        assert sent[-KEPT:] == [message["message_id"] for message in box.all_messages()]
        assert sent[-1] == send(box, "hello", uuid=f"u-{2 * KEPT - 1}").data["message_id"]


def test_everything_is_kept_unless_a_number_is_set(feishu_box: FeishuBox) -> None:
    ids = [event_id for _ in range(4 * KEPT) for event_id in feishu_box.change_balance(LIN, points=1)]

    assert ids == [event["event_id"] for event in feishu_box.events()]

"""Forgetting: with `keep_records` a long run leaves only the newest behind; what is under way stays."""

import pytest

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import listening, send

LIN = "7000000000000000001"
KEPT = 3


@pytest.fixture
def forgetful() -> SandboxSettings:
    return SandboxSettings(keep_records=KEPT, quotas=False)


def test_acknowledged_events_are_forgotten_from_the_oldest_on(forgetful: SandboxSettings) -> None:
    with FeishuBox(forgetful) as box, listening(box) as listener:
        ids = []
        for _ in range(2 * KEPT):
            ids += box.change(LIN, points=1)
            frame, _event = listener.event()
            listener.acknowledge(frame)
            box.wait_for(lambda: box.unacknowledged() == 0, "it is acknowledged")

        assert ids[KEPT:] == [event["event_id"] for event in box.events()]
        assert ids[:-KEPT:-1] == [event["event_id"] for event in box.newest_events(2)]


def test_an_event_that_waits_for_its_answer_is_never_forgotten(forgetful: SandboxSettings) -> None:
    with FeishuBox(forgetful) as box:
        ids = [event_id for _ in range(3 * KEPT) for event_id in box.change(LIN, points=1)]

        assert ids == [event["event_id"] for event in box.events()]


def test_messages_are_forgotten_and_a_kept_ones_uuid_still_counts(forgetful: SandboxSettings) -> None:
    with FeishuBox(forgetful) as box:
        sent = [send(box, "hello", uuid=f"u-{number}").data["message_id"] for number in range(2 * KEPT)]

        assert sent[-KEPT:] == [message["message_id"] for message in box.all_messages()]
        assert sent[-1] == send(box, "hello", uuid=f"u-{2 * KEPT - 1}").data["message_id"]


def test_everything_is_kept_unless_a_number_is_set(feishu_box: FeishuBox) -> None:
    ids = [event_id for _ in range(4 * KEPT) for event_id in feishu_box.change(LIN, points=1)]

    assert ids == [event["event_id"] for event in feishu_box.events()]

"""The clock steps an hour either way under the running program: nothing is told twice, nothing waits for it."""

from pathlib import Path

from notifier.sandbox.testing import FeishuBox
from support.running import RunningNotifier

LIN = "ou_sandbox_lin"
LIN_ACCOUNT = "7000000000000000001"
SEND = "POST /open-apis/im/v1/messages"
HOUR = 3600


def test_a_clock_that_steps_back_and_ahead_delays_nothing_and_repeats_nothing(
    feishu_box: FeishuBox, tmp_path: Path
) -> None:
    box, clock = feishu_box, tmp_path / "ahead"
    clock.write_text(str(HOUR))
    notifier = RunningNotifier(box, tmp_path)
    notifier.arguments = ("--clock-file", str(clock))
    notifier.start()
    refusing = box.add_call_fault({"match": SEND, "action": "http", "http_status": 503, "receive_id": LIN})
    box.change_balance(LIN_ACCOUNT, points=1)
    box.wait_for(
        lambda: box.count_call_fault_hits(refusing) >= 2, "a card waits for its next try", timeout=60
    )

    clock.write_text("0")
    box.wait_for(lambda: " clock.jump_detected " in notifier.log, "the step is noticed", timeout=30)
    box.clear_call_faults()
    box.wait_for(lambda: box.messages(LIN), "the card that waited", timeout=60)
    [event] = box.change_balance(LIN_ACCOUNT, points=2)
    box.wait_for(lambda: len(box.messages(LIN)) == 2, "a card after the step back", timeout=60)
    notifier.wait_until_settled()
    clock.write_text(str(HOUR))
    box.change_balance(LIN_ACCOUNT, points=3)
    box.wait_for(lambda: len(box.messages(LIN)) == 3, "a card after the step ahead", timeout=60)
    notifier.wait_until_settled()

    assert "acknowledged" == box.event(event)["state"]
    assert 3 == len(box.messages(LIN))
    assert 1 == notifier.log.count(" clock.jump_detected ")
    assert " worker.failed " not in notifier.log
    notifier.kill()


def test_after_a_step_back_a_deaf_connection_is_proved_as_soon_as_ever(
    feishu_box: FeishuBox, tmp_path: Path
) -> None:
    """It stood since a time that is to come now, and nothing that is found out now would count against it."""
    box, clock = feishu_box, tmp_path / "ahead"
    clock.write_text(str(HOUR))
    more = "reconciliation:\n  grace_seconds: 1\n  every_hours: 0.001\n"
    notifier = RunningNotifier(box, tmp_path, more=more)
    notifier.arguments = ("--clock-file", str(clock))
    notifier.start()
    try:
        box.change_balance(LIN_ACCOUNT, points=1)
        notifier.wait_until_settled()
        clock.write_text("0")
        box.wait_for(lambda: " clock.jump_detected " in notifier.log, "the step is noticed", timeout=30)
        rounds = notifier.log.count("reconciliation.finished")
        box.wait_for(
            lambda: notifier.log.count("reconciliation.finished") >= rounds + 2,
            "its balance was read",
            timeout=60,
        )
        box.hold()
        box.change_balance(LIN_ACCOUNT, cash={"CNY": "+500.00"})

        box.wait_for(lambda: " balance.missed " in notifier.log, "it is proved", timeout=60)
        box.wait_for(
            lambda: box.connection_status()["reconnects"] == 1, "the connection is made anew", timeout=30
        )
    finally:
        notifier.kill()

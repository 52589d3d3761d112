"""kill -9 while notices are held: whenever it comes, they arrive once and on one card, and none is lost."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

from notifier.domain.preferences.choices import Preferences, QuietHours
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from notifier.store.people import preferences
from notifier.store.schema.tables import leadership
from support.card_amounts import CASH, amounts_on_card
from support.forked_notifier import ForkedNotifier, forked_notifier

LIN, ACCOUNT = "ou_sandbox_lin", "7000000000000000001"
GAPS = [(step, when) for step in ("notices held", "notices folded") for when in ("before", "after")]


def crash(notifier: ForkedNotifier, step: str, when: str) -> None:
    end_lease(notifier)
    notifier.start(crash={"step": step, "when": when, "nth": 1}, connected=False)
    notifier.box.wait_for(lambda: notifier.ended, f"the kill {when} {step}", timeout=30)
    assert (step, when) == notifier.gap


def end_lease(notifier: ForkedNotifier) -> None:
    with notifier.open_database() as database:
        database.write(lambda c: c.execute(sa.update(leadership).values(expires_at=0)).close()).result()


def choose_quiet_hours(notifier: ForkedNotifier) -> None:
    """From an hour ago until in three hours."""
    now = datetime.fromtimestamp(notifier.box.state()["now_ms"] / 1000, UTC)
    begin, end = now - timedelta(hours=1), now + timedelta(hours=3)
    quiet = QuietHours(begin=begin.hour * 60 + begin.minute, end=end.hour * 60 + end.minute)
    chosen = Preferences(open_id=LIN, quiet_hours=quiet, zone="UTC")
    with notifier.open_database() as database:
        database.write(lambda c: preferences.save_preferences(c, chosen, now=0)).result()


def test_a_kill_while_notices_are_held_loses_none_and_repeats_none(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    with (
        FeishuBox(SandboxSettings(clock_file=str(clock), redelivery_seconds=(0.5,) * 1_000)) as box,
        forked_notifier(box, tmp_path, timeout_seconds=2) as notifier,
    ):
        notifier.arguments = ("--clock-file", str(clock))
        notifier.start()
        box.change_balance(ACCOUNT, cash={"CNY": "+5.00"})
        notifier.wait_until_settled()
        notifier.kill()
        assert 1 == len(box.messages(LIN))
        choose_quiet_hours(notifier)
        for step, when in GAPS:
            box.change_balance(ACCOUNT, cash={"CNY": "+10.00"})
            crash(notifier, step, when)
        end_lease(notifier)
        notifier.start()
        notifier.wait_until_settled()
        notifier.kill()
        assert 1 == len(box.messages(LIN)), "nothing arrives in the quiet hours"
        box.advance(4 * 3600)
        for when in ("before", "after"):
            crash(notifier, "held released", when)
        end_lease(notifier)
        notifier.start()
        box.wait_for(lambda: len(box.messages(LIN)) > 1, "the card after the quiet hours", timeout=30)
        notifier.wait_until_settled()

        [_, card] = box.messages(LIN)
    assert {CASH: Decimal(10 * len(GAPS))} == amounts_on_card(card)

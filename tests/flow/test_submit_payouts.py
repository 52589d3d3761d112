"""Hand over: the real call to the stand-in payroll, or to nobody; and what HR hears when money stands still."""

from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from notifier.clock import SystemClock, to_millis
from notifier.flow.notices import NoticeWriter
from notifier.flow.ports import PayoutGateway
from notifier.flow.withdrawals.submit_payouts import (
    LATE_CHECK_MS,
    MAX_ALARMS,
    PayoutSubmitter,
    SubmitDeps,
)
from notifier.payroll.client import PayrollAccess, PayrollClient
from notifier.sandbox.testing import FeishuBox
from notifier.store import audit
from notifier.store.engine.database import Database
from notifier.store.schema.tables import deliveries
from support.clock import FakeClock
from support.ports import free_port
from support.withdrawal_rows import ADDRESS_BOOK, create_payout, read_payout

DAY_MS = 86_400_000
SECRET = "sandbox-payout-secret"


def made(
    database: Database, clock: FakeClock, gateway: PayoutGateway | None, *, days: int | None = None
) -> PayoutSubmitter:
    deps = SubmitDeps(
        gateway=gateway,
        notices=NoticeWriter(address_book=ADDRESS_BOOK, max_age_ms=DAY_MS * 365, alarm_group="hr"),
        give_up_after_ms=DAY_MS,
        late_after_ms=None if days is None else days * DAY_MS,
        clock=clock,
        wake=lambda: None,
    )
    return PayoutSubmitter(database, deps, wake=lambda: None)


def client(url: str, clock: FakeClock) -> PayrollClient:
    return PayrollClient(PayrollAccess(url=url, secret=SECRET, timeout_seconds=2), clock)


@pytest.fixture
async def nobody(clock: FakeClock) -> AsyncIterator[PayrollClient]:
    """A payroll system that is not there."""
    async with client(f"http://127.0.0.1:{free_port()}/payouts", clock) as opened:
        yield opened


async def run_once(hand_over: PayoutSubmitter) -> None:
    await hand_over.run_once()
    await hand_over.drain(5)


def alarms(database: Database) -> list[str]:
    """The orders that HR's group hears of."""
    with database.read() as connection:
        rows = connection.execute(
            sa.select(deliveries.c.order_id).where(
                deliveries.c.target == "hr", deliveries.c.order_id.is_not(None)
            )
        )
        return list(rows.scalars())


def said(database: Database, order_id: str = "rn-1") -> list[str]:
    with database.read() as connection:
        return [row.outcome for row in audit.list_entries(connection, order_id=order_id, limit=100)][::-1]


async def test_what_waits_is_handed_over_once(database: Database, feishu_box: FeishuBox) -> None:
    clock = FakeClock(SystemClock().now())  # the stand-in compares the signature's time with the real one
    now = to_millis(clock.now())
    create_payout(database, "rn-1", at=now)
    create_payout(database, "rn-2", at=now)
    async with client(f"{feishu_box.url}/payroll/payouts", clock) as opened:
        hand_over = made(database, clock, opened)
        for _ in range(3):
            await run_once(hand_over)

    assert [("rn-1", 1), ("rn-2", 1)] == [(p["order_id"], p["received"]) for p in feishu_box.payouts()]
    assert "sent" == read_payout(database, "rn-1").state
    assert ["submitted (HTTP 202)"] == said(database)


async def test_a_system_that_is_away_is_asked_until_patience_runs_out(
    database: Database, clock: FakeClock, nobody: PayrollClient
) -> None:
    create_payout(database, "rn-1", at=to_millis(clock.now()))
    hand_over = made(database, clock, nobody)
    await run_once(hand_over)
    kept = read_payout(database, "rn-1")
    assert ("pending", 1) == (kept.state, kept.attempts)
    assert "cannot be reached" in (kept.reason or "")
    assert [] == alarms(database)

    while read_payout(database, "rn-1").state == "pending":
        clock.advance(seconds=600)
        await run_once(hand_over)

    kept = read_payout(database, "rn-1")
    assert "dead" == kept.state
    assert kept.first_tried_at is not None
    spent = to_millis(clock.now()) - kept.first_tried_at
    assert DAY_MS - 2 * 600_000 <= spent <= DAY_MS + 600_000
    assert ["rn-1"] == alarms(database)
    assert [f"given up: {kept.reason}"] == said(database)


async def test_what_nobody_foresaw_is_a_try_with_a_pause(database: Database, clock: FakeClock) -> None:
    """No real part breaks so; without this the call would be made again at once, for ever."""

    class Broken:
        calls = 0

        async def submit_payout(self, order_id: str, body: bytes) -> int:
            self.calls += 1
            raise KeyError(order_id, body)

    create_payout(database, "rn-1", at=to_millis(clock.now()))
    gateway = Broken()
    hand_over = made(database, clock, gateway)
    for _ in range(3):
        await run_once(hand_over)

    kept = read_payout(database, "rn-1")
    assert (1, "pending", 1) == (gateway.calls, kept.state, kept.attempts)
    assert "KeyError" in (kept.reason or "")


async def test_hr_hears_once_that_money_is_late(database: Database, clock: FakeClock) -> None:
    create_payout(database, "rn-1", at=to_millis(clock.now()))
    hand_over = made(database, clock, None, days=7)
    clock.advance(seconds=7 * 86_400)
    await run_once(hand_over)
    assert [] == alarms(database), "seven days, and not a moment more"

    for _ in range(3):
        clock.advance(seconds=LATE_CHECK_MS / 1000)
        await run_once(hand_over)

    assert ["rn-1"] == alarms(database)
    assert ["late: withdrawn and still pending"] == said(database)
    assert "pending" == read_payout(database, "rn-1").state, "without a system it waits for an export"


async def test_many_that_are_late_come_a_few_at_a_time(database: Database, clock: FakeClock) -> None:
    for number in range(MAX_ALARMS + 2):
        create_payout(database, f"rn-{number}", at=to_millis(clock.now()))
    hand_over = made(database, clock, None, days=1)
    clock.advance(seconds=2 * 86_400)
    await run_once(hand_over)
    assert MAX_ALARMS == len(alarms(database))

    clock.advance(seconds=LATE_CHECK_MS / 1000)
    await run_once(hand_over)
    assert MAX_ALARMS + 2 == len(alarms(database))


async def test_a_clock_set_back_does_not_silence_the_alarm(database: Database, clock: FakeClock) -> None:
    hand_over = made(database, clock, None, days=1)
    clock.advance(seconds=30 * 86_400)
    await run_once(hand_over)
    clock.advance(seconds=-30 * 86_400)
    create_payout(database, "rn-1", at=to_millis(clock.now()) - 2 * DAY_MS)
    await run_once(hand_over)

    assert ["rn-1"] == alarms(database)


async def test_no_alarm_where_none_is_wanted(database: Database, clock: FakeClock) -> None:
    create_payout(database, "rn-1", at=to_millis(clock.now()))
    clock.advance(seconds=365 * 86_400)
    await run_once(made(database, clock, None))

    assert [] == alarms(database)

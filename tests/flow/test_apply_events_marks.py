"""What our own withdrawal took is counted where it happened, in whatever order its report and later ones arrive."""

import asyncio
from decimal import Decimal

import pytest
import sqlalchemy as sa

from notifier.domain.digest import AssetFlow
from notifier.domain.money import Asset
from notifier.feishu.wire import read_balance_report
from notifier.flow.events.apply_events import ApplyDeps, apply_events
from notifier.flow.notices import NoticeWriter
from notifier.store.digests import period_totals
from notifier.store.digests.period_totals import TimeRange
from notifier.store.engine.database import Database
from notifier.store.inbox import EventInserter
from notifier.store.schema.tables import withdrawals
from support.builders import CNY, MODIFIED_AT, balance_event
from support.clock import FakeClock
from support.withdrawal_rows import ADDRESS_BOOK, create_withdrawn_order

MINUTE = 60_000
AT = MODIFIED_AT + 10 * MINUTE
REPORTS = {"before": (MODIFIED_AT + MINUTE, 100.0), "taken": (AT + 1000, 0.0), "reward": (AT + MINUTE, 50.0)}


def report(database: Database, clock: FakeClock, name: str) -> None:
    moment, cash = REPORTS[name]
    event = balance_event(
        event_id=name,
        points=0,
        cash=[{"currency_type": "CNY", "amount": cash}],
        modify_time=str(moment),
        create_time=str(moment),
    )
    accept = EventInserter(clock)
    database.write(lambda c: accept(c, [event])).result()
    deps = ApplyDeps(
        read=read_balance_report,
        routes=(),
        notices=NoticeWriter(address_book=ADDRESS_BOOK, max_age_ms=10**13),
        clock=clock,
    )
    asyncio.run(apply_events(database, deps))


def flows(database: Database, stretch: TimeRange) -> dict[Asset, AssetFlow]:
    with database.read() as connection:
        return dict(period_totals.compute_flows(connection, stretch))


@pytest.mark.parametrize("order", [("taken", "reward"), ("reward", "taken")])
def test_a_reward_that_overtakes_the_report_of_a_withdrawal_changes_no_figure(
    database: Database, clock: FakeClock, order: tuple[str, str]
) -> None:
    one = create_withdrawn_order(database, at=AT)
    statement = (
        sa.update(withdrawals)
        .where(withdrawals.c.id == one.id)
        .values(attempts=1, withdrawn='[["cash","CNY","100"]]')
    )
    database.write(lambda c: c.execute(statement).rowcount).result()
    report(database, clock, "before")
    for name in order:
        report(database, clock, name)

    flow = flows(database, TimeRange(from_at=AT - MINUTE, to_at=AT + 10 * MINUTE))[CNY]
    assert (Decimal(50), Decimal(100), Decimal(0)) == (flow.rewards, flow.withdrawn, flow.corrections)
    assert flow.adds_up

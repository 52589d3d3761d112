"""What our own withdrawal took is counted where it happened, in whatever order its report and later ones arrive."""

import asyncio
from decimal import Decimal

import pytest
import sqlalchemy as sa

from notifier.domain.digest import Flow
from notifier.domain.money import Asset
from notifier.feishu.wire import read_balance_report
from notifier.flow.events.apply_events import RecordParts, record
from notifier.flow.notices import Telling
from notifier.store.digests import period_totals
from notifier.store.digests.period_totals import Stretch
from notifier.store.engine.database import Database
from notifier.store.inbox import AcceptEvents
from notifier.store.schema.tables import withdrawals
from support.builders import CNY, MODIFIED_AT, balance_event
from support.clock import FakeClock
from support.withdrawal_rows import BOOK, withdrawn

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
    accept = AcceptEvents(clock)
    database.write(lambda c: accept(c, [event])).result()
    parts = RecordParts(
        read=read_balance_report, routes=(), telling=Telling(book=BOOK, max_age_ms=10**13), clock=clock
    )
    asyncio.run(record(database, parts))


def flows(database: Database, stretch: Stretch) -> dict[Asset, Flow]:
    with database.read() as connection:
        return dict(period_totals.flows(connection, stretch))


@pytest.mark.parametrize("order", [("taken", "reward"), ("reward", "taken")])
def test_a_reward_that_overtakes_the_report_of_a_withdrawal_changes_no_figure(
    database: Database, clock: FakeClock, order: tuple[str, str]
) -> None:
    one = withdrawn(database, at=AT)
    statement = (
        sa.update(withdrawals)
        .where(withdrawals.c.id == one.id)
        .values(attempts=1, taken='[["cash","CNY","100"]]')
    )
    database.write(lambda c: c.execute(statement).rowcount).result()
    report(database, clock, "before")
    for name in order:
        report(database, clock, name)

    flow = flows(database, Stretch(from_at=AT - MINUTE, to_at=AT + 10 * MINUTE))[CNY]
    assert (Decimal(50), Decimal(100), Decimal(0)) == (flow.rewards, flow.withdrawn, flow.corrections)
    assert flow.adds_up

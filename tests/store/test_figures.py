"""Figures of monitoring: each counts what it says, on both databases."""

from dataclasses import replace
from decimal import Decimal

import pytest
import sqlalchemy as sa

from notifier.clock import DAY_MS, HOUR_MS, MINUTE_MS
from notifier.domain.delivery import CardVariant, DeliveryOutcome, DeliveryState
from notifier.domain.route import Recipient
from notifier.store import rate_limits
from notifier.store.engine.database import Database
from notifier.store.inbox import EventInserter
from notifier.store.processes.figures import StoreFigures, read_figures
from notifier.store.schema.tables import (
    accounts,
    deliveries,
    digest_runs,
    inbox,
    payouts,
    reconciliation_runs,
    withdrawals,
    workers,
)
from support.builders import balance_event
from support.clock import FakeClock
from support.delivery_rows import LIN, NOW, claim, create_delivery, finish_failed, finish_sent
from support.withdrawal_rows import create_payout, create_withdrawn_order

LATE_MS = 7 * DAY_MS


def read(database: Database, *, now: int = NOW) -> StoreFigures:
    with database.read() as connection:
        return read_figures(connection, now=now, late_after_ms=LATE_MS)


def change(database: Database, statement: sa.Update | sa.Insert) -> None:
    database.write(lambda c: c.execute(statement)).result()


def test_an_empty_store_has_only_zeros(database: Database) -> None:
    figures = read(database)

    assert {"new": 0, "quarantined": 0} == figures.inbox
    assert {"waiting": 0, "held": 0, "ready": 0, "sending": 0, "dead": 0, "unknown": 0} == figures.deliveries
    assert (0, None) == (figures.queue.count, figures.queue.oldest_at)
    assert {0} == set(figures.payouts.by_state.values())
    assert {"requested": 0, "unclear": 0} == figures.withdrawals
    assert (0, 0, 0, 0) == (figures.sent_in_minute, figures.recent_calls, figures.failed_calls, figures.term)
    assert (None, 0, 0) == (
        figures.reconciliation.last_ended_at,
        figures.reconciliation.mismatches,
        figures.reconciliation.missed_in_day,
    )
    assert (0, 0, 0) == (figures.recent_starts, figures.foreign_connections, figures.missed_digests)


def test_events_are_counted_while_they_need_something(database: Database, clock: FakeClock) -> None:
    stored = EventInserter(clock)
    events = [balance_event(event_id=f"ev-{number}") for number in range(3)]
    database.write(lambda c: stored(c, events)).result()
    assert 0 == stored.take_repeated()
    database.write(lambda c: stored(c, [*events, balance_event(event_id="ev-new")])).result()
    assert 3 == stored.take_repeated()
    change(database, sa.update(inbox).where(inbox.c.event_key == "ev-0").values(state="quarantined"))
    change(database, sa.update(inbox).where(inbox.c.event_key == "ev-1").values(state="done"))

    assert {"new": 2, "quarantined": 1} == read(database).inbox


def test_deliveries_and_calls(database: Database) -> None:
    for number in range(4):
        create_delivery(database, LIN if number == 0 else person(number), f"n-{number}", now=NOW - 4 + number)
    first, second, *_ = claim(database).deliveries
    finish_sent(database, first)
    dead = DeliveryOutcome(state=DeliveryState.DEAD, reason="no scope", variant=CardVariant.FULL)
    finish_failed(database, second, dead)
    figures = read(database, now=NOW + 500)

    assert {"waiting": 0, "held": 0, "ready": 0, "sending": 2, "dead": 1, "unknown": 0} == figures.deliveries
    assert (2, NOW - 2) == (figures.queue.count, figures.queue.oldest_at)
    assert (4, 4) == (figures.sent_in_second, figures.sent_in_minute)
    assert (2, 1) == (figures.recent_calls, figures.failed_calls)
    later = read(database, now=NOW + MINUTE_MS)
    assert (0, 0, 2) == (later.sent_in_second, later.sent_in_minute, later.recent_calls)
    assert 0 == read(database, now=NOW + 6 * MINUTE_MS).recent_calls
    change(database, sa.update(deliveries).values(degraded_reason="a template", updated_at=NOW))
    assert (4, 0) == (read(database).degraded, read(database, now=NOW + 2 * DAY_MS).degraded)


def person(number: int) -> Recipient:
    return replace(LIN, id=f"ou_{number}")


def test_money_that_is_not_paid(database: Database) -> None:
    for order_id in ("rn-1", "rn-2", "rn-3", "rn-4"):
        create_payout(database, order_id, at=NOW)
    change(database, sa.update(withdrawals).values(withdrawn='[["cash","CNY","500.50"],["points","","120"]]'))
    for order_id, state in (("rn-1", "paid"), ("rn-2", "failed"), ("rn-3", "sent")):
        change(database, sa.update(payouts).where(payouts.c.order_id == order_id).values(state=state))
    change(database, sa.update(payouts).where(payouts.c.order_id == "rn-4").values(attempts=3))
    found = read(database).payouts

    assert (1, 1, 1) == tuple(found.by_state[state] for state in ("failed", "sent", "pending"))
    assert "paid" not in found.by_state
    assert {"CNY": Decimal("1501.50"), "": Decimal(360)} == found.unpaid
    assert {"CNY": Decimal("500.50"), "": Decimal(120)} == found.stuck
    assert (0, 1) == (found.late, found.failing)
    late = read(database, now=NOW + LATE_MS + 1).payouts
    assert (3, found.unpaid) == (late.late, late.stuck)


def test_withdrawals_without_a_result(database: Database) -> None:
    create_withdrawn_order(database, "rn-1")
    assert {"requested": 0, "unclear": 0} == read(database).withdrawals
    change(database, sa.update(withdrawals).values(state="requested", requested_at=NOW - HOUR_MS))
    assert ({"requested": 1, "unclear": 0}, NOW - HOUR_MS) == (
        read(database).withdrawals,
        read(database).oldest_withdrawal_at,
    )
    change(database, sa.update(withdrawals).values(unknown_since=NOW))
    assert {"requested": 0, "unclear": 1} == read(database).withdrawals


def test_limits_starts_and_runs(database: Database) -> None:
    database.write(
        lambda c: rate_limits.block(c, rate_limits.SENDING, until=NOW + 5_000, reason="too often")
    ).result()
    run = {"trigger": "schedule", "is_rerun_requested": 0}
    for started_at, ended_at, missed in (
        (NOW - 2 * DAY_MS, NOW, 5),
        (NOW - 9, NOW - 1, 2),
        (NOW - 1, None, 1),
    ):
        change(
            database,
            sa.insert(reconciliation_runs).values(
                **run, started_at=started_at, ended_at=ended_at, missed=missed, read=7
            ),
        )
    for number, state in enumerate(("missed", "notified")):
        change(
            database,
            sa.insert(digest_runs).values(
                digest="d",
                period=f"p{number}",
                recipient="hr",
                from_at=1,
                to_at=2,
                created_at=NOW,
                state=state,
            ),
        )
    for number, started_at in enumerate((NOW - 16 * MINUTE_MS, NOW - MINUTE_MS, NOW - 1)):
        change(
            database,
            sa.insert(workers).values(
                worker_id=f"w-{number}",
                started_at=started_at,
                heartbeat_at=NOW,
                connection_state="connected" if number else "lost",
                connection_since=NOW,
                foreign_connections=number,
            ),
        )
    figures = read(database)

    assert {rate_limits.SENDING: NOW + 5_000} == figures.blocked
    assert {} == read(database, now=NOW + 5_000).blocked
    assert (NOW - 1, 3) == (figures.reconciliation.last_ended_at, figures.reconciliation.missed_in_day)
    assert {"read": 7, "failed": 0, "recovered": 0, "missed": 1} == figures.reconciliation.accounts
    assert 1 == figures.missed_digests
    assert (2, 3, 2) == (figures.recent_starts, len(figures.live), figures.foreign_connections)


@pytest.mark.parametrize("is_rechecked", [True, False])
def test_accounts_that_differ_from_feishu(database: Database, *, is_rechecked: bool) -> None:
    create_delivery(database, LIN, "n-1")
    change(
        database,
        sa.update(accounts).values(mismatch_modified_at=1, recheck_at=NOW if is_rechecked else None),
    )

    assert int(is_rechecked) == read(database).reconciliation.mismatches

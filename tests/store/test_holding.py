"""Held deliveries: a claim holds and folds them, the release returns them, and money and groups never wait."""

import dataclasses

import pytest
import sqlalchemy as sa

from notifier.clock import DAY_MS, HOUR_MS, MINUTE_MS, from_millis
from notifier.domain.account import Ownership, Referrer
from notifier.domain.preferences.choices import Frequency, Preferences, QuietHours
from notifier.domain.preferences.holding import HoldRules
from notifier.domain.route import Recipient
from notifier.flow.deliveries.release_held import HeldReleaser, ReleaseDeps
from notifier.store import accounts
from notifier.store.deliveries import delivery_admin, holding
from notifier.store.engine.database import Database
from notifier.store.people import preferences
from notifier.store.processes import clock_jumps
from notifier.store.processes.figures import read_figures
from notifier.store.schema.tables import delivery_notices
from support.clock import FakeClock
from support.delivery_rows import (
    account_ref,
    claim,
    claimed_ids,
    create_delivery,
    create_notice,
    finish_sent,
    freeze_content,
    read_states,
)

MIDNIGHT = 1_768_435_200_000  # 2026-01-15 00:00 UTC, a Thursday
EVENING, MORNING = MIDNIGHT + 23 * HOUR_MS, MIDNIGHT + 32 * HOUR_MS
LIN = Recipient(id_type="open_id", id="ou_lin")
HR = Recipient(id_type="chat_id", id="oc_hr")
NIGHT = QuietHours(begin=22 * 60, end=8 * 60)
RULES = HoldRules()


@pytest.fixture(autouse=True)
def _referrer(database: Database) -> None:
    ownership = Ownership(
        referrer=Referrer(open_id=LIN.id, name_zh="林", name_en="Lin"), looked_up_at=MIDNIGHT
    )
    ref = account_ref(database)
    database.write(lambda c: accounts.save_ownership(c, ref, ownership)).result()


def choose(database: Database, now: int = MIDNIGHT, **choices: object) -> None:
    chosen = dataclasses.replace(Preferences(open_id=LIN.id, zone="UTC"), **choices)  # type: ignore[arg-type]

    def save(connection: sa.Connection) -> None:
        preferences.save_preferences(connection, chosen, now=now)
        holding.reconsider(connection, LIN.id, now=now)

    database.write(save).result()


def notify(database: Database, key: str, now: int, **options: object) -> int:
    return create_notice(database, key, recipient=LIN, now=now, **options)  # type: ignore[arg-type]


async def release(database: Database, now: int) -> None:
    clock = FakeClock(from_millis(now))
    releaser = HeldReleaser(database, ReleaseDeps(clock=clock, wake=lambda: None, rules=RULES))
    while await releaser.run_once() == 0:
        pass


def count_notices(database: Database, delivery_id: int) -> int:
    with database.read() as connection:
        query = sa.select(sa.func.count()).where(delivery_notices.c.delivery_id == delivery_id)
        return connection.execute(query).scalar_one()


async def test_notices_in_the_quiet_hours_become_one_delivery_after_them(database: Database) -> None:
    choose(database, quiet_hours=NIGHT)
    first = notify(database, "n-0", EVENING)
    assert [] == claimed_ids(database, now=EVENING)
    for number in range(1, 5):
        notify(database, f"n-{number}", EVENING + number * MINUTE_MS)
        assert [] == claimed_ids(database, now=EVENING + number * MINUTE_MS)

    assert ["held"] == read_states(database, [first])
    assert 5 == count_notices(database, first)
    await release(database, MORNING - 1)
    assert [] == claimed_ids(database, now=MORNING - 1)
    await release(database, MORNING)
    [claimed] = claim(database, now=MORNING).deliveries
    assert (first, 5) == (claimed.delivery.id, len(claimed.notices))


async def test_a_digest_has_the_notices_since_the_last_one(database: Database) -> None:
    choose(database, frequency=Frequency.DAILY)
    morning = MIDNIGHT + 9 * HOUR_MS
    notify(database, "n-0", MIDNIGHT)
    notify(database, "n-1", MIDNIGHT + 1)
    assert [] == claimed_ids(database, now=MIDNIGHT + 1)
    await release(database, morning)
    notify(database, "n-2", morning)
    [first] = claim(database, now=morning).deliveries
    assert 2 == count_notices(database, first.delivery.id)
    assert first.delivery.run_id is not None
    freeze_content(database, first)
    finish_sent(database, first, now=morning)
    assert [] == claimed_ids(database, now=morning + MINUTE_MS), "the third waits for the next day"

    await release(database, morning + DAY_MS)
    [second] = claim(database, now=morning + DAY_MS).deliveries
    assert 1 == count_notices(database, second.delivery.id)


async def test_a_released_delivery_waits_for_no_other_digest_but_for_the_quiet_hours(
    database: Database,
) -> None:
    choose(database, frequency=Frequency.DAILY, quiet_hours=NIGHT)
    one = notify(database, "n-0", MIDNIGHT + 8 * HOUR_MS)
    assert [] == claimed_ids(database, now=MIDNIGHT + 8 * HOUR_MS)
    await release(database, MIDNIGHT + 9 * HOUR_MS)

    assert [] == claimed_ids(database, now=EVENING), "nobody sent it before the quiet hours"
    await release(database, MORNING)
    assert [one] == claimed_ids(database, now=MORNING)


async def test_a_former_referrer_gets_what_waited_and_nothing_of_the_account(database: Database) -> None:
    choose(database, frequency=Frequency.DAILY)
    held = notify(database, "n-0", MIDNIGHT)
    assert [] == claimed_ids(database, now=MIDNIGHT)
    other = Ownership(
        referrer=Referrer(open_id="ou_other", name_zh="陈", name_en="Chen"), looked_up_at=MIDNIGHT
    )
    ref = account_ref(database)
    database.write(lambda c: accounts.save_ownership(c, ref, other)).result()
    morning = MIDNIGHT + 9 * HOUR_MS
    await release(database, morning)

    [claimed] = claim(database, now=morning).deliveries
    assert (held, None, 1) == (claimed.delivery.id, claimed.delivery.run_id, len(claimed.notices))


@pytest.mark.parametrize("frequency", Frequency)
def test_receipts_and_groups_do_not_wait(database: Database, frequency: Frequency) -> None:
    choose(database, frequency=frequency, quiet_hours=NIGHT)
    receipt = notify(database, "n-0", EVENING, order_id="order-1")
    group = create_delivery(database, HR, "n-1", now=EVENING)

    assert {receipt, group} == set(claimed_ids(database, now=EVENING))


def test_a_receipt_overtakes_what_is_held(database: Database) -> None:
    choose(database, quiet_hours=NIGHT)
    held = notify(database, "n-0", EVENING)
    assert [] == claimed_ids(database, now=EVENING)
    receipt = notify(database, "n-1", EVENING, order_id="order-1")

    assert [receipt] == claimed_ids(database, now=EVENING)
    later = notify(database, "n-2", EVENING)
    claimed_ids(database, now=EVENING + MINUTE_MS)
    assert ["held", "ready"] == read_states(database, [held, later]), (
        "the running call to the person ends first"
    )


async def test_another_choice_sends_what_waits(database: Database) -> None:
    choose(database, frequency=Frequency.WEEKLY)
    held = notify(database, "n-0", MIDNIGHT)
    assert [] == claimed_ids(database, now=MIDNIGHT)
    choose(database, frequency=Frequency.DAILY)
    await release(database, MIDNIGHT)
    with database.read() as connection:
        [row] = delivery_admin.list_deliveries(connection, states=["held"], limit=9)
    assert ("daily", MIDNIGHT + 9 * HOUR_MS) == (row.hold_reason, row.due_at)

    choose(database, frequency=Frequency.INSTANT)
    await release(database, MIDNIGHT)
    assert [held] == claimed_ids(database, now=MIDNIGHT)


async def test_a_clock_that_was_ahead_makes_nothing_wait_longer(database: Database) -> None:
    choose(database, frequency=Frequency.DAILY)
    ahead = MIDNIGHT + 30 * DAY_MS
    held = notify(database, "n-0", ahead)
    assert [] == claimed_ids(database, now=ahead)
    database.write(lambda c: clock_jumps.shift_due_times(c, now=MIDNIGHT, jump_ms=30 * DAY_MS)).result()

    await release(database, MIDNIGHT)
    assert ["held"] == read_states(database, [held])
    await release(database, MIDNIGHT + 9 * HOUR_MS)
    assert [held] == claimed_ids(database, now=MIDNIGHT + 9 * HOUR_MS)


async def test_what_is_held_is_counted_and_does_not_count_as_waiting(database: Database) -> None:
    choose(database, quiet_hours=NIGHT)
    notify(database, "n-0", EVENING)
    claimed_ids(database, now=EVENING)
    with database.read() as connection:
        figures = read_figures(connection, now=MORNING, late_after_ms=None)
        assert 1 == figures.deliveries["held"]
        assert (0, None) == (figures.queue.count, figures.queue.oldest_at)
        assert delivery_admin.get_oldest_open_at(connection) is None
        assert 1 == preferences.count_held_for(connection, LIN.id)

    await release(database, MORNING)
    with database.read() as connection:
        assert MORNING == delivery_admin.get_oldest_open_at(connection), "the hold is no delay of ours"

"""Retention: what is old and over goes, what is owed stays, and nothing is left pointing nowhere."""

import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.domain.delivery import DeliveryState
from notifier.domain.digest import Digest
from notifier.domain.digest_panel import Action
from notifier.domain.event import Event
from notifier.domain.notice import Notice, NoticeReason
from notifier.domain.payout import PayoutState
from notifier.domain.period import Span, finished
from notifier.store import card_updates, inbox, notices, recipients, retention
from notifier.store.cards import batches, digest_panels
from notifier.store.digests import digest_runs, stored_files
from notifier.store.digests.digest_runs import DigestRunKey, DigestRunState
from notifier.store.engine.database import Database
from notifier.store.engine.sqlite.connection import WAL_LIMIT_BYTES
from notifier.store.inbox import EntryOutcome, EventInserter, InboxState
from notifier.store.processes import workers
from notifier.store.processes.workers import NewWorker
from notifier.store.retention import FIRST_PAGE, PruneResult
from notifier.store.schema.tables import (
    attempts,
    batch_items,
    buttons,
    deliveries,
    delivery_notices,
    digest_files,
    payouts,
    withdrawals,
)
from notifier.store.schema.tables import batches as batches_table
from notifier.store.schema.tables import card_updates as card_updates_table
from notifier.store.schema.tables import digest_runs as digest_runs_table
from notifier.store.schema.tables import inbox as inbox_table
from notifier.store.schema.tables import notices as notices_table
from notifier.store.schema.tables import panel_buttons as panel_buttons_table
from notifier.store.schema.tables import workers as workers_table
from support.builders import ACCOUNT, change
from support.clock import FakeClock
from support.delivery_rows import LIN, NOW, account_ref, create_delivery, create_notice, mark_sent
from support.digests import BEFORE as DUE
from support.digests import PLAN
from support.withdrawal_rows import ADDRESS_BOOK, create_payout, create_withdrawn_order, posted_card

DAY = 86_400_000
OLD = NOW - 100 * DAY
BEFORE = NOW - 90 * DAY
YEAR_AGO = NOW - 365 * DAY


def count(database: Database, table: sa.Table) -> int:
    with database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def through(
    database: Database, sweep: Callable[[sa.Connection, tuple[int, int]], PruneResult]
) -> dict[str, int]:
    """All pages of one sweep, each a transaction; what went."""
    deleted: Counter[str] = Counter()
    next_cursor: tuple[int, int] | None = FIRST_PAGE
    while next_cursor is not None:
        swept = database.write(lambda c, after=next_cursor: sweep(c, after)).result(10)  # type: ignore[misc]
        deleted.update(swept.deleted)
        next_cursor = swept.next_cursor
    return {name: many for name, many in deleted.items() if many}


def prune_cards(database: Database, *, before: int = BEFORE, limit: int = 3) -> dict[str, int]:
    gone: dict[str, int] = {}
    for state in reversed(retention.FINISHED_STATES):
        swept = through(
            database,
            lambda c, after, state=state: retention.prune_deliveries(  # type: ignore[misc]
                c, after, state=state, before=before, unsettled_since=YEAR_AGO, limit=limit
            ),
        )
        gone = {name: gone.get(name, 0) + swept.get(name, 0) for name in {*gone, *swept}}
    return gone


def prune_events(
    database: Database, *, before: int, quarantined_before: int = YEAR_AGO, now: int = NOW
) -> int:
    return through(
        database,
        lambda c, after: retention.prune_events(
            c, after, before=before, quarantined_before=quarantined_before, now=now, limit=3
        ),
    ).get("events", 0)


def all_hold_together(database: Database) -> bool:
    """Whether no row references a missing one. PostgreSQL checks that at each statement."""
    if database.engine.dialect.name != "sqlite":
        return True
    with database.read() as connection:
        return connection.exec_driver_sql("PRAGMA foreign_key_check").first() is None


def received(database: Database, key: str, state: InboxState, *, at: int) -> int:
    event = Event(key=key, event_type="t", tenant_key="tk", app_id="cli_x", created_at=at, payload=b"{}")
    database.write_many(EventInserter(FakeClock()), event).result(10)

    def settle(connection: sa.Connection) -> int:
        entry = connection.execute(
            sa.select(inbox_table.c.id).where(inbox_table.c.event_key == key)
        ).scalar_one()
        if state is not InboxState.NEW:
            inbox.finish_entries(connection, [EntryOutcome(entry_id=entry, state=state, reason="why")])
        connection.execute(sa.update(inbox_table).where(inbox_table.c.id == entry).values(received_at=at))
        return entry

    return database.write(settle).result(10)


def keys(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(sa.select(inbox_table.c.event_key)).scalars())


def sent_card(database: Database, key: str, *, at: int = OLD) -> int:
    """A card that was sent at the first try."""
    one = create_delivery(database, LIN, key, now=at)

    def send(connection: sa.Connection) -> None:
        connection.execute(sa.insert(attempts).values(delivery_id=one, uuid=key, started_at=at))
        mark_sent(connection, one, at=at, body="{}")

    database.write(send).result(10)
    return one


def set_row(database: Database, table: sa.Table, where: Any, **values: object) -> None:
    database.write(lambda c: c.execute(sa.update(table).where(where).values(**values))).result(10)


def test_events_that_are_done_with_go_after_their_time_and_others_stay(database: Database) -> None:
    for state in InboxState:
        for number in range(4):
            received(database, f"old {state} {number}", state, at=OLD)
    for state in InboxState:
        received(database, f"young {state}", state, at=NOW)

    gone = prune_events(database, before=NOW - 30 * DAY)

    assert 8 == gone
    kept = {f"young {state}" for state in InboxState}
    kept |= {f"old {state} {n}" for state in (InboxState.NEW, InboxState.QUARANTINED) for n in range(4)}
    assert kept == keys(database)


def test_what_was_never_understood_goes_after_a_year(database: Database) -> None:
    received(database, "parked long ago", InboxState.QUARANTINED, at=YEAR_AGO - 1)
    received(database, "parked", InboxState.QUARANTINED, at=YEAR_AGO)

    prune_events(database, before=NOW - 30 * DAY)

    assert {"parked"} == keys(database)


def test_events_stored_while_the_clock_was_ahead_keep_no_others(database: Database) -> None:
    """Rows come by id; a page full of times that have not come yet is no end."""
    for number in range(4):
        received(database, f"ahead {number}", InboxState.DONE, at=NOW + DAY)
    received(database, "old", InboxState.DONE, at=OLD)

    assert 1 == prune_events(database, before=NOW - 30 * DAY)
    assert "old" not in keys(database)


def test_an_old_card_goes_with_all_that_hangs_on_it(database: Database) -> None:
    one = posted_card(database, "old", sent_at=OLD)
    database.write(lambda c: card_updates.request_card_updates(c, [one], now=OLD)).result(10)
    database.write(
        lambda c: c.execute(sa.insert(attempts).values(delivery_id=one, uuid="u", started_at=OLD))
    ).result(10)
    young = sent_card(database, "young", at=NOW)

    gone = prune_cards(database)

    assert {"deliveries": 1, "notices": 1} == gone
    assert all_hold_together(database)
    for table in (buttons, card_updates_table):
        assert 0 == count(database, table)
    with database.read() as connection:
        assert [young] == list(connection.execute(sa.select(deliveries.c.id)).scalars())
        assert [young] == list(connection.execute(sa.select(attempts.c.delivery_id)).scalars())
        assert [young] == list(connection.execute(sa.select(delivery_notices.c.delivery_id)).scalars())


@pytest.mark.parametrize(
    "state", [state for state in DeliveryState if state not in retention.FINISHED_STATES]
)
def test_what_is_on_its_way_or_waits_for_a_person_stays(database: Database, state: DeliveryState) -> None:
    one = sent_card(database, "a")
    set_row(database, deliveries, deliveries.c.id == one, state=state)
    database.write(partial(recipients.plan_all, now=NOW)).result(10)

    assert {} == prune_cards(database)
    assert 1 == count(database, deliveries)


def test_a_card_sent_just_now_stays_to_the_millisecond(database: Database) -> None:
    sent_card(database, "just old enough", at=BEFORE - 1)
    young = sent_card(database, "too young", at=BEFORE)

    prune_cards(database)

    with database.read() as connection:
        assert [young] == list(connection.execute(sa.select(deliveries.c.id)).scalars())


def test_a_notice_that_another_card_still_tells_stays(database: Database) -> None:
    old, young = sent_card(database, "old"), sent_card(database, "young", at=NOW)

    def tell_too(connection: sa.Connection) -> None:
        shared = connection.execute(
            sa.select(delivery_notices.c.notice_id).where(delivery_notices.c.delivery_id == old)
        ).scalar_one()
        connection.execute(sa.insert(delivery_notices).values(delivery_id=young, notice_id=shared))

    database.write(tell_too).result(10)

    assert {"deliveries": 1} == prune_cards(database)
    assert 2 == count(database, notices_table)


def test_a_notice_that_nobody_was_told_of_goes_and_one_that_is_told_stays(database: Database) -> None:
    ref = account_ref(database)
    for key, at in (("untold", OLD), ("young", NOW)):
        born = Notice(
            key=key, account=ACCOUNT, reason=NoticeReason.CHANGE, occurred_at=at, changes=(change(),)
        )
        database.write(partial(notices.create_notices, new=[(ref, born)], now=at)).result(10)
    create_notice(database, "told", now=OLD)

    gone = through(
        database, lambda c, after: retention.prune_orphaned_notices(c, after, before=BEFORE, limit=2)
    )

    assert {"notices": 1} == gone
    with database.read() as connection:
        kept = set(connection.execute(sa.select(notices_table.c.notice_key)).scalars())
    assert {"young", "told"} == kept


def test_a_card_that_was_rerouted_goes_after_the_one_that_went_instead(database: Database) -> None:
    first, instead = sent_card(database, "first"), sent_card(database, "instead")
    set_row(database, deliveries, deliveries.c.id == first, state=DeliveryState.REROUTED)
    set_row(database, deliveries, deliveries.c.id == instead, rerouted_from=first, state=DeliveryState.DEAD)

    assert {} == prune_cards(database)
    set_row(database, deliveries, deliveries.c.id == instead, state=DeliveryState.SENT)
    prune_cards(database)
    prune_cards(database)

    assert 0 == count(database, deliveries)


def test_the_card_on_which_a_withdrawal_was_asked_for_stays_bare(database: Database) -> None:
    card = posted_card(database, "pressed", sent_at=OLD)
    create_withdrawn_order(database, card=card, at=OLD)
    set_row(database, deliveries, deliveries.c.id == card, body="{}")
    database.write(
        lambda c: c.execute(sa.insert(attempts).values(delivery_id=card, uuid="u", started_at=OLD))
    ).result(10)

    prune_cards(database)

    assert 1 == count(database, withdrawals)
    assert 0 == count(database, attempts)
    with database.read() as connection:
        [row] = connection.execute(sa.select(deliveries)).all()
    assert (card, None) == (row.id, row.body)
    assert all_hold_together(database)


@pytest.mark.parametrize(
    "state, years, kept",
    [
        (PayoutState.SENT, 0, True),
        (PayoutState.FAILED, 0, True),
        (PayoutState.PAID, 0, False),
        (PayoutState.SENT, 1, False),
    ],
)
def test_a_group_is_still_told_the_end_of_money_that_comes_late(
    database: Database, state: PayoutState, years: int, *, kept: bool
) -> None:
    """Its card is all that says that it knows of this withdrawal."""
    at = OLD - years * 365 * DAY
    one = create_payout(database, "rn-1", at=at)
    posted_card(database, "in the group", target="hr", account=one.account, sent_at=at)
    set_row(database, payouts, payouts.c.order_id == "rn-1", state=state)

    prune_cards(database)

    with database.read() as connection:
        groups = card_updates.list_expired_targets(
            connection, one.account_ref, withdrawal_count=0, order_id="rn-1", now=NOW
        )
    assert (["hr"] if kept else []) == groups
    assert all_hold_together(database)


def test_ledger_orders_payouts_and_audit_stay(database: Database) -> None:
    create_payout(database, "rn-1", at=OLD)
    tables = [
        table
        for table in deliveries.metadata.sorted_tables
        if table.name in {"accounts", "balances", "snapshots", "changes", "withdrawals", "payouts", "audit"}
    ]
    before = {table.name: count(database, table) for table in tables}

    prune_cards(database)

    assert before == {table.name: count(database, table) for table in tables}


def a_digest() -> Digest:
    return Digest(
        name="hr-daily", period=finished(Span.DAY, DUE.date(), PLAN.zone), due_at=None, created_at=OLD
    )


def a_right(*, created_at: int) -> DigestRunKey:
    return DigestRunKey(digest="hr-daily", period=a_digest().period, recipient="hr", created_at=created_at)


def digest_card(database: Database, *, at: int = OLD, withdraw: bool = False) -> tuple[int, int]:
    """(delivery, run) of a digest that was told, with its file."""

    def make(connection: sa.Connection) -> tuple[int, int]:
        right = a_right(created_at=at)
        run_id = digest_runs.claim_run(connection, right, state=DigestRunState.NOTIFIED, content=a_digest())
        assert run_id is not None
        file_id = stored_files.create_file(connection, name="list.csv", rows=1, compressed=b"x")
        for each in (None, file_id):
            digest_runs.create_delivery(connection, right, run_id, target="hr", recipient=LIN, file_id=each)
        of_run = sa.select(deliveries.c.id).where(deliveries.c.run_id == run_id)
        mark_sent(connection, *connection.execute(of_run).scalars(), at=at, message_id="om_1")
        card = connection.execute(
            sa.select(deliveries.c.id).where(deliveries.c.run_id == run_id, deliveries.c.file_id.is_(None))
        ).scalar_one()
        return card, run_id

    card, run_id = database.write(make).result(10)
    if withdraw:
        ref = account_ref(database)

        def press(connection: sa.Connection) -> None:
            connection.execute(
                sa.insert(buttons).values(
                    ref="b",
                    delivery_id=card,
                    account_ref=ref,
                    withdrawal_count=0,
                    amounts="[]",
                    offered_at=at,
                )
            )
            digest_panels.ensure_panel_button(connection, card, Action.ALL, now=at)
            batches.create_batch(
                connection, delivery_id=card, click_key="c", requested_by="ou", items={ref: "b"}, now=at
            )

        database.write(press).result(10)
    return card, run_id


def content(database: Database, run_id: int) -> str | None:
    with database.read() as connection:
        return connection.execute(
            sa.select(digest_runs_table.c.content).where(digest_runs_table.c.id == run_id)
        ).scalar_one()


def test_an_old_digest_goes_with_its_file_and_the_right_to_tell_it_stays_taken(database: Database) -> None:
    _, run_id = digest_card(database)

    gone = prune_cards(database, limit=10)

    assert {"deliveries": 2, "digest_files": 1, "digests": 1} == gone
    assert content(database, run_id) is None
    again = database.write(
        lambda c: digest_runs.claim_run(
            c, a_right(created_at=NOW), state=DigestRunState.NOTIFIED, content=None
        )
    ).result(10)
    assert again is None
    assert 0 == count(database, digest_files)


def test_a_digest_that_a_person_may_send_again_keeps_its_figures_and_its_file(database: Database) -> None:
    _, run_id = digest_card(database)
    set_row(database, deliveries, deliveries.c.run_id == run_id, state=DeliveryState.DEAD)

    assert {} == prune_cards(database, limit=10)
    assert {} == through(
        database, lambda c, after: retention.prune_digest_contents(c, after, before=BEFORE, limit=2)
    )
    assert content(database, run_id) is not None
    assert 1 == count(database, digest_files)


def test_figures_that_were_never_told_go_too(database: Database) -> None:
    database.write(
        lambda c: digest_runs.claim_run(
            c, a_right(created_at=OLD), state=DigestRunState.EMPTY, content=a_digest()
        )
    ).result(10)

    gone = through(
        database, lambda c, after: retention.prune_digest_contents(c, after, before=BEFORE, limit=1)
    )

    assert {"digests": 1} == gone


def test_a_batch_keeps_its_card_and_buttons_but_not_its_board(database: Database) -> None:
    card, run_id = digest_card(database, withdraw=True)

    prune_cards(database, limit=10)

    assert 1 == count(database, batches_table)
    assert 1 == count(database, batch_items)
    assert 1 == count(database, buttons)
    assert 0 == count(database, panel_buttons_table)
    with database.read() as connection:
        assert [card] == list(connection.execute(sa.select(deliveries.c.id)).scalars())
    assert content(database, run_id) is None
    assert all_hold_together(database)


def test_processes_that_ended_long_ago_are_forgotten_but_the_newest(database: Database) -> None:
    for worker_id, at in (("a", OLD - 2), ("b", OLD - 1), ("c", OLD)):
        database.write(
            partial(workers.register_worker, worker=NewWorker(worker_id=worker_id), now=at)
        ).result(10)

    gone = through(database, lambda c, after: retention.prune_workers(c, after, before=BEFORE))

    assert {"workers": 2} == gone
    assert 1 == count(database, workers_table)
    with database.read() as connection:
        newest = workers.get_last_worker(connection)
    assert newest is not None
    assert "c" == newest.worker_id


def test_every_table_that_points_at_what_goes_is_known() -> None:
    """A new foreign key to a table that is pruned needs a thought here."""
    pruned = {"deliveries", "notices", "buttons", "digest_files", "inbox", "digest_runs"}
    pointing = {
        f"{table.name}.{key.parent.name}"
        for table in deliveries.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name in pruned
    }

    assert {
        "attempts.delivery_id",
        "batch_items.button_ref",
        "batches.delivery_id",
        "panel_buttons.delivery_id",
        "buttons.delivery_id",
        "card_updates.delivery_id",
        "deliveries.file_id",
        "deliveries.rerouted_from",
        "deliveries.run_id",
        "delivery_notices.delivery_id",
        "delivery_notices.notice_id",
        "withdrawals.delivery_id",
    } == pointing


@pytest.mark.sqlite
def test_the_log_file_is_cut_back_after_a_long_look(database: Database) -> None:
    with database.engine.connect() as c:
        [path] = [row.file for row in c.exec_driver_sql("PRAGMA database_list") if row.name == "main"]
    with database.read() as looking:
        looking.execute(sa.select(sa.func.count()).select_from(inbox_table)).scalar_one()
        for number in range(3):
            event = Event(
                key=f"e{number}",
                event_type="t",
                tenant_key="t",
                app_id="a",
                created_at=1,
                payload=b"x" * 8_000_000,
            )
            database.write_many(EventInserter(FakeClock()), event).result(30)
        assert log_size(path) > WAL_LIMIT_BYTES
    for number in range(3):
        received(database, f"later {number}", InboxState.NEW, at=NOW)

    assert log_size(path) <= WAL_LIMIT_BYTES


def log_size(path: str) -> int:
    return Path(f"{path}-wal").stat().st_size


def test_a_stale_button_of_a_bare_digest_card_draws_nothing(database: Database) -> None:
    """Its figures have gone; whoever presses is told that the button no longer works."""
    digest_card(database, withdraw=True)
    with database.read() as connection:
        [ref] = connection.execute(sa.select(panel_buttons_table.c.ref)).scalars()

    prune_cards(database, limit=10)

    with database.read() as connection:
        assert digest_panels.load_panel_buttons(connection, [ref], address_book=ADDRESS_BOOK).get(ref) is None


@pytest.mark.sqlite
def test_every_row_that_goes_is_looked_up_by_an_index(database: Database) -> None:
    """Also in the tables that point at it, which SQLite asks before it lets a row go."""
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    digest_card(database)
    sent_card(database, "old")
    posted_card(database, "with a button", sent_at=OLD)
    received(database, "old", InboxState.DONE, at=OLD)
    ref = account_ref(database)
    born = Notice(key="untold", account=ACCOUNT, reason=NoticeReason.CHANGE, occurred_at=OLD, changes=())
    database.write(lambda c: notices.create_notices(c, [(ref, born)], now=OLD)).result(10)
    sa.event.listen(database.engine, "before_cursor_execute", note)
    prune_events(database, before=BEFORE)
    through(database, lambda c, after: retention.prune_digest_contents(c, after, before=BEFORE, limit=9))
    prune_cards(database, limit=9)
    through(database, lambda c, after: retention.prune_orphaned_notices(c, after, before=BEFORE, limit=9))
    sa.event.remove(database.engine, "before_cursor_execute", note)

    deleted = {statement.split()[2] for statement, _ in asked if statement.startswith("DELETE")}
    assert {"inbox", "deliveries", "notices", "buttons", "attempts", "digest_files"} <= deleted
    with database.read() as connection:
        plans = {
            row.detail: statement
            for statement, parameters in asked
            if statement.startswith(("SELECT", "DELETE", "UPDATE"))
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        }
    assert {} == {
        detail: statement
        for detail, statement in plans.items()
        if re.match(r"SCAN \w+$", detail) or "TEMP B-TREE" in detail
    }

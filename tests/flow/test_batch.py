"""Batch: each account is judged when its turn comes, and nothing is asked for it but once."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from notifier.domain.digest import Digest, Holder
from notifier.domain.digest_panel import Action, SkipReason
from notifier.domain.money import Kind
from notifier.domain.period import Span, finished
from notifier.domain.route import Recipient
from notifier.domain.withdrawal import WithdrawalState, WithdrawOffer
from notifier.flow.withdrawals.batch import MAX_IN_FLIGHT, BatchDeps, Batcher
from notifier.store import audit, withdrawals
from notifier.store.cards import batches, digest_panels
from notifier.store.digests import digest_runs
from notifier.store.digests.digest_runs import DigestRunKey, DigestRunState
from notifier.store.engine.database import Database
from notifier.store.schema.tables import accounts, balances, deliveries
from notifier.store.withdrawals import WithdrawalResult
from support.builders import CNY
from support.buttons import find_button
from support.clock import FakeClock
from support.delivery_rows import mark_sent
from support.digests import ADDRESS_BOOK, BEFORE, PLAN, make_clock, store_balance
from support.statements import recorded

CLOCK = make_clock()
NOW = CLOCK.millis
DIGEST = Digest(
    name="hr-daily",
    period=finished(Span.DAY, BEFORE.date(), PLAN.zone),
    due_at=None,
    created_at=NOW,
    offers_withdrawal=True,
)


def batcher(
    database: Database, *, operators: Mapping[str, Collection[str]] | None = None, clock: FakeClock = CLOCK
) -> Batcher:
    known = {"hr": ("ou_hr",)} if operators is None else operators
    deps = BatchDeps(
        app_id="cli_x",
        withdraw_offer=WithdrawOffer(targets=frozenset({"hr"})),
        address_book=ADDRESS_BOOK,
        operators=known,
        clock=clock,
        wake=lambda: None,
    )
    return Batcher(database, deps)


def begun(database: Database, count: int) -> list[int]:
    """A digest's card with a batch for so many accounts; their rows."""
    refs = [store_balance(database, number, BEFORE, CNY="100") for number in range(1, count + 1)]
    digest = replace(
        DIGEST,
        holders=tuple(
            Holder(account_ref=ref, account_id=str(ref), referrer=None, amounts={CNY: Decimal(100)})
            for ref in refs
        ),
    )
    right = DigestRunKey(digest="hr-daily", period=digest.period, recipient="hr", created_at=NOW)

    def make(connection: sa.Connection) -> None:
        run_id = digest_runs.claim_run(connection, right, state=DigestRunState.NOTIFIED, content=digest)
        assert run_id is not None
        hr = Recipient(id_type="chat_id", id="oc_hr")
        digest_runs.create_delivery(connection, right, run_id, target="hr", recipient=hr)
        card = connection.execute(sa.select(deliveries.c.id)).scalar_one()
        mark_sent(connection, card, at=NOW, message_id="om_1")
        digest_panels.create_buttons(connection, card, digest.holders, kinds=tuple(Kind), now=NOW)
        items = digest_panels.list_candidates(connection, card, digest, Action.ALL)
        assert batches.create_batch(
            connection, delivery_id=card, click_key="click", requested_by="ou_hr", items=items, now=NOW
        )

    database.write(make).result()
    return refs


def orders(database: Database) -> list[tuple[int, str, str]]:
    with database.read() as connection:
        return [
            (each.account_ref, each.role, each.requested_by)
            for each in reversed(withdrawals.list_withdrawals(connection, states=(), limit=100))
        ]


def skipped(database: Database) -> Mapping[SkipReason, int]:
    with database.read() as connection:
        progress = batches.get_progress(connection, 1)
    assert progress is not None
    return progress.skipped


async def test_every_account_gets_one_order_and_one_audit_entry(database: Database) -> None:
    refs = begun(database, MAX_IN_FLIGHT + 2)
    one = batcher(database)
    waits = [await one.run_once() for _ in range(3)]

    assert [0, 0] == waits[:2]
    assert waits[2] > 0
    assert [(ref, "operator", "ou_hr") for ref in refs] == orders(database)
    with database.read() as connection:
        rows = audit.list_entries(connection, limit=100)
    assert len(refs) == len([row for row in rows if row.outcome == "requested as operator: 100 CNY, batch 1"])
    assert len(refs) == len({row.order_id for row in rows})


async def test_a_restart_after_any_turn_asks_for_nothing_twice(database: Database) -> None:
    refs = begun(database, 2 * MAX_IN_FLIGHT)
    for _ in range(4):
        await batcher(database).run_once()

    assert refs == [ref for ref, *_ in orders(database)]


async def test_who_is_an_operator_no_more_asks_for_nothing_more(database: Database) -> None:
    begun(database, 3)
    await batcher(database, operators={"hr": ("ou_somebody_else",)}).run_once()

    assert ([], {SkipReason.NOT_ALLOWED: 3}) == (orders(database), skipped(database))


async def test_an_account_whose_owner_nobody_knows_is_left_out(database: Database) -> None:
    refs = begun(database, 2)
    statement = sa.update(accounts).where(accounts.c.id == refs[0]).values(looked_up_at=None)
    database.write(lambda c: c.execute(statement).rowcount).result()
    await batcher(database).run_once()

    assert [refs[1]] == [ref for ref, *_ in orders(database)]
    assert {SkipReason.REFERRER_UNKNOWN: 1} == skipped(database)


async def test_an_account_of_another_app_is_nobodys_to_withdraw(database: Database) -> None:
    """As after the app was replaced on the same database; a single press on it is refused too."""
    refs = begun(database, 2)
    statement = sa.update(accounts).where(accounts.c.id == refs[0]).values(app_id="cli_before")
    database.write(lambda c: c.execute(statement).rowcount).result()
    await batcher(database).run_once()

    assert [refs[1]] == [ref for ref, *_ in orders(database)]
    assert {SkipReason.DENIED: 1} == skipped(database)


async def test_a_deactivated_account_is_left_out_as_such(database: Database) -> None:
    refs = begun(database, 2)
    statement = sa.update(accounts).where(accounts.c.id == refs[0]).values(deactivated_at=NOW)
    database.write(lambda c: c.execute(statement).rowcount).result()
    await batcher(database).run_once()

    assert {SkipReason.DEACTIVATED: 1} == skipped(database)


@pytest.mark.parametrize(
    "state, is_empty, why",
    [
        (None, False, SkipReason.BUSY),
        (WithdrawalState.WITHDRAWN, True, SkipReason.DONE),
        (WithdrawalState.WITHDRAWN, False, SkipReason.CHANGED),  # a new reward of the same amount
    ],
)
async def test_what_somebody_else_asked_for_meanwhile_is_not_asked_for_again(
    database: Database,
    state: WithdrawalState | None,
    is_empty: bool,  # noqa: FBT001 - one column of the table
    why: SkipReason,
) -> None:
    begun(database, 1)
    await batcher(database).run_once()
    if state is not None:
        with database.read() as connection:
            (order,) = withdrawals.list_withdrawals(connection, states=(), limit=1)
        ending = WithdrawalResult(state=state, now=NOW, withdrawn={CNY: Decimal(100)}, at=NOW)
        database.write(lambda c: withdrawals.finish(c, order, ending)).result()
    if is_empty:
        database.write(lambda c: c.execute(sa.delete(balances)).rowcount).result()
    _once_more(database)
    await batcher(database).run_once()

    assert 1 == len(orders(database))
    assert {why: 1} == skipped(database)


def _once_more(database: Database) -> None:
    """As if the batch had come to this account only now."""
    database.write(lambda c: c.exec_driver_sql("UPDATE batch_items SET order_id = NULL").rowcount).result()


async def test_an_account_that_holds_nothing_any_more_is_left_out(database: Database) -> None:
    (ref,) = begun(database, 1)
    statement = sa.delete(balances).where(balances.c.account_ref == ref)
    database.write(lambda c: c.execute(statement).rowcount).result()
    await batcher(database).run_once()

    assert ([], {SkipReason.EMPTY: 1}) == (orders(database), skipped(database))


async def test_a_balance_other_than_the_listed_one_is_left_out_and_offered_again(database: Database) -> None:
    refs = begun(database, 2)
    changed = sa.update(balances).where(balances.c.account_ref == refs[0]).values(amount=850_0000)
    database.write(lambda c: c.execute(changed).rowcount).result()
    one = batcher(database)
    await one.run_once()

    assert [refs[1]] == [ref for ref, *_ in orders(database)]
    assert {SkipReason.CHANGED: 1} == skipped(database)
    with database.read() as connection:
        (agreed,) = [each.agreed for each in withdrawals.list_withdrawals(connection, states=(), limit=9)]
        digest = digest_runs.load_content_of_delivery(connection, 1)
        again = digest_panels.list_candidates(connection, 1, digest, Action.RETRY)
        button = find_button(connection, again[refs[0]], address_book=ADDRESS_BOOK, now=NOW)
    assert {CNY: Decimal(100)} == agreed
    assert button is not None
    assert {CNY: Decimal(850)} == button.amounts


async def test_a_batch_of_which_nothing_can_be_asked_for_is_over_at_once(database: Database) -> None:
    begun(database, 2)
    one = batcher(database, operators={})
    for _ in range(2):
        await one.run_once()
    with database.read() as connection:
        progress = batches.get_progress(connection, 1)

    assert progress is not None
    assert (2, 2, False) == (progress.total, progress.done, progress.running)


async def test_no_batch_is_no_work(database: Database) -> None:
    assert await batcher(database).run_once() >= 1


async def test_a_turn_costs_the_same_number_of_statements_for_two_accounts_and_for_forty(
    tmp_path: Path,
) -> None:
    counts = []
    for count in (2, 40):
        database = Database.open(f"sqlite:///{tmp_path}/{count}.db")
        refs = begun(database, count)
        with recorded(database) as recording:
            await batcher(database).run_once()
        assert refs == [ref for ref, *_ in orders(database)]
        counts.append(len(recording.texts))
        database.close()

    assert counts[0] == counts[1] <= 12

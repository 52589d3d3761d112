"""The hot path: a batch of any size costs the same number of statements, and none of them reads a whole table."""

import asyncio
import re
import threading
from collections import Counter
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from notifier.cards.render import Renderer
from notifier.cards.rules import card_problems
from notifier.cards.templates import CardTemplates
from notifier.clock import HOUR_MS
from notifier.domain.account import Ownership, Referrer
from notifier.domain.delivery import Content, RetryPolicy, SentMessage
from notifier.domain.money import Kind
from notifier.domain.rate_limit import RateLimit, SendingLimits
from notifier.domain.route import AddressBook, Condition, Route
from notifier.domain.withdrawal import WithdrawOffer
from notifier.feishu.wire import read_balance_report
from notifier.flow.deliveries.deliver import DeliverDeps, Deliverer
from notifier.flow.deliveries.update_cards import CardUpdater, UpdateDeps
from notifier.flow.events.apply_events import ApplyDeps, apply_events
from notifier.flow.notices import NoticeWriter
from notifier.store import accounts
from notifier.store.deliveries import addressing
from notifier.store.engine.database import Database
from notifier.store.inbox import EventInserter
from support import growth, postgres_plans
from support.builders import MODIFIED_AT, balance_event
from support.clock import FakeClock
from support.query_plans import GROWING, PARTIAL_INDEXES, explain, full_scans, shape_of
from support.statements import Recording, recorded

BOOK = AddressBook(groups={"hr": "oc_hr"}, fallback=None)
OFFER = WithdrawOffer(targets=frozenset({"referrer", "hr"}), kinds=tuple(Kind))
UNLIMITED = RateLimit(per_second=100_000, burst=1_000)
FEW, MANY = 2, 50
"""Sizes of a batch."""
MAX_LOCKS = 2
"""Further statements of each step that lock rows, where several processes write."""
MAX_APPLY, MAX_SEND, MAX_UPDATE = 18, 21, 12
"""Statements of each step, today. The results of two card updates may need a commit each."""


class Phone:
    """Stands for Feishu, which would only make the statements harder to count: it takes every message."""

    def __init__(self) -> None:
        self.count = 0
        self.answers = asyncio.Event()
        """Calls are answered while it is set: all together, as under load."""
        self.waiting = 0
        """Calls that have no answer yet."""

    async def send(self, content: Content, **_: Any) -> SentMessage:
        assert content.body
        await self._answer()
        self.count += 1
        return SentMessage(message_id=f"om_{self.count}", chat_id="oc", log_id=None)

    async def update(self, message_id: str, body: str) -> None:
        assert message_id
        assert body
        await self._answer()

    async def upload(self, name: str, content: bytes) -> str:
        raise NotImplementedError

    async def _answer(self) -> None:
        self.waiting += 1
        await self.answers.wait()
        self.waiting -= 1


class Flow:
    """The steps from an event to its card, with a database that keeps their statements."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        phone, notices = Phone(), NoticeWriter(address_book=BOOK, max_age_ms=24 * HOUR_MS)
        renderer = Renderer(CardTemplates(), check=card_problems, zone=ZoneInfo("Asia/Shanghai"), clock=clock)
        route = Route(name="to the referrer", when=Condition(), targets=("referrer",))
        self.database, self.clock, self.phone = database, clock, phone
        self.events = ApplyDeps(read=read_balance_report, routes=(route,), notices=notices, clock=clock)
        self.deliverer = Deliverer(
            database,
            DeliverDeps(
                sender=phone,
                renderer=renderer,
                address_book=BOOK,
                sending_limits=SendingLimits(app=UNLIMITED, chat=UNLIMITED, per_minute=100_000),
                retry_policy=RetryPolicy(give_up_after_ms=HOUR_MS),
                clock=clock,
                worker_id="worker",
                withdraw_offer=OFFER,
            ),
            wake=lambda: None,
        )
        self.updater = CardUpdater(
            database,
            UpdateDeps(
                sender=phone,
                notices=notices,
                renderer=renderer,
                limit=UNLIMITED,
                clock=clock,
                withdraw_offer=OFFER,
            ),
            wake=lambda: None,
        )
        self._round = 0

    def receive(self, count: int) -> None:
        """One event for each of so many accounts, stored together."""
        self._round += 1
        stored = EventInserter(self.clock)
        events = [
            balance_event(
                event_id=f"ev-{self._round}-{number}",
                account_id=f"account {number}",
                points=self._round,
                modify_time=str(MODIFIED_AT + self._round),
            )
            for number in range(count)
        ]
        self.database.write(lambda c: stored(c, events)).result()

    async def apply(self) -> None:
        """Applies all stored events, in batches."""
        while await apply_events(self.database, self.events):
            pass

    async def send(self) -> int:
        """Claims once, and ends every call that this starts. Gives their number."""
        before = self.phone.count
        await self._run_together(self.deliverer)
        return self.phone.count - before

    async def update(self) -> None:
        """Updates the cards that newer ones supersede."""
        await self._run_together(self.updater)

    async def _run_together(self, worker: Deliverer | CardUpdater) -> None:
        """Runs once; all calls that this starts are answered at the same moment."""
        self.phone.answers.clear()
        await worker.run_once()
        draining = asyncio.ensure_future(worker.drain(10))
        is_over = threading.Event()
        self.database.write(lambda _: is_over.wait(10))  # until all results wait for the same commit
        self.phone.answers.set()
        while not draining.done():
            await asyncio.sleep(0)
            if not self.phone.waiting:
                is_over.set()
        await draining

    async def settle(self, count: int) -> None:
        """The whole way of one event for each of so many accounts, until nothing is left to do."""
        self.receive(count)
        await self.apply()
        self._learn_owners()
        while await self.send():
            self.clock.advance(seconds=1)
        self.clock.advance(seconds=10)
        for _ in range(1 + count // self.updater.slots):
            await self.update()

    def _learn_owners(self) -> None:
        def learn(connection: sa.Connection) -> None:
            found = accounts.claim_lookups(connection, now=self.clock.millis, limit=1_000)
            owners = {
                each.account_ref: Ownership(
                    referrer=Referrer(open_id=f"ou_{each.account_ref}", name_zh="林小满"),
                    looked_up_at=self.clock.millis,
                )
                for each in found
            }
            accounts.save_ownerships(connection, owners)
            addressing.address_waiting(
                connection,
                owners,
                lambda ref, target: BOOK.recipient(target, owners[ref].referrer),
                now=self.clock.millis,
            )

        self.database.write(learn).result()


@pytest.fixture
def flow(database: Database, clock: FakeClock) -> Flow:
    return Flow(database, clock)


Costs = dict[str, list[str]]
"""The statements of each step."""


async def measure(flow: Flow, count: int) -> Costs:
    """The statements of each step for one event of so many accounts, each with a card that the new one supersedes."""
    costs: Costs = {}
    with recorded(flow.database) as received:
        flow.receive(count)
    costs["receive"] = received.texts
    with recorded(flow.database) as applied:
        assert count == await apply_events(flow.database, flow.events)
    costs["apply"] = applied.texts
    with recorded(flow.database) as sent:
        assert count == await flow.send()
    costs["send"] = sent.texts
    flow.clock.advance(seconds=10)
    with recorded(flow.database) as updated:
        await flow.update()
    costs["update cards"] = updated.texts
    return costs


async def test_a_batch_of_any_size_costs_the_same_number_of_statements(flow: Flow) -> None:
    """Each step has its statements, and none of them runs once per row."""
    await flow.settle(MANY)
    await flow.settle(MANY)
    few, many = await measure(flow, FEW), await measure(flow, MANY)

    for step, texts in many.items():
        counts = Counter(shape_of(text) for text in texts)
        assert set(counts) == {shape_of(text) for text in few[step]}, step
        assert [] == [text for text, count in counts.items() if count >= MANY // 2], step
    statements = {step: {shape_of(text) for text in texts} for step, texts in few.items()}
    assert 1 == len(statements["receive"])
    locks = MAX_LOCKS if flow.database.is_shared else 0
    assert MAX_APPLY + locks >= len(statements["apply"])
    assert MAX_SEND + locks >= len(statements["send"])
    assert MAX_UPDATE + locks >= len(statements["update cards"])


@pytest.mark.sqlite
async def test_no_statement_of_the_hot_path_reads_a_whole_table(flow: Flow, database: Database) -> None:
    await flow.settle(MANY)
    await flow.settle(MANY)
    with recorded(database) as recording:
        await measure(flow, MANY)
    plans = read_plans(database, recording)

    assert len(plans) > 30
    assert [] == [(text, found) for text, plan in plans.items() if (found := full_scans(text, plan))]
    used = {
        name for steps in plans.values() for step in steps for name in re.findall(r"INDEX (ix_\w+)", step)
    }
    assert set() == HOT_INDEXES - used


@pytest.mark.postgresql
async def test_no_statement_of_the_hot_path_reads_a_whole_table_of_postgresql(
    flow: Flow, database: Database
) -> None:
    """With tables of ten thousand rows. The server may also plan without values after five runs of a statement."""
    await flow.settle(MANY)
    await flow.settle(MANY)
    growth.settle_withdrawals(database, now=flow.clock.millis)
    growth.multiply_rows(database, COPIES)
    with recorded(database) as recording:
        await measure(flow, 10)
    filled = GROWING - {"payouts"}

    plans = postgres_plans.read_plans(database, recording)
    generic = postgres_plans.read_plans(database, recording, is_generic=True)
    assert [] == [
        (text, node.kind, node.table)
        for text, nodes in plans.items()
        for node in nodes
        if node.reads_all and node.table in filled and node.index not in PARTIAL_INDEXES
    ]
    for each in (plans, generic):
        assert len(each) > 30
        used = {node.index for nodes in each.values() for node in nodes}
        assert set() == HOT_INDEXES - used - SMALL_INDEXES


COPIES = 100
SMALL_INDEXES = {"ix_deliveries_ready", "ix_deliveries_sending"}
"""Indexes of deliveries per recipient. PostgreSQL also finds them by the recipient, who has few."""
HOT_INDEXES = {
    *("ix_inbox_new", "ix_recipients_next", "ix_deliveries_ready", "ix_deliveries_sending"),
    *("ix_deliveries_account_target", "ix_card_updates_pending"),
}
"""Partial indexes that the hot path needs. SQLite ignores one unless the query repeats its condition literally."""


def read_plans(database: Database, recording: Recording) -> dict[str, list[str]]:
    """SQLite's plan of each statement, as it is really bound."""
    plans: dict[str, list[str]] = {}
    with database.engine.connect() as connection:
        for text, parameters in recording.statements:
            plans[shape_of(text)] = explain(connection, text, parameters)
    return plans

"""The hot path: a batch of any size costs the same number of statements, and none of them reads a whole table."""

import asyncio
import re
from collections import Counter
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from notifier.cards.render import Renderer
from notifier.cards.templates import CardTemplates
from notifier.clock import HOUR_MS
from notifier.domain.account import Ownership, Referrer
from notifier.domain.delivery import Content, RetryPolicy, SentMessage
from notifier.domain.money import Kind
from notifier.domain.rate_limit import RateLimit, SendingLimits
from notifier.domain.route import AddressBook, Condition, Route
from notifier.domain.withdrawal import WithdrawOffer
from notifier.feishu.card_rules import card_problems
from notifier.feishu.wire import read_balance_report
from notifier.flow.deliveries.deliver import DeliverDeps, Deliverer
from notifier.flow.deliveries.update_cards import CardUpdater, UpdateDeps
from notifier.flow.events.apply_events import ApplyDeps, apply_events
from notifier.flow.notices import NoticeWriter
from notifier.store import accounts
from notifier.store.deliveries import addressing
from notifier.store.engine.database import Database
from notifier.store.inbox import EventInserter
from notifier.store.schema.tables import metadata
from support.builders import MODIFIED_AT, balance_event
from support.clock import FakeClock
from support.statements import Recording, recorded

BOOK = AddressBook(groups={"hr": "oc_hr"}, fallback=None)
OFFER = WithdrawOffer(targets=frozenset({"referrer", "hr"}), kinds=tuple(Kind))
UNLIMITED = RateLimit(per_second=100_000, burst=1_000)
FEW, MANY = 2, 50
"""Sizes of a batch."""
MAX_APPLY, MAX_SEND, MAX_UPDATE = 18, 20, 13
"""Statements of each step, today."""


class Phone:
    """Stands for Feishu, which would only make the statements harder to count: it takes every message."""

    def __init__(self) -> None:
        self.count = 0
        self.answers = asyncio.Event()
        """Calls are answered while it is set: all together, as under load."""

    async def send(self, content: Content, **_: Any) -> SentMessage:
        assert content.body
        await self.answers.wait()
        self.count += 1
        return SentMessage(message_id=f"om_{self.count}", chat_id="oc", log_id=None)

    async def update(self, message_id: str, body: str) -> None:
        assert message_id
        assert body
        await self.answers.wait()

    async def upload(self, name: str, content: bytes) -> str:
        raise NotImplementedError


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
        self.phone.answers.set()
        await worker.drain(10)

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


def shape_of(text: str) -> str:
    """The statement without the length of its lists."""
    return re.sub(r"(\(\?(, \?)*\)(, )?)+", "(...)", " ".join(text.split()))


async def test_a_batch_of_any_size_costs_the_same_number_of_statements(flow: Flow) -> None:
    """Each step has its statements, and none of them runs once per row.

    Results of calls come one by one, so that two or three commits may share them.
    """
    await flow.settle(MANY)
    await flow.settle(MANY)
    few, many = await measure(flow, FEW), await measure(flow, MANY)

    for step, texts in many.items():
        counts = Counter(shape_of(text) for text in texts)
        assert set(counts) == {shape_of(text) for text in few[step]}, step
        assert [] == [text for text, count in counts.items() if count >= MANY // 2], step
    assert (1, True, True, True) == (
        len(few["receive"]),
        len(few["apply"]) <= MAX_APPLY,
        len(few["send"]) <= MAX_SEND,
        len(few["update cards"]) <= MAX_UPDATE,
    ), {step: len(texts) for step, texts in few.items()}


GROWING = {
    *("accounts", "attempts", "balances", "buttons", "card_updates", "changes", "deliveries"),
    *("delivery_notices", "inbox", "notices", "recipients", "snapshots", "withdrawals", "payouts"),
}


async def test_no_statement_of_the_hot_path_reads_a_whole_table(flow: Flow, database: Database) -> None:
    await flow.settle(MANY)
    await flow.settle(MANY)
    with recorded(database) as recording:
        await measure(flow, MANY)
    plans = read_plans(database, recording)

    assert len(plans) > 30
    assert [] == [(text, step) for text, steps in plans.items() for step in steps if reads_all(text, step)]
    used = {
        name for steps in plans.values() for step in steps for name in re.findall(r"INDEX (ix_\w+)", step)
    }
    assert set() == HOT_INDEXES - used


HOT_INDEXES = {
    *("ix_inbox_new", "ix_recipients_next", "ix_deliveries_ready", "ix_deliveries_sending"),
    *("ix_deliveries_account_target", "ix_card_updates_pending"),
}
"""Partial indexes that the hot path needs. SQLite ignores one unless the query repeats its condition literally."""
PARTIAL_INDEXES = {
    index.name
    for table in metadata.tables.values()
    for index in table.indexes
    if index.dialect_options["sqlite"]["where"] is not None
}


def reads_all(text: str, step: str) -> bool:
    """Whether a step reads a whole table that grows. A partial index holds only rows that wait for something."""
    if "AUTOMATIC" in step:
        return True
    found = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", step)
    return found is not None and table_of(text, found[1]) in GROWING and found[2] not in PARTIAL_INDEXES


def table_of(text: str, name: str) -> str:
    """The table behind an alias."""
    found = re.search(rf"(\w+) AS {name}\b", text)
    return found[1] if found else name


def read_plans(database: Database, recording: Recording) -> dict[str, list[str]]:
    """SQLite's plan of each statement, as it is really bound."""
    plans: dict[str, list[str]] = {}
    with database.engine.connect() as connection:
        cursor = connection.connection.cursor()
        for text, parameters in recording.statements:
            rows = cursor.execute(f"EXPLAIN QUERY PLAN {text}", parameters).fetchall()
            plans[shape_of(text)] = [row[3] for row in rows]
    return plans

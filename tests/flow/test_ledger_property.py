"""The books, whatever reaches us in whatever order: repeated, lost and healed, with withdrawals in between.

NOTIFIER_TESTS_EXAMPLES says how many histories are tried; by default few, as each has a real database behind it.
"""

import asyncio
import itertools
import json
import os
import random
import time
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import ClassVar

import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from notifier.domain.event import BALANCE_READ, AccountKey, Event
from notifier.domain.ledger import BalanceChange, Snapshot
from notifier.domain.money import POINTS, Amounts, Asset, Kind, without_zeros
from notifier.domain.reconciliation import recovered_at
from notifier.domain.route import AddressBook, Condition, Route
from notifier.domain.withdrawal import Role, WithdrawalState
from notifier.feishu.wire import encode_balance_reading, read_balance_report, read_event
from notifier.flow.events.apply_events import ApplyDeps, apply_events
from notifier.flow.events.receive import Receiver
from notifier.flow.notices import NoticeWriter
from notifier.store import ledger, reconciliations, withdrawal_history, withdrawals
from notifier.store.cards import buttons
from notifier.store.engine.database import Database
from notifier.store.schema.tables import accounts, deliveries, notices
from notifier.store.withdrawals import WithdrawalOrder, WithdrawalResult
from support.builders import CNY, MODIFIED_AT, USD, balance_payload
from support.buttons import find_button
from support.clock import FakeClock
from support.delivery_rows import mark_sent
from support.figures import write_figures

EXAMPLES = int(os.environ.get("NOTIFIER_TESTS_EXAMPLES", "20"))
STEPS = 25
APART_MS = 10_000
"""Between two things that happen to an account, but for changes around a read."""
SOON_MS = st.integers(1, 700)
"""Between those: the read is dated by its whole second."""

BOOK = AddressBook(groups={"hr": "oc_hr"}, fallback=None)
TO_REFERRER = Route(name="to the referrer", when=Condition(), targets=("referrer",))
ASSETS = (POINTS, CNY, USD)
AMOUNT = st.integers(0, 3000).map(lambda cents: Decimal(cents) / 100)
WHOLE = st.integers(0, 3000).map(Decimal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event as Feishu keeps it. The same content may come again under this id or another."""

    event_id: str
    account_id: str
    amounts: Amounts
    modified_at: int

    def payload(self) -> bytes:
        cash = [
            {"currency_type": asset.currency, "amount": str(amount)}
            for asset, amount in self.amounts.items()
            if asset.kind is Kind.CASH
        ]
        return balance_payload(
            event_id=self.event_id,
            account_id=self.account_id,
            points=int(self.amounts.get(POINTS, Decimal(0))),
            cash=cash,
            modify_time=str(self.modified_at),
            create_time=str(self.modified_at),
        )


@dataclass(slots=True)
class TrueAccount:
    """The account as it is at Feishu. told: all events it made, and reads of it, oldest first."""

    account_id: str
    now: int = MODIFIED_AT
    amounts: dict[Asset, Decimal] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)

    def tick(self, ms: int = APART_MS) -> int:
        self.now += ms
        return self.now

    def event(self) -> Told:
        """What Feishu says of the balance it has now."""
        made = Told(
            event_id=f"ev-{self.account_id}-{len(self.told)}",
            account_id=self.account_id,
            amounts=dict(self.amounts),
            modified_at=self.now,
        )
        self.told.append(made)
        return made


class KnownBalance(RuleBasedStateMachine):
    """One account, its truth and our books of it. All histories share a database, each with an account of its own."""

    database: ClassVar[Database]
    numbers: ClassVar["itertools.count[int]"]

    def __init__(self) -> None:
        super().__init__()
        number = next(self.numbers)
        self.clock = FakeClock()
        self.truth = TrueAccount(f"{7_000_000_000_000_000_000 + number}")
        self.account = AccountKey(tenant_key="tk", app_id="cli_x", account_id=self.truth.account_id)
        self.pending: list[Told] = []
        self.arrived: list[Told] = []
        self.orders: list[Amounts] = []
        self.reached = 0

    # what happens at Feishu

    @initialize(points=WHOLE, cash=AMOUNT)
    def it_begins(self, points: Decimal, cash: Decimal) -> None:
        """The first event always comes, as the truth before it is nobody's to tell."""
        self.truth.amounts = {POINTS: points, CNY: cash}
        self._deliver(self.truth.event())

    @rule(asset=st.sampled_from(ASSETS), points=WHOLE, cash=AMOUNT)
    def the_balance_changes(self, asset: Asset, points: Decimal, cash: Decimal) -> None:
        self.truth.tick()
        self.truth.amounts[asset] = points if asset is POINTS else cash
        self.pending.append(self.truth.event())

    @rule(
        points=st.tuples(WHOLE, WHOLE, WHOLE),
        gaps=st.tuples(SOON_MS, SOON_MS, SOON_MS),
        comes=st.sampled_from((None, 0, 1, 2)),
    )
    def a_read_falls_between_changes(
        self, points: tuple[Decimal, Decimal, Decimal], gaps: tuple[int, int, int], comes: int | None
    ) -> None:
        """Two just before it, one just after. comes: the one whose event comes next; the others late, or never."""
        self.truth.tick()
        for number, (value, gap) in enumerate(zip(points, gaps, strict=True)):
            if number == 2:
                self.truth.tick(gap)
                self.heal()
            self.truth.tick(gap)
            self.truth.amounts[POINTS] = value
            self.pending.append(self.truth.event())
        self.the_books_never_go_back()
        if comes is not None:
            self._deliver(self.pending.pop(comes - 3))

    @precondition(lambda self: self._caught_up() and any(self.truth.amounts.values()))
    @rule(event_first=st.booleans())
    def all_is_withdrawn(self, *, event_first: bool) -> None:
        """event_first: Feishu's event overtakes its answer to us."""
        took = {asset: amount for asset, amount in self.truth.amounts.items() if amount}
        at = self.truth.tick()
        order_id = self._begin_order(took, at=at)
        self.truth.amounts = {}
        event = self.truth.event()
        if event_first:
            self._deliver(event)
        self._end_order(order_id, took, at=at)
        if not event_first:
            self.pending.append(event)

    # what reaches us

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def an_event_arrives(self, data: st.DataObject) -> None:
        self._deliver(self.pending.pop(data.draw(st.integers(0, len(self.pending) - 1))))

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def an_event_is_lost(self, data: st.DataObject) -> None:
        self.pending.pop(data.draw(st.integers(0, len(self.pending) - 1)))

    @precondition(lambda self: self.arrived)
    @rule(data=st.data(), another_id=st.booleans())
    def an_event_arrives_again(self, data: st.DataObject, *, another_id: bool) -> None:
        before = self._notices()
        event = data.draw(st.sampled_from(self.arrived))
        self._deliver(
            replace(event, event_id=f"{event.event_id}-copy-{next(self.numbers)}") if another_id else event
        )
        assert before == self._notices()

    @rule()
    def the_gap_is_healed(self) -> None:
        self.truth.tick()
        self.heal()
        assert without_zeros(self.truth.amounts) == self._ledger_amounts()
        with self.database.read() as connection:
            assert [] == withdrawal_history.list_not_in_ledger(connection, self._ref(connection))

    # what must be true at any time

    @invariant()
    def what_was_told_and_withdrawn_adds_up_to_the_newest_balance(self) -> None:
        if not self.arrived:
            return
        total = {asset: -amount for asset, amount in self._own_seen().items()}
        for _, changes in self._notices():
            for change in changes:
                total[change.asset] = total.get(change.asset, Decimal(0)) + change.delta
        newest = max(self.arrived, key=lambda event: event.modified_at)
        assert without_zeros(newest.amounts) == without_zeros(total)
        assert without_zeros(newest.amounts) == self._ledger_amounts()

    @invariant()
    def the_books_never_go_back(self) -> None:
        """What they hold is a balance that the account had, and none from before one that they held already."""
        if not self.arrived:
            return
        held = self._ledger_amounts()
        states = [without_zeros(each.amounts) for each in self.truth.told]
        assert held in states[self.reached :]
        self.reached = states.index(held, self.reached)

    @invariant()
    def nothing_is_told_twice(self) -> None:
        keys = [key for key, _ in self._notices()]
        assert len(keys) == len(set(keys))

    def teardown(self) -> None:
        if not self.arrived:
            return
        self.the_gap_is_healed()
        self.what_was_told_and_withdrawn_adds_up_to_the_newest_balance()
        with self.database.read() as connection:
            assert [] == ledger.find_imbalances(connection)
        self._order_does_not_matter()

    def _order_does_not_matter(self) -> None:
        """The same events in another order, to another account: the same history."""
        twin = AccountKey(tenant_key="tk", app_id="cli_x", account_id=f"9{self.truth.account_id[1:]}")
        again = [
            replace(event, account_id=twin.account_id, event_id=f"twin-{event.event_id}")
            for event in self.arrived
        ]
        random.Random(len(again)).shuffle(again)
        self._deliver(*again)
        assert self._history(self.account) == self._history(twin)

    # how it is done

    def heal(self) -> None:
        """A balance read: what Feishu says now, dated by the second. The one place that knows how we heal."""
        with self.database.read() as connection:
            known = reconciliations.load_known_balances(connection, [self._ref(connection)])
        [books] = known.values()
        read_at = self.truth.now // 1000 * 1000
        told = replace(self.truth.event(), modified_at=recovered_at(books, read_at))
        report = read_balance_report(read_event(told.payload(), app_id="cli_x"))
        self._record(encode_balance_reading(report, event_type=BALANCE_READ))
        self.arrived.append(told)

    def _deliver(self, *events: Told) -> None:
        self._record(*(read_event(event.payload(), app_id="cli_x") for event in events))
        self.arrived += [event for event in events if event.account_id == self.truth.account_id]

    def _record(self, *events: Event) -> None:
        receiver = Receiver(self.database, self.clock, wake=lambda: None)
        for event in events:
            receiver.accept(event).result(10)
        deps = ApplyDeps(
            read=read_balance_report,
            routes=(TO_REFERRER,),
            notices=NoticeWriter(address_book=BOOK, max_age_ms=10**13),
            clock=self.clock,
        )
        asyncio.run(apply_events(self.database, deps))

    def _begin_order(self, took: Amounts, *, at: int) -> str:
        """As the click and the withdraw step leave it just before Feishu answers."""
        self.orders.append(took)
        withdrawal_count = len(self.orders) - 1
        order_id = self._order_id(withdrawal_count)

        def begin(connection: sa.Connection) -> None:
            ref = self._ref(connection)
            card = self._hung_card(connection, ref)
            name = buttons.ensure_button(
                connection,
                delivery_id=card,
                account_ref=ref,
                withdrawal_count=withdrawal_count,
                amounts=took,
                now=at,
            )
            button = find_button(connection, name, address_book=BOOK, now=at)
            assert button is not None
            order = WithdrawalOrder(
                order_id=order_id,
                button=button,
                kinds=tuple(Kind),
                role=Role.REFERRER,
                requested_by="ou_lin",
                click_key=f"click of {order_id}",
                now=at - 1000,
            )
            assert withdrawals.create_orders(connection, [order])[0] is not None
            (claimed,) = withdrawals.claim_due(connection, worker_id="us", now=at, limit=1, in_flight_ids=())
            assert withdrawals.mark_call_started(connection, claimed, worker_id="us", expected=took, now=at)

        self.database.write(begin).result()
        return order_id

    def _hung_card(self, connection: sa.Connection, ref: int) -> int:
        """The first card about this account, in its chat."""
        card = connection.execute(
            sa.select(sa.func.min(deliveries.c.id)).where(deliveries.c.account_ref == ref)
        ).scalar_one()
        mark_sent(connection, card, at=self.truth.now)
        return int(card)

    def _end_order(self, order_id: str, took: Amounts, *, at: int) -> None:
        def end(connection: sa.Connection) -> None:
            order = withdrawals.find_by_order(connection, order_id)
            assert order is not None
            ending = WithdrawalResult(state=WithdrawalState.WITHDRAWN, now=at, withdrawn=took, at=at)
            assert withdrawals.finish(connection, order, ending)

        self.database.write(end).result()

    # what is there

    def _order_id(self, withdrawal_count: int) -> str:
        return f"rn-{self.truth.account_id}-{withdrawal_count}"

    def _ref(self, connection: sa.Connection) -> int:
        query = sa.select(accounts.c.id).where(accounts.c.account_id == self.truth.account_id)
        return int(connection.execute(query).scalar_one())

    def _ledger_amounts(self) -> dict[Asset, Decimal]:
        with self.database.read() as connection:
            ref = self._ref(connection)
            return dict(ledger.load_balances(connection, [ref]).get(ref, {}))

    def _notices(self) -> list[tuple[str, tuple[BalanceChange, ...]]]:
        """(key, changes) of each, oldest first."""
        with self.database.read() as connection:
            ref = self._ref(connection)
            rows = connection.execute(
                sa.select(notices).where(notices.c.account_ref == ref).order_by(notices.c.id)
            ).all()
        return [(row.notice_key, read_changes(row.changes)) for row in rows]

    def _own_seen(self) -> dict[Asset, Decimal]:
        """What our withdrawals took that the books know of."""
        total: dict[Asset, Decimal] = {}
        with self.database.read() as connection:
            unseen = {
                each.order_id
                for each in withdrawal_history.list_not_in_ledger(connection, self._ref(connection))
            }
        for withdrawal_count, took in enumerate(self.orders):
            for asset, amount in took.items() if self._order_id(withdrawal_count) not in unseen else ():
                total[asset] = total.get(asset, Decimal(0)) + amount
        return total

    def _history(self, account: AccountKey) -> list[tuple[Snapshot, tuple[BalanceChange, ...]]]:
        with self.database.read() as connection:
            return ledger.load_history(connection, account)

    def _caught_up(self) -> bool:
        """We know the newest there is and nothing older is on its way: a withdrawal of more than the books knew of is
        told by its receipt, and never adds up with the notices.
        """
        return not self.pending and self._ledger_amounts() == without_zeros(self.truth.amounts)


def read_changes(text: str) -> tuple[BalanceChange, ...]:
    return tuple(
        BalanceChange(asset=Asset(Kind(kind), currency), before=Decimal(before), after=Decimal(after))
        for kind, currency, before, after in json.loads(text)
    )


def test_the_books_are_the_truth_whatever_reaches_us(database: Database) -> None:
    KnownBalance.database, KnownBalance.numbers = database, itertools.count()
    started = time.monotonic()
    run_state_machine_as_test(
        KnownBalance,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    write_figures(
        "books", counted={"histories": EXAMPLES}, zeros={"untrue": 0}, seconds=time.monotonic() - started
    )

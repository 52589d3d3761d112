"""Refresh: what no event told is found by reading the accounts, told once, and not mistaken for an event on its way."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.domain.event import BALANCE_UNHEARD, AccountKey
from notifier.domain.money import POINTS
from notifier.domain.pace import Pace
from notifier.domain.route import AddressBook, Condition, Route
from notifier.feishu.api import AppAccess, FeishuApi
from notifier.feishu.hire import ReferralAccounts
from notifier.feishu.wire import read_balance_report, read_event, write_reading
from notifier.flow.record import RecordParts, record
from notifier.flow.refresh import Refresher, RefreshParts
from notifier.flow.tell import Telling
from notifier.sandbox.box import FeishuBox
from notifier.sandbox.settings import SandboxSettings
from notifier.store import ledger, sweeps
from notifier.store.database import Database
from notifier.store.inbox import AcceptEvents
from notifier.store.tables import accounts, deliveries, inbox, notices
from support.builders import CNY
from support.clock import FakeClock

READ = "GET /open-apis/hire/v1/referral_account/get_account_assets"
GRACE = 20
HOUR = 3600


@dataclass
class Scene:
    """A store that has heard of every account of the stand-in, and a refresher that reads them.

    connected_since: by the clock; deaf: how often the refresher said that we are.
    """

    box: FeishuBox
    database: Database
    clock: FakeClock
    parts: RefreshParts
    deaf: list[int] = field(default_factory=list)
    connected_since: int | None = 0
    refresher: Refresher = field(init=False)

    def __post_init__(self) -> None:
        self.parts = replace(
            self.parts, connected_since=lambda: self.connected_since, deaf=lambda: self.deaf.append(1)
        )
        self.restart()

    def restart(self) -> None:
        self.refresher = Refresher(self.database, self.parts)

    def hear_all(self) -> None:
        """Every event that the stand-in has made, as it would have come."""
        events = [read_event(payload, app_id=self.box.app_id) for payload in _payloads(self.box)]
        accept = AcceptEvents(self.clock)
        self.database.write(lambda c: accept(c, events)).result()

    async def record(self) -> None:
        while await record(self.database, self._record_parts()):
            pass

    def _record_parts(self) -> RecordParts:
        book = AddressBook(groups={"hr": "oc_hr"}, fallback=None)
        return RecordParts(
            read=read_balance_report,
            routes=(Route(name="all", when=Condition(), targets=("referrer",)),),
            telling=Telling(book=book, max_age_ms=HOUR * 1000, alarm_group="hr"),
            clock=self.clock,
        )

    async def sweep(self, *, connected: bool = True, turns: int = 60, seconds: float = 0.5) -> None:
        """Goes on until a round is over, or for so many turns."""
        if connected:
            self.refresher.may_have_missed()
        await self.refresher.turn()
        for _ in range(turns):
            if self.running() is None:
                break
            self.clock.advance(seconds=seconds)
            await self.refresher.turn()
        await self.record()

    async def after_grace(self) -> None:
        self.clock.advance(seconds=GRACE + 1)
        await self.turns(3)
        await self.record()

    async def turns(self, count: int) -> None:
        for _ in range(count):
            await self.refresher.turn()
            self.clock.advance(seconds=0.5)

    def running(self) -> sweeps.Sweep | None:
        with self.database.read() as connection:
            return sweeps.running(connection)

    def newest(self) -> sweeps.Sweep:
        with self.database.read() as connection:
            found = sweeps.newest(connection)
        assert found is not None
        return found

    def rows(self, table: sa.Table) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.execute(sa.select(table).order_by(table.c.id)))

    def recovered(self) -> list[Any]:
        return [row for row in self.rows(notices) if row.recovered]

    def told_cash(self) -> list[list[str]]:
        """[before, after] of every notice about cash, oldest first."""
        return [
            [before, after]
            for row in self.rows(notices)
            for kind, _, before, after in json.loads(row.changes)
            if kind == "cash"
        ]

    def read_order(self) -> list[str]:
        return [row.account_id for row in self.rows(accounts)]

    def balance(self, account_id: str) -> dict[Any, Decimal]:
        key = AccountKey(tenant_key="sandbox-tenant", app_id=self.box.app_id, account_id=account_id)
        with self.database.read() as connection:
            assert [] == ledger.imbalances(connection)
            return ledger.history(connection, key)[-1][0].amounts


def _payloads(box: FeishuBox) -> list[bytes]:
    return [box.payload(event["event_id"]) for event in box.events()]


LIN = "7000000000000000001"


@pytest.fixture
def clock() -> FakeClock:
    """Near the stand-in's, as its answers say when they were made."""
    return FakeClock(datetime.now(UTC))


@pytest.fixture
async def scene(database: Database, clock: FakeClock) -> AsyncIterator[Scene]:
    with FeishuBox(SandboxSettings(extra_accounts=12, quotas=False)) as box:
        access = AppAccess(base_url=box.url, app_id=box.app_id, app_secret=box.app_secret, timeout_seconds=1)
        async with FeishuApi(access, clock) as api:
            made = Scene(
                box,
                database,
                clock,
                RefreshParts(
                    outside=ReferralAccounts(api),
                    app_id=box.app_id,
                    pace=Pace(per_second=9),
                    own_pace=Pace(per_second=9, burst=8),
                    every_ms=None,
                    on_connect=True,
                    grace_ms=GRACE * 1000,
                    write=write_reading,
                    connected_since=lambda: None,
                    clock=clock,
                    wake=lambda: None,
                    deaf=lambda: None,
                ),
            )
            box.hold()
            box.change_many([(each["account_id"], 1, {"CNY": "+10.00"}) for each in box.accounts()])
            made.hear_all()
            await made.record()
            yield made


async def test_what_agrees_changes_nothing(scene: Scene) -> None:
    before = len(scene.rows(notices))
    await scene.sweep()

    assert (16, 0, 0) == (scene.newest().read, scene.newest().failed, scene.newest().recovered)
    assert before == len(scene.rows(notices))
    assert all(row.agreed_at is not None for row in scene.rows(accounts))


async def test_a_change_that_no_event_told_is_recovered_once_and_says_so(scene: Scene) -> None:
    scene.box.change(LIN, cash={"CNY": "+500.00"})
    await scene.sweep()
    assert [] == scene.recovered(), "an event may still be on its way"
    await scene.after_grace()
    await scene.sweep()
    await scene.after_grace()

    assert ["360.5", "860.5"] == [each.rstrip("0") for each in scene.told_cash()[-1]]
    assert 1 == len(scene.recovered())
    assert Decimal("860.50") == scene.balance(LIN)[CNY]
    assert 1 == scene.newest().recovered or scene.newest().id > 1


async def test_an_event_that_comes_within_the_grace_is_told_and_nothing_else(scene: Scene) -> None:
    scene.box.change(LIN, cash={"CNY": "+500.00"})
    await scene.sweep()
    scene.hear_all()
    await scene.record()
    await scene.after_grace()

    assert [] == scene.recovered()
    assert Decimal("860.50") == scene.balance(LIN)[CNY]


async def test_another_change_within_the_grace_gets_a_grace_of_its_own(scene: Scene) -> None:
    """Its event may be on its way as well; what was suspected before is heard by then."""
    scene.box.change(LIN, cash={"CNY": "+500.00"})
    await scene.sweep()
    scene.hear_all()
    await scene.record()
    scene.box.change(LIN, cash={"CNY": "+1.00"})
    await scene.after_grace()
    assert [] == scene.recovered()
    await scene.after_grace()

    assert 1 == len(scene.recovered())
    assert Decimal("861.50") == scene.balance(LIN)[CNY]


async def test_the_event_that_comes_after_its_recovery_tells_nothing(scene: Scene) -> None:
    scene.box.change(LIN, cash={"CNY": "+500.00"})
    scene.box.change(LIN, cash={"CNY": "+7.00"})
    await scene.sweep()
    scene.box.advance(2)  # Feishu says whole seconds
    await scene.after_grace()
    before = len(scene.rows(notices))
    scene.hear_all()
    await scene.record()

    assert before == len(scene.rows(notices))
    assert Decimal("867.50") == scene.balance(LIN)[CNY]
    assert 1 == len(scene.recovered())


async def test_what_came_late_and_seems_older_than_a_read_is_read_once_more(scene: Scene) -> None:
    """Clocks that differ can put a newer balance before the read; the next read mends it."""
    scene.box.change(LIN, cash={"CNY": "+500.00"})
    await scene.sweep()
    await scene.after_grace()
    [event] = scene.box.change(LIN, cash={"CNY": "+2.00"})
    document = json.loads(scene.box.payload(event))
    document["event"]["modify_time"] = str(int(document["event"]["modify_time"]) - 3_600_000)
    late = read_event(json.dumps(document).encode(), app_id=scene.box.app_id)
    accept = AcceptEvents(scene.clock)
    scene.database.write(lambda c: accept(c, [late])).result()
    await scene.record()
    assert Decimal("860.50") == scene.balance(LIN)[CNY]
    scene.clock.advance(seconds=1)
    await scene.refresher.turn()
    await scene.after_grace()

    assert Decimal("862.50") == scene.balance(LIN)[CNY]


async def test_newest_accounts_come_first_and_a_restart_goes_on_where_it_was(scene: Scene) -> None:
    scene.box.change(LIN, cash={"CNY": "+1.00"})
    scene.hear_all()
    await scene.record()
    scene.refresher.may_have_missed()
    await scene.refresher.turn()
    first = [row.account_id for row in scene.rows(accounts) if row.agreed_at is not None]
    assert LIN in first
    assert len(first) < 16
    scene.restart()
    asked = len(scene.box.requests("/open-apis/hire"))
    await scene.sweep(connected=False)

    assert 16 == asked + len(scene.box.requests("/open-apis/hire")) - asked
    assert 16 == scene.newest().read


async def test_a_network_that_is_away_loses_no_account(scene: Scene) -> None:
    scene.box.add_fault({"match": READ, "action": "reset", "times": 30})
    await scene.sweep(turns=200, seconds=30)
    assert scene.running() is None
    scene.clock.advance(seconds=HOUR)  # those that were passed over meanwhile are read out of turn
    await scene.turns(40)

    assert all(row.agreed_at is not None for row in scene.rows(accounts))


async def test_one_account_that_always_fails_does_not_stop_the_round(scene: Scene) -> None:
    scene.box.add_fault(
        {
            "match": READ,
            "action": "code",
            "http_status": 400,
            "code": 1002553,
            "times": 1,
            "msg": "no account",
        }
    )
    await scene.sweep()

    assert (15, 1) == (scene.newest().read, scene.newest().failed)


async def test_a_change_while_we_were_connected_is_the_proof_of_deafness(scene: Scene) -> None:
    await scene.sweep()
    scene.box.change(LIN, cash={"CNY": "+500.00"})
    second = scene.box.accounts()[1]["account_id"]
    scene.box.change(second, cash={"CNY": "+1.00"})
    scene.clock.advance(seconds=HOUR)
    await scene.sweep()
    await scene.after_grace()

    kinds = [row.event_type for row in scene.rows(inbox)]
    alarms = [row for row in scene.rows(deliveries) if row.target == "hr"]
    assert scene.deaf
    assert 2 == scene.newest().unheard
    assert 1 == kinds.count(BALANCE_UNHEARD), "the alarm group hears of the first; the others are counted"
    assert 1 == len(alarms)


@pytest.mark.parametrize("since", [None, 10**15])
async def test_a_change_while_we_were_away_is_no_proof(scene: Scene, since: int | None) -> None:
    await scene.sweep()
    scene.box.change(LIN, cash={"CNY": "+500.00"})
    scene.connected_since = since
    await scene.sweep()
    await scene.after_grace()

    assert 1 == len(scene.recovered())
    assert [] == scene.deaf
    assert 0 == scene.newest().unheard


async def test_reads_are_paced(scene: Scene) -> None:
    await scene.sweep(turns=3, seconds=0.5)

    assert 4 <= len(scene.box.requests("/open-apis/hire")) <= 8 + 9 * 2


async def test_a_round_comes_on_its_schedule_and_never_twice_at_once(scene: Scene) -> None:
    scene.parts = replace(scene.parts, every_ms=6 * HOUR * 1000, on_connect=False)
    scene.restart()
    await scene.sweep(connected=False)
    first = scene.newest().id
    await scene.refresher.turn()
    assert first == scene.newest().id
    scene.clock.advance(seconds=6 * HOUR)
    await scene.sweep(connected=False)

    assert first + 1 == scene.newest().id


async def test_a_clock_that_was_set_back_does_not_stop_the_schedule(scene: Scene) -> None:
    scene.parts = replace(scene.parts, every_ms=6 * HOUR * 1000, on_connect=False)
    scene.restart()
    await scene.sweep(connected=False)
    first = scene.newest().id
    scene.clock.advance(seconds=-30 * 24 * HOUR)
    await scene.refresher.turn()

    assert first + 1 == scene.newest().id


async def test_points_are_read_too(scene: Scene) -> None:
    scene.box.change(LIN, points=30)
    await scene.sweep()
    await scene.after_grace()

    assert Decimal(151) == scene.balance(LIN)[POINTS]


def test_the_next_accounts_are_found_by_their_index(database: Database) -> None:
    with database.read() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT * FROM accounts WHERE modified_at IS NOT NULL AND (modified_at, id) < (5, 5)"
            " AND app_id = 'a' ORDER BY modified_at DESC, id DESC LIMIT 8"
        ).all()

    assert "ix_accounts_newest" in str(plan)
    assert "TEMP B-TREE" not in str(plan)

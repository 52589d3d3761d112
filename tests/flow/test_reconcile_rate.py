"""The pace of the refresh: as fast as Feishu allows, though it is slow; held up by an outage, never by one account."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa

from notifier.config.settings import Config
from notifier.domain.account import AccountState, Withdrawn
from notifier.domain.money import Kind
from notifier.errors import CallError, OutcomeUnknown, Refused
from notifier.flow.events.reconcile import FAILED_PAUSE_MS, MOST_TRIES
from notifier.flow.ports import Treasury
from notifier.runtime.factories import refresh_parts
from notifier.store import rate_limits as stored_gates
from notifier.store.engine.database import Database
from notifier.store.schema.tables import accounts, gates
from support.builders import CNY
from support.clock import FakeClock
from support.reconciling import HOUR, LIN, READ, Scene, refresh_scene

FEISHU_ALLOWS = 10
AT_ONCE = 8
APP_STOPPED = (99991401, 99991403, 99991662, 99991673)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))


@pytest.fixture
async def scene(database: Database, clock: FakeClock) -> AsyncIterator[Scene]:
    async with refresh_scene(database, clock) as made:
        yield made


@dataclass
class Wayward:
    """Feishu with accounts that always fail, or with its answers held back. asked: (when by the clock, which) of each
    read; news: one for each.
    """

    feishu: Treasury
    clock: FakeClock
    fails: dict[str, CallError]
    asked: list[tuple[int, str]] = field(default_factory=list)
    news: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: int = 0

    async def read(self, account_id: str) -> AccountState:
        self.asked.append((self.clock.millis, account_id))
        self.under_way += 1
        self.news.put_nowait(account_id)
        await self.may_answer.wait()
        self.under_way -= 1
        if account_id in self.fails:
            raise self.fails[account_id]
        return await self.feishu.read(account_id)

    async def withdraw(self, account_id: str, *, order_id: str, kinds: Collection[Kind]) -> Withdrawn:
        raise NotImplementedError

    def times(self, account_id: str) -> int:
        return [which for _, which in self.asked].count(account_id)


def wayward(scene: Scene, **fails: CallError) -> Wayward:
    """fails: by the account's id behind an underscore."""
    found = Wayward(scene.parts.outside, scene.clock, {key[1:]: error for key, error in fails.items()})
    found.may_answer.set()
    scene.parts = replace(scene.parts, outside=found)
    scene.restart()
    return found


def agreed(scene: Scene) -> int:
    return len([row for row in scene.rows(accounts) if row.agreed_at is not None])


def pauses(scene: Scene) -> list[str]:
    """Gates that were ever shut."""
    with scene.database.read() as connection:
        rows = connection.execute(sa.select(gates).where(gates.c.closed_until > 0))
        return [row.name for row in rows]


def most_in_a_second(moments: list[int]) -> int:
    return max(sum(start <= at < start + 1000 for at in moments) for start in moments)


def in_production(scene: Scene) -> None:
    """The paces that the program itself runs with."""
    real = refresh_parts(
        Config(),
        scene.parts.outside,
        scene.clock,
        connected_since=lambda: None,
        wake=lambda: None,
        deaf=lambda: None,
    )
    scene.parts = replace(scene.parts, pace=real.pace, own_pace=real.own_pace)
    scene.restart()


async def test_a_slow_feishu_is_asked_several_things_at_once_and_at_the_same_pace(scene: Scene) -> None:
    feishu = wayward(scene)
    in_production(scene)
    feishu.may_answer.clear()
    scene.refresher.may_have_missed()
    turn = asyncio.ensure_future(scene.refresher.turn())
    for _ in range(AT_ONCE):
        await asyncio.wait_for(feishu.news.get(), 20)
        scene.clock.advance(seconds=0.2)

    assert AT_ONCE == feishu.under_way
    moments = [at for at, _ in feishu.asked]
    assert all(later - earlier >= 200 for earlier, later in itertools.pairwise(moments))
    feishu.may_answer.set()
    await turn
    await scene.sweep(connected=False)
    assert 16 == agreed(scene)
    assert 16 == len(feishu.asked)


async def test_reads_and_look_ups_together_stay_within_what_feishu_allows(scene: Scene) -> None:
    """After a while the look-ups for cards take every free turn of the gate they share."""
    feishu = wayward(scene)
    in_production(scene)
    looked_up: list[int] = []

    def look_up(connection: sa.Connection) -> None:
        now, pace = scene.clock.millis, scene.parts.pace
        gate = stored_gates.load(connection, stored_gates.LOOKUPS)
        allowed = gate.passes(pace, now=now, wanted=20)
        stored_gates.keep(connection, [gate.after(allowed, pace, now=now)])
        looked_up.extend([now] * allowed)

    scene.refresher.may_have_missed()
    for number in range(300):
        scene.clock.advance(seconds=0.02)
        await scene.refresher.turn()
        if number > 150 and number % 2:
            scene.database.write(look_up).result()

    reads = [at for at, _ in feishu.asked]
    assert len(reads) >= 16
    assert len(looked_up) >= 10
    assert most_in_a_second(reads) <= Config().refresh.reads_per_second
    assert most_in_a_second([*reads, *looked_up]) <= FEISHU_ALLOWS


async def test_an_account_that_always_fails_holds_nobody_up_and_is_passed_over_after_a_few_tries(
    scene: Scene,
) -> None:
    feishu = wayward(scene, **{f"_{LIN}": OutcomeUnknown("HTTP 500 without a Feishu answer")})
    await scene.sweep()
    assert 15 == agreed(scene)
    await scene.past(120)

    assert (15, 1) == (scene.total("read"), scene.total("failed"))
    assert MOST_TRIES == feishu.times(LIN)
    assert 16 - 1 + MOST_TRIES == len(feishu.asked)
    await scene.past(HOUR, step=10)
    assert 1 == scene.total("failed"), "once a round"
    feishu.fails.clear()
    await scene.past(FAILED_PAUSE_MS / 1000)
    assert 16 == agreed(scene)


async def test_the_failures_of_one_account_shut_no_gate(scene: Scene) -> None:
    wayward(scene, **{f"_{LIN}": OutcomeUnknown("HTTP 500 without a Feishu answer")})
    await scene.sweep()

    assert scene.running() is None
    assert [] == pauses(scene)


async def test_an_account_that_feishu_refuses_waits_for_the_next_round(scene: Scene) -> None:
    feishu = wayward(scene, **{f"_{LIN}": Refused("no", code=1)})
    await scene.sweep()
    await scene.past(HOUR, step=10)

    assert MOST_TRIES == feishu.times(LIN)
    assert 1 == scene.total("failed")


async def test_an_account_that_feishu_does_not_know_is_asked_for_once(scene: Scene) -> None:
    unknown = scene.box.add_fault(
        {"match": READ, "action": "code", "http_status": 400, "code": 1002553, "times": 1}
    )
    await scene.sweep()
    await scene.past(60)

    assert (15, 1) == (scene.newest().read, scene.newest().failed)
    assert (1, 16) == (scene.box.fault_hits(unknown), scene.reads())


@pytest.mark.parametrize("failing", [11, 40])
async def test_a_crowd_that_always_fails_holds_nobody_up_either(
    database: Database, clock: FakeClock, failing: int
) -> None:
    """Though they are the newest, and in the next round again. So many seconds are an eighth of what an hour allows."""
    async with refresh_scene(database, clock, extra=failing + 16) as scene:
        newest_first = [
            row.account_id
            for row in sorted(scene.rows(accounts), key=lambda row: (-row.modified_at, -row.id))
        ]
        crowd, others = newest_first[:failing], newest_first[failing:]
        feishu = wayward(scene, **{f"_{each}": OutcomeUnknown("no", code=1002001) for each in crowd})
        in_production(scene)
        for _ in range(2):
            before = len(feishu.asked)
            scene.refresher.may_have_missed()
            await scene.past(450)

            assert set(others) <= {which for _, which in feishu.asked[before:]}
            assert scene.running() is None


async def test_where_every_read_fails_feishu_is_asked_once_a_minute(scene: Scene) -> None:
    broken = scene.box.add_fault({"match": READ, "action": "http", "http_status": 500})
    scene.refresher.may_have_missed()
    await scene.past(600)
    assert 10 <= scene.box.fault_hits(broken) <= 30
    scene.box.clear_faults()
    await scene.past(FAILED_PAUSE_MS / 1000)

    assert 16 == agreed(scene)


@pytest.mark.parametrize("code", APP_STOPPED)
async def test_while_the_app_is_stopped_nobody_is_passed_over(scene: Scene, code: int) -> None:
    """A change that was missed is found as soon as somebody lets the app go on."""
    scene.box.change(LIN, cash={"CNY": "+500.00"})
    await scene.sweep()
    assert 1 == len([row for row in scene.rows(accounts) if row.reread_at is not None])
    stopped_at = scene.clock.millis
    scene.box.add_fault({"match": READ, "action": "code", "http_status": 400, "code": code})
    await scene.sweep(turns=5)
    await scene.past(1800)
    assert {stored_gates.LOOKUPS, stored_gates.SWEEPS} == set(pauses(scene))
    assert 0 == scene.total("failed")
    scene.box.clear_faults()
    await scene.past(120)

    assert 1 == len(scene.recovered())
    assert Decimal("860.50") == scene.balance(LIN)[CNY]
    assert scene.running() is None
    assert all(row.agreed_at > stopped_at for row in scene.rows(accounts) if row.account_id != LIN)


async def test_a_read_that_was_cut_off_is_made_again(scene: Scene) -> None:
    """The process may end, or the database fail, between question and answer."""
    feishu = wayward(scene)
    feishu.may_answer.clear()
    scene.refresher.may_have_missed()
    turn = asyncio.ensure_future(scene.refresher.turn())
    cut_off = await asyncio.wait_for(feishu.news.get(), 20)
    turn.cancel()
    await asyncio.wait({turn})
    feishu.may_answer.set()
    scene.restart()
    await scene.sweep(connected=False)
    assert 15 == agreed(scene)
    await scene.past(60)

    assert 2 == feishu.times(cut_off)
    assert (16, 16) == (agreed(scene), scene.total("read"))

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
from notifier.domain.account import AccountState, Referrer, Withdrawn
from notifier.domain.money import Kind
from notifier.errors import CallError, OutcomeUnknown, Refused
from notifier.flow.events.reconcile import FAILED_PAUSE_MS, MAX_TRIES
from notifier.flow.ports import ReferralAccounts
from notifier.runtime.factories import make_reconcile_deps
from notifier.store import rate_limits as stored_gates
from notifier.store.engine.database import Database
from notifier.store.schema.tables import accounts, rate_limits
from support.builders import CNY
from support.clock import FakeClock
from support.reconciling import DRAIN_SECONDS, HOUR, LIN, READ, ReconcileScene, reconcile_scene

FEISHU_ALLOWS = 10
AT_ONCE = 8
APP_STOPPED = (99991401, 99991403, 99991662, 99991673)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))


@pytest.fixture
async def scene(database: Database, clock: FakeClock) -> AsyncIterator[ReconcileScene]:
    async with reconcile_scene(database, clock) as made:
        yield made


@dataclass
class Wayward:
    """Feishu with accounts that always fail, or with its answers held back. asked: (when by the clock, which) of each
    read; news: one for each.
    """

    feishu: ReferralAccounts
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

    async def referrer(self, account_id: str) -> Referrer | None:
        return await self.feishu.referrer(account_id)

    async def withdraw(self, account_id: str, *, order_id: str, kinds: Collection[Kind]) -> Withdrawn:
        raise NotImplementedError

    def times(self, account_id: str) -> int:
        return [which for _, which in self.asked].count(account_id)


def wayward(scene: ReconcileScene, **fails: CallError) -> Wayward:
    """fails: by the account's id behind an underscore."""
    found = Wayward(
        scene.deps.referral_accounts, scene.clock, {key[1:]: error for key, error in fails.items()}
    )
    found.may_answer.set()
    scene.deps = replace(scene.deps, referral_accounts=found)
    scene.restart()
    return found


def agreed(scene: ReconcileScene) -> int:
    return len([row for row in scene.rows(accounts) if row.confirmed_at is not None])


def pauses(scene: ReconcileScene) -> list[str]:
    """Gates that were ever shut."""
    with scene.database.read() as connection:
        rows = connection.execute(sa.select(rate_limits).where(rate_limits.c.blocked_until > 0))
        return [row.name for row in rows]


def most_in_a_second(moments: list[int]) -> int:
    return max(sum(start <= at < start + 1000 for at in moments) for start in moments)


def in_production(scene: ReconcileScene) -> None:
    """The paces that the program itself runs with."""
    real = make_reconcile_deps(
        Config(),
        scene.deps.referral_accounts,
        scene.clock,
        connected_since=lambda: None,
        wake=lambda: None,
        on_not_receiving=lambda: None,
    )
    scene.deps = replace(scene.deps, limit=real.limit, own_limit=real.own_limit)
    scene.restart()


async def test_a_slow_feishu_is_asked_several_things_at_once_and_at_the_same_pace(
    scene: ReconcileScene,
) -> None:
    feishu = wayward(scene)
    in_production(scene)
    feishu.may_answer.clear()
    scene.reconciler.request_run()
    for _ in range(AT_ONCE):
        await scene.reconciler.run_once()
        await asyncio.wait_for(feishu.news.get(), 20)
        scene.clock.advance(seconds=0.2)

    assert AT_ONCE == feishu.under_way
    moments = [at for at, _ in feishu.asked]
    assert all(later - earlier >= 200 for earlier, later in itertools.pairwise(moments))
    feishu.may_answer.set()
    await scene.reconciler.drain(DRAIN_SECONDS)
    await scene.reconcile(connected=False)
    assert 16 == agreed(scene)
    assert 16 == len(feishu.asked)


async def test_reads_and_look_ups_together_stay_within_what_feishu_allows(scene: ReconcileScene) -> None:
    """After a while the look-ups for cards take every free turn of the gate they share."""
    feishu = wayward(scene)
    in_production(scene)
    looked_up: list[int] = []

    def look_up(connection: sa.Connection) -> None:
        now, limit = scene.clock.millis, scene.deps.limit
        limiter = stored_gates.load_limiter(connection, stored_gates.LOOKUPS)
        allowed = limiter.allowed_calls(limit, now=now, wanted=20)
        stored_gates.save_limiters(connection, [limiter.after(allowed, limit, now=now)])
        looked_up.extend([now] * allowed)

    scene.reconciler.request_run()
    for number in range(300):
        scene.clock.advance(seconds=0.02)
        await scene.run_once()
        if number > 150 and number % 2:
            scene.database.write(look_up).result()

    reads = [at for at, _ in feishu.asked]
    assert len(reads) >= 16
    assert len(looked_up) >= 10
    assert most_in_a_second(reads) <= Config().reconciliation.reads_per_second
    assert most_in_a_second([*reads, *looked_up]) <= FEISHU_ALLOWS


async def test_an_account_that_always_fails_holds_nobody_up_and_is_passed_over_after_a_few_tries(
    scene: ReconcileScene,
) -> None:
    feishu = wayward(scene, **{f"_{LIN}": OutcomeUnknown("HTTP 500 without a Feishu answer")})
    await scene.reconcile()
    assert 15 == agreed(scene)
    await scene.pass_time(120)

    assert (15, 1) == (scene.sum_column("read"), scene.sum_column("failed"))
    assert MAX_TRIES == feishu.times(LIN)
    assert 16 - 1 + MAX_TRIES == len(feishu.asked)
    await scene.pass_time(HOUR, step=10)
    assert 1 == scene.sum_column("failed"), "once a round"
    feishu.fails.clear()
    await scene.pass_time(FAILED_PAUSE_MS / 1000)
    assert 16 == agreed(scene)


async def test_the_failures_of_one_account_shut_no_gate(scene: ReconcileScene) -> None:
    wayward(scene, **{f"_{LIN}": OutcomeUnknown("HTTP 500 without a Feishu answer")})
    await scene.reconcile()

    assert scene.running() is None
    assert [] == pauses(scene)


async def test_an_account_that_feishu_refuses_waits_for_the_next_round(scene: ReconcileScene) -> None:
    feishu = wayward(scene, **{f"_{LIN}": Refused("no", code=1)})
    await scene.reconcile()
    await scene.pass_time(HOUR, step=10)

    assert MAX_TRIES == feishu.times(LIN)
    assert 1 == scene.sum_column("failed")


async def test_an_account_that_feishu_does_not_know_is_asked_for_once(scene: ReconcileScene) -> None:
    unknown = scene.box.add_call_fault(
        {"match": READ, "action": "code", "http_status": 400, "code": 1002553, "times": 1}
    )
    await scene.reconcile()
    await scene.pass_time(60)

    assert (15, 1) == (scene.newest().read, scene.newest().failed)
    assert (1, 16) == (scene.box.count_call_fault_hits(unknown), scene.reads())


@pytest.mark.parametrize("failing", [11, 40])
async def test_a_crowd_that_always_fails_holds_nobody_up_either(
    database: Database, clock: FakeClock, failing: int
) -> None:
    """Though they are the newest, and in the next round again. So many seconds are an eighth of what an hour allows."""
    async with reconcile_scene(database, clock, extra=failing + 16) as scene:
        newest_first = [
            row.account_id
            for row in sorted(scene.rows(accounts), key=lambda row: (-row.modified_at, -row.id))
        ]
        crowd, others = newest_first[:failing], newest_first[failing:]
        feishu = wayward(scene, **{f"_{each}": OutcomeUnknown("no", code=1002001) for each in crowd})
        in_production(scene)
        for _ in range(2):
            before = len(feishu.asked)
            scene.reconciler.request_run()
            await scene.pass_time(450)

            assert set(others) <= {which for _, which in feishu.asked[before:]}
            assert scene.running() is None


async def test_where_every_read_fails_feishu_is_asked_once_a_minute(scene: ReconcileScene) -> None:
    broken = scene.box.add_call_fault({"match": READ, "action": "http", "http_status": 500})
    scene.reconciler.request_run()
    await scene.pass_time(600)
    assert 10 <= scene.box.count_call_fault_hits(broken) <= 30
    scene.box.clear_call_faults()
    await scene.pass_time(FAILED_PAUSE_MS / 1000)

    assert 16 == agreed(scene)


@pytest.mark.parametrize("code", APP_STOPPED)
async def test_while_the_app_is_stopped_nobody_is_passed_over(scene: ReconcileScene, code: int) -> None:
    """A change that was missed is found as soon as somebody lets the app go on."""
    scene.box.change_balance(LIN, cash={"CNY": "+500.00"})
    await scene.reconcile()
    assert 1 == len([row for row in scene.rows(accounts) if row.recheck_at is not None])
    stopped_at = scene.clock.millis
    scene.box.add_call_fault({"match": READ, "action": "code", "http_status": 400, "code": code})
    await scene.reconcile(max_runs=5)
    await scene.pass_time(1800)
    assert {stored_gates.LOOKUPS, stored_gates.RECONCILIATIONS} == set(pauses(scene))
    assert 0 == scene.sum_column("failed")
    scene.box.clear_call_faults()
    await scene.pass_time(120)

    assert 1 == len(scene.recovered())
    assert Decimal("860.50") == scene.balance(LIN)[CNY]
    assert scene.running() is None
    assert all(row.confirmed_at > stopped_at for row in scene.rows(accounts) if row.account_id != LIN)


async def test_a_read_that_was_cut_off_is_made_again(scene: ReconcileScene) -> None:
    """The process may end, or the database fail, between question and answer."""
    feishu = wayward(scene)
    feishu.may_answer.clear()
    scene.reconciler.request_run()
    await scene.reconciler.run_once()
    cut_off = await asyncio.wait_for(feishu.news.get(), 20)
    await scene.reconciler.drain(0)
    feishu.may_answer.set()
    scene.restart()
    await scene.reconcile(connected=False)
    assert 15 == agreed(scene)
    await scene.pass_time(60)

    assert 2 == feishu.times(cut_off)
    assert (16, 16) == (agreed(scene), scene.sum_column("read"))

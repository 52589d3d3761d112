"""Rate of reconciliation reads: as fast as the limits allow; an outage pauses it, a failing account does not."""

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
from notifier.store import rate_limits as limiter_store
from notifier.store.engine.database import Database
from notifier.store.schema.tables import accounts, rate_limits
from support.builders import CNY
from support.clock import FakeClock
from support.reconciling import DRAIN_SECONDS, HOUR, LIN, READ, ReconcileScene, reconcile_scene

FEISHU_CALLS_PER_SECOND = 10
SLOTS = 8
APP_STOPPED_CODES = (99991401, 99991403, 99991662, 99991673)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))


@pytest.fixture
async def scene(database: Database, clock: FakeClock) -> AsyncIterator[ReconcileScene]:
    async with reconcile_scene(database, clock) as scene:
        yield scene


@dataclass
class FaultyAccounts:
    """Feishu with accounts whose reads always fail, or with delayed answers."""

    feishu: ReferralAccounts
    clock: FakeClock
    fails: dict[str, CallError]
    """The error of each failing account, by account id."""
    reads: list[tuple[int, str]] = field(default_factory=list)
    """(Unix milliseconds by the clock, account id) of each read."""
    started: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)
    """The account id of each read when it starts."""
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    """Reads wait until it is set."""
    in_flight: int = 0
    """Reads that wait for their answer."""

    async def read(self, account_id: str) -> AccountState:
        self.reads.append((self.clock.millis, account_id))
        self.in_flight += 1
        self.started.put_nowait(account_id)
        await self.may_answer.wait()
        self.in_flight -= 1
        if account_id in self.fails:
            raise self.fails[account_id]
        return await self.feishu.read(account_id)

    async def referrer(self, account_id: str) -> Referrer | None:
        return await self.feishu.referrer(account_id)

    async def withdraw(self, account_id: str, *, order_id: str, kinds: Collection[Kind]) -> Withdrawn:
        raise NotImplementedError

    def times(self, account_id: str) -> int:
        return [read_id for _, read_id in self.reads].count(account_id)


def with_faults(scene: ReconcileScene, **fails: CallError) -> FaultyAccounts:
    """fails: errors by "_" and account id."""
    faulty = FaultyAccounts(
        scene.deps.referral_accounts, scene.clock, {key[1:]: error for key, error in fails.items()}
    )
    faulty.may_answer.set()
    scene.deps = replace(scene.deps, referral_accounts=faulty)
    scene.restart()
    return faulty


def count_confirmed(scene: ReconcileScene) -> int:
    return len([row for row in scene.rows(accounts) if row.confirmed_at is not None])


def blocked_limiters(scene: ReconcileScene) -> list[str]:
    """Returns the rate limiters that were ever blocked."""
    with scene.database.read() as connection:
        rows = connection.execute(sa.select(rate_limits).where(rate_limits.c.blocked_until > 0))
        return [row.name for row in rows]


def most_in_a_second(moments: list[int]) -> int:
    return max(sum(start <= at < start + 1000 for at in moments) for start in moments)


def use_configured_limits(scene: ReconcileScene) -> None:
    """Uses the rate limits of the default configuration."""
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


async def test_slow_reads_run_several_at_once_within_the_rate_limit(
    scene: ReconcileScene,
) -> None:
    feishu = with_faults(scene)
    use_configured_limits(scene)
    feishu.may_answer.clear()
    scene.reconciler.request_run()
    for _ in range(SLOTS):
        await scene.reconciler.run_once()
        await asyncio.wait_for(feishu.started.get(), 20)
        scene.clock.advance(seconds=0.2)

    assert SLOTS == feishu.in_flight
    moments = [at for at, _ in feishu.reads]
    assert all(later - earlier >= 200 for earlier, later in itertools.pairwise(moments))
    feishu.may_answer.set()
    await scene.reconciler.drain(DRAIN_SECONDS)
    await scene.reconcile(connected=False)
    assert 16 == count_confirmed(scene)
    assert 16 == len(feishu.reads)


async def test_reads_and_look_ups_together_stay_within_what_feishu_allows(scene: ReconcileScene) -> None:
    """After a while the look-ups for cards use all that the shared limiter allows."""
    feishu = with_faults(scene)
    use_configured_limits(scene)
    looked_up: list[int] = []

    def look_up(connection: sa.Connection) -> None:
        now, limit = scene.clock.millis, scene.deps.limit
        limiter = limiter_store.load_limiter(connection, limiter_store.LOOKUPS)
        allowed = limiter.allowed_calls(limit, now=now, wanted=20)
        limiter_store.save_limiters(connection, [limiter.after(allowed, limit, now=now)])
        looked_up.extend([now] * allowed)

    scene.reconciler.request_run()
    for number in range(300):
        scene.clock.advance(seconds=0.02)
        await scene.run_once()
        if number > 150 and number % 2:
            scene.database.write(look_up).result()

    reads = [at for at, _ in feishu.reads]
    assert len(reads) >= 16
    assert len(looked_up) >= 10
    assert most_in_a_second(reads) <= Config().reconciliation.reads_per_second
    assert most_in_a_second([*reads, *looked_up]) <= FEISHU_CALLS_PER_SECOND


async def test_an_account_that_always_fails_blocks_nobody_and_is_skipped_after_a_few_tries(
    scene: ReconcileScene,
) -> None:
    feishu = with_faults(scene, **{f"_{LIN}": OutcomeUnknown("HTTP 500 without a Feishu answer")})
    await scene.reconcile()
    assert 15 == count_confirmed(scene)
    await scene.pass_time(120)

    assert (15, 1) == (scene.sum_column("read"), scene.sum_column("failed"))
    assert MAX_TRIES == feishu.times(LIN)
    assert 16 - 1 + MAX_TRIES == len(feishu.reads)
    await scene.pass_time(HOUR, step=10)
    assert 1 == scene.sum_column("failed"), "once a run"
    feishu.fails.clear()
    await scene.pass_time(FAILED_PAUSE_MS / 1000)
    assert 16 == count_confirmed(scene)


async def test_the_failures_of_one_account_block_no_limiter(scene: ReconcileScene) -> None:
    with_faults(scene, **{f"_{LIN}": OutcomeUnknown("HTTP 500 without a Feishu answer")})
    await scene.reconcile()

    assert scene.running() is None
    assert [] == blocked_limiters(scene)


async def test_an_account_that_feishu_refuses_waits_for_the_next_run(scene: ReconcileScene) -> None:
    feishu = with_faults(scene, **{f"_{LIN}": Refused("no", code=1)})
    await scene.reconcile()
    await scene.pass_time(HOUR, step=10)

    assert MAX_TRIES == feishu.times(LIN)
    assert 1 == scene.sum_column("failed")


async def test_an_account_that_feishu_does_not_know_is_read_once(scene: ReconcileScene) -> None:
    unknown = scene.box.add_call_fault(
        {"match": READ, "action": "code", "http_status": 400, "code": 1002553, "times": 1}
    )
    await scene.reconcile()
    await scene.pass_time(60)

    assert (15, 1) == (scene.newest().read, scene.newest().failed)
    assert (1, 16) == (scene.box.count_call_fault_hits(unknown), scene.reads())


@pytest.mark.parametrize("failing", [11, 40])
async def test_many_accounts_that_always_fail_block_nobody(
    database: Database, clock: FakeClock, failing: int
) -> None:
    """They are the newest, so each run reads them first. 450 seconds are an eighth of an hour."""
    async with reconcile_scene(database, clock, extra=failing + 16) as scene:
        newest_first = [
            row.account_id
            for row in sorted(scene.rows(accounts), key=lambda row: (-row.modified_at, -row.id))
        ]
        faulty, others = newest_first[:failing], newest_first[failing:]
        feishu = with_faults(scene, **{f"_{each}": OutcomeUnknown("no", code=1002001) for each in faulty})
        use_configured_limits(scene)
        for _ in range(2):
            before = len(feishu.reads)
            scene.reconciler.request_run()
            await scene.pass_time(450)

            assert set(others) <= {read_id for _, read_id in feishu.reads[before:]}
            assert scene.running() is None


async def test_if_every_read_fails_only_one_read_a_minute_is_made(scene: ReconcileScene) -> None:
    fault = scene.box.add_call_fault({"match": READ, "action": "http", "http_status": 500})
    scene.reconciler.request_run()
    await scene.pass_time(600)
    assert 10 <= scene.box.count_call_fault_hits(fault) <= 30
    scene.box.clear_call_faults()
    await scene.pass_time(FAILED_PAUSE_MS / 1000)

    assert 16 == count_confirmed(scene)


@pytest.mark.parametrize("code", APP_STOPPED_CODES)
async def test_while_the_app_is_suspended_no_account_is_skipped(scene: ReconcileScene, code: int) -> None:
    """A missed change is found soon after the app is enabled again."""
    scene.box.change_balance(LIN, cash={"CNY": "+500.00"})
    await scene.reconcile()
    assert 1 == len([row for row in scene.rows(accounts) if row.recheck_at is not None])
    stopped_at = scene.clock.millis
    scene.box.add_call_fault({"match": READ, "action": "code", "http_status": 400, "code": code})
    await scene.reconcile(max_runs=5)
    await scene.pass_time(1800)
    assert {limiter_store.LOOKUPS, limiter_store.RECONCILIATIONS} == set(blocked_limiters(scene))
    assert 0 == scene.sum_column("failed")
    scene.box.clear_call_faults()
    await scene.pass_time(120)

    assert 1 == len(scene.recovered())
    assert Decimal("860.50") == scene.balance(LIN)[CNY]
    assert scene.running() is None
    assert all(row.confirmed_at > stopped_at for row in scene.rows(accounts) if row.account_id != LIN)


async def test_a_cancelled_read_is_made_again(scene: ReconcileScene) -> None:
    """The process may end, or the database fail, before the answer is stored."""
    feishu = with_faults(scene)
    feishu.may_answer.clear()
    scene.reconciler.request_run()
    await scene.reconciler.run_once()
    cancelled = await asyncio.wait_for(feishu.started.get(), 20)
    await scene.reconciler.drain(0)
    feishu.may_answer.set()
    scene.restart()
    await scene.reconcile(connected=False)
    assert 15 == count_confirmed(scene)
    await scene.pass_time(60)

    assert 2 == feishu.times(cancelled)
    assert (16, 16) == (count_confirmed(scene), scene.sum_column("read"))

"""The pace of registrations: at most 98 in any minute, also of two commands, and after a wait that Feishu asks for."""

import asyncio

import pytest

from notifier.clock import to_millis
from notifier.errors import TemporaryFailure
from notifier.operations.accounts.pacing import CallPacer
from notifier.operations.accounts.registration import CREATE_LIMIT
from notifier.store import rate_limits
from notifier.store.engine.database import Database
from support.clock import FakeClock


@pytest.fixture
def _time_passes(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock takes 20 ms of its time and no real time."""

    async def sleep(seconds: float) -> None:
        clock.advance(seconds=seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)


@pytest.mark.usefixtures("_time_passes")
def test_two_commands_together_keep_the_limit(database: Database, clock: FakeClock) -> None:
    starts: list[int] = []

    async def run() -> None:
        pacers = [CallPacer(database, clock), CallPacer(database, clock)]
        for number in range(150):
            await pacers[number % 2].claim(
                rate_limits.REGISTRATIONS, CREATE_LIMIT, lambda _c, now: starts.append(now)
            )

    asyncio.run(run())

    assert 150 == len(starts)
    busiest = max(sum(at <= other < at + 60_000 for other in starts) for at in starts)
    assert 95 <= busiest <= 100


@pytest.mark.usefixtures("_time_passes")
def test_a_wait_that_feishu_asks_for_is_kept_by_all(database: Database, clock: FakeClock) -> None:
    before = to_millis(clock.now())

    async def run() -> int | None:
        error = TemporaryFailure("limit", code=99991400, retry_after_seconds=7, affects_whole_app=True)
        await CallPacer(database, clock).block(rate_limits.REGISTRATIONS, error)
        return await CallPacer(database, clock).claim(
            rate_limits.REGISTRATIONS, CREATE_LIMIT, lambda _c, now: now
        )

    claimed_at = asyncio.run(run())

    assert claimed_at is not None
    assert 7_000 <= claimed_at - before < 8_000


def test_a_command_that_ends_claims_nothing(database: Database, clock: FakeClock) -> None:
    pacer = CallPacer(database, clock, is_over=lambda: True)

    assert asyncio.run(pacer.claim(rate_limits.REGISTRATIONS, CREATE_LIMIT, lambda _c, _now: 1)) is None

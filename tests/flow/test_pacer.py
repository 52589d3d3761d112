"""Pacer: calls that were claimed together start one by one, also if the process was busy meanwhile."""

import asyncio
import itertools
import time

from notifier.domain.rate_limit import RateLimit
from notifier.flow.pacer import Pacer


async def test_calls_that_wait_together_start_one_by_one_also_after_a_busy_moment() -> None:
    """Of the turns that passed meanwhile, one is made up for."""
    pacer, started = Pacer(RateLimit(per_second=200)), []

    async def call() -> None:
        await pacer.turn()
        started.append(asyncio.get_running_loop().time())

    calls = asyncio.gather(*(call() for _ in range(8)))
    asyncio.get_running_loop().call_later(0.007, time.sleep, 0.03)  # the process is busy
    await calls

    assert all(later - earlier >= 0.004 for earlier, later in itertools.pairwise(started[::2]))
    assert started[-1] - started[0] >= 0.005 * 6


async def test_a_call_after_a_rest_starts_at_once() -> None:
    pacer = Pacer(RateLimit(per_second=0.01))
    await asyncio.wait_for(pacer.turn(), 1)


async def test_a_cancelled_call_leaves_its_turn_to_the_next_one() -> None:
    pacer = Pacer(RateLimit(per_second=50))
    await pacer.turn()
    waiting = asyncio.ensure_future(pacer.turn())
    await asyncio.sleep(0)
    waiting.cancel()

    await asyncio.wait_for(pacer.turn(), 1)

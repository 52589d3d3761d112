"""Pacer: calls that were claimed together start one by one, also if the process was busy meanwhile."""

import asyncio
import itertools
import time

from notifier.domain.rate_limit import RateLimit
from notifier.flow.pacer import MAX_KEPT_RECIPIENTS, Pacer

FREE = RateLimit(per_second=1_000_000)
"""A limit that delays nothing."""


async def test_calls_that_wait_together_start_one_by_one_also_after_a_busy_moment() -> None:
    """Of the turns that passed meanwhile, one is made up for."""
    pacer, started = Pacer(RateLimit(per_second=200), FREE), []

    async def call() -> None:
        await pacer.turn("ou_1")
        started.append(asyncio.get_running_loop().time())

    calls = asyncio.gather(*(call() for _ in range(8)))
    asyncio.get_running_loop().call_later(0.007, time.sleep, 0.03)  # the process is busy
    await calls

    assert all(later - earlier >= 0.004 for earlier, later in itertools.pairwise(started[::2]))
    assert started[-1] - started[0] >= 0.005 * 6


async def test_a_call_after_a_rest_starts_at_once() -> None:
    pacer = Pacer(RateLimit(per_second=0.01), FREE)
    await asyncio.wait_for(pacer.turn("ou_1"), 1)


async def test_a_cancelled_call_leaves_its_turn_to_the_next_one() -> None:
    pacer = Pacer(RateLimit(per_second=50), FREE)
    await pacer.turn("ou_1")
    waiting = asyncio.ensure_future(pacer.turn("ou_1"))
    await asyncio.sleep(0)
    waiting.cancel()

    await asyncio.wait_for(pacer.turn("ou_1"), 1)


async def test_a_call_that_waited_does_not_come_close_to_the_next_one_for_the_same_recipient() -> None:
    """The calls of a claim wait for their turns. The next claim counts its pause from the claim before."""
    pacer, started = Pacer(FREE, RateLimit(per_second=50)), []
    for _ in range(4):
        await pacer.turn("oc_hr")
        started.append(asyncio.get_running_loop().time())

    assert all(later - earlier >= 0.0199 for earlier, later in itertools.pairwise(started))


async def test_a_recipient_who_waits_delays_no_other_one() -> None:
    pacer = Pacer(FREE, RateLimit(per_second=0.001))
    await pacer.turn("oc_hr")
    waiting = asyncio.ensure_future(pacer.turn("oc_hr"))
    await asyncio.sleep(0)

    await asyncio.wait_for(pacer.turn("ou_1"), 1)
    waiting.cancel()


async def test_recipients_that_may_be_called_at_once_are_forgotten() -> None:
    pacer = Pacer(FREE, FREE)
    for number in range(2 * MAX_KEPT_RECIPIENTS):
        await pacer.turn(f"ou_{number}")

    assert len(pacer._next_of) <= MAX_KEPT_RECIPIENTS

"""The engine under the steps: woken, patient after failures, stopped in time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from notifier.flow.worker import Worker


class Turns:
    """Counts turns; each does what it is told and answers with its rest in seconds."""

    def __init__(self, each: Callable[[], Awaitable[None]] | None = None, *, rest: float = 60) -> None:
        self.number = 0
        self.changed = asyncio.Event()
        self._each = each
        self._rest = rest

    async def __call__(self) -> float:
        self.number += 1
        self.changed.set()
        if self._each is not None:
            await self._each()
        return self._rest

    async def reach(self, number: int) -> None:
        while self.number < number:
            self.changed.clear()
            async with asyncio.timeout(10):
                await self.changed.wait()


async def fails() -> None:
    raise OSError("disk full")


async def hangs() -> None:
    await asyncio.Event().wait()


async def test_a_wake_ends_the_rest() -> None:
    turns = Turns()
    step = Worker("test", turns)
    step.start()
    await turns.reach(1)

    step.wake()

    await turns.reach(2)
    await step.stop(seconds=5)
    assert 2 == turns.number


async def test_after_a_failure_no_wake_hurries_it() -> None:
    turns = Turns(fails)
    step = Worker("test", turns)
    step.start()
    await turns.reach(1)
    for _ in range(100):
        step.wake()
        await asyncio.wait({asyncio.ensure_future(turns.changed.wait())}, timeout=0.001)

    assert 1 == turns.number
    await step.stop(seconds=5)


async def test_a_failure_does_not_end_the_step() -> None:
    turns = Turns(fails)
    step = Worker("test", turns)
    step.start()

    await turns.reach(2)
    await step.stop(seconds=5)
    assert 2 == turns.number


async def test_a_stop_cuts_off_a_turn_that_hangs() -> None:
    turns = Turns(hangs)
    step = Worker("test", turns)
    step.start()
    await turns.reach(1)

    async with asyncio.timeout(5):
        await step.stop(seconds=0.05)

    assert 1 == turns.number


async def test_a_stop_before_the_start_and_a_second_one_are_harmless() -> None:
    step = Worker("test", Turns())
    await step.stop(seconds=1)
    step.start()

    await step.stop(seconds=1)
    await step.stop(seconds=1)
    assert "test" == step.name


async def test_a_worker_that_dies_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    """A library may raise CancelledError inside a run; it ends the loop, and nobody asked for that."""

    async def dies_once() -> None:
        if turns.number == 1:
            raise asyncio.CancelledError

    turns = Turns(dies_once)
    step = Worker("test", turns)
    step.start()
    await turns.reach(2)

    assert "worker.restarted" in caplog.text
    await step.stop(seconds=5)
    assert 2 == turns.number

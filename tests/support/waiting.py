"""Waiting for a condition: quick when it holds, a clear message when it does not."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.02


def wait_until(condition: Callable[[], T | None], description: str, *, seconds: float = 20) -> T:
    """The first true answer of the condition. For things that have no signal to wait for, such as a row that
    another process writes.
    """
    ends_at = time.monotonic() + seconds
    pause = threading.Event()
    while not (answer := condition()):
        if time.monotonic() > ends_at:
            raise AssertionError(f"not within {seconds:g} s: {description}")
        pause.wait(POLL_SECONDS)
    return answer


async def wait_until_async(condition: Callable[[], bool], description: str, *, seconds: float = 20) -> None:
    """The same while the event loop runs on."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - see above
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {description}") from None

"""Calls in flight: an error that nobody foresaw does not repeat at full speed."""

import asyncio

from notifier.flow.in_flight import LONGEST_PAUSE_SECONDS, InFlight


class Elapsed:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def fails() -> None:
    raise KeyError("unforeseen")


async def succeeds() -> None:
    pass


async def test_a_row_pauses_after_an_unforeseen_error_longer_each_time() -> None:
    elapsed, ended = Elapsed(), asyncio.Event()
    calls = InFlight(on_finished=ended.set, elapsed_seconds=elapsed)
    pauses = []
    for _ in range(12):
        calls.start(7, fails())
        await calls.drain(5)
        begun = elapsed.seconds
        while 7 in calls.rows:
            elapsed.seconds += 0.5
        pauses.append(elapsed.seconds - begun)

    assert [1, 2, 4, 8] == pauses[:4]
    assert LONGEST_PAUSE_SECONDS == pauses[-1]
    assert ended.is_set()


async def test_the_other_rows_go_on_and_a_success_ends_the_pauses() -> None:
    elapsed = Elapsed()
    calls = InFlight(on_finished=lambda: None, elapsed_seconds=elapsed)
    calls.start(7, fails())
    calls.start(8, succeeds())
    await calls.drain(5)

    assert frozenset({7}) == calls.rows
    assert 0 == len(calls), "a row that pauses takes no slot"
    elapsed.seconds = 5
    calls.start(7, succeeds())
    await calls.drain(5)
    calls.start(7, fails())
    await calls.drain(5)
    elapsed.seconds = 6
    assert frozenset() == calls.rows, "the pause is the first one again"

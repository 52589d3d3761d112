"""Clocks: aware UTC, and the one that follows a file."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from notifier.clock import (
    CONFIRM_SECONDS,
    DAY_MS,
    LONGEST_MEASUREMENT_SECONDS,
    FileOffsetClock,
    JumpGuard,
    MeasuredClock,
    SystemClock,
    from_millis,
    to_millis,
)
from notifier.runtime.components import _make_doubt
from support.clock import FakeClock

NEARLY = timedelta(seconds=5)


def ahead(clock: FileOffsetClock) -> timedelta:
    return clock.now() - SystemClock().now()


def written(file: Path, text: str, *, at: int) -> None:
    """at: when the file changed; a file system may not tell two moments apart that are close."""
    file.write_text(text, encoding="ascii")
    os.utime(file, (at, at))


def test_a_clock_without_a_file_is_the_systems(tmp_path: Path) -> None:
    assert abs(ahead(FileOffsetClock(tmp_path / "none"))) < NEARLY


def test_a_clock_follows_its_file_at_once(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    clock = FileOffsetClock(file)
    written(file, "3600.000", at=1)
    first = ahead(clock)
    written(file, "90000", at=2)

    assert abs(first - timedelta(hours=1)) < NEARLY
    assert abs(ahead(clock) - timedelta(hours=25)) < NEARLY
    assert clock.now().tzinfo is UTC


@pytest.mark.parametrize("text", ["", "soon", "1e400", "nan"])
def test_a_file_that_makes_no_sense_changes_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "clock"
    clock = FileOffsetClock(file)
    written(file, "60", at=1)
    clock.now()
    written(file, text, at=2)

    assert abs(ahead(clock) - timedelta(minutes=1)) < NEARLY


def test_a_file_that_goes_away_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    clock = FileOffsetClock(file)
    written(file, "60", at=1)
    clock.now()
    file.unlink()

    assert abs(ahead(clock) - timedelta(minutes=1)) < NEARLY


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        to_millis(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


def test_milliseconds_and_back() -> None:
    at = datetime(2026, 11, 24, 1, 2, 3, 456_000, tzinfo=UTC)

    assert at == from_millis(to_millis(at))


class _Machine:
    """A clock and a count of seconds that move together, unless the clock is set."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.after = 0.0

    def pass_time(self, seconds: float) -> None:
        self.after += seconds
        self.clock.advance(seconds=seconds)

    def guard(self, *, last_seen: int | None = None) -> JumpGuard:
        return JumpGuard(self.clock, last_seen=last_seen, elapsed_seconds=lambda: self.after)


DAY = 86_400


def test_a_clock_that_is_ahead_for_a_moment_is_doubted_and_believed_when_it_returns() -> None:
    machine = _Machine()
    guard = machine.guard()
    machine.pass_time(1)
    assert not guard.is_doubtful()

    machine.clock.advance(seconds=30 * DAY)
    for _ in range(5):
        machine.pass_time(60)
        assert guard.is_doubtful()
    machine.clock.advance(seconds=-30 * DAY)

    assert not guard.is_doubtful()
    machine.pass_time(3 * DAY)
    assert not guard.is_doubtful(), "a suspended machine counts too"


def test_a_clock_that_stays_ahead_is_believed_after_a_while() -> None:
    machine = _Machine()
    guard = machine.guard()
    machine.clock.advance(seconds=30 * DAY)
    assert guard.is_doubtful()
    machine.pass_time(CONFIRM_SECONDS - 1)
    assert guard.is_doubtful()
    machine.pass_time(1)

    assert not guard.is_doubtful()
    machine.pass_time(DAY)
    assert not guard.is_doubtful()


def test_a_clock_that_is_set_back_or_corrected_a_little_is_not_doubted() -> None:
    machine = _Machine()
    guard = machine.guard()
    for seconds in (600, -7200, 800):
        machine.clock.advance(seconds=seconds)
        assert not guard.is_doubtful()


@pytest.mark.parametrize("days, doubted", [(1, False), (200, True)])
def test_a_start_long_after_the_last_sign_of_life_is_doubted_first(days: int, doubted: bool) -> None:  # noqa: FBT001 - a column
    machine = _Machine()
    guard = machine.guard(last_seen=machine.clock.millis - days * DAY * 1000)

    assert doubted is guard.is_doubtful()
    machine.pass_time(CONFIRM_SECONDS)
    assert not guard.is_doubtful()


def test_the_clock_of_the_database_is_carried_on_and_a_slow_answer_is_not_used() -> None:
    elapsed = 100.0

    def answer_after(seconds: float, at_ms: int) -> Callable[[], int]:
        def read() -> int:
            nonlocal elapsed
            elapsed += seconds
            return at_ms

        return read

    clock = MeasuredClock(elapsed_seconds=lambda: elapsed)
    with pytest.raises(ValueError, match="not measured"):
        clock.now()
    clock.measure(answer_after(2, 1_000_000))  # the first one counts in any case
    assert 1_001_000 == to_millis(clock.now())
    elapsed += 10
    assert 1_011_000 == to_millis(clock.now())
    clock.measure(answer_after(LONGEST_MEASUREMENT_SECONDS + 0.1, 5_000_000))
    assert 1_011_300 == to_millis(clock.now())
    clock.measure(answer_after(0.1, 2_000_000))
    assert 2_000_050 == to_millis(clock.now())


def test_the_clock_of_the_database_is_doubted_like_that_of_the_machine() -> None:
    elapsed, at = 0.0, 1_760_000_000_000
    clock = MeasuredClock(elapsed_seconds=lambda: elapsed)
    clock.measure(lambda: at)
    is_doubtful = _make_doubt(clock, None)
    assert not is_doubtful()
    at += 40 * DAY_MS
    clock.measure(lambda: at)

    assert is_doubtful()

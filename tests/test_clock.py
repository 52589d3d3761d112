"""Clocks: aware UTC, and the one that follows a file."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from notifier.clock import FileOffsetClock, SystemClock, from_millis, to_millis

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

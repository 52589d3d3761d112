"""The progress of a long command, on a terminal and elsewhere."""

import io
import sys
import time

import pytest

from notifier.cli.progress import ProgressLine


class Screen(io.StringIO):
    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    return now


def test_a_terminal_shows_a_bar_with_the_time_left(
    monkeypatch: pytest.MonkeyPatch, seconds: list[float]
) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen(is_terminal=True))
    line = ProgressLine()
    line(0, 300)
    seconds[0] += 60
    line(100, 300)
    seconds[0] += 120
    line(300, 300)
    line.close()

    first, second, last = screen.getvalue().split("\r")[1:]
    assert first.endswith("0 / 300")
    assert second.endswith("100 / 300, about 2 min left")
    assert last.endswith("300 / 300\n")
    assert (0, 8, 24) == (first.count("█"), second.count("█"), last.count("█"))


def test_elsewhere_a_line_is_printed_now_and_then(
    monkeypatch: pytest.MonkeyPatch, seconds: list[float]
) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen(is_terminal=False))
    line = ProgressLine()
    for done in range(61):
        line(done, 60)
        seconds[0] += 1
    line.close()

    first, *middle, last = screen.getvalue().splitlines()
    assert ("0 / 60", "60 / 60") == (first, last)
    assert [f"{done} / 60, about {60 - done} s left" for done in (15, 30, 45)] == middle
    assert "\r" not in screen.getvalue()

"""Progress of a long command: one line that changes on a terminal, now and then a line elsewhere. On stderr."""

import sys
import time

import click

from notifier.domain.card import Bilingual
from notifier.operations.formatting import format_duration
from notifier.operations.language import say

BAR_WIDTH = 24
SECONDS_BETWEEN_LINES = 15.0
MIN_SECONDS = 3.0
"""The time left is not named before, because it would be a guess."""


class ProgressLine:
    """Prints how much is done and how long the rest takes. Call it with both numbers."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._started_at = time.monotonic()
        self._printed_at = float("-inf")
        self._is_line_open = False

    def __call__(self, done: int, total: int) -> None:
        """Print the progress. done: how many of `total` are done."""
        now = time.monotonic()
        is_last = done >= total
        if not self._is_terminal and not is_last and now - self._printed_at < SECONDS_BETWEEN_LINES:
            return
        self._printed_at = now
        text = f"{done} / {total}{self._left(done, total, now - self._started_at)}"
        if not self._is_terminal:
            click.echo(text, err=True)
            return
        filled = BAR_WIDTH * done // total if total else BAR_WIDTH
        bar = "█" * filled + "░" * (BAR_WIDTH - filled)
        click.echo(f"\r\x1b[K{bar} {text}", nl=is_last, err=True)
        self._is_line_open = not is_last

    def close(self) -> None:
        """End an open line."""
        if self._is_line_open:
            click.echo(err=True)
            self._is_line_open = False

    @staticmethod
    def _left(done: int, total: int, seconds: float) -> str:
        if not done or done >= total or seconds < MIN_SECONDS:
            return ""
        left = format_duration(round(1000 * seconds / done * (total - done)))
        return say(Bilingual(zh=f"，剩余约 {left}", en=f", about {left} left"))

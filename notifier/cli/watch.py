"""Draws a report again and again on a terminal, until q is pressed."""

import os
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import click

from notifier.operations.language import localized

REDRAW_SECONDS = 2.0
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
"""Start and end of a screen of its own, without a cursor."""
HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
QUIT_KEYS = frozenset("qQ\x03\x04")
"""q, Ctrl-C and Ctrl-D."""


def watch(read_text: Callable[[], str]) -> None:
    """Draws the text every two seconds. Raises UsageError without a terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError(
            localized(
                "--watch needs a terminal; programs use --json or --check.",
                "--watch 需要终端；程序请使用 --json 或 --check。",
            )
        )
    with _own_screen():
        while True:
            _draw(read_text())
            if _is_quit_pressed(REDRAW_SECONDS):
                return


def _draw(text: str) -> None:
    """Lines that do not fit are cut, so that the top stays where it is."""
    width, height = shutil.get_terminal_size()  # a size of 0 counts as 80 x 24
    end = localized("q: quit", "q：退出")
    lines = [*text.splitlines(), "", end]
    if len(lines) > height:
        hidden = len(lines) - height + 1
        lines = [*lines[: height - 2], localized(f"... {hidden} more lines", f"……还有 {hidden} 行"), end]
    shown = [_cut(line, width) + CLEAR_LINE for line in lines]
    sys.stdout.write(HOME + "\r\n".join(shown) + CLEAR_BELOW)
    sys.stdout.flush()


def _cut(line: str, width: int) -> str:
    """Wide characters, such as Chinese ones, take two columns."""
    taken = 0
    for position, char in enumerate(line):
        taken += 2 if ord(char) >= 0x1100 else 1
        if taken > width:
            return line[:position]
    return line


def _is_quit_pressed(seconds: float) -> bool:
    """Waits for a key. Other keys draw at once. A closed terminal quits."""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    if not ready:
        return False
    keys = os.read(sys.stdin.fileno(), 64).decode(errors="replace")
    return not keys or bool(QUIT_KEYS & set(keys))


@contextmanager
def _own_screen() -> Iterator[None]:
    """The terminal is as before afterwards, also after an error."""
    before = termios.tcgetattr(sys.stdin)
    handled = {
        number: signal.signal(number, _stop) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    }
    try:
        tty.setraw(sys.stdin)
        sys.stdout.write(ENTER)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        sys.stdout.write(LEAVE)
        sys.stdout.flush()
        for number, handler in handled.items():
            signal.signal(number, handler)


def _stop(number: int, _frame: FrameType | None) -> None:
    """A signal ends it as usual, after the terminal is as before. Ctrl-C is the usual end."""
    raise SystemExit(0 if number == signal.SIGINT else 128 + number)

"""`notifier status --watch` on a real terminal: a pseudo-terminal of the kernel."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from notifier.store.engine.database import Database
from support.delivery_rows import LIN, create_delivery
from support.running import clean_environment
from support.waiting import wait_until

COLUMNS, ROWS = 60, 12


class Terminal:
    """Collects what a program draws."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.drawn = ""

    def read(self) -> str:
        """Everything so far."""
        while select.select([self.fd], [], [], 0.05)[0]:
            try:
                self.drawn += os.read(self.fd, 65_536).decode()
            except OSError:  # the program has closed it
                break
        return self.drawn

    def screen(self) -> list[str]:
        """The lines of the newest drawing."""
        last = self.read().rsplit("\x1b[H", 1)[-1].split("\x1b[J", 1)[0]
        return [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line) for line in last.split("\r\n")]

    def type(self, keys: str) -> None:
        os.write(self.fd, keys.encode())


@contextmanager
def watching(
    file: Path, size: tuple[int, int] = (ROWS, COLUMNS)
) -> Iterator[tuple[Terminal, "subprocess.Popen[bytes]"]]:
    outer, inner = pty.openpty()
    termios.tcsetwinsize(inner, size)
    before = termios.tcgetattr(inner)
    words = [sys.executable, "-m", "notifier", "status", "--watch", "--config", str(file)]
    with subprocess.Popen(words, stdin=inner, stdout=inner, stderr=inner, env=clean_environment()) as program:
        terminal = Terminal(outer)
        wait_until(lambda: "q: quit" in terminal.read(), "it draws", seconds=40)
        yield terminal, program
        wait_until(lambda: terminal.read() and program.poll() is not None, "it ends", seconds=10)
        assert before == termios.tcgetattr(inner), "the terminal is as before"
        assert terminal.read().endswith("\x1b[?25h\x1b[?1049l")
    os.close(inner)
    os.close(outer)


@pytest.fixture
def file(tmp_path: Path, database: Database) -> Path:
    config = tmp_path / "config.yaml"
    config.write_text(f'store:\n  url: "{database.engine.url}"\n', encoding="utf-8")
    return config


@pytest.mark.sqlite
def test_it_redraws_what_changes_and_ends_with_q(file: Path, database: Database) -> None:
    with watching(file) as (terminal, program):
        assert any(line.startswith("process       has never run") for line in terminal.screen())
        for number in range(3):
            create_delivery(database, LIN, f"n-{number}")
        wait_until(
            lambda: any("deliveries    3 ready" in line for line in terminal.screen()), "it draws again"
        )
        terminal.type("x")
        terminal.type("q")
    assert program.returncode == 0


@pytest.mark.sqlite
def test_it_fits_the_terminal_and_ends_with_control_c(file: Path) -> None:
    with watching(file) as (terminal, program):
        screen = terminal.screen()
        assert len(screen) <= ROWS
        assert all(len(line) <= COLUMNS for line in screen)
        assert screen[-1] == "q: quit"
        terminal.type("\x03")
    assert program.returncode == 0


@pytest.mark.sqlite
def test_without_a_terminal_it_says_what_to_use(file: Path) -> None:
    words = [sys.executable, "-m", "notifier", "status", "--watch", "--config", str(file)]
    ran = subprocess.run(
        words, capture_output=True, text=True, check=False, env=clean_environment(), stdin=subprocess.DEVNULL
    )

    assert ran.returncode == 2
    assert "--watch needs a terminal; programs use --json or --check." in ran.stderr
    ran = subprocess.run(
        [*words, "--json"], capture_output=True, text=True, check=False, env=clean_environment()
    )
    assert (2, True) == (ran.returncode, "Choose one of --json, --check and --watch." in ran.stderr)


@pytest.mark.sqlite
@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, 0)])
def test_a_signal_leaves_the_terminal_as_it_was(file: Path, number: signal.Signals, code: int) -> None:
    with watching(file) as (_, program):
        program.send_signal(number)
    assert program.returncode == code


@pytest.mark.sqlite
def test_a_terminal_without_a_size_shows_the_report(file: Path) -> None:
    """Some serial consoles have 0 rows and columns."""
    with watching(file, size=(0, 0)) as (terminal, program):
        assert any(line.startswith("process       has never run") for line in terminal.screen())
        terminal.type("q")
    assert program.returncode == 0

"""A program on a pseudo-terminal of its own, as a person uses it."""

import contextlib
import os
import pty
import select
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from pathlib import Path

from support.running import clean_environment
from support.waiting import wait_until


class TerminalSession:
    """Types into a program and reads what it shows. `expect` reads on from the last place that it found."""

    def __init__(self, program: "subprocess.Popen[bytes]", fd: int, encoding: str) -> None:
        self.program = program
        self.text = ""
        """Everything that was shown so far, also what the terminal echoed."""
        self._fd = fd
        self._encoding = encoding
        self._raw = b""
        self._seen = 0

    def _read(self) -> None:
        while select.select([self._fd], [], [], 0.02)[0]:
            try:
                read = os.read(self._fd, 65_536)
            except OSError:  # the program has closed it
                break
            if not read:
                break
            self._raw += read
        self.text = self._raw.decode(self._encoding, "replace").replace("\r\n", "\n")

    def expect(self, text: str) -> None:
        """Waits until the program shows the text."""

        def is_shown() -> bool:
            self._read()
            found = self.text.find(text, self._seen)
            self._seen = found + len(text) if found >= 0 else self._seen
            return found >= 0

        try:
            wait_until(is_shown, f"the program shows {text!r}", seconds=30)
        except BaseException as error:
            error.add_note(f"It shows:\n{self.text}")
            raise

    def type(self, keys: str) -> None:
        """Types keys, without a line break."""
        os.write(self._fd, keys.encode(self._encoding))

    def answer(self, question: str, line: str) -> None:
        """Waits for a question and answers it with a line."""
        self.expect(question)
        self.type(f"{line}\n")

    def wait_end(self) -> int:
        """Waits for the end of the program. Returns its exit code."""

        def is_ended() -> bool:
            self._read()  # else it waits for room to write
            return self.program.poll() is not None

        wait_until(is_ended, "it ends", seconds=30)
        self._read()
        return self.program.wait(5)


@contextlib.contextmanager
def on_terminal(
    *words: str, folder: Path, environment: Mapping[str, str] | None = None, encoding: str = "utf-8"
) -> Iterator[TerminalSession]:
    """Starts `notifier` with these words on its own terminal, in a folder. environment: more variables."""
    outer, inner = pty.openpty()
    termios.tcsetwinsize(inner, (50, 250))
    # the locale and the colours of this shell do not matter
    hidden = ("LC_", "LANG", "NO_COLOR", "PYTHONIOENCODING", "PYTHONUTF8", "TERM")
    kept = {name: value for name, value in clean_environment().items() if not name.startswith(hidden)}
    with subprocess.Popen(
        [sys.executable, "-m", "notifier", *words],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        cwd=folder,
        env=kept | {"TERM": "xterm", "LANG": "en_US.UTF-8"} | dict(environment or {}),
        preexec_fn=lambda: os.login_tty(os.dup(inner)),  # noqa: PLW1509 - it is the only thread that forks
    ) as program:
        os.close(inner)
        try:
            yield TerminalSession(program, outer, encoding)
        finally:
            if program.poll() is None:
                program.kill()
            os.close(outer)

"""Starts `notifier` as a separate process.

Under pytest a start is a fork of a process that has imported everything (see fork_server.py): it saves a second of CPU.
The benchmarks measure starts and memory, so they and every start with a special environment get a new interpreter.
"""

import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from support import fork_server

POLL_SECONDS = 0.01
STOP_SECONDS = 10.0
FORKABLE_VARIABLES = ("NOTIFIER_", "FEISHU_", "LARK_", "APP_", "PYTEST_", "NO_PROXY", "no_proxy")
"""Prefixes of variables that may differ in a fork: the program reads them at run time. Python reads others earlier."""


class Process(Protocol):
    """The part of subprocess.Popen that the tests use."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...


class ForkedProcess:
    """A child of a ForkServer."""

    def __init__(self, server: "ForkServer", pid: int) -> None:
        self.pid = pid
        self._server = server
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self._code is None:
            status = self._server.ask({"poll": self.pid})["status"]
            self._code = None if status is None else os.waitstatus_to_exitcode(status)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end. Returns the exit code. Raises subprocess.TimeoutExpired."""
        ends_at = None if timeout is None else time.monotonic() + timeout
        pause = threading.Event()
        while (code := self.poll()) is None:
            if timeout is not None and ends_at is not None and time.monotonic() > ends_at:
                raise subprocess.TimeoutExpired("notifier", timeout)
            pause.wait(POLL_SECONDS)
        return code

    def send_signal(self, sig: int) -> None:
        """Sends a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, sig)


class ForkServer:
    """A process that forks others. Its calls may come from any thread."""

    def __init__(self) -> None:
        self.environment = dict(os.environ)
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._process = subprocess.Popen(
            [sys.executable, fork_server.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            text=True,
        )

    def start(
        self,
        words: Sequence[str],
        *,
        stdout: Path,
        stderr: Path,
        environment: Mapping[str, str],
        folder: Path,
        stdin: Path = Path(os.devnull),
        crash: Mapping[str, Any] | None = None,
    ) -> ForkedProcess:
        """Starts `notifier` with these words. crash: arguments of crash_plan.CrashPlan."""
        request = {
            "words": list(words),
            "stdin": str(stdin),
            "stdout": str(stdout),
            "stderr": str(stderr),
            "environment": dict(environment),
            "folder": str(folder),
            "crash": dict(crash) if crash else None,
        }
        return ForkedProcess(self, self.ask({"run": request})["pid"])

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Sends a request of fork_server.py. Returns its response."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            number = next(self._numbers)
            self._process.stdin.write(json.dumps({**request, "id": number}) + "\n")
            self._process.stdin.flush()
            while True:  # the time limit of a test can leave a response that nobody read
                line = self._process.stdout.readline()
                assert line, "the fork server has ended"
                response: dict[str, Any] = json.loads(line)
                if response["id"] == number:
                    return response

    def close(self) -> None:
        """Ends the server. Its children are not ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(STOP_SECONDS)
        self._process.stdout.close()


@functools.cache
def shared_server() -> ForkServer:
    """The server of this test process. tests/conftest.py closes it."""
    return ForkServer()


def close_shared_server() -> None:
    """Ends the shared server, if it was used."""
    if shared_server.cache_info().currsize:
        shared_server().close()
        shared_server.cache_clear()


def start_notifier(
    words: Sequence[str],
    *,
    stdout: Path,
    stderr: Path,
    environment: Mapping[str, str],
    folder: Path | None = None,
) -> Process:
    """Starts `notifier` with these words. Its output is appended to the files. folder: the working directory; this
    process's own by default.
    """
    if _can_fork(environment):
        return shared_server().start(
            words, stdout=stdout, stderr=stderr, environment=environment, folder=folder or Path.cwd()
        )
    with stdout.open("ab") as out, stderr.open("ab") as err:
        return subprocess.Popen(
            [sys.executable, "-m", "notifier", *words],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=environment,
            cwd=folder,
        )


def run_notifier(
    words: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path | None = None,
    seconds: float = 100,
) -> subprocess.CompletedProcess[str]:
    """Runs `notifier` with these words to its end, and returns its exit code and output.

    Kills it after `seconds` and raises subprocess.TimeoutExpired.
    """
    with tempfile.TemporaryDirectory() as name:
        stdout, stderr = Path(name, "stdout"), Path(name, "stderr")
        started = start_notifier(
            words,
            stdout=stdout,
            stderr=stderr,
            environment=environment,
            folder=folder,
        )
        try:
            code = started.wait(seconds)
        except subprocess.TimeoutExpired:
            started.send_signal(signal.SIGKILL)
            started.wait(STOP_SECONDS)
            raise
        return subprocess.CompletedProcess(
            ["notifier", *words], code, stdout.read_text(encoding="utf-8"), stderr.read_text(encoding="utf-8")
        )


def _can_fork(environment: Mapping[str, str]) -> bool:
    if "PYTEST_VERSION" not in os.environ:
        return False
    own, other = shared_server().environment, dict(environment)
    changed = {name for name in own.keys() | other.keys() if own.get(name) != other.get(name)}
    return all(name.startswith(FORKABLE_VARIABLES) for name in changed)

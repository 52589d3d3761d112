"""Runs `notifier sandbox` as a user types it."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.running import clean_environment
from support.waiting import wait_until


class SandboxProcess:
    """The running command. url: of its page. folder: where it was typed."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self._log = log

    @property
    def output(self) -> str:
        """What it printed so far."""
        return self._log.read_text(encoding="utf-8")

    def state(self) -> Any:
        """The state as the page gets it."""
        with urllib.request.urlopen(f"{self.url}/api/state", timeout=10) as answer:
            return json.load(answer)

    def requests(self) -> Any:
        """The newest 1000 calls of the notifier, oldest first."""
        with urllib.request.urlopen(f"{self.url}/api/requests?limit=1000", timeout=10) as answer:
            return json.load(answer)["requests"]

    def post(self, path: str, body: object) -> Any:
        """A call of the page's API."""
        request = urllib.request.Request(
            f"{self.url}/api{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def delete(self, path: str) -> None:
        """Another call of the page's API."""
        request = urllib.request.Request(f"{self.url}/api{path}", method="DELETE")
        urllib.request.urlopen(request, timeout=10).close()

    def cards(self, chat_id: str) -> list[str]:
        """The cards of a chat as text, oldest first."""
        [chat] = [chat for chat in self.state()["chats"] if chat["chat_id"] == chat_id]
        return [json.dumps(message["content"], ensure_ascii=False) for message in chat["messages"]]


@contextmanager
def running_sandbox(folder: Path, *options: str) -> Iterator[SandboxProcess]:
    """`notifier sandbox`, stopped with Ctrl-C."""
    log = folder / "sandbox.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "notifier", "sandbox", "--port", "0", *options],
            stdout=output,
            stderr=output,
            cwd=folder,
            env={**clean_environment(), "PYTHONUNBUFFERED": "1"},
        )
    try:
        found = wait_until(
            lambda: re.search(r"http://127\.0\.0\.1:\d+", log.read_text(encoding="utf-8")),
            "the sandbox prints its address",
        )
        yield SandboxProcess(found[0], log)
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(15), log.read_text(encoding="utf-8")
    finally:
        if process.poll() is None:
            process.kill()

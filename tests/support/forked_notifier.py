"""Forking: a notifier that starts in a fraction of a second and may be told where to die; see crash_server.py."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from notifier.sandbox.testing import FeishuBox
from support import crash_server
from support.running import START_SECONDS, STOP_SECONDS, RunningNotifier, clean_environment

CrashPlan = Mapping[str, Any]
"""step, when and nth, as in crash_server.py."""


class ForkedNotifier(RunningNotifier):
    """Like its parent, but each process is forked from one that has imported everything."""

    def __init__(self, box: FeishuBox, folder: Path, **settings: Any) -> None:
        super().__init__(box, folder, **settings)
        self.hit_file = folder / "hit.json"
        self._forked: int | None = None
        self._has_ended = True
        self._server = subprocess.Popen(
            [sys.executable, crash_server.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=clean_environment(),
            text=True,
        )

    def start(
        self,
        *,
        connected: bool = True,
        environment: Mapping[str, str] | None = None,
        crash: CrashPlan | None = None,
    ) -> None:
        """crash: where it is to kill itself. Without one it returns when Feishu sees its connection."""
        assert self._has_ended
        assert environment is None, "a fork has the environment of its parent"
        self.box.wait_for(lambda: self.box.connections() == 0, "the last one is gone", timeout=START_SECONDS)
        self.hit_file.unlink(missing_ok=True)
        request = {
            "start": ["run", "--config", str(self.config), *self.arguments],
            "log": str(self.log_file),
            "crash": dict(crash) if crash else None,
            "hit": str(self.hit_file),
        }
        self._forked, self._has_ended = self._ask(request)["pid"], False
        if connected and not crash:
            self.wait_until_connected()
            assert not self.ended, self.log

    def wait_until_connected(self) -> None:
        self.box.wait_for(
            lambda: self.box.connections() > 0 or self.ended,
            "the notifier is connected",
            timeout=START_SECONDS,
        )

    @property
    def ended(self) -> bool:
        if not self._has_ended:
            self._has_ended = self._ask({"poll": self._forked})["status"] is not None
        return self._has_ended

    @property
    def gap(self) -> tuple[str, str] | None:
        """Step and side at which it killed itself."""
        if not self.hit_file.exists():
            return None
        hit = json.loads(self.hit_file.read_text(encoding="utf-8"))
        return hit["step"], hit["when"]

    def kill(self) -> None:
        if not self.ended and self._forked is not None:
            os.kill(self._forked, signal.SIGKILL)
            self._ask({"wait": self._forked})
            self._has_ended = True

    def close(self) -> None:
        self.kill()
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(STOP_SECONDS)
        self._server.stdout.close()

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer


@contextmanager
def forked_notifier(box: FeishuBox, folder: Path, **settings: Any) -> Iterator[ForkedNotifier]:
    """Not started yet."""
    notifier = ForkedNotifier(box, folder, **settings)
    try:
        yield notifier
    finally:
        notifier.close()

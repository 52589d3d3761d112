"""A notifier that kills itself at a chosen step; see crash_plan.py."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from notifier.sandbox.testing import FeishuBox
from support.processes import Process, shared_server
from support.running import START_SECONDS, RunningNotifier

CrashPoint = Mapping[str, Any]
"""step, when and nth, as in crash_plan.py."""


class ForkedNotifier(RunningNotifier):
    """Like its parent, but each start is a fork and can have a crash."""

    def __init__(self, box: FeishuBox, folder: Path, **settings: Any) -> None:
        super().__init__(box, folder, **settings)
        self.hit_file = folder / "hit.json"
        self._crash: CrashPoint | None = None

    def start(
        self,
        *,
        connected: bool = True,
        environment: Mapping[str, str] | None = None,
        crash: CrashPoint | None = None,
    ) -> None:
        """crash: where it is to kill itself. Without one it returns when Feishu sees its connection."""
        assert not self.has_started or self.ended
        self.box.wait_for(lambda: self.box.connections() == 0, "the last one is gone", timeout=START_SECONDS)
        self.hit_file.unlink(missing_ok=True)
        self._crash = crash
        super().start(connected=connected and not crash, environment=environment)

    def _launch(self, environment: Mapping[str, str]) -> Process:
        return shared_server().start(
            ["run", "--config", str(self.config), *self.arguments],
            stdout=self.log_file,
            stderr=self.log_file,
            environment=environment,
            folder=Path.cwd(),
            crash={**self._crash, "hit": str(self.hit_file)} if self._crash else None,
        )

    def wait_until_connected(self) -> None:
        self.box.wait_for(
            lambda: self.box.connections() > 0 or self.ended,
            "the notifier is connected",
            timeout=START_SECONDS,
        )

    @property
    def gap(self) -> tuple[str, str] | None:
        """Step and side at which it killed itself."""
        if not self.hit_file.exists():
            return None
        hit = json.loads(self.hit_file.read_text(encoding="utf-8"))
        return hit["step"], hit["when"]

    def kill(self) -> None:
        if self.has_started and not self.ended:
            super().kill()


@contextmanager
def forked_notifier(box: FeishuBox, folder: Path, **settings: Any) -> Iterator[ForkedNotifier]:
    """Not started yet."""
    notifier = ForkedNotifier(box, folder, **settings)
    try:
        yield notifier
    finally:
        notifier.kill()

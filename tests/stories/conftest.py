"""Stories run the whole thing: the real program, the real SDK, real sockets, a real database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from notifier.sandbox.testing import FeishuBox
from support.running import RunningNotifier, running_notifier


@pytest.fixture
def notifier(feishu_box: FeishuBox, tmp_path: Path) -> Iterator[RunningNotifier]:
    with running_notifier(feishu_box, tmp_path) as running:
        yield running

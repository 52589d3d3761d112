"""Fixtures for all rooms: a clock that stands still, a database in a file, the stand-in Feishu."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from notifier.store.database import Database
from support.clock import FakeClock

pytest_plugins = ["notifier.sandbox.pytest_plugin"]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """SQLite in a file, as in production; migrated by the real migrations."""
    opened = Database.open(f"sqlite:///{tmp_path}/notifier.db")
    yield opened
    opened.close()

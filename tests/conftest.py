"""Fixtures for all rooms: a clock that stands still, a database in a file, the stand-in Feishu."""

import logging
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from notifier.sandbox.settings import SECRET_PATTERN
from notifier.store.engine.database import Database
from support.clock import FakeClock
from support.delivery_rows import check_plans
from support.leaks import SecretLogHandler, fail_on_secret, fail_on_secret_in_folder

pytest_plugins = ["notifier.sandbox.pytest_plugin"]


os.umask(0o077)  # as the program does: what it writes is for its user alone


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """SQLite in a file, as in production; migrated by the real migrations."""
    opened = Database.open(f"sqlite:///{tmp_path}/notifier.db")
    yield opened
    check_plans(opened)
    opened.close()


@pytest.fixture(autouse=True)
def _no_secret_is_logged(request: pytest.FixtureRequest) -> Iterator[None]:
    """Log records, captured output and whatever was written under tmp_path: no secret of the stand-in in any."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    watch, root = SecretLogHandler(), logging.getLogger()
    root.addHandler(watch)
    yield
    root.removeHandler(watch)
    assert not watch.places, f"log records with a secret: {', '.join(watch.places)}"
    if folder is not None:
        fail_on_secret_in_folder(folder)


@pytest.fixture(autouse=True, scope="session")
def _no_command_prints_a_secret() -> Iterator[None]:
    """What a command prints in this process goes to whoever called it, not to pytest."""
    invoke = CliRunner.invoke

    def searched(runner: CliRunner, *args: Any, **named: Any) -> Result:
        result = invoke(runner, *args, **named)
        fail_on_secret(result.output, "the output of a command")
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CliRunner, "invoke", searched)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that printed a secret has failed, whatever else it proved."""
    report = yield
    told = [name for name, text in report.sections if SECRET_PATTERN.search(text)]
    if told:
        report.outcome = "failed"
        report.longrepr = f"a secret stands in: {', '.join(told)} ({item.nodeid}, {call.when})"
        report.sections.clear()
    return report

"""Fixtures for all rooms: a clock that stands still, a database in a file, the stand-in Feishu."""

import logging
import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from click.testing import CliRunner, Result

from notifier.sandbox.settings import SECRET_PATTERN
from notifier.store.engine.database import Database
from support import postgres, processes
from support.clock import FakeClock
from support.compiled_templates import keep_compiled_templates
from support.delivery_rows import check_plans
from support.leaks import (
    SecretLogHandler,
    connections_left_open,
    fail_on_secret,
    fail_on_secret_in_folder,
)
from support.query_plans import PlanWatch

pytest_plugins = ["notifier.sandbox.pytest_plugin"]


keep_compiled_templates()
hypothesis.settings.register_profile("notifier", deadline=None)  # no time is asserted
hypothesis.settings.load_profile("notifier")
os.umask(0o077)  # as the program does: what it writes is for its user alone


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


BOTH_DATABASES = ("tests/store/", "tests/flow/test_statements.py")
"""Tests with the fixture `database` that run on SQLite and PostgreSQL, unless a mark names one of the two."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs the tests of BOTH_DATABASES twice."""
    if "store_url" not in metafunc.fixturenames:
        return
    definition = metafunc.definition
    if definition.get_closest_marker("sqlite"):
        return
    if definition.get_closest_marker("postgresql"):
        metafunc.parametrize("store_url", ["postgresql"], indirect=True)
    elif definition.nodeid.startswith(BOTH_DATABASES):
        metafunc.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)


LONG_TESTS = (
    "tests/stories/",
    "tests/operations/preview/",
    "tests/sandbox/test_node_sdk.py",
    "tests/flow/test_agreed_amounts.py",
    "tests/flow/test_ledger_property.py",
    "tests/store/test_power_cuts.py",
    "tests/test_makefile.py",
)
"""Tests that run for many seconds. They start first, so that no process ends with a long one while others are idle."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Distributes LONG_TESTS, after they were shuffled.

    xdist gives each process one part of the list, and a process without tests gets some from the end of another part.
    So each part begins with its share of the long tests.
    """
    processes_count = getattr(config, "workerinput", {}).get("workercount", 1)
    long_tests = [each for each in items if each.nodeid.startswith(LONG_TESTS)]
    others = [each for each in items if not each.nodeid.startswith(LONG_TESTS)]
    items[:] = [
        each
        for number in range(processes_count)
        for each in (
            *_get_part(long_tests, number, processes_count),
            *_get_part(others, number, processes_count),
        )
    ]


def _get_part(tests: list[pytest.Item], number: int, count: int) -> list[pytest.Item]:
    return tests[len(tests) * number // count : len(tests) * (number + 1) // count]


@pytest.fixture
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a store for this test alone: a file that does not exist yet, or an empty migrated database."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield f"sqlite:///{tmp_path}/notifier.db"
        return
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(scope="session")
def _migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, migrated by the real migrations: they take longer than most tests."""
    file = tmp_path_factory.mktemp("migrated") / "notifier.db"
    Database.open(f"sqlite:///{file}").close()
    return file


_plan_watch = PlanWatch()


@pytest.fixture
def database(store_url: str, tmp_path: Path, _migrated_file: Path) -> Iterator[Database]:
    """An open store, migrated by the real migrations. SQLite is in a file, as in production.

    No statement of the program may read a whole table that grows, but those of READ_ALL.
    """
    if store_url.startswith("sqlite"):
        shutil.copyfile(_migrated_file, tmp_path / "notifier.db")
    opened = Database.open(store_url)
    if store_url.startswith("sqlite"):
        _plan_watch.watch(opened)
    yield opened
    check_plans(opened)
    if store_url.startswith("sqlite"):
        scans = _plan_watch.check(opened)
        assert not scans, "\n".join(scans)
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


@pytest.fixture(autouse=True, scope="session")
def _fork_server() -> Iterator[None]:
    yield
    processes.close_shared_server()


@pytest.fixture(autouse=True, scope="session")
def _open_connections() -> Iterator[list[str]]:
    with connections_left_open() as found:
        yield found


@pytest.fixture(autouse=True)
def _no_connection_outlives_its_loop(_open_connections: list[str]) -> Iterator[None]:
    yield
    found = _open_connections.copy()
    _open_connections.clear()
    assert not found, f"open when their event loop was closed: {', '.join(found)}"


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

"""Colours: on a terminal alone, and not with NO_COLOR; and the progress of an export."""

import subprocess
import sys
from pathlib import Path

import pytest

from notifier.store.engine.database import Database
from support.running import clean_environment
from support.terminal import on_terminal
from support.withdrawal_rows import create_payout

RED, YELLOW, GREEN = "\x1b[31m", "\x1b[33m", "\x1b[32m"


@pytest.fixture
def file(tmp_path: Path, database: Database) -> Path:
    config = tmp_path / "config.yaml"
    config.write_text(f'store:\n  url: "{database.engine.url}"\n', encoding="utf-8")
    return config


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "environment, is_coloured", [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_status_is_coloured_on_a_terminal(
    file: Path, tmp_path: Path, environment: dict[str, str], *, is_coloured: bool
) -> None:
    with on_terminal("status", "--config", str(file), folder=tmp_path, environment=environment) as terminal:
        terminal.expect("has never run")
        assert 0 == terminal.wait_end()
        assert is_coloured == (RED in terminal.text)
        assert is_coloured == ("\x1b" in terminal.text)
    with on_terminal(
        "status", "--check", "--config", str(file), folder=tmp_path, environment=environment
    ) as terminal:
        terminal.expect("ATTENTION")
        assert 1 == terminal.wait_end()
        assert is_coloured == (YELLOW in terminal.text)


@pytest.mark.sqlite
def test_a_pipe_gets_no_colours(file: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "notifier", "status", "--config", str(file)],
        capture_output=True,
        check=True,
        env=clean_environment() | {"TERM": "xterm"},
    )

    assert b"\x1b" not in ran.stdout


@pytest.mark.sqlite
def test_an_export_shows_its_progress_on_a_terminal(file: Path, tmp_path: Path, database: Database) -> None:
    for number in range(101):
        create_payout(database, f"rn-{number}")
    words = ("payouts", "export", "--config", str(file), "--output", str(tmp_path / "payouts.csv"))
    with on_terminal(*words, folder=tmp_path) as terminal:
        terminal.expect("100 payouts")
        terminal.expect("101 payouts exported.")
        assert 0 == terminal.wait_end()

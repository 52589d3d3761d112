"""Soundness: what is damaged is refused before anything is written to it; what a crash may leave behind is not."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from notifier.errors import ConfigError
from notifier.store import soundness

PAGE = 4096
FRAME = 24 + PAGE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """As a killed process leaves it: five commits stand in the -wal file alone."""
    living, left = tmp_path / "living.db", tmp_path / "notifier.db"
    connection = sqlite3.connect(living, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE inbox (event_key TEXT)")
    for number in range(4):
        connection.execute("INSERT INTO inbox VALUES (?)", (f"ev-{number}",))
    shutil.copy(living, left)
    shutil.copy(f"{living}-wal", f"{left}-wal")
    connection.close()
    return left


def log_of(path: Path) -> Path:
    return Path(f"{path}-wal")


def spoil(file: Path, at: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(b"\xff" * 16)


def check(path: Path) -> None:
    soundness.check(f"sqlite:///{path}")


def test_what_a_killed_process_leaves_is_sound(path: Path) -> None:
    check(path)


def test_a_last_commit_that_was_half_written_is_what_a_crash_leaves(path: Path) -> None:
    log = log_of(path)
    log.write_bytes(log.read_bytes()[: -PAGE // 2])

    check(path)


@pytest.mark.parametrize("at", [8, 32 + 200], ids=["its header", "its first frame"])
def test_a_log_that_is_damaged_before_later_commits_is_refused_by_name(path: Path, at: int) -> None:
    spoil(log_of(path), at)
    before = (path.read_bytes(), log_of(path).read_bytes())

    with pytest.raises(ConfigError, match=r"notifier\.db-wal is damaged in the middle.*newest backup"):
        check(path)

    assert before == (path.read_bytes(), log_of(path).read_bytes())


def test_a_file_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    check(tmp_path / "none.db")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notifier.db").write_bytes(b"")

    with pytest.raises(ConfigError, match="it is empty"):
        check(tmp_path / "notifier.db")

"""Soundness: what is damaged is refused before anything is written to it; what a crash may leave behind is not."""

import itertools
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from notifier.errors import ConfigError
from notifier.store.engine.database import Database
from notifier.store.engine.sqlite import init_marker, integrity
from notifier.store.engine.sqlite.process_lock import hold_process_lock

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
    integrity.check_integrity(f"sqlite:///{path}")


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

    everything_away_first = (
        r"move the database file away together with its -wal and -shm files.*newest backup"
    )
    with pytest.raises(
        ConfigError, match=rf"notifier\.db-wal is damaged in the middle.*{everything_away_first}"
    ):
        check(path)

    assert before == (path.read_bytes(), log_of(path).read_bytes())


@pytest.mark.parametrize("only_looks", [True, False])
def test_no_command_throws_away_what_a_start_refused(path: Path, *, only_looks: bool) -> None:
    """SQLite would drop the -wal when the last who looks goes, and the next start would find nothing wrong."""
    spoil(log_of(path), 32 + 200)
    before = (path.read_bytes(), log_of(path).read_bytes())

    with pytest.raises(ConfigError, match=r"notifier\.db-wal is damaged in the middle"):
        Database.open(f"sqlite:///{path}", must_exist=only_looks)

    assert before == (path.read_bytes(), log_of(path).read_bytes())


def test_nor_does_one_while_another_holds_the_right_to_run(path: Path) -> None:
    """That may be a start that is about to refuse the file."""
    spoil(log_of(path), 32 + 200)
    before = log_of(path).read_bytes()
    with hold_process_lock(f"sqlite:///{path}"), pytest.raises(ConfigError, match="is damaged in the middle"):
        Database.open(f"sqlite:///{path}", must_exist=True)

    assert before == log_of(path).read_bytes()


def test_a_log_that_is_being_written_is_no_damage(tmp_path: Path) -> None:
    """Begun anew again and again, while it is looked at as often."""
    file = tmp_path / "living.db"
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=20")
    connection.execute("CREATE TABLE inbox (event_key TEXT)")
    over = threading.Event()

    def write() -> None:
        for number in itertools.count():
            if over.is_set():
                return
            connection.execute("INSERT INTO inbox VALUES (?)", (f"ev-{number}" * 50,))

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for _ in range(300):
            integrity.check_wal(f"sqlite:///{file}")
    finally:
        over.set()
        writing.join(10)
        connection.close()


def test_a_file_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    check(tmp_path / "none.db")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notifier.db").write_bytes(b"")

    with pytest.raises(ConfigError, match="it is empty"):
        check(tmp_path / "notifier.db")


@pytest.mark.parametrize("log", [b"", b"frames"], ids=["alone", "with its log"])
def test_a_database_that_was_emptied_is_refused_also_once_it_was_ours(tmp_path: Path, log: bytes) -> None:
    path = tmp_path / "notifier.db"
    Database.open(f"sqlite:///{path}").close()
    path.write_bytes(b"")
    log_of(path).write_bytes(log)

    for look in (integrity.check_integrity, Database.open):
        with pytest.raises(ConfigError, match="it is empty"):
            look(f"sqlite:///{path}")


def test_an_empty_file_that_a_first_start_left_is_filled_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "notifier.db"
    init_marker.create_marker(path)
    path.write_bytes(b"")

    check(path)
    Database.open(f"sqlite:///{path}").close()

    check(path)
    assert not (tmp_path / "notifier.db.new").exists()


def test_a_first_start_may_not_have_lost_a_log(tmp_path: Path) -> None:
    path = tmp_path / "notifier.db"
    init_marker.create_marker(path)
    path.write_bytes(b"")
    log_of(path).write_bytes(b"frames")

    with pytest.raises(ConfigError, match="it is empty"):
        check(path)


def test_whoever_looks_fills_nothing_that_a_first_start_left(tmp_path: Path) -> None:
    path = tmp_path / "notifier.db"
    init_marker.create_marker(path)
    path.write_bytes(b"")

    with pytest.raises(ConfigError, match="there is no database"):
        Database.open(f"sqlite:///{path}", must_exist=True)

    assert b"" == path.read_bytes()


def test_a_log_without_its_database_is_refused_and_kept(path: Path) -> None:
    path.unlink()
    before = log_of(path).read_bytes()

    for look in (integrity.check_integrity, Database.open):
        with pytest.raises(
            ConfigError, match=r"notifier\.db is missing, but .*-wal exists.*Put the file back"
        ):
            look(f"sqlite:///{path}")

    assert before == log_of(path).read_bytes()
    assert not path.exists()


def test_a_log_is_looked_for_beside_the_file_and_not_beside_a_link_to_it(path: Path, tmp_path: Path) -> None:
    spoil(log_of(path), 32 + 200)
    link = tmp_path / "link.db"
    link.symlink_to(path)

    with pytest.raises(ConfigError, match=r"notifier\.db-wal is damaged"):
        check(link)

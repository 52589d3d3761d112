"""Storage faults, with the real program: what was acknowledged is there, the rest comes again, and work goes on."""

import errno
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from notifier.store.inbox import count_by_state
from support.preload import build_library
from support.running import RunningNotifier
from support.waiting import wait_until

LIN = "ou_sandbox_lin"
LIN_ACCOUNT = "7000000000000000001"


class Disk:
    """The disk under a running notifier."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "failing"

    def fail(self, number: int) -> None:
        self._file.write_text(str(number))

    def mend(self) -> None:
        self._file.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def on_failing_disk(folder: Path, data: Path) -> dict[str, str]:
    return {
        "LD_PRELOAD": str(build_library("failing_disk", folder)),
        "FAILING_DISK_UNDER": f"{data}/notifier.db",
        "FAILING_DISK_FILE": str(folder / "failing"),
    }


@pytest.fixture
def notifier(tmp_path: Path) -> Iterator[RunningNotifier]:
    """On a disk of its own; Feishu sends again at once what was not taken."""
    settings = SandboxSettings(redelivery_seconds=(0.5,) * 200)
    data = tmp_path / "data"
    data.mkdir()
    with FeishuBox(settings) as box:
        running = RunningNotifier(box, data)
        running.environment = on_failing_disk(tmp_path, data)
        running.start()
        yield running
        if not running.ended:
            running.kill()


def said(notifier: RunningNotifier, name: str) -> int:
    return notifier.log.count(f" {name} ")


@pytest.mark.parametrize(
    "number, says",
    [
        (errno.ENOSPC, "the disk is full. Make room"),
        (errno.EROFS, "the disk fails. Look at the system's log"),
        (errno.EIO, "the disk fails. Look at the system's log"),
    ],
    ids=["full", "read-only", "broken"],
)
def test_while_the_disk_takes_nothing_events_are_refused_and_come_again_by_themselves(
    notifier: RunningNotifier, disk: Disk, number: int, says: str
) -> None:
    box = notifier.box
    [before] = box.change_balance(LIN_ACCOUNT, points=1)
    box.wait_for(lambda: box.messages(LIN), "the first card", timeout=30)
    notifier.wait_until_settled()

    disk.fail(number)
    [refused] = box.change_balance(LIN_ACCOUNT, points=2)
    box.wait_for(lambda: 500 in box.push_codes(refused), "it is answered with 500", timeout=30)
    wait_until(lambda: "not_responding" == notifier.status()["process"], "its beat is missed", seconds=60)
    shown = notifier.command("status").stdout
    disk.mend()
    box.wait_for(lambda: box.event(refused)["state"] == "acknowledged", "it is taken", timeout=60)
    box.wait_for(lambda: len(box.messages(LIN)) == 2, "the second card", timeout=60)
    notifier.wait_until_settled()
    wait_until(lambda: said(notifier, "store.recovered") == 1, "it says so")

    assert "running, but it has written nothing for" in shown
    assert 1 == said(notifier, "store.failed"), notifier.log
    assert says in notifier.log
    assert 0 == said(notifier, "worker.failed"), notifier.log
    assert "Traceback" not in notifier.log
    assert "acknowledged" == box.event(before)["state"]
    assert 2 == len(box.messages(LIN))
    with notifier.open_database() as database, database.read() as connection:
        assert {"done": 2} == count_by_state(connection)


def test_what_was_refused_is_told_once_the_disk_is_well_though_feishu_gave_up(
    tmp_path: Path, disk: Disk
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    more = "reconciliation:\n  grace_seconds: 1\n  every_hours: null\n"
    with FeishuBox(SandboxSettings(redelivery_seconds=())) as box:
        notifier = RunningNotifier(box, data, more=more)
        notifier.environment = on_failing_disk(tmp_path, data)
        notifier.start()
        try:
            box.change_balance(LIN_ACCOUNT, points=1)
            box.wait_for(lambda: box.messages(LIN), "the first card", timeout=30)
            notifier.wait_until_settled()
            disk.fail(errno.ENOSPC)
            [refused] = box.change_balance(LIN_ACCOUNT, points=2)
            box.wait_for(lambda: 500 in box.push_codes(refused), "it is answered with 500", timeout=30)
            disk.mend()

            box.wait_for(lambda: len(box.messages(LIN)) == 2, "the second card", timeout=60)
            assert "balance.recovered" in notifier.log
            assert 0 == notifier.stop()
        finally:
            if not notifier.ended:
                notifier.kill()


def test_a_database_that_another_program_keeps_locked_is_said_once_and_work_goes_on(
    notifier: RunningNotifier,
) -> None:
    box = notifier.box
    locker = sqlite3.connect(notifier.folder / "notifier.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    [event] = box.change_balance(LIN_ACCOUNT, points=2)
    wait_until(lambda: said(notifier, "store.failed"), "the lock is noticed", seconds=60)
    wait_until(lambda: "not_responding" == notifier.status()["process"], "its beat is missed", seconds=60)
    shown = notifier.command("status").stdout

    locker.execute("ROLLBACK")
    locker.close()
    box.wait_for(lambda: box.event(event)["state"] == "acknowledged", "it is taken", timeout=60)
    box.wait_for(lambda: box.messages(LIN), "the card", timeout=60)

    assert "store         another program keeps the database locked" in shown
    assert "connection    was connect" in shown
    assert 1 == said(notifier, "store.failed")
    assert 0 == said(notifier, "worker.failed")
    assert 1 == len(box.messages(LIN))


def damaged_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\xff" * 100)


def damaged_pages(path: Path) -> None:
    """Every page but the first: whatever is read next is damaged."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))


def test_damage_while_it_runs_is_loud_and_nothing_is_acknowledged_any_more(notifier: RunningNotifier) -> None:
    box, path = notifier.box, notifier.folder / "notifier.db"
    box.change_balance(LIN_ACCOUNT, points=1)
    box.wait_for(lambda: box.messages(LIN), "the first card", timeout=30)
    notifier.wait_until_settled()
    emptied = sqlite3.connect(path)
    emptied.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    emptied.close()

    damaged_pages(path)
    wait_until(lambda: said(notifier, "store.failed"), "the damage is noticed", seconds=60)
    events = [box.change_balance(LIN_ACCOUNT, points=number)[0] for number in (2, 3)]
    for event in events:
        box.wait_for(lambda event=event: 500 in box.push_codes(event), "it is refused", timeout=30)  # type: ignore[misc]

    assert "the database is damaged. Stop the notifier and move the database file away" in notifier.log
    assert "acknowledged" not in {box.event(event)["state"] for event in events}
    assert 0 == said(notifier, "event.quarantined")
    ran = notifier.command("status")
    assert 2 == ran.returncode
    assert "newest backup" in ran.stderr
    assert "Traceback" not in ran.stderr
    notifier.kill()
    again = notifier.command("run")
    assert 2 == again.returncode
    assert "is not a usable database" in again.stderr


def garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 400)


def letter(path: Path) -> None:
    path.write_text("Dear all, this is no database.\n" * 300)


def truncated(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def one_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 4096)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [garbage, letter, truncated, one_page, damaged_header, emptied, folder])
def test_a_start_on_a_damaged_file_is_refused_in_one_sentence_and_changes_nothing(
    feishu_box: FeishuBox, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    path = tmp_path / "notifier.db"
    notifier = RunningNotifier(feishu_box, tmp_path)
    assert 0 == notifier.command("migrate").returncode
    spoil(path)
    before = path.read_bytes() if path.is_file() else b""

    ran = notifier.command("run")

    assert 2 == ran.returncode, ran.stderr
    [sentence] = ran.stderr.splitlines()
    assert str(path) in sentence
    assert ("newest backup" in sentence) or spoil is folder
    assert before == (path.read_bytes() if path.is_file() else b"")


@pytest.mark.parametrize("made", [True, False], ids=["of a database", "of none yet"])
def test_a_start_on_a_full_disk_is_refused_in_one_sentence(
    feishu_box: FeishuBox, tmp_path: Path, disk: Disk, *, made: bool
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    notifier = RunningNotifier(feishu_box, data)
    if made:
        assert 0 == notifier.command("migrate").returncode
    notifier.environment = on_failing_disk(tmp_path, data)
    disk.fail(errno.ENOSPC)

    notifier.start(connected=False)

    assert 2 == notifier.wait_end()
    [sentence] = notifier.log.splitlines()
    assert "notifier.db" in sentence
    assert "the disk is full" in sentence
    assert "Make room" in sentence

    disk.mend()
    notifier.start()
    assert 0 == notifier.stop()


def test_a_log_without_its_database_is_refused_in_one_sentence_and_kept(
    feishu_box: FeishuBox, tmp_path: Path
) -> None:
    path = tmp_path / "notifier.db"
    notifier = RunningNotifier(feishu_box, tmp_path)
    notifier.start()
    notifier.kill()
    path.rename(tmp_path / "gone.db")

    ran = notifier.command("run")

    assert 2 == ran.returncode
    [sentence] = ran.stderr.splitlines()
    assert f"{path} is missing, but {path}-wal exists" in sentence
    assert Path(f"{path}-wal").stat().st_size > 0
    assert not path.exists()


def test_a_start_on_a_locked_database_is_refused_in_one_sentence(
    feishu_box: FeishuBox, tmp_path: Path
) -> None:
    notifier = RunningNotifier(feishu_box, tmp_path)
    assert 0 == notifier.command("migrate").returncode
    locker = sqlite3.connect(tmp_path / "notifier.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")

    ran = notifier.command("run")

    locker.close()
    assert 2 == ran.returncode
    [logged, sentence] = ran.stderr.splitlines()
    assert " store.failed " in logged
    assert "notifier.db: another program keeps the database locked. Stop it (" in sentence
    assert "automatically" not in logged  # nothing recovers: this start has ended

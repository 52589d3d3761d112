"""`notifier copy`: everything arrives in the other database, or nothing does."""

import subprocess
from pathlib import Path

import pytest
import sqlalchemy as sa

from notifier.sandbox.testing import FeishuBox
from notifier.store import copy_store
from notifier.store.engine.backends import find_backend
from notifier.store.engine.database import Database
from notifier.store.schema.tables import deliveries, inbox
from support import postgres
from support.processes import run_notifier
from support.running import RunningNotifier, clean_environment


def copy(source: str, target: str) -> subprocess.CompletedProcess[str]:
    return run_notifier(["copy", "--from", source, "--to", target], environment=clean_environment())


def read_rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    database = Database.open(url)
    try:
        with database.read() as connection:
            return {
                table.name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
                for table in copy_store.TABLES
            }
    finally:
        database.close()


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_notifier_goes_on_with_the_copy(feishu_box: FeishuBox, tmp_path: Path, store_url: str) -> None:
    """Events, cards and a withdrawal on SQLite; then the same configuration with PostgreSQL."""
    accounts = feishu_box.accounts()
    (tmp_path / "before").mkdir()
    (tmp_path / "after").mkdir()
    old = RunningNotifier(feishu_box, tmp_path / "before")
    old.start()
    feishu_box.change_balances([(each["account_id"], 5, {}) for each in accounts])
    old.wait_until_settled()
    running = copy(old.database_url, store_url)
    assert 2 == running.returncode
    assert "--from: Another notifier is already running on" in running.stderr
    old.stop()
    before = read_rows(old.database_url)

    ran = copy(old.database_url, store_url)
    assert 0 == ran.returncode, ran.stderr
    assert before == read_rows(store_url)
    rows = sum(len(each) for each in before.values())
    assert f"Copied and compared {rows:,} rows of {len(before)} tables." in ran.stdout
    assert f"{len(before['inbox']):,} of {len(before['inbox']):,} rows" in ran.stderr
    again = copy(old.database_url, store_url)
    assert (2, True) == (
        again.returncode,
        "has rows. Name a database that no notifier has used." in again.stderr,
    )

    new = RunningNotifier(feishu_box, tmp_path / "after", store_url=store_url)
    new.start()
    feishu_box.change_balances([(each["account_id"], 5, {}) for each in accounts])
    new.wait_until_settled()
    new.stop()
    assert {2} == {len(feishu_box.messages(each["open_id"])) for each in accounts}


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_copy_that_breaks_off_leaves_nothing(tmp_path: Path, store_url: str) -> None:
    source = Database.open(f"sqlite:///{tmp_path}/notifier.db")
    row = {
        "event_key": "ev", "event_type": "t", "tenant_key": "tk", "app_id": "a", "created_at": 1,
        "received_at": 1, "payload": b"{}", "state": "new",
    }  # fmt: skip
    source.write(lambda c: c.execute(sa.insert(inbox).values(**row)).close()).result()
    source.close()

    class StoppedError(Exception):
        pass

    def stop(table: str, done: int, _total: int) -> None:
        if table == deliveries.name and done == 0:
            raise StoppedError

    with pytest.raises(StoppedError):
        copy_store.copy_store(f"sqlite:///{tmp_path}/notifier.db", store_url, progress=stop)
    assert {0} == {len(rows) for rows in read_rows(store_url).values()}
    copied = copy_store.copy_store(f"sqlite:///{tmp_path}/notifier.db", store_url, progress=lambda *_: None)
    assert 1 == sum(each.rows for each in copied)


def test_wrong_addresses_are_one_sentence_each(tmp_path: Path) -> None:
    missing = copy(f"sqlite:///{tmp_path}/none.db", f"sqlite:///{tmp_path}/b.db")
    nonsense = copy("mysql://x/y", f"sqlite:///{tmp_path}/b.db")
    url = str(postgres.server_url().set(database="does_not_exist"))
    Database.open(f"sqlite:///{tmp_path}/a.db").close()
    unknown = copy(f"sqlite:///{tmp_path}/a.db", url)

    for ran, words in (
        (missing, "--from: there is no database at"),
        (nonsense, "--from: mysql is not supported"),
        (unknown, "--to: the database cannot be opened."),
    ):
        assert 2 == ran.returncode
        assert words in ran.stderr
        assert "Traceback" not in ran.stderr
        assert 1 == len(ran.stderr.strip().splitlines())


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_numbers_whose_sum_is_too_large_are_compared_too(tmp_path: Path, store_url: str) -> None:
    """The times of more than five million rows are: SQLite refuses such a sum."""
    source = Database.open(f"sqlite:///{tmp_path}/notifier.db")
    rows = [
        {
            "event_key": f"ev {number}", "event_type": "t", "tenant_key": "tk", "app_id": "a", "created_at": 2**62,
            "received_at": 2**62, "payload": b"{}", "state": "new",
        }
        for number in range(3)
    ]  # fmt: skip
    source.write(lambda c: c.execute(sa.insert(inbox), rows).close()).result()
    source.close()

    ran = copy(f"sqlite:///{tmp_path}/notifier.db", store_url)
    assert 0 == ran.returncode, ran.stderr
    assert "Copied and compared 3 rows" in ran.stdout


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_notifier_does_not_start_on_a_database_that_is_copied(
    feishu_box: FeishuBox, tmp_path: Path, store_url: str
) -> None:
    notifier = RunningNotifier(feishu_box, tmp_path, store_url=store_url)
    with find_backend(store_url).exclude_processes(store_url):
        notifier.start(connected=False)
        assert 2 == notifier.wait_end()
    assert "Somebody copies postgresql://" in notifier.log
    notifier.start()
    ran = copy(store_url, f"sqlite:///{tmp_path}/other.db")
    notifier.stop()

    assert (2, True) == (ran.returncode, "--from: A notifier runs on postgresql://" in ran.stderr)


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_row_that_the_other_database_refuses_is_one_sentence(tmp_path: Path, store_url: str) -> None:
    source = Database.open(f"sqlite:///{tmp_path}/notifier.db")
    row = {
        "event_key": "with \0", "event_type": "t", "tenant_key": "tk", "app_id": "a", "created_at": 1,
        "received_at": 1, "payload": b"{}", "state": "new",
    }  # fmt: skip
    source.write(lambda c: c.execute(sa.insert(inbox).values(**row)).close()).result()
    source.close()

    ran = copy(f"sqlite:///{tmp_path}/notifier.db", store_url)
    assert 2 == ran.returncode
    assert "The copy failed, and nothing of it was kept" in ran.stderr
    assert "Traceback" not in ran.stderr

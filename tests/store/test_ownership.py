"""After a run as root, the user of the service can use the files, or is told which file belongs to whom."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifier.store.engine.sqlite.ownership import give_to_database_owner
from support.running import clean_environment

NOBODY = 65534
AS_NOBODY = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
READS_ALL = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
"""The program and the tests may lie in a folder of root's. Nothing more can be written because of this."""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can become somebody else"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of the service's user. Unlike pytest's own folders, it lies in one that everybody may enter."""
    with tempfile.TemporaryDirectory(prefix="notifier-tests-") as made:
        Path(made).chmod(0o755)
        data, config = Path(made) / "data", Path(made) / "config.yaml"
        data.mkdir()
        os.chown(data, NOBODY, NOBODY)
        config.write_text(f"store: {{url: 'sqlite:///{data}/n.db'}}\n", encoding="utf-8")
        config.chmod(0o644)
        yield data


def run(folder: Path, *arguments: str, as_root: bool = False) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "notifier", *arguments, "--config", str(folder.parent / "config.yaml")]
    return subprocess.run(
        command if as_root else [*AS_NOBODY, *READS_ALL, *command],
        env=clean_environment() | {"FEISHU_APP_ID": "cli_x", "FEISHU_APP_SECRET": "no-secret"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_an_export_as_root_leaves_the_next_one_to_the_owner(folder: Path) -> None:
    assert 0 == run(folder, "migrate").returncode
    assert 0 == run(folder, "payouts", "export", as_root=True).returncode

    exported = run(folder, "payouts", "export")
    assert 0 == exported.returncode, exported.stderr
    assert {NOBODY} == {each.stat().st_uid for each in folder.iterdir()}


@pytest.mark.parametrize(
    "arguments, name",
    [
        (["payouts", "export"], "n.db.export-lock"),
        (["run"], "n.db.lock"),
        (["run"], "n.db"),
    ],
)
def test_a_file_of_somebody_else_is_named_with_its_owner(
    folder: Path, arguments: list[str], name: str
) -> None:
    assert 0 == run(folder, "migrate").returncode
    foreign = folder / name
    foreign.touch(mode=0o600)
    os.chown(foreign, 0, 0)

    refused = run(folder, *arguments)
    assert 2 == refused.returncode
    assert f"{foreign} belongs to root, and this is nobody, who may not write it" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_link_beside_the_database_gives_nothing_away(folder: Path) -> None:
    """Otherwise the user of the service could make any file of root's their own."""
    database = folder / "n.db"
    database.touch()
    os.chown(database, NOBODY, NOBODY)
    of_root = folder.parent / "secret"
    of_root.touch()
    (folder / "n.db.new").symlink_to(of_root)

    give_to_database_owner(database)
    assert 0 == of_root.stat().st_uid

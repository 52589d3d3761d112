"""An installed notifier works from any folder and brings its templates along."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.running import clean_environment
from support.wheel import install_wheel


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel, unpacked where Python finds it first. Its dependencies are the ones of this environment."""
    return install_wheel(tmp_path_factory.mktemp("wheel"))


def run(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **clean_environment(),
        "PYTHONPATH": str(installed),
        "FEISHU_APP_ID": "a",
        "FEISHU_APP_SECRET": "s",
    }
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_wheel_brings_templates_page_and_migrations(installed: Path) -> None:
    names = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}

    assert {
        "notifier/templates/balance_change.json.j2",
        "notifier/templates/_parts.j2",
        "notifier/config.example.yaml",
        "notifier/sandbox/page/index.html",
        "notifier/sandbox/page/vchart/LICENSE",
        "notifier/sandbox/page/vchart/vchart.min.js",
        "notifier/store/schema/migrations/versions/0001_initial.py",
    } <= names


def test_help_and_check_work_from_another_folder(installed: Path, tmp_path: Path) -> None:
    where = run(installed, tmp_path, "-c", "import notifier; print(notifier.__file__)")
    shown = run(installed, tmp_path, "-m", "notifier", "--help")
    checked = run(installed, tmp_path, "-m", "notifier", "check")

    assert where.stdout.startswith(str(installed) + os.sep)
    assert 0 == shown.returncode
    assert 0 == checked.returncode, checked.stdout
    assert "template balance_change.json.j2 (shipped)" in checked.stdout


def test_the_database_is_made_from_the_wheels_migrations(installed: Path, tmp_path: Path) -> None:
    ran = run(installed, tmp_path, "-m", "notifier", "migrate")

    assert 0 == ran.returncode, ran.stderr
    assert (tmp_path / "data" / "notifier.db").exists()

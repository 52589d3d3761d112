"""The fixture `feishu_box` in another project that has only the wheel installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.wheel import install_wheel

PROJECT = """
import pytest

pytestmark = pytest.mark.sandbox(connection_limit=7, quotas=True)


def test_the_fixture_needs_no_configuration(feishu_box):
    assert feishu_box.url.startswith("http://127.0.0.1:")
    assert 7 == feishu_box.settings.connection_limit


@pytest.mark.sandbox(quotas=False, faults=["setup:bot_off", {"fault_type": "429", "times": 3}])
class TestWithMarkers:
    @pytest.mark.sandbox(connection_limit=8)
    def test_the_closest_marker_wins(self, feishu_box):
        settings = feishu_box.settings
        assert (8, False) == (settings.connection_limit, settings.quotas)
        feishu_box.wait_for(lambda: len(feishu_box.running_faults()) == 2, "the faults run")


@pytest.mark.sandbox(quota=False)
def test_a_wrong_setting(feishu_box):
    pass


@pytest.mark.sandbox("fast")
def test_a_setting_without_a_name(feishu_box):
    pass
"""

BEFORE_THE_FIRST_USE = """
import sys


def test_a_run_without_the_fixture_does_not_import_the_sandbox():
    ours = {name for name in sys.modules if name.startswith("notifier")}
    assert ours == {"notifier", "notifier.sandbox", "notifier.sandbox.pytest_plugin"}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_wheel(tmp_path_factory.mktemp("wheel"))


def run_pytest(folder: Path, site: Path) -> "subprocess.CompletedProcess[str]":
    """The pytest of another project, with the wheel and none of our configuration."""
    hidden = {"PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTHONPATH", "PYTEST_CURRENT_TEST"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    unused = ("cacheprovider", "randomly", "xdist", "hypothesispytest", "playwright", "asyncio", "timeout")
    command = [sys.executable, "-m", "pytest", *(f"-pno:{name}" for name in unused)]
    return subprocess.run(
        [*command, "--strict-markers", "--rootdir", folder, folder],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_another_project_has_the_fixture_and_the_marker(tmp_path: Path, site: Path) -> None:
    (tmp_path / "test_a.py").write_text(BEFORE_THE_FIRST_USE, encoding="utf-8")
    (tmp_path / "test_bot.py").write_text(PROJECT, encoding="utf-8")

    ran = run_pytest(tmp_path, site)

    assert "3 passed, 2 errors" in ran.stdout, ran.stdout + ran.stderr
    assert "there is no setting 'quota'; settings: host, port," in ran.stdout
    assert "accepts named settings only" in ran.stdout


def test_a_project_that_names_the_plugin_loads_it_once(tmp_path: Path, site: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["notifier.sandbox.pytest_plugin"]\n')
    (tmp_path / "test_bot.py").write_text("def test_bot(feishu_box):\n    assert feishu_box.url\n")

    ran = run_pytest(tmp_path, site)

    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr

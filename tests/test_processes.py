"""A forked start of `notifier` behaves as one in a new interpreter."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from notifier.sandbox.testing import FeishuBox
from support import processes
from support.processes import run_notifier
from support.running import clean_environment, running_notifier


@pytest.fixture
def forked_pids(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that were forked in this test."""
    found: list[int] = []
    start = processes.ForkServer.start

    def noted(server: processes.ForkServer, *args: object, **named: object) -> processes.ForkedProcess:
        process = start(server, *args, **named)  # type: ignore[arg-type]
        found.append(process.pid)
        return process

    monkeypatch.setattr(processes.ForkServer, "start", noted)
    return found


@pytest.mark.parametrize("words", [["--version"], ["check"], ["status", "--no-such-option"]], ids=" ".join)
def test_output_and_exit_code_are_those_of_a_new_interpreter(
    tmp_path: Path, forked_pids: list[int], words: list[str]
) -> None:
    """Each reads the variables and the folder that it is given."""
    (tmp_path / "config.yaml").write_text("feishu: {app_id: cli_x}\nno_such_key: 1\n", encoding="utf-8")
    environment = clean_environment() | {"FEISHU_APP_SECRET": "no-secret"}
    expected = subprocess.run(
        [sys.executable, "-m", "notifier", *words],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    found = run_notifier(words, environment=environment, folder=tmp_path)

    assert (expected.returncode, expected.stdout, expected.stderr) == (
        found.returncode,
        found.stdout,
        found.stderr,
    )
    assert 1 == len(forked_pids)


def test_a_language_for_python_needs_a_new_interpreter(forked_pids: list[int]) -> None:
    found = run_notifier(["--version"], environment=clean_environment() | {"LC_ALL": "zh_CN.UTF-8"})

    assert 0 == found.returncode
    assert [] == forked_pids


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 0), (signal.SIGKILL, -9)])
def test_a_signal_ends_a_fork(
    feishu_box: FeishuBox, tmp_path: Path, forked_pids: list[int], number: signal.Signals, code: int
) -> None:
    with running_notifier(feishu_box, tmp_path) as notifier:
        assert [notifier.pid] == forked_pids

        assert code == notifier.stop(number)


def test_a_run_that_takes_too_long_is_killed(feishu_box: FeishuBox, tmp_path: Path) -> None:
    with running_notifier(feishu_box, tmp_path) as notifier:
        notifier.stop()
        words = ["run", "--config", str(notifier.config)]
        with pytest.raises(subprocess.TimeoutExpired):
            run_notifier(words, environment=clean_environment(), seconds=0.1)

        assert 0 == feishu_box.connections()


def test_a_response_that_nobody_read_is_passed_over(feishu_box: FeishuBox, tmp_path: Path) -> None:
    """The time limit of a test can interrupt a request."""
    with running_notifier(feishu_box, tmp_path) as notifier:
        server = processes.shared_server()
        assert server._process.stdin is not None
        server._process.stdin.write(f'{{"poll": {notifier.pid}, "id": -1}}\n')

        assert 0 == run_notifier(["--version"], environment=clean_environment()).returncode

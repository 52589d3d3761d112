"""The sandbox's clock and the digest at a press, over its HTTP API."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import call


@pytest.fixture
def box(tmp_path: Path) -> Iterator[FeishuBox]:
    settings = SandboxSettings(
        clock_file=str(tmp_path / "clock"),
        digest_command=(sys.executable, "-c", "print('first'); print('hr: on its way')"),
    )
    with FeishuBox(settings) as running:
        yield running


def test_moving_the_clock_writes_the_offset_file(box: FeishuBox, tmp_path: Path) -> None:
    before = box.state()["now_ms"]
    call(box, "POST", "/api/clock", {"seconds": 3600})
    answer = call(box, "POST", "/api/clock", {"seconds": 1800.5})

    assert "5400.500" == (tmp_path / "clock").read_text()
    assert 5400.5 == box.state()["ahead_seconds"]
    assert 5_400_500 <= answer.content["now_ms"] - before < 5_400_500 + 60_000


@pytest.mark.parametrize("seconds", [-1, "soon", None, True])
def test_a_clock_does_not_go_back_or_nowhere(box: FeishuBox, seconds: object) -> None:
    answer = call(box, "POST", "/api/clock", {"seconds": seconds})

    assert 400 == answer.status
    assert 0 == box.state()["ahead_seconds"]


def test_the_digest_command_is_run_and_its_last_line_shown(box: FeishuBox) -> None:
    answer = call(box, "POST", "/api/digest", {})

    assert (200, {"output": "hr: on its way"}) == (answer.status, answer.content)
    assert box.state()["sends_digest"]


@pytest.mark.parametrize(
    "program, error",
    [
        ("print('no such digest'); raise SystemExit(2)", "no such digest"),
        ("raise SystemExit(3)", "(no output)"),
    ],
)
def test_a_failed_command_returns_its_error(program: str, error: str) -> None:
    with FeishuBox(SandboxSettings(digest_command=(sys.executable, "-c", program))) as box:
        answer = call(box, "POST", "/api/digest", {})

    assert (400, {"error": error}) == (answer.status, answer.content)


def test_the_command_sees_no_settings_of_this_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFIER_FEISHU__APP_SECRET", "not-for-it")
    program = "import os; print([name for name in os.environ if name.startswith('NOTIFIER_')])"
    with FeishuBox(SandboxSettings(digest_command=(sys.executable, "-c", program))) as box:
        assert {"output": "[]"} == call(box, "POST", "/api/digest", {}).content


def test_without_a_command_there_is_no_button(feishu_box: FeishuBox) -> None:
    assert not feishu_box.state()["sends_digest"]
    assert 400 == call(feishu_box, "POST", "/api/digest", {}).status


def test_a_file_that_does_not_exist_is_not_found(feishu_box: FeishuBox) -> None:
    assert 404 == call(feishu_box, "GET", "/api/files/file_v3_none").status

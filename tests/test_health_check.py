"""`notifier health`: what it asks, what it prints, and its exit code."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from notifier.cli.main import cli
from notifier.web.health import HealthEndpoint, Readiness
from support.ports import free_port

STORE_PROBLEM = "the last successful write to the database was 25 s ago"


def ask(listen: str, *options: str) -> Result:
    return CliRunner().invoke(cli, ["health", *options], env={"NOTIFIER_HEALTH__LISTEN": listen})


@pytest.fixture
def problems() -> dict[str, str]:
    """The problems of the notifier. Empty: it is ready."""
    return {}


@pytest.fixture
async def port(problems: dict[str, str]) -> AsyncIterator[int]:
    async def read_metrics() -> bytes:
        return b""

    endpoint = HealthEndpoint(lambda: Readiness(problems=problems, facts={}), read_metrics)
    yield await endpoint.start("127.0.0.1", 0)
    await endpoint.stop()


async def test_a_live_notifier_is_healthy(port: int) -> None:
    result = await asyncio.to_thread(ask, f"127.0.0.1:{port}")

    assert (0, f'127.0.0.1:{port}/livez: 200 {{"alive": true}}\n') == (result.exit_code, result.output)


async def test_an_address_for_all_interfaces_is_asked_on_loopback(port: int) -> None:
    assert 0 == (await asyncio.to_thread(ask, f"0.0.0.0:{port}")).exit_code


async def test_a_problem_is_no_reason_to_restart_but_to_be_not_ready(
    port: int, problems: dict[str, str]
) -> None:
    problems["store"] = STORE_PROBLEM

    live = await asyncio.to_thread(ask, f"127.0.0.1:{port}")
    ready = await asyncio.to_thread(ask, f"127.0.0.1:{port}", "--ready")

    assert (0, 1) == (live.exit_code, ready.exit_code)
    assert STORE_PROBLEM in ready.output


def test_without_an_answer_the_reason_is_printed() -> None:
    listen = f"127.0.0.1:{free_port()}"

    result = ask(listen)

    assert 1 == result.exit_code
    assert f"{listen}/livez: no answer: " in result.output
    assert "refused" in result.output


def test_a_process_that_accepts_and_says_nothing_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notifier.web.health_check.TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = ask(f"127.0.0.1:{silent.getsockname()[1]}")

    assert 1 == result.exit_code
    assert "timed out" in result.output


def test_without_an_address_the_setting_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("log: {level: info}", encoding="utf-8")

    result = CliRunner().invoke(cli, ["health", "--config", str(file)])

    assert 2 == result.exit_code
    assert f"{file}: health.listen: is empty" in result.output

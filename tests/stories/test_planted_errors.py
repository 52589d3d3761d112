"""`notifier sandbox --fault setup:...` and `notifier doctor`, as a reader of docs/sandbox.md types them."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from notifier.cli.main import cli
from support.planted_errors import EXPECTED
from support.sandbox_process import SandboxProcess, running_sandbox
from support.waiting import wait_until

AT_ONCE = 4
"""Sandboxes that run side by side: most of their time is waiting."""
LOOPBACK = {"NO_PROXY": "127.0.0.1,localhost"}
ONE_COMMAND = threading.Lock()
"""The runner of commands replaces the output of the process."""
FAULT_TYPES = list(EXPECTED)
BATCHES = [FAULT_TYPES[start : start + AT_ONCE] for start in range(0, len(FAULT_TYPES), AT_ONCE)]


def examine(folder: Path, fault_type: str) -> list[dict[str, Any]]:
    """The findings of the doctor for a sandbox that runs with this fault."""
    folder.mkdir()
    options, _ = EXPECTED[fault_type]
    fault = ",".join([fault_type, *(f"{key}={value}" for key, value in options.items())])
    with running_sandbox(folder, "--data", str(folder / "data"), "--fault", fault) as sandbox:
        wait_until(lambda: f"Running faults: {fault_type}" in sandbox.output, f"{fault} runs", seconds=60)
        config = folder / "data" / "config.yaml"
        assert f"doctor --config {config}" in sandbox.output
        assert "status --config" not in sandbox.output
        with ONE_COMMAND:
            ran = CliRunner().invoke(cli, ["doctor", "--json", "--config", str(config)], env=LOOPBACK)
        assert 1 == ran.exit_code, ran.output
    findings: list[dict[str, Any]] = json.loads(ran.stdout)["findings"]
    return findings


@pytest.mark.timeout(180)
@pytest.mark.parametrize("fault_types", BATCHES, ids="+".join)
def test_each_planted_error_is_named_and_nothing_else_is(fault_types: list[str], tmp_path: Path) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        folders = [tmp_path / str(number) for number in range(len(fault_types))]
        found = dict(zip(fault_types, pool.map(examine, folders, fault_types), strict=True))

    problems = {
        fault_type: [each["id"] for each in findings if each["state"] == "problem"]
        for fault_type, findings in found.items()
    }
    unproven = {
        fault_type: {each["needs"] for each in findings if each["state"] == "unknown"}
        for fault_type, findings in found.items()
    }
    assert {fault_type: [EXPECTED[fault_type][1]] for fault_type in fault_types} == problems
    assert {fault_type: unproven[fault_type] - {EXPECTED[fault_type][1]} for fault_type in fault_types} == {
        fault_type: set() for fault_type in fault_types
    }


@pytest.mark.timeout(120)
def test_a_restart_with_refused_credentials_keeps_the_stand_in(tmp_path: Path) -> None:
    """The notifier of the second run is refused from its start."""
    data = tmp_path / "data"
    with running_sandbox(tmp_path, "--data", str(data)) as sandbox:
        wait_until(lambda: sandbox.cards("oc_sandbox_p2p_lin"), "the first card", seconds=60)
    options = ("--data", str(data), "--fault", "setup:wrong_secret")
    with running_sandbox(tmp_path, *options) as sandbox:
        wait_until(lambda: 10015 in refused_with(sandbox), "the token call is refused", seconds=60)
        sandbox.delete("/faults")
        wait_until(lambda: sandbox.state()["long_connection"]["is_connected"], "it connects", seconds=60)


def refused_with(sandbox: SandboxProcess) -> list[int]:
    return [call["code"] for call in sandbox.requests()]

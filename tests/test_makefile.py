"""`make sandbox`: what it installs, which port it takes, and what it says without a network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.running import clean_environment

ROOT = Path(__file__).parents[1]


def make(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**clean_environment(), **more}
    return subprocess.run(
        ["make", "--no-print-directory", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def packages(name: str) -> set[str]:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][\w.-]*)==", text, flags=re.MULTILINE))


def test_the_sandbox_gets_the_run_time_packages_and_its_port(tmp_path: Path) -> None:
    planned = make("-n", "sandbox", "PORT=9123", f"VENV={tmp_path}/venv").stdout

    assert "requirements/run.txt" in planned
    assert "dev.txt" not in planned
    assert planned.rstrip().endswith("notifier sandbox --port 9123")
    assert make("-n", "sandbox", f"VENV={tmp_path}/venv").stdout.rstrip().endswith("notifier sandbox")
    assert packages("build.txt") <= packages("dev.txt")
    assert not packages("build.txt") & packages("run.txt")


def test_without_a_network_the_first_run_says_that_it_is_needed_once(tmp_path: Path) -> None:
    nowhere = {"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0"}
    failed = make(
        "sandbox", f"PYTHON={sys.executable}", f"VENV={tmp_path}/venv", PIP_NO_CACHE_DIR="1", **nowhere
    )

    assert 0 != failed.returncode
    assert "The first run needs the network, once" in failed.stderr
    assert not (tmp_path / "venv" / ".run-ready").exists(), "the next run tries again"


@pytest.mark.timeout(120)
def test_the_sandbox_needs_no_package_of_the_developers() -> None:
    program = """
import importlib.metadata as metadata, json, sys
import notifier.cli.main, notifier.operations.sandbox_run, notifier.runtime.app
named = metadata.packages_distributions()
print(json.dumps(sorted({one.lower() for top in {n.split(".")[0] for n in sys.modules} for one in named.get(top, [])})))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=100
    )
    loaded = set(re.findall(r'"([^"]+)"', ran.stdout))

    assert "aiohttp" in loaded
    optional = {"cffi", "pycparser"}  # pycryptodome uses them where they are installed
    assert not loaded & (packages("dev.txt") - packages("run.txt")) - optional

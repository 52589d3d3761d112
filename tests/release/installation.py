"""An environment with one distribution and the pinned packages, and what its commands must do there."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from release.source import ReleaseError, inherit_environment, run_command

START_SECONDS, STOP_SECONDS = 60.0, 20.0
CREDENTIALS = {"FEISHU_APP_ID": "cli_example", "FEISHU_APP_SECRET": "example"}
"""Of no app: `notifier check` requires them."""


class Environment:
    """An empty virtual environment, without pip. pins: the file of the packages that the service needs."""

    def __init__(self, folder: Path, pins: Path) -> None:
        self.folder = folder
        run_command([sys.executable, "-m", "venv", "--without-pip", folder])
        self._pip("--require-hashes", "-r", pins)

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def command(self) -> Path:
        return self.folder / "bin" / "notifier"

    def _pip(self, *words: str | Path, build_packages: Path | None = None) -> None:
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "--disable-pip-version-check"]
        environment = {"PYTHONPATH": str(build_packages)} if build_packages else {}
        run_command([*pip, "install", "--quiet", *words], environment=environment)

    def install_wheel(self, folder: Path, version: str) -> None:
        """Install the wheel of this folder. By name: a path would be recorded in the environment, and in the SBOM."""
        name = f"referral-notifier=={version}"
        self._pip("--no-deps", "--no-index", "--find-links", folder, "--only-binary", ":all:", name)

    def install_sdist(self, sdist: Path, build_packages: Path) -> None:
        """Build and install an sdist. build_packages: a folder with the pinned packages of requirements/build.txt."""
        self._pip("--no-deps", "--no-index", "--no-build-isolation", sdist, build_packages=build_packages)


def install_build_packages(pins: Path, folder: Path) -> None:
    """Install the packages that a build needs into a folder of their own."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    run_command([*pip, "--require-hashes", "--target", folder, "-r", pins])


def check_commands(environment: Environment, folder: Path, version: str) -> None:
    """Run the installed command in an empty folder: its version, and the check of the example configuration."""
    shown = run_command([environment.command, "--version"], cwd=folder).decode().strip()
    if shown != f"notifier, version {version}":
        raise ReleaseError(f"`notifier --version` prints {shown!r} instead of {version}.")
    program = "import notifier; print(notifier.__file__)"
    package = Path(run_command([environment.python, "-c", program], cwd=folder).decode().strip()).parent
    if not package.is_relative_to(environment.folder):
        raise ReleaseError(f"The command runs {package}, which is not the installed package.")
    example = package / "config.example.yaml"
    run_command([environment.command, "check", "--config", example], cwd=folder, environment=CREDENTIALS)


def check_sandbox(
    command: Path, folder: Path, *, start_seconds: float = START_SECONDS, stop_seconds: float = STOP_SECONDS
) -> None:
    """Start the sandbox, read its page, stop it with SIGTERM. Raises ReleaseError if one of them fails.

    start_seconds: until its page answers. stop_seconds: from the signal until it ends with 0.
    """
    log = folder / "sandbox.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [command, "sandbox", "--port", "0"],
            stdout=output,
            stderr=output,
            cwd=folder,
            env={**inherit_environment(), "PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1"},
            start_new_session=True,
        )
    try:
        _wait_for_page(process, log, start_seconds)
        process.send_signal(signal.SIGTERM)
        code = process.wait(stop_seconds)
    except subprocess.TimeoutExpired as error:
        raise ReleaseError(f"The sandbox ran on for {stop_seconds:.0f} s after SIGTERM.") from error
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code:
        raise ReleaseError(f"The sandbox ended with exit code {code} after SIGTERM:\n{_read(log)}")


def _wait_for_page(process: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+", _read(log)):
            try:
                with opener.open(found[0], timeout=5) as answer:
                    if b"<html" in answer.read():
                        return
            except (urllib.error.URLError, OSError):
                pass
        time.sleep(0.1)
    raise ReleaseError(f"The sandbox's page did not answer. The sandbox printed:\n{_read(log)}")


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")

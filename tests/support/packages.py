"""Installs packages of other people into folders of their own, once, at the versions of a lock file."""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from support.requirements import skip_or_fail

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache"
REASONS = (FileNotFoundError, subprocess.CalledProcessError)
"""Why an installation fails: the tool is missing, or there is no registry."""


@contextmanager
def _once(folder: Path, lock: str) -> Iterator[bool]:
    """Holds the folder. True if it must be installed; it then counts as installed if the block succeeds."""
    folder.mkdir(parents=True, exist_ok=True)
    installed = folder / ".installed"
    with FileLock(folder / ".lock"):
        is_new = not installed.exists() or installed.read_text() != lock
        yield is_new
        if is_new:
            installed.write_text(lock)


def npm_folder(source: Path, name: str, programs: Iterable[Path]) -> Path:
    """A folder under .cache with the packages of source/package-lock.json and copies of the programs.

    Skips the test without Node.js or its packages, unless NOTIFIER_TESTS_REQUIRE demands node.
    """
    folder = CACHE / name
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        subprocess.run(["node", "--version"], check=True, capture_output=True)
        with _once(folder, (source / "package-lock.json").read_text()) as is_new:
            for file in (source / "package.json", source / "package-lock.json", *programs):
                shutil.copy(file, folder / file.name)
            if is_new:
                subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except REASONS as error:
        skip_or_fail("node", f"{name} cannot be installed: {getattr(error, 'stderr', error)}")
    return folder


def python_with(requirements: Path, name: str) -> str:
    """The interpreter of a virtual environment under .cache that has these packages and no others.

    Skips the test without the packages, unless NOTIFIER_TESTS_REQUIRE demands pip.
    """
    folder = CACHE / name
    interpreter = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(interpreter), "install", "--quiet", "--no-compile"]
    try:
        with _once(folder, requirements.read_text()) as is_new:
            if is_new:
                venv = [sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder / "venv")]
                subprocess.run(venv, check=True, capture_output=True, text=True)
                subprocess.run(
                    [*pip, "--disable-pip-version-check", "--require-hashes", "-r", str(requirements)],
                    check=True,
                    capture_output=True,
                    text=True,
                )
    except REASONS as error:
        skip_or_fail("pip", f"{name} cannot be installed: {getattr(error, 'stderr', error)}")
    return str(interpreter)

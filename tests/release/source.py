"""What is released: the version, its section of the changelog, and the commit."""

import io
import os
import re
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

VERSION_FILE = "notifier/__init__.py"
CHANGELOG = "docs/changelog.md"
LIMIT_SECONDS = 600.0
"""A command that takes longer is killed."""


class ReleaseError(Exception):
    """A reason against the release, as text for the person who releases."""


def inherit_environment() -> dict[str, str]:
    """The environment without variables that configure a notifier or show Python other packages."""
    prefixes = ("NOTIFIER_", "FEISHU_", "LARK_", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


def run_command(
    words: Sequence[str | Path], *, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> bytes:
    """Run a command and return its standard output. Raises ReleaseError with its whole output if it fails.

    environment: variables besides those of `inherit_environment`.
    """
    try:
        ran = subprocess.run(
            words,
            cwd=cwd,
            env={**inherit_environment(), **(environment or {})},
            capture_output=True,
            check=False,
            timeout=LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise ReleaseError(f"{_name(words)} took longer than {LIMIT_SECONDS:.0f} s.") from error
    if ran.returncode:
        output = (ran.stdout + ran.stderr).decode(errors="replace").strip()
        raise ReleaseError(f"{_name(words)} failed with exit code {ran.returncode}:\n{output}")
    return ran.stdout


def _name(words: Sequence[str | Path]) -> str:
    return " ".join([Path(words[0]).name, *map(str, words[1:])])


def read_version(root: Path) -> str:
    """The version that the package declares. Raises ReleaseError if it declares none."""
    text = (root / VERSION_FILE).read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, flags=re.MULTILINE)
    if found is None:
        raise ReleaseError(f'{VERSION_FILE} has no line `__version__ = "..."`.')
    return found[1]


def check_changelog(text: str, version: str) -> None:
    """Raises ReleaseError unless the changelog has a section for the version, with a date and a text."""
    heading = rf"^## \[{re.escape(version)}\](.*)$"
    found = re.search(heading, text, flags=re.MULTILINE)
    if found is None:
        raise ReleaseError(f"{CHANGELOG} has no section for {version}. Add `## [{version}] - YYYY-MM-DD`.")
    if not re.fullmatch(r" - \d{4}-\d{2}-\d{2}", found[1]):
        raise ReleaseError(
            f"{CHANGELOG}: the section of {version} has no date. Write `## [{version}] - YYYY-MM-DD`."
        )
    body = re.split(r"^## ", text[found.end() :], maxsplit=1, flags=re.MULTILINE)[0]
    if not re.search(r"^- \S", body, flags=re.MULTILINE):
        raise ReleaseError(f"{CHANGELOG}: the section of {version} lists no change.")


def check_work_tree(root: Path) -> None:
    """Raises ReleaseError if a file differs from the commit, or is new and not ignored."""
    changed = run_command(["git", "status", "--porcelain"], cwd=root).decode().splitlines()
    if changed:
        shown = "\n".join(changed[:10])
        raise ReleaseError(f"The work tree differs from the commit. Commit or remove these files:\n{shown}")


def read_commit(root: Path) -> tuple[str, str]:
    """The hash of the last commit, and its time in seconds since 1970."""
    commit, seconds = run_command(["git", "log", "-1", "--format=%H %ct"], cwd=root).decode().split()
    return commit, seconds


def list_files(root: Path) -> set[str]:
    """The files of the commit, from the root of the repository."""
    listed = run_command(["git", "ls-tree", "-r", "-z", "--name-only", "HEAD"], cwd=root)
    return set(listed.decode().rstrip("\0").split("\0"))


def export_commit(root: Path, folder: Path) -> None:
    """Write the files of the commit into a new folder. What the work tree has besides cannot get into a build."""
    archive = run_command(["git", "archive", "--format=tar", "HEAD"], cwd=root)
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(folder, filter="data")

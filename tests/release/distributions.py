"""The sdist and the wheel: their build, and what they must and must not contain."""

import fnmatch
import hashlib
import re
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from release.source import ReleaseError, run_command

NAME = "referral_notifier"
EXAMPLE = "config.example.yaml"
REQUIRED = (
    "notifier/py.typed",
    "notifier/sandbox/page/index.html",
    "notifier/sandbox/page/*.js",
    "notifier/sandbox/page/*.css",
    "notifier/sandbox/page/vchart/vchart.min.js",
    "notifier/sandbox/page/vchart/LICENSE",
    "notifier/store/schema/migrations/env.py",
    "notifier/store/schema/migrations/versions/*.py",
)
"""In the wheel and in the sdist, at least one file for each pattern, whatever the commit says."""
REQUIRED_IN_WHEEL = (
    *REQUIRED,
    "notifier/templates/*.json.j2",
    f"notifier/{EXAMPLE}",
    "*.dist-info/licenses/LICENSE",
    "*.dist-info/METADATA",
)
REQUIRED_IN_SDIST = (*REQUIRED, "templates/*.json.j2", EXAMPLE, "LICENSE", "PKG-INFO", "pyproject.toml")
SDIST_FOLDERS = ("notifier/", "templates/", "docs/")
SDIST_FILES = {EXAMPLE, "README.md", "README.zh-CN.md", "LICENSE", "pyproject.toml", ".gitignore"}

FORBIDDEN_NAME = re.compile(
    r"(^|/)(tests?/|test_[^/]*\.py$|conftest\.py$|\.env|config\.yaml$|id_[a-z0-9]+$)|\.(pem|key|p12|db|log|pyc)$"
)
"""Tests, and files that hold secrets, data or caches."""
SECRET = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    rb"|\b[tu]-g[0-9A-Za-z]{30,}"  # access tokens of Feishu
    rb"|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[0-9A-Za-z]{36}\b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distributions:
    """The files of one build."""

    wheel: Path
    sdist: Path


def build(source: Path, folder: Path, *, commit_seconds: str) -> Distributions:
    """Build both from a folder with the files of a commit. commit_seconds: the time that all packed files get."""
    run_command(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", folder],
        cwd=source,
        environment={"SOURCE_DATE_EPOCH": commit_seconds},
    )
    [wheel], [sdist] = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Distributions(wheel=wheel, sdist=sdist)


def compute_sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_reproducible(first: Distributions, second: Distributions) -> None:
    """Raises ReleaseError if two builds of one commit differ."""
    for one, other in ((first.wheel, second.wheel), (first.sdist, second.sdist)):
        if (one.name, compute_sha256(one)) != (other.name, compute_sha256(other)):
            raise ReleaseError(f"Two builds of the same commit differ: {one.name}, {other.name}.")


def check_wheel(wheel: Path, committed: set[str], version: str) -> None:
    """Raises ReleaseError unless the wheel holds the program of the commit, and nothing else."""
    info = f"{NAME}-{version}.dist-info"
    expected = {name for name in committed if name.startswith("notifier/")}
    expected |= {f"notifier/{name}" for name in committed if name.startswith("templates/") or name == EXAMPLE}
    expected |= {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    expected |= {f"{info}/licenses/LICENSE"}
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        _check_names(wheel.name, names, expected, REQUIRED_IN_WHEEL)
        _check_contents(wheel.name, names, archive.read)


def check_sdist(sdist: Path, committed: set[str], version: str) -> None:
    """Raises ReleaseError unless the sdist holds what a build needs, the pages, and nothing else."""
    expected = {name for name in committed if name.startswith(SDIST_FOLDERS) or name in SDIST_FILES}
    expected |= {"PKG-INFO"}
    with tarfile.open(sdist) as archive:
        contents = _read_members(archive, f"{NAME}-{version}/")
    _check_names(sdist.name, contents, expected, REQUIRED_IN_SDIST)
    _check_contents(sdist.name, contents, contents.__getitem__)


def _read_members(archive: tarfile.TarFile, prefix: str) -> Mapping[str, bytes]:
    contents = {}
    for member in archive.getmembers():
        packed = archive.extractfile(member)
        if packed is None:
            raise ReleaseError(f"{member.name} in the sdist is no file.")
        contents[member.name.removeprefix(prefix)] = packed.read()
    return contents


def _check_names(where: str, names: Iterable[str], expected: set[str], required: Iterable[str]) -> None:
    found = set(names)
    if unwanted := sorted(name for name in found if FORBIDDEN_NAME.search(name)):
        raise ReleaseError(f"{where} has files that must not be released: {', '.join(unwanted)}.")
    missing = sorted(expected - found)
    missing += [pattern for pattern in required if not fnmatch.filter(found, pattern)]
    if missing:
        raise ReleaseError(f"{where} lacks {', '.join(missing)}.")
    if more := sorted(found - expected):
        raise ReleaseError(f"{where} has files that are not expected: {', '.join(more)}.")


def _check_contents(where: str, names: Iterable[str], read: Callable[[str], bytes]) -> None:
    if leaks := sorted(name for name in names if SECRET.search(read(name))):
        raise ReleaseError(f"{where} has secrets in {', '.join(leaks)}.")

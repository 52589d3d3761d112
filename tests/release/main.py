"""Builds a release into dist/: sdist, wheel, SBOM and checksums, each checked first.

    PYTHONPATH=tests python tests/release/main.py

`make release` runs it with the packages of requirements/release.txt. A failed release prints its reason, ends with 1
and leaves dist/ as it was.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from release import distributions, installation, sbom, source
from release.source import ReleaseError, run_command

ROOT = Path(__file__).parents[2]
CHECKSUMS = "SHA256SUMS"


def release(root: Path, work: Path) -> list[Path]:
    """Build and check everything in the folder `work`. Returns the files of the release."""
    version = source.read_version(root)
    source.check_changelog((root / source.CHANGELOG).read_text(encoding="utf-8"), version)
    source.check_work_tree(root)
    commit, seconds = source.read_commit(root)
    print(f"version {version}, commit {commit[:12]}", flush=True)  # noqa: T201
    built = build_twice(root, work, version, seconds)
    requirements = root / "requirements"
    for kind in ("sdist", "wheel"):
        folder = work / kind
        folder.mkdir()
        environment = installation.Environment(folder / "environment", requirements / "run.txt")
        if kind == "sdist":
            installation.install_build_packages(requirements / "build.txt", folder / "build")
            environment.install_sdist(built.sdist, folder / "build")
        else:
            environment.install_wheel(built.wheel.parent, version)
        empty = folder / "empty"
        empty.mkdir()
        installation.check_commands(environment, empty, version)
        installation.check_sandbox(environment.command, empty)
        print(f"{kind}: installs, its commands run, the sandbox starts and stops", flush=True)  # noqa: T201
    bom = built.wheel.with_name(f"{distributions.NAME}-{version}.cdx.json")
    sbom.write_sbom(environment.python, root / "pyproject.toml", version, bom, commit_seconds=seconds)
    document = json.loads(bom.read_text(encoding="utf-8"))
    sbom.check_sbom(document, version, sbom.read_pins((requirements / "run.txt").read_text(encoding="utf-8")))
    licences = ", ".join(f"{name} {count}" for name, count in sbom.count_licences(document).most_common())
    print(f"SBOM: {len(document['components'])} packages; {licences}", flush=True)  # noqa: T201
    files = [built.wheel, built.sdist, bom]
    return [*files, write_checksums(files, built.wheel.with_name(CHECKSUMS))]


def build_twice(root: Path, work: Path, version: str, commit_seconds: str) -> distributions.Distributions:
    """Build in two folders, compare the results, and check what they contain."""
    builds = []
    for name in ("first", "second"):
        source.export_commit(root, work / name / "source")
        builds.append(
            distributions.build(work / name / "source", work / name / "dist", commit_seconds=commit_seconds)
        )
    first, second = builds
    distributions.check_reproducible(first, second)
    committed = source.list_files(root)
    distributions.check_wheel(first.wheel, committed, version)
    distributions.check_sdist(first.sdist, committed, version)
    run_command([sys.executable, "-m", "twine", "check", "--strict", first.wheel, first.sdist])
    print("built twice with equal results; the contents are complete", flush=True)  # noqa: T201
    return first


def write_checksums(files: Iterable[Path], path: Path) -> Path:
    """Write the file that `sha256sum --check` reads."""
    lines = [f"{distributions.compute_sha256(each)}  {each.name}\n" for each in files]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def replace_folder(files: Iterable[Path], folder: Path) -> None:
    """Put the files into the folder, in place of what it held."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for each in files:
        shutil.copyfile(each, folder / each.name)


def main(root: Path = ROOT) -> int:
    with tempfile.TemporaryDirectory(prefix="release-") as work:
        try:
            files = release(root, Path(work))
        except ReleaseError as error:
            print(f"Not released. {error}", file=sys.stderr)  # noqa: T201
            return 1
        replace_folder(files, root / "dist")
    print("\n".join(f"dist/{each.name}" for each in files))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The SBOM: a CycloneDX list of the packages that an installed notifier consists of, with their licences."""

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from release import vchart
from release.source import ReleaseError, run_command


def write_sbom(python: Path, pyproject: Path, version: str, path: Path, *, commit_seconds: str) -> None:
    """Write the SBOM of an environment.

    pyproject: describes the main component. Its version is dynamic, so a copy gets the version, beside `path`.
    """
    text = pyproject.read_text(encoding="utf-8")
    static = text.replace('dynamic = ["version"]', f'version = "{version}"')
    if static == text:
        raise ReleaseError("pyproject.toml does not declare a dynamic version.")
    copy = path.with_name("pyproject.toml")
    copy.write_text(static, encoding="utf-8")
    words: list[str | Path] = [
        "environment",
        "--output-reproducible",
        "--pyproject",
        copy,
        "--of",
        "JSON",
        "-o",
        path,
        python,
    ]
    try:
        run_command(
            [Path(sys.executable).with_name("cyclonedx-py"), *words],
            environment={"SOURCE_DATE_EPOCH": commit_seconds},
        )
    finally:
        copy.unlink()
    document = json.loads(path.read_text(encoding="utf-8"))
    add_bundled(document)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


NPM = "pkg:npm/"
"""Beginning of the address of a package that is part of the wheel, and not installed by pip."""


def add_bundled(document: Any) -> None:
    """Add the chart library of the pages, which no package manager installs."""
    address = f"{NPM}%40visactor/vchart@{vchart.VERSION}"
    document["components"].append(
        {
            "type": "library",
            "bom-ref": address,
            "group": "@visactor",
            "name": "vchart",
            "version": vchart.VERSION,
            "purl": address,
            "licenses": [{"license": {"id": "MIT"}}],
            "hashes": [{"alg": "SHA-256", "content": vchart.SHA256}],
        }
    )


def read_pins(requirements: str) -> dict[str, str]:
    """Name and version of each package of a requirements file."""
    return dict(re.findall(r"^([A-Za-z0-9][\w.-]*)==([^\s;]+)", requirements, flags=re.MULTILINE))


def check_sbom(document: Any, version: str, pins: dict[str, str]) -> None:
    """Raises ReleaseError unless the SBOM lists this version and only pinned packages, and names no local path.

    pins: packages that other platforms need may be absent.
    """
    main = document["metadata"]["component"]
    if (main["name"], main.get("version")) != ("referral-notifier", version):
        raise ReleaseError(f"The SBOM describes {main['name']} {main.get('version')} instead of {version}.")
    listed = {
        normalise(each["name"]): each["version"]
        for each in document["components"]
        if not each.get("purl", "").startswith(NPM)
    }
    unpinned = sorted(f"{name} {of}" for name, of in listed.items() if pins.get(name) != of)
    if unpinned or not listed:
        raise ReleaseError(
            f"The SBOM lists packages that are not pinned: {', '.join(unpinned) or 'none at all'}."
        )
    if found := re.search(r'file:[^"]*|"/[^"]*/bin/[^"]*"', json.dumps(document)):
        raise ReleaseError(f"The SBOM names a local path: {found[0]}")


def normalise(name: str) -> str:
    """The name of a package as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def count_licences(document: Any) -> Counter[str]:
    """Packages by licence. A package without one counts under its own name."""
    counter: Counter[str] = Counter()
    for each in document["components"]:
        declared = [
            entry.get("expression") or entry["license"].get("id") or entry["license"].get("name", "")
            for entry in each.get("licenses", ())
        ]
        declared = [name.removeprefix("License :: OSI Approved :: ") for name in declared]
        known = [name for name in declared if name and not name.startswith("declared license of")]
        counter[min(known, key=len) if known else f"not declared ({each['name']})"] += 1
    return counter

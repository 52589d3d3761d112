"""Looks for known vulnerabilities of the packages that the service needs, in the public advisory service.

    PYTHONPATH=tests python tests/release/audit.py

`make audit` runs it with the packages of requirements/release.txt. The exit code is 0 if every package was checked and
no advisory was found, 1 if one was found, and 2 if a package could not be checked, such as without a network.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from release.sbom import normalise, read_pins
from release.source import inherit_environment

ROOT = Path(__file__).parents[2]
PINS = ROOT / "requirements" / "run.txt"
COMMAND = (
    Path(sys.executable).with_name("pip-audit"),
    "--require-hashes",
    "--disable-pip",
    "--format",
    "json",
)
LIMIT_SECONDS = 300.0
CLEAN, VULNERABLE, NOT_AUDITED = 0, 1, 2


def audit(command: Sequence[str | Path], pins: Path) -> tuple[int, str]:
    """Run the audit of a requirements file. Returns the exit code and the text to print."""
    try:
        ran = subprocess.run(
            [*command, "-r", pins],
            env=inherit_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return NOT_AUDITED, _unreachable(f"no answer within {LIMIT_SECONDS:.0f} s")
    try:
        report = json.loads(ran.stdout)
    except ValueError:
        return NOT_AUDITED, _unreachable((ran.stderr.strip().splitlines() or ["no output"])[-1])
    return judge(report, read_pins(pins.read_text(encoding="utf-8")), succeeded=ran.returncode == 0)


def judge(report: Any, pins: dict[str, str], *, succeeded: bool) -> tuple[int, str]:
    """Read the report of pip-audit. A package that it skips counts as not checked, although its exit code is 0.

    succeeded: the exit code of pip-audit was 0.
    """
    packages = report["dependencies"]
    found = [
        f"{each['name']} {each['version']}: {vulnerability['id']}, fixed in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for each in packages
        for vulnerability in each.get("vulns", ())
    ]
    skipped = [each for each in packages if "vulns" not in each]
    unknown = sorted({normalise(each["name"]) for each in packages} - set(pins))
    if found:
        return VULNERABLE, "\n".join(found)
    if skipped:
        reason = (
            f"{len(skipped)} of {len(packages)} packages were not found there, such as {skipped[0]['name']}"
        )
        return NOT_AUDITED, _unreachable(reason)
    if not packages or unknown or not succeeded:
        return NOT_AUDITED, _unreachable("its report is incomplete")
    return CLEAN, f"{len(packages)} packages checked, no known vulnerability."


def _unreachable(reason: str) -> str:
    return f"Not audited: the advisory service could not be reached or does not answer ({reason})."


def main() -> int:
    code, text = audit(COMMAND, PINS)
    print(text, file=sys.stdout if code == CLEAN else sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

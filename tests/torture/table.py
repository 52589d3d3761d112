"""Table: runs the long tests one after another and prints what they counted, with zeros where zeros belong.

    PYTHONPATH=tests python tests/torture/table.py [NAME ...]

A long test leaves lines of figures by `support.figures.keep`. To add one: have it keep its figures, and name it in
LONG_TESTS. What they say meanwhile goes to stderr, the table to stdout. Ends with 1 where a zero is missing, a test
failed, or one left no figures.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.figures import FIGURES_FILE

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class LongTest:
    """words: for Python. environment: what makes it long; what is set already wins, for a shorter look."""

    name: str
    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


LONG_TESTS = (
    LongTest(
        name="sweep",
        words=("-m", "pytest", "-q", "tests/stories/test_kill_sweep.py"),
        environment={"NOTIFIER_TESTS_SWEEP_KILLS": "1000"},
    ),
    LongTest(
        name="power",
        words=("-m", "pytest", "-q", "tests/store/test_power_cuts.py"),
        environment={"NOTIFIER_TESTS_POWER_CUTS": "200"},
    ),
    LongTest(
        name="connection",
        words=("-m", "pytest", "-q", "tests/stories/test_never_deaf.py"),
    ),
    LongTest(
        name="books",
        words=("-m", "pytest", "-q", "--timeout=3600", "tests/flow/test_books_property.py"),
        environment={"NOTIFIER_TESTS_EXAMPLES": "1000"},
    ),
    LongTest(name="fuzz", words=("tests/torture/fuzz.py", "--seed", "7")),
    LongTest(
        name="soak", words=("tests/torture/soak.py",), environment={"NOTIFIER_TESTS_SOAK_SECONDS": "3600"}
    ),
)

Line = dict[str, Any]


def run(test: LongTest, file: Path) -> Line | None:
    """A line of its own for what went wrong with the test itself; None where it left all that it should."""
    before = len(lines_of(file))
    environment = {
        **test.environment,
        **os.environ,
        FIGURES_FILE: str(file),
        "PYTHONPATH": str(ROOT / "tests"),
    }
    ran = subprocess.run(
        [sys.executable, *test.words], cwd=ROOT, env=environment, stdout=sys.stderr, check=False
    )
    left = len(lines_of(file)) - before
    if not ran.returncode and left:
        return None
    zeros = {"failed": int(ran.returncode != 0), "without figures": int(not left)}
    return {"test": test.name, "counted": {"exit code": ran.returncode}, "zeros": zeros, "seconds": 0}


def lines_of(file: Path) -> list[Line]:
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def table(lines: Sequence[Line]) -> str:
    """One row a figure, the test's name on its first; what should be zero stands apart and says whether it is."""
    rows = []
    for line in lines:
        name = line["test"]
        for what, value in {**line["counted"], "seconds": line["seconds"]}.items():
            rows.append((name, what, _shown(value), ""))
            name = ""
        rows += [
            ("", what, _shown(value), "" if value == 0 else "NOT ZERO")
            for what, value in line["zeros"].items()
        ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    return "\n".join(
        f"{test:{widths[0]}}  {what:{widths[1]}}  {value:>{widths[2]}}  {verdict}".rstrip()
        for test, what, value, verdict in rows
    )


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,}"


def all_zero(lines: Sequence[Line]) -> bool:
    return all(value == 0 for line in lines for value in line["zeros"].values())


def main(names: Sequence[str]) -> int:
    known = {test.name: test for test in LONG_TESTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no such long test: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)  # noqa: T201
        return 2
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.jsonl"
        wrong = [run(known[name], file) for name in names or known]
        lines = [*lines_of(file), *(line for line in wrong if line)]
    print(table(lines))  # noqa: T201
    return 0 if all_zero(lines) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Table: runs the long tests and prints what they counted, with zeros where zeros belong.

One after another, but for the soak, which takes an hour and mostly waits: it runs beside the others, which is the more
torture for both.

    PYTHONPATH=tests python tests/torture/run_all.py [NAME ...]

A long test leaves lines of figures by `support.figures.keep`. To add one: have it keep its figures, and name it in
LONG_TESTS. What they say meanwhile goes to stderr, the table to stdout. Ends with 1 where a zero is missing, a test
failed, or one left no figures.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.figures import FIGURES_FILE

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class LongTest:
    """words: for Python. environment: what makes it long; what is set already wins, for a shorter look. beside: it runs
    while the others do.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    runs_in_parallel: bool = False


LONG_TESTS = (
    LongTest(
        name="sweep",
        arguments=("-m", "pytest", "-q", "tests/stories/test_kill_sweep.py"),
        environment={"NOTIFIER_TESTS_SWEEP_KILLS": "1000"},
    ),
    LongTest(
        name="replicas",
        arguments=("-m", "pytest", "-q", "tests/stories/test_replicas.py"),
        environment={"NOTIFIER_TESTS_REPLICA_KILLS": "40"},
    ),
    LongTest(
        name="answers",
        arguments=("-m", "pytest", "-q", "--timeout=3600", "tests/stories/test_answer_kills.py"),
        environment={"NOTIFIER_TESTS_ANSWER_KILLS": "100"},
    ),
    LongTest(
        name="scrapes",
        arguments=("-m", "pytest", "-q", "--timeout=600", "tests/stories/test_metrics.py"),
        environment={"NOTIFIER_TESTS_SCRAPES": "10000"},
    ),
    LongTest(
        name="power",
        arguments=("-m", "pytest", "-q", "tests/store/test_power_cuts.py"),
        environment={"NOTIFIER_TESTS_POWER_CUTS": "200"},
    ),
    LongTest(
        name="connection",
        arguments=("-m", "pytest", "-q", "tests/stories/test_always_receiving.py"),
    ),
    LongTest(
        name="ledger",
        arguments=("-m", "pytest", "-q", "--timeout=3600", "tests/flow/test_ledger_property.py"),
        environment={"NOTIFIER_TESTS_EXAMPLES": "1000"},
    ),
    LongTest(name="fuzz", arguments=("tests/torture/fuzz.py", "--seed", "7")),
    LongTest(
        name="soak",
        arguments=("tests/torture/soak.py",),
        environment={"NOTIFIER_TESTS_SOAK_SECONDS": "3600"},
        runs_in_parallel=True,
    ),
)

Line = dict[str, Any]


def run(test: LongTest, file: Path) -> list[Line]:
    """What it left in the file, and a line of its own for what went wrong with the test itself."""
    environment = {
        **test.environment,
        **os.environ,
        FIGURES_FILE: str(file),
        "PYTHONPATH": str(ROOT / "tests"),
    }
    ran = subprocess.run(
        [sys.executable, *test.arguments], cwd=ROOT, env=environment, stdout=sys.stderr, check=False
    )
    lines = lines_of(file)
    if ran.returncode or not lines:
        zeros = {"failed": int(ran.returncode != 0), "without figures": int(not lines)}
        counted = {"exit code": ran.returncode}
        lines.append({"test": test.name, "counted": counted, "zeros": zeros, "seconds": 0})
    return lines


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
    asked = [known[name] for name in names or known]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as threads:

        def begin(test: LongTest) -> Callable[[], list[Line]]:
            return threads.submit(run, test, Path(folder) / f"{test.name}.jsonl").result

        ends = {test.name: begin(test) for test in asked if test.runs_in_parallel}
        for test in asked:
            if not test.runs_in_parallel:
                ends[test.name] = begin(test)
                ends[test.name]()
        lines = [line for test in asked for line in ends[test.name]()]
    print(table(lines))  # noqa: T201
    return 0 if all_zero(lines) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Runs all benchmarks, one after another, and prints one table of their figures beside their pairs.

    PYTHONPATH=tests python tests/bench/all.py [NAME ...]

NAME: burst, steady, drain, claim, history, digest or clicks; without one, all of them. Takes about ten minutes. Each
benchmark is a process of its own. Ends with 1 if one of them fails.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from support.comparisons import COMPARISONS_FILE, read_comparisons, table

BENCHMARKS = ("burst", "steady", "drain", "claim", "history", "digest", "clicks")
LIMIT_SECONDS = 600
"""A benchmark that takes longer is killed."""


def run(name: str, comparisons: Path) -> bool:
    """Runs one benchmark, whose output is shown. Returns whether it succeeded."""
    print(f"\n{name}", flush=True)  # noqa: T201
    started = time.monotonic()
    try:
        code = subprocess.run(
            [sys.executable, str(Path(__file__).with_name(f"{name}.py"))],
            env={**os.environ, COMPARISONS_FILE: str(comparisons)},
            check=False,
            timeout=LIMIT_SECONDS,
        ).returncode
    except subprocess.TimeoutExpired:
        code = None
    took = f"{time.monotonic() - started:.0f} s"
    print(f"{name}: {took}" if code == 0 else f"{name} FAILED after {took}", flush=True)  # noqa: T201
    return code == 0


def main() -> int:
    names = sys.argv[1:] or BENCHMARKS
    if unknown := set(names) - set(BENCHMARKS):
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}. Known: {', '.join(BENCHMARKS)}")
    with tempfile.TemporaryDirectory() as folder:
        comparisons = Path(folder) / "comparisons.jsonl"
        comparisons.touch()
        failed = [name for name in names if not run(name, comparisons)]
        print(f"\n{table(read_comparisons(comparisons))}")  # noqa: T201
    if failed:
        print(f"failed: {', '.join(failed)}")  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs all benchmarks, one after another, and prints one table: each figure beside its pair and the kept run.

    PYTHONPATH=tests python tests/bench/all.py [--keep] [NAME ...]

NAME: one of BENCHMARKS; without one, all of them. A benchmark is a process of its own. One that fails or takes too long
is reported; the others still run, and the exit code is 1. The whole ends within 15 minutes. The figures are written to
.cache/bench/latest.json. --keep also writes docs/benchmarks.json and the table in docs/benchmarks.md; later runs are
compared with them. Figures that are worse are marked, and change no exit code.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from support.bench_run import (
    BenchRun,
    compare_runs,
    describe_machine,
    find_duplicates,
    find_worse,
    page_table,
    read_run,
    replace_table,
    write_run,
)
from support.comparisons import COMPARISONS_FILE, read_comparisons

ROOT = Path(__file__).parents[2]
LATEST = Path(".cache/bench/latest.json")
KEPT = Path("docs/benchmarks.json")
PAGE = Path("docs/benchmarks.md")
BENCHMARKS = (
    "burst",
    "receive",
    "steady",
    "drain",
    "claim",
    "history",
    "digest",
    "clicks",
    "render",
    "replicas",
)
LIMIT_SECONDS = 300.0
"""A benchmark that takes longer is killed."""
TOTAL_SECONDS = 870.0
"""When all must have ended. Those that are left have failed."""


def run_benchmark(script: Path, comparisons: Path, limit_seconds: float) -> bool:
    """Runs one benchmark, whose output is shown. Returns whether it succeeded."""
    print(f"\n{script.stem}", flush=True)  # noqa: T201
    if limit_seconds <= 0:
        print(f"{script.stem} FAILED: no time is left", flush=True)  # noqa: T201
        return False
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, COMPARISONS_FILE: str(comparisons)},
        start_new_session=True,
    )
    try:
        code: int | None = process.wait(limit_seconds)
    except subprocess.TimeoutExpired:
        code = None
    finally:
        with suppress(ProcessLookupError):  # also the notifiers that it started and left behind
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    took = f"{time.monotonic() - started:.0f} s"
    print(f"{script.stem}: {took}" if code == 0 else f"{script.stem} FAILED after {took}", flush=True)  # noqa: T201
    return code == 0


def run_all(
    scripts: Sequence[Path],
    *,
    total_seconds: float = TOTAL_SECONDS,
    now: Callable[[], float] = time.monotonic,
) -> BenchRun:
    """Runs the benchmarks. total_seconds: when the last one must have ended."""
    deadline = now() + total_seconds
    commit, has_changes = read_commit()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "comparisons.jsonl"
        file.touch()
        failed = [
            script.stem
            for script in scripts
            if not run_benchmark(script, file, min(LIMIT_SECONDS, deadline - now()))
        ]
        return BenchRun(
            commit=commit,
            has_changes=has_changes,
            machine=describe_machine(),
            comparisons=read_comparisons(file),
            failed=failed,
        )


def read_commit() -> tuple[str | None, bool]:
    """The last commit and whether the work tree differs from it; (None, False) without git."""
    try:
        commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True).strip()
        changes = subprocess.check_output(["git", "status", "--porcelain"], cwd=ROOT, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None, False
    return commit, bool(changes.strip())


def finish(run: BenchRun, root: Path, *, is_complete: bool, keep: bool) -> int:
    """Writes the files, prints the table and what follows from it. Returns the exit code.

    is_complete: all benchmarks were run. keep: the run replaces the kept one, unless it has a problem.
    """
    kept = read_run(root / KEPT) if (root / KEPT).exists() else None
    write_run(run, root / LATEST)
    print(f"\n{compare_runs(run, kept, lists_missing=is_complete)}")  # noqa: T201
    if worse := find_worse(run, kept):
        print(f"worse than the kept run: {len(worse)}. Repeat the run on a quiet machine.")  # noqa: T201
    problems = [f"failed: {', '.join(run.failed)}"] if run.failed else []
    if duplicates := find_duplicates(run.comparisons):
        problems.append(f"several figures have one name: {', '.join(duplicates)}")
    if not run.comparisons:
        problems.append("nothing was measured")
    if keep and problems:
        problems.append("The run is not kept.")
    if keep and not problems:
        page = root / PAGE
        text = replace_table(page.read_text(encoding="utf-8"), page_table(run))
        write_run(run, root / KEPT)
        page.write_text(text, encoding="utf-8")
        print(f"kept: {KEPT}, {PAGE}")  # noqa: T201
    print("\n".join([str(LATEST), *problems]))  # noqa: T201
    return 1 if problems else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs the benchmarks and prints one table.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--keep", action="store_true", help="later runs are compared with this one")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(BENCHMARKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}. Known: {', '.join(BENCHMARKS)}")
    if asked.keep and asked.names:
        parser.error("--keep needs a run of all benchmarks")
    scripts = [Path(__file__).with_name(f"{name}.py") for name in asked.names or BENCHMARKS]
    return finish(run_all(scripts), ROOT, is_complete=not asked.names, keep=asked.keep)


if __name__ == "__main__":
    sys.exit(main())

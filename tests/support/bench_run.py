"""A run of all benchmarks: its file, its comparison with the kept run, and its table in docs/benchmarks.md."""

import json
import os
import platform
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from support.comparisons import HEADING, Comparison, make_table

BEGIN, END = "<!-- figures of make bench: begin -->", "<!-- figures of make bench: end -->"
"""The table of the kept run stands between these lines of the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRun:
    """commit: that was measured; None if unknown. has_changes: the work tree differed from the commit.

    machine: facts that explain the figures. failed: benchmarks that failed, so figures are missing.
    """

    commit: str | None
    has_changes: bool = False
    machine: Mapping[str, str | int]
    comparisons: Sequence[Comparison]
    failed: Sequence[str] = ()


def describe_machine() -> dict[str, str | int]:
    """What figures depend on. Neither names nor paths."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def write_run(run: BenchRun, path: Path) -> None:
    """Write a run as JSON. The ratios are written for the reader; `read_run` computes them again."""
    figures = [{**asdict(each), "ratio": each.ratio} for each in run.comparisons]
    document = {
        "commit": run.commit,
        "has_changes": run.has_changes,
        "machine": dict(run.machine),
        "failed": list(run.failed),
        "figures": figures,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def read_run(path: Path) -> BenchRun:
    """Read a run that `write_run` wrote."""
    document: Any = json.loads(path.read_text(encoding="utf-8"))
    known = {each.name for each in fields(Comparison)}
    return BenchRun(
        commit=document["commit"],
        has_changes=document["has_changes"],
        machine=document["machine"],
        comparisons=[
            Comparison(**{name: value for name, value in figure.items() if name in known})
            for figure in document["figures"]
        ],
        failed=document["failed"],
    )


def find_duplicates(comparisons: Sequence[Comparison]) -> list[str]:
    """Names that several figures have."""
    names = [each.what for each in comparisons]
    return sorted({name for name in names if names.count(name) > 1})


def worsening(current: Comparison, kept: Comparison) -> float | None:
    """By which factor the ratio is worse than in the kept run; below 1 if it is better, None without two ratios."""
    if current.ratio is None or kept.ratio is None:
        return None
    factor = current.ratio / kept.ratio
    return 1 / factor if current.is_higher_better else factor


def describe_change(current: Comparison, kept: Comparison | None) -> str:
    """The last cell of a line: whether the ratio got worse than in the kept run by more than the noise."""
    if kept is None:
        return "new"
    factor = worsening(current, kept)
    if factor is None:
        return "" if kept.ratio is None and current.ratio is None else "WORSE: no ratio"
    return f"WORSE: {factor:.2f} times" if factor > 1 + current.noise else ""


def compare_runs(current: BenchRun, kept: BenchRun | None, *, lists_missing: bool = True) -> str:
    """The table of a run beside the ratios of the kept run, then what is missing.

    lists_missing: False for a run of some benchmarks only.
    """
    before = {each.what: each for each in kept.comparisons} if kept else {}
    rows = [
        [
            *each.cells(),
            before[each.what].ratio_text if each.what in before else "–",
            describe_change(each, before.get(each.what)) if kept else "",
        ]
        for each in current.comparisons
    ]
    lines = [make_table([*HEADING, "kept ratio", "change"], rows)]
    missing = [what for what in before if what not in {each.what for each in current.comparisons}]
    if missing and lists_missing:
        lines += ["not measured:", *(f"- {what}" for what in missing)]
    if kept and any(current.machine.get(name, fact) != fact for name, fact in kept.machine.items()):
        lines.append(
            f"The kept run is of another machine: {describe(kept.machine)}. Now: {describe(current.machine)}."
        )
    return "\n".join(lines)


def describe(machine: Mapping[str, str | int]) -> str:
    """The facts of a machine on one line."""
    return ", ".join(f"{name} {value}" for name, value in machine.items())


def find_worse(current: BenchRun, kept: BenchRun | None) -> list[str]:
    """Names of the figures that the table marks as worse."""
    before = {each.what: each for each in kept.comparisons} if kept else {}
    return [
        each.what
        for each in current.comparisons
        if each.what in before and describe_change(each, before[each.what]).startswith("WORSE")
    ]


def page_table(run: BenchRun) -> str:
    """The table of a kept run, as the page shows it."""
    commit = f"commit `{run.commit[:12]}`" if run.commit else "a commit that was not recorded"
    changes = ", with changes" if run.has_changes else ""
    table = make_table(HEADING, [each.cells() for each in run.comparisons])
    return f"Measured at {commit}{changes}; {describe(run.machine)}.\n\n{table}"


def replace_table(page: str, table: str) -> str:
    """Put a table between the markers of a page. Raises ValueError if they do not stand there once, in this order."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise ValueError(f"the page must have the lines {BEGIN} and {END} once, in this order")
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"

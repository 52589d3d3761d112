"""Comparisons: what a benchmark measured, each figure beside its pair of the same run."""

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

COMPARISONS_FILE = "NOTIFIER_BENCH_COMPARISONS"
"""Environment variable that names a file for the comparisons of several benchmarks; without it none is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One line of the table, as text.

    ratio: figure to pair, or their difference where the aim is a difference; empty where there is no pair.
    """

    what: str
    against: str
    figure: str
    pair: str
    ratio: str
    aim: str


def report(comparisons: Sequence[Comparison]) -> None:
    """Prints the table, and appends it to the file of `COMPARISONS_FILE`."""
    print(table(comparisons), flush=True)  # noqa: T201
    if path := os.environ.get(COMPARISONS_FILE):
        with Path(path).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in comparisons)


def read_comparisons(path: Path) -> list[Comparison]:
    """The comparisons that `report` appended to a file."""
    return [Comparison(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def table(comparisons: Iterable[Comparison]) -> str:
    """The comparisons as a Markdown table."""
    lines = ["| what | against | figure | pair | ratio | aim |", "|" + " --- |" * 6]
    lines += [
        f"| {each.what} | {each.against} | {each.figure} | {each.pair} | {each.ratio} | {each.aim} |"
        for each in comparisons
    ]
    return "\n".join(lines)


def times(figure: float, pair: float) -> str:
    """The ratio of two figures as text, such as `0.31 ×`."""
    return f"{figure / pair:.3g} ×" if pair else "–"


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that at least this percentage of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def p50_p99(values: Sequence[float]) -> str:
    """Median and 99th percentile of milliseconds as text."""
    return f"{percentile(values, 50):.0f} / {percentile(values, 99):.0f} ms"


def added_p50_p99(values: Sequence[float], pair: Sequence[float]) -> str:
    """By how many milliseconds the median and the 99th percentile exceed those of the pair, as text."""
    added = [percentile(values, each) - percentile(pair, each) for each in (50, 99)]
    return f"{added[0]:+.0f} / {added[1]:+.0f} ms"

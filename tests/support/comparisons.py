"""Comparisons: what a benchmark measured, each figure beside its pair of the same run."""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

COMPARISONS_FILE = "NOTIFIER_BENCH_COMPARISONS"
"""Environment variable that names a file for the comparisons of several benchmarks; without it none is written."""
NOISE = 0.25
"""A ratio that differs by less from that of another run means nothing."""
TIMING_NOISE = 0.5
"""The same for ratios of latencies and of CPU per event, which vary more from day to day."""
HEADING = ("what", "against", "figure", "pair", "ratio", "aim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One line of the table. Its name is `what`; no two figures share one.

    against: what the pair is; empty without a pair. unit: of both. noise: the share by which the ratio varies between
    runs. note, pair_note: further facts, as text. is_bound: the figure was cut off, so it is at least this one.
    shows_difference: the aim is a difference, so the table shows it beside the ratio.
    """

    what: str
    against: str = ""
    figure: float
    pair: float | None = None
    unit: str = ""
    is_higher_better: bool = False
    noise: float = NOISE
    note: str = ""
    pair_note: str = ""
    aim: str = ""
    is_bound: bool = False
    shows_difference: bool = False

    @property
    def ratio(self) -> float | None:
        """Figure to pair; None where one of them is missing or 0."""
        return self.figure / self.pair if self.pair and self.figure else None

    @property
    def ratio_text(self) -> str:
        """The ratio as the table shows it."""
        if self.pair is None or self.ratio is None:
            return "–"
        text = f"{'> ' if self.is_bound else ''}{format_value(self.ratio, '×')}"
        added = self.figure - self.pair
        return f"{text} ({added:+.0f} {self.unit})" if self.shows_difference else text

    def cells(self) -> list[str]:
        """The line of the table, in the order of HEADING."""
        figure = ("> " if self.is_bound else "") + format_value(self.figure, self.unit)
        pair = "–" if self.pair is None else format_value(self.pair, self.unit)
        return [
            self.what,
            self.against or "–",
            figure + (f" ({self.note})" if self.note else ""),
            pair + (f" ({self.pair_note})" if self.pair_note else ""),
            self.ratio_text,
            self.aim,
        ]


def format_value(value: float, unit: str) -> str:
    """A figure with three significant digits at least, and its unit."""
    number = f"{value:,.0f}" if abs(value) >= 99.5 else f"{value:#.3g}".removesuffix(".")
    return f"{number} {unit}" if unit else number


def make_table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def report(comparisons: Sequence[Comparison]) -> None:
    """Prints the table, and appends it to the file of `COMPARISONS_FILE`."""
    print(make_table(HEADING, [each.cells() for each in comparisons]), flush=True)  # noqa: T201
    if path := os.environ.get(COMPARISONS_FILE):
        with Path(path).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in comparisons)


def read_comparisons(path: Path) -> list[Comparison]:
    """The comparisons that `report` appended to a file."""
    return [Comparison(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that at least this percentage of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def compare_latencies(
    what: str, against: str, values: Sequence[float], pair: Sequence[float], aims: tuple[str, str] = ("", "")
) -> list[Comparison]:
    """Median and 99th percentile of milliseconds beside those of the pair. aims: of both."""
    return [
        Comparison(
            what=f"{what}, p{percent}",
            against=against,
            figure=percentile(values, percent),
            pair=percentile(pair, percent),
            unit="ms",
            noise=TIMING_NOISE,
            aim=aim,
            shows_difference=True,
        )
        for percent, aim in zip((50, 99), aims, strict=True)
    ]

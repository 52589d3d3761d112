"""Figures: what a long test counted, as one line of JSON that `make torture` puts into its table."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

FIGURES_FILE = "NOTIFIER_TESTS_FIGURES"
"""The environment variable that names the file; without it nothing is kept."""

Figure = int | float | str


def write_figures(
    test: str, *, counted: Mapping[str, Figure], zeros: Mapping[str, int], seconds: float
) -> None:
    """counted: how much was tried. zeros: what must not have happened, how often it did."""
    path = os.environ.get(FIGURES_FILE)
    if not path:
        return
    line = {"test": test, "counted": dict(counted), "zeros": dict(zeros), "seconds": round(seconds, 1)}
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")

"""Torture: noise of every kind against a real notifier over a real socket, and hostile texts through the cards.

`make fuzz`, or `python tests/torture/fuzz.py [--seed N] [--count N] [--cards N]` with `tests` on the path. Prints seed
and counts. An input that breaks a promise is kept in a file, which is named; the exit code is then 1.
"""

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from support.figures import write_figures
from support.fuzzing import FuzzCounts, FuzzFailure, fuzz_cards, fuzz_readers, fuzz_webhook, fuzz_wire

FAILURE_FILE = Path(tempfile.gettempdir()) / "notifier-fuzz.txt"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--count", type=int, default=100_000, help="frames, events and callbacks")
    parser.add_argument("--posts", type=int, default=100_000, help="to the webhook")
    parser.add_argument("--cards", type=int, default=5_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs: tuple[Callable[[], FuzzCounts], ...] = (
            lambda: fuzz_readers(seed=asked.seed, count=asked.count, failure_file=FAILURE_FILE),
            lambda: fuzz_cards(seed=asked.seed, count=asked.cards, failure_file=FAILURE_FILE),
            lambda: fuzz_wire(
                _made(folder, "wire"), seed=asked.seed, count=asked.count, failure_file=FAILURE_FILE
            ),
            lambda: fuzz_webhook(
                _made(folder, "webhook"), seed=asked.seed, count=asked.posts, failure_file=FAILURE_FILE
            ),
        )
        try:
            for run in runs:
                began = time.monotonic()
                print_counts(run(), time.monotonic() - began)
        except FuzzFailure as found:
            print(f"seed {asked.seed}: {found}")  # noqa: T201
            return 1
    return 0


def _made(folder: str, name: str) -> Path:
    made = Path(folder) / name
    made.mkdir()
    return made


def print_counts(figures: FuzzCounts, took: float) -> None:
    kinds = ", ".join(f"{name} {count:,}" for name, count in sorted(figures.inputs.items()))
    print(  # noqa: T201
        f"seed {figures.seed}: {figures.total:,} inputs ({kinds}) in {took:.0f} s; unforeseen errors 0",
        flush=True,
    )
    write_figures(
        "fuzz",
        counted={**figures.inputs, "good events between": figures.good_events},
        zeros={"unforeseen errors": 0},
        seconds=took,
    )
    if figures.good_events:
        print(  # noqa: T201
            f"  good events between them {figures.good_events:,}, all acknowledged and recorded; connections found "
            f"lost {figures.connections_lost}; memory {figures.memory_before} MB -> {figures.memory_after} MB"
        )


if __name__ == "__main__":
    sys.exit(main())

"""Power cuts: what was called stored is there afterwards, whatever became of writes that were never synced.

NOTIFIER_TESTS_POWER_CUTS says how many.
"""

import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from notifier.store.engine.database import Database
from notifier.store.engine.sqlite import integrity
from support.figures import write_figures
from support.preload import build_library
from support.running import clean_environment

CUTS = int(os.environ.get("NOTIFIER_TESTS_POWER_CUTS", "12"))
CARELESS_CUTS = 4
ENDED_BY_A_CUT = 86
MOST_BEFORE_A_CUT = 400
STORING = Path(__file__).parents[1] / "support" / "store_events.py"


@dataclass(frozen=True, slots=True)
class Cut:
    """told: keys named as stored before it. unsynced_lost: writes that it undid, in part or whole."""

    told: list[str]
    unsynced_lost: int


class PowerCuts:
    """One database that is written to and cut off again and again."""

    def __init__(self, folder: Path, *, synchronous: str | None = None) -> None:
        self.path = folder / "notifier.db"
        self._folder = folder
        self._library = build_library("power_cut", folder)
        self._more = () if synchronous is None else (synchronous,)
        self._next = 0
        Database.open(f"sqlite:///{self.path}").close()

    def cut(self, seed: int) -> Cut:
        trigger = self._folder / f"cut-{seed}"
        environment = {
            "LD_PRELOAD": str(self._library),
            "POWER_CUT_UNDER": str(self.path),
            "POWER_CUT_FILE": str(trigger),
        }
        enough = random.Random(seed).randint(1, MOST_BEFORE_A_CUT)
        words = (sys.executable, str(STORING), f"sqlite:///{self.path}", str(self._next), *self._more)
        with subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment() | environment,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            told = [line.strip() for line, _ in zip(process.stdout, range(enough), strict=False)]
            half_written = trigger.with_suffix(".new")
            half_written.write_text(str(seed))
            half_written.rename(trigger)
            told += [line.strip() for line in process.stdout]
            errors = process.stderr.read()
        assert process.returncode == ENDED_BY_A_CUT, errors
        self._next += len(told) + MOST_BEFORE_A_CUT
        found = re.search(r"power cut: (\d+) of \d+ unsynced lost", errors)
        assert found is not None, errors
        return Cut(told=told, unsynced_lost=int(found[1]))

    def stored(self) -> set[str] | None:
        """What is there, seen on a copy so that the next cut meets the files as this one left them; None for damage."""
        seen = self._folder / "seen"
        shutil.rmtree(seen, ignore_errors=True)
        seen.mkdir()
        for file in (self.path, Path(f"{self.path}-wal")):
            if file.exists():
                shutil.copy(file, seen / file.name)
        if self._more == ():
            integrity.check_integrity(
                f"sqlite:///{seen / self.path.name}"
            )  # or the next start would be refused
        connection = sqlite3.connect(seen / self.path.name)
        try:
            if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                return None
            return {key for (key,) in connection.execute("SELECT event_key FROM inbox")}
        except sqlite3.DatabaseError:
            return None
        finally:
            connection.close()


@pytest.mark.timeout(60 + 30 * CUTS)
def test_what_was_called_stored_is_there_after_every_power_cut(tmp_path: Path) -> None:
    cuts, told, unsynced_lost, started = PowerCuts(tmp_path), set[str](), 0, time.monotonic()
    for seed in range(CUTS):
        cut = cuts.cut(seed)
        told |= set(cut.told)
        unsynced_lost += cut.unsynced_lost
        stored = cuts.stored()

        assert stored is not None, f"damaged by the cut with seed {seed}"
        assert set() == told - stored, f"lost by the cut with seed {seed}"
    assert unsynced_lost > 0, "no cut took anything: this proves nothing"
    write_figures(
        "power cuts",
        counted={"cuts": CUTS, "called stored": len(told), "unsynced writes undone": unsynced_lost},
        zeros={"lost": len(told - (stored or set()))},
        seconds=time.monotonic() - started,
    )


def test_without_syncs_a_power_cut_does_take_what_was_called_stored(tmp_path: Path) -> None:
    """Or it leaves a damaged file: that is, the cuts of the test above bite."""
    bitten = False
    for seed in range(CARELESS_CUTS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        cuts = PowerCuts(folder, synchronous="OFF")
        told, stored = set(cuts.cut(seed).told), cuts.stored()
        bitten = bitten or stored is None or bool(told - stored)

    assert bitten

"""Bench: a digest over 100,000 accounts and 1,000,000 changes, against a plain SELECT over the same rows.

Prints seconds, their ratio, and how much the process grew. Sizes can be lowered: digest.py ACCOUNTS CHANGES.
"""

import multiprocessing
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from notifier.cards.digest_fit import make_digest_fit
from notifier.clock import SystemClock
from notifier.config.settings import Config
from notifier.domain.money import Kind
from notifier.domain.period import Period, Span, finished
from notifier.flow.digests.figures import Figures, gather
from notifier.runtime.factories import make_renderer
from notifier.store.engine.database import Database
from support.comparisons import Comparison, report
from support.digests import BEFORE, PLAN

BATCH = 20_000


def main() -> None:
    accounts, changes = (int(word.replace("_", "")) for word in (*sys.argv[1:], "100_000", "1_000_000")[:2])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        database = Database.open(f"sqlite:///{path}")
        try:
            period = finished(Span.DAY, BEFORE.date(), PLAN.zone)
            sizes = {"accounts": accounts, "changes": changes}
            filling = multiprocessing.get_context("spawn").Process(
                target=fill, args=(path, period), kwargs=sizes
            )
            filling.start()  # elsewhere, so that its memory is not counted
            filling.join()
            print(  # noqa: T201 - what a bench is for
                f"{accounts:,} accounts, {changes:,} changes in the period, {path.stat().st_size / 1e6:.0f} MB"
            )
            report(compare(database, path, period, sizes))
        finally:
            database.close()


def fill(path: Path, period: Period, *, accounts: int, changes: int) -> None:
    """Straight into the tables: every account begins before the period and changes evenly over it."""
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA synchronous=OFF")
    per_account = changes // accounts
    step = (period.to_at - period.from_at) // (per_account + 1)
    snapshot = 0
    for first in range(1, accounts + 1, BATCH):
        refs = range(first, min(first + BATCH, accounts + 1))
        raw.executemany(
            "INSERT INTO accounts (id, tenant_key, app_id, account_id, modified_at, reported_at, referrer_open_id,"
            " referrer_name_zh, looked_up_at) VALUES (?, 'tk', 'cli_x', ?, 1, 1, ?, ?, 1)",
            [(ref, str(7 * 10**18 + ref), f"ou_{ref:032x}", f"同事{ref}") for ref in refs],
        )
        snapshots, rows, balances = [], [], []
        for ref in refs:
            units = 0
            for number in range(per_account + 1):
                at = period.from_at - 1000 if number == 0 else period.from_at + number * step + ref % step
                amount = units + 10_000 * (1 + (ref * 7 + number * 13) % 500) * (-1 if number % 5 == 4 else 1)
                amount = max(amount, 0)
                snapshot += 1
                snapshots.append((snapshot, ref, at, at, f"{amount}"))
                rows.append((snapshot, ref, "cash", "CNY", units, amount, at))
                units = amount
            balances.append((ref, "cash", "CNY", units))
        raw.executemany(
            "INSERT INTO snapshots (id, account_ref, modified_at, reported_at, content) VALUES (?, ?, ?, ?, ?)",
            snapshots,
        )
        raw.executemany(
            "INSERT INTO changes (snapshot_id, account_ref, kind, currency, before, after, modified_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        raw.executemany("INSERT INTO balances VALUES (?, ?, ?, ?)", balances)
        raw.commit()
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()


def compare(database: Database, path: Path, period: Period, sizes: Mapping[str, int]) -> list[Comparison]:
    config, clock = Config(), SystemClock()
    fit = make_digest_fit(make_renderer(config, clock))

    def digest(**values: object) -> Figures:
        with database.read() as connection:
            return gather(
                connection,
                replace(PLAN, rows=50, **values),  # type: ignore[arg-type]
                period,
                due_at=None,
                now=period.to_at,
                late_before=None,
                kinds=tuple(Kind),
                fit=fit,
            )

    def plain() -> int:
        raw = sqlite3.connect(path)
        try:
            query = "SELECT account_ref, kind, currency, before, after FROM changes WHERE modified_at BETWEEN ? AND ?"
            return sum(1 for _ in raw.execute(query, (period.from_at, period.to_at - 1)))
        finally:
            raw.close()

    before = peak_mb()
    digest(file="never")  # what is imported once is not what is measured
    measured: dict[str, tuple[float, object]] = {}
    for name, work, repeats in (
        ("a plain SELECT over the rows", plain, 2),
        ("the card (figures, tables, 7-day chart)", lambda: digest(file="never"), 2),
        ("card and file of every account", lambda: digest(file="always"), 1),
    ):
        measured[name] = best_of(repeats, work)
    base = measured["a plain SELECT over the rows"][0]
    for name, (seconds, result) in measured.items():
        print(f"{name:<42}{seconds:>7.2f} s  {seconds / base:>5.1f} x")  # noqa: T201
        if isinstance(result, Figures) and not result.digest.adds_up:
            raise SystemExit("the figures do not add up")
    grown = peak_mb() - before
    size = f"{sizes['accounts']:,} accounts and {sizes['changes']:,} changes"
    return [
        Comparison(
            what=f"digest over {size}{what}",
            against="a plain SELECT over the rows",
            figure=measured[name][0],
            pair=base,
            unit="s",
            note=note,
            aim=aim,
        )
        for what, name, note, aim in (
            ("", "the card (figures, tables, 7-day chart)", "", "≤ 3 ×"),
            (
                ", with a file of every account",
                "card and file of every account",
                f"the process grew by {grown:.0f} MB",
                "",
            ),
        )
    ]


def best_of(repeats: int, work: Callable[[], object]) -> tuple[float, object]:
    taken: list[float] = []
    result: object = None
    for _ in range(repeats):
        with timed(taken):
            result = work()
    return min(taken), result


@contextmanager
def timed(taken: list[float]) -> Iterator[None]:
    started = time.perf_counter()
    yield
    taken.append(time.perf_counter() - started)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()

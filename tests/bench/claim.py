"""Bench: one claim of due deliveries with 10, 10,000 and 100,000 recipients waiting.

    PYTHONPATH=tests python tests/bench/claim.py [WAITING ...]

Each claim takes at most 10 deliveries and is rolled back, so that each one meets the same backlog. A claim that takes
longer than 5 s is interrupted. Prints CPU and wall time of one claim; nothing is asserted.
"""

import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from notifier.clock import SystemClock, to_millis
from notifier.domain.rate_limit import RateLimit, SendingLimits
from notifier.store.deliveries import claims
from notifier.store.engine.database import Database
from support.comparisons import Comparison, report
from support.filled_store import fill_waiting

WAITING = (10, 10_000, 100_000)
TAKEN = 10
"""Deliveries in one claim."""
REPEATS = 15
LIMIT_SECONDS = 5.0
LIMITS = SendingLimits(
    app=RateLimit(per_second=1_000, burst=1_000), chat=RateLimit(per_second=1_000), per_minute=1_000_000
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Milliseconds of one claim. is_complete: False if it was interrupted, then they are a lower bound."""

    cpu_ms: float
    wall_ms: float
    is_complete: bool = True


def claim(connection: Connection) -> int:
    """Claims deliveries and returns their number."""
    result = claims.claim_due_deliveries(
        connection,
        worker_id="bench",
        now=to_millis(SystemClock().now()),
        slots=TAKEN,
        sending_limits=LIMITS,
    )
    return len(result.deliveries)


def measure(waiting: int) -> Cost:
    """The cost of one claim with so many recipients waiting: the median of several."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        database = Database.open(f"sqlite:///{path}")
        try:
            fill_waiting(path, recipients=waiting, end_ms=to_millis(SystemClock().now()) - 60_000)
            with database.engine.connect() as connection:
                return measure_claims(connection)
        finally:
            database.close()


def measure_claims(connection: Connection) -> Cost:
    cpu: list[float] = []
    wall: list[float] = []
    for repeat in range(REPEATS + 1):
        interrupt = threading.Timer(LIMIT_SECONDS, interrupt_connection, [connection])
        interrupt.start()
        started, started_cpu = time.perf_counter(), time.process_time()
        try:
            claimed = claim(connection)
        except OperationalError:
            return Cost(
                cpu_ms=1000 * (time.process_time() - started_cpu),
                wall_ms=1000 * (time.perf_counter() - started),
                is_complete=False,
            )
        finally:
            interrupt.cancel()
        if repeat:  # the first one compiles the statements
            cpu.append(1000 * (time.process_time() - started_cpu))
            wall.append(1000 * (time.perf_counter() - started))
        connection.rollback()
        if claimed != TAKEN:
            raise SystemExit(f"{claimed} deliveries claimed instead of {TAKEN}")
    return Cost(cpu_ms=median(cpu), wall_ms=median(wall))


def interrupt_connection(connection: Connection) -> None:
    driver_connection: Any = connection.connection.driver_connection
    driver_connection.interrupt()


def main() -> None:
    sizes = [int(word.replace("_", "")) for word in sys.argv[1:]] or WAITING
    few, *many = sizes
    base = measure(few)
    found = []
    for size in many:
        cost = measure(size)
        found.append(
            Comparison(
                what=f"claim of {TAKEN} with {size:,} waiting, CPU",
                against=f"with {few:,} waiting",
                figure=cost.cpu_ms,
                pair=base.cpu_ms,
                unit="ms",
                note=f"{cost.wall_ms:.2f} ms wall time",
                pair_note=f"{base.wall_ms:.2f} ms wall time",
                is_bound=not cost.is_complete,
                aim="≤ 1.3 ×",
            )
        )
    report(found)


if __name__ == "__main__":
    main()

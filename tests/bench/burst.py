"""Bench: a burst of 2,000 events, acknowledged over the real wire, on a quick disk and on one whose sync takes 8 ms.

    PYTHONPATH=tests python tests/bench/burst.py

Beside it: Feishu's SDK with an empty handler, which stores nothing, and a store that commits events one by one. Prints
figures measured side by side in one run; nothing is asserted.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from notifier.clock import SystemClock
from notifier.domain.event import Event
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from notifier.store.engine.database import Database
from notifier.store.inbox import EventInserter
from support.comparisons import Comparison, report
from support.load import receiving_reference
from support.running import RunningNotifier
from support.waiting import wait_until

BURST = 2_000
ONE_BY_ONE = 200
SLOW_MS = 8


def slow_disk(folder: Path) -> dict[str, str]:
    """The environment of a process whose syncs take SLOW_MS longer; empty where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return {}
    library = folder / "slow_sync.so"
    source = Path(__file__).with_name("slow_sync.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "SLOW_SYNC_MS": str(SLOW_MS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """seconds: until the last event was acknowledged. slowest_ms: of all pushes. pushes: with the repeated ones."""

    seconds: float
    slowest_ms: int
    pushes: int

    @property
    def per_second(self) -> float:
        """Acknowledged events a second."""
        return BURST / self.seconds


def notifier_burst(extra: dict[str, str]) -> Burst:
    """A burst that the notifier receives. extra: environment variables of its process."""
    with tempfile.TemporaryDirectory() as folder, FeishuBox(SandboxSettings(extra_accounts=496)) as box:
        notifier = RunningNotifier(box, Path(folder))
        notifier.start(environment=extra)
        burst = push_burst(box)
        notifier.kill()
        return burst


def sdk_burst() -> Burst:
    """A burst that Feishu's SDK receives, with a handler that does nothing."""
    with (
        FeishuBox(SandboxSettings(extra_accounts=496)) as box,
        receiving_reference(box, "sdk_empty"),
    ):
        return push_burst(box)


def push_burst(box: FeishuBox) -> Burst:
    """Pushes the burst and waits for its acknowledgements."""
    accounts = [account["account_id"] for account in box.accounts()]
    box.hold()
    box.change_balances([(accounts[number % len(accounts)], 1, {}) for number in range(BURST)])
    box.release()
    wait_until(lambda: box.unacknowledged() == 0, "all acknowledged", seconds=120)
    pushes = [push for event in box.events() for push in event["pushes"]]
    answered_at = [push["at_ms"] + push["took_ms"] for push in pushes if push["took_ms"] is not None]
    return Burst(
        seconds=(max(answered_at) - min(push["at_ms"] for push in pushes)) / 1000,
        slowest_ms=max(push["took_ms"] or 0 for push in pushes),
        pushes=len(pushes),
    )


def events(number: int, name: str) -> list[Event]:
    return [
        Event(
            key=f"{name}-{n}", event_type="x", tenant_key="t", app_id="a", created_at=0, payload=b"{}" * 200
        )
        for n in range(number)
    ]


def rates() -> tuple[float, float]:
    """Events stored a second: all at once, and each waiting for its own commit."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(f"sqlite:///{folder}/bench.db")
        accept = EventInserter(SystemClock())
        started = time.monotonic()
        for waiting in [database.write_many(accept, event) for event in events(BURST, "together")]:
            waiting.result()
        together = BURST / (time.monotonic() - started)
        started = time.monotonic()
        for event in events(ONE_BY_ONE, "alone"):
            database.write_many(accept, event).result()
        alone = ONE_BY_ONE / (time.monotonic() - started)
        database.close()
        return together, alone


def measure_rates(extra: dict[str, str]) -> tuple[float, float]:
    """`rates` in a process of its own with these environment variables."""
    child = subprocess.run(
        [sys.executable, __file__, "rates"],
        env={**os.environ, **extra},
        capture_output=True,
        text=True,
        check=True,
    )
    together, alone = (float(word) for word in child.stdout.split())
    return together, alone


def compare(name: str, extra: dict[str, str], sdk: Burst) -> list[Comparison]:
    """The comparisons on one disk. extra: environment variables that make it slower."""
    burst = notifier_burst(extra)
    together, alone = measure_rates(extra)
    return [
        Comparison(
            what=f"durable acknowledgements a second, burst of {BURST:,}, {name}",
            against="the SDK's client with an empty handler",
            figure=burst.per_second,
            pair=sdk.per_second,
            is_higher_better=True,
            note=f"last after {burst.slowest_ms / 1000:.2f} s, {burst.pushes - BURST} pushed again",
            pair_note=f"last after {sdk.slowest_ms / 1000:.2f} s",
            aim="last < 3 s" if extra else "≥ 1.0 ×",
        ),
        Comparison(
            what=f"events stored a second, {name}",
            against="committing one by one",
            figure=together,
            pair=alone,
            is_higher_better=True,
            aim="≥ 50 ×" if extra else "",
        ),
    ]


def main() -> None:
    if sys.argv[1:] == ["rates"]:
        print(*rates())  # noqa: T201 - read by the parent
        return
    with tempfile.TemporaryDirectory() as folder:
        sdk = sdk_burst()
        found = compare("SQLite FULL", {}, sdk)
        slow = slow_disk(Path(folder))
        if slow:
            found += compare(f"sync + {SLOW_MS} ms", slow, sdk)
        else:
            print("no C compiler: the slow disk is left out")  # noqa: T201
        report(found)


if __name__ == "__main__":
    main()

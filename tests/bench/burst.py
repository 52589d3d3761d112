"""Bench: a burst of 2,000 events, acknowledged over the real wire, on a quick disk and on one whose sync takes 8 ms.

Run with `make bench`. Prints seconds and ratios measured side by side in one run; nothing is asserted.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from notifier.clock import SystemClock
from notifier.domain.event import Event
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from notifier.store.engine.database import Database
from notifier.store.inbox import EventInserter
from support.running import RunningNotifier

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


def over_the_wire(extra: dict[str, str]) -> tuple[float, int, int]:
    """Seconds until the last of the burst was acknowledged, the slowest answer in ms, and pushes made."""
    with tempfile.TemporaryDirectory() as folder, FeishuBox(SandboxSettings(extra_accounts=496)) as box:
        notifier = RunningNotifier(box, Path(folder))
        os.environ.update(extra)
        try:
            notifier.start()
        finally:
            for name in extra:
                del os.environ[name]
        accounts = [account["account_id"] for account in box.accounts()]
        box.hold()
        box.change_balances([(accounts[number % len(accounts)], 1, {}) for number in range(BURST)])
        started = time.monotonic()
        box.release()
        box.wait_for(lambda: box.unacknowledged() == 0, "all acknowledged", timeout=120)
        took = time.monotonic() - started
        pushes = [push for event in box.events() for push in event["pushes"]]
        notifier.kill()
        return took, max(push["took_ms"] or 0 for push in pushes), len(pushes)


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


def main() -> None:
    if sys.argv[1:] == ["rates"]:
        print(*rates())  # noqa: T201 - read by the parent
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, extra in (("this disk", {}), (f"sync + {SLOW_MS} ms", slow_disk(Path(folder)))):
            if name != "this disk" and not extra:
                print("no C compiler: the slow disk is left out")  # noqa: T201
                continue
            took, slowest, pushes = over_the_wire(extra)
            child = subprocess.run(
                [sys.executable, __file__, "rates"],
                env={**os.environ, **extra},
                capture_output=True,
                text=True,
                check=True,
            )
            together, alone = (float(word) for word in child.stdout.split())
            print(  # noqa: T201
                f"{name:12} {BURST} events acknowledged in {took:.2f} s, the slowest answer after {slowest} ms "
                f"(Feishu allows 3000), {pushes} pushes\n"
                f"{'':12} stored {together:,.0f}/s together, {alone:,.0f}/s one by one: {together / alone:.0f} x"
            )


if __name__ == "__main__":
    main()

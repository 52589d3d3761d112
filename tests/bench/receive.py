"""Bench: a burst of 2,000 events over the real wire, beside the SDK's client with an empty handler.

    PYTHONPATH=tests python tests/bench/receive.py

Both clients run in processes of their own against the same kind of sandbox, one after the other in each round. Prints
the time until the last acknowledgement and the CPU time of both sides; nothing is asserted. Start and memory of the
notifier are compared with the bare import of the SDK.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from support.comparisons import TIMING_NOISE, Comparison, report
from support.running import START_SECONDS, clean_environment, running_notifier

BURST = 2_000
ROUNDS = 3
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A connected client. started_seconds: from the start of the process until it is connected."""

    pid: int
    started_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The result of one burst, in seconds and KB."""

    last_ack: float
    cpu: float
    sandbox_cpu: float
    repeated: int
    started: float
    memory_kb: int


def run_sdk_client(url: str, app_id: str, app_secret: str) -> None:
    """The SDK's client with an empty handler. Never returns."""
    import lark_oapi  # noqa: PLC0415 - only in the process of this client

    builder = lark_oapi.EventDispatcherHandler.builder("", "")
    builder.register_p2_hire_referral_account_assets_update_v1(lambda _event: None)
    lark_oapi.ws.Client(
        app_id, app_secret, event_handler=builder.build(), domain=url, log_level=lark_oapi.LogLevel.ERROR
    ).start()


@contextmanager
def sdk_client(box: FeishuBox, _folder: Path) -> Iterator[Client]:
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, __file__, "sdk", box.url, box.app_id, box.app_secret], env=clean_environment()
    )
    try:
        box.wait_for(lambda: box.connections() == 1, "the SDK's client is connected", timeout=START_SECONDS)
        yield Client(pid=process.pid, started_seconds=time.monotonic() - began)
    finally:
        process.kill()
        process.wait()


@contextmanager
def notifier_client(box: FeishuBox, folder: Path) -> Iterator[Client]:
    began = time.monotonic()
    with running_notifier(box, folder) as notifier:
        yield Client(pid=notifier.pid, started_seconds=time.monotonic() - began)


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def memory_kb(pid: int) -> int:
    """The resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:", 1)[1].split()[0])


def measure(connect: Callable[[FeishuBox, Path], AbstractContextManager[Client]]) -> Figures:
    """Connect a client to a fresh sandbox and push the burst to it."""
    with tempfile.TemporaryDirectory() as folder, FeishuBox(SandboxSettings(extra_accounts=496)) as box:
        accounts = [account["account_id"] for account in box.accounts()]
        with connect(box, Path(folder)) as client:
            time.sleep(2)  # what a client does after its start is not part of the burst
            box.hold()
            box.change_balances([(accounts[number % len(accounts)], 1, {}) for number in range(BURST)])
            before, own_before, began = cpu_seconds(client.pid), time.process_time(), time.time()
            box.release()
            while box.unacknowledged():
                time.sleep(0.02)
            own_cpu, cpu = time.process_time() - own_before, cpu_seconds(client.pid) - before
            pushes = [push for event in box.events() for push in event["pushes"]]
            return Figures(
                last_ack=max(push["at_ms"] + (push["took_ms"] or 0) for push in pushes) / 1000 - began,
                cpu=cpu,
                sandbox_cpu=own_cpu,
                repeated=len(pushes) - BURST,
                started=client.started_seconds,
                memory_kb=memory_kb(client.pid),
            )


def import_alone() -> tuple[float, int]:
    """Seconds and memory of a process that only imports the SDK."""
    program = "import lark_oapi, sys; sys.stdout.write('ready\\n'); sys.stdout.flush(); sys.stdin.read()"
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        took, memory = time.monotonic() - began, memory_kb(process.pid)
        process.communicate()
    return took, memory


def median(values: Iterable[float]) -> float:
    return statistics.median(list(values))


def describe(name: str, rounds: Sequence[Figures]) -> str:
    last_ack = median(each.last_ack for each in rounds)
    return (
        f"{name:15} last of {BURST} acknowledged after {last_ack:.2f} s "
        f"({min(each.last_ack for each in rounds):.2f} to {max(each.last_ack for each in rounds):.2f}), "
        f"{BURST / last_ack:,.0f}/s; CPU {median(each.cpu for each in rounds) * 1000 / BURST:.2f} ms an event, "
        f"of the sandbox {median(each.sandbox_cpu for each in rounds) * 1000 / BURST:.2f} ms "
        f"({median(each.sandbox_cpu / each.last_ack for each in rounds):.0%} of a core), "
        f"{sum(each.repeated for each in rounds)} repeated"
    )


def main() -> None:
    if sys.argv[1:2] == ["sdk"]:
        run_sdk_client(*sys.argv[2:])
    rounds = [
        (measure(notifier_client), measure(sdk_client), import_alone())
        for _ in range(int(os.environ.get("ROUNDS", ROUNDS)))
    ]
    ours, sdk = [each[0] for each in rounds], [each[1] for each in rounds]
    print(describe("notifier", ours))  # noqa: T201
    print(describe("SDK, no storage", sdk))  # noqa: T201
    report(compare(ours, sdk, [each[2] for each in rounds]))


def compare(
    ours: Sequence[Figures], sdk: Sequence[Figures], imports: Sequence[tuple[float, int]]
) -> list[Comparison]:
    """The medians of all rounds. imports: seconds and KB of the import alone."""
    against, import_alone = "the SDK's client with an empty handler", "the import of the SDK alone"
    count = f"median of {len(ours)} bursts of {BURST:,}"
    return [
        Comparison(
            what=f"durable acknowledgements a second, {count}",
            against=against,
            figure=BURST / median(each.last_ack for each in ours),
            pair=BURST / median(each.last_ack for each in sdk),
            is_higher_better=True,
            note=f"{sum(each.repeated for each in ours)} pushed again",
        ),
        Comparison(
            what=f"CPU of one acknowledgement, {count}",
            against=against,
            figure=1000 * median(each.cpu for each in ours) / BURST,
            pair=1000 * median(each.cpu for each in sdk) / BURST,
            unit="ms",
            noise=TIMING_NOISE,
        ),
        Comparison(
            what="start until connected",
            against=import_alone,
            figure=median(each.started for each in ours),
            pair=median(seconds for seconds, _ in imports),
            unit="s",
        ),
        Comparison(
            what="memory after a burst",
            against=import_alone,
            figure=median(each.memory_kb for each in ours) / 1024,
            pair=median(kilobytes for _, kilobytes in imports) / 1024,
            unit="MB",
            aim="≤ 1.25 ×",
        ),
    ]


if __name__ == "__main__":
    main()

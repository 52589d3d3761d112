"""Soak: an hour of 50 events a second, ten times a large firm's load; memory, files and tasks must not grow.

    NOTIFIER_TESTS_SOAK_SECONDS=600 PYTHONPATH=tests python tests/torture/soak.py

500 accounts, each of which changes every 10 s. Sending is paced at 975 a minute, so an account is told about twice a
minute, of what has come since: at most one untouched card waits for each account, and that bounds the outbox. The
stand-in forgets what is long over. The database keeps what came and what was told, so its size is shown and not judged.

A line a minute, then a verdict for each figure; ends with 1 where one is bad.
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from notifier.store import inbox
from notifier.store.deliveries import delivery_admin
from notifier.store.engine.database import Database
from notifier.store.schema.tables import deliveries
from support import figures
from support.running import RunningNotifier
from torture import count_tasks

SECONDS = float(os.environ.get("NOTIFIER_TESTS_SOAK_SECONDS", "3600"))
PER_SECOND = 50
AT_ONCE = 5
ACCOUNTS = 500
SAMPLE_PEOPLE = 4
SAMPLE_SECONDS = 10.0
SHOW_SECONDS = 60.0
KEEP_RECORDS = 3000
"""Of the stand-in: a minute of events, three of messages."""

SEEN_EVENTS = 2000
"""Looked at in each sample: 40 s of them, as a push without an answer is repeated after 15 s."""

WARM_UP_SECONDS = 300
"""Caches fill, and every account gets its first card: seen to take four minutes. A run that is not twice as long shows
its figures, and says nothing about growth. Growth is judged over the second half of a run: pools of connections fill
when the machine is first busy, up to a bound, and what leaks does so in the second half as well.
"""

MAX_GROWTH = 0.05
"""Of what is held after the warm-up, in the whole of the run that is judged, by the straight line through it."""

ALLOWED_VARIATION = {"rss_mb": 5.0, "files": 5.0, "threads": 5.0, "tasks": 10.0}
"""And what goes up and down with the calls under way: so much is no growth either."""

MAX_WAITING_SECONDS = 120
ROUTES = """\
routes:
  - name: to the referrer
    to: [referrer]
log:
  level: warning
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    at: float
    rss_mb: float
    files: int
    threads: int
    tasks: int
    database_mb: float
    wal_mb: float
    inbox_new: int
    open_deliveries: int
    oldest_seconds: float
    p50_ms: float
    p99_ms: float
    unacknowledged: int
    pushed: int


class Soak:
    def __init__(self, stack: ExitStack, seconds: float) -> None:
        self.seconds = seconds
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.tasks_file = self.folder / "tasks"
        settings = SandboxSettings(extra_accounts=ACCOUNTS - SAMPLE_PEOPLE, keep_records=KEEP_RECORDS)
        self.box = stack.enter_context(FeishuBox(settings))
        program = (str(Path(count_tasks.__file__)),)
        self.notifier = RunningNotifier(self.box, self.folder, more=ROUTES, program=program)
        self.notifier.start(environment={count_tasks.TASKS_FILE: str(self.tasks_file)})
        stack.callback(lambda: None if self.notifier.ended else self.notifier.kill())
        self.database = stack.enter_context(self.notifier.open_database())
        self.samples: list[Sample] = []
        self.pushed = 0
        self.repeated: set[str] = set()
        self.last_seen = ""

    def run(self) -> None:
        accounts = [account["account_id"] for account in self.box.accounts()]
        started = time.monotonic()
        next_sample = next_line = 0.0
        while (gone := time.monotonic() - started) < self.seconds and not self.notifier.ended:
            if self.pushed < gone * PER_SECOND:
                names = [accounts[(self.pushed + n) % len(accounts)] for n in range(AT_ONCE)]
                self.box.change_balances([(name, 1, {}) for name in names])
                self.pushed += AT_ONCE
            else:
                threading.Event().wait(self.pushed / PER_SECOND - gone)
            if gone >= next_sample:
                self.samples.append(self.make_sample(gone))
                next_sample += SAMPLE_SECONDS
            if gone >= next_line:
                print_sample(self.samples[-1])
                next_line += SHOW_SECONDS

    def make_sample(self, at: float) -> Sample:
        took = self.answers()
        with self.database.read() as connection:
            now = time.time()
            new = inbox.count_by_state(connection).get("new", 0)
            oldest = delivery_admin.get_oldest_open_at(connection)
            waiting = connection.execute(
                sa.select(sa.func.count())
                .select_from(deliveries)
                .where(deliveries.c.state.in_(("waiting", "ready", "sending")))
            ).scalar_one()
        process = Path("/proc") / str(self.notifier.pid)
        status = dict(
            line.split(":", 1) for line in (process / "status").read_text(encoding="utf-8").splitlines()
        )
        return Sample(
            at=at,
            rss_mb=int(status["VmRSS"].split()[0]) / 1024,
            files=len(list((process / "fd").iterdir())),
            threads=int(status["Threads"]),
            tasks=int(self.tasks_file.read_text(encoding="utf-8") or 0) if self.tasks_file.exists() else 0,
            database_mb=_mb(self.folder / "notifier.db"),
            wal_mb=_mb(self.folder / "notifier.db-wal"),
            inbox_new=new,
            open_deliveries=waiting,
            oldest_seconds=0.0 if oldest is None else now - oldest / 1000,
            p50_ms=statistics.median(took) if took else 0.0,
            p99_ms=statistics.quantiles(took, n=100)[98] if len(took) > 1 else 0.0,
            unacknowledged=self.box.unacknowledged(),
            pushed=self.pushed,
        )

    def answers(self) -> list[int]:
        """Milliseconds until the answer, of the events since the last sample."""
        found = []
        newest = self.box.newest_events(SEEN_EVENTS)
        self.repeated |= {event["event_id"] for event in newest if len(event["pushes"]) > 1}
        for event in newest:
            if event["event_id"] == self.last_seen:
                break
            found += [push["took_ms"] for push in event["pushes"] if push["took_ms"] is not None]
        self.last_seen = newest[0]["event_id"] if newest else ""
        return found

    def end(self) -> dict[str, int]:
        """Waits for what is on its way; what must be zero."""
        if self.notifier.ended:
            return {"process died": 1}
        self.notifier.wait_until_settled(seconds=300)
        stored = _stored(self.database)
        return {
            "process died": 0,
            "events not in the inbox": self.pushed - stored,
            **{f"calls refused with {code}": count for code, count in self.box.refusals().items()},
            "calls refused": sum(self.box.refusals().values()),
            "stop not clean": int(self.notifier.stop() != 0),
        }


def _stored(database: Database) -> int:
    with database.read() as connection:
        return sum(inbox.count_by_state(connection).values())


def _mb(file: Path) -> float:
    return file.stat().st_size / 2**20 if file.exists() else 0.0


def print_sample(sample: Sample) -> None:
    print(  # noqa: T201
        f"{sample.at / 60:5.1f} min  {sample.pushed:8,} events  {sample.rss_mb:6.1f} MB  {sample.files:3} files  "
        f"{sample.threads:2} threads  {sample.tasks:3} tasks  database {sample.database_mb:6.1f} MB  "
        f"WAL {sample.wal_mb:5.1f} MB  inbox {sample.inbox_new:4} new  {sample.open_deliveries:4} cards open, oldest "
        f"{sample.oldest_seconds:5.1f} s  ack p50 {sample.p50_ms:4.0f} p99 {sample.p99_ms:5.0f} ms  "
        f"{sample.unacknowledged:4} unacknowledged",
        flush=True,
    )


def growth(values: Sequence[float]) -> tuple[float, float]:
    """What a straight line through them grows by, and where it begins."""
    slope, start = statistics.linear_regression(range(len(values)), values)
    return slope * (len(values) - 1), start


def assess_growth(samples: Sequence[Sample]) -> tuple[list[str], int]:
    """A sentence for each figure, and how many are bad."""
    tells = samples[-1].at >= 2 * WARM_UP_SECONDS - SAMPLE_SECONDS
    judged = [each for each in samples if each.at >= samples[-1].at / 2]
    lines, bad = [], 0

    def judge(sentence: str, *, fine: bool) -> None:
        nonlocal bad
        bad += tells and not fine
        lines.append(f"{sentence}: {'bounded' if fine else 'GROWS' if tells else 'too short a run to tell'}")

    for name, unit in (("rss_mb", "MB"), ("files", "files"), ("threads", "threads"), ("tasks", "tasks")):
        values = [float(getattr(each, name)) for each in judged]
        grown, start = growth(values)
        judge(
            f"{unit:10} {start:7.1f} at half time, {grown:+.1f} by the end, {max(values):.1f} at most",
            fine=grown <= max(MAX_GROWTH * start, ALLOWED_VARIATION[name]),
        )
    waited = max(each.oldest_seconds for each in judged)
    new = max(each.inbox_new for each in judged)
    judge(
        f"{'queues':10} at most {new} new in the inbox, {max(each.open_deliveries for each in judged)} cards open, "
        f"none older than {waited:.0f} s",
        fine=waited <= MAX_WAITING_SECONDS and new < PER_SECOND * 10,
    )
    grown = (judged[-1].database_mb - judged[0].database_mb) / (judged[-1].at - judged[0].at) * 3600
    lines.append(
        f"{'database':10} {judged[-1].database_mb:.0f} MB, {grown:.0f} MB an hour; "
        f"WAL at most {max(each.wal_mb for each in judged):.1f} MB"
    )
    lines.append(
        f"{'answers':10} p50 {statistics.median(each.p50_ms for each in judged):.0f} ms, p99 "
        f"{statistics.median(each.p99_ms for each in judged):.0f} ms in a usual 10 s and "
        f"{max(each.p99_ms for each in judged):.0f} ms in the worst; Feishu waits 3000"
    )
    return lines, bad


def main() -> int:
    started = time.monotonic()
    with ExitStack() as stack:
        soak = Soak(stack, SECONDS)
        soak.run()
        zeros = soak.end()
    lines, bad = assess_growth(soak.samples)
    zeros["figures that grow"] = bad
    print(f"\n{soak.pushed:,} events in {SECONDS:,.0f} s, {len(soak.repeated)} pushed again")  # noqa: T201
    print("\n".join(lines))  # noqa: T201
    print(", ".join(f"{name} {count}" for name, count in zeros.items()), flush=True)  # noqa: T201
    figures.write_figures(
        "soak",
        counted={
            "events": soak.pushed,
            "pushed again": len(soak.repeated),
            "MB at most": round(max(each.rss_mb for each in soak.samples)),
        },
        zeros=zeros,
        seconds=time.monotonic() - started,
    )
    return 1 if any(zeros.values()) else 0


if __name__ == "__main__":
    sys.exit(main())

"""Bench: CPU of one event, from the inbox to the sent card, with a long history and with a short one.

    PYTHONPATH=tests python tests/bench/history.py [CHANGES ACCOUNTS]

The work of the store in one process: store the event, apply it, claim its card, store its result. Rendering and calls
do not depend on the history and are left out. Both ledgers get the same events, in turn, so that a busy machine slows
both. Prints milliseconds and their ratio; nothing is asserted.
"""

import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random
from statistics import median

from notifier.clock import Millis, SystemClock, to_millis
from notifier.config.settings import Config
from notifier.domain.delivery import SentMessage
from notifier.domain.event import Event
from notifier.domain.rate_limit import RateLimit, SendingLimits
from notifier.domain.route import Condition, Route
from notifier.feishu.wire import read_balance_report
from notifier.flow.events.apply_events import ApplyDeps, apply_events
from notifier.runtime.factories import make_notice_writer
from notifier.store.deliveries import attempt_results, claims
from notifier.store.deliveries.attempt_results import AttemptResult
from notifier.store.engine.database import Database
from notifier.store.inbox import EventInserter
from support.builders import balance_event
from support.comparisons import Comparison, report
from support.filled_store import FIRST_ACCOUNT_ID, fill_history

CHANGES, ACCOUNTS = 1_000_000, 100_000
SHORT = 200
"""Changes and accounts of the ledger that counts as empty: those that the events change."""
AT_ONCE = 30
ROUNDS = 20
HOUR_MS = 3_600_000
WORKER = "bench"
LIMITS = SendingLimits(
    app=RateLimit(per_second=1_000, burst=1_000), chat=RateLimit(per_second=1_000), per_minute=1_000_000
)


class Ledger:
    """A filled store that gets events. cpu_ms: of each round, per event."""

    def __init__(self, stack: ExitStack, *, changes: int, accounts: int) -> None:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "bench.db"
        self.database = Database.open(f"sqlite:///{path}")
        stack.callback(self.database.close)
        self.clock = SystemClock()
        fill_history(path, accounts=accounts, changes=changes, end_ms=self.now() - HOUR_MS)
        self.megabytes = path.stat().st_size / 1e6
        self.step = accounts // SHORT
        self.deps = ApplyDeps(
            read=read_balance_report,
            routes=[Route(name="all", when=Condition(), targets=("referrer",))],
            notices=make_notice_writer(Config()),
            clock=self.clock,
        )
        self.accept = EventInserter(self.clock)
        self.cpu_ms: list[float] = []

    def now(self) -> Millis:
        return to_millis(self.clock.now())

    async def run(self, numbers: list[int], round_number: int) -> None:
        """Processes one event for each of these accounts. numbers: below SHORT."""
        made = [self.make_event(number, round_number) for number in numbers]
        started = time.process_time()
        for waiting in [self.database.write_many(self.accept, event) for event in made]:
            waiting.result()
        await apply_events(self.database, self.deps)
        sent = 0
        while found := self.send():
            sent += found
        self.cpu_ms.append(1000 * (time.process_time() - started) / len(made))
        if sent != len(made):
            raise SystemExit(f"{sent} cards of {len(made)} events")

    def make_event(self, number: int, round_number: int) -> Event:
        account_id = FIRST_ACCOUNT_ID + number * self.step + 1
        return balance_event(
            event_id=f"ev-{round_number}-{number}",
            account_id=str(account_id),
            points=round_number + 1,
            modify_time=str(self.now() - ROUNDS + round_number),
        )

    def send(self) -> int:
        """Claims cards and stores them as sent. Returns their number."""
        claimed = self.database.write(
            lambda c: claims.claim_due_deliveries(
                c, worker_id=WORKER, now=self.now(), slots=64, sending_limits=LIMITS
            )
        ).result()
        finished = [
            self.database.write_many(
                attempt_results.finish_attempts,
                AttemptResult(
                    delivery=each.delivery,
                    attempt_id=each.attempt_id,
                    worker_id=WORKER,
                    ended_at=self.now(),
                    result=SentMessage(message_id=f"om_{each.attempt_id}", chat_id="oc_x", log_id=None),
                ),
            )
            for each in claimed.deliveries
        ]
        return sum(each.result() for each in finished)


async def measure(ledgers: list[Ledger]) -> None:
    random = Random(1)
    for round_number in range(ROUNDS):
        numbers = random.sample(range(SHORT), AT_ONCE)
        for ledger in ledgers:
            await ledger.run(numbers, round_number)


def main() -> None:
    changes, accounts = (
        int(word.replace("_", "")) for word in (*sys.argv[1:], str(CHANGES), str(ACCOUNTS))[:2]
    )
    with ExitStack() as stack:
        filled_at = time.monotonic()
        long = Ledger(stack, changes=changes, accounts=accounts)
        print(f"filled {long.megabytes:.0f} MB in {time.monotonic() - filled_at:.0f} s", flush=True)  # noqa: T201
        short = Ledger(stack, changes=SHORT, accounts=SHORT)
        asyncio.run(measure([long, short]))
        figure, pair = median(long.cpu_ms[2:]), median(short.cpu_ms[2:])
    report(
        [
            Comparison(
                what=f"CPU of one event with {changes:,} changes, {accounts:,} accounts",
                against=f"with {SHORT} changes, {SHORT} accounts",
                figure=figure,
                pair=pair,
                unit="ms",
                aim="≤ 1.2 ×",
            )
        ]
    )


if __name__ == "__main__":
    main()

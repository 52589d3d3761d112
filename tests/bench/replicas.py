"""Bench: replicas on PostgreSQL. Two against one, a follower against the leader, PostgreSQL against SQLite.

    PYTHONPATH=tests python tests/bench/replicas.py

PostgreSQL runs on the same two cores, and syncs its files. Prints figures measured side by side in one run; nothing is
asserted.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bench import burst, steady
from flow.test_statements import MANY, Flow, measure
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from notifier.store.engine.database import Database
from support.clock import FakeClock
from support.comparisons import TIMING_NOISE, Comparison, compare_latencies, report
from support.load import LIFTED, cpu_seconds, push_paced
from support.postgres import RestartableServer, administer
from support.running import RunningNotifier

EVENTS, PER_SECOND = 150, 10
STEADY_SECONDS = 10.0
BURSTS = 2


class Server:
    """A PostgreSQL server with an empty database for each measurement."""

    def __init__(self, folder: Path) -> None:
        self._server = RestartableServer(folder, syncs=True)
        self._count = 0

    def create_database(self) -> str:
        self._count += 1
        name = f"bench_{self._count}"
        with administer(self._server.url) as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
        return self._server.url.set(database=name).render_as_string(hide_password=False)

    def cpu_seconds(self) -> float:
        """CPU time of the server's processes that run now."""
        pid = self._server.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        used = 0.0
        for each in (pid, *map(int, children)):
            with suppress(FileNotFoundError):  # it has just ended
                used += cpu_seconds(each)
        return used

    def close(self) -> None:
        self._server.close()


@contextmanager
def running_replicas(box: FeishuBox, store_url: str | None, count: int) -> Iterator[list[RunningNotifier]]:
    with ExitStack() as stack:
        started = []
        for number in range(count):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            more = f"replica: {{name: r{number}}}\nlog: {{level: warning}}\n"
            notifier = RunningNotifier(box, folder, more=more, store_url=store_url)
            notifier.start()
            stack.callback(notifier.kill)
            started.append(notifier)
        yield started


def measure_burst(store_url: str | None, count: int) -> float:
    """Acknowledged events a second, the best of a few bursts."""
    with FeishuBox(SandboxSettings(extra_accounts=496)) as box, running_replicas(box, store_url, count):
        return burst.push_burst(box).per_second


def measure_latency(server: Server, *, through_follower: bool) -> tuple[list[float], float]:
    """Milliseconds from event to card, all events received by the leader or by a follower.

    Also the CPU of the database server for an event with one card and the update of the card before, in ms.
    """
    store_url = server.create_database()
    with FeishuBox(SandboxSettings(extra_accounts=56, quotas=False)) as box, ExitStack() as stack:
        accounts = [account["account_id"] for account in box.accounts()]
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        more = f"sending: {LIFTED}\nreferrers: {{lookups_per_second: 200}}\nlog: {{level: warning}}\n"
        more += "reconciliation: {on_connect: false}\n"
        leader = RunningNotifier(box, folders[0], more=more, store_url=store_url, webhook=through_follower)
        if through_follower:  # its webhook is open, but Feishu does not know it
            leader.start(connected=False)
            follower = RunningNotifier(box, folders[1], more=more, store_url=store_url)
            follower.start()
            stack.callback(follower.kill)
        else:
            leader.start()
        stack.callback(leader.kill)
        push_paced(box, accounts, 100)
        leader.wait_until_settled()
        before, cpu = len(box.all_messages()), server.cpu_seconds()
        ids = push_paced(box, [accounts[n % len(accounts)] for n in range(EVENTS)], PER_SECOND)
        leader.wait_until_settled()
        cpu = server.cpu_seconds() - cpu
        pushed = {event["event_id"]: event["pushes"][0]["at_ms"] for event in box.events()}
        sent = sorted(message["create_time_ms"] for message in box.all_messages()[before:])
        waits = [card - pushed[event] for event, card in zip(ids, sent, strict=False)]
        return waits, 1000 * cpu / EVENTS


def count_statements(store_url: str) -> dict[str, int]:
    """The statements of each step for one event: each is a round trip to a server."""
    database = Database.open(store_url)
    flow = Flow(database, FakeClock())

    async def run() -> dict[str, list[str]]:
        await flow.settle(MANY)
        await flow.settle(MANY)
        return await measure(flow, 1)

    try:
        return {step: len(texts) for step, texts in asyncio.run(run()).items()}
    finally:
        database.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder / "server")
        try:
            sqlite = max(measure_burst(None, 1) for _ in range(BURSTS))
            one = max(measure_burst(server.create_database(), 1) for _ in range(BURSTS))
            two = max(measure_burst(server.create_database(), 2) for _ in range(BURSTS))
            direct, server_cpu_ms = measure_latency(server, through_follower=False)
            through, _ = measure_latency(server, through_follower=True)
            load = next(each for each in steady.LOADS if each.per_second == 30)
            on_sqlite = steady.measure(load, STEADY_SECONDS, measures_idle=False)
            on_server = steady.measure(
                load, STEADY_SECONDS, measures_idle=True, store_url=server.create_database()
            )
            lite = count_statements(f"sqlite:///{folder}/statements.db")
            network = count_statements(server.create_database())
        finally:
            server.close()
    print(f"statements of one event on SQLite: {lite}, {sum(lite.values())}")  # noqa: T201
    print(f"statements of one event on PostgreSQL: {network}, {sum(network.values())}")  # noqa: T201
    print(f"CPU of the database server for one event: {server_cpu_ms:.1f} ms")  # noqa: T201
    print(f"idle on PostgreSQL: {on_server.idle:.1%} of a core")  # noqa: T201
    report(
        [
            Comparison(
                what=f"acknowledgements a second of two replicas, burst of {burst.BURST:,}, PostgreSQL",
                against="one replica",
                figure=two,
                pair=one,
                is_higher_better=True,
                aim="≥ 1.6 ×",
            ),
            Comparison(
                what="acknowledgements a second of one replica on PostgreSQL",
                against="SQLite",
                figure=one,
                pair=sqlite,
                is_higher_better=True,
            ),
            *compare_latencies(
                "event to card through a follower", "through the leader", through, direct, ("≤ + 15 ms", "")
            ),
            Comparison(
                what="CPU per event on PostgreSQL, 30 events a second, 2 cards each",
                against="SQLite",
                figure=on_server.cpu_ms,
                pair=on_sqlite.cpu_ms,
                unit="ms",
                noise=TIMING_NOISE,
            ),
            *compare_latencies(
                "event to card on PostgreSQL, 30 events a second, 2 cards each",
                "SQLite",
                on_server.latencies.ms,
                on_sqlite.latencies.ms,
            ),
        ]
    )


if __name__ == "__main__":
    main()

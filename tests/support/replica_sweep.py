"""Sweep over replicas: one after the other is killed, the leader or not, while events come and people press."""

import random
import threading
from typing import Any, cast

from notifier.sandbox.settings import SandboxSettings
from support import crash_sweep
from support import payout_checks as money
from support.crash_sweep import CrashSweep
from support.postgres import RestartableServer
from support.replica_set import ReplicaSet

EVENTS_PER_ROUND = 30
CLICKS_PER_ROUND = 2
PUSHES_PER_ROUND = 4
ROUND_SECONDS = (1.0, 4.0)
"""The shortest and the longest time between two kills."""


def settings() -> SandboxSettings:
    """Feishu's own limits hold. Its pauses between two pushes are short."""
    return SandboxSettings(
        extra_accounts=crash_sweep.BUSY_ACCOUNTS, redelivery_seconds=(0.5,) * 10 + (2.0,) * 10_000
    )


class ReplicaSweep(CrashSweep):
    """The same traffic and checks as of one process that is killed."""

    def __init__(self, replicas: ReplicaSet, rng: random.Random) -> None:
        super().__init__(cast("Any", replicas), replicas.database, rng)  # it waits in the same way
        self.replicas = replicas
        self.leaders_killed = 0
        self._pause = threading.Event()

    def begin(self) -> None:
        """Every account has a balance that its card shows."""
        self.replicas.start()
        self.box.set_payout_report_url(f"http://127.0.0.1:{self.replicas.ports[0]}/payouts/report")
        self.box.change_balances([(account, 1, {"CNY": "+1.00"}) for account in self.busy])
        self.settle_and_check()

    def run_kills(self, kills: int) -> None:
        """Kills so many processes; every second one is the leader."""
        self.begin()
        for number in range(kills):
            self.make_traffic()
            running = [each for each in self.replicas.replicas if not each.ended]
            victim = self.replicas.wait_for_leader() if number % 2 == 0 else self.rng.choice(running)
            self.leaders_killed += victim is self.replicas.find_leader()
            victim.kill()
            self.kills += 1
            self.make_traffic()
            self.record_lost()
            victim.start(connected=False)
        self.replicas.wait_for_leader()
        self.settle_and_check()

    def run_crashes_of_the_database(self, server: RestartableServer, crashes: int) -> None:
        """Crashes the database server so many times, every few seconds; it is away for up to two seconds."""
        self.begin()
        for _ in range(crashes):
            for _ in range(2):
                self.make_traffic()
            server.crash()
            self._pause.wait(self.rng.uniform(0, 2))
            server.start()
            self.replicas.database.engine.dispose()  # the connections of this process are lost, too
            self.kills += 1
            self.record_lost()
        self.settle_and_check()

    def make_traffic(self) -> None:
        """Some events and presses, over a moment."""
        for _ in range(PUSHES_PER_ROUND):
            clicker = self.clicker() if self.rng.random() < CLICKS_PER_ROUND / PUSHES_PER_ROUND else None
            still = {*self.open_order_accounts(), clicker}
            free = [each for each in self.busy if each not in still]
            self.push(self.rng.sample(free, min(EVENTS_PER_ROUND // PUSHES_PER_ROUND, len(free))))
            if clicker is not None:
                self.click(clicker)
            self._pause.wait(self.rng.uniform(*ROUND_SECONDS) / PUSHES_PER_ROUND)

    def settle_and_check(self) -> None:
        self.replicas.start()
        super().settle_and_check()
        self.wrong_money = money.problems(self.box, self.database)

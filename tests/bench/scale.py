"""Simulation: how long people wait for their card when more changes come than Feishu lets an app send.

    PYTHONPATH=tests python tests/bench/scale.py

Changes arrive at random, each for one of the accounts. As in the notifier, an account has at most one card that waits;
further changes join it. Cards leave in the order in which they began to wait, within the limit of a minute. Prints a
table; the random numbers are the same in each run.
"""

import random
from collections import deque
from dataclasses import dataclass

CARDS_PER_MINUTE = 975
"""sending.per_minute. The limits of a second bind less."""
WARM_UP, MEASURED = 0.5, 0.5
"""Shares of the simulated time."""


RATES = (10, 1_000, 100_000)
ACCOUNTS = (1_000, 10_000, 100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """cards: a second. changes: on a card, on average. wait: seconds from the first change to the card."""

    cards: float
    changes: float
    wait_p50: float
    wait_p99: float


def simulate(events_per_second: float, accounts: int, *, seconds: float, seed: int = 1) -> Result:
    """Simulate one app in steps of one card."""
    rng, step = random.Random(seed), 60 / CARDS_PER_MINUTE
    waiting: deque[int] = deque()
    since: dict[int, float] = {}
    changes: dict[int, int] = {}
    waits, sizes, now = [], [], 0.0
    owed = 0.0
    while now < seconds:
        owed += events_per_second * step
        for _ in range(int(owed)):
            account = rng.randrange(accounts)
            changes[account] = changes.get(account, 0) + 1
            if account not in since:
                since[account] = now
                waiting.append(account)
        owed -= int(owed)
        if waiting:
            account = waiting.popleft()
            if now > seconds * WARM_UP:
                waits.append(now - since[account])
                sizes.append(changes[account])
            del since[account], changes[account]
        now += step
    waits.sort()
    return Result(
        cards=len(waits) / (seconds * MEASURED),
        changes=sum(sizes) / len(sizes),
        wait_p50=waits[len(waits) // 2],
        wait_p99=waits[len(waits) * 99 // 100],
    )


ROUNDS = 3
"""In overload: how often each account gets a card while it is simulated."""
MOST_EVENTS = 20_000_000
"""More are not simulated: each account then waits all the time, and a card comes round after those of all others."""


def describe(events_per_second: float, accounts: int) -> str:
    """A line of the table."""
    round_seconds = accounts * 60 / CARDS_PER_MINUTE
    seconds = ROUNDS * round_seconds if events_per_second > CARDS_PER_MINUTE / 60 else 600
    if events_per_second * seconds > MOST_EVENTS:
        on_card = events_per_second * 60 / CARDS_PER_MINUTE
        return (
            f"| {events_per_second:,} | {accounts:,} | {CARDS_PER_MINUTE / 60:.1f} | {on_card:,.1f}"
            f" | {round_seconds:,.0f} s (computed) | |"
        )
    found = simulate(events_per_second, accounts, seconds=seconds)
    return (
        f"| {events_per_second:,} | {accounts:,} | {found.cards:.1f} | {found.changes:,.1f}"
        f" | {found.wait_p50:,.1f} s | {found.wait_p99:,.1f} s |"
    )


def main() -> None:
    lines = [
        "| events a second | accounts that change | cards a second | changes on a card | wait p50 | wait p99 |",
        "|" + " --- |" * 6,
        *(describe(events, accounts) for events in RATES for accounts in ACCOUNTS),
    ]
    print("\n".join(lines))  # noqa: T201


if __name__ == "__main__":
    main()

"""Bench: steady load. CPU per event and the time from event to card, at 5, 30 and 45 events a second.

    PYTHONPATH=tests python tests/bench/steady.py [SECONDS]

The stand-in answers after 50 ms. Cards have withdraw buttons, so a new card also updates the one before. One event in
twenty is the first one of its account, whose referrer must be looked up. Each load has a stand-in and a notifier of its
own; the CPU is that of the notifier's process alone, until the last card has arrived. Nothing is asserted.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from support.comparisons import TIMING_NOISE, Comparison, compare_latencies, report
from support.load import (
    CHAT_PREFIX,
    LIFTED,
    Latencies,
    add_groups,
    cpu_seconds,
    delay_answers,
    enforce_quotas,
    event_to_card,
    newest_card,
    push_paced,
    routes,
    run_reference,
    start_notifier,
    team_of,
)
from support.running import RunningNotifier

SECONDS = 15.0
IDLE_SECONDS = 10.0
KNOWN_ACCOUNTS = 240
SAMPLE_PEOPLE = 4
NEW_EVERY = 20
"""One event of so many is the first of its account."""
CARDS_PER_MINUTE = 960
"""A load with limits stays below 1,000 a minute together with the cards of the warm-up."""
SETTLE_SECONDS = 90.0
SDK_CALLS = 25
BARE_CALLS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A load. sending: the notifier's limits. is_limited: whether the stand-in enforces Feishu's limits.

    notifies_both: each event notifies the referrer and a group; otherwise one of them, by account in turn.
    """

    name: str
    per_second: int
    notifies_both: bool = True
    sending: str = LIFTED
    is_limited: bool = False

    def targets(self, number: int) -> Sequence[str]:
        """The targets of the account at this position."""
        both = ("referrer", f"team_{team_of(number)}")
        return both if self.notifies_both else both[number % 2 : number % 2 + 1]


LOADS = (
    Load(name="5 events a second, 2 cards each", per_second=5),
    Load(name="30 events a second, 2 cards each", per_second=30),
    Load(
        name="45 events a second, 1 card each, `per_second: 48`, Feishu's limits",
        per_second=45,
        notifies_both=False,
        sending="{per_second: 48, per_minute: 1000}",
        is_limited=True,
    ),
    Load(name="45 events a second, 2 cards each", per_second=45),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one load took.

    cpu_ms: CPU of the notifier per event. busy: its share of a core meanwhile. cards: per event. idle: share of a core
    without events. refused: refused calls by code.
    """

    load: Load
    cpu_ms: float
    busy: float
    cards: float
    latencies: Latencies
    sdk_cpu_ms: float
    bare_ms: list[float]
    idle: float
    refused: Counter[int]


def measure(load: Load, seconds: float, *, measures_idle: bool, store_url: str | None = None) -> Measured:
    """Runs one load and its pairs. store_url: another database than SQLite in a file."""
    count = int(load.per_second * seconds)
    if load.is_limited:
        count = min(count, CARDS_PER_MINUTE - KNOWN_ACCOUNTS)
    new = count // NEW_EVERY + 1
    settings = SandboxSettings(extra_accounts=KNOWN_ACCOUNTS + new - SAMPLE_PEOPLE, quotas=False)
    with tempfile.TemporaryDirectory() as name, FeishuBox(settings) as box:
        folder = Path(name)
        add_groups(box)
        accounts = [account["account_id"] for account in box.accounts()]
        warm_up(box, folder, accounts[:KNOWN_ACCOUNTS], store_url)
        delay_answers(box)
        enforce_quotas(box, enforced=load.is_limited)
        notifier = start_notifier(
            box, folder, routes(accounts, load.targets), sending=load.sending, store_url=store_url
        )
        idle = idle_share(notifier) if measures_idle else 0.0
        messages, refused = len(box.all_messages()), Counter(box.refusals())
        cpu, started = cpu_seconds(notifier.pid), time.monotonic()
        ids = push_paced(box, order_of_events(accounts, count), load.per_second)
        wait_for_cards(notifier)
        cpu, took = cpu_seconds(notifier.pid) - cpu, time.monotonic() - started
        sent = len(box.all_messages()) - messages
        latencies = event_to_card(box, ids, lambda account: chats(box, load, accounts, account))
        refused = Counter(box.refusals()) - refused
        notifier.kill()
        enforce_quotas(box, enforced=False)
        content = newest_card(box)
        return Measured(
            load=load,
            cpu_ms=1000 * cpu / len(ids),
            busy=cpu / took,
            cards=sent / len(ids),
            latencies=latencies,
            sdk_cpu_ms=run_reference(box, "sdk_send", content=content, calls=SDK_CALLS)["cpu_ms"],
            bare_ms=run_reference(box, "bare", content=content, calls=BARE_CALLS)["ms"],
            idle=idle,
            refused=refused,
        )


def warm_up(box: FeishuBox, folder: Path, accounts: Sequence[str], store_url: str | None) -> None:
    """Every account gets its first card, so that its referrer is known."""
    notifier = start_notifier(box, folder, "routes: [{name: all, to: [referrer]}]\n", store_url=store_url)
    push_paced(box, accounts, 100)
    notifier.wait_until_settled(seconds=SETTLE_SECONDS)
    notifier.stop()


def idle_share(notifier: RunningNotifier) -> float:
    """The share of a core that the notifier uses without any event."""
    Event().wait(3)
    before = cpu_seconds(notifier.pid)
    Event().wait(IDLE_SECONDS)
    return (cpu_seconds(notifier.pid) - before) / IDLE_SECONDS


def order_of_events(accounts: Sequence[str], count: int) -> list[str]:
    """The known accounts in turn; one event in `NEW_EVERY` belongs to a new account."""
    known, new = iter(range(count)), iter(accounts[KNOWN_ACCOUNTS:])
    return [
        next(new) if number % NEW_EVERY == NEW_EVERY - 1 else accounts[next(known) % KNOWN_ACCOUNTS]
        for number in range(count)
    ]


def wait_for_cards(notifier: RunningNotifier) -> None:
    try:
        notifier.wait_until_settled(seconds=SETTLE_SECONDS)
    except (AssertionError, TimeoutError) as error:
        print(f"cards are missing: {error}")  # noqa: T201


def chats(box: FeishuBox, load: Load, accounts: Sequence[str], account: str) -> list[str]:
    """The chat_ids that are notified about an account."""
    number = accounts.index(account)
    own = f"{CHAT_PREFIX}{team_of(number)}"
    open_id = box.account(account)["open_id"]
    person = f"oc_sandbox_p2p_{open_id.removeprefix('ou_sandbox_')}"
    return [person if target == "referrer" else own for target in load.targets(number)]


def comparisons(all_measured: Sequence[Measured]) -> list[Comparison]:
    lone, thirty, limited, double = all_measured
    found = [
        cpu(thirty, "≤ 1/6"),
        *latency(thirty, ("+ 25 ms", "+ 150 ms")),
        cpu(lone, "≤ 1/3"),
        *latency(lone),
        Comparison(
            what="CPU while idle, share of a core",
            figure=100 * lone.idle,
            unit="%",
            aim="≤ 1 %",
        ),
    ]
    for each, aims in ((limited, ("+ 50 ms", "+ 300 ms")), (double, ("", ""))):
        found += [*latency(each, aims), cpu(each, "")]
    return found


def cpu(measured: Measured, aim: str) -> Comparison:
    return Comparison(
        what=f"CPU per event, {measured.load.name}",
        against="the SDK's async send alone",
        figure=measured.cpu_ms,
        pair=measured.sdk_cpu_ms,
        unit="ms",
        noise=TIMING_NOISE,
        aim=aim,
    )


def latency(measured: Measured, aims: tuple[str, str] = ("", "")) -> list[Comparison]:
    return compare_latencies(
        f"event to card, {measured.load.name}",
        "a bare HTTP round trip",
        measured.latencies.ms,
        measured.bare_ms,
        aims,
    )


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    all_measured = []
    for load in LOADS:
        measured = measure(load, seconds, measures_idle=load is LOADS[0])
        all_measured.append(measured)
        print(  # noqa: T201
            f"{load.name}: {measured.cards:.2f} cards an event, {measured.busy:.0%} of a core, "
            f"{measured.latencies.missing} cards missing, refused by code: {dict(measured.refused)}",
            flush=True,
        )
    report(comparisons(all_measured))


if __name__ == "__main__":
    main()

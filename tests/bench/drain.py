"""Bench: draining a backlog of cards, under Feishu's limits and without limits.

    PYTHONPATH=tests python tests/bench/drain.py [LIMITED_CARDS UNLIMITED_CARDS]

Each card waits for a person of its own; the stand-in answers after 50 ms. Under the limits, the share of the quota is
the share of the cards that have arrived when the quota allows all of them. Without limits, cards a second are compared
with a handler of Feishu's SDK that sends one card for each event. Nothing is asserted.
"""

import gc
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from notifier.clock import SystemClock, to_millis
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from notifier.store.engine.database import Database
from notifier.store.schema.tables import deliveries
from support.comparisons import Comparison, report
from support.filled_store import insert_referrers
from support.load import (
    LIFTED,
    add_groups,
    cpu_seconds,
    delay_answers,
    enforce_quotas,
    newest_card,
    receiving_reference,
    start_notifier,
)
from support.waiting import wait_until

LIMITED_CARDS, UNLIMITED_CARDS = 1_800, 3_000
LIMITED = "{per_second: 48, per_minute: 1000}"
QUOTA_SECOND, QUOTA_MINUTE = 50, 1_000
UNLIMITED_SECONDS = 30.0
"""A drain without limits is measured for so long at most."""
INLINE_EVENTS = 150
INLINE_SECONDS = 30.0
SAMPLE_PEOPLE = 4
PREPARE_SECONDS = 120.0
BLOCKED = "{per_second: 0.001}"
ROUTES = "routes: [{name: all, to: [referrer]}]\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """arrivals: milliseconds after the first card, sorted. cpu_ms: of the notifier per card."""

    cards: int
    arrivals: list[int]
    refused: int
    cpu_ms: float

    def arrived_within(self, seconds: float) -> int:
        """Cards that arrived within this time after the first one."""
        return sum(at <= 1000 * seconds for at in self.arrivals)

    @property
    def per_second(self) -> float:
        """Cards a second from the first to the last one."""
        return (len(self.arrivals) - 1) / (self.arrivals[-1] / 1000)


def quota_seconds(cards: int) -> float:
    """When Feishu's quota allows so many cards, in seconds."""
    minutes, rest = divmod(cards, QUOTA_MINUTE)
    return 60 * minutes + rest / QUOTA_SECOND


@contextmanager
def backlog(cards: int) -> Iterator[tuple[FeishuBox, Path]]:
    """A stand-in, and the folder of a stopped notifier whose cards all wait."""
    settings = SandboxSettings(extra_accounts=cards - SAMPLE_PEOPLE, quotas=False)
    with tempfile.TemporaryDirectory() as name, FeishuBox(settings) as box:
        folder = Path(name)
        add_groups(box)
        known = [(account["account_id"], account["open_id"]) for account in box.accounts()]
        path = folder / "notifier.db"
        Database.open(f"sqlite:///{path}").close()
        insert_referrers(
            path,
            known,
            tenant=settings.tenant_key,
            app=settings.app_id,
            now_ms=to_millis(SystemClock().now()),
        )
        notifier = start_notifier(box, folder, ROUTES, sending=BLOCKED)
        box.change_balances([(account_id, 1, {"CNY": "+1.00"}) for account_id, _ in known])
        with notifier.open_database() as database:
            wait_until(lambda: count_cards(database) >= cards, "all cards wait", seconds=PREPARE_SECONDS)
        notifier.stop()
        delay_answers(box)
        yield box, folder


def count_cards(database: Database) -> int:
    """All deliveries, sent or not: a few are sent before the rest waits."""
    with database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(deliveries)).scalar_one()


def drain(box: FeishuBox, folder: Path, sending: str, cards: int, seconds: float) -> Drain:
    """Starts the notifier and waits until all cards have arrived, at most so many seconds after the first one."""
    before = count_messages(box)
    gc.collect()
    gc.freeze()  # Feishu pauses for no garbage collection; here it would make calls arrive together
    notifier = start_notifier(box, folder, ROUTES, sending=sending)
    connected, cpu = count_messages(box), cpu_seconds(notifier.pid)
    box.wait_for(lambda: count_messages(box) > before, "the first card", timeout=60)
    ends_at = box.all_messages()[before]["create_time_ms"] + 1000 * seconds
    wait_until(
        lambda: count_messages(box) >= cards or 1000 * time.time() > ends_at,
        "the drain ends",
        seconds=seconds + 10,
    )
    cpu = cpu_seconds(notifier.pid) - cpu
    notifier.kill()
    times_ms = sorted(message["create_time_ms"] for message in box.all_messages()[before:])
    return Drain(
        cards=cards - before,
        arrivals=[at - times_ms[0] for at in times_ms],
        refused=sum(box.refusals().values()),
        cpu_ms=1000 * cpu / max(count_messages(box) - connected, 1),
    )


def count_messages(box: FeishuBox) -> int:
    return box._read(lambda sandbox: len(sandbox.tenant.messages))


def drain_limited(cards: int) -> Comparison:
    """A drain under Feishu's limits."""
    with backlog(cards) as (box, folder):
        enforce_quotas(box, enforced=True)
        limit = quota_seconds(cards)
        result = drain(box, folder, LIMITED, cards, limit + 5)
    arrived = result.arrived_within(limit)
    return Comparison(
        what=f"drain of {cards:,} cards under 50/s and 1,000/min",
        against="the quota",
        figure=arrived,
        pair=result.cards,
        unit="cards",
        is_higher_better=True,
        note=f"in {limit:.0f} s, {result.refused} refused",
        aim="≥ 0.97 ×, 0 refused",
    )


def drain_unlimited(cards: int) -> list[Comparison]:
    """A drain without limits, and the SDK's handler in its place."""
    with backlog(cards) as (box, folder):
        result = drain(box, folder, LIFTED, cards, UNLIMITED_SECONDS)
        inline = drain_inline(box)
    return [
        Comparison(
            what=f"cards a second end to end, limits lifted, {cards:,} waiting",
            against="a handler that sends inline with the SDK",
            figure=result.per_second,
            pair=inline,
            is_higher_better=True,
            note=f"{result.cpu_ms:.1f} ms CPU each",
            aim="≥ 20 ×",
        )
    ]


def drain_inline(box: FeishuBox) -> float:
    """Cards a second of the SDK's client whose handler sends a card for each event."""
    content = newest_card(box)
    account_ids = [account["account_id"] for account in box.accounts()][:INLINE_EVENTS]
    box.hold()
    box.change_balances([(account_id, 1, {}) for account_id in account_ids])
    before = len(box.all_messages())
    with receiving_reference(box, "sdk_inline", content=content):
        box.release()
        try:
            box.wait_for(
                lambda: count_messages(box) >= before + INLINE_EVENTS, "all sent", timeout=INLINE_SECONDS
            )
        except TimeoutError:
            print("the SDK's handler did not send all cards in time")  # noqa: T201
        arrived = sorted(message["create_time_ms"] for message in box.all_messages()[before:])
    return 1000 * (len(arrived) - 1) / (arrived[-1] - arrived[0])


def main() -> None:
    given = [int(word.replace("_", "")) for word in sys.argv[1:]]
    limited, unlimited = given if len(given) == 2 else (LIMITED_CARDS, UNLIMITED_CARDS)
    found = [drain_limited(limited)]
    found += drain_unlimited(unlimited)
    report(found)


if __name__ == "__main__":
    main()

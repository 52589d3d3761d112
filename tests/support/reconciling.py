"""Reconciling: a database that knows every account of the sandbox, and a reconciler that reads them."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from notifier.domain.event import AccountKey
from notifier.domain.rate_limit import RateLimit
from notifier.domain.route import AddressBook, Condition, Route
from notifier.feishu.api import AppAccess, FeishuApi
from notifier.feishu.referral_accounts import FeishuReferralAccounts
from notifier.feishu.wire import encode_balance_reading, read_balance_report, read_event
from notifier.flow.events.apply_events import ApplyDeps, apply_events
from notifier.flow.events.reconcile import ReconcileDeps, Reconciler
from notifier.flow.notices import NoticeWriter
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from notifier.store import ledger, reconciliation_runs
from notifier.store.engine.database import Database
from notifier.store.inbox import EventInserter
from notifier.store.schema.tables import accounts, notices
from notifier.store.schema.tables import reconciliation_runs as runs_table
from support.clock import FakeClock

LIN = "7000000000000000001"
READ = "GET /open-apis/hire/v1/referral_account/get_account_assets"
GRACE = 20
HOUR = 3600
DRAIN_SECONDS = 20


@dataclass
class ReconcileScene:
    """A database that knows every account of the sandbox, and a reconciler that reads them."""

    box: FeishuBox
    database: Database
    clock: FakeClock
    deps: ReconcileDeps
    not_receiving: list[int] = field(default_factory=list)
    """One entry for each alarm of the reconciler."""
    connected_since: int | None = 0
    """Start of the connection, Unix milliseconds by the clock; None: not connected."""
    reconciler: Reconciler = field(init=False)
    on_not_receiving: Callable[[], None] = field(init=False)

    def __post_init__(self) -> None:
        self.on_not_receiving = lambda: self.not_receiving.append(1)
        self.deps = replace(
            self.deps,
            connected_since=lambda: self.connected_since,
            on_not_receiving=lambda: self.on_not_receiving(),  # noqa: PLW0108 - a test may set another
        )
        self.restart()

    def restart(self) -> None:
        self.reconciler = Reconciler(self.database, self.deps)

    def receive_all(self) -> None:
        """Receives every event that the sandbox has made."""
        events = [read_event(payload, app_id=self.box.app_id) for payload in _payloads(self.box)]
        insert = EventInserter(self.clock)
        self.database.write(lambda c: insert(c, events)).result()

    async def apply_events(self) -> None:
        while await apply_events(self.database, self._apply_deps()):
            pass

    def _apply_deps(self) -> ApplyDeps:
        address_book = AddressBook(groups={"hr": "oc_hr"}, fallback=None)
        return ApplyDeps(
            read=read_balance_report,
            routes=(Route(name="all", when=Condition(), targets=("referrer",)),),
            notices=NoticeWriter(address_book=address_book, max_age_ms=HOUR * 1000, alarm_group="hr"),
            clock=self.clock,
        )

    def receive(self, event_id: str, *, modified_at: int | str | None = None) -> None:
        """Receives one event. modified_at: replaces the time of its change."""
        document = json.loads(self.box.payload(event_id))
        if modified_at is not None:
            document["event"]["modify_time"] = str(modified_at)
        event = read_event(json.dumps(document).encode(), app_id=self.box.app_id)
        insert = EventInserter(self.clock)
        self.database.write(lambda c: insert(c, [event])).result()

    async def run_once(self) -> None:
        """Starts the reads that may go now, and waits for their results."""
        await self.reconciler.run_once()
        await self.reconciler.drain(DRAIN_SECONDS)

    async def reconcile(self, *, connected: bool = True, max_runs: int = 60, seconds: float = 0.5) -> None:
        """Works until no run is running, at most `max_runs` times."""
        if connected:
            self.reconciler.request_run()
        await self.run_once()
        for _ in range(max_runs):
            if self.running() is None:
                break
            self.clock.advance(seconds=seconds)
            await self.run_once()
        await self.apply_events()

    async def after_grace(self) -> None:
        self.clock.advance(seconds=GRACE + 1)
        await self.run_times(3)
        await self.apply_events()

    async def run_times(self, count: int) -> None:
        for _ in range(count):
            await self.run_once()
            self.clock.advance(seconds=0.5)

    def running(self) -> reconciliation_runs.ReconciliationRun | None:
        with self.database.read() as connection:
            return reconciliation_runs.get_running(connection)

    def newest(self) -> reconciliation_runs.ReconciliationRun:
        with self.database.read() as connection:
            found = reconciliation_runs.get_newest(connection)
        assert found is not None
        return found

    def sum_column(self, column: str) -> int:
        """Returns the sum over all runs."""
        return sum(getattr(row, column) for row in self.rows(runs_table))

    def rows(self, table: sa.Table) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.execute(sa.select(table).order_by(table.c.id)))

    def recovered(self) -> list[Any]:
        return [row for row in self.rows(notices) if row.recovered]

    def notified_cash(self) -> list[list[str]]:
        """[before, after] of every notice about cash, oldest first."""
        return [
            [before, after]
            for row in self.rows(notices)
            for kind, _, before, after in json.loads(row.changes)
            if kind == "cash"
        ]

    def account(self, account_id: str) -> Any:
        [found] = [row for row in self.rows(accounts) if row.account_id == account_id]
        return found

    def newest_account(self) -> str:
        """Returns the account whose balance changed last: a run reads it first."""
        newest = max(self.rows(accounts), key=lambda row: (row.modified_at, row.id))
        return str(newest.account_id)

    def reads(self) -> int:
        """Returns how many reads the sandbox received."""
        return len(self.box.requests("/open-apis/hire"))

    async def pass_time(self, seconds: float, *, step: float = 1) -> None:
        """Advances the clock, and runs the reconciler after each step."""
        for _ in range(round(seconds / step)):
            self.clock.advance(seconds=step)
            await self.run_once()
        await self.apply_events()

    def balance(self, account_id: str) -> dict[Any, Decimal]:
        key = AccountKey(tenant_key="sandbox-tenant", app_id=self.box.app_id, account_id=account_id)
        with self.database.read() as connection:
            assert [] == ledger.find_imbalances(connection)
            return ledger.load_history(connection, key)[-1][0].amounts


def _payloads(box: FeishuBox) -> list[bytes]:
    return [box.payload(event["event_id"]) for event in box.events()]


@asynccontextmanager
async def reconcile_scene(
    database: Database, clock: FakeClock, *, extra: int = 12
) -> AsyncIterator[ReconcileScene]:
    """clock: near the real time, because the sandbox dates its answers. extra: accounts beside the first four."""
    with FeishuBox(SandboxSettings(extra_accounts=extra, quotas=False)) as box:
        access = AppAccess(base_url=box.url, app_id=box.app_id, app_secret=box.app_secret, timeout_seconds=1)
        async with FeishuApi(access, clock) as api:
            scene = ReconcileScene(
                box,
                database,
                clock,
                ReconcileDeps(
                    referral_accounts=FeishuReferralAccounts(api),
                    app_id=box.app_id,
                    limit=RateLimit(per_second=9),
                    own_limit=RateLimit(per_second=5),
                    every_ms=None,
                    on_connect=True,
                    grace_ms=GRACE * 1000,
                    encode_reading=encode_balance_reading,
                    connected_since=lambda: None,
                    clock=clock,
                    wake=lambda: None,
                    on_not_receiving=lambda: None,
                ),
            )
            box.hold()
            box.change_balances([(each["account_id"], 1, {"CNY": "+10.00"}) for each in box.accounts()])
            scene.receive_all()
            await scene.apply_events()
            yield scene

"""Reads all known accounts again, by a reconciliation run, and lists the balances that differed.

A running service does the run, because only it knows since when events arrive. Otherwise the command does it. In both
cases a balance that differs is read twice and then stored as a recovered event, which the service notifies.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from notifier.clock import Clock, to_millis
from notifier.config.settings import Config
from notifier.domain.account import AccountState
from notifier.domain.money import Amounts
from notifier.errors import AccountUnknown, CallError
from notifier.feishu.api import FeishuApi
from notifier.feishu.referral_accounts import NONEXISTENT_ACCOUNT_ID, FeishuReferralAccounts
from notifier.flow.events.reconcile import Reconciler
from notifier.runtime.factories import make_app_access, make_reconcile_deps
from notifier.runtime.lifecycle import stop_on_signals
from notifier.store import reconciliation_runs
from notifier.store.engine.database import Database
from notifier.store.people import account_list
from notifier.store.reconciliation_runs import ReconciliationRun, ReconciliationTrigger

MAX_STALL_SECONDS = 180.0
"""A run that makes no progress for so long is left to the service."""
DRAIN_SECONDS = 10.0
BAD_ACCOUNT_ID = 1002002


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncDifference:
    """An account whose balance differed. after: None if the service has not stored it yet."""

    account_id: str
    before: Amounts
    after: Amounts | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """The result of a run."""

    total: int
    """Known accounts."""
    read: int
    """Reads that succeeded; an account that differed is read twice."""
    failed: int
    """Accounts that could not be read."""
    differences: list[SyncDifference]
    """Accounts whose balance differed."""
    is_finished: bool
    """Whether the run ended; otherwise it goes on in the service, or with the next one."""
    is_service_running: bool
    """Whether the service did the run."""


class _RecordedReads(FeishuReferralAccounts):
    """The accounts at Feishu; keeps each balance that was read."""

    def __init__(self, api: FeishuApi) -> None:
        super().__init__(api)
        self.amounts: dict[str, Amounts] = {}

    async def read(self, account_id: str) -> AccountState:
        """Return the state of the account. Raises CallError."""
        state = await super().read(account_id)
        self.amounts[account_id] = state.amounts
        return state


async def sync_accounts(
    database: Database, clock: Clock, config: Config, *, on_progress: Callable[[int, int], None]
) -> SyncReport:
    """Read all accounts again. on_progress: gets the accounts that were read, and all.

    Raises CallError if Feishu cannot be reached or refuses the reads.
    """
    app_id, stop = config.feishu.app_id, asyncio.Event()
    with database.read() as connection:
        total = account_list.count_accounts(connection, app_id)
        before = account_list.load_recovered(connection, app_id)
    async with FeishuApi(make_app_access(config), clock) as api:
        reads = _RecordedReads(api)
        await _require_readable(reads)
        is_running = await asyncio.to_thread(database.is_running)
        run_id = await asyncio.to_thread(_start_run, database, clock)
        with stop_on_signals(stop):
            watch = _Watch(database, app_id, run_id, total, on_progress)
            if is_running:
                is_finished = await watch.wait(stop)
            else:
                deps = make_reconcile_deps(
                    config,
                    reads,
                    clock,
                    connected_since=lambda: None,
                    wake=lambda: None,
                    on_not_receiving=lambda: None,
                )
                is_finished = await _reconcile(Reconciler(database, deps), watch, stop)
    with database.read() as connection:
        after = account_list.load_recovered(connection, app_id)
    differences = [
        SyncDifference(
            account_id=each.account_id,
            before=before[ref].amounts if ref in before else {},
            after=reads.amounts.get(each.account_id) if not is_running else each.amounts,
        )
        for ref, each in after.items()
        if each.recovered_modified_at is not None
        and (ref not in before or before[ref].recovered_modified_at != each.recovered_modified_at)
    ]
    run = watch.run
    return SyncReport(
        total=total,
        read=run.read if run else 0,
        failed=run.failed if run else 0,
        differences=differences,
        is_finished=is_finished,
        is_service_running=is_running,
    )


async def _require_readable(accounts: FeishuReferralAccounts) -> None:
    """One read shows whether any can succeed. Raises CallError."""
    try:
        await accounts.read(NONEXISTENT_ACCOUNT_ID)
    except AccountUnknown:
        return
    except CallError as error:
        if error.code != BAD_ACCOUNT_ID:
            raise


def _start_run(database: Database, clock: Clock) -> int:
    """Start a run. Returns its id, or that of the next run, if one was running."""
    with database.read() as connection:
        running = reconciliation_runs.get_running(connection)
    now = to_millis(clock.now())
    database.write(
        lambda c: reconciliation_runs.start_run(c, ReconciliationTrigger.COMMAND, now=now)
    ).result()
    with database.read() as connection:
        newest = reconciliation_runs.get_newest(connection)
    newest_id = newest.id if newest is not None else 0
    return newest_id + 1 if running is not None and running.id == newest_id else newest_id


class _Watch:
    """Watches a run until it ends and every balance that differed was read twice."""

    def __init__(
        self,
        database: Database,
        app_id: str,
        run_id: int,
        total: int,
        on_progress: Callable[[int, int], None],
    ) -> None:
        self._database = database
        self._app_id = app_id
        self._run_id = run_id
        self._total = total
        self._on_progress = on_progress
        self._progress: tuple[int, ...] = ()
        self._progressed_at = time.monotonic()
        self.run: ReconciliationRun | None = None

    def is_finished(self) -> bool:
        """Look at the run, and report its progress."""
        with self._database.read() as connection:
            newest = reconciliation_runs.get_newest(connection)
            mismatches = account_list.count_mismatches(connection, self._app_id)
        if newest is None or newest.id < self._run_id:
            return False
        self.run = newest
        progress = (newest.id, newest.read, newest.failed, mismatches)
        if progress != self._progress:
            self._progress, self._progressed_at = progress, time.monotonic()
            self._on_progress(min(newest.read + newest.failed, self._total), self._total)
        return newest.ended_at is not None and not mismatches

    @property
    def is_stalled(self) -> bool:
        """Whether nothing has changed for a long time."""
        return time.monotonic() - self._progressed_at > MAX_STALL_SECONDS

    async def wait(self, stop: asyncio.Event) -> bool:
        """Wait for the end of a run of the service. Returns whether it ended."""
        while not self.is_finished():
            if stop.is_set() or self.is_stalled:
                return False
            await asyncio.sleep(0.2)
        return True


async def _reconcile(reconciler: Reconciler, watch: _Watch, stop: asyncio.Event) -> bool:
    """Do the run in this process. Returns whether it ended."""
    is_finished = False
    while not is_finished and not stop.is_set() and not watch.is_stalled:
        pause = await reconciler.run_once()
        await asyncio.sleep(min(pause, 0.2))
        is_finished = watch.is_finished()
    await reconciler.drain(DRAIN_SECONDS)
    return is_finished

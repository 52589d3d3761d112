"""The components that only the leader runs: all work from a stored event or order to Feishu and the payroll system."""

import asyncio
import contextlib
import dataclasses
import functools
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from notifier.clock import Millis, to_millis
from notifier.domain.delivery import UUID_WINDOW_MS
from notifier.feishu.app_queries import count_live_connections
from notifier.flow.digests.send_due import schedule
from notifier.flow.events.reconcile import Reconciler
from notifier.flow.upkeep.clock_jumps import ClockJumpWatcher
from notifier.flow.upkeep.live_connections import ConnectionCountWatcher
from notifier.payroll.client import PayrollClient
from notifier.runtime import components as build
from notifier.runtime.component_stack import ComponentStack
from notifier.runtime.components import Shared
from notifier.runtime.leadership import Term
from notifier.runtime.lifecycle import STOP_SECONDS, Drainable, drain_all
from notifier.runtime.wakeups import Wakeups
from notifier.runtime.worker_pool import WorkerName, WorkerPool
from notifier.store import accounts, payouts, recipients, withdrawals
from notifier.store.deliveries import attempt_results
from notifier.store.engine.database import Database
from notifier.store.processes import clock_jumps, workers

log = logging.getLogger(__name__)

RECONNECT = WorkerName.HEARTBEAT.value
"""Topic of the notification that every process must open its connection to Feishu again: its heartbeat looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderDeps:
    """What the leader's components need of the process."""

    shared: Shared
    """What all components share."""
    payroll: PayrollClient | None
    """The payroll system; None where payouts are only exported."""
    wakeups: Wakeups
    """Gets the workers of the term."""
    receiving_since: Callable[[], Millis | None]
    """Since when every event that arrived was stored, None while none can arrive."""
    is_burst: Callable[[], bool]
    """Whether many events arrive at this moment."""
    live_connections: ConnectionCountWatcher
    """Counts the app's connections at Feishu."""
    on_clock_jump: Callable[[Millis], None]
    """Corrects times that this process keeps in memory, after the clock was set back to this."""
    reconnect: Callable[[], None]
    """Opens the connection of this process to Feishu again."""


class Leader:
    """Runs the components of one term after another."""

    def __init__(self, deps: LeaderDeps) -> None:
        self._deps = deps
        self._reconciler: Reconciler | None = None
        """The reconciler of the present term. None: another process leads."""

    def on_possibly_missed_events(self) -> None:
        """Reconciles the balances, if this process leads. Callable from any thread."""
        reconciler = self._reconciler
        if reconciler is not None:
            reconciler.request_run()
            self._deps.wakeups.waker(WorkerName.RECONCILE)()

    @contextlib.asynccontextmanager
    async def lead(self, term: Term) -> AsyncIterator[None]:
        """Takes over the work of earlier processes, and runs the components until the context ends."""
        deps, shared = self._deps, for_term(self._deps.shared, term)
        payroll = deps.payroll.limited(term.limit_call_seconds) if deps.payroll else None
        now = to_millis(shared.clock.now())
        reclaimed = await asyncio.wrap_future(
            term.database.write(lambda c: take_over(c, now=now, submits_payouts=payroll is not None))
        )
        log.info("leader.started", extra={"reclaimed": reclaimed})
        async with ComponentStack() as components:
            await self._start(components, shared, payroll, term)
            yield

    async def _start(
        self, components: ComponentStack, shared: Shared, payroll: PayrollClient | None, term: Term
    ) -> None:
        deps, pool = self._deps, shared.workers
        callers = build.assign_calling_workers(shared, payroll)
        reconciler = build.build_reconciler(
            shared,
            connected_since=deps.receiving_since,
            on_not_receiving=functools.partial(_reconnect_all, shared, deps.reconnect),
        )
        clock_jumps_watcher = ClockJumpWatcher(shared.database, shared.clock, set_back=deps.on_clock_jump)
        pool.assign(WorkerName.APPLY_EVENTS, build.build_event_applier(shared, deps.is_burst).run_once)
        pool.assign(WorkerName.BATCH, build.build_batcher(shared).run_once)
        pool.assign(WorkerName.DIGEST, build.build_digest_sender(shared).run_once)
        pool.assign(WorkerName.RECONCILE, reconciler.run_once)
        deps.live_connections.ask_with(functools.partial(count_live_connections, shared.api))
        pool.assign(WorkerName.LIVE_CONNECTIONS, deps.live_connections.run_once)
        pool.assign(WorkerName.PRUNE, build.build_pruner(shared, deps.is_burst).run_once)
        pool.assign(WorkerName.CLOCK_JUMPS, clock_jumps_watcher.run_once)

        components.add("connection count", deps.live_connections.forget)
        components.add("running calls", functools.partial(_drain, term, *callers, reconciler))
        pool.start()
        components.add("workers", functools.partial(pool.stop, seconds=STOP_SECONDS))
        scheduler = schedule(shared.config.digest_plans(), pool.waker(WorkerName.DIGEST))
        scheduler.start()
        components.add("digest scheduler", functools.partial(scheduler.shutdown, wait=False))
        deps.wakeups.pool = pool
        components.add("wake-ups", self._detach)
        self._reconciler = reconciler
        if await self._may_have_missed_events(shared):
            self.on_possibly_missed_events()

    async def _may_have_missed_events(self, shared: Shared) -> bool:
        """Whether nobody received events for some time before this process, which is connected, began to lead.

        Before it is connected, the connection itself says when events can have been missed.
        """
        since = self._deps.receiving_since()
        if since is None:
            return False
        seen_at = await asyncio.wrap_future(
            shared.database.write(lambda c: workers.get_last_received_at(c, without=shared.worker_id))
        )
        return seen_at is None or seen_at < since

    def _detach(self) -> None:
        self._reconciler = None
        self._deps.wakeups.pool = None


def for_term(shared: Shared, term: Term) -> Shared:
    """Returns what the components of one term share: their transactions and calls fail when it is over."""
    api = shared.api.limited(term.limit_call_seconds)
    return dataclasses.replace(
        shared,
        database=term.database,
        api=api,
        workers=WorkerPool(name for name in WorkerName if name.is_leaders),
        **build.make_senders(api),
    )


def take_over(connection: Connection, *, now: Millis, submits_payouts: bool) -> int:
    """Releases what earlier processes had claimed. Returns the number of reclaimed deliveries.

    No call of an earlier process is running any more. submits_payouts: whether this process submits payouts.
    """
    clock_jumps.expire_unknown_outcomes(connection, now=now)
    reclaimed = attempt_results.reclaim(connection, now=now, window_ms=UUID_WINDOW_MS)
    recipients.plan_all(connection, now=now)
    accounts.release_lookups(connection)
    withdrawals.reclaim(connection, now=now)
    if not submits_payouts:
        payouts.give_up_interrupted(connection, now=now)
    return reclaimed


async def _drain(term: Term, *components: Drainable) -> None:
    """Waits for the running calls, and notes if some had to be cut off."""
    term.has_open_calls = not await drain_all(*components)


def _reconnect_all(shared: Shared, reconnect: Callable[[], None]) -> None:
    """Opens the connections of all processes again: a missed event proves that one of them delivers nothing."""
    reconnect()
    if shared.database.is_shared:
        now = to_millis(shared.clock.now())
        shared.database.write(lambda c: ask_to_reconnect(c, shared.database, now))


def ask_to_reconnect(connection: Connection, database: Database, now: Millis) -> None:
    """Asks all processes to open their connections to Feishu again. now: Unix milliseconds."""
    workers.request_reconnect(connection, now=now)
    database.notify(connection, RECONNECT)

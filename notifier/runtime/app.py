"""The running program: starts its components in order, waits, and stops them in the reverse order."""

import asyncio
import functools
import logging
import uuid

from notifier.clock import Clock, Millis, SystemClock, to_millis
from notifier.config.settings import Config
from notifier.domain.delivery import UUID_WINDOW_MS
from notifier.errors import NotAuthorised
from notifier.feishu.api import FeishuApi
from notifier.feishu.app_queries import count_live_connections
from notifier.feishu.long_connection.listener import Listener
from notifier.flow.digests.send_due import schedule
from notifier.flow.events.receive import Receiver
from notifier.flow.upkeep.clock_jumps import ClockJumpWatcher
from notifier.flow.upkeep.live_connections import ConnectionCountWatcher
from notifier.payroll.client import PayrollClient
from notifier.runtime import components as build
from notifier.runtime.component_stack import ComponentStack
from notifier.runtime.components import Shared
from notifier.runtime.connection_watch import ConnectionWatch, ListenerCheck
from notifier.runtime.factories import make_app_access, make_payroll_access
from notifier.runtime.heartbeat import Heartbeat
from notifier.runtime.inbound import (
    EventRouter,
    start_health_endpoint,
    start_inbound,
    start_payout_endpoint,
)
from notifier.runtime.lifecycle import (
    STOP_SECONDS,
    drain_all,
    fetch_first_token,
    probe_app_access,
    registered_worker,
    stop_on_signals,
    was_stopped_during,
    write_last_heartbeat,
)
from notifier.runtime.payout_reports import PayoutReportHandler
from notifier.runtime.worker_pool import WorkerName
from notifier.store import accounts, clock_jumps, recipients, withdrawals
from notifier.store.deliveries import attempt_results
from notifier.store.engine import integrity
from notifier.store.engine.database import Database
from notifier.store.engine.process_lock import hold_process_lock

log = logging.getLogger(__name__)


async def run(config: Config, *, clock: Clock | None = None, stop: asyncio.Event | None = None) -> None:
    """Runs the program until `stop` is set, or until SIGTERM or SIGINT.

    Raises ConfigError for a setting that cannot be used, StoreBusy if another process uses the database, and
    NotAuthorised if Feishu rejects the app and `feishu.when_refused` requires an exit.
    """
    clock = clock or SystemClock()
    stop = stop or asyncio.Event()
    worker_id = uuid.uuid4().hex
    async with ComponentStack() as components:
        components.enter("signal handlers", stop_on_signals(stop))
        database = _open_database(components, config.store.url)
        started_at = to_millis(clock.now())
        with database.read() as connection:
            last_seen = clock_jumps.get_last_trusted(connection)
        reclaimed = await _reclaim_unfinished(database, now=started_at)
        await components.enter_async(
            "worker registration",
            registered_worker(database, worker_id, clock, submits_payouts=bool(config.payouts.url)),
        )
        log.info(
            "notifier.started",
            extra={"worker_id": worker_id[:8], "reclaimed": reclaimed, "feishu": config.feishu.base_url},
        )
        api = await components.enter_async("Feishu client", FeishuApi(make_app_access(config), clock))
        if await was_stopped_during(stop, fetch_first_token(api, config.feishu.when_refused)):
            return
        payroll = None
        if config.payouts.url:
            client = PayrollClient(make_payroll_access(config), clock)
            payroll = await components.enter_async("payroll client", client)
        application = Application(
            Shared.create(config, clock, database, api, worker_id, started_at, last_seen=last_seen),
            payroll,
            stop,
        )
        await application.start(components)
        await stop.wait()
        log.info("notifier.stop_requested")
        application.raise_if_refused()
    log.info("notifier.stopped")


class Application:
    """The components of the running program, and how they depend on each other.

    `start` starts them from the end of the data flow to its beginning: events arrive last, when everything that
    handles them runs. The `ComponentStack` stops them in the reverse order.
    """

    def __init__(self, shared: Shared, payroll: PayrollClient | None, stop: asyncio.Event) -> None:
        config, clock, database, workers = shared.config, shared.clock, shared.database, shared.workers
        self._shared = shared
        self._clicks = build.build_click_handler(shared)
        self._receiver = Receiver(database, clock, wake=workers.waker(WorkerName.APPLY_EVENTS))
        self._router = EventRouter(self._clicks, self._receiver)
        self._connection = ConnectionWatch(
            clock=clock,
            intake=self._receiver,
            app_status=shared.api.app_status,
            when_refused=config.feishu.when_refused,
            stop=stop,
            wake_heartbeat=workers.waker(WorkerName.HEARTBEAT),
        )
        self._listener = Listener(
            make_app_access(config),
            accept=self._router.accept,
            on_connection_change=self._connection.on_change,
        )
        self._live_connections = ConnectionCountWatcher(
            functools.partial(count_live_connections, shared.api), is_connected=self._connection.is_connected
        )
        self._heartbeat = Heartbeat(
            database,
            clock,
            connection=self._connection,
            app_status=shared.api.app_status,
            arrivals=self._receiver,
            connection_count=self._live_connections,
            worker_id=shared.worker_id,
            started_at=shared.started_at,
            is_clock_doubtful=shared.is_clock_doubtful,
        )
        self._callers = build.assign_calling_workers(shared, payroll)
        self._assign_data_workers()
        self._assign_upkeep_workers()

    def _assign_data_workers(self) -> None:
        shared, workers = self._shared, self._shared.workers
        reconciler = self._reconciler = build.build_reconciler(
            shared,
            connected_since=self._connection.receiving_since,
            on_not_receiving=self._listener.reconnect,
        )
        self._connection.subscribe(reconciler.request_run)
        self._connection.subscribe(workers.waker(WorkerName.RECONCILE))
        is_burst = self._receiver.burst.is_on
        workers.assign(WorkerName.APPLY_EVENTS, build.build_event_applier(shared, is_burst).run_once)
        workers.assign(WorkerName.BATCH, build.build_batcher(shared).run_once)
        workers.assign(WorkerName.DIGEST, build.build_digest_sender(shared).run_once)
        workers.assign(WorkerName.RECONCILE, reconciler.run_once)

    def _assign_upkeep_workers(self) -> None:
        shared, workers = self._shared, self._shared.workers
        clock_jumps = ClockJumpWatcher(shared.database, shared.clock, set_back=self._connection.on_clock_jump)
        pruner = build.build_pruner(shared, self._receiver.burst.is_on)
        listener_check = ListenerCheck(self._listener, self._connection)
        workers.assign(WorkerName.HEARTBEAT, self._heartbeat.run_once)
        workers.assign(WorkerName.LIVE_CONNECTIONS, self._live_connections.run_once)
        workers.assign(WorkerName.LISTENER_CHECK, listener_check.run_once)
        workers.assign(WorkerName.APP_ACCESS_PROBE, functools.partial(probe_app_access, shared.api))
        workers.assign(WorkerName.PRUNE, pruner.run_once)
        workers.assign(WorkerName.CLOCK_JUMPS, clock_jumps.run_once)

    async def start(self, components: ComponentStack) -> None:
        """Starts every component. Raises ConfigError for an address that cannot be used."""
        config, clock, workers = self._shared.config, self._shared.clock, self._shared.workers
        components.add("click handler", self._clicks.close)
        components.add("last heartbeat", functools.partial(write_last_heartbeat, self._heartbeat.write_last))
        components.add("running calls", functools.partial(drain_all, *self._callers, self._reconciler))
        workers.start()
        components.add("workers", functools.partial(workers.stop, seconds=STOP_SECONDS))
        scheduler = schedule(config.digest_plans(), workers.waker(WorkerName.DIGEST))
        scheduler.start()
        components.add("digest scheduler", functools.partial(scheduler.shutdown, wait=False))
        reports = PayoutReportHandler(
            self._shared.database, clock, self._shared.notices, wake=workers.waker(*build.SENDERS)
        )
        await start_payout_endpoint(components, config, clock, reports.apply)
        await start_health_endpoint(components, config, self._heartbeat.readiness)
        await start_inbound(
            components,
            config,
            clock,
            listener=self._listener,
            accept=self._router.accept,
            on_connection_change=self._connection.on_change,
        )

    def raise_if_refused(self) -> None:
        """Raises NotAuthorised if the program stops because Feishu rejects the app."""
        if self._connection.exit_reason is not None:
            raise NotAuthorised(self._connection.exit_reason)


def _open_database(components: ComponentStack, url: str) -> Database:
    """Opens the database for this process alone. Raises ConfigError, StoreBusy, or the error of the integrity check."""
    hold_file = components.enter("process lock", hold_process_lock(url))
    integrity.check_integrity(url)
    database = Database.open(url)
    components.add("database", functools.partial(database.close, STOP_SECONDS))
    hold_file()
    return database


async def _reclaim_unfinished(database: Database, *, now: Millis) -> int:
    """Releases what an earlier process had claimed. Returns the number of reclaimed deliveries."""
    reclaimed = await asyncio.wrap_future(
        database.write(lambda c: attempt_results.reclaim(c, now=now, window_ms=UUID_WINDOW_MS))
    )
    await asyncio.wrap_future(database.write(lambda c: recipients.plan_all(c, now=now)))
    await asyncio.wrap_future(database.write(accounts.release_lookups))
    await asyncio.wrap_future(database.write(lambda c: withdrawals.reclaim(c, now=now)))
    return reclaimed

"""The running program: starts its components in order, waits, and stops them in the reverse order."""

import asyncio
import functools
import logging
import uuid

from notifier import __version__
from notifier.clock import Clock, to_millis
from notifier.config.fingerprint import compute_fingerprint, get_replica_name
from notifier.config.settings import Config
from notifier.errors import NotAuthorised
from notifier.feishu.api import FeishuApi
from notifier.feishu.app_queries import count_live_connections
from notifier.feishu.long_connection.listener import Listener
from notifier.flow.events.receive import Receiver
from notifier.flow.upkeep.live_connections import ConnectionCountWatcher
from notifier.payroll.client import PayrollClient
from notifier.runtime import components as build
from notifier.runtime.component_stack import ComponentStack
from notifier.runtime.components import SENDERS, Shared
from notifier.runtime.connection_watch import ConnectionWatch, ListenerCheck
from notifier.runtime.factories import make_app_access, make_operator_resolver, make_payroll_access
from notifier.runtime.heartbeat import Heartbeat
from notifier.runtime.inbound import (
    EventRouter,
    start_health_endpoint,
    start_inbound,
    start_payout_endpoint,
)
from notifier.runtime.leader import RECONNECT, Leader, LeaderDeps
from notifier.runtime.leadership import RELEASED, Leadership
from notifier.runtime.lifecycle import (
    STOP_SECONDS,
    fetch_first_token,
    probe_app_access,
    registered_worker,
    stop_on_signals,
    was_stopped_during,
    write_last_heartbeat,
)
from notifier.runtime.payout_reports import PayoutReportHandler
from notifier.runtime.peers import Peers
from notifier.runtime.telemetry.monitoring import Monitor
from notifier.runtime.wakeups import Wakeups
from notifier.runtime.worker_pool import WorkerName
from notifier.store.engine.backends import find_backend
from notifier.store.engine.database import Database
from notifier.store.processes import clock_jumps
from notifier.store.processes.workers import NewWorker

log = logging.getLogger(__name__)


async def run(config: Config, *, clock: Clock | None = None, stop: asyncio.Event | None = None) -> None:
    """Runs the program until `stop` is set, or until SIGTERM or SIGINT.

    clock: for a program whose time is set on purpose. Otherwise it is the clock of the machine, or of the database if
    several processes can use it.
    Raises ConfigError for a setting that cannot be used, StoreBusy if another process uses the database, and
    NotAuthorised if Feishu rejects the app and `feishu.when_refused` requires an exit.
    """
    stop = stop or asyncio.Event()
    worker = NewWorker(
        worker_id=uuid.uuid4().hex,
        name=get_replica_name(config),
        version=__version__,
        config_fingerprint=compute_fingerprint(config),
        submits_payouts=bool(config.payouts.url),
    )
    async with ComponentStack() as components:
        components.enter("signal handlers", stop_on_signals(stop))
        database = _open_database(components, config.store.url)
        clock = clock or database.make_clock()
        started_at = to_millis(clock.now())
        with database.read() as connection:
            last_seen = clock_jumps.get_last_trusted(connection)
        await components.enter_async("worker registration", registered_worker(database, worker, clock))
        log.info(
            "notifier.started", extra={"worker_id": worker.worker_id[:8], "feishu": config.feishu.base_url}
        )
        api = await components.enter_async("Feishu client", FeishuApi(make_app_access(config), clock))
        if await was_stopped_during(stop, fetch_first_token(api, config.feishu.when_refused)):
            return
        payroll = None
        if config.payouts.url:
            client = PayrollClient(make_payroll_access(config), clock)
            payroll = await components.enter_async("payroll client", client)
        shared = Shared.create(
            config, clock, database, api, worker.worker_id, started_at, last_seen=last_seen
        )
        resolver = make_operator_resolver(config, database, clock, api, shared.operators)
        components.add("operator resolver", resolver.close)
        if await was_stopped_during(stop, resolver.start()):
            return
        application = Application(shared, payroll, stop)
        await application.start(components)
        await stop.wait()
        log.info("notifier.stop_requested")
        application.raise_if_refused()
    log.info("notifier.stopped")


class Application:
    """The components of every process, and how they depend on each other.

    `start` starts them from the end of the data flow to its beginning: events arrive last, when everything that
    handles them runs. The `ComponentStack` stops them in the reverse order. The components that only one process runs
    are the leader's (see leader.py).
    """

    def __init__(self, shared: Shared, payroll: PayrollClient | None, stop: asyncio.Event) -> None:
        config, clock, database, workers = shared.config, shared.clock, shared.database, shared.workers
        self._shared = shared
        self._wakeups = Wakeups(database)
        self._clicks = build.build_click_handler(shared, self._wakeups)
        self._receiver = Receiver(
            database,
            clock,
            wake=self._wakeups.waker(WorkerName.APPLY_EVENTS),
            announce=self._wakeups.announce_to(WorkerName.APPLY_EVENTS),
        )
        self._router = EventRouter(self._clicks, self._receiver)
        self._connection = ConnectionWatch(
            clock=clock,
            intake=self._receiver,
            app_status=shared.api.app_status,
            when_refused=config.feishu.when_refused,
            stop=stop,
            wake_heartbeat=workers.waker(WorkerName.HEARTBEAT),
        )
        self._peers = Peers(self._connection, shared.worker_id)
        self._listener = Listener(
            make_app_access(config),
            accept=self._router.accept,
            on_connection_change=self._connection.on_change,
        )
        self._live_connections = ConnectionCountWatcher(
            functools.partial(count_live_connections, shared.api),
            is_connected=self._peers.is_any_connected,
            count_ours=self._peers.count_connected,
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
            submits_payouts=payroll is not None,
            is_clock_doubtful=shared.is_clock_doubtful,
            on_written=self._peers.update,
            reconnect=self._listener.reconnect,
        )
        self._leadership = Leadership(database, shared.worker_id, self._build_leader(payroll).lead)
        listener_check = ListenerCheck(self._listener, self._connection)
        workers.assign(WorkerName.HEARTBEAT, self._heartbeat.run_once)
        workers.assign(WorkerName.LISTENER_CHECK, listener_check.run_once)
        workers.assign(WorkerName.APP_ACCESS_PROBE, functools.partial(probe_app_access, shared.api))

    def _build_leader(self, payroll: PayrollClient | None) -> Leader:
        leader = Leader(
            LeaderDeps(
                shared=self._shared,
                payroll=payroll,
                wakeups=self._wakeups,
                receiving_since=self._peers.receiving_since,
                is_burst=self._receiver.burst.is_on,
                live_connections=self._live_connections,
                on_clock_jump=self._connection.on_clock_jump,
                reconnect=self._listener.reconnect,
            )
        )
        self._connection.subscribe(leader.on_possibly_missed_events)
        self._peers.subscribe(leader.on_possibly_missed_events)
        return leader

    async def start(self, components: ComponentStack) -> None:
        """Starts every component. Raises ConfigError for an address that cannot be used."""
        config, clock, workers = self._shared.config, self._shared.clock, self._shared.workers
        database = self._shared.database
        components.add("click handler", self._clicks.close)
        components.add("last heartbeat", functools.partial(write_last_heartbeat, self._heartbeat.write_last))
        workers.start()
        components.add("workers", functools.partial(workers.stop, seconds=STOP_SECONDS))
        await components.enter_async("notifications", database.listen(self._on_notification))
        await self._leadership.start()
        components.add("leadership", self._leadership.stop)
        reports = PayoutReportHandler(
            database,
            clock,
            self._shared.notices,
            wake=self._wakeups.waker(*SENDERS),
            announce=self._wakeups.announce_to(*SENDERS),
        )
        await start_payout_endpoint(components, config, clock, reports.apply)
        monitor = Monitor(self._shared, seconds_since_frame=self._listener.get_frame_age)
        await start_health_endpoint(components, config, self._heartbeat.readiness, monitor.read_metrics)
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

    def _on_notification(self, topic: str) -> None:
        if topic == RELEASED:
            self._leadership.look_now()
        elif topic == RECONNECT:
            self._shared.workers.wake(WorkerName.HEARTBEAT)
        else:
            self._wakeups.on_topic(topic)


def _open_database(components: ComponentStack, url: str) -> Database:
    """Opens the database. Raises ConfigError, StoreBusy, or the error of the integrity check.

    A database that cannot be shared is opened for this process alone.
    """
    backend = find_backend(url)
    after_open = components.enter("process lock", backend.hold_process_lock(url))
    backend.check_integrity(url)
    database = Database.open(url)
    components.add("database", functools.partial(database.close, STOP_SECONDS))
    after_open()
    return database

"""App: builds every part, starts them in order, stops them backwards. The only file that knows them all."""

import asyncio
import contextlib
import gc
import logging
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy.engine import Connection as SqlConnection

from notifier.clock import Clock, Millis, SystemClock, to_millis
from notifier.config.fields import listen_address
from notifier.config.settings import Config
from notifier.domain.delivery import HOUR_MS, UUID_WINDOW_MS, RetryPolicy
from notifier.domain.event import CARD_CLICKED, Event
from notifier.domain.payout import PayoutReport, PayoutReportOutcome
from notifier.domain.rate_limit import RateLimit
from notifier.errors import NotAuthorised
from notifier.feishu.api import FeishuApi
from notifier.feishu.app_queries import count_live_connections
from notifier.feishu.long_connection.listener import ConnectionState, ConnectionStatus, Listener
from notifier.feishu.messages import FeishuMessageSender
from notifier.feishu.referral_accounts import FeishuReferralAccounts
from notifier.feishu.wire import read_balance_report
from notifier.feishu.withdrawal_wire import read_click
from notifier.flow.deliveries.deliver import DeliverDeps, Deliverer
from notifier.flow.deliveries.resolve_recipients import RecipientResolver, ResolveDeps
from notifier.flow.deliveries.update_cards import CardUpdater, UpdateDeps
from notifier.flow.digests.send_due import DigestSender, schedule
from notifier.flow.events.apply_events import BATCH, ApplyDeps, apply_events
from notifier.flow.events.receive import Receiver
from notifier.flow.events.reconcile import Reconciler
from notifier.flow.upkeep.clock_jumps import ClockJumpWatcher
from notifier.flow.upkeep.live_connections import ConnectionCountWatcher
from notifier.flow.upkeep.prune import Pruner
from notifier.flow.withdrawals.apply_payout_report import apply_payout_report, log_payout_report
from notifier.flow.withdrawals.batch import BatchDeps, Batcher
from notifier.flow.withdrawals.click import ClickDeps, ClickHandler
from notifier.flow.withdrawals.submit_payouts import PayoutSubmitter, SubmitDeps
from notifier.flow.withdrawals.withdraw import WithdrawDeps, Withdrawer
from notifier.flow.worker import Worker
from notifier.payroll.client import PayrollClient
from notifier.payroll.endpoint import ReportEndpoint
from notifier.runtime.factories import (
    make_address_book,
    make_app_access,
    make_digest_deps,
    make_notice_writer,
    make_payroll_access,
    make_prune_deps,
    make_reconcile_deps,
    make_renderer,
    make_routes,
    make_sending_limits,
    make_withdraw_offer,
)
from notifier.runtime.heartbeat import LOG_LEVELS, Heartbeat, received_since
from notifier.runtime.inbound import start_inbound
from notifier.runtime.lifecycle import (
    STOP_SECONDS,
    drain_all,
    fetch_first_token,
    probe_app_access,
    registered_worker,
    stop_on_signals,
    stop_workers,
    was_stopped_during,
    write_last_heartbeat,
)
from notifier.store import accounts, audit, outbox, withdrawals, workers
from notifier.store.engine import integrity
from notifier.store.engine.database import Database
from notifier.store.engine.process_lock import hold_process_lock
from notifier.store.workers import WorkerRow
from notifier.web.health import HealthEndpoint

log = logging.getLogger(__name__)

R = TypeVar("R")

HEARTBEAT_SECONDS = 5.0
IDLE_SECONDS = 1.0
BURST_PAUSE_SECONDS = 0.02


async def run(  # noqa: C901, PLR0915 - one straight line, see below
    config: Config, *, clock: Clock | None = None, stop: asyncio.Event | None = None
) -> None:
    """Runs until stop is set, or SIGTERM or SIGINT. Raises ConfigError, StoreBusy, NotAuthorised at start.

    One straight function on purpose: it is the map of the running program. Parts start in the order of the data's
    way, backwards: whoever is woken exists before whoever wakes it.
    """
    clock = clock or SystemClock()
    stop = stop or asyncio.Event()
    worker_id = uuid.uuid4().hex
    async with contextlib.AsyncExitStack() as exit_stack:
        exit_stack.enter_context(stop_on_signals(stop))
        hold_file = exit_stack.enter_context(hold_process_lock(config.store.url))
        integrity.check_integrity(config.store.url)
        database = Database.open(config.store.url)
        exit_stack.callback(database.close, STOP_SECONDS)
        hold_file()
        loop = asyncio.get_running_loop()
        started_at = to_millis(clock.now())
        reclaimed = await _write(
            database, lambda c: outbox.reclaim(c, now=started_at, window_ms=UUID_WINDOW_MS)
        )
        await _write(database, accounts.release_lookups)
        await _write(database, lambda c: withdrawals.reclaim(c, now=started_at))
        await exit_stack.enter_async_context(registered_worker(database, worker_id, clock))
        log.info(
            "notifier.started",
            extra={"owner": worker_id[:8], "reclaimed": reclaimed, "feishu": config.feishu.base_url},
        )

        api = await exit_stack.enter_async_context(FeishuApi(make_app_access(config), clock))
        if await was_stopped_during(stop, fetch_first_token(api, config.feishu.when_refused)):
            return
        sender, renderer, address_book = (
            FeishuMessageSender(api),
            make_renderer(config, clock),
            make_address_book(config),
        )
        referral_accounts, notices = FeishuReferralAccounts(api), make_notice_writer(config)
        deliverer = Deliverer(
            database,
            DeliverDeps(
                sender=sender,
                renderer=renderer,
                address_book=address_book,
                withdraw_offer=make_withdraw_offer(config),
                sending_limits=make_sending_limits(config),
                retry_policy=RetryPolicy(
                    give_up_after_ms=round(config.sending.give_up_after_hours * HOUR_MS)
                ),
                clock=clock,
                worker_id=worker_id,
            ),
            wake=lambda: delivery_worker.wake(),  # noqa: PLW0108 - it is made two lines below
        )
        delivery_worker = Worker("deliver", deliverer.run_once)
        resolver_deps = ResolveDeps(
            referral_accounts=referral_accounts,
            address_book=address_book,
            limit=RateLimit(per_second=config.referrers.lookups_per_second),
            clock=clock,
            wake=delivery_worker.wake,
        )
        recipient_resolver = RecipientResolver(database, resolver_deps, wake=lambda: resolver_worker.wake())  # noqa: PLW0108 - as above
        resolver_worker = Worker("announce", recipient_resolver.run_once)
        apply_deps = ApplyDeps(
            read=read_balance_report,
            routes=make_routes(config),
            notices=notices,
            clock=clock,
        )

        async def apply_events_once() -> float:
            if receiver.burst.is_on():
                return BURST_PAUSE_SECONDS
            entries = await apply_events(database, apply_deps)
            if entries:
                resolver_worker.wake()
                delivery_worker.wake()
            return 0 if entries == BATCH else IDLE_SECONDS

        apply_worker = Worker("record", apply_events_once)
        receiver = Receiver(database, clock, wake=apply_worker.wake)
        updater = CardUpdater(
            database,
            UpdateDeps(
                sender=sender,
                notices=notices,
                renderer=renderer,
                limit=RateLimit(per_second=min(config.sending.per_second, 15), burst=5),
                clock=clock,
            ),
            wake=lambda: card_worker.wake(),  # noqa: PLW0108 - it is made two lines below
        )
        card_worker = Worker("update cards", updater.run_once)

        def wake_senders() -> None:
            for worker in (card_worker, resolver_worker, delivery_worker):
                worker.wake()

        payroll = None
        if config.payouts.url:
            payroll = await exit_stack.enter_async_context(PayrollClient(make_payroll_access(config), clock))
        days = config.payouts.alarm_after_days
        payout_submitter = PayoutSubmitter(
            database,
            SubmitDeps(
                gateway=payroll,
                notices=notices,
                give_up_after_ms=round(config.payouts.give_up_after_hours * HOUR_MS),
                late_after_ms=None if days is None else round(days * 24 * HOUR_MS),
                clock=clock,
                wake=wake_senders,
            ),
            wake=lambda: payout_worker.wake(),  # noqa: PLW0108 - it is made two lines below
        )
        payout_worker = Worker("hand over", payout_submitter.run_once)

        def wake_after_withdrawal() -> None:
            wake_senders()
            payout_worker.wake()

        withdrawer = Withdrawer(
            database,
            WithdrawDeps(
                referral_accounts=referral_accounts,
                notices=notices,
                limit=RateLimit(per_second=config.withdrawals.per_minute / 60),
                clock=clock,
                worker_id=worker_id,
                wake=wake_after_withdrawal,
            ),
            wake=lambda: withdrawal_worker.wake(),  # noqa: PLW0108 - as above
        )
        withdrawal_worker = Worker("withdraw", withdrawer.run_once)
        operators = {name: group.operators for name, group in config.groups.items()}

        def wake_after_batch() -> None:
            withdrawal_worker.wake()
            card_worker.wake()

        batcher = Batcher(
            database,
            BatchDeps(
                app_id=config.feishu.app_id,
                withdraw_offer=make_withdraw_offer(config),
                address_book=address_book,
                operators=operators,
                clock=clock,
                wake=wake_after_batch,
            ),
        )
        batch_worker = Worker("batch", batcher.run_once)

        def wake_after_click() -> None:
            batch_worker.wake()
            withdrawal_worker.wake()

        clicks = ClickHandler(
            database,
            ClickDeps(
                read=read_click,
                withdraw_offer=make_withdraw_offer(config),
                address_book=address_book,
                operators=operators,
                renderer=renderer,
                clock=clock,
                wake=wake_after_click,
            ),
        )
        exit_stack.callback(clicks.close)

        reconciler = Reconciler(
            database,
            make_reconcile_deps(
                config,
                referral_accounts,
                clock,
                connected_since=lambda: received_since(heartbeat.connected_since, receiver.refused_at),
                wake=apply_worker.wake,
                on_not_receiving=lambda: listener.reconnect(),  # noqa: PLW0108 - it is made further down
            ),
        )
        reconcile_worker = Worker("refresh", reconciler.run_once)
        presence = ConnectionCountWatcher(
            lambda: count_live_connections(api),
            is_connected=lambda: heartbeat.connection.state is ConnectionState.CONNECTED,
        )

        def accept(event: Event) -> "Future[Any]":
            """A click is decided in the transaction that stores it; everything else is only stored."""
            return clicks.accept(event) if event.event_type == CARD_CLICKED else receiver.accept(event)

        heartbeat = Heartbeat(ConnectionStatus(state=ConnectionState.CONNECTING), started_at)

        def should_exit_when_refused() -> bool:
            setting = config.feishu.when_refused
            return setting == "exit" or (setting == "exit_at_start" and not heartbeat.was_connected)

        def on_connection_change(connection: ConnectionStatus) -> None:
            if connection.state is not heartbeat.connection.state:
                heartbeat.connection_since = to_millis(clock.now())
            if connection != heartbeat.connection:
                log.log(
                    LOG_LEVELS[connection.state],
                    "connection.%s",
                    connection.state,
                    extra={"detail": connection.detail or None},
                )
            heartbeat.connection = connection
            if heartbeat.connected_since is not None:
                heartbeat.was_connected = True
                reconciler.request_run()
                reconcile_worker.wake()
            if connection.state is ConnectionState.REFUSED and should_exit_when_refused():
                heartbeat.exit_reason = connection.detail
                loop.call_soon_threadsafe(stop.set)
            if connection.state is ConnectionState.CONNECTED and not heartbeat.is_gc_frozen:
                heartbeat.is_gc_frozen = True  # once: what is frozen is never collected again
                gc.collect()
                gc.freeze()  # the SDK's 11,000 modules would cost 136 ms in every full collection
            heartbeat_worker.wake()

        async def write_heartbeat(*, stopped: bool = False) -> float:
            now = to_millis(clock.now())
            row = WorkerRow(
                worker_id=worker_id,
                started_at=started_at,
                heartbeat_at=now,
                stopped_at=now if stopped else None,
                connection_state=heartbeat.connection.state,
                connection_since=heartbeat.connection_since,
                connection_detail=heartbeat.detail(api.app_status.refusal_reason),
                last_event_at=receiver.last_event_at,
                live_connections=presence.seen,
            )
            await _write(database, lambda c: workers.write_heartbeat(c, row))
            heartbeat.last_write_at = time.monotonic()
            if heartbeat.has_new_refusal(receiver.refused_at):
                reconciler.request_run()
                reconcile_worker.wake()
            return HEARTBEAT_SECONDS

        heartbeat_worker = Worker("beat", write_heartbeat)
        listener = Listener(make_app_access(config), accept=accept, on_connection_change=on_connection_change)

        def on_clock_jump(now: Millis) -> None:
            heartbeat.connection_since = min(heartbeat.connection_since, now)
            receiver.clock_set_back(now)

        async def watch_listener() -> float:
            listener.watch()
            if api.app_status.refusal_reason is not None and should_exit_when_refused():
                heartbeat.exit_reason = api.app_status.refusal_reason
                stop.set()
            return HEARTBEAT_SECONDS

        exit_stack.push_async_callback(write_last_heartbeat, lambda: write_heartbeat(stopped=True))
        exit_stack.push_async_callback(
            drain_all, deliverer, recipient_resolver, withdrawer, updater, payout_submitter
        )
        digest_worker = Worker(
            "digest", DigestSender(database, make_digest_deps(config, renderer, clock, wake_senders)).run_once
        )
        pruner = Pruner(database, make_prune_deps(config, clock, busy=receiver.burst.is_on))
        running_workers = (
            heartbeat_worker,
            delivery_worker,
            resolver_worker,
            apply_worker,
            withdrawal_worker,
            batch_worker,
            card_worker,
            payout_worker,
            digest_worker,
            reconcile_worker,
            Worker("presence", presence.run_once),
            Worker("watch", watch_listener),
            Worker("ask again", lambda: probe_app_access(api)),
            Worker("prune", pruner.run_once),
            Worker("clock", ClockJumpWatcher(database, clock, set_back=on_clock_jump).run_once),
        )
        for worker in running_workers:
            worker.start()
        exit_stack.push_async_callback(stop_workers, running_workers)
        scheduler = schedule(config.digest_plans(), digest_worker.wake)
        scheduler.start()
        exit_stack.callback(scheduler.shutdown, wait=False)

        async def apply_report(report: PayoutReport) -> PayoutReportOutcome:
            now = to_millis(clock.now())
            outcome = await _write(
                database,
                lambda c: apply_payout_report(
                    c, report, notices, actor=audit.PAYROLL, action=audit.AuditAction.PAYOUT, now=now
                ),
            )
            log_payout_report(report, outcome)
            wake_senders()
            return outcome

        if config.payouts.listen:
            endpoint = ReportEndpoint(config.payouts.secret.get_secret_value(), apply_report, clock)
            host, port = listen_address(config.payouts.listen)
            bound = await endpoint.start(host, port)
            exit_stack.push_async_callback(endpoint.stop)
            log.info("payout_endpoint.started", extra={"host": host, "port": bound})
        if config.health.listen:
            health = HealthEndpoint(lambda: heartbeat.readiness(api.app_status.refusal_reason))
            host, port = listen_address(config.health.listen)
            bound = await health.start(host, port)
            exit_stack.push_async_callback(health.stop)
            log.info("health.started", extra={"host": host, "port": bound})
        await start_inbound(
            exit_stack,
            config,
            clock,
            listener=listener,
            accept=accept,
            on_connection_change=on_connection_change,
            stop_seconds=STOP_SECONDS,
        )
        await stop.wait()
        log.info("notifier.stop_requested")
        if heartbeat.exit_reason is not None:
            raise NotAuthorised(heartbeat.exit_reason)
    log.info("notifier.stopped")


async def _write(database: Database, work: Callable[[SqlConnection], R]) -> R:
    return await asyncio.wrap_future(database.write(work))

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
from notifier.domain.delivery import HOUR_MS, UUID_WINDOW_MS, Patience
from notifier.domain.event import CARD_CLICKED, Event
from notifier.domain.payout import PayoutReport, Taken
from notifier.domain.rate_limit import Pace
from notifier.errors import NotAuthorised
from notifier.feishu.api import FeishuApi
from notifier.feishu.app_queries import live_connections
from notifier.feishu.long_connection.listener import Connection, ConnectionState, Listener
from notifier.feishu.messages import FeishuMessageSender
from notifier.feishu.referral_accounts import ReferralAccounts
from notifier.feishu.wire import read_balance_report
from notifier.feishu.withdrawal_wire import read_click
from notifier.flow.deliveries.deliver import Deliverer, DeliverParts
from notifier.flow.deliveries.resolve_recipients import AnnounceParts, Announcer
from notifier.flow.deliveries.update_cards import CardUpdater, UpdateParts
from notifier.flow.digests.digest import Digester, schedule
from notifier.flow.events.apply_events import BATCH, RecordParts, record
from notifier.flow.events.receive import Receiver
from notifier.flow.events.reconcile import Refresher
from notifier.flow.upkeep.clock_jumps import ClockWatch
from notifier.flow.upkeep.live_connections import Presence
from notifier.flow.upkeep.prune import Pruner
from notifier.flow.withdrawals.apply_payout_report import log_settled, settle
from notifier.flow.withdrawals.batch import Batcher, BatchParts
from notifier.flow.withdrawals.click import ClickParts, Clicks
from notifier.flow.withdrawals.submit_payouts import HandOver, HandOverParts
from notifier.flow.withdrawals.withdraw import Withdrawer, WithdrawParts
from notifier.flow.worker import Step
from notifier.payroll.client import PayrollClient
from notifier.payroll.endpoint import ReportEndpoint
from notifier.runtime.factories import (
    access,
    address_book,
    digest_parts,
    offer,
    payroll_access,
    prune_parts,
    refresh_parts,
    renderer,
    routes,
    sending_pace,
    telling,
)
from notifier.runtime.heartbeat import LEVELS, Pulse, heard_since
from notifier.runtime.inbound import listen
from notifier.runtime.lifecycle import (
    STOP_SECONDS,
    ask_again,
    drain_all,
    first_token,
    last_beat,
    on_the_roll,
    signals,
    stop_all,
    stopped_before,
)
from notifier.store import accounts, audit, outbox, withdrawals, workers
from notifier.store.engine import integrity
from notifier.store.engine.database import Database
from notifier.store.engine.process_lock import sole_process
from notifier.store.workers import WorkerRow
from notifier.web.health import HealthEndpoint

log = logging.getLogger(__name__)

R = TypeVar("R")

BEAT_SECONDS = 5.0
IDLE_SECONDS = 1.0
RUSH_PAUSE_SECONDS = 0.02


async def run(  # noqa: C901, PLR0915 - one straight line, see below
    config: Config, *, clock: Clock | None = None, stop: asyncio.Event | None = None
) -> None:
    """Runs until stop is set, or SIGTERM or SIGINT. Raises ConfigError, StoreBusy, NotAuthorised at start.

    One straight function on purpose: it is the map of the running program. Parts start in the order of the data's
    way, backwards: whoever is woken exists before whoever wakes it.
    """
    clock = clock or SystemClock()
    stop = stop or asyncio.Event()
    owner = uuid.uuid4().hex
    async with contextlib.AsyncExitStack() as parts:
        parts.enter_context(signals(stop))
        hold_file = parts.enter_context(sole_process(config.store.url))
        integrity.check(config.store.url)
        database = Database.open(config.store.url)
        parts.callback(database.close, STOP_SECONDS)
        hold_file()
        running = asyncio.get_running_loop()
        started = to_millis(clock.now())
        left = await _write(database, lambda c: outbox.reclaim(c, now=started, window_ms=UUID_WINDOW_MS))
        await _write(database, accounts.release_lookups)
        await _write(database, lambda c: withdrawals.reclaim(c, now=started))
        await parts.enter_async_context(on_the_roll(database, owner, clock))
        log.info(
            "notifier.started",
            extra={"owner": owner[:8], "reclaimed": left, "feishu": config.feishu.base_url},
        )

        api = await parts.enter_async_context(FeishuApi(access(config), clock))
        if await stopped_before(stop, first_token(api, config.feishu.when_refused)):
            return
        messenger, drawing, book = FeishuMessageSender(api), renderer(config, clock), address_book(config)
        treasury, telling_ = ReferralAccounts(api), telling(config)
        deliverer = Deliverer(
            database,
            DeliverParts(
                messenger=messenger,
                renderer=drawing,
                book=book,
                offer=offer(config),
                pace=sending_pace(config),
                patience=Patience(give_up_after_ms=round(config.sending.give_up_after_hours * HOUR_MS)),
                clock=clock,
                owner=owner,
            ),
            wake=lambda: delivering.wake(),  # noqa: PLW0108 - it is made two lines below
        )
        delivering = Step("deliver", deliverer.turn)
        announcing_parts = AnnounceParts(
            outside=treasury,
            book=book,
            pace=Pace(per_second=config.referrers.lookups_per_second),
            clock=clock,
            wake=delivering.wake,
        )
        announcer = Announcer(database, announcing_parts, wake=lambda: announcing.wake())  # noqa: PLW0108 - as above
        announcing = Step("announce", announcer.turn)
        record_parts = RecordParts(
            read=read_balance_report,
            routes=routes(config),
            telling=telling_,
            clock=clock,
        )

        async def record_turn() -> float:
            if receiver.rush.is_on():
                return RUSH_PAUSE_SECONDS
            entries = await record(database, record_parts)
            if entries:
                announcing.wake()
                delivering.wake()
            return 0 if entries == BATCH else IDLE_SECONDS

        recording = Step("record", record_turn)
        receiver = Receiver(database, clock, wake=recording.wake)
        updater = CardUpdater(
            database,
            UpdateParts(
                outside=messenger,
                telling=telling_,
                renderer=drawing,
                pace=Pace(per_second=min(config.sending.per_second, 15), burst=5),
                clock=clock,
            ),
            wake=lambda: updating.wake(),  # noqa: PLW0108 - it is made two lines below
        )
        updating = Step("update cards", updater.turn)

        def wake_tellers() -> None:
            for step in (updating, announcing, delivering):
                step.wake()

        payroll = None
        if config.payouts.url:
            payroll = await parts.enter_async_context(PayrollClient(payroll_access(config), clock))
        days = config.payouts.alarm_after_days
        hand_over = HandOver(
            database,
            HandOverParts(
                outside=payroll,
                telling=telling_,
                give_up_after_ms=round(config.payouts.give_up_after_hours * HOUR_MS),
                late_after_ms=None if days is None else round(days * 24 * HOUR_MS),
                clock=clock,
                wake=wake_tellers,
            ),
            wake=lambda: handing_over.wake(),  # noqa: PLW0108 - it is made two lines below
        )
        handing_over = Step("hand over", hand_over.turn)

        def wake_followers() -> None:
            wake_tellers()
            handing_over.wake()

        withdrawer = Withdrawer(
            database,
            WithdrawParts(
                outside=treasury,
                telling=telling_,
                pace=Pace(per_second=config.withdrawals.per_minute / 60),
                clock=clock,
                owner=owner,
                wake=wake_followers,
            ),
            wake=lambda: withdrawing.wake(),  # noqa: PLW0108 - as above
        )
        withdrawing = Step("withdraw", withdrawer.turn)
        operators = {name: group.operators for name, group in config.groups.items()}

        def wake_withdrawing() -> None:
            withdrawing.wake()
            updating.wake()

        batcher = Batcher(
            database,
            BatchParts(
                app_id=config.feishu.app_id,
                offer=offer(config),
                book=book,
                operators=operators,
                clock=clock,
                wake=wake_withdrawing,
            ),
        )
        batching = Step("batch", batcher.turn)

        def wake_asked() -> None:
            batching.wake()
            withdrawing.wake()

        clicks = Clicks(
            database,
            ClickParts(
                read=read_click,
                offer=offer(config),
                book=book,
                operators=operators,
                renderer=drawing,
                clock=clock,
                wake=wake_asked,
            ),
        )
        parts.callback(clicks.close)

        refresher = Refresher(
            database,
            refresh_parts(
                config,
                treasury,
                clock,
                connected_since=lambda: heard_since(pulse.connected_since, receiver.refused_at),
                wake=recording.wake,
                deaf=lambda: listener.reconnect(),  # noqa: PLW0108 - it is made further down
            ),
        )
        refreshing = Step("refresh", refresher.turn)
        presence = Presence(
            lambda: live_connections(api),
            is_connected=lambda: pulse.connection.state is ConnectionState.CONNECTED,
        )

        def accept(event: Event) -> "Future[Any]":
            """A click is decided in the transaction that stores it; everything else is only stored."""
            return clicks.accept(event) if event.event_type == CARD_CLICKED else receiver.accept(event)

        pulse = Pulse(Connection(state=ConnectionState.CONNECTING), started)

        def ends_when_refused() -> bool:
            wanted = config.feishu.when_refused
            return wanted == "exit" or (wanted == "exit_at_start" and not pulse.was_connected)

        def tell(connection: Connection) -> None:
            if connection.state is not pulse.connection.state:
                pulse.since = to_millis(clock.now())
            if connection != pulse.connection:
                log.log(
                    LEVELS[connection.state],
                    "connection.%s",
                    connection.state,
                    extra={"detail": connection.detail or None},
                )
            pulse.connection = connection
            if pulse.connected_since is not None:
                pulse.was_connected = True
                refresher.may_have_missed()
                refreshing.wake()
            if connection.state is ConnectionState.REFUSED and ends_when_refused():
                pulse.ended_by = connection.detail
                running.call_soon_threadsafe(stop.set)
            if connection.state is ConnectionState.CONNECTED and not pulse.frozen:
                pulse.frozen = True  # once: what is frozen is never collected again
                gc.collect()
                gc.freeze()  # the SDK's 11,000 modules would cost 136 ms in every full collection
            beating.wake()

        async def beat(*, stopped: bool = False) -> float:
            now = to_millis(clock.now())
            row = WorkerRow(
                owner=owner,
                started_at=started,
                beat_at=now,
                stopped_at=now if stopped else None,
                connection=pulse.connection.state,
                connection_since=pulse.since,
                connection_detail=pulse.detail(api.standing.refused),
                last_event_at=receiver.last_event_at,
                live_connections=presence.seen,
            )
            await _write(database, lambda c: workers.beat(c, row))
            pulse.kept_at = time.monotonic()
            if pulse.is_news(receiver.refused_at):
                refresher.may_have_missed()
                refreshing.wake()
            return BEAT_SECONDS

        beating = Step("beat", beat)
        listener = Listener(access(config), accept=accept, tell=tell)

        def clock_set_back(now: Millis) -> None:
            pulse.since = min(pulse.since, now)
            receiver.clock_set_back(now)

        async def watch() -> float:
            listener.watch()
            if api.standing.refused is not None and ends_when_refused():
                pulse.ended_by = api.standing.refused
                stop.set()
            return BEAT_SECONDS

        parts.push_async_callback(last_beat, lambda: beat(stopped=True))
        parts.push_async_callback(drain_all, deliverer, announcer, withdrawer, updater, hand_over)
        digesting = Step(
            "digest", Digester(database, digest_parts(config, drawing, clock, wake_tellers)).turn
        )
        pruner = Pruner(database, prune_parts(config, clock, busy=receiver.rush.is_on))
        steps = (
            beating,
            delivering,
            announcing,
            recording,
            withdrawing,
            batching,
            updating,
            handing_over,
            digesting,
            refreshing,
            Step("presence", presence.turn),
            Step("watch", watch),
            Step("ask again", lambda: ask_again(api)),
            Step("prune", pruner.turn),
            Step("clock", ClockWatch(database, clock, set_back=clock_set_back).turn),
        )
        for step in steps:
            step.start()
        parts.push_async_callback(stop_all, steps)
        timetable = schedule(config.digest_plans(), digesting.wake)
        timetable.start()
        parts.callback(timetable.shutdown, wait=False)

        async def take(report: PayoutReport) -> Taken:
            now = to_millis(clock.now())
            taken = await _write(
                database,
                lambda c: settle(c, report, telling_, actor=audit.PAYROLL, what=audit.What.PAYOUT, now=now),
            )
            log_settled(report, taken)
            wake_tellers()
            return taken

        if config.payouts.listen:
            endpoint = ReportEndpoint(config.payouts.secret.get_secret_value(), take, clock)
            host, port = listen_address(config.payouts.listen)
            bound = await endpoint.start(host, port)
            parts.push_async_callback(endpoint.stop)
            log.info("payouts.listening", extra={"host": host, "port": bound})
        if config.health.listen:
            health = HealthEndpoint(lambda: pulse.readiness(api.standing.refused))
            host, port = listen_address(config.health.listen)
            bound = await health.start(host, port)
            parts.push_async_callback(health.stop)
            log.info("health.listening", extra={"host": host, "port": bound})
        await listen(
            parts, config, clock, listener=listener, accept=accept, tell=tell, stop_seconds=STOP_SECONDS
        )
        await stop.wait()
        log.info("notifier.stopping")
        if pulse.ended_by is not None:
            raise NotAuthorised(pulse.ended_by)
    log.info("notifier.stopped")


async def _write(database: Database, work: Callable[[SqlConnection], R]) -> R:
    return await asyncio.wrap_future(database.write(work))

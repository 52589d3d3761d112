"""Monitoring: sets the gauges of the metrics and gives all metrics as text, for each scrape of /metrics."""

import asyncio
from collections.abc import Callable
from time import monotonic

from prometheus_client import generate_latest

from notifier import __version__, metrics
from notifier.clock import Millis, to_millis
from notifier.flow.digests.progress import DigestProgress, DigestWatch
from notifier.runtime.components import Shared
from notifier.runtime.factories import late_after_ms
from notifier.store import rate_limits
from notifier.store.engine.database import Database
from notifier.store.processes import figures
from notifier.store.processes.figures import StoreFigures

CACHE_SECONDS = 1.0
"""Scrapes within this time share what was read from the database."""
READ_SECONDS = 3.0
"""A scrape waits this long for the database."""


class Monitor:
    """Answers scrapes.

    The counters of this process are always there. If the database does not answer in time, its gauges are not a number.
    """

    def __init__(self, shared: Shared, *, seconds_since_frame: Callable[[], float | None]) -> None:
        """seconds_since_frame: since the last frame of the long connection; None: there was none."""
        self._shared = shared
        self._database: Database = shared.database
        self._digests = DigestWatch(shared.config.digest_plans())
        self._seconds_since_frame = seconds_since_frame
        self._lock = asyncio.Lock()
        self._late_read: asyncio.Future[tuple[StoreFigures, list[DigestProgress]]] | None = None
        """A read that did not end in time; it may still run."""
        self._read_at = float("-inf")
        metrics.BUILD_INFO.labels(
            __version__,
            "postgresql" if shared.database.is_shared else "sqlite",
            shared.config.feishu.transport,
        ).set(1)
        every_hours = shared.config.reconciliation.every_hours
        metrics.RECONCILIATION_INTERVAL.set(0 if every_hours is None else every_hours * 3600)

    async def read_metrics(self) -> bytes:
        """Returns all metrics in the text format of Prometheus."""
        async with self._lock:
            self._show_process()
            if monotonic() - self._read_at >= CACHE_SECONDS:
                await self._show_database()
            return generate_latest(metrics.REGISTRY)

    def _show_process(self) -> None:
        age = self._seconds_since_frame()
        metrics.LAST_FRAME_AGE.set(metrics.UNKNOWN if age is None else age)
        metrics.APP_REFUSED.set(self._shared.api.app_status.refusal_reason is not None)
        metrics.show_limits()

    async def _show_database(self) -> None:
        """A read that is late goes on in its thread. No scrape waits for it or shows its old result."""
        try:
            if self._late_read is not None and not self._late_read.done():
                raise TimeoutError  # noqa: TRY301 - as if this one had waited
            self._late_read = None
            reading = asyncio.ensure_future(asyncio.to_thread(self._read))
            reading.add_done_callback(_ignore)
            done, _ = await asyncio.wait({reading}, timeout=READ_SECONDS)
            if not done:
                self._late_read = reading
                raise TimeoutError  # noqa: TRY301 - as for an error of the database
            read, digests = reading.result()
        except Exception:  # noqa: BLE001 - a scrape must show what else there is; the storage layer logs
            metrics.DATABASE_UP.set(0)
            metrics.forget_database()
            return
        self._read_at = monotonic()
        metrics.DATABASE_UP.set(1)
        now = to_millis(self._shared.clock.now())
        _show_figures(read, now)
        self._show_sending(read, now)
        _show_digests(digests, now)

    def _read(self) -> tuple[StoreFigures, list[DigestProgress]]:
        now = to_millis(self._shared.clock.now())
        with self._database.read() as connection:
            read = figures.read_figures(connection, now=now, late_after_ms=late_after_ms(self._shared.config))
            return read, self._digests.read_progress(connection, now)

    def _show_sending(self, read: StoreFigures, now: Millis) -> None:
        sending = self._shared.config.sending
        metrics.set_quota("messages_per_second", used=read.sent_in_second, allowed=sending.per_second)
        metrics.set_quota("messages_per_minute", used=read.sent_in_minute, allowed=sending.per_minute)
        per_second = min(sending.per_second, sending.per_minute / 60)
        closed_until = read.blocked.get(rate_limits.SENDING, now)
        metrics.TIME_TO_DRAIN.set(
            read.queue.count and read.queue.count / per_second + (closed_until - now) / 1000
        )
        metrics.set_states(
            metrics.QUOTA_BLOCKED,
            {metrics.to_limit(name): (until - now) / 1000 for name, until in read.blocked.items()},
        )


def _show_figures(read: StoreFigures, now: Millis) -> None:
    metrics.set_states(metrics.INBOX, read.inbox)
    metrics.set_states(metrics.DELIVERIES, read.deliveries)
    metrics.OLDEST_DELIVERY.set(_age(read.queue.oldest_at, now))
    metrics.set_states(metrics.WITHDRAWALS, read.withdrawals)
    metrics.OLDEST_WITHDRAWAL.set(_age(read.oldest_withdrawal_at, now))
    metrics.set_states(metrics.PAYOUTS, read.payouts.by_state)
    metrics.LATE_PAYOUTS.set(read.payouts.late)
    metrics.set_amounts(metrics.UNPAID_AMOUNT, read.payouts.unpaid)
    metrics.set_amounts(metrics.STUCK_AMOUNT, read.payouts.stuck)
    metrics.BATCHES.set(read.batches.count)
    metrics.OLDEST_BATCH.set(_age(read.batches.oldest_at, now))
    metrics.DIGESTS_MISSED.set(read.missed_digests)
    ended_at = read.reconciliation.last_ended_at
    since = ended_at if ended_at is not None else read.reconciliation.first_started_at
    metrics.RECONCILIATION_END.set(metrics.UNKNOWN if since is None else since / 1000)
    metrics.set_states(metrics.RECONCILIATION_ACCOUNTS, read.reconciliation.accounts)
    metrics.MISMATCHES.set(read.reconciliation.mismatches)
    metrics.FAILING_LOOKUPS.set(read.failing_lookups)
    metrics.REPLICAS.set(len(read.live))
    metrics.CONFIGURATIONS.set(len({each.config_fingerprint for each in read.live}))
    metrics.RECENT_STARTS.set(read.recent_starts)
    metrics.LEADER_TERM.set(read.term)
    metrics.FOREIGN_CONNECTIONS.set(read.foreign_connections)


def _show_digests(digests: list[DigestProgress], now: Millis) -> None:
    metrics.set_states(
        metrics.DIGEST_SUCCESS,
        {each.name: each.last_at / 1000 for each in digests if each.last_at is not None},
    )
    metrics.set_states(
        metrics.DIGEST_NEXT, {each.name: each.next_at / 1000 for each in digests if each.next_at is not None}
    )
    metrics.set_states(metrics.DIGEST_LATE, {each.name: _age(each.late_since, now) for each in digests})


def _age(since: Millis | None, now: Millis) -> float:
    return 0.0 if since is None else max(now - since, 0) / 1000


def _ignore(reading: "asyncio.Future[tuple[StoreFigures, list[DigestProgress]]]") -> None:
    """Takes the error of a read that no scrape waits for any more."""
    if not reading.cancelled():
        reading.exception()

"""What `notifier status` shows, read in one transaction."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from notifier.clock import DAY_MS, Clock, Millis, to_millis
from notifier.config.fingerprint import compute_fingerprint
from notifier.config.settings import Config
from notifier.domain.payout import PayoutState
from notifier.flow.digests.progress import DigestProgress, DigestWatch
from notifier.operations.status.replicas import Replicas, read_replicas
from notifier.store import accounts, payouts, rate_limits, reconciliation_runs
from notifier.store import inbox as inbox_table
from notifier.store.answers import questions
from notifier.store.deliveries import delivery_admin
from notifier.store.digests import digest_runs
from notifier.store.digests.digest_runs import DigestRunRow
from notifier.store.engine.database import Database
from notifier.store.inbox import QuarantinedEntry
from notifier.store.processes import workers
from notifier.store.processes.figures import StoreFigures, read_figures
from notifier.store.processes.workers import HEARTBEAT_STALE_MS, WorkerRow
from notifier.store.reconciliation_runs import ReconciliationRun

MAX_SHOWN = 10
PROBLEM_STATES = (PayoutState.DEAD, PayoutState.UNKNOWN, PayoutState.UNCONFIRMED)
WEEK_MS = 7 * DAY_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Times in milliseconds, and counts. seconds_to_drain: time to send the queue at the configured rate limit."""

    now: Millis
    """Time of the report, Unix milliseconds."""
    worker: WorkerRow | None
    """The leader, or another process that runs, or else the one that started last; None: none ever did."""
    replicas: Replicas
    """All processes that run."""
    inbox: dict[str, int]
    """Number of inbox entries by state."""
    questions: dict[str, int]
    """Questions to the bot in the last day, by command."""
    unanswered: int
    """Questions that wait for their answer."""
    last_event_at: Millis | None
    """When the newest event was stored, Unix milliseconds; None: none."""
    deliveries: dict[str, int]
    """Number of deliveries by state."""
    oldest_waiting_ms: int | None
    """Age of the oldest queued card, in milliseconds; None: none is queued."""
    seconds_to_drain: float
    """Time to send the queue at the configured rate limit, in seconds."""
    stalled: list[tuple[str, int | None, str, int]]
    """Deliveries that need attention: state, error code, reason, number."""
    quarantined: list[QuarantinedEntry]
    """Events that cannot be processed, newest first."""
    failing_lookups: list[tuple[str, int, str]]
    """Referrers that cannot be looked up: account id, attempts, reason."""
    degraded: list[tuple[str, str, int]]
    """Cards sent in a lower variant: template, reason, number."""
    rate_limited: list[tuple[str, Millis, str]]
    """Closed rate limiters: name, end in Unix milliseconds, reason."""
    rerouted: list[tuple[str, int]]
    """Cards of the last week that went to the fallback group: reason, number."""
    payout_problems: list[tuple[str, PayoutState, str]]
    """Payouts that need attention: order id, state, reason."""
    payouts: dict[str, int]
    """Number of payouts by state."""
    missed_digests: list[DigestRunRow]
    """Digests of the last week that were not sent."""
    reconciliation: ReconciliationRun | None
    """The newest reconciliation run; None: none yet."""
    figures: StoreFigures
    """The figures of monitoring."""
    digests: list[DigestProgress]
    """The digests of the configuration."""
    waiting_since: Mapping[str, Millis]
    """Since when the oldest row of each kind has been ready, Unix milliseconds."""
    store_problem: str | None = None
    """Why a running process writes nothing to the database; None if there is no such problem."""
    is_store_blocked: bool = False
    """Whether the running process cannot write."""

    @property
    def process(self) -> str:
        """running, stopped, not_responding (the heartbeat is stale) or never."""
        if self.worker is None:
            return "never"
        if self.worker.stopped_at is not None:
            return "stopped"
        return "not_responding" if self.now - self.worker.heartbeat_at > HEARTBEAT_STALE_MS else "running"

    @property
    def connection(self) -> str:
        """State of the event connection; `none` without a running process."""
        return self.worker.connection_state if self.worker and self.process == "running" else "none"

    @property
    def waiting(self) -> int:
        """Number of cards that are queued: waiting, ready or sending."""
        return sum(self.deliveries.get(state, 0) for state in ("waiting", "ready", "sending"))


UNKNOWN_STORE_PROBLEM = (
    "accepts a write of this command, but not of the notifier; see store.failed in its log"
)


def read_status(database: Database, clock: Clock, config: Config) -> Status:
    """Read the report."""
    now = to_millis(clock.now())
    found = _read_status(database, now, config)
    if found.process != "not_responding" or not database.is_running():
        return found
    return dataclasses.replace(
        found, is_store_blocked=True, store_problem=database.find_write_problem() or UNKNOWN_STORE_PROBLEM
    )


def _read_status(database: Database, now: Millis, config: Config) -> Status:
    sending, days = config.sending, config.payouts.alarm_after_days
    per_minute = min(sending.per_minute, 60 * sending.per_second)
    with database.read() as connection:
        replicas = read_replicas(
            connection,
            is_shared=database.is_shared,
            now=now,
            fingerprint=compute_fingerprint(config) if config.feishu.app_secret.get_secret_value() else "",
        )
        deliveries = delivery_admin.count_by_state(connection)
        oldest = delivery_admin.get_oldest_open_at(connection)
        waiting = sum(deliveries.get(state, 0) for state in ("waiting", "ready", "sending"))
        figures = read_figures(
            connection, now=now, late_after_ms=None if days is None else round(days * DAY_MS)
        )
        return Status(
            now=now,
            figures=figures,
            digests=DigestWatch(config.digest_plans()).read_progress(connection, now),
            waiting_since=workers.list_waiting_since(
                connection, now=now, submits_payouts=bool(config.payouts.url)
            ),
            worker=(replicas.shown if database.is_shared else None) or workers.get_last_worker(connection),
            replicas=replicas,
            inbox=inbox_table.count_by_state(connection),
            questions=questions.count_by_command(connection, since=now - DAY_MS),
            unanswered=questions.count_open_questions(connection),
            last_event_at=inbox_table.get_last_received_at(connection),
            deliveries=deliveries,
            oldest_waiting_ms=None if oldest is None else now - oldest,
            seconds_to_drain=round(waiting / per_minute * 60, 1),
            stalled=delivery_admin.count_failure_reasons(connection, limit=MAX_SHOWN),
            quarantined=inbox_table.list_quarantined(connection, limit=MAX_SHOWN),
            failing_lookups=list(accounts.list_failing_lookups(connection, limit=MAX_SHOWN)),
            rate_limited=rate_limits.list_blocked(connection, now=now),
            rerouted=delivery_admin.count_reroute_reasons(connection, since=now - WEEK_MS, limit=MAX_SHOWN),
            payout_problems=[
                (each.order_id, each.state, each.reason or "")
                for each in payouts.list_payouts(connection, states=PROBLEM_STATES, limit=MAX_SHOWN)
            ],
            payouts=payouts.count_by_state(connection),
            missed_digests=digest_runs.list_missed(connection, since=now - WEEK_MS, limit=MAX_SHOWN),
            reconciliation=reconciliation_runs.get_newest(connection),
            degraded=delivery_admin.count_degraded_cards(connection, since=now - WEEK_MS, limit=MAX_SHOWN),
        )

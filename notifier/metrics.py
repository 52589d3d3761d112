"""Metrics: every counter, histogram and gauge of this program, in a registry of its own.

Names and units follow the Prometheus conventions. Labels have few values: no ids, no names of people. The gauges of
the database are the same in every process on it (see runtime/store_metrics.py); all others are about this process.
docs/operations.md lists all metrics.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from time import monotonic
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from notifier.errors import (
    AppSuspended,
    CallError,
    CardRefused,
    MessageGone,
    NotAuthorised,
    OutcomeUnknown,
    RecipientUnreachable,
    Refused,
    TemporaryFailure,
)

disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY: Final = CollectorRegistry()
"""Holds the metrics below and those of the process: CPU, memory, open files, start time."""
ProcessCollector(registry=REGISTRY)

UNKNOWN: Final = float("nan")
"""Value of a gauge that is not known now, for example because the database does not answer."""

KINDS: Final = ("balance", "click", "question", "other")
"""Kinds of events."""
DENIALS: Final = (
    *("nobody", "unknown_button", "foreign", "unconfirmed", "other_message", "expired", "referrer_unknown"),
    *("not_yours", "deactivated"),
)
"""Why a press is not permitted; see domain/withdrawal.py."""
FAILURES: Final = (
    *("retry_later", "app_limited", "unknown", "unreachable", "content_refused", "refused", "app_refused"),
)
"""Results of failed calls; see `to_result`."""

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLOW: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def _counter(name: str, text: str, *labels: str, values: Iterable[str] = ()) -> Counter:
    """values: known values of its one label. They begin at 0, so that a rise from the first one is seen."""
    counter = Counter(f"notifier_{name}", text, labels, registry=REGISTRY)
    for value in values:
        counter.labels(value)
    return counter


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"notifier_{name}", text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"notifier_{name}", text, labels, buckets=buckets, registry=REGISTRY)


BUILD_INFO: Final = _gauge(
    "build_info", "1, with the version of the program.", "version", "database", "transport"
)

# receiving
EVENTS_RECEIVED: Final = _counter(
    "events_received_total", "Events from Feishu, with repeats.", "kind", values=KINDS
)
EVENTS_REPEATED: Final = _counter("events_duplicate_total", "Events and presses that were stored already.")
EVENTS_REFUSED: Final = _counter(
    "events_not_stored_total", "Events that could not be stored. Feishu sends them again."
)
EVENTS_QUARANTINED: Final = _counter("events_quarantined_total", "Events that cannot be processed.")
EVENTS_MISSED: Final = _counter("events_missed_total", "Changes while connected that no event reported.")
ACKNOWLEDGEMENT_SECONDS: Final = _histogram(
    "acknowledgement_seconds",
    "From the arrival of an event to its commit, which is acknowledged.",
    _FAST,
    "kind",
)
CLICKS: Final = _counter(
    "clicks_total",
    "Presses on cards, by what they did.",
    "result",
    values=(
        "begin",
        "begun",
        "busy",
        "stale",
        "done",
        "empty",
        "over",
        "nothing",
        "choose",
        "test",
        *DENIALS,
    ),
)
QUESTIONS: Final = _counter(
    "questions_total", "Questions to the bot, by command and by what was decided.", "command", "treatment"
)
ANSWERS: Final = _counter(
    "answers_total",
    "Questions that were answered, by command.",
    "command",
    values=("balance", "withdraw", "history", "settings", "help", "unknown"),
)
WEBHOOK_REJECTED: Final = _counter("webhook_rejected_total", "Webhook requests that were rejected.", "reason")

# the connection to Feishu
CONNECTION_STATE: Final = _gauge(
    "connection_state", "1 for the state of the connection, 0 for others.", "state"
)
CONNECTED: Final = _gauge("connected", "1 while events can arrive.")
RECONNECTS: Final = _counter("reconnects_total", "Connections after the first one.")
LAST_FRAME_AGE: Final = _gauge("last_frame_age_seconds", "Since the last frame of the long connection.")
FOREIGN_CONNECTIONS: Final = _gauge("foreign_connections", "Connections of the app that are not ours.")
APP_REFUSED: Final = _gauge("app_refused", "1 while Feishu rejects every call of the app.")

# sending
SENDS: Final = _counter(
    "sends_total",
    "Calls that send a message or upload its file, by result.",
    "result",
    values=("sent", *FAILURES),
)
EVENT_TO_CARD_SECONDS: Final = _histogram(
    "event_to_card_seconds", "From the arrival of an event to the message that Feishu accepted.", _SLOW
)
DELIVERY_OUTCOMES: Final = _counter(
    "delivery_outcomes_total",
    "What calls made of deliveries. postponed: it is tried again.",
    "outcome",
    values=("sent", "postponed", "rerouted", "given_up", "outcome_lost"),
)
CARDS_DEGRADED: Final = _counter(
    "cards_degraded_total",
    "Messages sent in a lower variant.",
    "variant",
    values=("no_media", "compact", "text"),
)
NOTICES: Final = _counter("notices_total", "Notices about balances.")
NOTICES_FOLDED: Final = _counter(
    "notices_folded_total", "Notices that joined a card which had not been sent yet."
)
CARD_UPDATES: Final = _counter(
    "card_updates_total",
    "Calls that update a card, by result.",
    "result",
    values=("updated", "message_gone", *FAILURES),
)
CARDS_FAILED: Final = _counter("cards_failed_total", "Cards that could not be made.")
DELIVERIES: Final = _gauge("deliveries", "Deliveries that are not finished, by state.", "state")
OLDEST_DELIVERY: Final = _gauge(
    "oldest_delivery_seconds", "Age of the oldest delivery that waits; 0: none waits."
)
TIME_TO_DRAIN: Final = _gauge("time_to_drain_seconds", "Time to send what waits at the configured limit.")

# Feishu's limits
QUOTA_USED: Final = _gauge("quota_used", "Calls in the present window of a limit.", "limit")
QUOTA_REMAINING: Final = _gauge(
    "quota_remaining", "Calls that the limit still allows in its window.", "limit"
)
QUOTA_BLOCKED: Final = _gauge("quota_blocked_seconds", "How long Feishu asked to wait.", "limit")

# withdrawals and payouts
WITHDRAWALS: Final = _gauge(
    "open_withdrawals", "Withdrawals without a result: requested, or unclear after a call.", "state"
)
WITHDRAWALS_ENDED: Final = _counter(
    "withdrawals_total",
    "Withdrawals by result.",
    "result",
    values=("withdrawn", "amount_changed", "nothing", "refused"),
)
WITHDRAWAL_SECONDS: Final = _histogram("withdrawal_seconds", "From the press to the result at Feishu.", _SLOW)
OLDEST_WITHDRAWAL: Final = _gauge(
    "oldest_withdrawal_seconds", "Age of the oldest withdrawal without a result."
)
PAYOUTS: Final = _gauge("payouts", "Payouts that are not paid, by state.", "state")
PAYOUT_CALLS: Final = _counter(
    "payout_calls_total", "Calls to the payroll system, by result.", "result", values=("accepted", *FAILURES)
)
PAYOUT_REPORTS: Final = _counter(
    "payout_reports_total",
    "Reports of the payroll system, by what they did.",
    "result",
    values=("new", "same", "older", "conflict", "unknown"),
)
LATE_PAYOUTS: Final = _gauge("late_payouts", "Payouts that are late.")
STUCK_AMOUNT: Final = _gauge("stuck_amount", "Withdrawn money that is late or needs a decision.", "currency")
UNPAID_AMOUNT: Final = _gauge("unpaid_amount", "Withdrawn money that is not reported as paid.", "currency")
BATCHES: Final = _gauge("batches", "Batches of withdrawals that run.")
OLDEST_BATCH: Final = _gauge("oldest_batch_seconds", "Age of the oldest batch that runs; 0: none runs.")

# digests and reconciliation
DIGEST_SUCCESS: Final = _gauge(
    "digest_last_success_timestamp_seconds", "When the digest was last made.", "digest"
)
DIGEST_NEXT: Final = _gauge("digest_next_run_timestamp_seconds", "When the digest is due next.", "digest")
DIGEST_LATE: Final = _gauge(
    "digest_late_seconds", "How long the digest has been due; 0: it is not.", "digest"
)
DIGESTS_MISSED: Final = _gauge("digests_missed", "Digests of the last week that were not sent.")
RECONCILIATION_END: Final = _gauge(
    "reconciliation_last_run_timestamp_seconds",
    "End of the last finished run. While none has ended: start of the first.",
)
RECONCILIATION_ACCOUNTS: Final = _gauge("reconciliation_accounts", "Accounts of the newest run.", "result")
RECONCILIATION_INTERVAL: Final = _gauge(
    "reconciliation_interval_seconds", "Configured time between two runs; 0: there are no regular runs."
)
FAILING_LOOKUPS: Final = _gauge("failing_lookups", "Referrers that cannot be looked up. Their cards wait.")
MISMATCHES: Final = _gauge(
    "reconciliation_mismatches", "Accounts that differ from Feishu and are read again."
)

# the database
DATABASE_UP: Final = _gauge("database_up", "1 if the gauges of the database could be read just now.")
INBOX: Final = _gauge("inbox_events", "Events that are new or quarantined.", "state")
COMMIT_SECONDS: Final = _histogram("database_commit_seconds", "Duration of a transaction.", _FAST)
COMMIT_JOBS: Final = _histogram("database_commit_jobs", "Pieces of work that shared a transaction.", _SIZES)
DATABASE_ERRORS: Final = _counter(
    "database_errors_total", "Transactions that failed.", "reason", values=("conflict", "outage", "work")
)

# processes
IS_LEADER: Final = _gauge("leader", "1 if this process leads.")
LEADER_TERM: Final = _gauge("leader_term", "Term of the present leader; it grows with every change.")
REPLICAS: Final = _gauge("replicas", "Processes that run on the database.")
CONFIGURATIONS: Final = _gauge("configurations", "Different configurations of the processes that run.")
RECENT_STARTS: Final = _gauge("recent_starts", "Starts of processes in the last 15 minutes.")
WORKER_FAILURES: Final = _counter("worker_failures_total", "Runs of a component that failed.", "worker")

_OF_DATABASE: Final = (
    *(DELIVERIES, OLDEST_DELIVERY, TIME_TO_DRAIN, QUOTA_BLOCKED, INBOX, FOREIGN_CONNECTIONS),
    *(
        WITHDRAWALS,
        OLDEST_WITHDRAWAL,
        PAYOUTS,
        LATE_PAYOUTS,
        STUCK_AMOUNT,
        UNPAID_AMOUNT,
        BATCHES,
        OLDEST_BATCH,
    ),
    *(DIGEST_SUCCESS, DIGEST_NEXT, DIGEST_LATE, DIGESTS_MISSED),
    *(RECONCILIATION_END, RECONCILIATION_ACCOUNTS, MISMATCHES, FAILING_LOOKUPS),
    *(LEADER_TERM, REPLICAS, CONFIGURATIONS, RECENT_STARTS),
)

_RESULTS: Final[tuple[tuple[type[CallError], str], ...]] = (
    (OutcomeUnknown, "unknown"),
    (RecipientUnreachable, "unreachable"),
    (CardRefused, "content_refused"),
    (MessageGone, "message_gone"),
    (Refused, "refused"),
    (NotAuthorised, "app_refused"),
    (AppSuspended, "app_refused"),
)


def to_result(error: CallError) -> str:
    """Returns the label of a failed call."""
    if isinstance(error, TemporaryFailure):
        return "app_limited" if error.affects_whole_app else "retry_later"
    return next((label for kind, label in _RESULTS if isinstance(error, kind)), "refused")


def to_currency(code: str) -> str:
    """Returns the label of a currency: its ISO code, `points`, or `other` for anything else."""
    if not code:
        return "points"
    return code if len(code) == 3 and code.isascii() and code.isupper() else "other"


def set_states(gauge: Gauge, counts: Mapping[str, float]) -> None:
    """Sets a gauge by its one label, and forgets other values of the label."""
    gauge.clear()
    for label, value in counts.items():
        gauge.labels(label).set(value)


def set_amounts(gauge: Gauge, amounts: Mapping[str, Decimal]) -> None:
    """Sets a gauge of amounts by currency code. It is the one place where an amount becomes a float: for a chart."""
    totals: dict[str, float] = {}
    for code, amount in amounts.items():
        label = to_currency(code)
        totals[label] = totals.get(label, 0.0) + float(amount)
    set_states(gauge, totals)


def forget_database() -> None:
    """Sets the gauges of the database to not a number, because it cannot be read now."""
    for window in ("messages_per_second", "messages_per_minute"):
        QUOTA_USED.labels(window).set(UNKNOWN)
        QUOTA_REMAINING.labels(window).set(UNKNOWN)
    for gauge in _OF_DATABASE:
        if gauge._labelnames:  # noqa: SLF001 - prometheus-client has no public name for it
            gauge.clear()
        else:
            gauge.set(UNKNOWN)


def to_limit(limiter: str) -> str:
    """Returns the label of a limiter of the store."""
    return _LIMITER_LABELS.get(limiter, "other")


def set_one_of(gauge: Gauge, chosen: str, labels: Iterable[str]) -> None:
    """Sets a gauge to 1 for the chosen label, and to 0 for all others."""
    for label in labels:
        gauge.labels(label).set(label == chosen)


MINUTE: Final = 60.0
_LIMITER_LABELS: Final = {
    "im.messages": "messages_per_minute",
    "im.messages.patch": "card_updates_per_minute",
    "hire.get_account_assets": "account_reads_per_minute",
    "hire.get_account_assets.sweep": "reconciliation_reads_per_minute",
    "hire.withdraw": "withdrawals_per_minute",
    "hire.create": "registrations_per_minute",
}
"""Labels by the name of the limiter in the store."""
_LIMITS: Final[dict[str, tuple[str, float]]] = {}
"""Label and allowed calls a minute by the name of a limiter in the store."""
_CALLS: Final[dict[str, deque[tuple[float, int]]]] = {}
"""When calls of the last minute were claimed, and how many, by the same name."""


def declare_limit(limiter: str, *, per_second: float) -> None:
    """Counts the calls of a limit from now on. limiter: its name in the store."""
    _LIMITS[limiter] = (to_limit(limiter), per_second * MINUTE)
    _CALLS[limiter] = deque()


def count_calls(limiter: str, calls: int) -> None:
    """Counts calls that were claimed just now. A limit that was not declared is not counted."""
    if limiter in _CALLS:
        _CALLS[limiter].append((monotonic(), calls))
        _forget_calls(_CALLS[limiter])


def show_limits() -> None:
    """Sets the gauges of the limits that this process counts."""
    for limiter, (label, allowed) in _LIMITS.items():
        _forget_calls(_CALLS[limiter])
        set_quota(label, used=sum(calls for _, calls in tuple(_CALLS[limiter])), allowed=allowed)


def set_quota(label: str, *, used: float, allowed: float) -> None:
    """Sets the gauges of one limit. allowed: calls in its window."""
    QUOTA_USED.labels(label).set(used)
    QUOTA_REMAINING.labels(label).set(max(allowed - used, 0))


def _forget_calls(calls: deque[tuple[float, int]]) -> None:
    while calls and calls[0][0] <= monotonic() - MINUTE:
        calls.popleft()

"""Figures: what monitoring shows of the database, for the metrics and for `notifier status`."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import DAY_MS, MINUTE_MS, Millis
from notifier.domain.ledger import read_content
from notifier.domain.payout import PayoutState
from notifier.store.digests.digest_runs import DigestRunState
from notifier.store.engine.sql import literal
from notifier.store.processes import leadership, workers
from notifier.store.processes.workers import WorkerRow
from notifier.store.schema.tables import (
    accounts,
    attempts,
    batches,
    deliveries,
    digest_runs,
    inbox,
    is_ended,
    is_open,
    payouts,
    rate_limits,
    reconciliation_runs,
    withdrawals,
)
from notifier.store.schema.tables import workers as worker_table

STARTS_WITHIN_MS = 15 * MINUTE_MS
"""Starts of processes in this time are counted."""
FAILING_CALLS = 3
"""After so many calls for one payout, the payroll system seems to be out of order."""
UNSETTLED = tuple(state for state in PayoutState if state is not PayoutState.PAID)
NEEDS_DECISION = (PayoutState.DEAD, PayoutState.FAILED, PayoutState.UNKNOWN, PayoutState.UNCONFIRMED)
"""Payouts in these states wait for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Rows that are not finished."""

    count: int
    """Their number."""
    oldest_at: Millis | None
    """When the oldest of them began, Unix milliseconds; None: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutFigures:
    """Payouts that are not paid."""

    by_state: Mapping[str, int]
    """Their number by state."""
    late: int
    """How many are late."""
    failing: int
    """How many the payroll system has not accepted after several calls."""
    unpaid: Mapping[str, Decimal]
    """Amounts by currency code; the code of points is empty."""
    stuck: Mapping[str, Decimal]
    """Of these, the amounts that are late or need a decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationFigures:
    """The newest reconciliation run."""

    last_ended_at: Millis | None
    """End of the last finished run, Unix milliseconds; None: none is finished."""
    first_started_at: Millis | None
    """Start of the oldest run that is stored, Unix milliseconds; None: there was no run."""
    accounts: Mapping[str, int]
    """Accounts of the newest run: read, failed, recovered, missed. Empty: there was no run."""
    mismatches: int
    """Accounts that differ from Feishu and are read again."""
    missed_in_day: int
    """Changes that no event reported while we were connected, in the runs of the last 24 hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFigures:
    """The figures of one moment."""

    inbox: Mapping[str, int]
    """Events that are new or quarantined, by state."""
    deliveries: Mapping[str, int]
    """Deliveries that are waiting, held, ready, sending, dead or unknown, by state."""
    queue: Waiting
    """Deliveries that are waiting, ready or sending."""
    withdrawals: Mapping[str, int]
    """Withdrawals without a result: `requested`, or `unclear` after a call without an answer."""
    oldest_withdrawal_at: Millis | None
    """When the oldest of them was requested, Unix milliseconds; None: there is none."""
    payouts: PayoutFigures
    """Payouts that are not paid."""
    batches: Waiting
    """Batches that run."""
    missed_digests: int
    """Digests of the last week that were not sent."""
    reconciliation: ReconciliationFigures
    """The newest run."""
    failing_lookups: int
    """Referrers whose last look-up failed."""
    blocked: Mapping[str, Millis]
    """Until when Feishu asked to wait, Unix milliseconds, by the name of the limiter."""
    sent_in_second: int
    """Messages that were sent in the last second."""
    sent_in_minute: int
    """Messages that were sent in the last 60 seconds."""
    recent_calls: int
    """Calls that send a message and ended in the last 5 minutes."""
    failed_calls: int
    """Of these, the calls that did not send it."""
    degraded: int
    """Cards of the last 24 hours that were sent in a lower variant."""
    live: tuple[WorkerRow, ...]
    """The processes that run."""
    recent_starts: int
    """Starts of processes in the last 15 minutes."""
    leader_id: str | None
    """worker_id of the process that leads by its lease; None: none does, or the database has no leases."""
    term: int
    """The newest term; 0: there was none."""

    @property
    def foreign_connections(self) -> int:
        """Connections of the app at Feishu that are not ours; 0 while that is not known."""
        return max((each.foreign_connections or 0 for each in self.live), default=0)


def read_figures(connection: Connection, *, now: Millis, late_after_ms: Millis | None) -> StoreFigures:
    """Reads the figures. now: Unix milliseconds. late_after_ms: the age at which a payout is late; None: never."""
    open_deliveries = _read_queue(connection)
    queued = {state: found for state, found in open_deliveries.items() if state != "held"}
    needs_attention = {row[0]: row[1] for row in connection.execute(_COUNT_ATTENTION)}
    unfinished = connection.execute(_COUNT_UNFINISHED).one()
    lease = leadership.load_lease(connection)
    recent = connection.execute(_COUNT_RECENT_CALLS, {"since": now - 5 * MINUTE_MS}).one()
    return StoreFigures(
        inbox={
            "new": connection.execute(_COUNT_NEW).scalar_one(),
            "quarantined": connection.execute(_COUNT_QUARANTINED).scalar_one(),
        },
        deliveries={state: count for state, (count, _) in open_deliveries.items()}
        | {state: needs_attention.get(state, 0) for state in ("dead", "unknown")},
        queue=Waiting(
            count=sum(count for count, _ in queued.values()),
            oldest_at=min((at for _, at in queued.values() if at is not None), default=None),
        ),
        withdrawals={
            "requested": unfinished.row_count - (unfinished.unclear or 0),
            "unclear": unfinished.unclear or 0,
        },
        oldest_withdrawal_at=unfinished.oldest,
        payouts=_read_payouts(connection, now=now, late_after_ms=late_after_ms),
        batches=_to_waiting(connection.execute(_COUNT_BATCHES).one()),
        missed_digests=connection.execute(_COUNT_MISSED_DIGESTS, {"since": now - WEEK_MS}).scalar_one(),
        reconciliation=_read_reconciliation(connection, now),
        failing_lookups=connection.execute(_COUNT_FAILING_LOOKUPS).scalar_one(),
        blocked={row.name: row.blocked_until for row in connection.execute(_LIST_BLOCKED, {"now": now})},
        sent_in_second=connection.execute(_COUNT_SENT, {"since": now - 1_000, "now": now}).scalar_one(),
        sent_in_minute=connection.execute(_COUNT_SENT, {"since": now - MINUTE_MS, "now": now}).scalar_one(),
        recent_calls=recent.ended,
        failed_calls=recent.ended - recent.sent,
        degraded=connection.execute(_COUNT_DEGRADED, {"since": now - DAY_MS}).scalar_one(),
        live=tuple(workers.list_live(connection, now=now)),
        recent_starts=connection.execute(_COUNT_STARTS, {"since": now - STARTS_WITHIN_MS}).scalar_one(),
        leader_id=lease.worker_id if lease is not None and lease.remaining_ms > 0 else None,
        term=lease.term if lease is not None else 0,
    )


WEEK_MS = 7 * DAY_MS

_COUNT_NEW = sa.select(sa.func.count()).select_from(inbox).where(inbox.c.state == literal("new"))
_COUNT_QUARANTINED = (
    sa.select(sa.func.count()).select_from(inbox).where(inbox.c.state == literal("quarantined"))
)
_COUNT_QUEUE = (
    sa.select(deliveries.c.state, sa.func.count(), sa.func.min(deliveries.c.created_at))
    .where(is_open)
    .group_by(deliveries.c.state)
)
_COUNT_ATTENTION = (
    sa.select(deliveries.c.state, sa.func.count())
    .where(is_ended, deliveries.c.state.in_([literal("dead"), literal("unknown")]))
    .group_by(deliveries.c.state)
)
_COUNT_UNFINISHED = sa.select(
    sa.func.count().label("row_count"),
    sa.func.count(withdrawals.c.unknown_since).label("unclear"),
    sa.func.min(withdrawals.c.requested_at).label("oldest"),
).where(withdrawals.c.state == literal("requested"))
_LIST_UNPAID = (
    sa.select(payouts.c.state, payouts.c.created_at, payouts.c.attempts, withdrawals.c.withdrawn)
    .join(withdrawals, withdrawals.c.order_id == payouts.c.order_id)
    .where(payouts.c.state.in_([literal(state) for state in UNSETTLED]))
)
_COUNT_BATCHES = sa.select(
    sa.func.count().label("row_count"), sa.func.min(batches.c.requested_at).label("oldest")
).where(batches.c.ended_at.is_(None))
_COUNT_MISSED_DIGESTS = (
    sa.select(sa.func.count())
    .select_from(digest_runs)
    .where(digest_runs.c.created_at >= sa.bindparam("since"), digest_runs.c.state == DigestRunState.MISSED)
)
_NEWEST_RUN = sa.select(reconciliation_runs).order_by(reconciliation_runs.c.id.desc()).limit(1)
_LAST_RUN_END = (
    sa.select(reconciliation_runs.c.ended_at)
    .where(reconciliation_runs.c.ended_at.is_not(None))
    .order_by(reconciliation_runs.c.id.desc())
    .limit(1)
)
_FIRST_RUN_START = sa.select(reconciliation_runs.c.started_at).order_by(reconciliation_runs.c.id).limit(1)
_COUNT_MISSED = sa.select(sa.func.coalesce(sa.func.sum(reconciliation_runs.c.missed), 0)).where(
    reconciliation_runs.c.started_at > sa.bindparam("since")
)
_COUNT_MISMATCHES = (
    sa.select(sa.func.count())
    .select_from(accounts)
    .where(accounts.c.recheck_at.is_not(None), accounts.c.mismatch_modified_at.is_not(None))
)
_COUNT_FAILING_LOOKUPS = (
    sa.select(sa.func.count())
    .select_from(accounts)
    .where(accounts.c.waits_since.is_not(None), accounts.c.lookup_error.is_not(None))
)
_LIST_BLOCKED = sa.select(rate_limits).where(rate_limits.c.blocked_until > sa.bindparam("now"))
_COUNT_SENT = (
    sa.select(sa.func.count())
    .select_from(attempts)
    .where(attempts.c.started_at > sa.bindparam("since"), attempts.c.started_at <= sa.bindparam("now"))
)
_COUNT_RECENT_CALLS = sa.select(
    sa.func.count(attempts.c.ended_at).label("ended"),
    sa.func.count(sa.case((attempts.c.outcome == literal("sent"), 1))).label("sent"),
).where(attempts.c.started_at > sa.bindparam("since"))
_COUNT_DEGRADED = (
    sa.select(sa.func.count())
    .select_from(deliveries)
    .where(deliveries.c.degraded_reason.is_not(None), deliveries.c.updated_at > sa.bindparam("since"))
)
_COUNT_STARTS = (
    sa.select(sa.func.count())
    .select_from(worker_table)
    .where(worker_table.c.started_at > sa.bindparam("since"))
)


def _read_queue(connection: Connection) -> dict[str, tuple[int, Millis | None]]:
    found = {row[0]: (row[1], row[2]) for row in connection.execute(_COUNT_QUEUE)}
    return {state: found.get(state, (0, None)) for state in ("waiting", "held", "ready", "sending")}


def _to_waiting(row: sa.Row[*tuple[Any, ...]]) -> Waiting:
    return Waiting(count=row.row_count, oldest_at=row.oldest)


def _read_payouts(connection: Connection, *, now: Millis, late_after_ms: Millis | None) -> PayoutFigures:
    by_state = dict.fromkeys(map(str, UNSETTLED), 0)
    late = failing = 0
    unpaid: defaultdict[str, Decimal] = defaultdict(Decimal)
    stuck: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in connection.execute(_LIST_UNPAID):
        by_state[row.state] += 1
        is_late = late_after_ms is not None and row.created_at < now - late_after_ms
        late += is_late
        failing += (
            row.state in (PayoutState.PENDING, PayoutState.SUBMITTING) and row.attempts >= FAILING_CALLS
        )
        for asset, amount in read_content(row.withdrawn or "[]").items():
            unpaid[asset.currency] += amount
            if is_late or row.state in NEEDS_DECISION:
                stuck[asset.currency] += amount
    return PayoutFigures(by_state=by_state, late=late, failing=failing, unpaid=unpaid, stuck=stuck)


def _read_reconciliation(connection: Connection, now: Millis) -> ReconciliationFigures:
    newest = connection.execute(_NEWEST_RUN).first()
    return ReconciliationFigures(
        missed_in_day=connection.execute(_COUNT_MISSED, {"since": now - DAY_MS}).scalar_one(),
        last_ended_at=connection.execute(_LAST_RUN_END).scalar(),
        first_started_at=connection.execute(_FIRST_RUN_START).scalar(),
        accounts={name: getattr(newest, name) for name in ("read", "failed", "recovered", "missed")}
        if newest is not None
        else {},
        mismatches=connection.execute(_COUNT_MISMATCHES).scalar_one(),
    )

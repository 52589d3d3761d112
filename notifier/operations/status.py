"""Status: the report of `notifier status`."""

import dataclasses
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from notifier.clock import DAY_MS, Clock, Millis, to_millis
from notifier.domain.payout import PayoutState
from notifier.domain.reconciliation import REDELIVERY_MS
from notifier.operations.formatting import format_ago, format_counts, format_duration, format_iso
from notifier.store import accounts, payouts, rate_limits, reconciliations, workers
from notifier.store import inbox as inbox_table
from notifier.store.deliveries import delivery_admin
from notifier.store.digests import digest_runs
from notifier.store.digests.digest_runs import DigestRunRow
from notifier.store.engine.database import Database
from notifier.store.engine.process_lock import is_running
from notifier.store.inbox import QuarantinedEntry
from notifier.store.reconciliations import ReconciliationRun
from notifier.store.workers import WorkerRow

HEARTBEAT_STALE_MS = 20_000
MAX_SHOWN = 10
LINE_LENGTH = 120
"""Longest line of the report, in characters."""
PROBLEM_STATES = (PayoutState.DEAD, PayoutState.UNKNOWN, PayoutState.UNCONFIRMED)
REMEDIES = {
    "dead": "correct the cause, then `notifier deliveries retry ID`; `deliveries list --state dead` has the ids",
    "unknown": "look whether the card arrived, then `notifier deliveries retry ID` or `drop ID`",
}
"""What to do, by state of a delivery."""
REROUTE_REMEDY = "correct the cause; `notifier deliveries list --state rerouted` has the people"
"""What to do about cards that went to the fallback group."""
PAYOUT_REMEDIES = {
    PayoutState.DEAD: "correct the cause, then `notifier payouts retry {}`",
    PayoutState.UNKNOWN: "ask the payroll team whether it was paid, then `notifier payouts mark {} paid` or `retry`",
    PayoutState.UNCONFIRMED: "compare with Feishu Hire, then `notifier payouts confirm {}`",
}
"""What to do, by state of a payout."""
WEEK_MS = 7 * DAY_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Times in milliseconds, and counts. seconds_to_drain: time to send the queue at the configured rate limit."""

    now: Millis
    """Time of the report, Unix milliseconds."""
    worker: WorkerRow | None
    """The process that started last; None: none ever did."""
    inbox: dict[str, int]
    """Number of inbox entries by state."""
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

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "process": self.process,
            "store": self.store_problem or "ok",
            "connection": self.connection,
            "connection_detail": self.worker.connection_detail if self.worker else None,
            "connection_since": format_iso(self.worker.connection_since) if self.worker else None,
            "live_connections": self.worker.live_connections if self.worker else None,
            "last_reconciliation": dataclasses.asdict(self.reconciliation) if self.reconciliation else None,
            "last_event_at": format_iso(self.last_event_at),
            "inbox": self.inbox,
            "deliveries": self.deliveries,
            "waiting": self.waiting,
            "oldest_waiting_seconds": None
            if self.oldest_waiting_ms is None
            else self.oldest_waiting_ms / 1000,
            "dead": self.deliveries.get("dead", 0),
            "unknown": self.deliveries.get("unknown", 0),
            "seconds_to_drain": self.seconds_to_drain,
            "stalled": [
                {"state": state, "code": code, "reason": reason, "count": count}
                for state, code, reason, count in self.stalled
            ],
            "quarantined": [dataclasses.asdict(entry) for entry in self.quarantined],
            "failing_lookups": [
                {"account_id": account, "tries": tries, "reason": reason}
                for account, tries, reason in self.failing_lookups
            ],
            "degraded_cards": [
                {"variant": variant, "reason": reason, "count": count}
                for variant, reason, count in self.degraded
            ],
            "payouts": self.payouts,
            "payout_problems": [
                {"order_id": order_id, "state": state, "reason": reason}
                for order_id, state, reason in self.payout_problems
            ],
            "rerouted": [{"reason": reason, "count": count} for reason, count in self.rerouted],
            "attention": self.attention(),
            "missed_digests": [
                {"digest": run.digest, "period": run.period, "to": run.recipient}
                for run in self.missed_digests
            ],
            "rate_limited": [
                {"limit": name, "until": format_iso(until), "reason": reason}
                for name, until, reason in self.rate_limited
            ],
        }

    def as_text(self) -> str:
        """Return the report as lines of text, none longer than LINE_LENGTH."""
        return "\n".join(
            textwrap.fill(line, LINE_LENGTH, subsequent_indent=" " * 16, break_on_hyphens=False)
            for line in self._lines()
        )

    def attention(self) -> list[str]:
        """Return what needs attention, most urgent first; empty if all is well."""
        found = []
        if self.process != "running":
            found.append(f"process {self._process_text()}")
        elif self.connection not in {"connected", "listening"}:
            found.append(f"connection {self.connection}")
        if self.store_problem is not None:
            found.append(f"store {self.store_problem}")
        counts = {
            "dead deliveries": self.deliveries.get("dead", 0),
            "unknown deliveries": self.deliveries.get("unknown", 0),
            "quarantined events": self.inbox.get("quarantined", 0),
            "payouts with a problem": sum(self.payouts.get(state, 0) for state in PROBLEM_STATES),
            "digests not sent": len(self.missed_digests),
            "referrers that cannot be looked up": len(self.failing_lookups),
        }
        return found + [f"{count} {what}" for what, count in counts.items() if count]

    def summary(self) -> str:
        """Return one line for monitoring."""
        found = self.attention()
        if found:
            return f"ATTENTION: {'; '.join(found)}"
        return f"OK: {self._process_text()}, {self.connection}, {self.waiting} waiting"

    def _lines(self) -> Iterable[str]:
        yield from self._process_lines()
        yield f"connection    {self._connection_text()}"
        yield from self._other_connection_lines()
        yield f"last event    {format_ago(self.last_event_at, self.now)}"
        yield f"balances      {self._reconciliation_text()}"
        yield f"events        {format_counts(self.inbox)}"
        yield f"deliveries    {format_counts(self.deliveries)}"
        oldest = (
            f", oldest for {format_duration(self.oldest_waiting_ms)}"
            if self.oldest_waiting_ms is not None
            else ""
        )
        drain = f", {format_duration(round(self.seconds_to_drain * 1000))} to drain" if self.waiting else ""
        yield f"waiting       {self.waiting}{oldest}{drain}"
        yield f"dead          {self.deliveries.get('dead', 0)}"
        yield f"unknown       {self.deliveries.get('unknown', 0)}"
        if self.payouts:
            yield f"payouts       {format_counts(self.payouts)}"
        for run in self.missed_digests:
            yield f"  digest {run.digest} of {run.period} was due too long ago and was not sent to {run.recipient}"
        for name, until, reason in self.rate_limited:
            yield f"on hold       {name} for {format_duration(until - self.now)}: {reason}"
        for state, code, reason, count in self.stalled:
            yield f"  {count} {state}{f' (code {code})' if code else ''}: {reason}"
            yield f"    -> {REMEDIES[state]}"
        for reason, count in self.rerouted:
            yield f"  {count} rerouted to the fallback group: {reason}"
        if self.rerouted:
            yield f"    -> {REROUTE_REMEDY}"
        for order_id, state, reason in self.payout_problems:
            yield f"  payout {order_id} {state}: {reason or 'no reason given'}"
            yield f"    -> {PAYOUT_REMEDIES[state].format(order_id)}"
        for account, tries, reason in self.failing_lookups:
            yield f"  look-up of account {account} failed {tries} times: {reason}"
        if self.degraded:
            yield "degraded      cards of the last 7 days that were sent in a lower variant:"
        for variant, reason, count in self.degraded:
            yield f"  {count} as {variant}: {reason}"
        if self.quarantined:
            count = self.inbox.get("quarantined", 0)
            yield f"quarantined   {count} events that cannot be processed, newest first:"
        for entry in self.quarantined:
            received = format_ago(entry.received_at, self.now)
            yield f"  #{entry.id} {entry.event_type} {entry.event_key}, {received}: {entry.reason}"

    def _other_connection_lines(self) -> Iterable[str]:
        live = self.worker.live_connections if self.worker and self.process == "running" else None
        if live is not None and live > 1:
            yield f"  {live} connections of this app are live, {live - 1} not ours: another program receives our events"

    def _reconciliation_text(self) -> str:
        reconciliation = self.reconciliation
        if reconciliation is None:
            return "never read"
        when = (
            "being read"
            if reconciliation.ended_at is None
            else f"read {format_ago(reconciliation.ended_at, self.now)}"
        )
        found = f"{reconciliation.read} accounts, {reconciliation.failed} failed, {reconciliation.recovered} recovered"
        if not reconciliation.missed:
            return f"{when}: {found}"
        may_still_come = self.now - reconciliation.started_at < REDELIVERY_MS
        missed = "without an event so far" if may_still_come else "MISSED while connected"
        return f"{when}: {found}, {reconciliation.missed} {missed}"

    def _process_lines(self) -> Iterable[str]:
        yield f"process       {self._process_text()}"
        if self.store_problem is not None:
            yield f"store         {self.store_problem}"

    def _process_text(self) -> str:
        worker = self.worker
        match self.process:
            case "never":
                return "has never run on this database"
            case "stopped":
                return f"stopped {format_ago(worker.stopped_at if worker else None, self.now)}"
            case "not_responding" if self.is_store_blocked:
                return f"running, but it has written nothing for {self._heartbeat_age()}"
            case "not_responding":
                return f"no heartbeat for {self._heartbeat_age()}; is it running?"
            case _:
                return f"running for {format_duration(self.now - (worker.started_at if worker else 0))}"

    def _heartbeat_age(self) -> str:
        return format_duration(self.now - (self.worker.heartbeat_at if self.worker else 0))

    def _connection_text(self) -> str:
        if self.worker is None:
            return "none"
        detail = f": {self.worker.connection_detail}" if self.worker.connection_detail else ""
        if self.process != "running":
            ended_refused = self.process == "stopped" and self.worker.connection_state == "refused"
            was = (
                "refused"
                if ended_refused
                else f"was {self.worker.connection_state}"
                if self.is_store_blocked
                else "none"
            )
            return was + (detail if was != "none" else "")
        return f"{self.worker.connection_state} for {format_duration(self.now - self.worker.connection_since)}{detail}"


UNKNOWN_STORE_PROBLEM = (
    "accepts a write of this command, but not of the notifier; see store.failed in its log"
)


def read_status(database: Database, clock: Clock, *, per_minute: float) -> Status:
    """Read the report. per_minute: the configured rate limit of sends."""
    now = to_millis(clock.now())
    found = _read_status(database, now, per_minute=per_minute)
    if found.process != "not_responding" or not is_running(str(database.engine.url)):
        return found
    return dataclasses.replace(
        found, is_store_blocked=True, store_problem=database.find_write_problem() or UNKNOWN_STORE_PROBLEM
    )


def _read_status(database: Database, now: Millis, *, per_minute: float) -> Status:
    with database.read() as connection:
        deliveries = delivery_admin.count_by_state(connection)
        oldest = delivery_admin.get_oldest_open_at(connection)
        waiting = sum(deliveries.get(state, 0) for state in ("waiting", "ready", "sending"))
        return Status(
            now=now,
            worker=workers.get_last_worker(connection),
            inbox=inbox_table.count_by_state(connection),
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
            reconciliation=reconciliations.get_newest(connection),
            degraded=delivery_admin.count_degraded_cards(connection, since=now - WEEK_MS, limit=MAX_SHOWN),
        )

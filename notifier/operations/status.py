"""Reports: what the operator's commands print."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from notifier.clock import Millis, SystemClock, to_millis
from notifier.operations.formatting import _counts, _span, ago, iso
from notifier.store import accounts, delivery_admin, payouts, rate_limits, reconciliations, workers
from notifier.store import inbox as inbox_table
from notifier.store.digests import digest_runs
from notifier.store.digests.digest_runs import RunRow
from notifier.store.engine.database import Database
from notifier.store.engine.process_lock import is_running
from notifier.store.inbox import ParkedEntry
from notifier.store.reconciliations import Sweep
from notifier.store.workers import WorkerRow

BEAT_IS_OLD_MS = 20_000
SHOWN = 10
WEEK_MS = 7 * 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Milliseconds and counts. seconds_to_drain: what waits, at the pace the configuration allows."""

    now: Millis
    worker: WorkerRow | None
    inbox: dict[str, int]
    last_event_at: Millis | None
    deliveries: dict[str, int]
    oldest_waiting_ms: int | None
    seconds_to_drain: float
    stuck: list[tuple[str, int | None, str, int]]
    parked: list[ParkedEntry]
    lookups: list[tuple[str, int, str]]
    simpler: list[tuple[str, str, int]]
    held: list[tuple[str, Millis, str]]
    payouts: dict[str, int]
    missed: list[RunRow]
    sweep: Sweep | None
    ails: str | None = None
    """A process runs and writes nothing: what keeps us from writing, where we are kept from it too."""
    mute: bool = False

    @property
    def process(self) -> str:
        """running, stopped, silent (it should beat, and does not) or never."""
        if self.worker is None:
            return "never"
        if self.worker.stopped_at is not None:
            return "stopped"
        return "silent" if self.now - self.worker.beat_at > BEAT_IS_OLD_MS else "running"

    @property
    def connection(self) -> str:
        return self.worker.connection if self.worker and self.process == "running" else "none"

    @property
    def waiting(self) -> int:
        return sum(self.deliveries.get(state, 0) for state in ("waiting", "ready", "sending"))

    def as_json(self) -> dict[str, Any]:
        return {
            "process": self.process,
            "store": self.ails or "well",
            "connection": self.connection,
            "connection_detail": self.worker.connection_detail if self.worker else None,
            "connection_since": iso(self.worker.connection_since) if self.worker else None,
            "live_connections": self.worker.live_connections if self.worker else None,
            "last_sweep": dataclasses.asdict(self.sweep) if self.sweep else None,
            "last_event_at": iso(self.last_event_at),
            "inbox": self.inbox,
            "deliveries": self.deliveries,
            "waiting": self.waiting,
            "oldest_waiting_seconds": None
            if self.oldest_waiting_ms is None
            else self.oldest_waiting_ms / 1000,
            "dead": self.deliveries.get("dead", 0),
            "uncertain": self.deliveries.get("uncertain", 0),
            "seconds_to_drain": self.seconds_to_drain,
            "stuck": [
                {"state": state, "code": code, "reason": reason, "count": count}
                for state, code, reason, count in self.stuck
            ],
            "parked": [dataclasses.asdict(entry) for entry in self.parked],
            "failing_lookups": [
                {"account_id": account, "tries": tries, "reason": reason}
                for account, tries, reason in self.lookups
            ],
            "simpler_cards": [
                {"rung": rung, "reason": reason, "count": count} for rung, reason, count in self.simpler
            ],
            "payouts": self.payouts,
            "missed_digests": [
                {"digest": run.digest, "period": run.period, "to": run.recipient} for run in self.missed
            ],
            "held_by_feishu": [
                {"what": name, "until": iso(until), "reason": reason} for name, until, reason in self.held
            ],
        }

    def as_text(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterable[str]:
        yield from self._process_lines()
        yield f"connection    {self._connection_text()}"
        yield from self._foreign_lines()
        yield f"last event    {ago(self.last_event_at, self.now)}"
        yield f"balances      {self._sweep_text()}"
        yield f"events        {_counts(self.inbox)}"
        yield f"deliveries    {_counts(self.deliveries)}"
        oldest = f", oldest for {_span(self.oldest_waiting_ms)}" if self.oldest_waiting_ms is not None else ""
        drain = f", {_span(round(self.seconds_to_drain * 1000))} to drain" if self.waiting else ""
        yield f"waiting       {self.waiting}{oldest}{drain}"
        yield f"dead          {self.deliveries.get('dead', 0)}"
        yield f"uncertain     {self.deliveries.get('uncertain', 0)}"
        if self.payouts:
            yield f"payouts       {_counts(self.payouts)}"
        for run in self.missed:
            yield f"  digest {run.digest} of {run.period} came too late and was not told to {run.recipient}"
        for name, until, reason in self.held:
            yield f"on hold       {name} for {_span(until - self.now)}: {reason}"
        for state, code, reason, count in self.stuck:
            yield f"  {count} {state}{f' (code {code})' if code else ''}: {reason}"
        for account, tries, reason in self.lookups:
            yield f"  look-up of account {account} failed {tries} times: {reason}"
        if self.simpler:
            yield "simpler       cards of the last 7 days that went out simpler than they were meant:"
        for rung, reason, count in self.simpler:
            yield f"  {count} as {rung}: {reason}"
        if self.parked:
            yield f"parked        {self.inbox.get('parked', 0)} events that could not be understood, the newest:"
        for entry in self.parked:
            received = ago(entry.received_at, self.now)
            yield f"  #{entry.id} {entry.event_type} {entry.event_key}, {received}: {entry.reason}"

    def _foreign_lines(self) -> Iterable[str]:
        live = self.worker.live_connections if self.worker and self.process == "running" else None
        if live is not None and live > 1:
            yield f"  {live} connections of this app are live, {live - 1} not ours: somebody else takes our events"

    def _sweep_text(self) -> str:
        sweep = self.sweep
        if sweep is None:
            return "never read"
        when = "being read" if sweep.ended_at is None else f"read {ago(sweep.ended_at, self.now)}"
        found = f"{sweep.read} accounts, {sweep.failed} failed, {sweep.recovered} recovered"
        return f"{when}: {found}" + (f", {sweep.unheard} UNHEARD while connected" if sweep.unheard else "")

    def _process_lines(self) -> Iterable[str]:
        yield f"process       {self._process_text()}"
        if self.ails is not None:
            yield f"store         {self.ails}"

    def _process_text(self) -> str:
        worker = self.worker
        match self.process:
            case "never":
                return "has never run on this database"
            case "stopped":
                return f"stopped {ago(worker.stopped_at if worker else None, self.now)}"
            case "silent" if self.mute:
                return f"running, but it has written nothing for {_span(self.now - (worker.beat_at if worker else 0))}"
            case "silent":
                return f"no sign of life for {_span(self.now - (worker.beat_at if worker else 0))}; is it running?"
            case _:
                return f"running for {_span(self.now - (worker.started_at if worker else 0))}"

    def _connection_text(self) -> str:
        if self.worker is None:
            return "none"
        detail = f": {self.worker.connection_detail}" if self.worker.connection_detail else ""
        if self.process != "running":
            ended_refused = self.process == "stopped" and self.worker.connection == "refused"
            was = "refused" if ended_refused else f"was {self.worker.connection}" if self.mute else "none"
            return was + (detail if was != "none" else "")
        return f"{self.worker.connection} for {_span(self.now - self.worker.connection_since)}{detail}"


UNSEEN_TROUBLE = "takes a write of this command; why not the notifier's, its log says (store.failing)"


def status(database: Database, *, per_minute: float) -> Status:
    now = to_millis(SystemClock().now())
    found = _status(database, now, per_minute=per_minute)
    if found.process != "silent" or not is_running(str(database.engine.url)):
        return found
    return dataclasses.replace(found, mute=True, ails=database.ails() or UNSEEN_TROUBLE)


def _status(database: Database, now: Millis, *, per_minute: float) -> Status:
    with database.read() as connection:
        deliveries = delivery_admin.count_by_state(connection)
        oldest = delivery_admin.oldest_open_at(connection)
        waiting = sum(deliveries.get(state, 0) for state in ("waiting", "ready", "sending"))
        return Status(
            now=now,
            worker=workers.last_worker(connection),
            inbox=inbox_table.count_by_state(connection),
            last_event_at=inbox_table.last_received_at(connection),
            deliveries=deliveries,
            oldest_waiting_ms=None if oldest is None else now - oldest,
            seconds_to_drain=round(waiting / per_minute * 60, 1),
            stuck=delivery_admin.stuck_reasons(connection, limit=SHOWN),
            parked=inbox_table.parked_entries(connection, limit=SHOWN),
            lookups=list(accounts.failing_lookups(connection, limit=SHOWN)),
            held=rate_limits.shut_gates(connection, now=now),
            payouts=payouts.count_by_state(connection),
            missed=digest_runs.missed(connection, since=now - WEEK_MS, limit=SHOWN),
            sweep=reconciliations.newest(connection),
            simpler=delivery_admin.simpler_cards(connection, since=now - WEEK_MS, limit=SHOWN),
        )

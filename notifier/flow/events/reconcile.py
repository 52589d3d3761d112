"""Reconcile: reads account balances at Feishu and compares them with the ledger.

Feishu sends an event at most five times within seven hours, and a connection that receives nothing looks like one on
which nothing happens. A run reads every known account, newest change first, and keeps its position as a cursor. A
balance that differs is read a second time before anybody is notified; then it enters the inbox as a recovered event.
"""

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection

from notifier import metrics
from notifier.clock import MINUTE_MS, Clock, Millis
from notifier.domain.account import AccountState
from notifier.domain.delivery import pause_ms
from notifier.domain.event import Event
from notifier.domain.rate_limit import RateLimit
from notifier.domain.reconciliation import (
    Comparison,
    KnownBalance,
    ReadFailures,
    ReceivingPeriod,
    compare,
    proves_missed_events,
)
from notifier.errors import AccountUnknown, CallError, Refused
from notifier.flow.call_worker import CallWorker, ClaimedJobs, claim_within_limit, close_limiter
from notifier.flow.events.recover import BalanceRecovery
from notifier.flow.ports import ReferralAccounts
from notifier.store import inbox, rate_limits, reconciliation_runs, reconciliations
from notifier.store.engine.database import Database
from notifier.store.reconciliation_runs import ReconciliationRun, ReconciliationTrigger
from notifier.store.reconciliations import ConfirmedReading, PendingRead

log = logging.getLogger(__name__)

WITHDRAWING_PAUSE_MS = MINUTE_MS
"""When an account with an unfinished withdrawal is read again."""
FAILED_PAUSE_MS = 600_000
"""When an account is read again after MAX_TRIES failures."""
CLAIMED_MS = MINUTE_MS
"""Lease of a read: the account is due again after this time if no result is stored."""
MAX_TRIES = 5
"""Failed reads in a row after which an account counts as failed. An outage of Feishu does not count as a try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileDeps:
    """Dependencies and settings of the reconciler."""

    referral_accounts: ReferralAccounts
    """Reads the balances."""
    app_id: str
    """Only accounts of this Feishu app are read."""
    limit: RateLimit
    """Rate limit of all account reads, shared with the referrer look-ups."""
    own_limit: RateLimit
    """Rate limit of reconciliation reads. It is lower, so that look-ups for cards get their share."""
    every_ms: int | None
    """Milliseconds from the start of one run to the start of the next; None: no schedule."""
    on_connect: bool
    """Whether `request_run` starts a run."""
    grace_ms: int
    """Milliseconds between the first and the second read of a balance that differs: an event may be on its way."""
    encode_reading: Callable[..., Event]
    """Encodes a balance report as an event of the given type."""
    connected_since: Callable[[], Millis | None]
    """Returns the start of the present connection, Unix milliseconds by our clock; None while there is none."""
    clock: Clock
    """Our clock."""
    wake: Callable[[], None]
    """Called when a balance was recovered: the inbox has a new event."""
    on_not_receiving: Callable[[], None]
    """Called when a recovered change proves that the present connection does not receive events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClaimedRead:
    """A read to make now. claimed_at: Unix milliseconds."""

    read: PendingRead
    claimed_at: Millis

    @property
    def claimed_until(self) -> Millis:
        return self.claimed_at + CLAIMED_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """An account as Feishu reports it. connected_since: start of the connection, Unix milliseconds; None: none."""

    job: _ClaimedRead
    state: AccountState
    connected_since: Millis | None

    @property
    def account_ref(self) -> int:
        return self.job.read.account_ref


@dataclass(frozen=True, slots=True, kw_only=True)
class _SavedReading:
    """What a reading changed.

    is_recovered: it differs from the ledger, where it is entered. is_missed: it proves that an event was missed.
    is_alarm: it proves, for the first time, that events do not reach us.
    """

    is_recovered: bool = False
    is_missed: bool = False
    is_alarm: bool = False


class Reconciler(CallWorker[_ClaimedRead]):
    """Reads accounts within the rate limits, several at once, and recovers balances that no event reported."""

    def __init__(
        self, database: Database, deps: ReconcileDeps, *, wake: Callable[[], None] = lambda: None
    ) -> None:
        """wake: called when a read is over and its slot is free. Without it the next `run_once` claims again."""
        super().__init__(database, deps.clock, wake=wake)
        self._deps = deps
        self._recovery = BalanceRecovery(deps.encode_reading, deps.clock)
        self._is_run_requested = False
        self._failures = ReadFailures()
        self._receiving = ReceivingPeriod()

    def request_run(self) -> None:
        """Requests a run, if runs after a connect are configured. The caller wakes the worker. Safe from any thread.

        It is called after a connect, and when the database accepts events again.
        """
        self._is_run_requested = self._deps.on_connect

    async def run_once(self) -> float:
        """Starts the reads that may go now. Returns the seconds until the next run."""
        if self._is_run_requested:
            self._is_run_requested = False
            try:
                await self._store(
                    lambda c: reconciliation_runs.start_run(
                        c, ReconciliationTrigger.CONNECTED, now=self._now()
                    )
                )
            except BaseException:
                self._is_run_requested = True
                raise
        return await super().run_once()

    def _claim(
        self, connection: Connection, *, now: Millis, free: int, in_flight_ids: frozenset[int]
    ) -> ClaimedJobs[_ClaimedRead]:
        """Claims reads within both rate limits. The stricter one determines the time of the next claim."""
        self._start_scheduled_run(connection, now)
        within_shared: ClaimedJobs[_ClaimedRead] = ClaimedJobs()

        def claim_shared(allowed: int) -> list[_ClaimedRead]:
            nonlocal within_shared
            within_shared = claim_within_limit(
                connection,
                rate_limits.LOOKUPS,
                self._deps.limit,
                now=now,
                wanted=allowed,
                claim=lambda wanted: self._claim_reads(connection, wanted, in_flight_ids, now),
            )
            return list(within_shared.jobs)

        within_own = claim_within_limit(
            connection,
            rate_limits.RECONCILIATIONS,
            self._deps.own_limit,
            now=now,
            wanted=free,
            claim=claim_shared,
        )
        return within_own if within_own.next_claim_at is not None else within_shared

    def _row_id(self, job: _ClaimedRead) -> int:
        return job.read.account_ref

    def _start_scheduled_run(self, connection: Connection, now: Millis) -> None:
        """Starts a run if one is due. After the clock was set back, a start time in the future does not delay it."""
        if self._deps.every_ms is None:
            return
        last = reconciliation_runs.get_newest(connection)
        if last is None or not last.started_at <= now < last.started_at + self._deps.every_ms:
            reconciliation_runs.start_run(connection, ReconciliationTrigger.SCHEDULE, now=now)

    def _claim_reads(
        self, connection: Connection, wanted: int, in_flight_ids: frozenset[int], now: Millis
    ) -> list[_ClaimedRead]:
        run = reconciliation_runs.get_running(connection)
        due = self._list_due(connection, run, wanted, in_flight_ids, now)
        reconciliations.claim_reads(connection, due, run=run, until=now + CLAIMED_MS)
        return [_ClaimedRead(read=each, claimed_at=now) for each in due]

    def _list_due(
        self,
        connection: Connection,
        run: ReconciliationRun | None,
        wanted: int,
        in_flight_ids: frozenset[int],
        now: Millis,
    ) -> list[PendingRead]:
        """Mismatches first, then the run's next accounts, then accounts that failed before.

        While an outage is suspected, one account at a time that could be read before is read instead. Without it,
        many failing accounts look like an outage: the pauses grow, and the accounts behind them wait for hours.
        """
        app_id = self._deps.app_id
        if self._failures.is_outage_suspected:
            if in_flight_ids:
                return []
            probe = reconciliations.pick_probe_account(connection, app_id=app_id)
            if probe is not None:
                return [probe]
        due = reconciliations.list_due_rechecks(
            connection,
            app_id=app_id,
            now=now,
            limit=wanted,
            in_flight_refs=in_flight_ids,
            only_mismatches=True,
        )
        if run is not None and len(due) < wanted:
            busy = in_flight_ids | {each.account_ref for each in due}
            page = reconciliations.list_next_page(
                connection, run, app_id=app_id, limit=wanted - len(due), in_flight_refs=busy
            )
            if not page and not busy:
                reconciliation_runs.finish_run(connection, run, now=now)
                _log_finished(run)
            due += page
        if len(due) < wanted:
            busy = in_flight_ids | {each.account_ref for each in due}
            due += reconciliations.list_due_rechecks(
                connection, app_id=app_id, now=now, limit=wanted - len(due), in_flight_refs=busy
            )
        return due

    async def _call(self, job: _ClaimedRead) -> None:
        try:
            state = await self._deps.referral_accounts.read(job.read.account.account_id)
        except CallError as error:
            await self._read_failed(job.read, error)
            return
        self._failures.note_success(job.read.account_ref)
        since = self._deps.connected_since()
        reading = _Reading(job=job, state=state, connected_since=since)
        saved: _SavedReading = await self._save_result(job.read.account_ref, reading)
        if saved.is_missed:
            metrics.EVENTS_MISSED.inc()
        if saved.is_recovered:
            self._deps.wake()
        if saved.is_alarm:
            self._receiving.mark_not_receiving(since, now=self._now())
            self._deps.on_not_receiving()

    async def _read_failed(self, read: PendingRead, error: CallError) -> None:
        pause = self._failures.note_failure(
            read.account_ref,
            error,
            now=self._now(),
            jitter=random.random(),  # noqa: S311 - spreads retries, no secret
        )
        tries = self._failures.tries(read.account_ref)
        await self._store(lambda c: self._save_failure(c, read, error, tries=tries, pause=pause))
        log.warning(
            "reconciliation.read_failed",
            extra={"account_id": read.account.account_id, "reason": str(error), "tries": tries},
        )

    def _save_failure(
        self, connection: Connection, read: PendingRead, error: CallError, *, tries: int, pause: int
    ) -> None:
        """tries: failed reads of this account in a row. pause: milliseconds for which no account is read."""
        now = self._now()
        close_limiter(connection, rate_limits.LOOKUPS, error, now=now)
        if pause:
            rate_limits.block(connection, rate_limits.RECONCILIATIONS, until=now + pause, reason=str(error))
        is_passed_over = isinstance(error, AccountUnknown) or tries >= MAX_TRIES
        recheck_at: Millis | None = now
        if is_passed_over:
            recheck_at = None if isinstance(error, Refused) else now + FAILED_PAUSE_MS
        elif tries:
            recheck_at = now + pause_ms(attempts=tries, jitter=random.random())  # noqa: S311 - see above
        reconciliations.schedule_rechecks(connection, [read.account_ref], at=recheck_at)
        run = reconciliation_runs.get_newest(connection)
        is_first_time = read.is_scheduled or tries <= MAX_TRIES
        if run is not None and is_passed_over and is_first_time:
            reconciliation_runs.add_counts(connection, run.id, failed=1)

    def _save_results(self, connection: Connection, results: Sequence[_Reading]) -> Sequence[_SavedReading]:
        """Batch job: compares readings with the ledger and stores the results, in one transaction."""
        now = self._now()
        known = reconciliations.load_known_balances(connection, [each.account_ref for each in results])
        compared = [(each, compare(known[each.account_ref], each.state.amounts)) for each in results]
        inactive = [each.account_ref for each in results if not each.state.is_active]
        if inactive:
            reconciliations.clear_confirmed(connection, inactive)
        reconciliations.mark_confirmed(
            connection,
            [
                ConfirmedReading(
                    account_ref=each.account_ref,
                    at=each.job.claimed_at if each.state.is_active else None,
                    claimed_until=each.job.claimed_until,
                )
                for each, result in compared
                if result is Comparison.CONFIRMED
            ],
        )
        reconciliations.mark_mismatches(
            connection,
            {
                each.account_ref: known[each.account_ref].modified_at
                for each, result in compared
                if result is Comparison.MISMATCH
            },
            recheck_at=now + self._deps.grace_ms,
        )
        withdrawing = [each.account_ref for each, result in compared if result is Comparison.WITHDRAWING]
        reconciliations.schedule_rechecks(connection, withdrawing, at=now + WITHDRAWING_PAUSE_MS)
        run = reconciliation_runs.get_newest(connection)
        saved = []
        for each, result in compared:
            if result is not Comparison.RECOVERED:
                saved.append(_SavedReading())
                continue
            saved.append(self._recover(connection, known[each.account_ref], each, run, now))
            if run is not None and saved[-1].is_missed:
                reconciliations.count_missed(connection, run.id, each.account_ref)
                run = replace(run, missed=run.missed + 1)
        if run is not None:
            recovered = sum(each.is_recovered for each in saved)
            reconciliation_runs.add_counts(connection, run.id, read=len(results), recovered=recovered)
        return saved

    def _recover(
        self,
        connection: Connection,
        known: KnownBalance,
        reading: _Reading,
        run: ReconciliationRun | None,
        now: Millis,
    ) -> _SavedReading:
        state, since = reading.state, reading.connected_since
        is_missed = self._is_missed(connection, known, state, since)
        is_alarm = is_missed and self._is_first_proof(known, state, since, run)
        self._recovery.recover(connection, known, state, now=now, is_missed=is_missed, is_alarm=is_alarm)
        return _SavedReading(is_recovered=True, is_missed=is_missed, is_alarm=is_alarm)

    def _is_missed(
        self, connection: Connection, known: KnownBalance, state: AccountState, connected_since: Millis | None
    ) -> bool:
        """Whether the change happened while we were connected, and no stored event may be about it."""
        since = self._receiving.since(connected_since, now=self._now())
        if known.confirmed_at is None or not proves_missed_events(known, since, is_active=state.is_active):
            return False
        return not inbox.may_mention_account(connection, known.account.account_id, since=known.confirmed_at)

    def _is_first_proof(
        self,
        known: KnownBalance,
        state: AccountState,
        connected_since: Millis | None,
        run: ReconciliationRun | None,
    ) -> bool:
        """Returns whether to raise an alarm: once per run and per connection. Further missed changes are only counted.

        A second alarm would close the connection that just replaced the one that receives nothing.
        """
        if run is not None and run.missed:
            return False
        if self._receiving.is_known_not_receiving(connected_since, now=self._now()):
            return False
        return proves_missed_events(known, connected_since, is_active=state.is_active)


def _log_finished(run: ReconciliationRun) -> None:
    log.info(
        "reconciliation.finished",
        extra={
            "trigger": run.trigger,
            "read": run.read,
            "failed": run.failed,
            "recovered": run.recovered,
            "missed": run.missed,
        },
    )

"""Refresh: what the accounts hold is asked for after each connect and on a schedule. What differs from our books goes
the way of an event, marked as recovered.

An event that Feishu could not deliver five times within seven hours is gone for ever; and a connection that is deaf
looks like one on which nothing happens. Reading is how both are found.
"""

import asyncio
import itertools
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from notifier.clock import Clock, Millis, to_millis
from notifier.domain.account import AccountState
from notifier.domain.delivery import limiter_block_ms, pause_ms
from notifier.domain.event import BALANCE_MISSED, BALANCE_READ, BalanceReport, Event
from notifier.domain.rate_limit import RateLimit
from notifier.domain.reconciliation import (
    Comparison,
    KnownBalance,
    ReceivingPeriod,
    compare,
    proves_missed_events,
    recovered_at,
)
from notifier.errors import (
    AccountUnknown,
    AppSuspended,
    CallError,
    NotAuthorised,
    OutcomeUnknown,
    TemporaryFailure,
)
from notifier.flow.ports import ReferralAccounts
from notifier.store import inbox, rate_limits, reconciliations
from notifier.store.engine.database import Database
from notifier.store.inbox import EventInserter
from notifier.store.reconciliations import (
    PendingRead,
    ReconciliationCounts,
    ReconciliationRun,
    ReconciliationTrigger,
)

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 8
IDLE_MS = 1_000
UNDER_WAY_PAUSE_MS = 60_000
FAILED_PAUSE_MS = 600_000
MAX_PAUSE_MS = 60_000
CLAIMED_MS = 60_000
"""What is being read is due again then, should nothing be kept of it."""
MAX_READS_PER_RUN = 32
MAX_FAILING_TRACKED = 500
MAX_TRIES = 5
"""After so many an account that Feishu answers with errors is passed over; while it is out of reach nobody is."""
MAX_UNRELATED_FAILURES = 3
"""Failures in a row, of whichever accounts, that are taken for those accounts' own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileDeps:
    """pace: of all reads of accounts. own_limit: of ours, so that look-ups for cards get their share.
    every_ms: from the start of one round to the next, None for none. on_connect: also after each connect.
    grace_ms: how long an event may be on its way before a read takes its place.
    write: a balance as an event of a type. connected_since: by our clock, None while we are not.
    wake: told when something was recovered. deaf: told when that proves that the connection is.
    """

    referral_accounts: ReferralAccounts
    app_id: str
    limit: RateLimit
    own_limit: RateLimit
    every_ms: int | None
    on_connect: bool
    grace_ms: int
    encode_reading: Callable[..., Event]
    connected_since: Callable[[], Millis | None]
    clock: Clock
    wake: Callable[[], None]
    on_not_receiving: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """Accounts to read now. next_claim_at: when there may be more. begun_at: when they were claimed, and until when.
    pauses: how often in a row we had paused by then.
    """

    due: list[PendingRead]
    next_claim_at: float
    begun_at: Millis
    until: Millis
    pauses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failed:
    """A read that gave nothing. tries: of this account, in a row. pause_ms: for how long nobody is read."""

    of: PendingRead
    error: CallError
    tries: int
    pause_ms: int

    @property
    def may_pass(self) -> bool:
        return isinstance(self.error, TemporaryFailure | OutcomeUnknown | NotAuthorised | AppSuspended)

    @property
    def is_given_up(self) -> bool:
        return isinstance(self.error, AccountUnknown) or self.tries >= MAX_TRIES


def _is_unreachable(error: CallError) -> bool:
    """Nobody can be read now, so this says nothing about the account."""
    if isinstance(error, TemporaryFailure):
        return error.affects_whole_app
    return isinstance(error, NotAuthorised | AppSuspended)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """deaf: it proves that the connection that stands since then is."""

    recovered: bool
    not_receiving: bool
    since: Millis | None


class Reconciler:
    def __init__(self, database: Database, deps: ReconcileDeps) -> None:
        self._database = database
        self._deps = deps
        self._accept = EventInserter(deps.clock)
        self._asked = False
        self._receiving = ReceivingPeriod()
        self._tries: dict[int, int] = {}
        self._failures_in_row = 0
        self._pauses = 0

    def request_run(self) -> None:
        """There is a connection again, or a store that takes events again. Callable from any thread; whoever calls
        wakes the step.
        """
        self._asked = self._deps.on_connect

    async def run_once(self) -> float:
        """Reads as fast as the pace allows, several at once where Feishu is slow. Seconds until there may be more."""
        reading: dict[asyncio.Task[None], int] = {}
        begun = 0
        try:
            while True:
                free = min(MAX_IN_FLIGHT - len(reading), MAX_READS_PER_RUN - begun)
                wait = None
                if free > 0:
                    claim = await self._begin(frozenset(reading.values()), limit=free)
                    begun += len(claim.due)
                    reading |= {
                        asyncio.ensure_future(self._read(each, claim)): each.account_ref for each in claim.due
                    }
                    wait = min(max(0.0, claim.next_claim_at - self._now()), IDLE_MS) / 1000
                if not reading:
                    return wait or 0
                over, _ = await asyncio.wait(reading, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                for task in over:
                    del reading[task]
                    task.result()
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)

    async def _begin(self, in_flight_refs: frozenset[int], *, limit: int) -> _Claim:
        now = self._now()
        asked, self._asked = self._asked, False
        try:
            return await asyncio.wrap_future(
                self._database.write(
                    lambda c: self._claim(c, asked=asked, in_flight_refs=in_flight_refs, limit=limit, now=now)
                )
            )
        except BaseException:
            self._asked = self._asked or asked
            raise

    def _claim(
        self, connection: Connection, *, asked: bool, in_flight_refs: frozenset[int], limit: int, now: Millis
    ) -> _Claim:
        deps = self._deps
        shared = rate_limits.load_limiter(connection, rate_limits.LOOKUPS).plausible(deps.limit, now=now)
        own = rate_limits.load_limiter(connection, rate_limits.RECONCILIATIONS).plausible(
            deps.own_limit, now=now
        )
        if asked:
            reconciliations.start_run(connection, ReconciliationTrigger.CONNECTED, now=now)
        elif self._is_time(connection, now):
            reconciliations.start_run(connection, ReconciliationTrigger.SCHEDULE, now=now)
        allowed = min(
            shared.allowed_calls(deps.limit, now=now, wanted=limit),
            own.allowed_calls(deps.own_limit, now=now, wanted=limit),
        )
        due: list[PendingRead] = []
        until = now + CLAIMED_MS
        if allowed:
            run = reconciliations.get_running(connection)
            due = self._due(connection, run, allowed, in_flight_refs, now)
            reconciliations.claim_reads(connection, due, run=run, until=until)
        if due:
            shared, own = (
                shared.after(len(due), deps.limit, now=now),
                own.after(len(due), deps.own_limit, now=now),
            )
            rate_limits.save_limiters(connection, [shared, own])
        next_claim_at = max(shared.allowed_at(deps.limit), own.allowed_at(deps.own_limit))
        if allowed and not due:
            next_claim_at = now + IDLE_MS
        return _Claim(due=due, next_claim_at=next_claim_at, begun_at=now, until=until, pauses=self._pauses)

    def _due(
        self,
        connection: Connection,
        sweep: ReconciliationRun | None,
        limit: int,
        in_flight_refs: frozenset[int],
        now: Millis,
    ) -> list[PendingRead]:
        """First where a change is suspected, then in turn, and what failed before only when there is nothing else: a
        dozen accounts that always fail would keep everybody waiting. After a pause one that could be read before, if
        there is one: where it can again, Feishu is well, and those that failed did so of their own.
        """
        failing = frozenset(itertools.islice(self._tries, MAX_FAILING_TRACKED))
        if self._pauses:
            probe = reconciliations.pick_probe_account(
                connection, app_id=self._deps.app_id, in_flight_refs=in_flight_refs | failing
            )
            if probe is not None:
                return [probe]
        due = reconciliations.list_due_rechecks(
            connection,
            app_id=self._deps.app_id,
            now=now,
            limit=limit,
            in_flight_refs=in_flight_refs | failing,
            only_mismatches=True,
        )
        if sweep is not None and len(due) < limit:
            due += self._in_turn(
                connection, sweep, limit - len(due), in_flight_refs | {each.account_ref for each in due}, now
            )
        if len(due) < limit:
            due += reconciliations.list_due_rechecks(
                connection,
                app_id=self._deps.app_id,
                now=now,
                limit=limit - len(due),
                in_flight_refs=in_flight_refs | {each.account_ref for each in due},
            )
        return due

    def _is_time(self, connection: Connection, now: Millis) -> bool:
        if self._deps.every_ms is None:
            return False
        last = reconciliations.get_newest(connection)
        return last is None or not last.started_at <= now < last.started_at + self._deps.every_ms

    def _in_turn(
        self,
        connection: Connection,
        sweep: ReconciliationRun,
        limit: int,
        in_flight_refs: frozenset[int],
        now: Millis,
    ) -> list[PendingRead]:
        """held: ids of those that are being read, or are about to be."""
        due = reconciliations.list_next_page(
            connection, sweep, app_id=self._deps.app_id, limit=limit, in_flight_refs=in_flight_refs
        )
        if not due and not in_flight_refs:
            reconciliations.finish_run(connection, sweep, now=now)
            _log_finished(sweep)
        return due

    async def _read(self, due: PendingRead, claim: _Claim) -> None:
        """One account: what it holds, and what that means, in one transaction."""
        try:
            state = await self._deps.referral_accounts.read(due.account.account_id)
        except CallError as error:
            await self._read_failed(due, error, claim)
            return
        self._note_success(due)
        told = await asyncio.wrap_future(
            self._database.write(lambda c: self._save_reading(c, due, state, claim))
        )
        if told.recovered:
            self._deps.wake()
        if told.not_receiving:
            self._receiving.mark_not_receiving(told.since, now=self._now())
            self._deps.on_not_receiving()

    def _note_success(self, of: PendingRead) -> None:
        self._tries.pop(of.account_ref, None)
        self._failures_in_row = self._pauses = 0

    async def _read_failed(self, of: PendingRead, error: CallError, claim: _Claim) -> None:
        if isinstance(error, AccountUnknown):
            self._note_success(of)
        elif not _is_unreachable(error):
            self._tries[of.account_ref] = self._tries.get(of.account_ref, 0) + 1
        failed = _Failed(
            of=of,
            error=error,
            tries=self._tries.get(of.account_ref, 0),
            pause_ms=0 if self._concerns_account_only(of, error) else self._pause_for(error, claim),
        )
        if failed.is_given_up and not failed.may_pass:
            self._tries.pop(of.account_ref, None)
        await asyncio.wrap_future(self._database.write(lambda c: self._postpone(c, failed)))
        log.warning(
            "reconciliation.read_failed",
            extra={"account_id": of.account.account_id, "reason": str(error), "tries": failed.tries},
        )

    def _concerns_account_only(self, of: PendingRead, error: CallError) -> bool:
        """Of an account that is not there, or that failed before while Feishu was well: it is no news of Feishu."""
        return isinstance(error, AccountUnknown) or (
            self._tries.get(of.account_ref, 0) > 1 and not self._pauses
        )

    def _pause_for(self, error: CallError, claim: _Claim) -> int:
        """For how long nobody is read. One account's failure is its own; where all fail, it is Feishu or the network.
        What was under way when we paused adds nothing.
        """
        if claim.pauses != self._pauses:
            return 0
        self._failures_in_row += 1
        if not _is_unreachable(error) and not self._pauses and self._failures_in_row < MAX_UNRELATED_FAILURES:
            return 0
        self._pauses += 1
        return min(_grown_pause_ms(self._pauses), MAX_PAUSE_MS)

    def _postpone(self, connection: Connection, failed: _Failed) -> None:
        now = self._now()
        closed_for = limiter_block_ms(failed.error)
        if closed_for:
            rate_limits.block(
                connection, rate_limits.LOOKUPS, until=now + closed_for, reason=failed.error.reason
            )
        if failed.pause_ms:
            rate_limits.block(
                connection, rate_limits.RECONCILIATIONS, until=now + failed.pause_ms, reason=str(failed.error)
            )
        next_claim_at: Millis | None = now + _grown_pause_ms(failed.tries) if failed.tries else now
        if failed.is_given_up:
            next_claim_at = now + FAILED_PAUSE_MS if failed.may_pass else None
        reconciliations.schedule_recheck(connection, failed.of.account_ref, at=next_claim_at)
        first_time = failed.of.is_scheduled or failed.tries <= MAX_TRIES
        sweep = reconciliations.get_newest(connection)
        if sweep is not None and failed.is_given_up and first_time:
            reconciliations.add_counts(connection, sweep.id, ReconciliationCounts(failed=1))

    def _save_reading(
        self, connection: Connection, due: PendingRead, state: AccountState, claim: _Claim
    ) -> _Told:
        now = self._now()
        known = reconciliations.load_known_balances(connection, [due.account_ref])[due.account_ref]
        sweep = reconciliations.get_newest(connection)
        since = self._deps.connected_since()
        missed = not_receiving = False
        finding = self._compare(connection, known, state, claim)
        if finding is Comparison.RECOVERED:
            missed = self._is_missed(connection, known, state, self._receiving.since(since, now=now))
            not_receiving = (
                missed
                and proves_missed_events(known, since, is_active=state.is_active)
                and not self._receiving.knows(since, now=now)
                and not (sweep and sweep.missed)
            )
            self._recover(connection, known, state, missed=missed, alarm=not_receiving)
        if sweep is not None:
            recovered = finding is Comparison.RECOVERED
            tally = ReconciliationCounts(read=1, recovered=int(recovered), missed=int(missed))
            reconciliations.add_counts(connection, sweep.id, tally)
        return _Told(recovered=finding is Comparison.RECOVERED, not_receiving=not_receiving, since=since)

    def _is_missed(
        self, connection: Connection, known: KnownBalance, state: AccountState, since: Millis | None
    ) -> bool:
        if known.confirmed_at is None or not proves_missed_events(known, since, is_active=state.is_active):
            return False
        return not inbox.may_mention_account(connection, known.account.account_id, since=known.confirmed_at)

    def _compare(
        self, connection: Connection, known: KnownBalance, state: AccountState, claim: _Claim
    ) -> Comparison:
        now = self._now()
        finding = compare(known, state.amounts)
        if not state.is_active:
            reconciliations.clear_confirmed(connection, [known.account_ref])
        match finding:
            case Comparison.CONFIRMED:
                confirmed_at = claim.begun_at if state.is_active else None
                reconciliations.mark_confirmed(
                    connection, known.account_ref, at=confirmed_at, claimed_until=claim.until
                )
            case Comparison.MISMATCH:
                reconciliations.mark_mismatch(
                    connection,
                    known.account_ref,
                    modified_at=known.modified_at,
                    recheck_at=now + self._deps.grace_ms,
                )
            case Comparison.WITHDRAWING:
                reconciliations.schedule_recheck(connection, known.account_ref, at=now + UNDER_WAY_PAUSE_MS)
            case Comparison.RECOVERED:
                pass
        return finding

    def _recover(
        self, connection: Connection, known: KnownBalance, state: AccountState, *, missed: bool, alarm: bool
    ) -> None:
        read_at = state.at if state.at is not None else self._now()
        modified_at = recovered_at(known, read_at)
        report = BalanceReport(
            account=known.account, modified_at=modified_at, reported_at=modified_at, amounts=state.amounts
        )
        event = self._deps.encode_reading(report, event_type=BALANCE_MISSED if alarm else BALANCE_READ)
        self._accept(connection, [event])
        reconciliations.mark_recovered(connection, known.account_ref, modified_at=modified_at)
        log.log(
            logging.ERROR if missed else logging.WARNING,
            "balance.missed" if missed else "balance.recovered",
            extra={"account_id": known.account.account_id},
        )

    def _now(self) -> Millis:
        return to_millis(self._deps.clock.now())


def _grown_pause_ms(attempts: int) -> int:
    return pause_ms(attempts=attempts, jitter=random.random())  # noqa: S311 - spread


def _log_finished(sweep: ReconciliationRun) -> None:
    log.info(
        "reconciliation.finished",
        extra={
            "trigger": sweep.trigger,
            "read": sweep.read,
            "failed": sweep.failed,
            "recovered": sweep.recovered,
            "missed": sweep.missed,
        },
    )

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
from notifier.domain.delivery import closes_gate_for_ms, pause_ms
from notifier.domain.event import BALANCE_READ, BALANCE_UNHEARD, BalanceReport, Event
from notifier.domain.rate_limit import Pace
from notifier.domain.reconciliation import Books, Finding, Hearing, judge, proves_deafness, recovered_at
from notifier.errors import AccountUnknown, AppStopped, CallError, NotAuthorised, NotDone, OutcomeUnknown
from notifier.flow.ports import Treasury
from notifier.store import inbox, rate_limits, reconciliations
from notifier.store.engine.database import Database
from notifier.store.inbox import AcceptEvents
from notifier.store.reconciliations import Sweep, Tally, ToRead, Why

log = logging.getLogger(__name__)

TOGETHER = 8
IDLE_MS = 1_000
UNDER_WAY_PAUSE_MS = 60_000
FAILED_PAUSE_MS = 600_000
LONGEST_PAUSE_MS = 60_000
CLAIMED_MS = 60_000
"""What is being read is due again then, should nothing be kept of it."""
MOST_A_TURN = 32
MOST_KEPT_APART = 500
MOST_TRIES = 5
"""After so many an account that Feishu answers with errors is passed over; while it is out of reach nobody is."""
ALONE = 3
"""Failures in a row, of whichever accounts, that are taken for those accounts' own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshParts:
    """pace: of all reads of accounts. own_pace: of ours, so that look-ups for cards get their share.
    every_ms: from the start of one round to the next, None for none. on_connect: also after each connect.
    grace_ms: how long an event may be on its way before a read takes its place.
    write: a balance as an event of a type. connected_since: by our clock, None while we are not.
    wake: told when something was recovered. deaf: told when that proves that the connection is.
    """

    outside: Treasury
    app_id: str
    pace: Pace
    own_pace: Pace
    every_ms: int | None
    on_connect: bool
    grace_ms: int
    write: Callable[..., Event]
    connected_since: Callable[[], Millis | None]
    clock: Clock
    wake: Callable[[], None]
    deaf: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """Accounts to read now. again_at: when there may be more. begun_at: when they were claimed, and until when.
    pauses: how often in a row we had paused by then.
    """

    due: list[ToRead]
    again_at: float
    begun_at: Millis
    until: Millis
    pauses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failed:
    """A read that gave nothing. tries: of this account, in a row. pause_ms: for how long nobody is read."""

    of: ToRead
    error: CallError
    tries: int
    pause_ms: int

    @property
    def may_pass(self) -> bool:
        return isinstance(self.error, NotDone | OutcomeUnknown | NotAuthorised | AppStopped)

    @property
    def is_given_up(self) -> bool:
        return isinstance(self.error, AccountUnknown) or self.tries >= MOST_TRIES


def _out_of_reach(error: CallError) -> bool:
    """Nobody can be read now, so this says nothing about the account."""
    if isinstance(error, NotDone):
        return error.whole_app
    return isinstance(error, NotAuthorised | AppStopped)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """deaf: it proves that the connection that stands since then is."""

    recovered: bool
    deaf: bool
    since: Millis | None


class Refresher:
    def __init__(self, database: Database, parts: RefreshParts) -> None:
        self._database = database
        self._parts = parts
        self._accept = AcceptEvents(parts.clock)
        self._asked = False
        self._hearing = Hearing()
        self._tries: dict[int, int] = {}
        self._in_vain = 0
        self._pauses = 0

    def may_have_missed(self) -> None:
        """There is a connection again, or a store that takes events again. Callable from any thread; whoever calls
        wakes the step.
        """
        self._asked = self._parts.on_connect

    async def turn(self) -> float:
        """Reads as fast as the pace allows, several at once where Feishu is slow. Seconds until there may be more."""
        reading: dict[asyncio.Task[None], int] = {}
        begun = 0
        try:
            while True:
                free = min(TOGETHER - len(reading), MOST_A_TURN - begun)
                wait = None
                if free > 0:
                    claim = await self._begin(frozenset(reading.values()), limit=free)
                    begun += len(claim.due)
                    reading |= {
                        asyncio.ensure_future(self._read(each, claim)): each.ref for each in claim.due
                    }
                    wait = min(max(0.0, claim.again_at - self._now()), IDLE_MS) / 1000
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

    async def _begin(self, held: frozenset[int], *, limit: int) -> _Claim:
        now = self._now()
        asked, self._asked = self._asked, False
        try:
            return await asyncio.wrap_future(
                self._database.write(lambda c: self._claim(c, asked=asked, held=held, limit=limit, now=now))
            )
        except BaseException:
            self._asked = self._asked or asked
            raise

    def _claim(
        self, connection: Connection, *, asked: bool, held: frozenset[int], limit: int, now: Millis
    ) -> _Claim:
        parts = self._parts
        shared = rate_limits.load(connection, rate_limits.LOOKUPS).sane(parts.pace, now=now)
        own = rate_limits.load(connection, rate_limits.SWEEPS).sane(parts.own_pace, now=now)
        if asked:
            reconciliations.begin(connection, Why.CONNECTED, now=now)
        elif self._is_time(connection, now):
            reconciliations.begin(connection, Why.SCHEDULE, now=now)
        allowed = min(
            shared.passes(parts.pace, now=now, wanted=limit),
            own.passes(parts.own_pace, now=now, wanted=limit),
        )
        due: list[ToRead] = []
        until = now + CLAIMED_MS
        if allowed:
            sweep = reconciliations.running(connection)
            due = self._due(connection, sweep, allowed, held, now)
            reconciliations.claim(connection, due, sweep=sweep, until=until)
        if due:
            shared, own = (
                shared.after(len(due), parts.pace, now=now),
                own.after(len(due), parts.own_pace, now=now),
            )
            rate_limits.keep(connection, [shared, own])
        again_at = max(shared.opens_at(parts.pace), own.opens_at(parts.own_pace))
        if allowed and not due:
            again_at = now + IDLE_MS
        return _Claim(due=due, again_at=again_at, begun_at=now, until=until, pauses=self._pauses)

    def _due(
        self, connection: Connection, sweep: Sweep | None, limit: int, held: frozenset[int], now: Millis
    ) -> list[ToRead]:
        """First where a change is suspected, then in turn, and what failed before only when there is nothing else: a
        dozen accounts that always fail would keep everybody waiting. After a pause one that could be read before, if
        there is one: where it can again, Feishu is well, and those that failed did so of their own.
        """
        failing = frozenset(itertools.islice(self._tries, MOST_KEPT_APART))
        if self._pauses:
            probe = reconciliations.any_account(connection, app_id=self._parts.app_id, held=held | failing)
            if probe is not None:
                return [probe]
        due = reconciliations.out_of_turn(
            connection,
            app_id=self._parts.app_id,
            now=now,
            limit=limit,
            held=held | failing,
            only_suspects=True,
        )
        if sweep is not None and len(due) < limit:
            due += self._in_turn(connection, sweep, limit - len(due), held | {each.ref for each in due}, now)
        if len(due) < limit:
            due += reconciliations.out_of_turn(
                connection,
                app_id=self._parts.app_id,
                now=now,
                limit=limit - len(due),
                held=held | {each.ref for each in due},
            )
        return due

    def _is_time(self, connection: Connection, now: Millis) -> bool:
        if self._parts.every_ms is None:
            return False
        last = reconciliations.newest(connection)
        return last is None or not last.started_at <= now < last.started_at + self._parts.every_ms

    def _in_turn(
        self, connection: Connection, sweep: Sweep, limit: int, held: frozenset[int], now: Millis
    ) -> list[ToRead]:
        """held: ids of those that are being read, or are about to be."""
        due = reconciliations.page(connection, sweep, app_id=self._parts.app_id, limit=limit, held=held)
        if not due and not held:
            reconciliations.end(connection, sweep, now=now)
            _tell_end(sweep)
        return due

    async def _read(self, due: ToRead, claim: _Claim) -> None:
        """One account: what it holds, and what that means, in one transaction."""
        try:
            state = await self._parts.outside.read(due.account.account_id)
        except CallError as error:
            await self._read_failed(due, error, claim)
            return
        self._feishu_answers(due)
        told = await asyncio.wrap_future(self._database.write(lambda c: self._settle(c, due, state, claim)))
        if told.recovered:
            self._parts.wake()
        if told.deaf:
            self._hearing.proved_deaf(told.since, now=self._now())
            self._parts.deaf()

    def _feishu_answers(self, of: ToRead) -> None:
        self._tries.pop(of.ref, None)
        self._in_vain = self._pauses = 0

    async def _read_failed(self, of: ToRead, error: CallError, claim: _Claim) -> None:
        if isinstance(error, AccountUnknown):
            self._feishu_answers(of)
        elif not _out_of_reach(error):
            self._tries[of.ref] = self._tries.get(of.ref, 0) + 1
        failed = _Failed(
            of=of,
            error=error,
            tries=self._tries.get(of.ref, 0),
            pause_ms=0 if self._is_its_own(of, error) else self._pause_for(error, claim),
        )
        if failed.is_given_up and not failed.may_pass:
            self._tries.pop(of.ref, None)
        await asyncio.wrap_future(self._database.write(lambda c: self._put_off(c, failed)))
        log.warning(
            "refresh.read_failed",
            extra={"account_id": of.account.account_id, "reason": str(error), "tries": failed.tries},
        )

    def _is_its_own(self, of: ToRead, error: CallError) -> bool:
        """Of an account that is not there, or that failed before while Feishu was well: it is no news of Feishu."""
        return isinstance(error, AccountUnknown) or (self._tries.get(of.ref, 0) > 1 and not self._pauses)

    def _pause_for(self, error: CallError, claim: _Claim) -> int:
        """For how long nobody is read. One account's failure is its own; where all fail, it is Feishu or the network.
        What was under way when we paused adds nothing.
        """
        if claim.pauses != self._pauses:
            return 0
        self._in_vain += 1
        if not _out_of_reach(error) and not self._pauses and self._in_vain < ALONE:
            return 0
        self._pauses += 1
        return min(_grown_pause_ms(self._pauses), LONGEST_PAUSE_MS)

    def _put_off(self, connection: Connection, failed: _Failed) -> None:
        now = self._now()
        closed_for = closes_gate_for_ms(failed.error)
        if closed_for:
            rate_limits.shut(
                connection, rate_limits.LOOKUPS, until=now + closed_for, reason=failed.error.reason
            )
        if failed.pause_ms:
            rate_limits.shut(
                connection, rate_limits.SWEEPS, until=now + failed.pause_ms, reason=str(failed.error)
            )
        again_at: Millis | None = now + _grown_pause_ms(failed.tries) if failed.tries else now
        if failed.is_given_up:
            again_at = now + FAILED_PAUSE_MS if failed.may_pass else None
        reconciliations.read_again(connection, failed.of.ref, at=again_at)
        first_time = failed.of.in_turn or failed.tries <= MOST_TRIES
        sweep = reconciliations.newest(connection)
        if sweep is not None and failed.is_given_up and first_time:
            reconciliations.count(connection, sweep.id, Tally(failed=1))

    def _settle(self, connection: Connection, due: ToRead, state: AccountState, claim: _Claim) -> _Told:
        now = self._now()
        books = reconciliations.books(connection, [due.ref])[due.ref]
        sweep = reconciliations.newest(connection)
        since = self._parts.connected_since()
        unheard = deaf = False
        finding = self._compare(connection, books, state, claim)
        if finding is Finding.RECOVERED:
            unheard = self._is_unheard(connection, books, state, self._hearing.since(since, now=now))
            deaf = (
                unheard
                and proves_deafness(books, since, usable=state.usable)
                and not self._hearing.knows(since, now=now)
                and not (sweep and sweep.unheard)
            )
            self._recover(connection, books, state, unheard=unheard, alarm=deaf)
        if sweep is not None:
            recovered = finding is Finding.RECOVERED
            tally = Tally(read=1, recovered=int(recovered), unheard=int(unheard))
            reconciliations.count(connection, sweep.id, tally)
        return _Told(recovered=finding is Finding.RECOVERED, deaf=deaf, since=since)

    def _is_unheard(
        self, connection: Connection, books: Books, state: AccountState, since: Millis | None
    ) -> bool:
        if books.agreed_at is None or not proves_deafness(books, since, usable=state.usable):
            return False
        return not inbox.may_tell_of(connection, books.account.account_id, since=books.agreed_at)

    def _compare(self, connection: Connection, books: Books, state: AccountState, claim: _Claim) -> Finding:
        now = self._now()
        finding = judge(books, state.amounts)
        if not state.usable:
            reconciliations.heard(connection, [books.ref])
        match finding:
            case Finding.AGREES:
                agreed_at = claim.begun_at if state.usable else None
                reconciliations.agreed(connection, books.ref, at=agreed_at, claimed_until=claim.until)
            case Finding.SUSPECT:
                reconciliations.suspected(
                    connection,
                    books.ref,
                    modified_at=books.modified_at,
                    reread_at=now + self._parts.grace_ms,
                )
            case Finding.UNDER_WAY:
                reconciliations.read_again(connection, books.ref, at=now + UNDER_WAY_PAUSE_MS)
            case Finding.RECOVERED:
                pass
        return finding

    def _recover(
        self, connection: Connection, books: Books, state: AccountState, *, unheard: bool, alarm: bool
    ) -> None:
        read_at = state.at if state.at is not None else self._now()
        modified_at = recovered_at(books, read_at)
        report = BalanceReport(
            account=books.account, modified_at=modified_at, reported_at=modified_at, amounts=state.amounts
        )
        event = self._parts.write(report, event_type=BALANCE_UNHEARD if alarm else BALANCE_READ)
        self._accept(connection, [event])
        reconciliations.recovered(connection, books.ref, modified_at=modified_at)
        log.log(
            logging.ERROR if unheard else logging.WARNING,
            "balance.unheard" if unheard else "balance.recovered",
            extra={"account_id": books.account.account_id},
        )

    def _now(self) -> Millis:
        return to_millis(self._parts.clock.now())


def _grown_pause_ms(attempts: int) -> int:
    return pause_ms(attempts=attempts, jitter=random.random())  # noqa: S311 - spread


def _tell_end(sweep: Sweep) -> None:
    log.info(
        "refresh.over",
        extra={
            "why": sweep.why,
            "read": sweep.read,
            "failed": sweep.failed,
            "recovered": sweep.recovered,
            "unheard": sweep.unheard,
        },
    )

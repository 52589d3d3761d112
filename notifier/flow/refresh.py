"""Refresh: what the accounts hold is asked for after each connect and on a schedule. What differs from our books goes
the way of an event, marked as recovered.

An event that Feishu could not deliver five times within seven hours is gone for ever; and a connection that is deaf
looks like one on which nothing happens. Reading is how both are found.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from notifier.clock import Clock, Millis, to_millis
from notifier.domain.delivery import closes_gate_for_ms, pause_ms
from notifier.domain.event import BALANCE_READ, BALANCE_UNHEARD, BalanceReport, Event
from notifier.domain.healing import Books, Finding, judge, proves_deafness, recovered_at
from notifier.domain.hire import AccountState
from notifier.domain.pace import Pace
from notifier.errors import AccountUnknown, CallError, NotAuthorised, NotDone, OutcomeUnknown
from notifier.flow.outside import Treasury
from notifier.store import gates, sweeps
from notifier.store.database import Database
from notifier.store.inbox import AcceptEvents
from notifier.store.sweeps import Sweep, Tally, ToRead, Why

log = logging.getLogger(__name__)

TOGETHER = 8
IDLE_MS = 1_000
UNDER_WAY_PAUSE_MS = 60_000
FAILED_PAUSE_MS = 600_000
LONGEST_PAUSE_MS = 60_000
MOST_FAILED_ROUNDS = 5
"""After so many, accounts that Feishu answers with errors are passed over; while it is out of reach nobody is."""


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


@dataclass(frozen=True, slots=True)
class _Read:
    """What one read gave: a state, or why there is none."""

    of: ToRead
    state: AccountState | None = None
    error: CallError | None = None

    @property
    def says_nothing(self) -> bool:
        """It failed, and not because of this account."""
        return self.error is not None and not isinstance(self.error, AccountUnknown)

    @property
    def may_pass(self) -> bool:
        return isinstance(self.error, NotDone | OutcomeUnknown | NotAuthorised)

    @property
    def out_of_reach(self) -> bool:
        return isinstance(self.error, NotAuthorised) or (
            isinstance(self.error, NotDone) and self.error.whole_app
        )


class Refresher:
    def __init__(self, database: Database, parts: RefreshParts) -> None:
        self._database = database
        self._parts = parts
        self._accept = AcceptEvents(parts.clock)
        self._asked = False
        self._failed_rounds = 0

    def may_have_missed(self) -> None:
        """There is a connection again, or a store that takes events again. Callable from any thread; whoever calls
        wakes the step.
        """
        self._asked = self._parts.on_connect

    async def turn(self) -> float:
        """One handful of accounts. Seconds until there may be more to do."""
        now = to_millis(self._parts.clock.now())
        asked, self._asked = self._asked, False
        try:
            due, again_at = await asyncio.wrap_future(
                self._database.write(lambda c: self._claim(c, asked=asked, now=now))
            )
        except Exception:
            self._asked = self._asked or asked
            raise
        if not due:
            return min(max(0.0, again_at - now), IDLE_MS) / 1000
        reads = await asyncio.gather(*(self._read(each) for each in due))
        await self._keep(reads)
        return 0

    def _claim(self, connection: Connection, *, asked: bool, now: Millis) -> tuple[list[ToRead], float]:
        parts = self._parts
        shared = gates.load(connection, gates.LOOKUPS).sane(parts.pace, now=now)
        own = gates.load(connection, gates.SWEEPS).sane(parts.own_pace, now=now)
        if asked:
            sweeps.begin(connection, Why.CONNECTED, now=now)
        elif self._is_time(connection, now):
            sweeps.begin(connection, Why.SCHEDULE, now=now)
        allowed = min(
            shared.passes(parts.pace, now=now, wanted=TOGETHER),
            own.passes(parts.own_pace, now=now, wanted=TOGETHER),
        )
        if not allowed:
            return [], max(shared.opens_at(parts.pace), own.opens_at(parts.own_pace))
        due = sweeps.out_of_turn(connection, app_id=parts.app_id, now=now, limit=allowed)
        due += self._in_turn(connection, allowed - len(due), now)
        if due:
            gates.keep(
                connection,
                [shared.after(len(due), parts.pace, now=now), own.after(len(due), parts.own_pace, now=now)],
            )
        return due, now + IDLE_MS

    def _is_time(self, connection: Connection, now: Millis) -> bool:
        if self._parts.every_ms is None:
            return False
        last = sweeps.newest(connection)
        return last is None or not last.started_at <= now < last.started_at + self._parts.every_ms

    def _in_turn(self, connection: Connection, limit: int, now: Millis) -> list[ToRead]:
        sweep = sweeps.running(connection)
        if sweep is None or limit <= 0:
            return []
        due = sweeps.page(connection, sweep, app_id=self._parts.app_id, limit=limit)
        if not due:
            sweeps.end(connection, sweep, now=now)
            _tell_end(sweep)
        return due

    async def _read(self, due: ToRead) -> _Read:
        try:
            return _Read(due, state=await self._parts.outside.read(due.account.account_id))
        except CallError as error:
            return _Read(due, error=error)

    async def _keep(self, reads: Sequence[_Read]) -> None:
        """What was read, what it means, and how far we are, in one transaction."""
        self._failed_rounds = self._failed_rounds + 1 if all(each.says_nothing for each in reads) else 0
        out_of_reach = any(each.out_of_reach for each in reads)
        stay = self._failed_rounds > 0 and (out_of_reach or self._failed_rounds < MOST_FAILED_ROUNDS)
        told = await asyncio.wrap_future(self._database.write(lambda c: self._settle(c, reads, stay=stay)))
        failed = [each for each in reads if each.error is not None]
        if failed:
            log.warning(
                "refresh.read_failed",
                extra={
                    "account_id": failed[0].of.account.account_id,
                    "reason": str(failed[0].error),
                    "others": len(failed) - 1,
                },
            )
        if told.recovered:
            self._parts.wake()
        if told.unheard:
            self._parts.deaf()

    def _settle(self, connection: Connection, reads: Sequence[_Read], *, stay: bool) -> Tally:
        now = to_millis(self._parts.clock.now())
        self._hold_back(connection, reads, now=now, all_failed=self._failed_rounds > 0)
        if stay:
            return Tally()
        sweep = sweeps.newest(connection)
        heard_of_it = sweep.unheard if sweep else 0
        books = sweeps.books(connection, [each.of.ref for each in reads])
        recovered = unheard = failed = 0
        for each in reads:
            if each.state is None:
                failed += 1
                self._pass_over(connection, each, now)
                continue
            if self._compare(connection, books[each.of.ref], each.state, now) is not Finding.RECOVERED:
                continue
            proof = proves_deafness(books[each.of.ref], self._parts.connected_since())
            self._recover(
                connection, books[each.of.ref], each.state, now, alarm=proof and not heard_of_it + unheard
            )
            recovered, unheard = recovered + 1, unheard + proof
        tally = Tally(read=len(reads) - failed, failed=failed, recovered=recovered, unheard=unheard)
        if sweep is not None:
            in_turn = [(each.of.modified_at, each.of.ref) for each in reads if each.of.in_turn]
            sweeps.count(connection, sweep.id, tally, cursor=min(in_turn, default=None))
        return tally

    def _hold_back(
        self, connection: Connection, reads: Sequence[_Read], *, now: Millis, all_failed: bool
    ) -> None:
        for each in reads:
            closed_for = closes_gate_for_ms(each.error) if each.error is not None else 0
            if each.error is not None and closed_for:
                gates.shut(connection, gates.LOOKUPS, until=now + closed_for, reason=each.error.reason)
        if all_failed:
            grown = pause_ms(attempts=self._failed_rounds, jitter=random.random())  # noqa: S311 - spread
            pause = min(grown, LONGEST_PAUSE_MS)
            gates.shut(connection, gates.SWEEPS, until=now + pause, reason=str(reads[0].error))

    def _pass_over(self, connection: Connection, failed: _Read, now: Millis) -> None:
        sweeps.read_again(connection, failed.of.ref, at=now + FAILED_PAUSE_MS if failed.may_pass else None)

    def _compare(self, connection: Connection, books: Books, state: AccountState, now: Millis) -> Finding:
        finding = judge(books, state.amounts)
        match finding:
            case Finding.AGREES:
                sweeps.agreed(connection, books.ref, now=now)
            case Finding.SUSPECT:
                sweeps.suspected(
                    connection,
                    books.ref,
                    modified_at=books.modified_at,
                    reread_at=now + self._parts.grace_ms,
                )
            case Finding.UNDER_WAY:
                sweeps.read_again(connection, books.ref, at=now + UNDER_WAY_PAUSE_MS)
            case Finding.RECOVERED:
                pass
        return finding

    def _recover(
        self, connection: Connection, books: Books, state: AccountState, now: Millis, *, alarm: bool
    ) -> None:
        read_at = state.at if state.at is not None else now
        modified_at = recovered_at(books, read_at)
        report = BalanceReport(
            account=books.account, modified_at=modified_at, reported_at=modified_at, amounts=state.amounts
        )
        event = self._parts.write(report, event_type=BALANCE_UNHEARD if alarm else BALANCE_READ)
        self._accept(connection, [event])
        sweeps.recovered(connection, books.ref, modified_at=modified_at)
        unheard = proves_deafness(books, self._parts.connected_since())
        log.log(
            logging.ERROR if unheard else logging.WARNING,
            "balance.unheard" if unheard else "balance.recovered",
            extra={"account_id": books.account.account_id},
        )


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

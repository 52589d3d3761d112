"""Hand over: a payout that waits -> the company's paying system -> sent, later, or a person's to decide.

Asked again with the same key and the same body until there is an answer, so that the other system can tell a repeat
from a new one. The same step looks for money that was withdrawn and not paid for too long.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.engine import Connection

from notifier.clock import Clock, to_millis
from notifier.domain.notice import NoticeReason
from notifier.domain.payout import Payout, PayoutState, after_failure
from notifier.errors import CallError, OutcomeUnknown
from notifier.flow.in_flight import InFlight, kept
from notifier.flow.notices import Telling
from notifier.store import audit, payouts, withdrawals
from notifier.store.audit import What
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

TOGETHER = 8
IDLE_MS = 1_000
LATE_EVERY_MS = 30_000
MOST_ALARMS = 20
"""At a time: a group that hears of hundreds at once hears nothing."""


class PayingSystem(Protocol):
    async def hand_over(self, order_id: str, body: bytes) -> int:
        """The HTTP status of a yes. Raises CallError: NotDone, OutcomeUnknown, or Refused when repeating is in vain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOverParts:
    """outside: None where payouts leave by export alone. late_after_ms: None for no alarm. wake: told when cards
    are to be changed or people told.
    """

    outside: PayingSystem | None
    telling: Telling
    give_up_after_ms: int
    late_after_ms: int | None
    clock: Clock
    wake: Callable[[], None]


class HandOver:
    """Holds the calls in flight. wake: a slot is free."""

    def __init__(self, database: Database, parts: HandOverParts, *, wake: Callable[[], None]) -> None:
        self._database = database
        self._parts = parts
        self._in_flight = InFlight(landed=wake)
        self._late_at = 0

    async def turn(self) -> float:
        """Seconds until it makes sense to look again (or until woken)."""
        now = self._now()
        if now >= self._late_at or self._late_at - now > LATE_EVERY_MS:  # or the clock was set back
            self._late_at = now + LATE_EVERY_MS
            await self._look_for_late_ones(now)
        if self._parts.outside is None:
            return IDLE_MS / 1000
        held, slots = self._in_flight.rows, TOGETHER - len(self._in_flight)
        if slots <= 0:
            return IDLE_MS / 1000
        due, again_at = await asyncio.wrap_future(
            self._database.write(lambda c: _claim(c, now=now, slots=slots, held=held))
        )
        for payout in due:
            self._in_flight.start(payout.id, self._hand_over(self._parts.outside, payout))
        return 0 if due else max(0, again_at - now) / 1000

    async def drain(self, seconds: float) -> None:
        """Lets calls in flight finish; the others are made again after the next start, with their key."""
        await self._in_flight.drain(seconds)

    async def _hand_over(self, outside: PayingSystem, payout: Payout) -> None:
        try:
            status = await outside.hand_over(payout.order_id, payout.body.encode())
        except CallError as error:
            await self._failed(payout, error)
            return
        except Exception as error:  # whatever nobody foresaw is a try like any other, with its pause
            log.exception("payout.call_failed", extra={"order_id": payout.order_id})
            await self._failed(payout, OutcomeUnknown(f"the call broke: {type(error).__name__}"))
            return
        now = self._now()

        def keep(connection: Connection) -> None:
            payouts.handed_over(connection, payout, now=now)
            _note(connection, payout, f"handed over (HTTP {status})", now)

        await kept(self._database.write(keep))
        self._parts.wake()
        log.info("payout.sent", extra={"order_id": payout.order_id, "status": status})

    async def _failed(self, payout: Payout, error: CallError) -> None:
        now = self._now()
        step = after_failure(
            payout,
            error,
            now=now,
            jitter=random.random(),  # noqa: S311 - spread, not secrecy
            give_up_after_ms=self._parts.give_up_after_ms,
        )

        def keep(connection: Connection) -> None:
            ours = payouts.not_handed_over(connection, payout, step)
            if not ours or step.state is not PayoutState.DEAD:
                return
            _note(connection, payout, f"given up: {step.reason}", now)
            self._alarm(connection, payout, NoticeReason.PAYOUT_DEAD, now, which=str(payout.due_at))

        await kept(self._database.write(keep))
        dead = step.state is PayoutState.DEAD
        log.log(
            logging.ERROR if dead else logging.WARNING,
            "payout.dead" if dead else "payout.again",
            extra={
                "order_id": payout.order_id,
                "reason": step.reason,
                "again_in_ms": None if dead else step.due_at - now,
            },
        )
        if dead:
            self._parts.wake()

    async def _look_for_late_ones(self, now: int) -> None:
        late_after = self._parts.late_after_ms
        if late_after is None:
            return

        def keep(connection: Connection) -> list[str]:
            late = payouts.late(connection, before=now - late_after, limit=MOST_ALARMS)
            for payout in late:
                payouts.alarmed(connection, payout, now=now)
                _note(connection, payout, f"late: withdrawn and still {payout.state}", now)
                self._alarm(connection, payout, NoticeReason.PAYOUT_LATE, now)
            return [payout.order_id for payout in late]

        late = await asyncio.wrap_future(self._database.write(keep))
        for order_id in late:
            log.error("payout.late", extra={"order_id": order_id})
        if late:
            self._parts.wake()

    def _alarm(
        self, connection: Connection, payout: Payout, reason: NoticeReason, now: int, *, which: str = ""
    ) -> None:
        withdrawal = withdrawals.by_order(connection, payout.order_id)
        if withdrawal is not None:
            self._parts.telling.alarm(connection, withdrawal, reason, now=now, which=which)

    def _now(self) -> int:
        return to_millis(self._parts.clock.now())


def _claim(connection: Connection, *, now: int, slots: int, held: frozenset[int]) -> tuple[list[Payout], int]:
    """What may go now; else when to ask again."""
    due_at = payouts.next_due(connection, held=held)
    if due_at is None or due_at > now:
        return [], now + IDLE_MS if due_at is None else min(due_at, now + IDLE_MS)
    return payouts.claim(connection, now=now, limit=slots, held=held), now


def _note(connection: Connection, payout: Payout, outcome: str, now: int) -> None:
    audit.write(
        connection,
        audit.Entry(
            at=now,
            what=What.PAYOUT,
            actor=audit.NOTIFIER,
            outcome=outcome,
            account_ref=payout.account_ref,
            order_id=payout.order_id,
        ),
    )

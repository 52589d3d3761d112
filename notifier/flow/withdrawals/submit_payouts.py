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
from notifier.flow.in_flight import InFlight, await_write
from notifier.flow.notices import NoticeWriter
from notifier.store import audit, payouts, withdrawals
from notifier.store.audit import AuditAction
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 8
IDLE_MS = 1_000
LATE_EVERY_MS = 30_000
MAX_ALARMS = 20
"""At a time: a group that hears of hundreds at once hears nothing."""


class PayoutGateway(Protocol):
    async def submit_payout(self, order_id: str, body: bytes) -> int:
        """The HTTP status of a yes. Raises CallError: NotDone, OutcomeUnknown, or Refused when repeating is in vain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitDeps:
    """outside: None where payouts leave by export alone. late_after_ms: None for no alarm. wake: told when cards
    are to be changed or people told.
    """

    gateway: PayoutGateway | None
    notices: NoticeWriter
    give_up_after_ms: int
    late_after_ms: int | None
    clock: Clock
    wake: Callable[[], None]


class PayoutSubmitter:
    """Holds the calls in flight. wake: a slot is free."""

    def __init__(self, database: Database, deps: SubmitDeps, *, wake: Callable[[], None]) -> None:
        self._database = database
        self._deps = deps
        self._in_flight = InFlight(on_finished=wake)
        self._late_at = 0

    async def run_once(self) -> float:
        """Seconds until it makes sense to look again (or until woken)."""
        now = self._now()
        if now >= self._late_at or self._late_at - now > LATE_EVERY_MS:  # or the clock was set back
            self._late_at = now + LATE_EVERY_MS
            await self._alarm_late_payouts(now)
        if self._deps.gateway is None:
            return IDLE_MS / 1000
        in_flight_ids, slots = self._in_flight.rows, MAX_IN_FLIGHT - len(self._in_flight)
        if slots <= 0:
            return IDLE_MS / 1000
        due, next_claim_at = await asyncio.wrap_future(
            self._database.write(lambda c: _claim(c, now=now, slots=slots, in_flight_ids=in_flight_ids))
        )
        for payout in due:
            self._in_flight.start(payout.id, self._submit(self._deps.gateway, payout))
        return 0 if due else max(0, next_claim_at - now) / 1000

    async def drain(self, seconds: float) -> None:
        """Lets calls in flight finish; the others are made again after the next start, with their key."""
        await self._in_flight.drain(seconds)

    async def _submit(self, gateway: PayoutGateway, payout: Payout) -> None:
        try:
            status = await gateway.submit_payout(payout.order_id, payout.body.encode())
        except CallError as error:
            await self._failed(payout, error)
            return
        except Exception as error:  # whatever nobody foresaw is a try like any other, with its pause
            log.exception("payout.call_failed", extra={"order_id": payout.order_id})
            await self._failed(payout, OutcomeUnknown(f"the call broke: {type(error).__name__}"))
            return
        now = self._now()

        def keep(connection: Connection) -> None:
            payouts.mark_submitted(connection, payout, now=now)
            _note(connection, payout, f"handed over (HTTP {status})", now)

        await await_write(self._database.write(keep))
        self._deps.wake()
        log.info("payout.sent", extra={"order_id": payout.order_id, "status": status})

    async def _failed(self, payout: Payout, error: CallError) -> None:
        now = self._now()
        step = after_failure(
            payout,
            error,
            now=now,
            jitter=random.random(),  # noqa: S311 - spread, not secrecy
            give_up_after_ms=self._deps.give_up_after_ms,
        )

        def keep(connection: Connection) -> None:
            ours = payouts.mark_submission_failed(connection, payout, step)
            if not ours or step.state is not PayoutState.DEAD:
                return
            _note(connection, payout, f"given up: {step.reason}", now)
            self._alarm(connection, payout, NoticeReason.PAYOUT_DEAD, now, which=str(payout.due_at))

        await await_write(self._database.write(keep))
        dead = step.state is PayoutState.DEAD
        log.log(
            logging.ERROR if dead else logging.WARNING,
            "payout.dead" if dead else "payout.postponed",
            extra={
                "order_id": payout.order_id,
                "reason": step.reason,
                "again_in_ms": None if dead else step.due_at - now,
            },
        )
        if dead:
            self._deps.wake()

    async def _alarm_late_payouts(self, now: int) -> None:
        late_after = self._deps.late_after_ms
        if late_after is None:
            return

        def keep(connection: Connection) -> list[str]:
            late = payouts.list_late(connection, before=now - late_after, limit=MAX_ALARMS)
            for payout in late:
                payouts.mark_late_notified(connection, payout, now=now)
                _note(connection, payout, f"late: withdrawn and still {payout.state}", now)
                self._alarm(connection, payout, NoticeReason.PAYOUT_LATE, now)
            return [payout.order_id for payout in late]

        late = await asyncio.wrap_future(self._database.write(keep))
        for order_id in late:
            log.error("payout.late", extra={"order_id": order_id})
        if late:
            self._deps.wake()

    def _alarm(
        self, connection: Connection, payout: Payout, reason: NoticeReason, now: int, *, which: str = ""
    ) -> None:
        withdrawal = withdrawals.find_by_order(connection, payout.order_id)
        if withdrawal is not None:
            self._deps.notices.alarm(connection, withdrawal, reason, now=now, which=which)

    def _now(self) -> int:
        return to_millis(self._deps.clock.now())


def _claim(
    connection: Connection, *, now: int, slots: int, in_flight_ids: frozenset[int]
) -> tuple[list[Payout], int]:
    """What may go now; else when to ask again."""
    due_at = payouts.get_next_due_at(connection, in_flight_ids=in_flight_ids)
    if due_at is None or due_at > now:
        return [], now + IDLE_MS if due_at is None else min(due_at, now + IDLE_MS)
    return payouts.claim_due(connection, now=now, limit=slots, in_flight_ids=in_flight_ids), now


def _note(connection: Connection, payout: Payout, outcome: str, now: int) -> None:
    audit.add_entries(
        connection,
        audit.AuditEntry(
            at=now,
            action=AuditAction.PAYOUT,
            actor=audit.NOTIFIER,
            outcome=outcome,
            account_ref=payout.account_ref,
            order_id=payout.order_id,
        ),
    )

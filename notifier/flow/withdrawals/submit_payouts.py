"""The worker that submits payouts to the payroll system, and alarms about payouts that are late.

Every retry has the same key and the same body, so that the payroll system recognises a repeat.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from notifier import metrics
from notifier.clock import Clock, Millis
from notifier.domain.notice import NoticeReason
from notifier.domain.payout import Payout, PayoutState, after_failure
from notifier.errors import CallError, OutcomeUnknown
from notifier.flow.call_worker import CallWorker, ClaimedJobs
from notifier.flow.notices import NoticeWriter
from notifier.flow.ports import PayoutGateway
from notifier.store import audit, payouts, withdrawals
from notifier.store.audit import AuditAction
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

_FAILURE_EVENTS = {
    PayoutState.PENDING: "payout.postponed",
    PayoutState.DEAD: "payout.given_up",
    PayoutState.UNKNOWN: "payout.outcome_lost",
}
"""Log events by the state after a failed call."""
LATE_CHECK_MS = 30_000
"""The interval between two checks for late payouts, in milliseconds."""
MAX_ALARMS = 20
"""Late payouts in one check. Hundreds of messages at once would hide each other in the group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitDeps:
    """The dependencies of a PayoutSubmitter."""

    gateway: PayoutGateway | None
    """The payroll system. None: payouts are exported only."""
    notices: NoticeWriter
    """Writes alarms."""
    give_up_after_ms: int
    """How long a payout is retried, in milliseconds."""
    late_after_ms: int | None
    """The age at which an unpaid payout is late, in milliseconds. None: no alarm."""
    clock: Clock
    """The source of the current time."""
    wake: Callable[[], None]
    """Called when cards must be updated or notices are queued."""


class PayoutSubmitter(CallWorker[Payout]):
    """Submits payouts, and alarms about payouts that are late."""

    def __init__(self, database: Database, deps: SubmitDeps, *, wake: Callable[[], None]) -> None:
        """wake: called when a call ends and its slot is free."""
        super().__init__(database, deps.clock, wake=wake)
        self._deps = deps
        self._late_check_at = 0

    async def run_once(self) -> float:
        """Checks for late payouts, then submits due ones. Returns the seconds until the next run."""
        now = self._now()
        if now >= self._late_check_at or self._late_check_at - now > LATE_CHECK_MS:  # the clock was set back
            self._late_check_at = now + LATE_CHECK_MS
            await self._alarm_late_payouts(now)
        if self._deps.gateway is None:
            return self.idle_ms / 1000
        return await super().run_once()

    def _claim(
        self, connection: Connection, *, now: Millis, free: int, in_flight_ids: frozenset[int]
    ) -> ClaimedJobs[Payout]:
        due_at = payouts.get_next_due_at(connection, in_flight_ids=in_flight_ids)
        if due_at is None or due_at > now:
            return ClaimedJobs(next_claim_at=due_at)
        due = payouts.claim_due(connection, now=now, limit=free, in_flight_ids=in_flight_ids)
        return ClaimedJobs(jobs=due, next_claim_at=now if due else None)

    def _row_id(self, job: Payout) -> int:
        return job.id

    async def _call(self, job: Payout) -> None:
        if self._deps.gateway is not None:
            await self._submit(self._deps.gateway, job)

    async def _submit(self, gateway: PayoutGateway, payout: Payout) -> None:
        try:
            status = await gateway.submit_payout(payout.order_id, payout.body.encode())
        except CallError as error:
            await self._failed(payout, error)
            return
        except Exception as error:  # an unexpected error counts as a failed attempt
            log.exception("payout.call_failed", extra={"order_id": payout.order_id})
            await self._failed(payout, OutcomeUnknown(f"the call broke: {type(error).__name__}"))
            return
        now = self._now()

        def save(connection: Connection) -> None:
            payouts.mark_submitted(connection, payout, now=now)
            _note(connection, payout, f"submitted (HTTP {status})", now)

        await self._store(save)
        metrics.PAYOUT_CALLS.labels("accepted").inc()
        self._deps.wake()
        log.info("payout.sent", extra={"order_id": payout.order_id, "status": status})

    async def _failed(self, payout: Payout, error: CallError) -> None:
        now = self._now()
        retry = after_failure(
            payout,
            error,
            now=now,
            jitter=random.random(),  # noqa: S311 - spread, not secrecy
            give_up_after_ms=self._deps.give_up_after_ms,
        )

        def save(connection: Connection) -> None:
            is_ours = payouts.mark_submission_failed(connection, payout, retry)
            if not is_ours or not is_given_up:
                return
            is_unknown = retry.state is PayoutState.UNKNOWN
            said = "given up, the outcome is not known" if is_unknown else "given up"
            _note(connection, payout, f"{said}: {retry.reason}", now)
            reason = NoticeReason.PAYOUT_UNKNOWN if is_unknown else NoticeReason.PAYOUT_DEAD
            self._alarm(connection, payout, reason, now, which=str(payout.due_at))

        is_given_up = retry.state is not PayoutState.PENDING
        await self._store(save)
        metrics.PAYOUT_CALLS.labels(metrics.to_result(error)).inc()
        log.log(
            logging.ERROR if is_given_up else logging.WARNING,
            _FAILURE_EVENTS[retry.state],
            extra={
                "order_id": payout.order_id,
                "reason": retry.reason,
                "again_in_ms": None if is_given_up else retry.due_at - now,
            },
        )
        if is_given_up:
            self._deps.wake()

    async def _alarm_late_payouts(self, now: Millis) -> None:
        late_after = self._deps.late_after_ms
        if late_after is None:
            return

        def save(connection: Connection) -> list[str]:
            late = payouts.list_late(connection, before=now - late_after, limit=MAX_ALARMS)
            for payout in late:
                payouts.mark_late_notified(connection, payout, now=now)
                _note(connection, payout, f"late: withdrawn and still {payout.state}", now)
                self._alarm(connection, payout, NoticeReason.PAYOUT_LATE, now)
            return [payout.order_id for payout in late]

        late = await asyncio.wrap_future(self._database.write(save))
        for order_id in late:
            log.error("payout.delayed", extra={"order_id": order_id})
        if late:
            self._deps.wake()

    def _alarm(
        self, connection: Connection, payout: Payout, reason: NoticeReason, now: Millis, *, which: str = ""
    ) -> None:
        withdrawal = withdrawals.find_by_order(connection, payout.order_id)
        if withdrawal is not None:
            self._deps.notices.alarm(connection, withdrawal, reason, now=now, which=which)


def _note(connection: Connection, payout: Payout, outcome: str, now: Millis) -> None:
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

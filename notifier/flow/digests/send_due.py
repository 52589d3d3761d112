"""The worker that sends digests when they are due, and the scheduler that wakes it.

APScheduler wakes the worker at each time of a plan's cron expression. The rows decide what is due, so a wake-up that is
missed, late or doubled changes nothing. Missed periods within `catch_up` are sent oldest first, each on its own card
that says so. Older ones are stored as missed.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy.engine import Connection

from notifier.clock import DAY_MS, Millis, to_millis
from notifier.config.cron import make_trigger
from notifier.domain.digest import DigestPlan
from notifier.domain.period import Period
from notifier.flow.digests.personal_digests import REFERRERS, send_personal_digests
from notifier.flow.digests.schedule import Due, due_between, next_due
from notifier.flow.digests.send_digest import DigestDeps, DigestResult, make_run_key, send_digest
from notifier.store.digests import digest_runs
from notifier.store.digests.digest_runs import DigestRunState
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

LOOK_BACK_MS = 62 * DAY_MS
"""A missed period that is older is not stored as missed."""
IDLE_SECONDS = 1.0
"""The pause between two checks of the clock."""
NO_PLANS_SECONDS = 60.0
"""The pause when no digest is configured."""
RETRY_MS = 30_000
"""The pause before a digest that failed is tried again."""


class DigestSender:
    """Sends digests that are due."""

    def __init__(self, database: Database, deps: DigestDeps) -> None:
        self._database = database
        self._deps = deps
        self._next_check_at = 0
        self._last_check_at = 0

    async def run_once(self) -> float:
        """Sends what is due. Returns the seconds until the next run.

        The due times are computed once, and again when one has passed or the clock was set back.
        """
        now = self._now()
        if not self._deps.plans:
            return NO_PLANS_SECONDS
        if self._last_check_at <= now < self._next_check_at or self._deps.is_clock_doubtful():
            return IDLE_SECONDS
        self._last_check_at = now
        self._next_check_at = now + DAY_MS
        for plan in self._deps.plans:
            try:
                if await self._send_due(plan, now):
                    self._next_check_at = now
                    return 0
                next_run = next_due(plan, now)
                next_at = next_run.at if next_run is not None else now + DAY_MS
            except Exception:  # a digest that fails must not stop the others
                log.exception("digest.failed", extra={"digest": plan.name})
                next_at = now + RETRY_MS
            self._next_check_at = min(self._next_check_at, next_at)
        return IDLE_SECONDS

    async def _send_due(self, plan: DigestPlan, now: Millis) -> bool:
        """Returns True when more referrers are left to notify."""
        late_from = now - plan.catch_up_ms
        due, missed = await asyncio.wrap_future(
            self._database.write(lambda c: self._find_due(c, plan, late_from, now))
        )
        for each in missed:
            log.error("digest.missed", extra={"digest": plan.name, "period": each.period.label})
        for each in due:
            result = await send_digest(self._database, self._deps, plan, each.period, due_at=each.at)
            _log(plan, each.period, result)
            if plan.to_referrers and await self._send_personal_page(plan, each, now):
                return True
        return False

    def _find_due(
        self, connection: Connection, plan: DigestPlan, late_from: Millis, now: Millis
    ) -> tuple[list[Due], list[Due]]:
        """Returns the periods to send, and those that are too old, which it stores as missed."""
        digest_runs.forget_runs_ahead(connection, plan.name, now=now)
        registered_at = digest_runs.register_digest(connection, plan.name, now=now)
        came_due = due_between(plan, max(registered_at, now - LOOK_BACK_MS), now)
        labels, recipients = [due.period.label for due in came_due], _recipients(plan)
        finished = digest_runs.list_finished(connection, plan.name, labels, recipients)
        started = {
            period for period, _ in digest_runs.list_in_progress(connection, plan.name, labels, recipients)
        }
        unfinished = [
            due
            for due in came_due
            if any((due.period.label, recipient) not in finished for recipient in recipients)
        ]
        missed = [due for due in unfinished if due.at <= late_from and due.period.label not in started]
        for due in missed:
            for recipient in recipients:
                run_key = make_run_key(plan, due.period, recipient, due_at=due.at, now=now)
                digest_runs.claim_run(connection, run_key, state=DigestRunState.MISSED, content=None)
        return [due for due in unfinished if due not in missed], missed

    async def _send_personal_page(self, plan: DigestPlan, due: Due, now: Millis) -> bool:
        """Queues the digests of the next referrers. Returns True while others are left."""
        run_key = make_run_key(plan, due.period, REFERRERS, due_at=due.at, now=now)
        return await send_personal_digests(self._database, self._deps, plan, run_key)

    def _now(self) -> Millis:
        return to_millis(self._deps.clock.now())


def schedule(plans: Sequence[DigestPlan], wake: Callable[[], None]) -> AsyncIOScheduler:
    """Creates a scheduler that calls `wake` at every cron time of every plan. The caller starts it.

    The worker itself adds the jitter, moves times on days off, and finds the period.
    """
    job_defaults = {"coalesce": True, "misfire_grace_time": None}
    # every trigger has its own zone; without this one the scheduler would ask for the zone of the machine
    scheduler = AsyncIOScheduler(job_defaults=job_defaults, timezone=UTC)
    for plan in plans:
        scheduler.add_job(wake, make_trigger(plan.cron, plan.zone), id=plan.name)
    return scheduler


def _recipients(plan: DigestPlan) -> tuple[str, ...]:
    return (*plan.groups, *((REFERRERS,) if plan.to_referrers else ()))


def _log(plan: DigestPlan, period: Period, result: DigestResult) -> None:
    log.info(
        "digest.sent",
        extra={
            "digest": plan.name,
            "period": period.label,
            "groups": ",".join(result.recipients) or None,
            "quiet": ",".join(result.quiet) or None,
            "known": ",".join(result.known) or None,
        },
    )

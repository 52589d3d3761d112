"""Digest: the clock says when, a unique row says who -> figures from the books -> deliveries of cards and files.

APScheduler wakes the step at each time of the timetable; what is due is then worked out anew from the rows, so that a
wake-up that is missed, late or doubled changes nothing. Periods that came due while nobody ran are told oldest first,
each on a card of its own that says so; those of longer ago than `catch_up` are noted as missed.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy.engine import Connection

from notifier.clock import Clock, Millis, to_millis
from notifier.cron import make_trigger
from notifier.domain.digest import AssetFlow, Digest, DigestPlan
from notifier.domain.money import Asset, Kind
from notifier.domain.period import Period
from notifier.domain.route import REFERRER
from notifier.flow.digests.figures import Figures, Fit, gather
from notifier.flow.digests.schedule import Due, due_between, next_due
from notifier.flow.notices import NoticeWriter
from notifier.store.digests import digest_runs, period_totals
from notifier.store.digests.digest_runs import DigestRunKey, DigestRunState
from notifier.store.digests.period_totals import TimeRange
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

DAY_MS = 86_400_000
LOOK_BACK_MS = 62 * DAY_MS
"""A missed period of longer ago is not even noted."""
MAX_IN_FLIGHT = 100
"""Referrers told in one transaction."""
IDLE_SECONDS = 1.0
AGAIN_MS = 30_000
"""A digest that could not be made is tried again after this."""
REFERRERS = "referrers"
"""The recipient that stands for all of them in the books."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestDeps:
    """fit: see digest_fit. kinds: that can be withdrawn. late_after_ms: as in SubmitDeps. wake: told when there are
    cards to send or owners to look up.
    """

    plans: Sequence[DigestPlan]
    notices: NoticeWriter
    fit: Fit
    kinds: tuple[Kind, ...]
    late_after_ms: int | None
    clock: Clock
    wake: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestResult:
    """What telling a period came to. recipients: to whom it goes now; quiet: nothing happened, and so nothing is said;
    known: they have it already.
    """

    recipients: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


class DigestSender:
    """turn() tells what is due."""

    def __init__(self, database: Database, deps: DigestDeps) -> None:
        self._database = database
        self._deps = deps
        self._asleep_until = 0
        self._last_look = 0

    async def run_once(self) -> float:
        """Seconds until it makes sense to look again. A clock that was set back is looked at anew."""
        now = self._now()
        if not self._deps.plans:
            return 60.0
        if self._last_look <= now < self._asleep_until:
            return IDLE_SECONDS
        self._last_look = now
        self._asleep_until = now + DAY_MS
        for plan in self._deps.plans:
            try:
                if await self._send_due(plan, now):
                    self._asleep_until = now
                    return 0
                coming = next_due(plan, now)
                next_at = coming.at if coming is not None else now + DAY_MS
            except Exception:  # one digest that cannot be made must not keep the others from being told
                log.exception("digest.failed", extra={"digest": plan.name})
                next_at = now + AGAIN_MS
            self._asleep_until = min(self._asleep_until, next_at)
        return IDLE_SECONDS

    async def _send_due(self, plan: DigestPlan, now: Millis) -> bool:
        """True when there is more to do at once."""
        late_from = now - plan.catch_up_ms
        due, missed = await asyncio.wrap_future(
            self._database.write(lambda c: self._unsettled(c, plan, late_from, now))
        )
        for each in missed:
            log.error("digest.missed", extra={"digest": plan.name, "period": each.period.label})
        for each in due:
            told = await send_digest(self._database, self._deps, plan, each.period, due_at=each.at)
            _log(plan, each.period, told)
            if plan.to_referrers and await self._send_personal_page(plan, each, now):
                return True
        return False

    def _unsettled(
        self, connection: Connection, plan: DigestPlan, late_from: Millis, now: Millis
    ) -> tuple[list[Due], list[Due]]:
        """What is to be told, and what nobody will tell; the latter is noted."""
        known_since = digest_runs.register_digest(connection, plan.name, now=now)
        came = due_between(plan, max(known_since, now - LOOK_BACK_MS), now)
        labels, recipients = [due.period.label for due in came], _recipients(plan)
        settled = digest_runs.list_finished(connection, plan.name, labels, recipients)
        begun = {
            period for period, _ in digest_runs.list_in_progress(connection, plan.name, labels, recipients)
        }
        open_ones = [
            due
            for due in came
            if any((due.period.label, recipient) not in settled for recipient in recipients)
        ]
        missed = [due for due in open_ones if due.at <= late_from and due.period.label not in begun]
        for due in missed:
            for recipient in recipients:
                right = _right(plan, due.period, recipient, due_at=due.at, now=now)
                digest_runs.claim_run(connection, right, state=DigestRunState.MISSED, content=None)
        return [due for due in open_ones if due not in missed], missed

    async def _send_personal_page(self, plan: DigestPlan, due: Due, now: Millis) -> bool:
        """Tells some more referrers. True while there are others left."""
        right = _right(plan, due.period, REFERRERS, due_at=due.at, now=now)
        return await send_personal_digests(self._database, self._deps, plan, right)

    def _now(self) -> int:
        return to_millis(self._deps.clock.now())


def schedule(plans: Sequence[DigestPlan], wake: Callable[[], None]) -> AsyncIOScheduler:
    """Not started. Wakes at every time of every plan; jitter, days off and periods are the step's to know."""
    scheduler = AsyncIOScheduler(job_defaults={"coalesce": True, "misfire_grace_time": None})
    for plan in plans:
        scheduler.add_job(wake, make_trigger(plan.cron, plan.zone), id=plan.name)
    return scheduler


async def send_digest(
    database: Database,
    deps: DigestDeps,
    plan: DigestPlan,
    period: Period,
    *,
    due_at: Millis | None = None,
    again: bool = False,
) -> DigestResult:
    """To the plan's groups: figures outside of any write, then rights, cards and files in one transaction. again: as a
    correction, to those who had it too.
    """
    if not plan.groups:
        return DigestResult()
    now = to_millis(deps.clock.now())
    if due_at is None:
        await asyncio.wrap_future(
            database.write(lambda c: digest_runs.delete_missed(c, plan.name, period.label, plan.groups))
        )
    if not again and not await asyncio.wrap_future(
        database.write(lambda c: _has_recipients(c, plan, period))
    ):
        return DigestResult(known=plan.groups)
    figures = await asyncio.to_thread(figures_of, database, deps, plan, period, due_at=due_at, now=now)
    told = await asyncio.wrap_future(
        database.write(lambda c: _save(c, deps, plan, figures, due_at=due_at, again=again))
    )
    deps.wake()
    return told


def figures_of(
    database: Database,
    deps: DigestDeps,
    plan: DigestPlan,
    period: Period,
    *,
    due_at: Millis | None,
    now: Millis,
) -> Figures:
    late_before = None if deps.late_after_ms is None else now - deps.late_after_ms
    with database.read() as connection:
        return gather(
            connection,
            plan,
            period,
            due_at=due_at,
            now=now,
            late_before=late_before,
            kinds=deps.kinds,
            fit=deps.fit,
        )


def _has_recipients(connection: Connection, plan: DigestPlan, period: Period) -> bool:
    settled = digest_runs.list_finished(connection, plan.name, [period.label], plan.groups)
    return any((period.label, group) not in settled for group in plan.groups)


def _save(
    connection: Connection,
    deps: DigestDeps,
    plan: DigestPlan,
    figures: Figures,
    *,
    due_at: Millis | None,
    again: bool,
) -> DigestResult:
    digest, period = figures.digest, figures.digest.period
    told: dict[str, list[str]] = {"recipients": [], "quiet": [], "known": []}
    file_ids: list[int] = []
    quiet = (
        plan.skip_quiet and digest.is_quiet and not digest.stalled.undelivered and not digest.stalled.payouts
    )
    for group in plan.groups:
        correction_number = (
            digest_runs.get_next_correction(connection, plan.name, period.label, group) if again else 0
        )
        right = _right(
            plan, period, group, due_at=due_at, now=digest.created_at, correction_number=correction_number
        )
        opening = {asset: flow.opening for asset, flow in digest.flows.items()}
        before = digest_runs.get_previous_closing(connection, plan.name, group, period)
        content = replace(
            digest,
            correction_number=correction_number,
            previous_closing=digest_runs.get_correction(before, opening),
        )
        state = DigestRunState.EMPTY if quiet else DigestRunState.NOTIFIED
        run_id = digest_runs.claim_run(connection, right, state=state, content=content)
        if run_id is None:
            told["known"].append(group)
            continue
        told["quiet" if quiet else "recipients"].append(group)
        if quiet:
            continue
        recipient = deps.notices.address_book.recipient(group, None)
        digest_runs.create_delivery(connection, right, run_id, target=group, recipient=recipient)
        file_ids = file_ids or [
            digest_runs.create_file(connection, name=file.name, rows=file.rows, compressed=file.compressed)
            for file in figures.files
        ]
        for file_id in file_ids:
            digest_runs.create_delivery(
                connection, right, run_id, target=group, recipient=recipient, file_id=file_id
            )
    return DigestResult(**{name: tuple(groups) for name, groups in told.items()})


async def send_personal_digests(
    database: Database, deps: DigestDeps, plan: DigestPlan, right: DigestRunKey
) -> bool:
    """The next referrers hear of their own period. False when all have."""
    more = await asyncio.wrap_future(database.write(lambda c: _send_personal_page(c, deps, plan, right)))
    deps.wake()
    return more


def _send_personal_page(
    connection: Connection, deps: DigestDeps, plan: DigestPlan, right: DigestRunKey
) -> bool:
    begun = digest_runs.claim_or_resume(connection, right)
    if begun is None:
        return False
    run_id, after_ref = begun
    account_refs = period_totals.list_account_refs(connection, after_ref=after_ref, limit=MAX_IN_FLIGHT)
    stretch = TimeRange(from_at=right.period.from_at, to_at=right.period.to_at)
    rows = period_totals.iter_account_totals(connection, stretch, account_refs=account_refs)
    for ref, own in groupby(rows, key=lambda row: row.account_ref):
        _send_one(connection, deps, plan, right, ref, {row.asset: row.flow for row in own})
    digest_runs.save_progress(
        connection, run_id, account_ref=account_refs[-1] if len(account_refs) == MAX_IN_FLIGHT else None
    )
    if len(account_refs) < MAX_IN_FLIGHT:
        log.info("digest.personal_sent", extra={"digest": plan.name, "period": right.period.label})
    return len(account_refs) == MAX_IN_FLIGHT


def _send_one(
    connection: Connection,
    deps: DigestDeps,
    plan: DigestPlan,
    right: DigestRunKey,
    ref: int,
    flows: Mapping[Asset, AssetFlow],
) -> None:
    """Who has nothing and had no change is not in the books of the period, and hears nothing."""
    digest = own_digest(plan, right, flows)
    if plan.skip_quiet and digest.is_quiet:
        return
    own = replace(right, recipient=f"account:{ref}")
    run_id = digest_runs.claim_run(connection, own, state=DigestRunState.NOTIFIED, content=digest)
    if run_id is not None:
        recipient = deps.notices.known_recipient(connection, ref, REFERRER, right.created_at)
        digest_runs.create_delivery(
            connection, own, run_id, target=REFERRER, recipient=recipient, account_ref=ref
        )


def own_digest(plan: DigestPlan, right: DigestRunKey, flows: Mapping[Asset, AssetFlow]) -> Digest:
    """A referrer's own. flows: of the own account in the period."""
    moved = any(flow.net or flow.rewards or flow.withdrawn for flow in flows.values())
    return Digest(
        name=plan.name,
        period=right.period,
        due_at=right.due_at,
        created_at=right.created_at,
        correction_number=right.correction_number,
        flows=flows,
        changed_accounts=1 if moved else 0,
        offers_withdrawal=plan.withdraw,
        zone=plan.zone.key,
    )


def _right(
    plan: DigestPlan,
    period: Period,
    recipient: str,
    *,
    due_at: Millis | None,
    now: Millis,
    correction_number: int = 0,
) -> DigestRunKey:
    return DigestRunKey(
        digest=plan.name,
        period=period,
        recipient=recipient,
        correction_number=correction_number,
        due_at=due_at,
        created_at=now,
    )


def _recipients(plan: DigestPlan) -> tuple[str, ...]:
    return (*plan.groups, *((REFERRERS,) if plan.to_referrers else ()))


def _log(plan: DigestPlan, period: Period, told: DigestResult) -> None:
    log.info(
        "digest.sent",
        extra={
            "digest": plan.name,
            "period": period.label,
            "groups": ",".join(told.recipients) or None,
            "quiet": ",".join(told.quiet) or None,
            "known": ",".join(told.known) or None,
        },
    )

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
from notifier.cron import trigger
from notifier.domain.digest import Digest, Flow, Plan
from notifier.domain.money import Asset, Kind
from notifier.domain.period import Period
from notifier.domain.route import REFERRER
from notifier.flow.digests.figures import Figures, Fit, gather
from notifier.flow.digests.schedule import Due, due_between, next_due
from notifier.flow.notices import Telling
from notifier.store.digests import digest_runs, period_totals
from notifier.store.digests.digest_runs import Right, RunState
from notifier.store.digests.period_totals import Stretch
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

DAY_MS = 86_400_000
LOOK_BACK_MS = 62 * DAY_MS
"""A missed period of longer ago is not even noted."""
TOGETHER = 100
"""Referrers told in one transaction."""
IDLE_SECONDS = 1.0
AGAIN_MS = 30_000
"""A digest that could not be made is tried again after this."""
REFERRERS = "referrers"
"""The recipient that stands for all of them in the books."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestParts:
    """fit: see digest_fit. kinds: that can be withdrawn. late_after_ms: as in HandOverParts. wake: told when there are
    cards to send or owners to look up.
    """

    plans: Sequence[Plan]
    telling: Telling
    fit: Fit
    kinds: tuple[Kind, ...]
    late_after_ms: int | None
    clock: Clock
    wake: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What telling a period came to. recipients: to whom it goes now; quiet: nothing happened, and so nothing is said;
    known: they have it already.
    """

    recipients: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


class Digester:
    """turn() tells what is due."""

    def __init__(self, database: Database, parts: DigestParts) -> None:
        self._database = database
        self._parts = parts
        self._asleep_until = 0
        self._last_look = 0

    async def turn(self) -> float:
        """Seconds until it makes sense to look again. A clock that was set back is looked at anew."""
        now = self._now()
        if not self._parts.plans:
            return 60.0
        if self._last_look <= now < self._asleep_until:
            return IDLE_SECONDS
        self._last_look = now
        self._asleep_until = now + DAY_MS
        for plan in self._parts.plans:
            try:
                if await self._tell_due(plan, now):
                    self._asleep_until = now
                    return 0
                coming = next_due(plan, now)
                next_at = coming.at if coming is not None else now + DAY_MS
            except Exception:  # one digest that cannot be made must not keep the others from being told
                log.exception("digest.failed", extra={"digest": plan.name})
                next_at = now + AGAIN_MS
            self._asleep_until = min(self._asleep_until, next_at)
        return IDLE_SECONDS

    async def _tell_due(self, plan: Plan, now: Millis) -> bool:
        """True when there is more to do at once."""
        late_from = now - plan.catch_up_ms
        due, missed = await asyncio.wrap_future(
            self._database.write(lambda c: self._unsettled(c, plan, late_from, now))
        )
        for each in missed:
            log.error("digest.missed", extra={"digest": plan.name, "period": each.period.label})
        for each in due:
            told = await tell(self._database, self._parts, plan, each.period, due_at=each.at)
            _log(plan, each.period, told)
            if plan.to_referrers and await self._spread(plan, each, now):
                return True
        return False

    def _unsettled(
        self, connection: Connection, plan: Plan, late_from: Millis, now: Millis
    ) -> tuple[list[Due], list[Due]]:
        """What is to be told, and what nobody will tell; the latter is noted."""
        known_since = digest_runs.known_since(connection, plan.name, now=now)
        came = due_between(plan, max(known_since, now - LOOK_BACK_MS), now)
        labels, recipients = [due.period.label for due in came], _recipients(plan)
        settled = digest_runs.settled(connection, plan.name, labels, recipients)
        begun = {period for period, _ in digest_runs.begun(connection, plan.name, labels, recipients)}
        open_ones = [
            due
            for due in came
            if any((due.period.label, recipient) not in settled for recipient in recipients)
        ]
        missed = [due for due in open_ones if due.at <= late_from and due.period.label not in begun]
        for due in missed:
            for recipient in recipients:
                right = _right(plan, due.period, recipient, due_at=due.at, now=now)
                digest_runs.take(connection, right, state=RunState.MISSED, content=None)
        return [due for due in open_ones if due not in missed], missed

    async def _spread(self, plan: Plan, due: Due, now: Millis) -> bool:
        """Tells some more referrers. True while there are others left."""
        right = _right(plan, due.period, REFERRERS, due_at=due.at, now=now)
        return await spread(self._database, self._parts, plan, right)

    def _now(self) -> int:
        return to_millis(self._parts.clock.now())


def schedule(plans: Sequence[Plan], wake: Callable[[], None]) -> AsyncIOScheduler:
    """Not started. Wakes at every time of every plan; jitter, days off and periods are the step's to know."""
    scheduler = AsyncIOScheduler(job_defaults={"coalesce": True, "misfire_grace_time": None})
    for plan in plans:
        scheduler.add_job(wake, trigger(plan.cron, plan.zone), id=plan.name)
    return scheduler


async def tell(
    database: Database,
    parts: DigestParts,
    plan: Plan,
    period: Period,
    *,
    due_at: Millis | None = None,
    again: bool = False,
) -> Told:
    """To the plan's groups: figures outside of any write, then rights, cards and files in one transaction. again: as a
    correction, to those who had it too.
    """
    if not plan.groups:
        return Told()
    now = to_millis(parts.clock.now())
    if due_at is None:
        await asyncio.wrap_future(
            database.write(lambda c: digest_runs.forget_missed(c, plan.name, period.label, plan.groups))
        )
    if not again and not await asyncio.wrap_future(database.write(lambda c: _anybody(c, plan, period))):
        return Told(known=plan.groups)
    figures = await asyncio.to_thread(figures_of, database, parts, plan, period, due_at=due_at, now=now)
    told = await asyncio.wrap_future(
        database.write(lambda c: _keep(c, parts, plan, figures, due_at=due_at, again=again))
    )
    parts.wake()
    return told


def figures_of(
    database: Database, parts: DigestParts, plan: Plan, period: Period, *, due_at: Millis | None, now: Millis
) -> Figures:
    late_before = None if parts.late_after_ms is None else now - parts.late_after_ms
    with database.read() as connection:
        return gather(
            connection,
            plan,
            period,
            due_at=due_at,
            now=now,
            late_before=late_before,
            kinds=parts.kinds,
            fit=parts.fit,
        )


def _anybody(connection: Connection, plan: Plan, period: Period) -> bool:
    settled = digest_runs.settled(connection, plan.name, [period.label], plan.groups)
    return any((period.label, group) not in settled for group in plan.groups)


def _keep(
    connection: Connection,
    parts: DigestParts,
    plan: Plan,
    figures: Figures,
    *,
    due_at: Millis | None,
    again: bool,
) -> Told:
    digest, period = figures.digest, figures.digest.period
    told: dict[str, list[str]] = {"recipients": [], "quiet": [], "known": []}
    file_ids: list[int] = []
    quiet = plan.skip_quiet and digest.is_quiet and not digest.stuck.undelivered and not digest.stuck.payouts
    for group in plan.groups:
        edition = digest_runs.next_edition(connection, plan.name, period.label, group) if again else 0
        right = _right(plan, period, group, due_at=due_at, now=digest.born_at, edition=edition)
        opening = {asset: flow.opening for asset, flow in digest.flows.items()}
        before = digest_runs.closing_before(connection, plan.name, group, period)
        content = replace(digest, edition=edition, told_before=digest_runs.unlike(before, opening))
        state = RunState.QUIET if quiet else RunState.TOLD
        run_id = digest_runs.take(connection, right, state=state, content=content)
        if run_id is None:
            told["known"].append(group)
            continue
        told["quiet" if quiet else "recipients"].append(group)
        if quiet:
            continue
        recipient = parts.telling.book.recipient(group, None)
        digest_runs.add_delivery(connection, right, run_id, target=group, recipient=recipient)
        file_ids = file_ids or [
            digest_runs.add_file(connection, name=file.name, rows=file.rows, packed=file.packed)
            for file in figures.files
        ]
        for file_id in file_ids:
            digest_runs.add_delivery(
                connection, right, run_id, target=group, recipient=recipient, file_id=file_id
            )
    return Told(**{name: tuple(groups) for name, groups in told.items()})


async def spread(database: Database, parts: DigestParts, plan: Plan, right: Right) -> bool:
    """The next referrers hear of their own period. False when all have."""
    more = await asyncio.wrap_future(database.write(lambda c: _spread(c, parts, plan, right)))
    parts.wake()
    return more


def _spread(connection: Connection, parts: DigestParts, plan: Plan, right: Right) -> bool:
    begun = digest_runs.spreading(connection, right)
    if begun is None:
        return False
    run_id, after_ref = begun
    refs = period_totals.accounts_from(connection, after_ref=after_ref, limit=TOGETHER)
    stretch = Stretch(from_at=right.period.from_at, to_at=right.period.to_at)
    rows = period_totals.book_rows(connection, stretch, refs=refs)
    for ref, own in groupby(rows, key=lambda row: row.account_ref):
        _tell_one(connection, parts, plan, right, ref, {row.asset: row.flow for row in own})
    digest_runs.spread_to(connection, run_id, ref=refs[-1] if len(refs) == TOGETHER else None)
    if len(refs) < TOGETHER:
        log.info("digest.spread", extra={"digest": plan.name, "period": right.period.label})
    return len(refs) == TOGETHER


def _tell_one(
    connection: Connection,
    parts: DigestParts,
    plan: Plan,
    right: Right,
    ref: int,
    flows: Mapping[Asset, Flow],
) -> None:
    """Who has nothing and had no change is not in the books of the period, and hears nothing."""
    digest = own_digest(plan, right, flows)
    if plan.skip_quiet and digest.is_quiet:
        return
    own = replace(right, recipient=f"account:{ref}")
    run_id = digest_runs.take(connection, own, state=RunState.TOLD, content=digest)
    if run_id is not None:
        recipient = parts.telling.known_recipient(connection, ref, REFERRER, right.born_at)
        digest_runs.add_delivery(
            connection, own, run_id, target=REFERRER, recipient=recipient, account_ref=ref
        )


def own_digest(plan: Plan, right: Right, flows: Mapping[Asset, Flow]) -> Digest:
    """A referrer's own. flows: of the own account in the period."""
    moved = any(flow.net or flow.rewards or flow.withdrawn for flow in flows.values())
    return Digest(
        name=plan.name,
        period=right.period,
        due_at=right.due_at,
        born_at=right.born_at,
        edition=right.edition,
        flows=flows,
        people=1 if moved else 0,
        offers=plan.withdraw,
        zone=plan.zone.key,
    )


def _right(
    plan: Plan, period: Period, recipient: str, *, due_at: Millis | None, now: Millis, edition: int = 0
) -> Right:
    return Right(
        digest=plan.name, period=period, recipient=recipient, edition=edition, due_at=due_at, born_at=now
    )


def _recipients(plan: Plan) -> tuple[str, ...]:
    return (*plan.groups, *((REFERRERS,) if plan.to_referrers else ()))


def _log(plan: Plan, period: Period, told: Told) -> None:
    log.info(
        "digest.told",
        extra={
            "digest": plan.name,
            "period": period.label,
            "groups": ",".join(told.recipients) or None,
            "quiet": ",".join(told.quiet) or None,
            "known": ",".join(told.known) or None,
        },
    )

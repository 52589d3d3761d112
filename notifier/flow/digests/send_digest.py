"""Sends one digest of one period to its groups. A unique row per recipient guarantees a single send."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection

from notifier.clock import Clock, Millis, to_millis
from notifier.domain.digest import DigestPlan, get_correction
from notifier.domain.money import Kind
from notifier.domain.period import Period
from notifier.flow.digests.figures import Figures, Fit, gather
from notifier.flow.notices import NoticeWriter
from notifier.store.digests import digest_runs, stored_files
from notifier.store.digests.digest_runs import DigestRunKey, DigestRunState
from notifier.store.engine.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestDeps:
    """The dependencies of everything that sends digests."""

    plans: Sequence[DigestPlan]
    """The configured digests."""
    notices: NoticeWriter
    """Names the recipients."""
    fit: Fit
    """Removes table rows until the card is within Feishu's limits."""
    kinds: tuple[Kind, ...]
    """The kinds of balance that can be withdrawn."""
    late_after_ms: int | None
    """The age at which an unpaid payout is late, in milliseconds. None: no payout is late."""
    clock: Clock
    """The source of the current time."""
    wake: Callable[[], None]
    """Called when deliveries are queued or referrers must be looked up."""
    is_clock_doubtful: Callable[[], bool] = lambda: False
    """Whether the clock may be wrong. Nothing is sent by schedule meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestResult:
    """The groups of one digest, by what happened for each."""

    recipients: tuple[str, ...] = ()
    """Groups that get the digest now."""
    quiet: tuple[str, ...] = ()
    """Groups that get none, as nothing happened in the period."""
    known: tuple[str, ...] = ()
    """Groups that got it earlier."""


async def send_digest(
    database: Database,
    deps: DigestDeps,
    plan: DigestPlan,
    period: Period,
    *,
    due_at: Millis | None = None,
    again: bool = False,
) -> DigestResult:
    """Computes the figures of the period and queues a card for each group of the plan, with its files.

    The figures are computed outside a write transaction, as this may take seconds.
    due_at: the scheduled time in Unix milliseconds; None for a digest that an operator sends.
    again: also send to groups that got it earlier, as a correction.
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
    result = await asyncio.wrap_future(
        database.write(lambda c: _queue(c, deps, plan, figures, due_at=due_at, again=again))
    )
    deps.wake()
    return result


def figures_of(
    database: Database,
    deps: DigestDeps,
    plan: DigestPlan,
    period: Period,
    *,
    due_at: Millis | None,
    now: Millis,
) -> Figures:
    """Computes the figures of a period in one read transaction. due_at, now: in Unix milliseconds."""
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


def make_run_key(
    plan: DigestPlan,
    period: Period,
    recipient: str,
    *,
    due_at: Millis | None,
    now: Millis,
    correction_number: int = 0,
) -> DigestRunKey:
    """Names the unique row of a digest, period, recipient and correction. due_at, now: in Unix milliseconds."""
    return DigestRunKey(
        digest=plan.name,
        period=period,
        recipient=recipient,
        correction_number=correction_number,
        due_at=due_at,
        created_at=now,
    )


def _has_recipients(connection: Connection, plan: DigestPlan, period: Period) -> bool:
    finished = digest_runs.list_finished(connection, plan.name, [period.label], plan.groups)
    return any((period.label, group) not in finished for group in plan.groups)


def _queue(
    connection: Connection,
    deps: DigestDeps,
    plan: DigestPlan,
    figures: Figures,
    *,
    due_at: Millis | None,
    again: bool,
) -> DigestResult:
    digest, period = figures.digest, figures.digest.period
    groups_by_result: dict[str, list[str]] = {"recipients": [], "quiet": [], "known": []}
    file_ids: list[int] = []
    quiet = (
        plan.skip_quiet and digest.is_quiet and not digest.stalled.undelivered and not digest.stalled.payouts
    )
    for group in plan.groups:
        correction_number = (
            digest_runs.get_next_correction(connection, plan.name, period.label, group) if again else 0
        )
        run_key = make_run_key(
            plan, period, group, due_at=due_at, now=digest.created_at, correction_number=correction_number
        )
        opening = {asset: flow.opening for asset, flow in digest.flows.items()}
        previous_closing = digest_runs.get_previous_closing(connection, plan.name, group, period)
        content = replace(
            digest,
            correction_number=correction_number,
            previous_closing=get_correction(previous_closing, opening),
        )
        state = DigestRunState.EMPTY if quiet else DigestRunState.NOTIFIED
        run_id = digest_runs.claim_run(connection, run_key, state=state, content=content)
        if run_id is None:
            groups_by_result["known"].append(group)
            continue
        groups_by_result["quiet" if quiet else "recipients"].append(group)
        if quiet:
            continue
        recipient = deps.notices.address_book.recipient(group, None)
        digest_runs.create_delivery(connection, run_key, run_id, target=group, recipient=recipient)
        file_ids = file_ids or [
            stored_files.create_file(connection, name=file.name, rows=file.rows, compressed=file.compressed)
            for file in figures.files
        ]
        for file_id in file_ids:
            digest_runs.create_delivery(
                connection, run_key, run_id, target=group, recipient=recipient, file_id=file_id
            )
    return DigestResult(**{name: tuple(groups) for name, groups in groups_by_result.items()})

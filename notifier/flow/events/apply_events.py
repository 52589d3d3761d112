"""Applies inbox entries to the ledger, and creates the notices and deliveries in the same transaction."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from notifier import metrics
from notifier.clock import DAY_MS, Clock, to_millis
from notifier.domain.event import (
    BALANCE_CHANGED,
    BALANCE_MISSED,
    READINGS,
    UNREADABLE,
    BalanceReport,
    Event,
)
from notifier.domain.ledger import LedgerUpdate
from notifier.domain.notice import Notice, NoticeReason
from notifier.domain.route import Route, targets_of
from notifier.errors import Quarantined
from notifier.flow.events.own_withdrawals import OwnWithdrawals
from notifier.flow.events.store_questions import AskDeps, is_question, store_questions
from notifier.flow.notices import NewNotice, NoticeWriter
from notifier.store import card_updates, inbox, ledger, notices, reconciliations
from notifier.store.engine.database import Database
from notifier.store.engine.outage import is_outage
from notifier.store.inbox import EntryOutcome, InboxEntry, InboxState

log = logging.getLogger(__name__)

BATCH = 100
"""Inbox entries in one transaction. A click that arrives meanwhile waits until it ends."""
MAX_AHEAD_MS = 2 * DAY_MS
"""How far a reported time may be ahead. It allows for a clock that is wrong by a day, as in a wrong time zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyDeps:
    """The dependencies of `apply_events`."""

    read: Callable[[Event], BalanceReport]
    """Parses a balance event. Raises Quarantined if the event is invalid."""
    routes: Sequence[Route]
    """Decide who is notified."""
    notices: NoticeWriter
    """Creates notices and queues their deliveries."""
    clock: Clock
    """The source of the current time."""
    ask: AskDeps | None = None
    """How questions to the bot are read; None: they are not answered."""


async def apply_events(database: Database, deps: ApplyDeps) -> int:
    """Applies the oldest new entries. Returns their number; if it is BATCH, there may be more.

    Raises the error of the database if it fails. Entries that were not applied stay new.
    """
    try:
        return await asyncio.wrap_future(database.write(lambda c: _apply_next(c, deps)))
    except Exception as error:
        if is_outage(error):
            raise  # the database failed, not an entry: the worker retries
        # one entry failed: apply each alone, so that the others succeed
        entries = await asyncio.wrap_future(database.write(lambda c: inbox.list_new_entries(c, limit=BATCH)))
        for entry in entries:
            await _apply_alone(database, entry, deps)
        return len(entries)


def _apply_next(connection: Connection, deps: ApplyDeps) -> int:
    entries = inbox.list_new_entries(connection, limit=BATCH)
    if entries:
        _apply_batch(connection, entries, deps)
    return len(entries)


async def _apply_alone(database: Database, entry: InboxEntry, deps: ApplyDeps) -> None:
    try:
        await asyncio.wrap_future(database.write(lambda c: _apply_batch(c, [entry], deps)))
    except Exception as error:
        if is_outage(error):
            raise
        log.exception("event.failed", extra={"inbox_id": entry.id, "event_key": entry.event.key})
        outcome = EntryOutcome(
            entry_id=entry.id,
            state=InboxState.QUARANTINED,
            reason=f"internal error: {type(error).__name__}: {error}",
        )
        await asyncio.wrap_future(database.write(lambda c: inbox.finish_entries(c, [outcome])))
        metrics.EVENTS_QUARANTINED.inc()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Applied:
    """A balance report that was applied."""

    account_ref: int
    """Row id of the account."""
    report: BalanceReport
    """The report."""
    entry: InboxEntry
    """The event with the report: one of Feishu's, or our own for a recovered balance."""
    rewrite: LedgerUpdate | None
    """What it changed; None: nothing."""


def _apply_batch(connection: Connection, entries: Sequence[InboxEntry], deps: ApplyDeps) -> None:
    """Applies the entries in the order of their arrival, in one transaction.

    The number of statements does not depend on the number of entries.
    """
    outcomes: list[EntryOutcome] = []
    reports: list[tuple[InboxEntry, BalanceReport]] = []
    asked: list[InboxEntry] = []
    for entry in entries:
        if deps.ask is not None and is_question(entry):
            asked.append(entry)
            continue
        understood = _parse_entry(entry, deps)
        if isinstance(understood, EntryOutcome):
            outcomes.append(understood)
        else:
            reports.append((entry, understood))
            outcomes.append(EntryOutcome(entry_id=entry.id, state=InboxState.DONE))
    if reports:
        entered = ledger.apply_reports(connection, [(entry.id, report) for entry, report in reports])
        applied = [
            _Applied(
                account_ref=each.account_ref,
                report=report,
                entry=entry,
                rewrite=each.rewrite,
            )
            for (entry, report), each in zip(reports, entered, strict=True)
        ]
        _follow_up(connection, applied, deps)
    if deps.ask is not None and asked:
        outcomes += store_questions(connection, asked, deps.ask)
    inbox.finish_entries(connection, outcomes)
    for outcome in outcomes:
        if outcome.state is InboxState.QUARANTINED:
            metrics.EVENTS_QUARANTINED.inc()
            log.error("event.quarantined", extra={"inbox_id": outcome.entry_id, "reason": outcome.reason})


def _follow_up(connection: Connection, applied: Sequence[_Applied], deps: ApplyDeps) -> None:
    """Creates the notices of new balances, and updates what depends on them."""
    now = to_millis(deps.clock.now())
    own = OwnWithdrawals(
        connection,
        {each.account_ref for each in applied if each.rewrite is not None},
        earliest=min(each.report.modified_at for each in applied),
    )
    new: list[NewNotice] = []
    late: set[int] = set()
    changed: set[int] = set()
    for each in applied:
        if each.rewrite is None:
            continue
        rewrite = own.subtract(each.account_ref, each.report, each.rewrite)
        new += _to_notices(each, rewrite, deps)
        if rewrite.newest is None:
            own.reassign(each.account_ref, each.report, rewrite)
            late.add(each.account_ref)
        else:
            changed.add(each.account_ref)
    own.save()
    ids = deps.notices.write_notices(connection, new, now=now)
    _log_notices(new, ids)
    reconciliations.recheck_recovered(connection, late, at=now)
    card_updates.request_offer_updates(connection, changed, now=now)
    reported = {each.account_ref for each in applied if each.entry.event.event_type == BALANCE_CHANGED}
    reconciliations.note_events(connection, reported)


def _parse_entry(entry: InboxEntry, deps: ApplyDeps) -> BalanceReport | EntryOutcome:
    match entry.event.event_type:
        case event_type if event_type == BALANCE_CHANGED or event_type in READINGS:
            try:
                return _check_plausible(deps.read(entry.event), deps)
            except Quarantined as reason:
                return EntryOutcome(entry_id=entry.id, state=InboxState.QUARANTINED, reason=str(reason))
        case event_type if event_type == UNREADABLE:
            return EntryOutcome(
                entry_id=entry.id,
                state=InboxState.QUARANTINED,
                reason="not an event: no JSON object with a header",
            )
        case other:
            return EntryOutcome(
                entry_id=entry.id, state=InboxState.IGNORED, reason=f"nothing is done with {other}"
            )


def _check_plausible(report: BalanceReport, deps: ApplyDeps) -> BalanceReport:
    """Rejects a time far ahead: every later report would look older, so no further change would be notified."""
    ahead = report.modified_at - to_millis(deps.clock.now())
    if ahead > MAX_AHEAD_MS:
        raise Quarantined(f"event.modify_time lies {ahead / DAY_MS:.0f} days ahead of this machine's clock")
    return report


def _to_notices(each: _Applied, rewrite: LedgerUpdate, deps: ApplyDeps) -> list[NewNotice]:
    """The notice of a report; none if it needs none."""
    report, event = each.report, each.entry.event
    if rewrite.changes_to_notify is None:
        log.info(
            "balance.inserted",
            extra={
                "account_id": report.account.account_id,
                "reason": "older than what we know, or no difference",
            },
        )
        return []
    notice = Notice(
        key=make_notice_key(report),
        account=report.account,
        reason=NoticeReason.OPENING if rewrite.is_opening else NoticeReason.CHANGE,
        occurred_at=report.modified_at,
        changes=rewrite.changes_to_notify,
        recovered=event.event_type in READINGS,
    )
    return [
        NewNotice(
            account_ref=each.account_ref,
            notice=notice,
            targets=_targets(notice, event.event_type, deps),
            event_key=event.key,
            event_at=each.entry.received_at,
        )
    ]


def make_notice_key(report: BalanceReport) -> str:
    """Returns the idempotency key of the notice about a report. Reports with the same content have the same key."""
    return notices.make_delivery_key(
        report.account.tenant_key,
        report.account.app_id,
        report.account.account_id,
        str(report.modified_at),
        repr(sorted((a.kind, a.currency, str(v)) for a, v in report.amounts.items())),
    )


def _log_notices(new: Sequence[NewNotice], ids: Sequence[int | None]) -> None:
    for each, notice_id in zip(new, ids, strict=True):
        if notice_id is not None:
            log.info(
                "notice.created",
                extra={
                    "account_id": each.notice.account.account_id,
                    "event_key": each.event_key,
                    "notice_id": notice_id,
                    "reason": each.notice.reason,
                    "targets": ",".join(each.targets) or "none",
                },
            )


def _targets(notice: Notice, event_type: str, deps: ApplyDeps) -> tuple[str, ...]:
    """Returns the targets that the routes give. The first proof of missed events also goes to the alarm group."""
    targets = tuple(targets_of(notice, deps.routes))
    alarm_group = deps.notices.alarm_group
    if event_type == BALANCE_MISSED and alarm_group is not None and alarm_group not in targets:
        return (*targets, alarm_group)
    return targets

"""Applies inbox entries to the ledger, and creates the notices and deliveries in the same transaction."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from notifier.clock import DAY_MS, Clock, Millis, to_millis
from notifier.domain.event import (
    BALANCE_CHANGED,
    BALANCE_MISSED,
    READINGS,
    UNREADABLE,
    BalanceReport,
    Event,
)
from notifier.domain.ledger import LedgerUpdate, content_of
from notifier.domain.notice import Notice, NoticeReason
from notifier.domain.route import Route, targets_of
from notifier.domain.withdrawal import reflects, subtract_own_withdrawals, to_withdrawn_amounts
from notifier.errors import Quarantined, StoreFailing
from notifier.flow.notices import NoticeWriter
from notifier.store import card_updates, inbox, ledger, notices, reconciliations, withdrawals
from notifier.store.engine.database import Database
from notifier.store.inbox import EntryOutcome, InboxEntry, InboxState

log = logging.getLogger(__name__)

BATCH = 200
"""Inbox entries in one transaction."""
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


async def apply_events(database: Database, deps: ApplyDeps) -> int:
    """Applies the oldest new entries. Returns their number; if it is BATCH, there may be more.

    Raises OperationalError or StoreFailing if the database fails. Entries that were not applied stay new.
    """
    entries = await asyncio.wrap_future(database.write(lambda c: inbox.list_new_entries(c, limit=BATCH)))
    if not entries:
        return 0
    try:
        await asyncio.wrap_future(database.write(lambda c: _apply_batch(c, entries, deps)))
    except (OperationalError, StoreFailing):
        raise  # the database failed, not an entry: the worker retries
    except Exception:  # noqa: BLE001 - one entry failed: apply each alone, so that the others succeed
        for entry in entries:
            await _apply_alone(database, entry, deps)
    return len(entries)


async def _apply_alone(database: Database, entry: InboxEntry, deps: ApplyDeps) -> None:
    try:
        await asyncio.wrap_future(database.write(lambda c: _apply_batch(c, [entry], deps)))
    except (OperationalError, StoreFailing):
        raise
    except Exception as error:
        log.exception("event.failed", extra={"inbox_id": entry.id, "event_key": entry.event.key})
        outcome = EntryOutcome(
            entry_id=entry.id,
            state=InboxState.QUARANTINED,
            reason=f"internal error: {type(error).__name__}: {error}",
        )
        await asyncio.wrap_future(database.write(lambda c: inbox.finish_entries(c, [outcome])))


def _apply_batch(connection: Connection, entries: Sequence[InboxEntry], deps: ApplyDeps) -> None:
    """Applies the entries in the order of their arrival, in one transaction."""
    now = to_millis(deps.clock.now())
    outcomes: list[EntryOutcome] = []
    reports: list[tuple[int, BalanceReport]] = []
    kinds: list[str] = []
    for entry in entries:
        understood = _parse_entry(entry, deps)
        if isinstance(understood, EntryOutcome):
            outcomes.append(understood)
        else:
            reports.append((entry.id, understood))
            kinds.append(entry.event.event_type)
            outcomes.append(EntryOutcome(entry_id=entry.id, state=InboxState.DONE))
    entries_made = ledger.apply_reports(connection, reports)
    for (_, report), kind, entered in zip(reports, kinds, entries_made, strict=True):
        if entered.rewrite is not None:
            rewrite = _subtract_own(connection, entered.account_ref, report, entered.rewrite)
            _write_notice(connection, entered.account_ref, _ReceivedReport(report, kind), rewrite, deps, now)
            if rewrite.newest is None:
                _mark_in_ledger(connection, entered.account_ref, report, rewrite)
                reconciliations.recheck_recovered(connection, entered.account_ref, at=now)
    changed = {
        entered.account_ref
        for entered in entries_made
        if entered.rewrite is not None and entered.rewrite.newest is not None
    }
    card_updates.request_offer_updates(connection, changed, now=now)
    events = zip(kinds, entries_made, strict=True)
    reconciliations.note_events(
        connection, {entered.account_ref for kind, entered in events if kind == BALANCE_CHANGED}
    )
    inbox.finish_entries(connection, outcomes)
    for outcome in outcomes:
        if outcome.state is InboxState.QUARANTINED:
            log.error("event.quarantined", extra={"inbox_id": outcome.entry_id, "reason": outcome.reason})


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


def _subtract_own(
    connection: Connection, ref: int, report: BalanceReport, rewrite: LedgerUpdate
) -> LedgerUpdate:
    """Removes our own withdrawals from the changes to notify. Other changes in the same report remain."""
    if rewrite.changes_to_notify is None or rewrite.is_opening:
        return rewrite
    changes_to_notify = rewrite.changes_to_notify
    for withdrawal in withdrawals.list_not_in_ledger(connection, ref):
        if reflects(withdrawal, changes_to_notify, modified_at=report.modified_at):
            changes_to_notify = subtract_own_withdrawals(
                changes_to_notify, report.amounts, to_withdrawn_amounts(withdrawal)
            )
            withdrawals.mark_in_ledger(connection, [withdrawal.id], modified_at=report.modified_at)
    return replace(rewrite, changes_to_notify=changes_to_notify or None)


def _mark_in_ledger(connection: Connection, ref: int, report: BalanceReport, rewrite: LedgerUpdate) -> None:
    """Assigns a withdrawal to its own report, if that report arrives after a later one.

    The later report was assumed to include the withdrawal. Without this correction the period totals would show a
    correction and a reward that did not happen.
    """
    content = content_of(report.amounts)
    own = [
        changes
        for snapshot, changes in rewrite.changes
        if (snapshot.modified_at, snapshot.content) == (report.modified_at, content)
    ]
    deltas = {change.asset: change.delta for changes in own for change in changes}
    for withdrawal in withdrawals.list_in_ledger_after(connection, ref, modified_at=report.modified_at):
        withdrawn_amounts = to_withdrawn_amounts(withdrawal)
        if withdrawn_amounts and all(
            deltas.get(asset, Decimal(0)) <= -amount for asset, amount in withdrawn_amounts.items()
        ):
            withdrawals.mark_in_ledger(connection, [withdrawal.id], modified_at=report.modified_at)


@dataclass(frozen=True, slots=True)
class _ReceivedReport:
    """A balance report, and the type of its event: one of Feishu's, or our own type for a recovered balance."""

    report: BalanceReport
    kind: str


def _write_notice(
    connection: Connection,
    ref: int,
    received: _ReceivedReport,
    rewrite: LedgerUpdate,
    deps: ApplyDeps,
    now: Millis,
) -> None:
    report = received.report
    if rewrite.changes_to_notify is None:
        log.info(
            "balance.inserted",
            extra={
                "account_id": report.account.account_id,
                "reason": "older than what we know, or no difference",
            },
        )
        return
    opening = rewrite.is_opening
    notice = Notice(
        key=notices.make_delivery_key(
            report.account.tenant_key,
            report.account.app_id,
            report.account.account_id,
            str(report.modified_at),
            repr(sorted((a.kind, a.currency, str(v)) for a, v in report.amounts.items())),
        ),
        account=report.account,
        reason=NoticeReason.OPENING if opening else NoticeReason.CHANGE,
        occurred_at=report.modified_at,
        changes=rewrite.changes_to_notify,
        recovered=received.kind in READINGS,
    )
    targets = _targets(notice, received, deps)
    notice_id = deps.notices.write_notice(connection, ref, notice, targets, now=now)
    if notice_id is None:
        return
    log.info(
        "notice.created",
        extra={
            "account_id": report.account.account_id,
            "notice_id": notice_id,
            "reason": notice.reason,
            "targets": ",".join(targets) or "none",
        },
    )


def _targets(notice: Notice, received: _ReceivedReport, deps: ApplyDeps) -> list[str]:
    """Returns the targets that the routes give. The first proof of missed events also goes to the alarm group."""
    targets = list(targets_of(notice, deps.routes))
    alarm_group = deps.notices.alarm_group
    if received.kind == BALANCE_MISSED and alarm_group is not None and alarm_group not in targets:
        targets.append(alarm_group)
    return targets

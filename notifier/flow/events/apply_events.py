"""Record: inbox entries become balance changes, notices and deliveries, in one transaction or not at all."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from notifier.clock import Clock, Millis, to_millis
from notifier.domain.event import (
    BALANCE_CHANGED,
    BALANCE_UNHEARD,
    READINGS,
    UNREADABLE,
    BalanceReport,
    Event,
)
from notifier.domain.ledger import Rewrite, content_of
from notifier.domain.notice import Notice, NoticeReason
from notifier.domain.route import Route, targets_of
from notifier.domain.withdrawal import reflects, taken_by, without_own
from notifier.errors import Parked, StoreFailing
from notifier.flow.notices import Telling
from notifier.store import inbox, ledger, notices, reconciliations, withdrawals
from notifier.store.engine.database import Database
from notifier.store.inbox import InboxEntry, InboxState, Verdict

log = logging.getLogger(__name__)

BATCH = 200
DAY_MS = 86_400_000
MOST_AHEAD_MS = 2 * DAY_MS
"""Room for a clock that is off by a day, as after a wrong time zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordParts:
    """read: a balance event's meaning, raises Parked."""

    read: Callable[[Event], BalanceReport]
    routes: Sequence[Route]
    telling: Telling
    clock: Clock


async def record(database: Database, parts: RecordParts) -> int:
    """Works on the oldest new entries. How many there were; BATCH means there may be more."""
    entries = await asyncio.wrap_future(database.write(lambda c: inbox.new_entries(c, limit=BATCH)))
    if not entries:
        return 0
    try:
        await asyncio.wrap_future(database.write(lambda c: _record(c, entries, parts)))
    except (OperationalError, StoreFailing):
        raise  # the database, not an entry: the loop tries again
    except Exception:  # noqa: BLE001 - find the guilty one below; the others must not wait for it
        for entry in entries:
            await _record_alone(database, entry, parts)
    return len(entries)


async def _record_alone(database: Database, entry: InboxEntry, parts: RecordParts) -> None:
    try:
        await asyncio.wrap_future(database.write(lambda c: _record(c, [entry], parts)))
    except (OperationalError, StoreFailing):
        raise
    except Exception as error:
        log.exception("event.failed", extra={"inbox_id": entry.id, "event_key": entry.event.key})
        verdict = Verdict(
            entry_id=entry.id,
            state=InboxState.PARKED,
            reason=f"internal error: {type(error).__name__}: {error}",
        )
        await asyncio.wrap_future(database.write(lambda c: inbox.settle(c, [verdict])))


def _record(connection: Connection, entries: Sequence[InboxEntry], parts: RecordParts) -> None:
    """Entry by entry in the order of arrival; all of it commits together."""
    now = to_millis(parts.clock.now())
    verdicts: list[Verdict] = []
    reports: list[tuple[int, BalanceReport]] = []
    kinds: list[str] = []
    for entry in entries:
        understood = _understand(entry, parts)
        if isinstance(understood, Verdict):
            verdicts.append(understood)
        else:
            reports.append((entry.id, understood))
            kinds.append(entry.event.event_type)
            verdicts.append(Verdict(entry_id=entry.id, state=InboxState.DONE))
    entries_made = ledger.enter(connection, reports)
    for (_, report), kind, entered in zip(reports, kinds, entries_made, strict=True):
        if entered.rewrite is not None:
            rewrite = _without_our_own(connection, entered.account_ref, report, entered.rewrite)
            _tell(connection, entered.account_ref, _Heard(report, kind), rewrite, parts, now)
            if rewrite.newest is None:
                _move_marks(connection, entered.account_ref, report, rewrite)
                reconciliations.doubt_recovered(connection, entered.account_ref, at=now)
    events = zip(kinds, entries_made, strict=True)
    reconciliations.heard(
        connection, {entered.account_ref for kind, entered in events if kind == BALANCE_CHANGED}
    )
    inbox.settle(connection, verdicts)
    for verdict in verdicts:
        if verdict.state is InboxState.PARKED:
            log.error("event.parked", extra={"inbox_id": verdict.entry_id, "reason": verdict.reason})


def _understand(entry: InboxEntry, parts: RecordParts) -> BalanceReport | Verdict:
    match entry.event.event_type:
        case event_type if event_type == BALANCE_CHANGED or event_type in READINGS:
            try:
                return _plausible(parts.read(entry.event), parts)
            except Parked as reason:
                return Verdict(entry_id=entry.id, state=InboxState.PARKED, reason=str(reason))
        case event_type if event_type == UNREADABLE:
            return Verdict(
                entry_id=entry.id,
                state=InboxState.PARKED,
                reason="not an event: no JSON object with a header",
            )
        case other:
            return Verdict(
                entry_id=entry.id, state=InboxState.IGNORED, reason=f"nothing is done with {other}"
            )


def _plausible(report: BalanceReport, parts: RecordParts) -> BalanceReport:
    """A time far ahead would make every later report look old, and silence the account for good."""
    ahead = report.modified_at - to_millis(parts.clock.now())
    if ahead > MOST_AHEAD_MS:
        raise Parked(f"event.modify_time lies {ahead / DAY_MS:.0f} days ahead of this machine's clock")
    return report


def _without_our_own(connection: Connection, ref: int, report: BalanceReport, rewrite: Rewrite) -> Rewrite:
    """What our own withdrawal took is no loss to tell; what came besides is."""
    if rewrite.announced is None or rewrite.is_opening:
        return rewrite
    announced = rewrite.announced
    for withdrawal in withdrawals.unseen(connection, ref):
        if reflects(withdrawal, announced, modified_at=report.modified_at):
            announced = without_own(announced, report.amounts, taken_by(withdrawal))
            withdrawals.mark_seen(connection, [withdrawal.id], modified_at=report.modified_at)
    return replace(rewrite, announced=announced or None)


def _move_marks(connection: Connection, ref: int, report: BalanceReport, rewrite: Rewrite) -> None:
    """The report of our own withdrawal may come after a later one, which was then taken for it: what the withdrawal
    took belongs to this moment, or the books of a period would show a correction and a reward that never were.
    """
    content = content_of(report.amounts)
    own = [
        changes
        for snapshot, changes in rewrite.changes
        if (snapshot.modified_at, snapshot.content) == (report.modified_at, content)
    ]
    deltas = {change.asset: change.delta for changes in own for change in changes}
    for withdrawal in withdrawals.seen_later(connection, ref, modified_at=report.modified_at):
        took = taken_by(withdrawal)
        if took and all(deltas.get(asset, Decimal(0)) <= -amount for asset, amount in took.items()):
            withdrawals.mark_seen(connection, [withdrawal.id], modified_at=report.modified_at)


@dataclass(frozen=True, slots=True)
class _Heard:
    """A report, and the type of the event that told it: Feishu's, or one of our own for a read."""

    report: BalanceReport
    kind: str


def _tell(
    connection: Connection, ref: int, heard: _Heard, rewrite: Rewrite, parts: RecordParts, now: Millis
) -> None:
    report = heard.report
    if rewrite.announced is None:
        log.info(
            "balance.placed",
            extra={
                "account_id": report.account.account_id,
                "why": "older than what we know, or no difference",
            },
        )
        return
    opening = rewrite.is_opening
    notice = Notice(
        key=notices.delivery_key(
            report.account.tenant_key,
            report.account.app_id,
            report.account.account_id,
            str(report.modified_at),
            repr(sorted((a.kind, a.currency, str(v)) for a, v in report.amounts.items())),
        ),
        account=report.account,
        reason=NoticeReason.OPENING if opening else NoticeReason.CHANGE,
        occurred_at=report.modified_at,
        changes=rewrite.announced,
        recovered=heard.kind in READINGS,
    )
    targets = _targets(notice, heard, parts)
    notice_id = parts.telling.tell(connection, ref, notice, targets, now=now)
    if notice_id is None:
        return
    log.info(
        "notice.born",
        extra={
            "account_id": report.account.account_id,
            "notice_id": notice_id,
            "reason": notice.reason,
            "targets": ",".join(targets) or "none",
        },
    )


def _targets(notice: Notice, heard: _Heard, parts: RecordParts) -> list[str]:
    """As routed; the first proof that events do not reach us goes to the alarm group too."""
    targets = list(targets_of(notice, parts.routes))
    alarm_group = parts.telling.alarm_group
    if heard.kind == BALANCE_UNHEARD and alarm_group is not None and alarm_group not in targets:
        targets.append(alarm_group)
    return targets

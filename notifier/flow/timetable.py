"""Timetable: when a digest is due, and which period is then over. APScheduler reads the cron expressions."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from notifier.clock import Millis, from_millis, to_millis
from notifier.cron import trigger
from notifier.domain.period import MOST_DAYS_OFF, Period, Span, WorkCalendar, finished

DAY_MS = 86_400_000
LOOK_AHEAD_DAYS = 800
"""Past this a cron expression is taken to never come again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One digest as configured. cron: five fields. working: where it comes on working days only. skip_quiet: nothing is
    said where nothing changed. rows: at most in a table. file: always, when_cut or never. catch_up_ms: what was due
    longer ago is not told by itself.
    """

    name: str
    groups: tuple[str, ...]
    to_referrers: bool
    cron: str
    zone: ZoneInfo
    span: Span
    working: WorkCalendar | None
    skip_quiet: bool
    jitter_ms: int
    chart_days: int
    rows: int
    file: str
    withdraw: bool
    catch_up_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    at: Millis
    period: Period


def due_between(plan: Plan, after: Millis, until: Millis) -> list[Due]:
    """What came due in (after, until], oldest first; each period once, at its first time."""
    if until <= after:
        return []
    early = after - plan.jitter_ms - (MOST_DAYS_OFF * DAY_MS if plan.working else DAY_MS)
    found: dict[str, Due] = {}
    for due in _upcoming(plan, early):
        if due.at - plan.jitter_ms > until:
            break
        found.setdefault(due.period.label, due)
    return sorted((due for due in found.values() if after < due.at <= until), key=lambda due: due.at)


def next_due(plan: Plan, after: Millis) -> Due | None:
    """The first that comes due later than this; None where the expression never comes again."""
    told = {due.period.label for due in due_between(plan, after - 40 * DAY_MS, after)}
    early = after - plan.jitter_ms - (MOST_DAYS_OFF * DAY_MS if plan.working else DAY_MS)
    for due in _upcoming(plan, early):
        if due.at > after and due.period.label not in told:
            return due
    return None


def _upcoming(plan: Plan, after: Millis) -> Iterator[Due]:
    """Every firing from then on, with the period that it tells. One on a day off moves to the next working day."""
    fires = trigger(plan.cron, plan.zone)
    now = from_millis(after).astimezone(plan.zone)
    last = now + timedelta(days=LOOK_AHEAD_DAYS)
    previous: datetime | None = None
    while (fired := fires.get_next_fire_time(previous, now)) is not None and fired < last:
        at = _moved(fired, plan)
        period = finished(plan.span, at.date(), plan.zone, plan.working)
        yield Due(at=to_millis(at) + _jitter(plan, period), period=period)
        previous = now = fired


def _moved(fired: datetime, plan: Plan) -> datetime:
    day = fired.date()
    if plan.working is None or plan.working.works_on(day):
        return fired
    return datetime.combine(plan.working.after(day), time(fired.hour, fired.minute), tzinfo=plan.zone)


def _jitter(plan: Plan, period: Period) -> Millis:
    """The same for everybody who asks, so that two who ask agree on when it is due."""
    spread = plan.jitter_ms + 1
    return zlib.crc32(f"{plan.name} {period.label}".encode()) % spread

"""Timetable: when a digest is due, and which period is then over. APScheduler reads the cron expressions."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from notifier.clock import Millis, from_millis, to_millis
from notifier.cron import make_trigger
from notifier.domain.digest import DigestPlan
from notifier.domain.period import (
    MAX_DAYS_OFF,
    Period,
    ended_between,
    finished,
    holding,
    midnight,
)

DAY_MS = 86_400_000
LOOK_AHEAD_DAYS = 800
"""Past this a cron expression is taken to never come again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    at: Millis
    period: Period


def due_between(plan: DigestPlan, after: Millis, until: Millis) -> list[Due]:
    """What came due in (after, until], oldest first; each period once, at its first time."""
    if until <= after:
        return []
    found: list[Due] = []
    for due in _upcoming(plan, after - plan.jitter_ms):
        if due.at - plan.jitter_ms > until + _SLACK_MS:
            break
        found.append(due)
    return sorted((due for due in found if after < due.at <= until), key=lambda due: due.at)


def next_due(plan: DigestPlan, after: Millis) -> Due | None:
    """The first that comes due later than this; None where the expression never comes again."""
    soon: list[Due] = []
    for due in _upcoming(plan, after - plan.jitter_ms):
        if due.at > after:
            soon.append(due)
        if soon and due.at - plan.jitter_ms - _SLACK_MS > soon[0].at:
            break
    return min(soon, key=lambda due: due.at, default=None)


def period_of(plan: DigestPlan, day: date) -> Period:
    """The period in which this day is told: more than one day, week or month where the times lie further apart."""
    for due in _upcoming(plan, midnight(day, plan.zone)):
        if due.period.last >= day:
            return due.period if due.period.first <= day else holding(plan.span, day, plan.zone)
    return holding(plan.span, day, plan.zone)


_SLACK_MS = DAY_MS
"""Clock changes may turn two neighbours round; never by so much."""


def _upcoming(plan: DigestPlan, after: Millis) -> Iterator[Due]:
    """Every time from then on (and some before) at which something has ended since the time before, with all of that:
    so whatever the times are, no day is left out and none is told twice.
    """
    early = _wall(after, plan) - timedelta(days=MAX_DAYS_OFF if plan.working else 1)
    last = early + timedelta(days=LOOK_AHEAD_DAYS)
    before = _time_before(plan, early)
    since = None if before is None else _moved(before, plan).date()
    for fired in _fires(plan, early, last):
        at = _moved(fired, plan)
        day = at.date()
        period = (
            finished(plan.span, day, plan.zone)
            if since is None
            else ended_between(plan.span, since, day, plan.zone)
        )
        since = day
        if period is not None:
            yield Due(at=to_millis(at) + _jitter(plan, period), period=period)


def _fires(plan: DigestPlan, early: datetime, last: datetime) -> Iterator[datetime]:
    """As a clock on the wall shows them, which knows no clock changes; APScheduler forgets times after one."""
    fires = make_trigger(plan.cron, UTC)
    previous: datetime | None = None
    now = early
    while (fired := fires.get_next_fire_time(previous, now)) is not None and fired < last:
        yield fired
        previous = now = fired


def _time_before(plan: DigestPlan, moment: datetime) -> datetime | None:
    """The last time before this one; None where there was none for LOOK_AHEAD_DAYS."""
    for days in (2, 9, 35, 100, LOOK_AHEAD_DAYS):
        found = None
        for found in _fires(plan, moment - timedelta(days=days), moment):  # noqa: B007 - the last one counts
            pass
        if found is not None:
            return found
    return None


def _wall(at: Millis, plan: DigestPlan) -> datetime:
    return from_millis(at).astimezone(plan.zone).replace(tzinfo=UTC)


def _moved(fired: datetime, plan: DigestPlan) -> datetime:
    """The moment. One on a day off moves to the next working day; one that clocks skip comes an hour later, one that
    they repeat the first time.
    """
    day = fired.date()
    if plan.working is not None and not plan.working.works_on(day):
        day = plan.working.after(day)
    return datetime.combine(day, fired.time(), tzinfo=plan.zone)


def _jitter(plan: DigestPlan, period: Period) -> Millis:
    """The same for everybody who asks, so that two who ask agree on when it is due."""
    send_personal_digests = plan.jitter_ms + 1
    return zlib.crc32(f"{plan.name} {period.label}".encode()) % send_personal_digests

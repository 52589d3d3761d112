"""Computes when a digest is due, and which period it covers. APScheduler evaluates the cron expressions."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from notifier.clock import DAY_MS, Millis, from_millis, to_millis
from notifier.config.cron import make_trigger
from notifier.domain.digest import DigestPlan
from notifier.domain.period import (
    MAX_DAYS_OFF,
    Period,
    ended_between,
    finished,
    holding,
    midnight,
)

LOOK_AHEAD_DAYS = 800
"""A cron expression without a time in this range counts as one that never fires again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One due time of a digest."""

    at: Millis
    """When it is due, in Unix milliseconds, with the jitter."""
    period: Period
    """The period that it covers."""


def due_between(plan: DigestPlan, after: Millis, until: Millis) -> list[Due]:
    """Returns the due times in (after, until], oldest first. Each period occurs once, at its first due time."""
    if until <= after:
        return []
    found: list[Due] = []
    for due in _upcoming(plan, after - plan.jitter_ms):
        if due.at - plan.jitter_ms > until + _SLACK_MS:
            break
        found.append(due)
    return sorted((due for due in found if after < due.at <= until), key=lambda due: due.at)


def next_due(plan: DigestPlan, after: Millis) -> Due | None:
    """Returns the first due time later than `after`; None if the cron expression never fires again."""
    soon: list[Due] = []
    for due in _upcoming(plan, after - plan.jitter_ms):
        if due.at > after:
            soon.append(due)
        if soon and due.at - plan.jitter_ms - _SLACK_MS > soon[0].at:
            break
    return min(soon, key=lambda due: due.at, default=None)


def period_of(plan: DigestPlan, day: date) -> Period:
    """Returns the period that covers this day.

    It spans several days, weeks or months if the due times are further apart.
    """
    for due in _upcoming(plan, midnight(day, plan.zone)):
        if due.period.last >= day:
            return due.period if due.period.first <= day else holding(plan.span, day, plan.zone)
    return holding(plan.span, day, plan.zone)


_SLACK_MS = DAY_MS
"""Clock changes may reverse two neighbouring due times, but never by more than this."""


def _upcoming(plan: DigestPlan, after: Millis) -> Iterator[Due]:
    """Yields due times from `after` on, and some earlier ones.

    Each covers everything that ended since the previous due time. So no day is skipped, and none is covered twice.
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
    """Yields cron times in local time without clock changes, because APScheduler skips times after a clock change."""
    fires = make_trigger(plan.cron, UTC)
    previous: datetime | None = None
    now = early
    while (fired := fires.get_next_fire_time(previous, now)) is not None and fired < last:
        yield fired
        previous = now = fired


def _time_before(plan: DigestPlan, moment: datetime) -> datetime | None:
    """Returns the last cron time before this one; None if there is none within LOOK_AHEAD_DAYS."""
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
    """Returns the due time in the plan's time zone. A time on a day off moves to the next working day.

    A local time that a clock change skips becomes one an hour later. A repeated local time means its first occurrence.
    """
    day = fired.date()
    if plan.working is not None and not plan.working.works_on(day):
        day = plan.working.after(day)
    return datetime.combine(day, fired.time(), tzinfo=plan.zone)


def _jitter(plan: DigestPlan, period: Period) -> Millis:
    """Returns a jitter that depends on the digest and the period only, so that all processes compute the same time."""
    send_personal_digests = plan.jitter_ms + 1
    return zlib.crc32(f"{plan.name} {period.label}".encode()) % send_personal_digests

"""Holding: until when a notice waits because of the preferences of its recipient."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from notifier.clock import Millis, from_millis, to_millis
from notifier.domain.preferences.choices import Frequency, Preferences, QuietHours

MONDAY = 0
_DEFAULT_ZONE = ZoneInfo("Asia/Shanghai")


class HoldReason(StrEnum):
    """Why a delivery is held, or was held."""

    QUIET_HOURS = "quiet_hours"
    DAILY = "daily"
    """The person wants one digest a day."""
    WEEKLY = "weekly"
    """The person wants one digest a week."""


_DIGEST_REASONS = {Frequency.DAILY: HoldReason.DAILY, Frequency.WEEKLY: HoldReason.WEEKLY}


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRules:
    """The settings that apply to every person."""

    digest_at: int = 9 * 60
    """Minute of the day of daily and weekly digests, in the zone of the person."""
    zone: ZoneInfo = _DEFAULT_ZONE
    """Time zone of a person who chose none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A delivery waits."""

    until: Millis
    """When it may be sent, Unix milliseconds."""
    reason: HoldReason
    """Why it waits."""


def find_hold(
    preferences: Preferences, rules: HoldRules, *, since: Millis, now: Millis, may_join_digest: bool
) -> Hold | None:
    """Return until when a delivery waits; None: it may be sent now.

    since: when it began to wait, Unix milliseconds. may_join_digest: False if it is not for the daily or weekly digest,
    so that only quiet hours hold it.
    """
    zone = preferences.get_zone(rules.zone)
    until, reason = now, HoldReason.QUIET_HOURS
    if may_join_digest and preferences.frequency is not Frequency.INSTANT:
        reason = _DIGEST_REASONS[preferences.frequency]
        weekday = MONDAY if preferences.frequency is Frequency.WEEKLY else None
        until = max(now, find_next(min(since, now), rules.digest_at, zone, weekday=weekday))
    if preferences.quiet_hours is not None:
        until = end_of_quiet_hours(preferences.quiet_hours, zone, until)
    return Hold(until=until, reason=reason) if until > now else None


def end_of_quiet_hours(quiet_hours: QuietHours, zone: ZoneInfo, at: Millis) -> Millis:
    """Return the end of the quiet hours that contain this moment, or the moment itself outside of them."""
    local = from_millis(at).astimezone(zone)
    if not quiet_hours.contain(local.hour * 60 + local.minute):
        return at
    return find_next(at, quiet_hours.end, zone)


def find_next(after: Millis, minute: int, zone: ZoneInfo, *, weekday: int | None = None) -> Millis:
    """Return the first moment later than `after` at this minute of the day.

    A time that a clock change skips counts as the moment as long after the change; one that occurs twice counts twice.
    weekday: only on this day of the week, 0 is Monday; None: on every day.
    """
    first = from_millis(after).astimezone(zone).date() - timedelta(days=1)
    days = (first + timedelta(days=count) for count in range(11))
    moments = (
        moment
        for day in days
        if weekday is None or day.weekday() == weekday
        for moment in _moments_of(day, minute, zone)
    )
    return next(moment for moment in moments if moment > after)


def _moments_of(day: date, minute: int, zone: ZoneInfo) -> Iterator[Millis]:
    """The moments of a local time, earliest first: two if the clock is set back over it."""
    local = datetime(day.year, day.month, day.day, minute // 60, minute % 60)  # noqa: DTZ001 - local on purpose
    for fold in (0, 1):
        moment = local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        is_real = moment.astimezone(zone).replace(tzinfo=None) == local
        if fold == 0 or (is_real and moment > local.replace(tzinfo=zone, fold=0).astimezone(UTC)):
            yield to_millis(moment)

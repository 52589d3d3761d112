"""Digest plans: the configured digests as the timetable knows them."""

from notifier.config.settings import Config
from notifier.domain.delivery import HOUR_MS
from notifier.domain.period import working_days
from notifier.domain.route import REFERRER
from notifier.flow.digests.schedule import Plan


def plans(config: Config) -> tuple[Plan, ...]:
    working = working_days(config.calendar.closed_on, config.calendar.open_on)
    return tuple(
        Plan(
            name=digest.name,
            groups=tuple(target for target in digest.to if target != REFERRER),
            to_referrers=REFERRER in digest.to,
            cron=digest.expression,
            zone=digest.time_zone or config.cards.time_zone,
            span=digest.period,
            working=working if digest.working_days else None,
            skip_quiet=digest.when_empty == "skip",
            jitter_ms=digest.jitter_seconds * 1000,
            chart_days=digest.chart_days,
            rows=digest.rows,
            file=digest.file,
            withdraw=digest.withdraw,
            catch_up_ms=round(digest.catch_up_hours * HOUR_MS),
        )
        for digest in config.digests
    )

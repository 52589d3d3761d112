"""Progress of digests: when each was last made, when it is due next, and whether it is late."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.digest import DigestPlan
from notifier.flow.digests.personal_digests import REFERRERS
from notifier.flow.digests.schedule import Due, due_between, next_due
from notifier.store.digests import digest_runs

SCHEDULE_SECONDS = 60.0
"""How long computed due times are used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestProgress:
    """One digest at one moment."""

    name: str
    """Name in the configuration."""
    last_at: Millis | None
    """When it was last made, Unix milliseconds; None: never."""
    next_at: Millis | None
    """When it is due next, Unix milliseconds; None: never again."""
    late_since: Millis | None
    """Since when it has been due without being made, Unix milliseconds; None: it is not late."""


@dataclass(slots=True)
class _Schedule:
    """The due times of a digest around `computed_at`, in monotonic seconds."""

    computed_at: float
    due: list[Due]
    """Of the time within which a digest is still sent late; after it, it is missed."""
    next_at: Millis | None


class DigestWatch:
    """Reads the progress of all digests. Due times are computed at most once a minute."""

    def __init__(self, plans: Sequence[DigestPlan]) -> None:
        self._plans = plans
        self._schedules: dict[str, _Schedule] = {}

    def read_progress(self, connection: Connection, now: Millis) -> list[DigestProgress]:
        """Returns the progress of each digest. now: Unix milliseconds."""
        return [self._read(connection, plan, now) for plan in self._plans]

    def _read(self, connection: Connection, plan: DigestPlan, now: Millis) -> DigestProgress:
        recipients = (*plan.groups, *((REFERRERS,) if plan.to_referrers else ()))
        schedule = self._find_schedule(plan, now)
        registered_at = digest_runs.get_registered_at(connection, plan.name)
        due = [
            each
            for each in schedule.due
            if registered_at is not None and registered_at < each.at and each.at <= now
        ]
        labels = [each.period.label for each in due]
        finished = digest_runs.list_finished(connection, plan.name, labels, recipients) if due else set()
        late = [
            each.at
            for each in due
            if any((each.period.label, recipient) not in finished for recipient in recipients)
        ]
        return DigestProgress(
            name=plan.name,
            last_at=digest_runs.get_last_made_at(connection, plan.name, recipients),
            next_at=schedule.next_at,
            late_since=min(late, default=None),
        )

    def _find_schedule(self, plan: DigestPlan, now: Millis) -> _Schedule:
        known = self._schedules.get(plan.name)
        is_current = known is not None and (known.next_at is None or now < known.next_at)
        if known is None or not is_current or monotonic() - known.computed_at > SCHEDULE_SECONDS:
            coming = next_due(plan, now)
            known = self._schedules[plan.name] = _Schedule(
                computed_at=monotonic(),
                due=due_between(plan, now - plan.catch_up_ms, now),
                next_at=coming.at if coming is not None else None,
            )
        return known

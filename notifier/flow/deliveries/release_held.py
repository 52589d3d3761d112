"""The worker that returns held deliveries to the queue when the quiet hours end or a chosen digest is due."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy.engine import Connection

from notifier.clock import Clock, Millis, to_millis
from notifier.domain.notice import Notice
from notifier.domain.period import Span
from notifier.domain.preferences.choices import Frequency
from notifier.domain.preferences.holding import HoldRules
from notifier.flow.digests.personal_digests import ChosenDigest, create_chosen_digest
from notifier.store import accounts, notices
from notifier.store.accounts import StoredAccount
from notifier.store.deliveries import holding
from notifier.store.deliveries.holding import HeldDelivery
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

PAGE_SIZE = 100
"""Deliveries in one transaction."""
IDLE_SECONDS = 1.0
"""The pause between two checks of the clock."""

_SPANS = {Frequency.DAILY: Span.DAY, Frequency.WEEKLY: Span.WEEK}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseDeps:
    """The dependencies of a HeldReleaser."""

    clock: Clock
    """The source of the current time."""
    wake: Callable[[], None]
    """Called when deliveries were released."""
    rules: HoldRules = field(default_factory=HoldRules)
    """The settings of holds."""


class HeldReleaser:
    """Releases held deliveries. Those of a daily or weekly digest get its figures in the same transaction."""

    def __init__(self, database: Database, deps: ReleaseDeps) -> None:
        self._database = database
        self._deps = deps

    async def run_once(self) -> float:
        """Releases what is due. Returns the seconds until the next run."""
        now = to_millis(self._deps.clock.now())
        released, more = await asyncio.wrap_future(self._database.write(lambda c: self._release(c, now)))
        if released:
            log.info("delivery.released", extra={"how_many": released})
            self._deps.wake()
        return 0.0 if more else IDLE_SECONDS

    def _release(self, connection: Connection, now: Millis) -> tuple[int, bool]:
        next_at = holding.get_next_release(connection)
        if next_at is None or next_at > now:
            return 0, False
        due, more = holding.find_released(connection, self._deps.rules, now=now, limit=PAGE_SIZE)
        stored = accounts.load_accounts(connection, {each.account_ref for each in due})
        reported = notices.load_notices(
            connection, [each.id for each in due if self._is_digest(each, stored)]
        )
        run_ids = {each.id: self._create_digest(connection, each, reported, now) for each in due}
        holding.release(connection, run_ids, now=now)
        return len(due), more

    def _is_digest(self, each: HeldDelivery, stored: Mapping[int, StoredAccount]) -> bool:
        """The ledger must not be shown to a person who is no longer the referrer of the account."""
        ownership = stored[each.account_ref].ownership
        referrer = ownership.referrer if ownership is not None else None
        is_referrer = referrer is not None and referrer.open_id == each.receive_id
        return is_referrer and each.joins_digest and each.preferences.frequency in _SPANS

    def _create_digest(
        self,
        connection: Connection,
        each: HeldDelivery,
        reported: Mapping[int, tuple[Notice, ...]],
        now: Millis,
    ) -> int | None:
        """The run of the digest that reports the notices; None: the delivery shows them as they are."""
        if each.id not in reported:
            return None
        chosen = ChosenDigest(
            account_ref=each.account_ref,
            span=_SPANS[each.preferences.frequency],
            from_at=min(notice.occurred_at for notice in reported[each.id]),
            due_at=each.due_at,
            zone=each.preferences.get_zone(self._deps.rules.zone),
        )
        return create_chosen_digest(connection, chosen, now=now)

"""The worker that looks up the referrer of an account and addresses the deliveries that wait for it."""

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from notifier.clock import Clock, Millis
from notifier.domain.account import Ownership
from notifier.domain.delivery import pause_ms
from notifier.domain.rate_limit import RateLimit
from notifier.domain.route import AddressBook
from notifier.errors import AccountUnknown, CallError
from notifier.flow.call_worker import CallWorker, ClaimedJobs, claim_within_limit, close_limiter
from notifier.flow.in_flight import await_write
from notifier.flow.ports import ReferralAccounts
from notifier.store import accounts, rate_limits
from notifier.store.accounts import DueLookup
from notifier.store.deliveries import addressing
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveDeps:
    """The dependencies of a RecipientResolver."""

    referral_accounts: ReferralAccounts
    """Looks up referrers at Feishu."""
    address_book: AddressBook
    """Turns a target and a referrer into a recipient."""
    limit: RateLimit
    """The rate limit of look-ups."""
    clock: Clock
    """The source of the current time."""
    wake: Callable[[], None]
    """Called when deliveries became ready."""


class RecipientResolver(CallWorker[DueLookup]):
    """Looks up referrers, in the order of their due times."""

    def __init__(self, database: Database, deps: ResolveDeps, *, wake: Callable[[], None]) -> None:
        """wake: called when a look-up ends and its slot is free."""
        super().__init__(database, deps.clock, wake=wake)
        self._deps = deps

    def _claim(
        self,
        connection: Connection,
        *,
        now: Millis,
        free: int,
        in_flight_ids: frozenset[int],  # noqa: ARG002 - a claim moves the due time, so it needs no exclusion
    ) -> ClaimedJobs[DueLookup]:
        due_at = accounts.get_next_lookup_at(connection)
        if due_at is None or due_at > now:
            return ClaimedJobs(next_claim_at=due_at)
        return claim_within_limit(
            connection,
            rate_limits.LOOKUPS,
            self._deps.limit,
            now=now,
            wanted=free,
            claim=lambda allowed: accounts.claim_lookups(connection, now=now, limit=allowed),
        )

    def _row_id(self, job: DueLookup) -> int:
        return job.account_ref

    async def _call(self, job: DueLookup) -> None:
        account_id = job.account.account_id
        try:
            referrer = await self._deps.referral_accounts.referrer(account_id)
        except AccountUnknown as error:
            log.warning("account.not_found", extra={"account_id": account_id, "reason": str(error)})
            referrer = None
        except CallError as error:
            await self._postpone(job, error)
            return
        ownership = Ownership(referrer=referrer, looked_up_at=self._now())
        found = (job.account_ref, ownership)
        addressed = await await_write(self._database.write_many(self._save_ownerships, found))
        self._deps.wake()
        log.info(
            "account.looked_up",
            extra={"account_id": account_id, "known": referrer is not None, "deliveries": addressed},
        )

    def _save_ownerships(
        self, connection: Connection, found: Sequence[tuple[int, Ownership]]
    ) -> Sequence[int]:
        """Batch job: stores the answers. Returns the number of deliveries of each account that became ready."""
        ownerships = dict(found)
        accounts.save_ownerships(connection, ownerships)
        addressed = addressing.address_waiting(
            connection,
            ownerships,
            lambda ref, target: self._deps.address_book.recipient(target, ownerships[ref].referrer),
            now=max(ownership.looked_up_at for _, ownership in found),
        )
        return [addressed[ref] for ref, _ in found]

    async def _postpone(self, job: DueLookup, error: CallError) -> None:
        """Plans the next try. A failed look-up delays the notice and never discards it."""
        now = self._now()
        pause = pause_ms(attempts=job.attempts + 1, jitter=random.random())  # noqa: S311 - spread, not secrecy
        requested_pause = round(1000 * (error.retry_after_seconds or 0))
        due_at = now + max(pause, requested_pause)
        log.warning(
            "account.lookup_failed",
            extra={
                "account_id": job.account.account_id,
                "reason": str(error),
                "again_in_ms": due_at - now,
            },
        )

        def save(connection: Connection) -> None:
            accounts.postpone_lookup(connection, job.account_ref, due_at=due_at, reason=str(error))
            close_limiter(connection, rate_limits.LOOKUPS, error, now=now)

        await self._store(save)

"""Announce: deliveries that wait for a name and an address get them from Feishu, at no more than its pace."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from notifier.clock import Clock, to_millis
from notifier.domain.account import Ownership
from notifier.domain.delivery import limiter_block_ms, pause_ms
from notifier.domain.rate_limit import RateLimit
from notifier.domain.route import AddressBook
from notifier.errors import AccountUnknown, CallError
from notifier.flow.in_flight import InFlight, await_write
from notifier.flow.ports import ReferralAccounts
from notifier.store import accounts, addressing, rate_limits
from notifier.store.accounts import DueLookup
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 8
IDLE_MS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveDeps:
    """outside: Feishu. pace: of look-ups. wake: told when deliveries became ready."""

    referral_accounts: ReferralAccounts
    address_book: AddressBook
    limit: RateLimit
    clock: Clock
    wake: Callable[[], None]


class RecipientResolver:
    """Holds the look-ups in flight, so that one which hangs keeps nobody else waiting. wake: a slot is free."""

    def __init__(self, database: Database, deps: ResolveDeps, *, wake: Callable[[], None]) -> None:
        self._database = database
        self._deps = deps
        self._in_flight = InFlight(on_finished=wake)

    async def run_once(self) -> float:
        """Starts the look-ups that may go now, longest wait first. Seconds until there may be more to do."""
        slots = MAX_IN_FLIGHT - len(self._in_flight)
        if slots <= 0:
            return IDLE_MS / 1000
        now = to_millis(self._deps.clock.now())
        due, next_claim_at = await asyncio.wrap_future(
            self._database.write(lambda c: _claim(c, self._deps, now=now, slots=slots))
        )
        for each in due:
            self._in_flight.start(each.account_ref, _look_up(self._database, each, self._deps))
        return 0 if due else max(0.0, next_claim_at - now) / 1000

    async def drain(self, seconds: float) -> None:
        """Lets look-ups in flight finish; the others are made again after the next start."""
        await self._in_flight.drain(seconds)


def _claim(
    connection: Connection, deps: ResolveDeps, *, now: int, slots: int
) -> tuple[list[DueLookup], float]:
    """The look-ups that may go now; else when to ask again."""
    next_at = accounts.get_next_lookup_at(connection)
    if next_at is None:
        return [], now + IDLE_MS
    if next_at > now:
        return [], min(next_at, now + IDLE_MS)
    limiter = rate_limits.load_limiter(connection, rate_limits.LOOKUPS).plausible(deps.limit, now=now)
    allowed = limiter.allowed_calls(deps.limit, now=now, wanted=slots)
    if not allowed:
        return [], limiter.allowed_at(deps.limit)
    due = accounts.claim_lookups(connection, now=now, limit=allowed)
    rate_limits.save_limiters(connection, [limiter.after(len(due), deps.limit, now=now)])
    return due, now


async def _look_up(database: Database, due: DueLookup, deps: ResolveDeps) -> None:
    try:
        referrer = await deps.referral_accounts.referrer(due.account.account_id)
    except AccountUnknown as error:
        log.warning("account.unknown", extra={"account_id": due.account.account_id, "reason": str(error)})
        referrer = None
    except CallError as error:
        await _postpone(database, due, error, deps)
        return
    answer = Ownership(referrer=referrer, looked_up_at=to_millis(deps.clock.now()))
    addressed = await await_write(database.write(lambda c: _address(c, due.account_ref, answer, deps)))
    deps.wake()
    log.info(
        "account.looked_up",
        extra={"account_id": due.account.account_id, "known": referrer is not None, "deliveries": addressed},
    )


def _address(connection: Connection, ref: int, answer: Ownership, deps: ResolveDeps) -> int:
    accounts.save_ownership(connection, ref, answer)
    return sum(
        addressing.assign_recipient(
            connection,
            ref,
            target,
            deps.address_book.recipient(target, answer.referrer),
            now=answer.looked_up_at,
        )
        for target in addressing.list_waiting_targets(connection, ref)
    )


async def _postpone(database: Database, due: DueLookup, error: CallError, deps: ResolveDeps) -> None:
    """A look-up that fails delays the notice, however often; it never loses it."""
    now = to_millis(deps.clock.now())
    pause = pause_ms(attempts=due.attempts + 1, jitter=random.random())  # noqa: S311 - spread, not secrecy
    asked = round(1000 * (error.retry_after_seconds or 0))
    due_at = now + max(pause, asked)
    log.warning(
        "account.lookup_failed",
        extra={"account_id": due.account.account_id, "reason": str(error), "again_in_ms": due_at - now},
    )

    def keep(connection: Connection) -> None:
        accounts.postpone_lookup(connection, due.account_ref, due_at=due_at, reason=str(error))
        closed_for = limiter_block_ms(error)
        if closed_for:
            rate_limits.block(connection, rate_limits.LOOKUPS, until=now + closed_for, reason=error.reason)

    await await_write(database.write(keep))

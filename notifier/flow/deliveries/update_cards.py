"""Update cards: what hangs in chats and is out of date -> drawn anew -> Feishu. One change per message at a time."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection

from notifier.cards.render import Renderer, serialise
from notifier.clock import Clock, to_millis
from notifier.domain.card_state import PostedCard
from notifier.domain.delivery import CardVariant, limiter_block_ms, pause_ms
from notifier.domain.rate_limit import RateLimit
from notifier.domain.route import REFERRER
from notifier.errors import CallError, CardRefused, MessageGone, TemporaryFailure
from notifier.flow.in_flight import InFlight, await_write
from notifier.flow.notices import NoticeWriter, result_reason
from notifier.flow.ports import MessageSender
from notifier.store import card_updates, rate_limits
from notifier.store.card_updates import CardUpdate
from notifier.store.cards import card_states
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 32
IDLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateDeps:
    """outside: Feishu. pace: of changes, all cards together."""

    sender: MessageSender
    notices: NoticeWriter
    renderer: Renderer
    limit: RateLimit
    clock: Clock


class CardUpdater:
    """Holds the changes in flight. wake: a slot is free."""

    def __init__(self, database: Database, deps: UpdateDeps, *, wake: Callable[[], None]) -> None:
        self._database = database
        self._deps = deps
        self._in_flight = InFlight(on_finished=wake)

    async def run_once(self) -> float:
        """Seconds until it makes sense to look again (or until woken)."""
        now = self._now()
        in_flight_ids = self._in_flight.rows
        slots = MAX_IN_FLIGHT - len(in_flight_ids)
        updates = await asyncio.wrap_future(
            self._database.write(lambda c: self._claim(c, now=now, slots=slots, in_flight_ids=in_flight_ids))
        )
        for update, card in updates:
            self._in_flight.start(update.delivery_id, self._change(update, card))
        return IDLE_SECONDS / 10 if updates else IDLE_SECONDS / 2

    async def drain(self, seconds: float) -> None:
        """Lets changes in flight finish; the others are made after the next start."""
        await self._in_flight.drain(seconds)

    def _claim(
        self, connection: Connection, *, now: int, slots: int, in_flight_ids: frozenset[int]
    ) -> list[tuple[CardUpdate, PostedCard | None]]:
        due = card_updates.list_due(connection, now=now, limit=slots, in_flight_ids=in_flight_ids)
        if not due:
            return []
        limit = self._deps.limit
        limiter = rate_limits.load_limiter(connection, rate_limits.UPDATES).plausible(limit, now=now)
        allowed = limiter.allowed_calls(limit, now=now, wanted=len(due))
        if allowed:
            rate_limits.save_limiters(connection, [limiter.after(allowed, limit, now=now)])
        return [
            (each, card_states.load_posted_card(connection, each.delivery_id, renew_button=False, now=now))
            for each in due[:allowed]
        ]

    async def _change(self, update: CardUpdate, posted: PostedCard | None) -> None:
        try:
            card = self._deps.renderer.posted(posted) if posted is not None else None
        except Exception as error:  # one card that nobody foresaw must not hold up the others
            log.exception("card.failed", extra={"delivery_id": update.delivery_id})
            await self._later(update, TemporaryFailure(f"no card could be made: {type(error).__name__}"))
            return
        if posted is None or posted.variant is CardVariant.TEXT:
            await self._keep(lambda c: card_updates.abandon(c, update, reason="this message is no card"))
            return
        if card is None:  # its templates are at fault, and may be mended
            await self._later(update, TemporaryFailure("no card could be made: its templates are at fault"))
            return
        try:
            await self._deps.sender.update(update.message_id, serialise(card))
        except CardRefused as error:
            await self._update_lower_variant(update, posted, error)
        except MessageGone as error:
            await self._gone(update, posted, error)
        except CallError as error:
            await self._later(update, error)
        else:
            await self._keep(lambda c: card_updates.mark_applied(c, update))
            log.info(
                "card.updated", extra={"delivery_id": update.delivery_id, "message_id": update.message_id}
            )

    async def _gone(self, update: CardUpdate, posted: PostedCard | None, error: MessageGone) -> None:
        """In a group a new message tells the end instead; the referrer hears of every end by a message anyway."""
        reason, now = str(error), self._now()

        def keep(connection: Connection) -> None:
            card_updates.abandon(connection, update, reason=reason)
            if posted is None or posted.card_state is None or posted.target == REFERRER:
                return
            withdrawal, payout = posted.card_state.withdrawal, posted.card_state.payout
            if withdrawal is None:
                return
            end = result_reason(withdrawal.state, payout.state if payout else None)
            if end is not None:
                self._deps.notices.write_replacement(connection, withdrawal, end, posted.target, now=now)

        await self._keep(keep)
        log.warning("card.update_refused", extra={"delivery_id": update.delivery_id, "reason": reason})

    async def _update_lower_variant(self, update: CardUpdate, posted: PostedCard, error: CardRefused) -> None:
        """A simpler card may pass where this one does not; else later, as a template may be mended."""
        next_lower = posted.variant.after(error)
        if next_lower is None or next_lower is CardVariant.TEXT:  # a card cannot become a text
            await self._later(update, error)
        else:
            await self._change(update, replace(posted, variant=next_lower))

    async def _later(self, update: CardUpdate, error: CallError) -> None:
        now = self._now()
        pause = pause_ms(attempts=update.attempts + 1, jitter=random.random())  # noqa: S311 - spread, not secrecy
        due_at = now + max(pause, round(1000 * (error.retry_after_seconds or 0)))
        closed_for = limiter_block_ms(error)

        def keep(connection: Connection) -> None:
            card_updates.postpone(connection, update, due_at=due_at, reason=str(error))
            if closed_for:
                rate_limits.block(
                    connection, rate_limits.UPDATES, until=now + closed_for, reason=error.reason
                )

        await self._keep(keep)

    async def _keep(self, work: Callable[[Connection], None]) -> None:
        await await_write(self._database.write(work))

    def _now(self) -> int:
        return to_millis(self._deps.clock.now())

"""Update cards: what hangs in chats and is out of date -> drawn anew -> Feishu. One change per message at a time."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection

from notifier.cards.render import Renderer, serialise
from notifier.clock import Clock, to_millis
from notifier.domain.card_state import HungCard
from notifier.domain.delivery import Rung, closes_gate_for_ms, pause_ms
from notifier.domain.rate_limit import Pace
from notifier.domain.route import REFERRER
from notifier.errors import CallError, CardRefused, MessageGone, NotDone
from notifier.flow.in_flight import InFlight, kept
from notifier.flow.notices import Telling, end_of
from notifier.flow.ports import HungCards
from notifier.store import card_updates, rate_limits
from notifier.store.card_updates import CardUpdate
from notifier.store.cards import card_states
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

TOGETHER = 32
IDLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateParts:
    """outside: Feishu. pace: of changes, all cards together."""

    outside: HungCards
    telling: Telling
    renderer: Renderer
    pace: Pace
    clock: Clock


class CardUpdater:
    """Holds the changes in flight. wake: a slot is free."""

    def __init__(self, database: Database, parts: UpdateParts, *, wake: Callable[[], None]) -> None:
        self._database = database
        self._parts = parts
        self._in_flight = InFlight(landed=wake)

    async def turn(self) -> float:
        """Seconds until it makes sense to look again (or until woken)."""
        now = self._now()
        held = self._in_flight.rows
        slots = TOGETHER - len(held)
        updates = await asyncio.wrap_future(
            self._database.write(lambda c: self._claim(c, now=now, slots=slots, held=held))
        )
        for update, card in updates:
            self._in_flight.start(update.delivery_id, self._change(update, card))
        return IDLE_SECONDS / 10 if updates else IDLE_SECONDS / 2

    async def drain(self, seconds: float) -> None:
        """Lets changes in flight finish; the others are made after the next start."""
        await self._in_flight.drain(seconds)

    def _claim(
        self, connection: Connection, *, now: int, slots: int, held: frozenset[int]
    ) -> list[tuple[CardUpdate, HungCard | None]]:
        due = card_updates.due(connection, now=now, limit=slots, held=held)
        if not due:
            return []
        pace = self._parts.pace
        gate = rate_limits.load(connection, rate_limits.UPDATES).sane(pace, now=now)
        allowed = gate.passes(pace, now=now, wanted=len(due))
        if allowed:
            rate_limits.keep(connection, [gate.after(allowed, pace, now=now)])
        return [
            (each, card_states.hung_card(connection, each.delivery_id, redraw=False, now=now))
            for each in due[:allowed]
        ]

    async def _change(self, update: CardUpdate, hung: HungCard | None) -> None:
        try:
            card = self._parts.renderer.hung(hung) if hung is not None else None
        except Exception as error:  # one card that nobody foresaw must not hold up the others
            log.exception("card.failed", extra={"delivery_id": update.delivery_id})
            await self._later(update, NotDone(f"no card could be made: {type(error).__name__}"))
            return
        if hung is None or hung.rung is Rung.TEXT:
            await self._keep(lambda c: card_updates.give_up(c, update, reason="this message is no card"))
            return
        if card is None:  # its templates are at fault, and may be mended
            await self._later(update, NotDone("no card could be made: its templates are at fault"))
            return
        try:
            await self._parts.outside.update(update.message_id, serialise(card))
        except CardRefused as error:
            await self._simpler(update, hung, error)
        except MessageGone as error:
            await self._gone(update, hung, error)
        except CallError as error:
            await self._later(update, error)
        else:
            await self._keep(lambda c: card_updates.shown(c, update))
            log.info(
                "card.updated", extra={"delivery_id": update.delivery_id, "message_id": update.message_id}
            )

    async def _gone(self, update: CardUpdate, hung: HungCard | None, error: MessageGone) -> None:
        """In a group a new message tells the end instead; the referrer hears of every end by a message anyway."""
        reason, now = str(error), self._now()

        def keep(connection: Connection) -> None:
            card_updates.give_up(connection, update, reason=reason)
            if hung is None or hung.face is None or hung.target == REFERRER:
                return
            withdrawal, payout = hung.face.withdrawal, hung.face.payout
            if withdrawal is None:
                return
            end = end_of(withdrawal.state, payout.state if payout else None)
            if end is not None:
                self._parts.telling.tell_instead(connection, withdrawal, end, hung.target, now=now)

        await self._keep(keep)
        log.warning("card.update_refused", extra={"delivery_id": update.delivery_id, "reason": reason})

    async def _simpler(self, update: CardUpdate, hung: HungCard, error: CardRefused) -> None:
        """A simpler card may pass where this one does not; else later, as a template may be mended."""
        below = hung.rung.after(error)
        if below is None or below is Rung.TEXT:  # a card cannot become a text
            await self._later(update, error)
        else:
            await self._change(update, replace(hung, rung=below))

    async def _later(self, update: CardUpdate, error: CallError) -> None:
        now = self._now()
        pause = pause_ms(attempts=update.attempts + 1, jitter=random.random())  # noqa: S311 - spread, not secrecy
        due_at = now + max(pause, round(1000 * (error.retry_after_seconds or 0)))
        closed_for = closes_gate_for_ms(error)

        def keep(connection: Connection) -> None:
            card_updates.postpone(connection, update, due_at=due_at, reason=str(error))
            if closed_for:
                rate_limits.shut(connection, rate_limits.UPDATES, until=now + closed_for, reason=error.reason)

        await self._keep(keep)

    async def _keep(self, work: Callable[[Connection], None]) -> None:
        await kept(self._database.write(work))

    def _now(self) -> int:
        return to_millis(self._parts.clock.now())

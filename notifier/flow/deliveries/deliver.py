"""Deliver: due delivery -> pace -> card -> Feishu -> sent, later, elsewhere, or a person's to decide."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sqlalchemy.engine import Connection

from notifier.cards.render import Renderer, serialise
from notifier.clock import Clock, to_millis
from notifier.domain.card_state import Claimed
from notifier.domain.delivery import (
    UUID_WINDOW_MS,
    Content,
    Delivery,
    DeliveryState,
    Move,
    Patience,
    Rung,
    SentMessage,
    after_failure,
    closes_gate_for_ms,
)
from notifier.domain.digest import Digest
from notifier.domain.rate_limit import SendingPace
from notifier.domain.route import REFERRER, AddressBook, RerouteReason
from notifier.domain.withdrawal import Offer
from notifier.errors import CallError, NotDone, OutcomeUnknown
from notifier.flow.in_flight import InFlight, kept
from notifier.flow.ports import Messenger
from notifier.store import addressing, outbox, rate_limits
from notifier.store.cards import card_states
from notifier.store.digests import digest_runs
from notifier.store.engine.database import Database
from notifier.store.outbox import Claim, Sent

log = logging.getLogger(__name__)

SLOTS = 64
"""Calls in flight at most: enough for 50 a second while each takes a second."""

IDLE_SECONDS = 1.0
LOST_PAUSE_MS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverParts:
    messenger: Messenger
    renderer: Renderer
    book: AddressBook
    pace: SendingPace
    patience: Patience
    clock: Clock
    owner: str
    offer: Offer = field(default_factory=Offer)


class Deliverer:
    """Holds the calls in flight. turn() starts what may go; each call ends by itself. wake: a slot is free."""

    def __init__(self, database: Database, parts: DeliverParts, *, wake: Callable[[], None]) -> None:
        self._database = database
        self._parts = parts
        self._in_flight = InFlight(landed=wake)

    async def turn(self) -> float:
        """Seconds until it makes sense to ask again (or until woken)."""
        now = to_millis(self._parts.clock.now())
        slots = SLOTS - len(self._in_flight)
        if slots <= 0:
            return IDLE_SECONDS
        held = self._in_flight.rows
        claim = await asyncio.wrap_future(
            self._database.write(lambda c: self._claim(c, now=now, slots=slots, held=held))
        )
        await self._freeze_and_send(claim.deliveries)
        if claim.again_at is None:
            return IDLE_SECONDS
        return min(max(claim.again_at - now, 0) / 1000, IDLE_SECONDS)

    def _claim(self, connection: Connection, *, now: int, slots: int, held: frozenset[int]) -> Claim:
        """First, what we no longer hold goes back: the database failed when its result was to be kept."""
        lost = outbox.reclaim(
            connection,
            now=now,
            window_ms=UUID_WINDOW_MS,
            held=held,
            due_at=now + LOST_PAUSE_MS,
            reason=outbox.LOST,
        )
        if lost:
            log.warning("delivery.reclaimed", extra={"how_many": lost})
        claim = outbox.claim(connection, owner=self._parts.owner, now=now, slots=slots, pace=self._parts.pace)
        faced = tuple(self._with_face(connection, each, now) for each in claim.deliveries)
        return replace(claim, deliveries=faced)

    def _with_face(self, connection: Connection, each: Claimed, now: int) -> Claimed:
        """A card that is about to be frozen gets its button, on disk with it."""
        delivery, parts = each.delivery, self._parts
        if delivery.content is not None:
            return each
        if delivery.order_id is not None:
            return replace(each, face=card_states.order_face(connection, delivery.order_id))
        reader = card_states.seen_by(
            delivery.target, delivery.receive_id_type, delivery.receive_id, parts.book
        )
        digest = digest_runs.content_of(connection, delivery.run_id) if delivery.run_id is not None else None
        if delivery.account_ref is None:
            return self._with_board(connection, each, digest, reader, now)
        return replace(
            each,
            digest=digest,
            face=card_states.first_face(
                connection,
                delivery_id=delivery.id,
                account_ref=delivery.account_ref,
                seen_by=reader,
                offer=parts.offer,
                now=now,
            ),
        )

    def _with_board(
        self, connection: Connection, each: Claimed, digest: Digest | None, reader: str | None, now: int
    ) -> Claimed:
        """A digest's card gets its buttons, on disk with it; its file needs none."""
        if digest is None or each.delivery.file_id is not None:
            return replace(each, digest=digest)
        board = card_states.first_board(
            connection, each.delivery.id, digest, seen_by=reader, offer=self._parts.offer, now=now
        )
        return replace(each, digest=digest, board=board)

    async def drain(self, seconds: float) -> None:
        """Lets calls in flight finish; the others are asked again after the next start, with their key."""
        await self._in_flight.drain(seconds)

    async def _freeze_and_send(self, claimed: tuple[Claimed, ...]) -> None:
        """What a delivery says is on disk before Feishu hears it for the first time."""
        ready: list[tuple[Claimed, Content, str]] = []
        for each in claimed:
            if each.delivery.content is None and each.delivery.file_id is not None:
                self._in_flight.start(each.delivery.id, self._send_file(each, each.delivery.file_id))
                continue
            content = each.delivery.content or await self._rendered(each)
            if content is not None:
                ready.append((each, content, _uuid(each.delivery, content)))
        fresh = [
            (each.delivery.id, content, uuid)
            for each, content, uuid in ready
            if each.delivery.content is None
        ]
        if fresh:
            await asyncio.wrap_future(self._database.write(lambda c: outbox.freeze(c, fresh)))
        for each, content, uuid in ready:
            self._in_flight.start(each.delivery.id, self._send(each, content, uuid))

    async def _send_file(self, each: Claimed, file_id: int) -> None:
        """Feishu must have the file before a message can show it. Nobody sees an upload, so it may happen twice."""
        started_at = to_millis(self._parts.clock.now())
        try:
            key = await self._uploaded(file_id)
        except CallError as error:
            await self._refused(each, _unseen(error), each.delivery.rung, started_at)
            return
        content = Content(rung=each.delivery.rung, msg_type="file", body=serialise({"file_key": key}))
        fresh = [(each.delivery.id, content, _uuid(each.delivery, content))]
        await kept(self._database.write(lambda c: outbox.freeze(c, fresh)))
        await self._send(each, content, fresh[0][2])

    async def _uploaded(self, file_id: int) -> str:
        with self._database.read() as connection:
            kept_file = digest_runs.file(connection, file_id)
        if kept_file.file_key is not None:
            return kept_file.file_key
        key = await self._parts.messenger.upload(kept_file.name, kept_file.content or b"")
        await kept(self._database.write(lambda c: digest_runs.uploaded(c, file_id, file_key=key)))
        return key

    async def _rendered(self, each: Claimed) -> Content | None:
        try:
            return self._parts.renderer.content(each)
        except Exception as error:  # one card that nobody foresaw must not hold up the others
            log.exception("card.failed", extra={"delivery_id": each.delivery.id})
            await self._failed(
                each,
                Move(
                    state=DeliveryState.DEAD,
                    reason=f"no card could be made: {type(error).__name__}: {error}",
                    rung=each.delivery.rung,
                ),
            )
            return None

    async def _send(self, each: Claimed, content: Content, uuid: str) -> None:
        delivery = each.delivery
        started_at = to_millis(self._parts.clock.now())
        try:
            message = await self._parts.messenger.send(
                content, id_type=delivery.receive_id_type, receive_id=delivery.receive_id, uuid=uuid
            )
        except CallError as error:
            await self._refused(each, error, content.rung, started_at)
        except asyncio.CancelledError:
            await self._refused(
                each, OutcomeUnknown("stopped before an answer came"), content.rung, started_at
            )
            raise
        else:
            await self._sent(each, content, message, started_at)

    async def _sent(self, each: Claimed, content: Content, message: SentMessage, started_at: int) -> None:
        now = to_millis(self._parts.clock.now())
        sent = Sent(
            delivery_id=each.delivery.id,
            attempt_id=each.attempt_id,
            owner=self._parts.owner,
            message_id=message.message_id,
            chat_id=message.chat_id,
            ended_at=now,
            log_id=message.log_id,
        )
        await kept(self._database.write_many(outbox.finish_sent, sent))
        log.info(
            "delivery.sent",
            extra={
                "delivery_id": each.delivery.id,
                "target": each.delivery.target,
                "rung": content.rung,
                "attempt": each.delivery.attempts,
                "took_ms": now - started_at,
                "message_id": message.message_id,
            },
        )

    async def _refused(self, each: Claimed, error: CallError, rung: Rung, started_at: int) -> None:
        delivery = _on_rung(each.delivery, rung)
        now = to_millis(self._parts.clock.now())
        move = after_failure(
            delivery,
            error,
            started_at=started_at,
            now=now,
            jitter=random.random(),  # noqa: S311 - spread, not secrecy
            patience=self._parts.patience,
            fallback_exists=self._fallback_for(delivery),
        )
        closed_for = closes_gate_for_ms(error)
        if closed_for:
            await kept(
                self._database.write(
                    lambda c: rate_limits.shut(
                        c, rate_limits.SENDING, until=now + closed_for, reason=error.reason
                    )
                )
            )
        await self._failed(each, move, delivery=delivery)

    def _fallback_for(self, delivery: Delivery) -> bool:
        instead = self._parts.book.instead(RerouteReason.UNREACHABLE)
        return instead is not None and instead.id != delivery.receive_id

    async def _failed(self, each: Claimed, move: Move, *, delivery: Delivery | None = None) -> None:
        failed = delivery or each.delivery
        now = to_millis(self._parts.clock.now())

        def keep(connection: Connection) -> None:
            ours = outbox.finish_failed(
                connection, failed, attempt_id=each.attempt_id, owner=self._parts.owner, move=move, now=now
            )
            why = RerouteReason.UNREACHABLE if failed.target == REFERRER else RerouteReason.GROUP_UNREACHABLE
            instead = self._parts.book.instead(f"{why}: {move.reason}")
            if ours and move.state is DeliveryState.REROUTED and instead is not None:
                addressing.reroute(connection, failed, instead, now=now)

        await kept(self._database.write(keep))
        _tell_failure(failed, move)


def _unseen(error: CallError) -> CallError:
    """An upload whose outcome is unknown has shown nobody anything."""
    if isinstance(error, OutcomeUnknown):
        return NotDone(error.reason, code=error.code, log_id=error.log_id)
    return error


def _uuid(delivery: Delivery, content: Content) -> str:
    return _on_rung(delivery, content.rung).uuid


def _on_rung(delivery: Delivery, rung: Rung) -> Delivery:
    """The renderer may have stepped down by itself."""
    return delivery if delivery.rung is rung else replace(delivery, rung=rung)


def _tell_failure(delivery: Delivery, move: Move) -> None:
    needs_person = move.state in (DeliveryState.DEAD, DeliveryState.UNCERTAIN)
    log.log(
        logging.ERROR if needs_person else logging.WARNING,
        f"delivery.{move.state}" if move.state is not DeliveryState.READY else "delivery.again",
        extra={
            "delivery_id": delivery.id,
            "target": delivery.target,
            "attempt": delivery.attempts,
            "rung": move.rung,
            "reason": move.reason,
            "code": move.code,
            "log_id": move.log_id,
        },
    )

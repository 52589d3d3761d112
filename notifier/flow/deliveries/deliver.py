"""Deliver: due delivery -> pace -> card -> Feishu -> sent, later, elsewhere, or a person's to decide."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sqlalchemy.engine import Connection

from notifier.cards.render import Renderer, serialise
from notifier.clock import Clock, to_millis
from notifier.domain.card_state import ClaimedDelivery
from notifier.domain.delivery import (
    UUID_WINDOW_MS,
    CardVariant,
    Content,
    Delivery,
    DeliveryOutcome,
    DeliveryState,
    RetryPolicy,
    SentMessage,
    after_failure,
    limiter_block_ms,
)
from notifier.domain.digest import Digest
from notifier.domain.rate_limit import SendingLimits
from notifier.domain.route import REFERRER, AddressBook, RerouteReason
from notifier.domain.withdrawal import WithdrawOffer
from notifier.errors import CallError, OutcomeUnknown, TemporaryFailure
from notifier.flow.in_flight import InFlight, await_write
from notifier.flow.ports import MessageSender
from notifier.store import addressing, outbox, rate_limits
from notifier.store.cards import card_states
from notifier.store.digests import digest_runs
from notifier.store.engine.database import Database
from notifier.store.outbox import ClaimResult, SentDelivery

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 64
"""Calls in flight at most: enough for 50 a second while each takes a second."""

IDLE_SECONDS = 1.0
LOST_PAUSE_MS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverDeps:
    sender: MessageSender
    renderer: Renderer
    address_book: AddressBook
    sending_limits: SendingLimits
    retry_policy: RetryPolicy
    clock: Clock
    worker_id: str
    withdraw_offer: WithdrawOffer = field(default_factory=WithdrawOffer)


class Deliverer:
    """Holds the calls in flight. turn() starts what may go; each call ends by itself. wake: a slot is free."""

    def __init__(self, database: Database, deps: DeliverDeps, *, wake: Callable[[], None]) -> None:
        self._database = database
        self._deps = deps
        self._in_flight = InFlight(on_finished=wake)

    async def run_once(self) -> float:
        """Seconds until it makes sense to ask again (or until woken)."""
        now = to_millis(self._deps.clock.now())
        slots = MAX_IN_FLIGHT - len(self._in_flight)
        if slots <= 0:
            return IDLE_SECONDS
        in_flight_ids = self._in_flight.rows
        claim = await asyncio.wrap_future(
            self._database.write(lambda c: self._claim(c, now=now, slots=slots, in_flight_ids=in_flight_ids))
        )
        await self._freeze_and_send(claim.deliveries)
        if claim.next_claim_at is None:
            return IDLE_SECONDS
        return min(max(claim.next_claim_at - now, 0) / 1000, IDLE_SECONDS)

    def _claim(
        self, connection: Connection, *, now: int, slots: int, in_flight_ids: frozenset[int]
    ) -> ClaimResult:
        """First, what we no longer hold goes back: the database failed when its result was to be kept."""
        lost = outbox.reclaim(
            connection,
            now=now,
            window_ms=UUID_WINDOW_MS,
            in_flight_ids=in_flight_ids,
            due_at=now + LOST_PAUSE_MS,
            reason=outbox.LOST_REASON,
        )
        if lost:
            log.warning("delivery.reclaimed", extra={"how_many": lost})
        claim = outbox.claim_due_deliveries(
            connection,
            worker_id=self._deps.worker_id,
            now=now,
            slots=slots,
            sending_limits=self._deps.sending_limits,
        )
        faced = tuple(self._with_card_state(connection, each, now) for each in claim.deliveries)
        return replace(claim, deliveries=faced)

    def _with_card_state(self, connection: Connection, each: ClaimedDelivery, now: int) -> ClaimedDelivery:
        """A card that is about to be frozen gets its button, on disk with it."""
        delivery, deps = each.delivery, self._deps
        if delivery.content is not None:
            return each
        if delivery.order_id is not None:
            return replace(each, card_state=card_states.load_order_card_state(connection, delivery.order_id))
        reader = card_states.get_audience(
            delivery.target, delivery.receive_id_type, delivery.receive_id, deps.address_book
        )
        digest = (
            digest_runs.load_content(connection, delivery.run_id) if delivery.run_id is not None else None
        )
        if delivery.account_ref is None:
            return self._with_panel(connection, each, digest, reader, now)
        return replace(
            each,
            digest=digest,
            card_state=card_states.create_card_state(
                connection,
                delivery_id=delivery.id,
                account_ref=delivery.account_ref,
                audience=reader,
                withdraw_offer=deps.withdraw_offer,
                now=now,
            ),
        )

    def _with_panel(
        self,
        connection: Connection,
        each: ClaimedDelivery,
        digest: Digest | None,
        reader: str | None,
        now: int,
    ) -> ClaimedDelivery:
        """A digest's card gets its buttons, on disk with it; its file needs none."""
        if digest is None or each.delivery.file_id is not None:
            return replace(each, digest=digest)
        panel = card_states.create_panel(
            connection,
            each.delivery.id,
            digest,
            audience=reader,
            withdraw_offer=self._deps.withdraw_offer,
            now=now,
        )
        return replace(each, digest=digest, panel=panel)

    async def drain(self, seconds: float) -> None:
        """Lets calls in flight finish; the others are asked again after the next start, with their key."""
        await self._in_flight.drain(seconds)

    async def _freeze_and_send(self, claimed: tuple[ClaimedDelivery, ...]) -> None:
        """What a delivery says is on disk before Feishu hears it for the first time."""
        ready: list[tuple[ClaimedDelivery, Content, str]] = []
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
            await asyncio.wrap_future(self._database.write(lambda c: outbox.freeze_content(c, fresh)))
        for each, content, uuid in ready:
            self._in_flight.start(each.delivery.id, self._send(each, content, uuid))

    async def _send_file(self, each: ClaimedDelivery, file_id: int) -> None:
        """Feishu must have the file before a message can show it. Nobody sees an upload, so it may happen twice."""
        started_at = to_millis(self._deps.clock.now())
        try:
            key = await self._uploaded(file_id)
        except CallError as error:
            await self._refused(each, _unseen(error), each.delivery.variant, started_at)
            return
        content = Content(variant=each.delivery.variant, msg_type="file", body=serialise({"file_key": key}))
        fresh = [(each.delivery.id, content, _uuid(each.delivery, content))]
        await await_write(self._database.write(lambda c: outbox.freeze_content(c, fresh)))
        await self._send(each, content, fresh[0][2])

    async def _uploaded(self, file_id: int) -> str:
        with self._database.read() as connection:
            kept_file = digest_runs.get_file(connection, file_id)
        if kept_file.file_key is not None:
            return kept_file.file_key
        key = await self._deps.sender.upload(kept_file.name, kept_file.content or b"")
        await await_write(self._database.write(lambda c: digest_runs.mark_uploaded(c, file_id, file_key=key)))
        return key

    async def _rendered(self, each: ClaimedDelivery) -> Content | None:
        try:
            return self._deps.renderer.content(each)
        except Exception as error:  # one card that nobody foresaw must not hold up the others
            log.exception("card.failed", extra={"delivery_id": each.delivery.id})
            await self._failed(
                each,
                DeliveryOutcome(
                    state=DeliveryState.DEAD,
                    reason=f"no card could be made: {type(error).__name__}: {error}",
                    variant=each.delivery.variant,
                ),
            )
            return None

    async def _send(self, each: ClaimedDelivery, content: Content, uuid: str) -> None:
        delivery = each.delivery
        started_at = to_millis(self._deps.clock.now())
        try:
            message = await self._deps.sender.send(
                content, id_type=delivery.receive_id_type, receive_id=delivery.receive_id, uuid=uuid
            )
        except CallError as error:
            await self._refused(each, error, content.variant, started_at)
        except asyncio.CancelledError:
            await self._refused(
                each, OutcomeUnknown("stopped before an answer came"), content.variant, started_at
            )
            raise
        else:
            await self._sent(each, content, message, started_at)

    async def _sent(
        self, each: ClaimedDelivery, content: Content, message: SentMessage, started_at: int
    ) -> None:
        now = to_millis(self._deps.clock.now())
        sent = SentDelivery(
            delivery_id=each.delivery.id,
            attempt_id=each.attempt_id,
            worker_id=self._deps.worker_id,
            message_id=message.message_id,
            chat_id=message.chat_id,
            ended_at=now,
            log_id=message.log_id,
        )
        await await_write(self._database.write_many(outbox.finish_sent, sent))
        log.info(
            "delivery.sent",
            extra={
                "delivery_id": each.delivery.id,
                "target": each.delivery.target,
                "variant": content.variant,
                "attempt": each.delivery.attempts,
                "took_ms": now - started_at,
                "message_id": message.message_id,
            },
        )

    async def _refused(
        self, each: ClaimedDelivery, error: CallError, variant: CardVariant, started_at: int
    ) -> None:
        delivery = _with_variant(each.delivery, variant)
        now = to_millis(self._deps.clock.now())
        outcome = after_failure(
            delivery,
            error,
            started_at=started_at,
            now=now,
            jitter=random.random(),  # noqa: S311 - spread, not secrecy
            retry_policy=self._deps.retry_policy,
            fallback_exists=self._fallback_for(delivery),
        )
        closed_for = limiter_block_ms(error)
        if closed_for:
            await await_write(
                self._database.write(
                    lambda c: rate_limits.block(
                        c, rate_limits.SENDING, until=now + closed_for, reason=error.reason
                    )
                )
            )
        await self._failed(each, outcome, delivery=delivery)

    def _fallback_for(self, delivery: Delivery) -> bool:
        fallback = self._deps.address_book.fallback_recipient(RerouteReason.UNREACHABLE)
        return fallback is not None and fallback.id != delivery.receive_id

    async def _failed(
        self, each: ClaimedDelivery, outcome: DeliveryOutcome, *, delivery: Delivery | None = None
    ) -> None:
        failed = delivery or each.delivery
        now = to_millis(self._deps.clock.now())

        def keep(connection: Connection) -> None:
            ours = outbox.finish_failed(
                connection,
                failed,
                attempt_id=each.attempt_id,
                worker_id=self._deps.worker_id,
                outcome=outcome,
                now=now,
            )
            why = RerouteReason.UNREACHABLE if failed.target == REFERRER else RerouteReason.GROUP_UNREACHABLE
            fallback = self._deps.address_book.fallback_recipient(
                why.with_details(outcome.reason, code=outcome.code)
            )
            if ours and outcome.state is DeliveryState.REROUTED and fallback is not None:
                addressing.create_reroute(connection, failed, fallback, now=now)

        await await_write(self._database.write(keep))
        _log_failure(failed, outcome)


def _unseen(error: CallError) -> CallError:
    """An upload whose outcome is unknown has shown nobody anything."""
    if isinstance(error, OutcomeUnknown):
        return TemporaryFailure(error.reason, code=error.code, log_id=error.log_id)
    return error


def _uuid(delivery: Delivery, content: Content) -> str:
    return _with_variant(delivery, content.variant).uuid


def _with_variant(delivery: Delivery, variant: CardVariant) -> Delivery:
    """The renderer may have stepped down by itself."""
    return delivery if delivery.variant is variant else replace(delivery, variant=variant)


def _log_failure(delivery: Delivery, outcome: DeliveryOutcome) -> None:
    needs_person = outcome.state in (DeliveryState.DEAD, DeliveryState.UNKNOWN)
    log.log(
        logging.ERROR if needs_person else logging.WARNING,
        f"delivery.{outcome.state}" if outcome.state is not DeliveryState.READY else "delivery.retried",
        extra={
            "delivery_id": delivery.id,
            "target": delivery.target,
            "attempt": delivery.attempts,
            "variant": outcome.variant,
            "reason": outcome.reason,
            "code": outcome.code,
            "log_id": outcome.log_id,
        },
    )

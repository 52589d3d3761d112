"""The worker that sends due deliveries to Feishu and stores the outcome of each attempt."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from sqlalchemy.engine import Connection

from notifier.cards.render import Renderer, serialise
from notifier.clock import Clock, Millis
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
from notifier.flow.call_worker import CallWorker, ClaimedJobs, close_limiter
from notifier.flow.in_flight import await_write
from notifier.flow.ports import MessageSender
from notifier.store import addressing, outbox, rate_limits
from notifier.store.cards import card_states
from notifier.store.digests import digest_runs
from notifier.store.engine.database import Database
from notifier.store.outbox import SentDelivery

log = logging.getLogger(__name__)

_FAILURE_EVENTS = {
    DeliveryState.READY: "delivery.postponed",
    DeliveryState.REROUTED: "delivery.rerouted",
    DeliveryState.DEAD: "delivery.given_up",
    DeliveryState.UNKNOWN: "delivery.outcome_lost",
}
"""Log events by the state after a failed attempt."""
LOST_PAUSE_MS = 10_000
"""The pause before a delivery is sent again whose result was not stored, in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverDeps:
    """The dependencies of a Deliverer."""

    sender: MessageSender
    """Sends messages to Feishu."""
    renderer: Renderer
    """Renders the card."""
    address_book: AddressBook
    """Names the fallback group."""
    sending_limits: SendingLimits
    """The rate limits of messages: in total, and per recipient."""
    retry_policy: RetryPolicy
    """How long a failed delivery is retried."""
    clock: Clock
    """The source of the current time."""
    worker_id: str
    """The id of this process, which claims the deliveries."""
    withdraw_offer: WithdrawOffer = field(default_factory=WithdrawOffer)
    """Which cards get a withdraw button."""


class Deliverer(CallWorker[ClaimedDelivery]):
    """Sends due deliveries."""

    slots: ClassVar[int] = 64
    """Enough for 50 messages a second while each call takes a second."""

    def __init__(self, database: Database, deps: DeliverDeps, *, wake: Callable[[], None]) -> None:
        """wake: called when a call ends and its slot is free."""
        super().__init__(database, deps.clock, wake=wake)
        self._deps = deps

    def _claim(
        self, connection: Connection, *, now: Millis, free: int, in_flight_ids: frozenset[int]
    ) -> ClaimedJobs[ClaimedDelivery]:
        """Reclaims lost deliveries first. A delivery is lost when the database failed to store its result."""
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
            slots=free,
            sending_limits=self._deps.sending_limits,
        )
        jobs = [self._with_card_state(connection, each, now) for each in claim.deliveries]
        return ClaimedJobs(jobs=jobs, next_claim_at=claim.next_claim_at)

    def _with_card_state(self, connection: Connection, each: ClaimedDelivery, now: Millis) -> ClaimedDelivery:
        """Adds what the card needs. A new card gets its button, which is stored in the same transaction."""
        delivery, deps = each.delivery, self._deps
        if delivery.content is not None:
            return each
        if delivery.order_id is not None:
            return replace(each, card_state=card_states.load_order_card_state(connection, delivery.order_id))
        audience = card_states.get_audience(
            delivery.target, delivery.receive_id_type, delivery.receive_id, deps.address_book
        )
        digest = (
            digest_runs.load_content(connection, delivery.run_id) if delivery.run_id is not None else None
        )
        if delivery.account_ref is None:
            return self._with_panel(connection, each, digest, audience, now)
        return replace(
            each,
            digest=digest,
            card_state=card_states.create_card_state(
                connection,
                delivery_id=delivery.id,
                account_ref=delivery.account_ref,
                audience=audience,
                withdraw_offer=deps.withdraw_offer,
                now=now,
            ),
        )

    def _with_panel(
        self,
        connection: Connection,
        each: ClaimedDelivery,
        digest: Digest | None,
        audience: str | None,
        now: Millis,
    ) -> ClaimedDelivery:
        """Adds the buttons of a digest card. A digest file has none."""
        if digest is None or each.delivery.file_id is not None:
            return replace(each, digest=digest)
        panel = card_states.create_panel(
            connection,
            each.delivery.id,
            digest,
            audience=audience,
            withdraw_offer=self._deps.withdraw_offer,
            now=now,
        )
        return replace(each, digest=digest, panel=panel)

    async def _start(self, jobs: Sequence[ClaimedDelivery]) -> None:
        """Stores the content of new deliveries before the first call, so that every retry has the same content."""
        ready: list[tuple[ClaimedDelivery, Content, str]] = []
        for each in jobs:
            if each.delivery.content is None and each.delivery.file_id is not None:
                self._in_flight.start(self._row_id(each), self._call(each))
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

    def _row_id(self, job: ClaimedDelivery) -> int:
        return job.delivery.id

    async def _call(self, job: ClaimedDelivery) -> None:
        """Sends a digest file, or the content that is already stored."""
        delivery = job.delivery
        if delivery.content is not None:
            await self._send(job, delivery.content, _uuid(delivery, delivery.content))
        elif delivery.file_id is not None:
            await self._send_file(job, delivery.file_id)

    async def _send_file(self, each: ClaimedDelivery, file_id: int) -> None:
        """Uploads the file, then sends it. No person sees an upload, so it may happen twice."""
        started_at = self._now()
        try:
            key = await self._uploaded(file_id)
        except CallError as error:
            await self._refused(each, _unseen(error), each.delivery.variant, started_at)
            return
        content = Content(variant=each.delivery.variant, msg_type="file", body=serialise({"file_key": key}))
        fresh = [(each.delivery.id, content, _uuid(each.delivery, content))]
        await self._store(lambda c: outbox.freeze_content(c, fresh))
        await self._send(each, content, fresh[0][2])

    async def _uploaded(self, file_id: int) -> str:
        with self._database.read() as connection:
            digest_file = digest_runs.get_file(connection, file_id)
        if digest_file.file_key is not None:
            return digest_file.file_key
        key = await self._deps.sender.upload(digest_file.name, digest_file.content or b"")
        await self._store(lambda c: digest_runs.mark_uploaded(c, file_id, file_key=key))
        return key

    async def _rendered(self, each: ClaimedDelivery) -> Content | None:
        try:
            return self._deps.renderer.content(each)
        except Exception as error:  # an unexpected error in one card must not stop the other deliveries
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
        started_at = self._now()
        try:
            message = await self._deps.sender.send(
                content,
                id_type=delivery.receive_id_type,
                receive_id=delivery.receive_id,
                uuid=uuid,
                not_after=None if delivery.unknown_since is None else delivery.unknown_since + UUID_WINDOW_MS,
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
        self, each: ClaimedDelivery, content: Content, message: SentMessage, started_at: Millis
    ) -> None:
        now = self._now()
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
        self, each: ClaimedDelivery, error: CallError, variant: CardVariant, started_at: Millis
    ) -> None:
        delivery = _with_variant(each.delivery, variant)
        now = self._now()
        outcome = after_failure(
            delivery,
            error,
            started_at=started_at,
            now=now,
            jitter=random.random(),  # noqa: S311 - spread, not secrecy
            retry_policy=self._deps.retry_policy,
            fallback_exists=self._fallback_for(delivery),
        )
        if limiter_block_ms(error):
            await self._store(lambda c: close_limiter(c, rate_limits.SENDING, error, now=now))
        await self._failed(each, outcome, delivery=delivery)

    def _fallback_for(self, delivery: Delivery) -> bool:
        fallback = self._deps.address_book.fallback_recipient(RerouteReason.UNREACHABLE)
        return fallback is not None and fallback.id != delivery.receive_id

    async def _failed(
        self, each: ClaimedDelivery, outcome: DeliveryOutcome, *, delivery: Delivery | None = None
    ) -> None:
        failed = delivery or each.delivery
        now = self._now()

        def save(connection: Connection) -> None:
            is_ours = outbox.finish_failed(
                connection,
                failed,
                attempt_id=each.attempt_id,
                worker_id=self._deps.worker_id,
                outcome=outcome,
                now=now,
            )
            reroute_reason = (
                RerouteReason.UNREACHABLE if failed.target == REFERRER else RerouteReason.GROUP_UNREACHABLE
            )
            fallback = self._deps.address_book.fallback_recipient(
                reroute_reason.with_details(outcome.reason, code=outcome.code)
            )
            if is_ours and outcome.state is DeliveryState.REROUTED and fallback is not None:
                addressing.create_reroute(connection, failed, fallback, now=now)

        await self._store(save)
        _log_failure(failed, outcome)


def _unseen(error: CallError) -> CallError:
    """No person sees an upload, so an upload with an unknown outcome may be repeated."""
    if isinstance(error, OutcomeUnknown):
        return TemporaryFailure(error.reason, code=error.code, log_id=error.log_id)
    return error


def _uuid(delivery: Delivery, content: Content) -> str:
    return _with_variant(delivery, content.variant).uuid


def _with_variant(delivery: Delivery, variant: CardVariant) -> Delivery:
    """The renderer may have chosen a lower variant than the delivery's."""
    return delivery if delivery.variant is variant else replace(delivery, variant=variant)


def _log_failure(delivery: Delivery, outcome: DeliveryOutcome) -> None:
    needs_attention = outcome.state in (DeliveryState.DEAD, DeliveryState.UNKNOWN)
    log.log(
        logging.ERROR if needs_attention else logging.WARNING,
        _FAILURE_EVENTS[outcome.state],
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

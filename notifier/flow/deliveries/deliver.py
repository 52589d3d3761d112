"""The worker that sends due deliveries to Feishu and stores the outcome of each attempt."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from sqlalchemy.engine import Connection

from notifier import metrics
from notifier.cards.render import Renderer, serialise
from notifier.clock import Clock, Millis
from notifier.domain.account import Ownership
from notifier.domain.answers.answer import AnswerKind
from notifier.domain.answers.question import EXPIRED_AFTER_MS
from notifier.domain.card_state import ClaimedDelivery, ReleasedBalance
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
from notifier.domain.preferences.holding import HoldRules
from notifier.domain.rate_limit import SendingLimits
from notifier.domain.route import REFERRER, AddressBook, RerouteReason
from notifier.domain.withdrawal import WithdrawOffer
from notifier.errors import CallError, OutcomeUnknown, TemporaryFailure
from notifier.flow.call_worker import CallWorker, ClaimedJobs, close_limiter
from notifier.flow.pacer import Pacer
from notifier.flow.ports import MessageSender
from notifier.store import rate_limits
from notifier.store.answers.answers import load_answers
from notifier.store.cards import card_states, settings_cards
from notifier.store.cards.released_balances import load_released_balance
from notifier.store.deliveries import attempt_results, claims
from notifier.store.deliveries.attempt_results import AttemptResult
from notifier.store.deliveries.claims import ClaimResult
from notifier.store.digests import digest_runs, stored_files
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

_FAILURE_EVENTS = {
    DeliveryState.READY: "delivery.postponed",
    DeliveryState.REROUTED: "delivery.rerouted",
    DeliveryState.DEAD: "delivery.given_up",
    DeliveryState.UNKNOWN: "delivery.outcome_lost",
    DeliveryState.DROPPED: "delivery.answer_dropped",
}
"""Log events by the state after a failed attempt."""
_FAILURE_OUTCOMES = {state: name.removeprefix("delivery.") for state, name in _FAILURE_EVENTS.items()}
"""Labels of the metric by the same state."""
ANSWER_RETRIES = RetryPolicy(give_up_after_ms=EXPIRED_AFTER_MS)
"""How long a failed answer is retried."""
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
    hold_rules: HoldRules = field(default_factory=HoldRules)
    """The settings of holds: quiet hours and chosen digests."""


class Deliverer(CallWorker[ClaimedDelivery]):
    """Sends due deliveries."""

    slots: ClassVar[int] = 64
    """Enough for 50 messages a second while each call takes a second."""
    _stores_with_claim: ClassVar[bool] = True

    def __init__(self, database: Database, deps: DeliverDeps, *, wake: Callable[[], None]) -> None:
        """wake: called when a call ends and its slot is free."""
        super().__init__(database, deps.clock, wake=wake)
        self._deps = deps
        self._pacer = Pacer(deps.sending_limits.app, deps.sending_limits.chat)
        self._lost: set[int] = set()
        """Deliveries whose result the database failed to store."""
        self._reclaimed: set[int] = set()
        """Those of them that the present claim returns to the queue."""

    def _claim(
        self, connection: Connection, *, now: Millis, free: int, in_flight_ids: frozenset[int]
    ) -> ClaimedJobs[ClaimedDelivery]:
        """Reclaims lost deliveries first: those whose result the database failed to store."""
        self._reclaimed = self._lost - in_flight_ids
        if self._reclaimed:
            lost = attempt_results.reclaim(
                connection,
                now=now,
                window_ms=UUID_WINDOW_MS,
                in_flight_ids=in_flight_ids,
                due_at=now + LOST_PAUSE_MS,
                reason=attempt_results.LOST_REASON,
            )
            log.warning("delivery.reclaimed", extra={"how_many": lost})
        claim = claims.claim_due_deliveries(
            connection,
            worker_id=self._deps.worker_id,
            now=now,
            slots=free,
            sending_limits=self._deps.sending_limits,
            hold_rules=self._deps.hold_rules,
        )
        claimed = self._with_card_states(connection, claim, now)
        return ClaimedJobs(jobs=self._freeze(connection, claimed, now), next_claim_at=claim.next_claim_at)

    def _with_card_states(
        self, connection: Connection, claim: ClaimResult, now: Millis
    ) -> list[ClaimedDelivery]:
        """Adds what the cards need. A new card gets its button, which is stored in the same transaction."""
        fresh = [each.delivery for each in claim.deliveries if each.delivery.content is None]
        digests = digest_runs.load_contents(connection, [d.run_id for d in fresh if d.run_id is not None])
        by_order = card_states.load_order_card_states(
            connection, [d.order_id for d in fresh if d.order_id is not None]
        )
        audiences = {delivery.id: self._audience(delivery) for delivery in fresh}
        found_answers = load_answers(
            connection, [d.delivery.answer_id for d in claim.deliveries if d.delivery.answer_id is not None]
        )
        without_offer = {each for each, answer in found_answers.items() if answer.is_deactivated}
        new_cards = [
            card_states.NewCard(delivery_id=d.id, account_ref=d.account_ref, audience=audience)
            for d in fresh
            if d.account_ref is not None
            and d.order_id is None
            and d.answer_id not in without_offer
            and (audience := audiences[d.id]) is not None
            and not _is_for_former_referrer(d, claim.accounts[d.account_ref].ownership)
        ]
        offers = card_states.create_card_states(
            connection, new_cards, claim.accounts, withdraw_offer=self._deps.withdraw_offer, now=now
        )
        found = []
        for each in claim.deliveries:
            delivery = each.delivery
            digest = digests.get(delivery.run_id) if delivery.run_id is not None else None
            card_state = by_order.get(delivery.order_id) if delivery.order_id else offers.get(delivery.id)
            panel = None
            if digest is not None and delivery.account_ref is None and delivery.file_id is None:
                panel = card_states.create_panel(
                    connection,
                    delivery.id,
                    digest,
                    audience=audiences[delivery.id],
                    withdraw_offer=self._deps.withdraw_offer,
                    now=now,
                )
            answer = found_answers.get(delivery.answer_id) if delivery.answer_id is not None else None
            settings = None
            if answer is not None and answer.kind is AnswerKind.SETTINGS:
                settings = settings_cards.load_state(
                    connection, delivery.id, delivery.key, delivery.receive_id, self._deps.hold_rules
                )
            shown = replace(each, digest=digest, card_state=card_state, panel=panel, answer=answer)
            found.append(replace(shown, settings=settings, released=_load_released(connection, each)))
        return found

    def _audience(self, delivery: Delivery) -> str | None:
        return card_states.get_audience(
            delivery.target, delivery.receive_id_type, delivery.receive_id, self._deps.address_book
        )

    def _freeze(
        self, connection: Connection, claimed: Sequence[ClaimedDelivery], now: Millis
    ) -> list[ClaimedDelivery]:
        """Renders the new cards and stores them before the first call, so that every retry sends the same content.

        A card that cannot be rendered must not stop the others: its delivery ends here.
        """
        frozen: list[tuple[ClaimedDelivery, Content]] = []
        broken: list[AttemptResult] = []
        ready = [each for each in claimed if each.delivery.content is not None or each.delivery.file_id]
        for each in claimed:
            if each.delivery.content is not None or each.delivery.file_id is not None:
                continue
            try:
                frozen.append((each, self._deps.renderer.content(each)))
            except Exception as error:
                metrics.CARDS_FAILED.inc()
                metrics.DELIVERY_OUTCOMES.labels(_FAILURE_OUTCOMES[DeliveryState.DEAD]).inc()
                log.exception("card.failed", extra={"delivery_id": each.delivery.id})
                broken.append(
                    self._result(
                        each,
                        DeliveryOutcome(
                            state=DeliveryState.DEAD,
                            reason=f"no card could be made: {type(error).__name__}: {error}",
                            variant=each.delivery.variant,
                        ),
                        now=now,
                    )
                )
        claims.freeze_content(connection, frozen)
        if broken:
            attempt_results.finish_attempts(connection, broken)
        return [*ready, *(_with_content(each, content) for each, content in frozen)]

    async def _start(self, jobs: Sequence[ClaimedDelivery]) -> None:
        self._lost -= self._reclaimed
        await super()._start(jobs)

    def _row_id(self, job: ClaimedDelivery) -> int:
        return job.delivery.id

    def _save_results(self, connection: Connection, results: Sequence[AttemptResult]) -> Sequence[bool]:
        return attempt_results.finish_attempts(connection, results)

    async def _call(self, job: ClaimedDelivery) -> None:
        """Sends the stored content. The content of a digest file is stored after the upload."""
        file_id = job.delivery.file_id
        await self._pacer.turn(job.delivery.receive_id)
        if job.delivery.content is not None:
            await self._send(job, job.delivery.content)
        elif file_id is not None:
            await self._send_file(job, file_id)

    async def _send_file(self, each: ClaimedDelivery, file_id: int) -> None:
        """Uploads the file, then sends it. No person sees an upload, so it may happen twice."""
        started_at = self._now()
        try:
            key = await self._uploaded(file_id)
        except CallError as error:
            await self._refused(each, _unseen(error), started_at)
            return
        content = Content(variant=each.delivery.variant, msg_type="file", body=serialise({"file_key": key}))
        await self._store(lambda c: claims.freeze_content(c, [(each, content)]))
        await self._send(_with_content(each, content), content)

    async def _uploaded(self, file_id: int) -> str:
        digest_file = await self._store(lambda c: stored_files.get_file(c, file_id))
        if digest_file.file_key is not None:
            return digest_file.file_key
        key = await self._deps.sender.upload(digest_file.name, digest_file.content or b"")
        await self._store(lambda c: stored_files.mark_uploaded(c, file_id, file_key=key))
        return key

    async def _send(self, each: ClaimedDelivery, content: Content) -> None:
        delivery = each.delivery
        started_at = self._now()
        try:
            message = await self._deps.sender.send(
                content,
                id_type=delivery.receive_id_type,
                receive_id=delivery.receive_id,
                uuid=delivery.uuid,
                reply_to=each.answer.reply_to if each.answer else "",
                not_after=None if delivery.unknown_since is None else delivery.unknown_since + UUID_WINDOW_MS,
            )
        except CallError as error:
            await self._refused(each, error, started_at)
        except asyncio.CancelledError:
            await self._refused(each, OutcomeUnknown("stopped before an answer came"), started_at)
            raise
        else:
            await self._sent(each, message, started_at)

    async def _sent(self, each: ClaimedDelivery, message: SentMessage, started_at: Millis) -> None:
        now = self._now()
        await self._end(self._result(each, message, now=now))
        _count_sent(each.delivery, now)
        event_at = each.delivery.event_at
        log.info(
            "delivery.sent",
            extra={
                "delivery_id": each.delivery.id,
                "event_key": each.delivery.event_key,
                "order_id": each.delivery.order_id,
                "target": each.delivery.target,
                "variant": each.delivery.variant,
                "attempt": each.delivery.attempts,
                "took_ms": now - started_at,
                "since_event_ms": None if event_at is None else max(self._now() - event_at, 0),
                "message_id": message.message_id,
            },
        )

    async def _refused(self, each: ClaimedDelivery, error: CallError, started_at: Millis) -> None:
        now = self._now()
        outcome = after_failure(
            each.delivery,
            error,
            started_at=started_at,
            now=now,
            jitter=random.random(),  # noqa: S311 - spread, not secrecy
            retry_policy=self._deps.retry_policy if each.answer is None else ANSWER_RETRIES,
            fallback_exists=self._fallback_for(each.delivery),
        )
        if limiter_block_ms(error):
            await self._store(lambda c: close_limiter(c, rate_limits.SENDING, error, now=now))
        await self._end(self._result(each, outcome, now=now))
        metrics.SENDS.labels(metrics.to_result(error)).inc()
        metrics.DELIVERY_OUTCOMES.labels(_FAILURE_OUTCOMES[outcome.state]).inc()
        _log_failure(each.delivery, outcome)

    async def _end(self, result: AttemptResult) -> None:
        try:
            await self._save_result(result.delivery.id, result)
        except Exception:
            self._lost.add(result.delivery.id)
            raise

    def _result(
        self, each: ClaimedDelivery, result: SentMessage | DeliveryOutcome, *, now: Millis
    ) -> AttemptResult:
        fallback = None
        if isinstance(result, DeliveryOutcome) and result.state is DeliveryState.REROUTED:
            reason = (
                RerouteReason.UNREACHABLE
                if each.delivery.target == REFERRER
                else RerouteReason.GROUP_UNREACHABLE
            )
            fallback = self._deps.address_book.fallback_recipient(
                reason.with_details(result.reason, code=result.code)
            )
        return AttemptResult(
            delivery=each.delivery,
            attempt_id=each.attempt_id,
            worker_id=self._deps.worker_id,
            ended_at=now,
            result=result,
            fallback=fallback,
        )

    def _fallback_for(self, delivery: Delivery) -> bool:
        fallback = self._deps.address_book.fallback_recipient(RerouteReason.UNREACHABLE)
        return fallback is not None and fallback.id != delivery.receive_id


def _load_released(connection: Connection, claimed: ClaimedDelivery) -> ReleasedBalance | None:
    """The balance that a card shows whose notices waited; None: they did not, or another person may see it."""
    delivery = claimed.delivery
    if delivery.hold_reason is None or delivery.account_ref is None or delivery.run_id is not None:
        return None
    if _is_for_former_referrer(delivery, claimed.ownership):
        return None
    return load_released_balance(
        connection, delivery.account_ref, claimed.notices, released_at=delivery.created_at
    )


def _is_for_former_referrer(delivery: Delivery, ownership: Ownership | None) -> bool:
    """Whether the account has another referrer by now, which happens to a card that was held. It gets no button."""
    referrer = ownership.referrer if ownership is not None else None
    is_personal = delivery.receive_id_type == "open_id"
    return is_personal and referrer is not None and referrer.open_id != delivery.receive_id


def _unseen(error: CallError) -> CallError:
    """No person sees an upload, so an upload with an unknown outcome may be repeated."""
    if isinstance(error, OutcomeUnknown):
        return TemporaryFailure(error.reason, code=error.code, log_id=error.log_id)
    return error


def _with_content(each: ClaimedDelivery, content: Content) -> ClaimedDelivery:
    """The renderer may have chosen a lower variant than the delivery's."""
    return replace(each, delivery=replace(each.delivery, content=content, variant=content.variant))


def _count_sent(delivery: Delivery, now: Millis) -> None:
    metrics.SENDS.labels("sent").inc()
    metrics.DELIVERY_OUTCOMES.labels("sent").inc()
    if delivery.variant is not CardVariant.FULL:
        metrics.CARDS_DEGRADED.labels(delivery.variant).inc()
    if (
        delivery.event_at is not None and delivery.hold_reason is None
    ):  # the recipient wanted a held one later
        metrics.EVENT_TO_CARD_SECONDS.observe(max(now - delivery.event_at, 0) / 1000)


def _log_failure(delivery: Delivery, outcome: DeliveryOutcome) -> None:
    needs_attention = outcome.state in (DeliveryState.DEAD, DeliveryState.UNKNOWN)
    log.log(
        logging.ERROR if needs_attention else logging.WARNING,
        _FAILURE_EVENTS[outcome.state],
        extra={
            "delivery_id": delivery.id,
            "event_key": delivery.event_key,
            "order_id": delivery.order_id,
            "target": delivery.target,
            "attempt": delivery.attempts,
            "variant": outcome.variant,
            "reason": outcome.reason,
            "code": outcome.code,
            "log_id": outcome.log_id,
        },
    )

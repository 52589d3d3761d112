"""The worker that updates posted cards whose content is out of date, one update per message at a time."""

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from sqlalchemy.engine import Connection

from notifier import metrics
from notifier.cards.render import Renderer, serialise
from notifier.clock import Clock, Millis
from notifier.domain.card_state import PostedCard
from notifier.domain.delivery import CardVariant, pause_ms
from notifier.domain.preferences.holding import HoldRules
from notifier.domain.rate_limit import RateLimit
from notifier.domain.route import REFERRER
from notifier.domain.withdrawal import WithdrawOffer
from notifier.errors import CallError, CardRefused, MessageGone, TemporaryFailure
from notifier.flow.call_worker import CallWorker, ClaimedJobs, claim_within_limit, close_limiter
from notifier.flow.notices import NoticeWriter, result_reason
from notifier.flow.ports import MessageSender
from notifier.store import card_updates, rate_limits
from notifier.store.card_updates import CardUpdate
from notifier.store.cards import card_states
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

BUSY_PAUSE_MS = 100
"""The pause after a run that started updates, in milliseconds."""

UpdateJob = tuple[CardUpdate, PostedCard | None]
"""An update, and the card as it should look now. None: the delivery has no card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateDeps:
    """The dependencies of a CardUpdater."""

    sender: MessageSender
    """Updates messages in Feishu."""
    notices: NoticeWriter
    """Writes the notice that replaces a card which no longer exists."""
    renderer: Renderer
    """Renders the card."""
    limit: RateLimit
    """The rate limit of updates, for all cards together."""
    clock: Clock
    """The source of the current time."""
    withdraw_offer: WithdrawOffer = field(default_factory=WithdrawOffer)
    """Which cards get a withdraw button."""
    hold_rules: HoldRules = field(default_factory=HoldRules)
    """What settings cards show of the configuration."""


class CardUpdater(CallWorker[UpdateJob]):
    """Updates posted cards."""

    slots: ClassVar[int] = 32
    idle_ms: ClassVar[int] = 500

    def __init__(self, database: Database, deps: UpdateDeps, *, wake: Callable[[], None]) -> None:
        """wake: called when an update ends and its slot is free."""
        super().__init__(database, deps.clock, wake=wake)
        self._deps = deps

    def _claim(
        self, connection: Connection, *, now: Millis, free: int, in_flight_ids: frozenset[int]
    ) -> ClaimedJobs[UpdateJob]:
        due = card_updates.list_due(connection, now=now, limit=free, in_flight_ids=in_flight_ids)
        if not due:
            return ClaimedJobs()
        claimed = claim_within_limit(
            connection,
            rate_limits.UPDATES,
            self._deps.limit,
            now=now,
            wanted=len(due),
            claim=lambda allowed: due[:allowed],
        )
        cards = card_states.load_posted_cards(
            connection,
            [each.delivery_id for each in claimed.jobs],
            withdraw_offer=self._deps.withdraw_offer,
            address_book=self._deps.notices.address_book,
            hold_rules=self._deps.hold_rules,
            renew_button=False,
            now=now,
        )
        jobs = [(each, cards.get(each.delivery_id)) for each in claimed.jobs]
        return ClaimedJobs(jobs=jobs, next_claim_at=now + BUSY_PAUSE_MS if jobs else None)

    def _row_id(self, job: UpdateJob) -> int:
        return job[0].delivery_id

    def _save_results(self, connection: Connection, results: Sequence[CardUpdate]) -> Sequence[None]:
        return card_updates.mark_applied(connection, results)

    async def _call(self, job: UpdateJob) -> None:
        await self._update(*job)

    async def _update(self, update: CardUpdate, posted: PostedCard | None) -> None:
        try:
            card = self._deps.renderer.posted(posted) if posted is not None else None
        except Exception as error:  # an unexpected error in one card must not stop the other updates
            metrics.CARDS_FAILED.inc()
            log.exception("card.failed", extra={"delivery_id": update.delivery_id})
            await self._postpone(update, TemporaryFailure(f"no card could be made: {type(error).__name__}"))
            return
        if posted is None or posted.variant is CardVariant.TEXT:
            await self._store(lambda c: card_updates.abandon(c, update, reason="this message is no card"))
            return
        if card is None:  # a template is invalid; an operator may correct it
            await self._postpone(
                update, TemporaryFailure("no card could be made: its templates are at fault")
            )
            return
        try:
            await self._deps.sender.update(update.message_id, serialise(card))
        except CardRefused as error:
            _count(error)
            await self._update_lower_variant(update, posted, error)
        except MessageGone as error:
            _count(error)
            await self._gone(update, posted, error)
        except CallError as error:
            _count(error)
            await self._postpone(update, error)
        else:
            await self._save_result(update.delivery_id, update)
            metrics.CARD_UPDATES.labels("updated").inc()
            log.info(
                "card.updated",
                extra={
                    "delivery_id": update.delivery_id,
                    "order_id": _get_order_id(posted),
                    "message_id": update.message_id,
                },
            )

    async def _gone(self, update: CardUpdate, posted: PostedCard | None, error: MessageGone) -> None:
        """Replaces the card with a new message in a group. The referrer gets a message about every result anyway."""
        reason, now = str(error), self._now()

        def save(connection: Connection) -> None:
            card_updates.abandon(connection, update, reason=reason)
            if posted is None or posted.card_state is None or posted.target == REFERRER:
                return
            withdrawal, payout = posted.card_state.withdrawal, posted.card_state.payout
            if withdrawal is None:
                return
            reason_to_notify = result_reason(withdrawal.state, payout.state if payout else None)
            if reason_to_notify is not None:
                self._deps.notices.write_replacement(
                    connection, withdrawal, reason_to_notify, posted.target, now=now
                )

        await self._store(save)
        log.warning("card.update_refused", extra={"delivery_id": update.delivery_id, "reason": reason})

    async def _update_lower_variant(self, update: CardUpdate, posted: PostedCard, error: CardRefused) -> None:
        """Tries the next lower variant. After the lowest, the update is retried later: a template may be corrected."""
        next_lower = posted.variant.after(error)
        if next_lower is None or next_lower is CardVariant.TEXT:  # a card cannot become a text
            await self._postpone(update, error)
        else:
            await self._update(update, replace(posted, variant=next_lower))

    async def _postpone(self, update: CardUpdate, error: CallError) -> None:
        now = self._now()
        pause = pause_ms(attempts=update.attempts + 1, jitter=random.random())  # noqa: S311 - spread, not secrecy
        due_at = now + max(pause, round(1000 * (error.retry_after_seconds or 0)))

        def save(connection: Connection) -> None:
            card_updates.postpone(connection, update, due_at=due_at, reason=str(error))
            close_limiter(connection, rate_limits.UPDATES, error, now=now)

        await self._store(save)


def _count(error: CallError) -> None:
    metrics.CARD_UPDATES.labels(metrics.to_result(error)).inc()


def _get_order_id(posted: PostedCard) -> str | None:
    """The withdrawal that the card shows, if any."""
    withdrawal = posted.card_state.withdrawal if posted.card_state else None
    return withdrawal.order_id if withdrawal else None

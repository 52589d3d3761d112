"""The outbox: claims deliveries for sending and stores the outcome of each attempt."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import MINUTE_MS, Millis
from notifier.domain.card_state import ClaimedDelivery
from notifier.domain.delivery import (
    UUID_WINDOW_MS,
    CardVariant,
    Content,
    Delivery,
    DeliveryOutcome,
    DeliveryState,
)
from notifier.domain.rate_limit import LimiterState, SendingLimits
from notifier.store import accounts, notices, rate_limits
from notifier.store.cards import superseding
from notifier.store.schema.tables import attempts, deliveries
from notifier.store.schema.tables import rate_limits as rate_limits_table


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimResult:
    """Leased deliveries. next_claim_at: when the next claim can succeed, in ms; None if nothing is ready."""

    deliveries: tuple[ClaimedDelivery, ...]
    next_claim_at: float | None


def claim_due_deliveries(
    connection: Connection, *, worker_id: str, now: Millis, slots: int, sending_limits: SendingLimits
) -> ClaimResult:
    """Lease the oldest due delivery of each recipient, as far as the rate limits allow.

    A recipient has at most one delivery in sending, which keeps the order. slots: maximum number of deliveries.
    """
    limiter = rate_limits.load_limiter(connection, rate_limits.SENDING).plausible(sending_limits.app, now=now)
    wanted, minute_opens_at = _calls_left_in_minute(connection, now=now, per_minute=sending_limits.per_minute)
    allowed = limiter.allowed_calls(sending_limits.app, now=now, wanted=min(slots, wanted))
    if allowed == 0:
        allowed_at = max(limiter.allowed_at(sending_limits.app), minute_opens_at) if slots else None
        return ClaimResult(
            deliveries=(), next_claim_at=allowed_at if has_ready_delivery(connection) else None
        )
    rows = connection.execute(select_next_per_recipient(now).limit(allowed)).all()
    if rows:
        chat_limiters = [
            LimiterState(
                name=rate_limits.recipient_limit_name(row.receive_id),
                due_at_ms=min(row.recipient_due_at_ms or 0.0, now),
            ).after_one(sending_limits.chat, now=now)
            for row in rows
        ]
        rate_limits.save_limiters(
            connection, [limiter.after(len(rows), sending_limits.app, now=now), *chat_limiters]
        )
    claimed = tuple(
        _lease(connection, row, worker_id=worker_id, now=now)
        for row in rows
        if not _expire_unknown_outcome(connection, row, now=now)
    )
    next_claim_at = now if len(rows) == allowed else get_next_due_at(connection, now=now)
    return ClaimResult(deliveries=claimed, next_claim_at=next_claim_at)


def _calls_left_in_minute(connection: Connection, *, now: Millis, per_minute: int) -> tuple[int, Millis]:
    """Calls that the limit of the last 60 seconds still allows, and when the next one is allowed, in ms."""
    recent = sa.select(attempts.c.started_at).where(attempts.c.started_at.between(now - MINUTE_MS + 1, now))
    used = connection.execute(sa.select(sa.func.count()).select_from(recent.subquery())).scalar_one()
    if used < per_minute:
        return per_minute - used, now
    oldest = connection.execute(
        recent.order_by(attempts.c.started_at.desc()).offset(per_minute - 1).limit(1)
    ).scalar_one()
    return 0, oldest + MINUTE_MS


def _expire_unknown_outcome(connection: Connection, row: sa.Row[*tuple[Any, ...]], *, now: Millis) -> bool:
    """Set the state to unknown if Feishu has forgotten the uuid of a call with an unknown outcome. True if so.

    A repeat could then arrive twice, so an operator decides. This happens after a long downtime or a long block.
    """
    if row.unknown_since is None or now - row.unknown_since < UUID_WINDOW_MS:
        return False
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == row.id)
        .values(
            state=DeliveryState.UNKNOWN,
            updated_at=now,
            last_error="outcome unknown: Feishu no longer deduplicates this call, so it is not repeated",
        )
    )
    return True


def _lease(
    connection: Connection, row: sa.Row[*tuple[Any, ...]], *, worker_id: str, now: Millis
) -> ClaimedDelivery:
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == row.id)
        .values(
            state=DeliveryState.SENDING,
            worker_id=worker_id,
            attempts=deliveries.c.attempts + 1,
            first_tried_at=sa.func.coalesce(deliveries.c.first_tried_at, now),
            updated_at=now,
        )
    )
    delivery = _to_delivery(row, state=DeliveryState.SENDING, attempts_made=row.attempts + 1)
    attempt_id = connection.execute(
        sa.insert(attempts)
        .values(delivery_id=row.id, uuid=delivery.uuid, started_at=now)
        .returning(attempts.c.id)
    ).scalar_one()
    ref = row.account_ref
    account = accounts.get_account_key(connection, ref) if ref is not None else None
    has_notices = account is not None and row.run_id is None and delivery.content is None
    return ClaimedDelivery(
        delivery=delivery,
        attempt_id=attempt_id,
        account=account,
        ownership=accounts.get_ownership(connection, ref) if ref is not None else None,
        notices=tuple(notices.list_notices(connection, row.id, account)) if account and has_notices else (),
    )


def _to_delivery(row: sa.Row[*tuple[Any, ...]], *, state: DeliveryState, attempts_made: int) -> Delivery:
    content = None
    if row.body is not None:
        content = Content(variant=CardVariant(row.variant), msg_type=row.msg_type, body=row.body)
    return Delivery(
        id=row.id,
        key=row.delivery_key,
        account_ref=row.account_ref,
        target=row.target,
        receive_id_type=row.receive_id_type,
        receive_id=row.receive_id,
        state=state,
        variant=CardVariant(row.variant),
        content=content,
        attempts=attempts_made,
        created_at=row.created_at,
        first_tried_at=row.first_tried_at,
        unknown_since=row.unknown_since,
        reroute_reason=row.reroute_reason,
        last_error=row.last_error,
        order_id=row.order_id,
        run_id=row.run_id,
        file_id=row.file_id,
    )


def freeze_content(connection: Connection, items: Sequence[tuple[int, Content, str]]) -> Sequence[None]:
    """Batch job: store (delivery id, content, uuid) before the first call.

    The content of a uuid never changes, because Feishu deduplicates by uuid alone.
    """
    for delivery_id, content, uuid in items:
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.id == delivery_id)
            .values(
                body=content.body,
                msg_type=content.msg_type,
                variant=content.variant,
                degraded_reason=sa.func.coalesce(content.fault, deliveries.c.degraded_reason),
            )
        )
        connection.execute(
            sa.update(attempts)
            .where(attempts.c.delivery_id == delivery_id, attempts.c.ended_at.is_(None))
            .values(uuid=uuid)
        )
    return [None] * len(items)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentDelivery:
    """A successful attempt."""

    delivery_id: int
    """Row id of the delivery."""
    attempt_id: int
    """Row id of the attempt."""
    worker_id: str
    """Process that holds the lease."""
    message_id: str
    """Feishu's id of the sent message."""
    chat_id: str
    """Feishu's id of the chat that holds the message."""
    ended_at: Millis
    """When the answer came, Unix milliseconds."""
    log_id: str | None
    """X-Tt-Logid, for Feishu's support."""


def finish_sent(connection: Connection, items: Sequence[SentDelivery]) -> Sequence[bool]:
    """Batch job: mark as sent, and request updates of the cards that the new ones supersede.

    The result is False for a delivery whose lease is lost.
    """
    finished = [_finish_sent_one(connection, sent) for sent in items]
    for sent, is_ours in zip(items, finished, strict=True):
        if is_ours:
            superseding.request_updates_of_superseded(connection, sent.delivery_id, now=sent.ended_at)
    return finished


def _finish_sent_one(connection: Connection, sent: SentDelivery) -> bool:
    _end_attempt(connection, sent.attempt_id, ended_at=sent.ended_at, outcome="sent", log_id=sent.log_id)
    return _update_leased(
        connection,
        sent.delivery_id,
        sent.worker_id,
        {
            "state": DeliveryState.SENT,
            "message_id": sent.message_id,
            "chat_id": sent.chat_id,
            "updated_at": sent.ended_at,
            "worker_id": None,
            "last_error": None,
            "last_code": None,
            "log_id": sent.log_id,
        },
    )


def finish_failed(
    connection: Connection,
    delivery: Delivery,
    *,
    attempt_id: int,
    worker_id: str,
    outcome: DeliveryOutcome,
    now: Millis,
) -> bool:
    """Store a failed attempt. False if the lease is lost."""
    _end_attempt(
        connection,
        attempt_id,
        ended_at=now,
        outcome=outcome.state,
        reason=outcome.reason,
        code=outcome.code,
        log_id=outcome.log_id,
    )
    values: dict[str, object] = {
        "state": outcome.state,
        "due_at": outcome.due_at,
        "variant": outcome.variant,
        "unknown_since": outcome.unknown_since,
        "updated_at": now,
        "worker_id": None,
        "last_error": outcome.reason,
        "last_code": outcome.code,
        "log_id": outcome.log_id,
    }
    if outcome.variant is not delivery.variant:
        values |= {
            "body": None,
            "msg_type": None,
            "degraded_reason": f"{outcome.reason} (code {outcome.code})",
        }
    return _update_leased(connection, delivery.id, worker_id, values)


def _end_attempt(
    connection: Connection,
    attempt_id: int,
    *,
    ended_at: Millis,
    outcome: str,
    reason: str | None = None,
    code: int | None = None,
    log_id: str | None = None,
) -> None:
    connection.execute(
        sa.update(attempts)
        .where(attempts.c.id == attempt_id)
        .values(ended_at=ended_at, outcome=outcome, reason=reason, code=code, log_id=log_id)
    )


def _update_leased(
    connection: Connection, delivery_id: int, worker_id: str, values: Mapping[str, object]
) -> bool:
    changed = connection.execute(
        sa.update(deliveries)
        .where(
            deliveries.c.id == delivery_id,
            deliveries.c.worker_id == worker_id,
            deliveries.c.state == DeliveryState.SENDING,
        )
        .values(**values)
    )
    return changed.rowcount == 1


STOPPED_REASON = "the notifier stopped while it sent the delivery"
LOST_REASON = "the outcome of the call could not be stored"


def reclaim(
    connection: Connection,
    *,
    now: Millis,
    window_ms: int,
    in_flight_ids: Collection[int] = (),
    due_at: Millis | None = None,
    reason: str = STOPPED_REASON,
) -> int:
    """Return deliveries in `sending` without a running call to the queue, and return their number.

    in_flight_ids: deliveries whose call is running; empty at start-up. due_at: when to repeat, in ms; None: now.
    window_ms: how long Feishu remembers a uuid. Within it the same uuid is used again, because the call may have
    reached Feishu. After it the state becomes unknown, and an operator decides.
    """
    rows = connection.execute(
        sa.select(deliveries.c.id, deliveries.c.unknown_since, deliveries.c.body, attempts.c.started_at)
        .outerjoin(
            attempts, sa.and_(attempts.c.delivery_id == deliveries.c.id, attempts.c.ended_at.is_(None))
        )
        .where(deliveries.c.state == DeliveryState.SENDING, deliveries.c.id.not_in(in_flight_ids))
        .order_by(deliveries.c.id)
    ).all()
    for row in rows:
        unknown_since = row.unknown_since
        if row.body is not None and unknown_since is None:
            unknown_since = row.started_at or now
        too_late = unknown_since is not None and now - unknown_since >= window_ms
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.id == row.id)
            .values(
                state=DeliveryState.UNKNOWN if too_late else DeliveryState.READY,
                unknown_since=unknown_since,
                due_at=now if due_at is None else due_at,
                worker_id=None,
                updated_at=now,
                last_error=reason,
            )
        )
        connection.execute(
            sa.update(attempts)
            .where(attempts.c.delivery_id == row.id, attempts.c.ended_at.is_(None))
            .values(ended_at=now, outcome="unknown", reason=reason)
        )
    return len(rows)


MAX_CLOCK_LEAD_MS = MINUTE_MS


def select_next_per_recipient(now: Millis) -> sa.Select[*tuple[Any, ...]]:
    """The next delivery per recipient, if it is due, within the rate limit, and no other one is in sending."""
    return (
        sa.select(deliveries, rate_limits_table.c.due_at_ms.label("recipient_due_at_ms"))
        .outerjoin(rate_limits_table, rate_limits_table.c.name == sa.literal("to:") + deliveries.c.receive_id)
        .where(
            deliveries.c.state == DeliveryState.READY,
            deliveries.c.due_at <= now,
            _recipient_allowed_at(now) <= now,
            ~_has_earlier_delivery(),
        )
        .order_by(deliveries.c.id)
    )


def _has_earlier_delivery() -> sa.ColumnElement[bool]:
    """Whether an older delivery to the same recipient is ready, or any is in sending."""
    other = deliveries.alias()
    return sa.exists().where(
        other.c.receive_id == deliveries.c.receive_id,
        sa.or_(
            sa.and_(other.c.state == DeliveryState.READY, other.c.id < deliveries.c.id),
            other.c.state == DeliveryState.SENDING,
        ),
    )


def has_ready_delivery(connection: Connection) -> bool:
    """Whether any delivery is ready to be sent, now or later."""
    return (
        connection.execute(
            sa.select(deliveries.c.id).where(deliveries.c.state == DeliveryState.READY).limit(1)
        ).first()
        is not None
    )


def _recipient_allowed_at(now: Millis) -> sa.ColumnElement[float]:
    """When the recipient's limiter allows a call. A time far in the future comes from a clock jump: ignore it."""
    plausible = sa.and_(
        rate_limits_table.c.due_at_ms.is_not(None), rate_limits_table.c.due_at_ms <= now + MAX_CLOCK_LEAD_MS
    )
    return sa.case((plausible, rate_limits_table.c.due_at_ms), else_=0.0)


def get_next_due_at(connection: Connection, *, now: Millis) -> float | None:
    """When the next delivery of any recipient is due, in ms, by its due time and its recipient's limiter."""
    recipient_allowed_at = _recipient_allowed_at(now)
    earliest = sa.case(
        (recipient_allowed_at > deliveries.c.due_at, recipient_allowed_at), else_=deliveries.c.due_at
    )
    return connection.execute(
        sa.select(sa.func.min(earliest))
        .select_from(
            deliveries.outerjoin(
                rate_limits_table, rate_limits_table.c.name == sa.literal("to:") + deliveries.c.receive_id
            )
        )
        .where(deliveries.c.state == DeliveryState.READY, ~_has_earlier_delivery())
    ).scalar()

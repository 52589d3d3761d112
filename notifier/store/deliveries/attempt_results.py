"""Attempt results: what became of each call, in batches whose number of statements does not depend on their size."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import Delivery, DeliveryOutcome, DeliveryState, SentMessage
from notifier.domain.route import Recipient
from notifier.store import recipients
from notifier.store.answers.group_notes import EndedAnswer, queue_group_notes
from notifier.store.cards import superseding
from notifier.store.deliveries import addressing
from notifier.store.engine.sql import literal
from notifier.store.schema.tables import attempts, deliveries


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """The result of one call."""

    delivery: Delivery
    """The delivery, with the variant that was sent."""
    attempt_id: int
    """Row id of the attempt."""
    worker_id: str
    """Process that holds the lease."""
    ended_at: Millis
    """When the answer came, Unix milliseconds."""
    result: SentMessage | DeliveryOutcome
    """The message that Feishu accepted, or what happens after the failure."""
    fallback: Recipient | None = None
    """Receives the content if the outcome is `rerouted`."""


_END_ATTEMPT = (
    sa.update(attempts)
    .where(attempts.c.id == sa.bindparam("attempt_id"))
    .values(
        ended_at=sa.bindparam("ended"),
        outcome=sa.bindparam("new_outcome"),
        reason=sa.bindparam("new_reason"),
        code=sa.bindparam("new_code"),
        log_id=sa.bindparam("new_log_id"),
    )
)
_LIST_LEASED = (
    sa.select(deliveries.c.id, deliveries.c.worker_id)
    .where(
        deliveries.c.id.in_(sa.bindparam("ids", expanding=True)), deliveries.c.state == DeliveryState.SENDING
    )
    .with_for_update(key_share=True)
)
_MARK_SENT = (
    sa.update(deliveries)
    .where(deliveries.c.id == sa.bindparam("ended_id"))
    .values(
        state=DeliveryState.SENT,
        message_id=sa.bindparam("new_message_id"),
        chat_id=sa.bindparam("new_chat_id"),
        updated_at=sa.bindparam("ended"),
        worker_id=None,
        last_error=None,
        last_code=None,
        log_id=sa.bindparam("new_log_id"),
    )
)
_MARK_FAILED = (
    sa.update(deliveries)
    .where(deliveries.c.id == sa.bindparam("ended_id"))
    .values(
        state=sa.bindparam("new_state"),
        due_at=sa.bindparam("new_due_at"),
        variant=sa.bindparam("new_variant"),
        unknown_since=sa.bindparam("new_unknown_since"),
        updated_at=sa.bindparam("ended"),
        worker_id=None,
        last_error=sa.bindparam("new_reason"),
        last_code=sa.bindparam("new_code"),
        log_id=sa.bindparam("new_log_id"),
        body=sa.case((sa.bindparam("is_degraded") == 1, sa.null()), else_=deliveries.c.body),
        msg_type=sa.case((sa.bindparam("is_degraded") == 1, sa.null()), else_=deliveries.c.msg_type),
        degraded_reason=sa.func.coalesce(
            sa.bindparam("new_degraded_reason", type_=sa.Text), deliveries.c.degraded_reason
        ),
    )
)


def finish_attempts(connection: Connection, results: Sequence[AttemptResult]) -> Sequence[bool]:
    """Batch job: store the results of calls. False for a delivery whose lease is lost: only its attempt is stored.

    Cards that a sent one supersedes get an update. A rerouted delivery gets its replacement. An answer to a question in
    a group gets its note there.
    """
    connection.execute(_END_ATTEMPT, [_to_attempt_row(each) for each in results])
    leases = {
        (row.id, row.worker_id)
        for row in connection.execute(_LIST_LEASED, {"ids": [each.delivery.id for each in results]})
    }
    is_ours = [(each.delivery.id, each.worker_id) in leases for each in results]
    ours = [each for each, mine in zip(results, is_ours, strict=True) if mine]
    sent = [_to_sent_row(each, each.result) for each in ours if isinstance(each.result, SentMessage)]
    failed = [_to_failed_row(each, each.result) for each in ours if isinstance(each.result, DeliveryOutcome)]
    if sent:
        connection.execute(_MARK_SENT, sent)
    if failed:
        connection.execute(_MARK_FAILED, failed)
    now = max(each.ended_at for each in results)
    for each in ours:
        if _state_after(each) is DeliveryState.REROUTED and each.fallback is not None:
            addressing.create_reroute(connection, each.delivery, each.fallback, now=now)
    recipients.plan_next(connection, [each.delivery.receive_id for each in ours], now=now)
    queue_group_notes(connection, _list_ended_answers(ours), now=now)
    superseding.request_updates_of_superseded(connection, [row["ended_id"] for row in sent], now=now)
    return is_ours


def _state_after(each: AttemptResult) -> DeliveryState:
    return DeliveryState.SENT if isinstance(each.result, SentMessage) else each.result.state


def _list_ended_answers(results: Sequence[AttemptResult]) -> list[EndedAnswer]:
    """The answers that need no further attempt. A dead one could not be rendered."""
    failed = (DeliveryState.DROPPED, DeliveryState.DEAD)
    return [
        EndedAnswer(delivery=each.delivery, is_sent=isinstance(each.result, SentMessage))
        for each in results
        if each.delivery.answer_id is not None
        and (isinstance(each.result, SentMessage) or each.result.state in failed)
    ]


def _to_attempt_row(each: AttemptResult) -> dict[str, object]:
    outcome = None if isinstance(each.result, SentMessage) else each.result
    return {
        "attempt_id": each.attempt_id,
        "ended": each.ended_at,
        "new_outcome": _state_after(each),
        "new_reason": outcome.reason if outcome else None,
        "new_code": outcome.code if outcome else None,
        "new_log_id": each.result.log_id,
    }


def _to_sent_row(each: AttemptResult, message: SentMessage) -> dict[str, Any]:
    return {
        "ended_id": each.delivery.id,
        "ended": each.ended_at,
        "new_message_id": message.message_id,
        "new_chat_id": message.chat_id,
        "new_log_id": message.log_id,
    }


def _to_failed_row(each: AttemptResult, outcome: DeliveryOutcome) -> dict[str, object]:
    is_degraded = outcome.variant is not each.delivery.variant
    return {
        "ended_id": each.delivery.id,
        "ended": each.ended_at,
        "new_state": outcome.state,
        "new_reason": outcome.reason,
        "new_code": outcome.code,
        "new_log_id": outcome.log_id,
        "new_due_at": outcome.due_at,
        "new_variant": outcome.variant,
        "new_unknown_since": outcome.unknown_since,
        "is_degraded": int(is_degraded),
        "new_degraded_reason": f"{outcome.reason} (code {outcome.code})" if is_degraded else None,
    }


STOPPED_REASON = "the notifier stopped while it sent the delivery"
LOST_REASON = "the outcome of the call could not be stored"

_LIST_SENDING = (
    sa.select(
        deliveries.c.id,
        deliveries.c.receive_id,
        deliveries.c.unknown_since,
        deliveries.c.body.is_not(None).label("is_frozen"),
        attempts.c.started_at,
    )
    .outerjoin(attempts, sa.and_(attempts.c.delivery_id == deliveries.c.id, attempts.c.ended_at.is_(None)))
    .where(deliveries.c.state == literal("sending"))
)
_RECLAIM = (
    sa.update(deliveries)
    .where(deliveries.c.id == sa.bindparam("lost_id"))
    .values(
        state=sa.bindparam("new_state"),
        unknown_since=sa.bindparam("new_unknown_since"),
        due_at=sa.bindparam("new_due_at"),
        worker_id=None,
        updated_at=sa.bindparam("ended"),
        last_error=sa.bindparam("new_reason"),
    )
)
_END_LOST_ATTEMPT = (
    sa.update(attempts)
    .where(attempts.c.delivery_id == sa.bindparam("lost_id"), attempts.c.ended_at.is_(None))
    .values(ended_at=sa.bindparam("ended"), outcome="unknown", reason=sa.bindparam("new_reason"))
)


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
    found = connection.execute(_LIST_SENDING).all()
    lost = sorted((row for row in found if row.id not in in_flight_ids), key=lambda row: row.id)
    if not lost:
        return 0
    rows = []
    for row in lost:
        unknown_since = row.unknown_since
        if row.is_frozen and unknown_since is None:
            unknown_since = row.started_at or now
        too_late = unknown_since is not None and now - unknown_since >= window_ms
        rows.append(
            {
                "lost_id": row.id,
                "new_state": DeliveryState.UNKNOWN if too_late else DeliveryState.READY,
                "new_unknown_since": unknown_since,
                "new_due_at": now if due_at is None else due_at,
                "ended": now,
                "new_reason": reason,
            }
        )
    connection.execute(_RECLAIM, rows)
    connection.execute(
        _END_LOST_ATTEMPT, [{"lost_id": row.id, "ended": now, "new_reason": reason} for row in lost]
    )
    recipients.plan_next(connection, [row.receive_id for row in lost], now=now)
    return len(lost)
